"""Scores of single images: written by the metrics, read again, and summed to the metrics' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rsseg.errors import DataError
from rsseg.evaluation import SegmentationMetric
from rsseg.evaluation.image_scores import ImageScores, numbered, read_image_scores, write_image_scores


def _sample(name: str, image: str, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    planes = {"pred_sem_seg": rng.integers(0, 3, (8, 8)), "gt_sem_seg": rng.choice([0, 1, 2, 255], (8, 8))}
    out = {key: {"data": torch.from_numpy(value)[None]} for key, value in planes.items()}
    return {**out, "dataset_name": name, "img_path": f"x/{image}.tif"}


def test_sums_of_images_are_the_scores_of_the_metric(tmp_path: Path) -> None:
    metric = SegmentationMetric(images_dir=str(tmp_path))
    metric.dataset_meta = {"classes": ["a", "b", "c"]}
    for i, image in enumerate(("p", "q", "p")):
        metric.process({}, [_sample("t", image, i)])
    out = metric.evaluate(3)
    (own,) = read_image_scores(tmp_path).values()
    assert own.names == ("p", "q", "p#2") and own.kind == "pixels"
    for key in ("mIoU", "mF1", "mAcc", "OA"):
        assert float(own.score(key, own.parts().sum(0))) == pytest.approx(out[key], abs=0.005)
    ious = [float(own.score(f"IoU/{name}", own.parts().sum(0))) for name in "abc"]
    assert np.mean(ious) == pytest.approx(out["mIoU"], abs=0.005)
    lines = (tmp_path / "images.csv").read_text().splitlines()
    assert lines[0] == "set,image,mIoU,mF1,mAcc,OA"
    assert lines[2].startswith(f"t,q,{own.of_images('mIoU')[1]:.2f},")
    with pytest.raises(DataError, match="no score 'AP' of single images; expected one of: mIoU, mF1, mAcc, OA"):
        own.score("AP", own.parts())


def test_labels_of_images_by_hand(tmp_path: Path) -> None:
    truth, predicted = np.array([[1, 1, 0], [0, 0, 1]], bool), np.array([[1, 0, 0], [0, 1, 1]], bool)
    counts = np.stack([truth, predicted, truth & predicted], -1).astype(np.int64)
    write_image_scores(tmp_path, {"": ImageScores("labels", ("a", "b", "c"), ("p", "q"), counts)})
    own = read_image_scores(tmp_path)[""]
    np.testing.assert_array_equal(own.counts, counts)
    np.testing.assert_allclose(own.of_images("P"), [100, 50])
    np.testing.assert_allclose(own.of_images("R"), [50, 100])
    np.testing.assert_allclose(own.of_images("F1"), [200 / 3, 200 / 3])
    assert float(own.score("P", own.parts().sum(0))) == 75
    assert own.right().tolist() == [True, False, True, True, False, True]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text('{"": {"classes": ["a"]}}')
    with pytest.raises(DataError, match="is not what rsseg test --image-scores writes"):
        read_image_scores(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_image_scores(tmp_path / "none")
    assert numbered(["a", "b", "a"]) == ("a", "b", "a#2")
