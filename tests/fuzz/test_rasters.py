"""Headers and pixels of TIFF, PNG, JPEG and BMP."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.io import MemoryFile

from rsseg.io.bands import PixelSpec
from rsseg.io.description import describe_raster
from rsseg.io.georeference import GeoReference
from rsseg.io.labels import read_labels
from rsseg.io.rasters import Raster, image_size, open_dataset, read_image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


def _picture(pixels: np.ndarray, kind: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def _tiff(**options: Any) -> bytes:
    profile = dict(driver="GTiff", width=8, height=6, count=3, dtype="uint8", crs="EPSG:32633") | options
    profile["transform"] = rasterio.Affine(1, 0, 5e5, 0, -1, 5e6)
    with MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(np.broadcast_to(GREY, (profile["count"], 6, 8)).astype(profile["dtype"]))
            file.update_tags(a="b")
        return bytes(memory.getbuffer())


SEEDS: dict[str, list[Callable[[], bytes]]] = {
    "tiff": [
        _tiff, lambda: _tiff(compress="deflate", count=1, dtype="float32", nodata=0), lambda: _tiff(BIGTIFF="YES"),
        lambda: _tiff(tiled=True, blockxsize=16, blockysize=16, compress="lzw"), lambda: _tiff(ENDIANNESS="BIG"),
        lambda: _tiff(compress="jpeg", photometric="YCbCr"),
    ],
    "png": [
        lambda: _picture(RGB, "PNG"), lambda: _picture(GREY, "PNG", "P"), lambda: _picture(GREY, "PNG", "1"),
        lambda: _picture(GREY.astype(np.uint16), "PNG"), lambda: _picture(GREY, "PNG", transparency=3),
    ],
    "jpeg": [lambda: _picture(RGB, "JPEG"), lambda: _picture(GREY, "JPEG", progressive=True)],
    "bmp": [lambda: _picture(RGB, "BMP"), lambda: _picture(GREY, "BMP", "P")],
}  # fmt: skip


def _place(path: Path) -> None:
    with open_dataset(path) as file:
        GeoReference.of(file)


def _window(path: Path) -> None:
    with Raster(path, PixelSpec(value_range="raw")) as raster:
        raster.read(0, 0, min(raster.size[1], 4), min(raster.size[0], 4))


READS = [describe_raster, image_size, read_labels, _window, _place, lambda path: read_image(path, PixelSpec())]


@pytest.mark.parametrize("kind", SEEDS)
def test_rasters(fuzzer: Any, byte_changes: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSSEG_MAX_PIXELS", "4000000")
    fuzzer.run([make() for make in SEEDS[kind]], READS, f".{kind}", byte_changes, refused=True)
