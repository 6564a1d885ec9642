"""The check of images: by the pipeline that trains, with numbers by hand, and proposals that make the set readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from mmengine.config import Config
from PIL import Image
from rasterio.enums import ColorInterp as C

from rsseg.datasets.checking.check import Check, check_config
from rsseg.datasets.checking.pixels import BandStatistics
from rsseg.datasets.checking.table import describe
from rsseg.io.pixel_settings import share_pixels

pytestmark = pytest.mark.usefixtures("mmseg_scope")
OURS = [dict(type="LoadImage", bands=None, value_range=None), dict(type="LoadLabels")]
MMSEG = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
RGB = (C.red, C.green, C.blue)
MODEL = dict(
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3),
    decode_head=dict(type="FCNHead", num_classes=5),
)


def write(root: Path, pixels: np.ndarray, colours: Any = RGB, name: str = "0", **options: Any) -> None:
    """One GeoTIFF (C, H, W) and a label of class 1 of Potsdam's table."""
    count, height, width = pixels.shape
    for folder in ("img", "ann"):
        (root / folder).mkdir(exist_ok=True)
    if colours[0] == C.gray:
        options["photometric"] = "MINISBLACK"
    options = dict(driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype.name, **options)
    with rasterio.open(root / "img" / f"{name}.tif", "w", **options) as file:
        file.write(pixels)
        file.colorinterp = colours
    Image.fromarray(np.ones((height, width), np.uint8)).save(root / "ann" / f"{name}.png")


def config(root: Path, pipeline: Any = OURS, model: Any = MODEL, **more: Any) -> Config:
    data = dict(type="TableDataset", table="potsdam", img_suffix=".tif", data_root=str(root), pipeline=pipeline)
    data["data_prefix"] = dict(img_path="img", seg_map_path="ann")
    return Config(dict(train_dataloader=dict(dataset=data), model=model, **more))


def ramp(count: int, dtype: str, scale: float = 1, shift: float = 0) -> np.ndarray:
    """(count, 8, 16): each band has every value 100 .. 227 once."""
    return np.stack([np.arange(100, 228).reshape(8, 16) * scale + shift] * count).astype(dtype)


def with_proposal(before: Config, check: Check) -> Config:
    """The config with what was proposed for it."""
    (lines,) = check.proposals.values()
    scope: dict[str, Any] = {}
    for line in lines:
        exec(line, {}, scope)
    after = Config(before.to_dict())
    after.merge_from_dict({"model": scope.pop("model"), **scope} if "model" in scope else scope)
    return after


def test_images_are_described_as_the_model_sees_them(tmp_path: Path) -> None:
    pixels = ramp(3, "uint8")
    pixels[0] += 10
    pixels[:, 0, :4] = 0  # four pixels of 128 have no data: 100 .. 103
    write(tmp_path, pixels, nodata=0)
    check = check_config(config(tmp_path), 1)
    assert (
        not check.problems
        and not check.proposals
        and not check.notes.keys() - {"train: potsdam has no pixel of a class"}
    )
    found = check.tallies[0].images_seen.statistics
    assert found.count == 124
    assert found.mean.tolist() == [175.5, 165.5, 165.5]  # of 104 .. 227
    assert found.std.tolist() == pytest.approx([np.sqrt((124**2 - 1) / 12)] * 3)
    assert check.tallies[0].pixels.tolist() == [124, 0, 0, 0, 0]  # the others are not trained on
    text = describe(check)
    assert "train: 1 x 3 band(s) of uint8 (red, green, blue), photometric rgb, nodata 0" in text
    assert "red 175.5 +- 35.8 (114..237); green 165.5" in text and "3.12 % of the pixels have no data" in text


@pytest.mark.parametrize(
    ("pixels", "colours", "expected"),
    [
        (ramp(3, "uint16", 12), RGB, ["value_range = (0, 2800)"]),
        (ramp(3, "float32", 1 / 255), RGB, ["value_range = (0, 0.9)"]),
        (ramp(3, "int16", 20, -3000), RGB, ["value_range = (-1000, 1600)"]),
        (ramp(4, "uint16", 12), (*RGB, C.undefined), ["value_range = (0, 2800)"]),
        (ramp(4, "uint16", 12), (C.gray, *[C.undefined] * 3), ["bands = (1, 2, 3, 4)", "value_range = (0, 2800)"]),
        (ramp(3, "uint8"), (C.gray, C.undefined, C.undefined), ["bands = (1, 2, 3)"]),
    ],
)
def test_what_training_refuses_is_a_problem_and_the_proposal_mends_it(
    tmp_path: Path, pixels: np.ndarray, colours: Any, expected: list[str]
) -> None:
    write(tmp_path, pixels, colours)
    before = config(tmp_path)
    check = check_config(before, 1)
    (text,) = check.problems["train: image cannot be read"]
    assert "0.tif" in text
    (lines,) = check.proposals.values()
    assert [line.partition("  #")[0] for line in lines[:-1]] == expected
    assert "proposal for a config of potsdam" in describe(check)
    after = with_proposal(before, check)
    if len(pixels) == 4 and "bands = (1, 2, 3, 4)" in expected:
        assert 'type="MultibandPreprocessor"' in lines[-1] and "backbone=dict(in_channels=4)" in lines[-1]
    share_pixels(after._cfg_dict)
    again = check_config(after, 1)
    assert not again.problems and not again.proposals
    found, normalise = again.tallies[0].images_seen.statistics, after.model.data_preprocessor
    assert found.mean.tolist() == pytest.approx(normalise["mean"], abs=0.01)
    assert found.std.tolist() == pytest.approx(normalise["std"], abs=0.01)


