"""How many pixels of a class map each class has, and how much ground they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened, read_stored

__all__ = ["ClassAreas", "measure_class_areas"]

_ROWS = 256


@dataclass(frozen=True)
class ClassAreas:
    """Pixels and ground of every class.

    Attributes:
        pixels: (C,) int64.
        metres: (C,) float64 square metres, or None where pixels have no size.
        method: How a pixel's area was found, in words.
        unmapped: Pixels of no class.
    """

    pixels: NDArray[np.int64]
    metres: NDArray[np.float64] | None
    method: str
    unmapped: int


def measure_class_areas(path: Path, classes: int) -> ClassAreas:
    """Count the class ids 0..``classes`` - 1 in the first band of a raster, a few rows at a time.

    Raises:
        OSError: The raster cannot be read.
    """
    with opened(path) as file:
        georeference = GeoReference.of(file)
        areas = georeference.row_areas
        pixels, metres, unmapped = np.zeros(classes, np.int64), np.zeros(classes), 0
        for y in range(0, file.height, _ROWS):
            labels = read_stored(file, 1, Window(0, y, file.width, min(_ROWS, file.height - y)))
            counts = np.stack([np.bincount(row, minlength=256)[:classes] for row in labels.astype(np.uint8)])
            unmapped += labels.size - int(counts.sum())
            pixels += counts.sum(axis=0)
            if areas is not None:
                metres += areas[y : y + len(labels)] @ counts
    return ClassAreas(pixels, None if areas is None else metres, georeference.area_method, unmapped)
