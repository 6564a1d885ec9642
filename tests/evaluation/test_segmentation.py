"""The metric as the runner uses it: several sets, tables, written predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from rsseg.evaluation import SegmentationMetric
from rsseg.metainfo import load_metainfo


def sample(name, pred, target, table="potsdam"):
    planes = {"pred_sem_seg": pred, "gt_sem_seg": target}
    out = {key: {"data": torch.tensor(value)[None]} for key, value in planes.items()}
    return {**out, "dataset_name": name, "table": table, "img_path": f"x/{name}_1.tif", "seg_map_path": "y/1.png"}


def evaluate(samples, meta, **options):
    metric = SegmentationMetric(**options)
    metric.dataset_meta = meta
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(len(samples))


def test_one_set_by_hand():
    samples = [sample("t", [[0, 1]], [[0, 0]]), sample("t", [[1, 1]], [[1, 255]])]
    out = evaluate(samples, {"classes": ["a", "b"], "dataset_name": "t"})
    # truth a: 1 hit, 1 lost to b; truth b: 1 hit; one ignored
    assert out == {"mIoU": 50.0, "mF1": 66.67, "mAcc": 75.0, "OA": 66.67}


def test_sets_are_scored_apart():
    meta = {"classes": ["a", "b"], "sets": {"s": {"classes": ["a", "b"]}, "t": {"classes": ["x"]}}}
    out = evaluate([sample("s", [[0, 1]], [[0, 0]]), sample("t", [[0, 0]], [[0, 0]])], meta)
    assert out["s/OA"] == 50.0
    assert out["t/OA"] == 100.0
    assert out["OA"] == 75.0


def test_wrong_labels_name_the_file():
    with pytest.raises(ValueError, match=r"y/1.png: target holds the value 4"):
        evaluate([sample("t", [[0, 1]], [[0, 4]])], {"classes": ["a", "b"]})


def test_predictions_are_written_in_raw_values(tmp_path):
    meta = {"classes": load_metainfo("potsdam").classes}
    evaluate([sample("t", [[0, 4]], [[0, 255]])], meta, output_dir=str(tmp_path), format_only=True)
    with Image.open(tmp_path / "t_1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), [[1, 5]])
        assert tuple(image.convert("RGB").getpixel((1, 0))) == load_metainfo("potsdam").palette[4]


def test_format_only_needs_a_folder():
    with pytest.raises(ValueError, match="needs an output_dir"):
        SegmentationMetric(format_only=True)