def test_a_preprocessor_that_is_far_from_the_images_is_noted(tmp_path: Path) -> None:
    write(tmp_path, ramp(3, "uint8"))
    far = dict(MODEL, data_preprocessor=dict(type="SegDataPreProcessor", mean=[0.5] * 3, std=[0.2] * 3))
    check = check_config(config(tmp_path, model=far), 1)
    assert not check.problems
    (text,) = check.notes["data_preprocessor is far from the images"]
    assert "mean [163.5, 163.5, 163.5]" in text and "[0.5, 0.5, 0.5]" in text
    ((line,),) = check.proposals.values()
    assert line.startswith("model = dict(data_preprocessor=dict(mean=[163.5, 163.5, 163.5], std=[36.9")


@pytest.mark.parametrize(
    ("pixels", "colours", "reason"),
    [
        (ramp(3, "uint16", 12), RGB, "holds uint16, not 8 bits"),
        (ramp(3, "float32"), RGB, "holds float32, not 8 bits"),  # OpenCV fails, and so does training
        (np.stack([ramp(1, "uint8")[0] + i for i in range(3)]), RGB[::-1], "OpenCV gives other pixels"),
        (ramp(4, "uint8") + np.arange(4, dtype="uint8")[:, None, None], (*RGB, C.alpha), "OpenCV gives other pixels"),
        (ramp(2, "uint8"), (C.gray, C.undefined), "does not say which of its bands"),
        (ramp(5, "uint8"), (C.gray, *[C.undefined] * 4), "does not say which of its bands"),
    ],
)
def test_what_opencv_would_garble_is_a_problem_with_its_cure(
    tmp_path: Path, pixels: np.ndarray, colours: Any, reason: str
) -> None:
    write(tmp_path, pixels, colours)
    check = check_config(config(tmp_path, MMSEG), 1)
    (text,) = (text for texts in check.problems.values() for text in texts)
    assert "0.tif" in text and reason in text and "use LoadImage instead of LoadImageFromFile" in text


def test_pixels_without_data_that_opencv_trains_on_are_a_problem(tmp_path: Path) -> None:
    pixels = ramp(3, "uint8")
    pixels[:, 0, :4] = 0
    write(tmp_path, pixels, nodata=0)
    (text,) = check_config(config(tmp_path, MMSEG), 1).problems[
        "train: LoadImageFromFile does not see which pixels are valid"
    ]
    assert "3.12 % of the pixels have no data" in text


def test_heads_bands_and_transforms_that_do_not_fit_are_problems(tmp_path: Path) -> None:
    write(tmp_path, ramp(4, "uint16", 12), (*RGB, C.undefined))
    wrong = dict(MODEL, decode_head=dict(type="FCNHead", num_classes=6))
    pipeline = [*OURS, dict(type="PhotoMetricDistortion")]
    check = check_config(config(tmp_path, pipeline, wrong, bands=(1, 2, 3, 4), value_range=(0, 3000)), 1)
    texts = check.problems["config does not match its data"]
    assert [text.split(",")[0].split(" works")[0] for text in texts] == [
        "model.decode_head.num_classes is 6", "potsdam: images have bands 1", "PhotoMetricDistortion"
    ]  # fmt: skip


def test_labels_are_loaded_as_training_loads_them(tmp_path: Path) -> None:
    write(tmp_path, ramp(3, "uint8"))
    shifted = [OURS[0], dict(type="LoadAnnotations", reduce_zero_label=True)]
    check = check_config(config(tmp_path, shifted), 1)
    (text,) = check.problems["train: label cannot be loaded"]
    assert "0.png" in text
    assert not check_config(config(tmp_path, [OURS[0], dict(type="LoadAnnotations")]), 1).problems


def test_the_deviation_of_large_numbers_keeps_its_digits() -> None:
    """0..127 has the mean 63.5 and the variance (128**2 - 1) / 12 = 1365.25, whatever is added."""
    values = np.arange(128.0) + 1e12
    found = BandStatistics.of(values[:32].reshape(4, 8, 1), None)
    found.add(BandStatistics())
    found.add(BandStatistics.of(values[32:].reshape(8, 12, 1), None))
    assert found.count == 128 and found.mean - 1e12 == pytest.approx([63.5], abs=1e-3)
    assert found.std**2 == pytest.approx([1365.25], abs=1e-2)
