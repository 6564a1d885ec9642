"""LoadImage: every number type and band order as declared, pixels without data, and transforms that bear it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from mmengine.dataset import Compose
from mmseg.datasets import BaseSegDataset
from mmseg.registry import TRANSFORMS
from PIL import Image
from rasterio.enums import ColorInterp as C

from rsseg.datasets import CentreCrop, LoadImage, LoadLabels, MultibandPreprocessor, TableDataset
from rsseg.datasets.color_jitter import change_levels
from rsseg.errors import ConfigError, DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.pixel_settings import transform_errors

pytestmark = pytest.mark.usefixtures("mmseg_scope")
RGB = (C.red, C.green, C.blue)
VALUES = np.arange(1, 4)[:, None, None] * np.array([[10, 20, 30], [40, 50, 60]])  # (3, 2, 3): band 2 is twice band 1


def write(path, pixels, colours=None, **options):
    count, height, width = pixels.shape
    options = dict(driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype.name, **options)
    with rasterio.open(path, "w", **options) as file:
        file.write(pixels)
        if colours:
            file.colorinterp = colours
    return str(path)


def load(path, **settings):
    return LoadImage(**settings)({"img_path": str(path)})


@pytest.mark.parametrize(
    ("dtype", "colours", "settings", "expected", "kind"),
    [
        ("uint8", RGB, {}, [[30, 20, 10], [60, 40, 20]], "uint8"),
        ("uint8", RGB[::-1], {}, [[10, 20, 30], [20, 40, 60]], "uint8"),  # blue is the file's first band
        ("uint8", (C.gray, C.undefined, C.undefined), dict(bands=(3, 1, 2)), [[20, 10, 30], [40, 20, 60]], "uint8"),
        # 255 / 510 = 0.5
        ("uint16", RGB, dict(value_range=(0, 510)), [[15, 10, 5], [30, 20, 10]], "float32"),
        ("int16", RGB, dict(value_range=(-10, 500)), [[20, 15, 10], [35, 25, 15]], "float32"),
        ("float32", RGB, dict(value_range=[15, 270]), [[15, 5, 0], [45, 25, 5]], "float32"),
        ("uint16", RGB, dict(value_range="raw"), [[30, 20, 10], [60, 40, 20]], "float32"),
        ("int32", RGB, dict(value_range="raw", bands=[2]), [[20], [40]], "float32"),
        ("uint8", RGB, dict(bands=(1, 2, 3, 1)), [[10, 20, 30, 10], [20, 40, 60, 20]], "uint8"),
    ],
)
def test_pixels_are_as_declared(tmp_path, dtype, colours, settings, expected, kind):
    options = {} if colours[0] != C.gray else dict(photometric="MINISBLACK")
    results = load(write(tmp_path / "a.tif", VALUES.astype(dtype), colours, **options), **settings)
    assert results["img"][0, :2].tolist() == expected
    assert results["img"].dtype == kind and results["img"].flags.c_contiguous
    assert results["img_shape"] == results["ori_shape"] == (2, 3)
    assert "valid" not in results
    assert results["white"] == (None if settings.get("value_range") == "raw" else 255)


def test_nothing_is_guessed(tmp_path):
    deep = write(tmp_path / "deep.tif", VALUES.astype("uint16"), RGB)
    with pytest.raises(DataError, match=r"deep\.tif: holds uint16, not 8 bits; .* value_range=\(0, 3000\) in a config"):
        load(deep)
    plain = write(tmp_path / "plain.tif", VALUES.astype("uint8"), photometric="MINISBLACK")
    with pytest.raises(DataError, match=r"plain\.tif: does not say which of its bands are red, green and blue"):
        load(plain)
    with pytest.raises(DataError, match="has 3 bands"):
        load(deep, bands=(1, 2, 3, 4), value_range="raw")
    with pytest.raises(ConfigError, match="value_range"):
        LoadImage(value_range=(5, 5))
    (tmp_path / "broken.tif").write_bytes(b"II*")
    with pytest.raises(DataError, match=r"broken\.tif"):
        load(tmp_path / "broken.tif")
    with pytest.raises(FileNotFoundError, match=r"gone\.tif"):
        load(tmp_path / "gone.tif")
    Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / "grey.png")
    assert load(tmp_path / "grey.png", repeat_grey=True)["img"][0, 0].tolist() == [7, 7, 7]
    with pytest.raises(DataError, match=r"grey\.png"):
        load(tmp_path / "grey.png")


def dataset(tmp_path, pixels, **options):
    rows = [{"id": i, "name": name, "color": f"#0000{i}0"} for i, name in enumerate("ab")]
    (tmp_path / "ab.json").write_text(json.dumps({"name": "AB", "source": "test", "categories": rows}))
    for name in ("img", "ann"):
        (tmp_path / name).mkdir(exist_ok=True)
    write(tmp_path / "img" / "a.tif", pixels, RGB, **options)
    Image.fromarray(np.ones(pixels.shape[1:], np.uint8)).save(tmp_path / "ann" / "a.png")
    files = dict(data_root=str(tmp_path), data_prefix=dict(img_path="img", seg_map_path="ann"), img_suffix=".tif")
    return TableDataset(str(tmp_path / "ab.json"), **files)


@pytest.mark.parametrize(
    ("dtype", "nodata", "value_range"),
    [("uint8", 0, None), ("uint16", 0, (0, 255)), ("int16", -9999, "raw"), ("float32", float("nan"), (0, 255))],
)
def test_pixels_without_data_carry_no_label(tmp_path, dtype, nodata, value_range):
    pixels = np.full((3, 4, 5), 9).astype(dtype)
    pixels[:, 1, 2] = nodata
    data = dataset(tmp_path, pixels, nodata=nodata)
    expected = np.ones((4, 5), int)
    expected[1, 2] = 255
    loader = dict(type="LoadImage", value_range=value_range)
    for steps in ([loader, dict(type="LoadLabels")], [dict(type="LoadLabels"), loader]):
        data.pipeline = Compose(steps)
        assert data[0]["gt_seg_map"].tolist() == expected.tolist()
    assert data[0]["valid"].tolist() == (expected == 1).tolist()
    row = data.get_data_info(0)
    del row["table"]  # a dataset of mmseg
    assert LoadLabels()(LoadImage(value_range=value_range)(row))["gt_seg_map"].tolist() == expected.tolist()
    cropped = CentreCrop((2, 3))(data[0])
    assert cropped["valid"].tolist() == (expected[1:3, 1:4] == 1).tolist()
    Image.fromarray(np.ones((4, 6), np.uint8)).save(tmp_path / "ann" / "a.png")
    with pytest.raises(DataError, match=r"a\.png: the labels have 4 rows and 6 columns, .*a\.tif has 4 and 5"):
        data[0]


OURS, MMSEG = ["LoadImage", "LoadLabels"], ["LoadImageFromFile", "LoadAnnotations"]


@pytest.mark.parametrize("loaders", [OURS, MMSEG, [OURS[0], MMSEG[1]], [MMSEG[0], OURS[1]], OURS[::-1]])
def test_labels_of_another_size_are_refused(tmp_path, loaders):
    """By every pair of loaders, in training and as tests resize; of a set of ours and of one of mmseg."""
    data = dataset(tmp_path, np.full((3, 8, 10), 9, np.uint8))
    kinds = [data, BaseSegDataset(metainfo=dict(classes=("a", "b")), data_root=str(tmp_path), img_suffix=".tif",
                                  data_prefix=dict(img_path="img", seg_map_path="ann"))]  # fmt: skip
    steps = [dict(type=name) for name in loaders]
    resized = [steps[0], dict(type="Resize", scale=(5, 4)), steps[1]]
    flips = [[dict(type="RandomFlip", prob=0.0)], [steps[1]], [dict(type="PackSegInputs")]]
    views = [steps[0], dict(type="TestTimeAug", transforms=flips)]
    pipelines = [steps] if loaders == OURS[::-1] else [steps, resized, views]
    for kind in kinds:
        for pipeline in map(Compose, pipelines):
            kind.pipeline = pipeline
            assert kind[0] is not None
    Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "ann" / "a.png")
    message = r"ann/a\.png: the labels have 4 rows and 5 columns, but their image .*img/a\.tif has 8 and 10"
    for kind in kinds:
        for pipeline in map(Compose, pipelines):
            kind.pipeline = pipeline
            with pytest.raises(DataError, match=message):
                kind[0]


def test_color_jitter_knows_what_is_white():
    image = np.full((2, 2, 4), 100, np.float32)
    assert change_levels(image, lambda x: x + 100, white=255).max() == 200
    assert change_levels(image, lambda x: x + 100).max() == 100  # its own largest value is white
    jitter = TRANSFORMS.build(dict(type="RandomColorJitter", prob=1.0, amount=0.2))
    np.random.seed(0)
    changed = [float(jitter({"img": image.copy(), "white": 255.0})["img"].max()) for _ in range(20)]
    assert max(changed) > 101 and max(changed) < 160


@pytest.mark.parametrize("bands", [1, 3, 4, 12])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_transforms_bear_any_bands(bands, dtype):
    image = np.random.default_rng(0).integers(0, 255, (40, 40, bands)).astype(dtype)
    steps = [
        dict(type="RandomScale", prob=1.0), dict(type="PadCentred", size=(64, 64)),
        dict(type="RandomCrop", crop_size=(32, 32)), dict(type="RandomFlip", prob=1.0),
        dict(type="RandomRotate90", prob=1.0), dict(type="RandomColorJitter", prob=1.0, jitter=(0.1,) * 4),
    ]  # fmt: skip
    if bands == 4:
        steps.append(dict(type="Pad", size=(48, 48), pad_val=dict(img=0, seg=255)))
    assert not transform_errors(steps, PixelSpec(tuple(range(1, bands + 1)), None if dtype == "uint8" else (0, 255)))
    results = dict(img=image, gt_seg_map=np.zeros((40, 40), np.uint8), seg_fields=["gt_seg_map"], white=255.0)
    results |= dict(img_shape=(40, 40), ori_shape=(40, 40))
    out = Compose([*steps, dict(type="PackSegInputs", meta_keys=())])(results)
    assert out["inputs"].shape[0] == bands and str(out["inputs"].dtype) == f"torch.{dtype}"


@pytest.mark.parametrize(
    ("step", "spec", "expected"),
    [
        (dict(type="PhotoMetricDistortion"), PixelSpec(), None),
        (
            dict(type="PhotoMetricDistortion"),
            PixelSpec((1, 2, 3, 4)),
            "PhotoMetricDistortion works on three bands",
        ),
        (dict(type="mmseg.PhotoMetricDistortion"), PixelSpec(None, (0, 9)), "PhotoMetricDistortion"),
        (dict(type="Resize", backend="pillow"), PixelSpec(None, "raw"), "backend cv2"),
        (dict(type="AdjustGamma"), PixelSpec((1, 2), None), None),
        (dict(type="AdjustGamma"), PixelSpec(None, "raw"), "cut values to 8 bits"),
        (dict(type="Pad"), PixelSpec((1, 2, 3, 4, 5)), "use PadCentred"),
        (dict(type="RandomColorJitter"), PixelSpec(None, (0, 9)), None),
        (dict(type="RandomColorJitter"), PixelSpec(None, "raw"), "declare value_range"),
        (dict(type="TestTimeAug", transforms=[[dict(type="Pad")]]), PixelSpec((1,) * 5), "Pad takes at most 4"),
    ],
)
def test_transforms_that_do_not_are_named(step, spec, expected):
    found = transform_errors([step], spec)
    assert (not found) if expected is None else (len(found) == 1 and expected in found[0])


def test_a_preprocessor_takes_as_many_bands_as_it_has_means():
    import torch

    take = MultibandPreprocessor(mean=[1, 2, 3, 4], std=[1, 2, 1, 1], size_divisor=1)
    batch = {"inputs": [torch.full((4, 2, 2), 5, dtype=torch.uint8)]}
    assert take(batch)["inputs"][0, :, 0, 0].tolist() == [4, 1.5, 2, 1]
    three = MultibandPreprocessor(mean=[1, 2, 3], std=[1, 1, 1])  # blue, green, red come in
    assert three({"inputs": [torch.arange(3).view(3, 1, 1)]})["inputs"].flatten().tolist() == [1, -1, -3]
    with pytest.raises(ConfigError, match=r"images have 3 bands, but .* has 4 means"):
        take({"inputs": [torch.zeros(3, 2, 2)]})
    with pytest.raises(ConfigError, match="2 values of mean and 1 of std"):
        MultibandPreprocessor(mean=[1, 2], std=[1])
