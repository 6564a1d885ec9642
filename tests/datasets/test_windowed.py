"""Windows of tiled TIFFs: the same samples as from whole images, and less that is read."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from mmengine.dataset import Compose
from PIL import Image

from rsseg.datasets import LoadImage, LoadLabels
from rsseg.datasets.sampling import seed_all
from rsseg.datasets.windowed import WindowedArray
from rsseg.errors import DataError

pytestmark = pytest.mark.usefixtures("mmseg_scope")
TILED = dict(tiled=True, blockxsize=16, blockysize=16)
SCALE, CROP = dict(type="RandomScale", low=0.3, high=2.0, prob=0.7), dict(type="RandomCrop", crop_size=(24, 20))
RARE = dict(type="RareClassCrop", crop_size=(24, 20), min_share=0.3, tries=5)


def write(path, pixels, **options):
    options = dict(driver="GTiff", count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
                   dtype=pixels.dtype.name, **TILED) | options  # fmt: skip
    with rasterio.open(path, "w", **options) as file:
        file.write(pixels)
    return str(path)


@pytest.fixture
def sample(tmp_path):
    """``sample(image options, labels as PNG)`` gives what transforms get, of 70 x 90 pixels."""
    generator = np.random.default_rng(3)
    image = generator.integers(0, 256, (3, 70, 90)).astype(np.uint8)
    labels = generator.integers(0, 9, (10, 10)).repeat(7, 0).repeat(9, 1).astype(np.uint8)

    def make(png=False, **options):
        image[:, 5:30, 10:50] = options.get("nodata", 7)
        paths = dict(img_path=write(tmp_path / "a.tif", image, photometric="RGB", **options), table="openearthmap",
                     seg_map_path=str(tmp_path / ("l.png" if png else "l.tif")))  # fmt: skip
        if png:
            Image.fromarray(labels).save(paths["seg_map_path"])
        else:
            write(paths["seg_map_path"], labels[None])
        return paths

    return make


@pytest.mark.parametrize("png", [False, True])
@pytest.mark.parametrize("options", [{}, {"nodata": 0}, {"interleave": "pixel", "compress": "deflate"}])
@pytest.mark.parametrize(
    ("steps", "rare"),
    [([SCALE, CROP], None), ([SCALE, dict(type="PadCentred", size=(48, 120)), CROP], None), ([SCALE, RARE], 3),
     ([dict(type="RandomCrop", crop_size=(24, 20), cat_max_ratio=0.3)], None),
     ([dict(type="RandomCrop", crop_size=(99, 20))], None)],
)  # fmt: skip
def test_samples_are_those_of_whole_images(sample, steps, rare, options, png):
    both = [Compose([LoadImage(windows=windows), LoadLabels(), *steps]) for windows in (False, True)]
    given = sample(png, **options) | ({} if rare is None else {"rare_class": rare})
    for seed in range(6):
        found = []
        for pipeline in both:
            seed_all(seed)
            found.append(pipeline(dict(given)))
        whole, part = found
        assert isinstance(part["img"], np.ndarray) and part["img"].dtype == np.uint8
        np.testing.assert_array_equal(part["img"], whole["img"])
        np.testing.assert_array_equal(part["gt_seg_map"], whole["gt_seg_map"])
        assert [part[key] for key in ("img_shape", "ori_shape", "white")] == [
            whole[key] for key in ("img_shape", "ori_shape", "white")
        ]


def test_halves_and_doubles_are_exact(sample):
    """OpenCV has code of its own for these factors."""
    for factor in (0.5, 2.0):
        steps = [dict(type="RandomScale", low=factor, high=factor, prob=1.0), CROP]
        found = []
        for windows in (False, True):
            seed_all(1)
            found.append(Compose([LoadImage(windows=windows), LoadLabels(), *steps])(sample()))
        np.testing.assert_array_equal(found[0]["img"], found[1]["img"])
        np.testing.assert_array_equal(found[0]["gt_seg_map"], found[1]["gt_seg_map"])


def test_only_the_window_is_read(sample, monkeypatch):
    read = []
    monkeypatch.setattr(WindowedArray, "__array__", lambda *_: pytest.fail("all was read"))
    results = LoadLabels()(LoadImage(windows=True)(sample()))
    image = results["img"]
    monkeypatch.setattr(image, "_read", lambda *window, old=image._read: read.append(window) or old(*window))
    assert image.shape == (70, 90, 3) and results["gt_seg_map"].shape == (70, 90)
    assert image[60:99, 3:5].shape == (10, 2, 3) and read == [(60, 70, 3, 5)]


def test_what_is_not_stored_in_blocks_is_read_whole(sample):
    given = sample(tiled=False, blockysize=70)
    assert isinstance(LoadImage(windows=True)(given)["img"], np.ndarray)
    results = LoadLabels()(LoadImage(windows=True)(sample(png=True)))
    assert isinstance(results["img"], WindowedArray) and isinstance(results["gt_seg_map"], np.ndarray)
    np.testing.assert_array_equal(results["img"], LoadImage()(given)["img"])  # as an array: the whole
    np.testing.assert_array_equal(results["img"][..., :1], LoadImage()(given)["img"][..., :1])


def test_labels_are_checked(sample, tmp_path):
    given = sample()
    write(tmp_path / "l.tif", np.zeros((1, 70, 91), np.uint8))
    with pytest.raises(DataError, match=r"l.tif: the labels have 70 rows and 91 columns"):
        LoadLabels()(LoadImage(windows=True)(dict(given)))
    write(tmp_path / "l.tif", np.full((1, 70, 90), 44, np.uint8))
    with pytest.raises(DataError, match=r"l.tif: value 44 is not a label value of OpenEarthMap"):
        LoadLabels()(LoadImage(windows=True)(dict(given)))["gt_seg_map"][:4, :4]
