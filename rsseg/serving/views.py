"""What is seen of rasters in a view: pictures in Web Mercator."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from rsseg.errors import DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.georeference import SPHEROID, GeoReference
from rsseg.io.rasters import Pixels, Raster, lacks_mask, open_dataset
from rsseg.serving.places import EDGE, LATITUDE, MERCATOR, Place, affine_of, apply_affine, move_points, to_mercator

__all__ = ["View", "fitting_level", "overview_level", "read_view", "source_scale", "warped"]

_SIDE = 1 << 13
_COARSER = 1.01
"""Times as fine as the pixels of the view may the overview be that is read."""
Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A picture in Web Mercator, as the page shows it.

    Attributes:
        west: Longitude in degrees; beyond ±180 where the view crosses the antimeridian.
        south: Latitude in degrees.
        east: Longitude in degrees; one smaller than ``west`` lies beyond the antimeridian.
        north: Latitude in degrees.
        width: Pixels.
        height: Pixels.

    Raises:
        DataError: A number is not finite or not allowed.
    """

    west: float
    south: float
    east: float
    north: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.east < self.west:
            object.__setattr__(self, "east", self.east + 360)
        numbers = self.west, self.south, self.east, self.north
        if not all(math.isfinite(number) for number in numbers) or not (
            -540 <= self.west < self.east <= 900 and self.east - self.west <= 720
        ):
            raise DataError(f"view: west {self.west}, east {self.east}; expected degrees from -540 to 540, west first")
        if not -LATITUDE - 1e-6 <= self.south < self.north <= LATITUDE + 1e-6:
            raise DataError(
                f"view: south {self.south}, north {self.north}; expected degrees within ±{LATITUDE:.4f}, south first"
            )
        if not (1 <= self.width <= _SIDE and 1 <= self.height <= _SIDE):
            raise DataError(f"view: {self.width} x {self.height} pixels; expected 1 to {_SIDE} of each")

    @functools.cached_property
    def grid(self) -> GeoReference:
        """The pixels of the view."""
        (west, east), (south, north) = to_mercator([self.west, self.east], [self.south, self.north])
        across, down = (east - west) / self.width, (north - south) / self.height
        return GeoReference((self.height, self.width), MERCATOR, Affine(across, 0, west, 0, -down, north))

    def positions(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Columns and rows (K,) in the view of longitudes and latitudes (K,), of the nearest copy of the world."""
        middle = (self.west + self.east) / 2
        return apply_affine(~affine_of(self.grid), *to_mercator((lon - middle + 180) % 360 - 180 + middle, lat))

    def pixels_to_degrees(self, shapes: Shapes) -> Shapes:
        """Shapely geometries (N,) in pixels of the view (column, row) as degrees."""

        def degrees(columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
            x, y = self.grid.coordinates(columns, rows)
            return x / EDGE * 180, np.degrees(np.arctan(np.sinh(y / SPHEROID[0])))

        return move_points(shapes, degrees)


def overview_level(factors: Sequence[int], place: Place, grid: GeoReference) -> int | None:
    """The coarsest overview whose pixels are no larger than those of a grid; None for the raster itself.

    GDAL warps from the full resolution, unless it is told.

    Args:
        factors: Of the raster's overviews, as ``dataset.overviews(1)`` gives them.
        place: Of the raster.
        grid: In Web Mercator.
    """
    return fitting_level(factors, source_scale(place, grid)) if factors else None


def fitting_level(factors: Sequence[int], scale: float) -> int | None:
    """As :func:`overview_level`, for a grid whose pixels are ``scale`` times as large as those of the raster."""
    fitting = [level for level, factor in enumerate(factors) if factor <= scale * _COARSER]
    return max(fitting, key=lambda level: factors[level], default=None)


def source_scale(place: Place, grid: GeoReference) -> float:
    """Pixels of a raster on the shorter side of a pixel of a grid in Web Mercator, in the middle of what both cover."""
    west, south, east, north = place.bounds
    (x1, x2), (y1, y2) = to_mercator([west, east], [south, north])
    affine, (height, width) = affine_of(grid), grid.size
    left, top = affine.c, affine.f
    right, bottom = left + affine.a * width, top + affine.e * height
    turn = 2 * EDGE * round(((left + right) / 2 - (x1 + x2) / 2) / (2 * EDGE))  # the copy of the world that is seen
    column = ((max(left, x1 + turn) + min(right, x2 + turn)) / 2 - left) / affine.a
    row = ((max(bottom, y1) + min(top, y2)) / 2 - top) / affine.e
    ends = np.array([(column - 0.5, row), (column + 0.5, row), (column, row - 0.5), (column, row + 0.5)])
    columns, rows = grid.pixels_in(place.georeference, *ends.T)
    steps = np.hypot(columns[1::2] - columns[::2], rows[1::2] - rows[::2])
    return float(steps.min()) if np.isfinite(steps).all() else 1.0


def warped(dataset: Any, place: Place, grid: GeoReference, resampling: Resampling = Resampling.nearest) -> WarpedVRT:
    """The pixels of an open dataset, or of one of its overviews, on a grid.

    Args:
        dataset: The raster, or an overview of it.
        place: Of the raster.
        grid: In Web Mercator.
        resampling: How pixels are made of others.
    """
    source = _from_its_middle(place.georeference.scaled(dataset.shape))
    return grid.view(dataset, resampling, add_alpha=lacks_mask(dataset), source=source)


def _from_its_middle(source: GeoReference) -> GeoReference:
    """Where a raster with longitudes beyond ±180° lies, by a meridian through its middle: GDAL's end at ±180°."""
    if source.crs is None or not source.crs.is_geographic:
        return source
    height, width = source.size
    x, _ = source.coordinates(np.array([0, 0, width, width, width / 2]), np.array([0, height, 0, height, height / 2]))
    if np.abs(x).max() <= math.pi / source.crs.units_factor[1] * (1 + 1e-9):
        return source
    a, b, c, d, e, f = affine_of(source)[:6]
    crs = _with_meridian(source.crs.to_wkt(version="WKT1_GDAL"), float(x[-1]))
    return GeoReference(source.size, crs, Affine(a, b, c - x[-1], d, e, f))


@functools.lru_cache(maxsize=64)
def _with_meridian(wkt: str, longitude: float) -> CRS:
    """A geographic CRS whose longitudes are counted from one of them."""
    whole = re.sub(r',AUTHORITY\["[^"]*","[^"]*"\]', "", wkt)
    old = re.search(r'PRIMEM\["[^"]*",([^,\]]+)\]', whole)
    assert old is not None
    return CRS.from_wkt(whole.replace(old[0], f'PRIMEM["middle",{float(old[1]) + longitude!r}]'))


def read_view(
    path: str | Path,
    view: View | GeoReference,
    spec: PixelSpec = PixelSpec(repeat_grey=True),  # noqa: B008
) -> tuple[Pixels, NDArray[np.bool_]]:
    """What is seen of a raster in a view, from the overview that fits.

    Args:
        path: A picture, or anything that GDAL opens.
        view: The view, or a grid in Web Mercator.
        spec: What is declared about its pixels.

    Returns:
        (H, W, C), numbers and order as :meth:`rsseg.io.rasters.Raster.read` gives them (uint8 RGB for images of 8
        bits); and (H, W), which are False beyond the raster and where it has no data.

    Raises:
        OSError: The file cannot be read.
        DataError: Its bands or the meaning of its numbers are not known.
    """
    grid = view.grid if isinstance(view, View) else view

    def seen(dataset: Any) -> WarpedVRT:
        place = Place.of(dataset)
        level = overview_level(dataset.overviews(1), place, grid)
        source = dataset if level is None else open_dataset(path, level)
        finer = source_scale(place, grid) > _COARSER
        return warped(source, place, grid, Resampling.average if finer else Resampling.bilinear)

    with Raster(path, spec, seen) as raster:
        pixels, valid = raster.read()
    known = np.ones(grid.size, bool) if valid is None else valid
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1)), known
