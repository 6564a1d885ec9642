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


def test_published_scores_are_added_under_names_of_their_own(caplog):
    """Of K classes, the release's last bin [K-1, K] takes ignored pixels as correct ones of the last class.

    GroundTruthMasks a a b b and 4 ignored; predicted a b b a.  Right: both classes have IoU 1/3, F1 1/2, OA 2/4.
    Published: b has 1 + 4 hits, 2 + 4 true and 2 + 4 predicted pixels: IoU 5/7, F1 5/6, Acc 5/6; OA is 6/8.
    """
    one = sample("t", [[0, 1, 1, 0], [0, 1, 0, 1]], [[0, 0, 1, 1], [255] * 4])
    meta = {"classes": ["a", "b"], "dataset_name": "t"}
    right = {"mIoU": 33.33, "mF1": 50.0, "mAcc": 50.0, "OA": 50.0}
    assert evaluate([one], meta) == right
    out = evaluate([one], meta, samrs_compat=True)
    published = {
        "mIoU_samrs_compat": 52.38,
        "mF1_samrs_compat": 66.67,
        "mAcc_samrs_compat": 66.67,
        "OA_samrs_compat": 75.0,
    }
    assert out == right | published


def test_published_scores_equal_the_releases_histogram():
    rng = np.random.default_rng(0)
    target, pred = rng.integers(0, 6, (2, 8, 8)), rng.integers(0, 5, (2, 8, 8))  # 5 is clutter
    ours = [sample("t", p.tolist(), np.where(t == 5, 255, t).tolist()) for p, t in zip(pred, target, strict=True)]
    out = evaluate(ours, {"classes": list("abcde")}, samrs_compat=True)
    guess = np.where(target == 5, 5, pred)
    edges = np.arange(6)
    hit, true, found = (np.histogram(values, edges)[0] for values in (guess[guess == target], target, guess))
    assert out["mF1_samrs_compat"] == round(100 * float((2 * hit / (true + found)).mean()), 2)
    assert out["mIoU_samrs_compat"] == round(100 * float((hit / (true + found - hit)).mean()), 2)
    assert out["OA_samrs_compat"] == round(100 * float(hit.sum() / true.sum()), 2)
    assert out["OA_samrs_compat"] > out["OA"]


@pytest.mark.parametrize(("table", "lifted"), [("potsdam", True), ("isaid", False), ("sota", False)])
def test_only_a_value_after_the_last_class_is_swallowed(table, lifted):
    """Potsdam's clutter is stored as 6, car as 5; the release ignores 255 in iSAID and its own sets."""
    meta = {"classes": load_metainfo(table).classes, "table": table}
    out = evaluate([sample(table, [[1, 2, 1, 1]], [[1, 1, 255, 255]])], meta, samrs_compat=True)
    assert out["OA"] == 50.0
    assert out["OA_samrs_compat"] == (75.0 if lifted else 50.0)


def test_isaid_is_scored_without_background():
    meta = {"classes": load_metainfo("isaid").classes, "table": "isaid"}
    out = evaluate([sample("isaid", [[0, 0, 0, 1, 1, 2]], [[0, 0, 1, 1, 0, 2]])], meta)
    # ship: 1 hit, 1 lost, 1 wrongly found; tank: 1 hit; background does not count
    assert out == {"mIoU": 66.67, "mF1": 75.0, "mAcc": 75.0, "OA": 66.67}


def test_sets_are_scored_apart():
    meta = {"classes": ["a", "b"], "sets": {"s": {"classes": ["a", "b"]}, "t": {"classes": ["x"]}}}
    out = evaluate([sample("s", [[0, 1]], [[0, 0]]), sample("t", [[0, 0]], [[0, 0]])], meta)
    assert out["s/OA"] == 50.0
    assert out["t/OA"] == 100.0
    assert out["OA"] == 75.0


def test_wrong_labels_name_the_file():
    with pytest.raises(ValueError, match=r"y/1.png: target contains the value 4"):
        evaluate([sample("t", [[0, 1]], [[0, 4]])], {"classes": ["a", "b"]})


def test_predictions_are_written_in_raw_values(tmp_path):
    meta = {"classes": load_metainfo("potsdam").classes}
    evaluate([sample("t", [[0, 4]], [[0, 255]])], meta, output_dir=str(tmp_path), format_only=True)
    with Image.open(tmp_path / "t_1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), [[1, 5]])
        assert tuple(image.convert("RGB").getpixel((1, 0))) == load_metainfo("potsdam").palette[4]


def test_format_only_needs_a_folder():
    with pytest.raises(ValueError, match="requires output_dir"):
        SegmentationMetric(format_only=True)
