"""One rule for files that state an orientation (EXIF, TIFF tag 274): pixels are as they are stored, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion.tile_source import TileSource
from rsseg.datasets.detection import image as detection
from rsseg.errors import DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.labels import read_labels
from rsseg.io.rasters import Raster, image_size, read_image
from rsseg.io.rgb import convert_to_rgb

PIXELS = np.zeros((16, 48, 3), np.uint8)
PIXELS[:8, :16], PIXELS[8:, 32:] = (200, 40, 40), (40, 200, 40)  # not the same in any orientation
TURNS = range(1, 9)


def save(path: Path, orientation: int, pixels: np.ndarray = PIXELS, mode: str | None = None, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stated: dict[str, Any] = {"tiffinfo": {0x0112: orientation}} if path.suffix == ".tif" else {"exif": exif}
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **stated, **options)
    return path


def _load_image(path: Path) -> np.ndarray:
    from rsseg.datasets.loading import LoadImage

    return LoadImage()({"img_path": str(path)})["img"][..., ::-1]


def _map(path: Path) -> np.ndarray:
    from rsseg.mapping.source import RasterSource

    source = RasterSource(str(path))
    try:
        return source.read(0, 0, *source.size[::-1])[0].transpose(1, 2, 0)[..., ::-1]
    finally:
        source.close()


def _tiles(path: Path) -> np.ndarray:
    source = TileSource(path, PixelSpec())
    try:
        assert source.size == PIXELS.shape[:2]
        return source.read(0, PIXELS.shape[0])
    finally:
        source.close()


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "reader": lambda path: read_image(path)[0],
    "conversion": detection.read_image,
    "conversion, any image": lambda path: detection.read_image(path, "convert"),
    "pictures to look at": convert_to_rgb,
    "training": _load_image,
    "map": _map,
    "tiles": _tiles,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 100, "subsampling": 0}),
        ("a.tif", {}),
        ("lzw.tif", {"compression": "tiff_lzw"}),
        ("jpeg.tif", {"compression": "jpeg", "quality": 100}),
    ],
)
def test_images(tmp_path: Path, reader: str, name: str, options: dict[str, Any]) -> None:
    for orientation in TURNS:
        path = save(tmp_path / name, orientation, **options)
        found = READERS[reader](path)
        assert image_size(path) == PIXELS.shape[:2] and found.shape == PIXELS.shape, orientation
        np.testing.assert_allclose(found, PIXELS, atol=40 if "jp" in name else 0)  # at edges
        assert abs(found[:6, :14].astype(int) - PIXELS[:6, :14]).max() < 5, orientation


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pictures_too_large_to_be_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("rsseg.io.rasters._WHOLE", 1)
    for orientation in TURNS:
        with Raster(save(tmp_path / name, orientation)) as raster:
            assert not raster.decoded and raster.size == PIXELS.shape[:2]
            assert abs(raster.read()[0][:, :6, :14].astype(int).T - PIXELS[0, 0]).max() < 8


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_colours_that_gdal_turns_in_part(tmp_path: Path, mode: str) -> None:
    assert read_image(save(tmp_path / "upright.tif", 1, mode="CMYK"))[0].shape == PIXELS.shape
    if mode == "LAB":
        from PIL import ImageCms

        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        lab = ImageCms.applyTransform(Image.fromarray(PIXELS), transform)
        assert lab is not None
        lab.save(tmp_path / "turned.tif", tiffinfo={0x0112: 3})
    else:
        save(tmp_path / "turned.tif", 3, mode=mode)
    with pytest.raises(DataError, match=r"turned\.tif: its orientation tag \(3\) says that it is stored turned"):
        read_image(tmp_path / "turned.tif")


@pytest.mark.usefixtures("mmseg_scope")
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize(
    ("reduce", "label_map"), [(False, None), (True, None), (False, {1: 7}), (True, {1: 9, 2: 255})]
)
def test_labels(tmp_path: Path, name: str, reduce: bool, label_map: dict[int, int] | None) -> None:
    from mmseg.registry import TRANSFORMS

    import rsseg.datasets.loading  # noqa: F401

    labels = np.zeros((16, 48), np.uint8)
    labels[:8, :16], labels[8:, 32:], labels[0, 0] = 2, 3, 255
    load = TRANSFORMS.build(dict(type="LoadAnnotations"))

    def loaded(path: Path) -> np.ndarray:
        row = {"seg_map_path": str(path), "reduce_zero_label": reduce, "label_map": label_map, "seg_fields": []}
        return load(row)["gt_seg_map"]

    expected = loaded(save(tmp_path / name, 1, labels))
    for orientation in TURNS:
        path = save(tmp_path / name, orientation, labels)
        np.testing.assert_array_equal(read_labels(path), labels)
        np.testing.assert_array_equal(loaded(path), expected)
