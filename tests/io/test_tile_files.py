"""Tiles as PNG and as TIFF in blocks: the same pixels, alpha and palettes, whatever the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.errors import ConfigError
from rsseg.io.bands import RAW, PixelSpec
from rsseg.io.labels import open_labels, read_labels
from rsseg.io.rasters import Raster, read_image
from rsseg.io.rgb import read_palette
from rsseg.io.tile_files import encode_image, encode_indices
from rsseg.io.tile_formats import TILE_FORMATS, format_record, tile_suffix


def _both(tmp_path: Path, encode: Any) -> list[Path]:
    paths = [tmp_path / f"tile.{name}" for name in TILE_FORMATS]
    for path in paths:
        path.write_bytes(encode(path.suffix[1:]))
        assert encode(path.suffix[1:]) == path.read_bytes()  # a run that goes on ends with the same bytes
    return paths


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (300, 257), (513, 600)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [(), (2,), (3,), (4,)])
def test_images(tmp_path: Path, size: tuple[int, int], dtype: Any, bands: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (*size, *bands)).astype(dtype)
    if bands in ((2,), (4,)):
        image[..., -1] = np.where(np.arange(size[1]) % 3, image[..., -1], 0)
    spec = PixelSpec((1,) if bands in ((), (2,)) else (1, 2, 3), RAW)
    (pixels, valid), (same, also) = (
        read_image(path, spec) for path in _both(tmp_path, lambda kind: encode_image(image, kind))
    )
    colours = image[..., None] if not bands else image[..., : 1 if bands == (2,) else 3]
    np.testing.assert_array_equal(pixels, colours)
    np.testing.assert_array_equal(same, colours)
    assert pixels.dtype == same.dtype == dtype
    np.testing.assert_array_equal(valid, also)
    if bands in ((2,), (4,)):
        np.testing.assert_array_equal(also, image[..., -1] > 0)


def test_blocks_are_read_one_by_one_and_compressed(tmp_path: Path) -> None:
    image = np.zeros((513, 600, 3), np.uint8)
    _, path = _both(tmp_path, lambda kind: encode_image(image, kind))
    with rasterio.open(path) as file:
        assert set(file.block_shapes) == {(256, 256)} and file.compression.name == "deflate"
        assert [colour.name for colour in file.colorinterp] == ["red", "green", "blue"]
    with Raster(path) as raster:
        assert raster.in_blocks and not raster.decoded
    assert path.stat().st_size < 10_000


@pytest.mark.parametrize("size", [(1, 1), (53, 37), (600, 513)])
def test_labels_keep_values_and_palette(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    values, colours = rng.integers(0, 256, size).astype(np.uint8), rng.integers(0, 256, (256, 3)).astype(np.uint8)
    png, tif = _both(tmp_path, lambda kind: encode_indices(values, colours, kind))
    for path in (png, tif):
        np.testing.assert_array_equal(read_labels(path), values)
        np.testing.assert_array_equal(read_palette(path)[1], colours)
        with Image.open(path) as image:  # as mmseg reads it
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), values)
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colours[values])
    assert open_labels(png) is None and (open_labels(tif) is not None) == (size == (600, 513))


def test_what_has_no_place_in_a_tile_is_refused() -> None:
    for image in (np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4), np.float32), np.zeros((4, 4, 1), np.uint8)):
        for kind in TILE_FORMATS:
            with pytest.raises(ConfigError, match="cannot encode an image of shape"):
                encode_image(image, kind)


def test_names(tmp_path: Path) -> None:
    assert format_record("png") == {} and format_record("tif") == {"tile_format": "tif"}
    with pytest.raises(ConfigError, match="one of png, tif, not 'tiff'"):
        format_record("tiff")
    assert tile_suffix(tmp_path, "a") == ".png" and tile_suffix(tmp_path / "none", "") == ".png"
    (tmp_path / "a.tif").touch()
    assert tile_suffix(tmp_path, "a") == ".tif" and tile_suffix(tmp_path, "b") == ".png"
