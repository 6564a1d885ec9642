"""Pads, crops and scales by hand, for images of any number of bands; the pipelines of the release."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config

from rsseg.datasets import CentreCrop, PadCentred, RandomRotate90, RandomScale

BANDS = [1, 3, 4, 13]


def sample(height, width, bands=3):
    plane = np.arange(height * width).reshape(height, width)
    image = np.repeat(plane[..., None], bands, axis=2).astype(np.uint8)
    return {"img": image, "gt_seg_map": plane.astype(np.uint8), "seg_fields": ["gt_seg_map"]}


@pytest.mark.parametrize("bands", BANDS)
def test_small_images_go_into_the_middle(bands):
    out = PadCentred((4, 4))(sample(1, 3, bands))
    assert out["img_shape"] == out["pad_shape"] == (4, 4)
    # one row above and two below; the odd column to the right
    labels = [[255] * 4, [0, 1, 2, 255], [255] * 4, [255] * 4]
    assert out["gt_seg_map"].tolist() == labels
    assert out["img"].shape == (4, 4, bands)
    assert out["img"][..., -1].tolist() == [[0] * 4, [0, 1, 2, 0], [0] * 4, [0] * 4]


def test_large_images_are_not_padded():
    out = PadCentred((2, 5))(sample(3, 3))
    assert out["img_shape"] == (3, 5)
    assert out["gt_seg_map"].tolist() == [[255, 0, 1, 2, 255], [255, 3, 4, 5, 255], [255, 6, 7, 8, 255]]
    before = sample(3, 3)
    assert PadCentred((2, 2))(before)["img"] is before["img"]


@pytest.mark.parametrize("bands", BANDS)
def test_the_middle_is_kept_and_scored(bands):
    out = CentreCrop((2, 2))({**sample(4, 5, bands), "ori_shape": (4, 5)})
    assert out["gt_seg_map"].tolist() == [[6, 7], [11, 12]]
    assert out["img"][..., -1].tolist() == out["gt_seg_map"].tolist()
    assert out["ori_shape"] == out["img_shape"] == (2, 2)
    whole = CentreCrop((9, 2))(sample(2, 2))
    assert whole["gt_seg_map"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("bands", BANDS)
def test_a_cropped_image_can_be_resized_without_its_labels(bands):
    out = CentreCrop((4, 4), input_size=(2, 3))(sample(6, 6, bands))
    assert out["img"].shape == (2, 3, bands)
    assert out["img_shape"] == (2, 3)
    assert out["ori_shape"] == out["gt_seg_map"].shape == (4, 4)


@pytest.mark.parametrize("bands", BANDS)
def test_scaling_and_turning_take_any_number_of_bands(bands):
    out = RandomScale(2.0, 2.0, prob=1.0)(sample(2, 3, bands))
    assert out["img"].shape == (4, 6, bands)
    assert out["gt_seg_map"][0].tolist() == [0, 0, 1, 1, 2, 2]
    for band in range(bands):
        np.testing.assert_array_equal(out["img"][..., band], out["img"][..., 0])
    assert RandomRotate90(prob=1.0)(sample(2, 3, bands))["img"].shape in {(2, 3, bands), (3, 2, bands)}


@pytest.fixture
def pipelines(repo, mmseg_scope):
    """The variables of the base of all segmentation datasets."""
    return Config.fromfile(repo / "configs" / "_base_" / "datasets" / "_segmentation.py")


def test_the_releases_pipeline_makes_crops_of_small_and_large_images(pipelines, tmp_path):
    for size in (100, 300):
        image, labels = tmp_path / f"{size}.png", tmp_path / f"{size}_labels.png"
        cv2.imwrite(str(image), np.full((size, size, 3), 200, np.uint8))
        cv2.imwrite(str(labels), np.zeros((size, size), np.uint8))
        made = Compose(pipelines.sep_pipeline_224)
        for seed in range(4):
            np.random.seed(seed)
            row = {"img_path": str(image), "seg_map_path": str(labels), "table": "sota", "seg_fields": []}
            out = made(row)
            assert out["inputs"].shape == (3, 224, 224)
            target = out["data_samples"].gt_sem_seg.data
            assert set(target.unique().tolist()) <= {0, 255}
            assert (target == 0).any()


def test_sep_scores_the_middle(pipelines, tmp_path):
    labels = np.full((600, 700), 1, np.uint8)
    labels[44:556, 94:606] = 0  # the middle 512 x 512
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((600, 700, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "y.png"), labels)
    row = {"img_path": str(tmp_path / "x.png"), "seg_map_path": str(tmp_path / "y.png"), "table": "sota"}
    out = Compose(pipelines.sep_test_pipeline)({**row, "seg_fields": []})["data_samples"]
    assert out.gt_sem_seg.data.unique().tolist() == [0]
    assert out.metainfo["ori_shape"] == (512, 512)


def test_fine_tuning_leaves_colours_alone(pipelines):
    kinds = [[step["type"] for step in pipelines[f"{name}"]] for name in ("sep_pipeline_224", "train_pipeline_512")]
    assert "RandomColorJitter" in kinds[0]
    assert kinds[1] == [kind for kind in kinds[0] if kind != "RandomColorJitter"]
