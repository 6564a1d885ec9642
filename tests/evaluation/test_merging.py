"""Scores across label sets: a model of one set on the labels of another, in common classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from PIL import Image

from rsseg.evaluation import SegmentationMetric
from rsseg.metainfo import load_metainfo


def evaluate(pred, target, table, **options):
    metric = SegmentationMetric(**options)
    metric.dataset_meta = {"classes": load_metainfo(table).classes, "table": table, "dataset_name": table}
    planes = {"pred_sem_seg": pred, "gt_sem_seg": target}
    sample = {key: {"data": torch.tensor(value)[None]} for key, value in planes.items()}
    names = {"dataset_name": table, "table": table, "img_path": "x/1.tif", "seg_map_path": "y/1.png"}
    metric.process({}, [sample | names])
    return metric.evaluate(1)


def test_an_openearthmap_model_on_loveda_by_hand():
    # predicted: agriculture, rangeland, developed, road, tree, building; true: agricultural, background, building,
    # road, forest, unlabelled
    out = evaluate([[6, 1, 2, 3, 4, 7]], [[6, 0, 1, 2, 5, 255]], "loveda", merge="landcover6", predicted="openearthmap")
    # other: 2 hits and one building taken for it, IoU 2/3; road and tree 1; building 0/1; means over these four
    assert out == {"mIoU": 66.67, "mF1": 70.0, "mAcc": 75.0, "OA": 80.0}


def test_merging_within_one_set():
    # rangeland for developed space and agriculture land is right where all three are other
    plain = evaluate([[1, 1, 3]], [[2, 6, 3]], "openearthmap")
    merged = evaluate([[1, 1, 3]], [[2, 6, 3]], "openearthmap", merge="landcover6")
    assert (plain["OA"], merged["OA"], merged["mIoU"]) == (33.33, 100.0, 100.0)


def test_a_reference_class_that_stays_out_does_not_count():
    # LoveDA's background (0) is in no class of this table
    options = dict(merge="landcover6_urban", predicted="openearthmap")
    assert evaluate([[2, 6, 5]], [[1, 0, 3]], "loveda", **options)["OA"] == 100.0
    assert evaluate([[0, 1]], [[0, 1]], "loveda", merge="landcover6_urban")["OA"] == 100.0


def test_a_predicted_class_that_stays_out_does_not_count_but_is_told(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), "warning", said.append)
    # LoveDA's background (0) is predicted on OpenEarthMap's building (7), water (5) and an unlabelled pixel; road (3)
    # and building are hit
    options = dict(merge="landcover6_urban", predicted="loveda")
    out = evaluate([[0, 0, 0, 2, 1]], [[7, 5, 255, 3, 7]], "openearthmap", **options)
    assert (out["mIoU"], out["OA"]) == (100.0, 100.0)
    assert len(said) == 1
    assert (
        "2 labelled pixels (50.00 %) are not scored, since their predicted classes are not part of landcover6_urban"
        in said[0]
    )


def test_a_class_that_one_set_has_nothing_for_is_not_scored():
    # predicted: rangeland (1), agriculture (6), tree (4), water (5); LoveDA, which has no rangeland, says agricultural
    # (6) twice, forest (5), water (3): agriculture 1/2, forest and water 1; F1 2/3, 1, 1; 3 of 4 pixels
    options = dict(merge="landcover6_urban", predicted="openearthmap")
    out = evaluate([[1, 6, 4, 5]], [[6, 6, 5, 3]], "loveda", **options)
    assert out == {"mIoU": 83.33, "mF1": 88.89, "mAcc": 83.33, "OA": 75.0}
    # the other way round: OpenEarthMap's rangeland (1), agriculture (6), tree (4) become agricultural (6) twice and
    # forest (5); agriculture 1/2 for the rangeland taken for it, forest 1; rangeland's pixel is not in OA
    out = evaluate([[6, 6, 5]], [[1, 6, 4]], "openearthmap", merge="landcover6_urban", predicted="loveda")
    assert out == {"mIoU": 75.0, "mF1": 83.33, "mAcc": 100.0, "OA": 100.0}


def test_predictions_are_written_in_their_own_classes(tmp_path):
    options = dict(merge="landcover6", predicted="openearthmap", output_dir=str(tmp_path))
    evaluate([[0, 7]], [[4, 1]], "loveda", **options)
    with Image.open(tmp_path / "1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), [[1, 8]])


def test_options_that_contradict_each_other():
    with pytest.raises(ValueError, match="requires merge"):
        SegmentationMetric(predicted="openearthmap")
    with pytest.raises(ValueError, match="merge requires ignore_index=255, not 0"):
        SegmentationMetric(merge="landcover6", ignore_index=0)
