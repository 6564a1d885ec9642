"""Pixels of a raster that lie in an area, and windows of them."""

from __future__ import annotations

import functools
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from rsseg.errors import DataError

__all__ = ["MaskedSource", "OutsideAreaError", "PixelArea", "log_failure", "polygonal"]

_log = logging.getLogger("rsseg")
_SIDE = 1024
"""Pixels along a side of the squares in which a pixel is looked for."""


class OutsideAreaError(DataError):
    """A raster has no pixel in the area of interest."""


def log_failure(error: Exception) -> None:
    """Say what was wrong with one of several rasters; to lie outside of the area is no failure."""
    _log.log(logging.INFO if isinstance(error, OutsideAreaError) else logging.ERROR, "%s", error)


@dataclass(frozen=True)
class PixelArea:
    """An area on the pixels of a raster: those whose centres are in it.

    Attributes:
        geometry: Polygons in pixels.
        window: (x1, y1, x2, y2) of the pixels that hold it; the last two are exclusive.
    """

    geometry: BaseGeometry
    window: tuple[int, int, int, int]

    def mask(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.bool_]:
        """(y2 - y1, x2 - x1) bool: the pixels of a window that are in it."""
        shape = (y2 - y1, x2 - x1)
        part = polygonal(shapely.clip_by_rect(self._prepared, x1 - 1, y1 - 1, x2 + 1, y2 + 1))
        if part.is_empty:
            return np.zeros(shape, bool)
        if part.area >= (shape[0] + 2) * (shape[1] + 2) - 1e-6:
            return np.ones(shape, bool)
        found = rasterize([part], shape, transform=Affine.translation(x1, y1), dtype="uint8")
        return np.asarray(found, bool)

    @functools.cached_property
    def has_pixels(self) -> bool:
        """Whether the centre of some pixel is in it; shapes narrower than a pixel may hold none."""
        x1, y1, x2, y2 = self.window
        for part in sorted(shapely.get_parts(self.geometry), key=shapely.area, reverse=True):
            left, top, right, bottom = part.bounds
            left, right = max(math.ceil(left - 0.5), x1), min(math.floor(right + 0.5), x2)
            top, bottom = max(math.ceil(top - 0.5), y1), min(math.floor(bottom + 0.5), y2)
            for y in range(top, bottom, _SIDE):
                for x in range(left, right, _SIDE):
                    if self.mask(x, y, min(x + _SIDE, right), min(y + _SIDE, bottom)).any():
                        return True
        return False

    @functools.cached_property
    def _prepared(self) -> BaseGeometry:
        shapely.prepare(self.geometry)
        return self.geometry


class MaskedSource:
    """Windows of a source in an area; what is outside is not valid, and windows outside are not read.

    Args:
        source: Gives the pixels.
        area: On its pixels.
        origin: (row, column) of the source at which windows begin to count.
    """

    def __init__(self, source: Any, area: PixelArea, origin: tuple[int, int]) -> None:
        self.source, self.area, self.origin = source, area, origin

    def read(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """As :meth:`rsseg.mapping.source.RasterSource.read`; without pixels where none is in the area."""
        y, x = self.origin
        mask = self.area.mask(x1 + x, y1 + y, x2 + x, y2 + y)
        if not mask.any():
            return np.empty((0, y2 - y1, x2 - x1), np.uint8), mask
        pixels, valid = self.source.read(x1 + x, y1 + y, x2 + x, y2 + y)
        return pixels, mask if valid is None else mask & valid


def polygonal(shape: BaseGeometry) -> BaseGeometry:
    """The polygons of any shape, as one multi-polygon."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon" and not part.is_empty])
