"""The grid on which two maps are compared, and both maps on it, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference
from rsseg.mapping.change.classes import CommonClasses
from rsseg.mapping.reference import ReferenceLabels, whole_shift
from rsseg.metainfo import IGNORE

__all__ = ["CommonGround", "LabelsOnGrid", "common_ground", "most_frequent", "windows_of"]


_SIDE = 1024  # pixels of a window
_SAMPLES, _MOST = 2048, 64  # samples along a window, and along a pixel
_FINE = 4  # samples along a pixel at least
_LABELS = 4096  # pixels of the finer map along a window
_SAME_SIZE = 1.02  # ratio of ground areas of pixels up to which two maps count as equally fine
_POINTS = 33  # along each edge of a map's outline in another CRS
_NOTHING = 1e-6  # share of the smaller map
_EDGE, _BACK = 1e-3, 1e-3  # pixels; share of a map's side

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class CommonGround:
    """Where two maps are compared.

    Attributes:
        side: The map whose pixels are compared, 0 for the first.
        window: The part of that map that holds the common ground.
        grid: Where that part lies.
        outlines: Outline of each map in pixels of the other one, None where the CRSs do not reach.
    """

    side: int
    window: Window
    grid: GeoReference
    outlines: tuple[shapely.Polygon | None, shapely.Polygon | None]


def common_ground(places: tuple[GeoReference, GeoReference], paths: tuple[str, str], grid: str) -> CommonGround:
    """Choose the grid of two maps, and find their common ground.

    Args:
        places: Where the maps lie.
        paths: Their files, for errors.
        grid: ``before``, ``after`` or ``coarser``, which takes the first map's where both are equally fine.

    Raises:
        DataError: Nothing relates the two, or they have no ground in common; the message has both extents.
    """
    side = {"before": 0, "after": 1}.get(grid, -1)
    if places[0].same_pixels(places[1]):  # perhaps only one of them says where it lies
        side = max(side, 0) if places[max(side, 0)].has_coordinates else int(places[1].has_coordinates)
        height, width = places[side].size
        whole = shapely.box(0, 0, width, height)
        return CommonGround(side, Window(0, 0, width, height), places[side], (whole, whole))
    try:
        places[0].check_related(places[1])
    except DataError as error:
        raise DataError(f"{paths[1]}: cannot be compared with {paths[0]}: {error}") from error
    side = int(_pixel_area(places[1]) > _SAME_SIZE * _pixel_area(places[0])) if side < 0 else side
    outlines = _outline(places[0], places[1]), _outline(places[1], places[0])
    height, width = places[side].size
    other = outlines[1 - side]
    whole = shapely.box(0, 0, width, height)
    common = whole if other is None else shapely.intersection(other, whole)
    if common.area <= _NOTHING * min(whole.area, whole.area if other is None else other.area):
        texts = [f"{path} covers {_extent(place)}" for path, place in zip(paths, places, strict=True)]
        raise DataError(f"the maps have no ground in common: {'; '.join(texts)}")
    left, top, right, bottom = common.bounds
    x1, y1 = math.floor(left + _EDGE), math.floor(top + _EDGE)
    x2, y2 = max(math.ceil(right - _EDGE), x1 + 1), max(math.ceil(bottom - _EDGE), y1 + 1)
    return CommonGround(side, Window(x1, y1, x2 - x1, y2 - y1), places[side].window(x1, y1, x2 - x1, y2 - y1), outlines)


def _pixel_area(place: GeoReference) -> float:
    """Of a pixel in the middle: square metres, or square units where pixels have no size on the ground."""
    if place.no_metres is None:
        across, down = place.pixel_size
        return across * down
    return abs((place.affine or place.transform).determinant)


def _outline(place: GeoReference, other: GeoReference) -> shapely.Polygon | None:
    """Outline of a map in pixels of another one; None where the CRSs do not reach."""
    count = 2 if place.crs == other.crs else _POINTS
    height, width = place.size
    along, zero, one = np.linspace(0, 1, count)[:-1], np.zeros(count - 1), np.ones(count - 1)
    columns = np.concatenate([along, one, 1 - along, zero]) * width
    rows = np.concatenate([zero, along, one, 1 - along]) * height
    points = np.column_stack(place.pixels_in(other, columns, rows))
    if not np.isfinite(points).all():
        return None
    back = np.abs(np.stack(other.pixels_in(place, *points.T)) - np.stack([columns, rows])).max()
    if not back <= _BACK * max(place.size):  # beyond where the projections are one to one
        return None
    return shapely.make_valid(shapely.Polygon(points))


def _extent(place: GeoReference) -> str:
    height, width = place.size
    x, y = place.coordinates([0, width, width, 0], [0, 0, height, height])
    crs = "no CRS" if place.crs is None else place.crs.to_string()
    code = crs if len(crs) < 40 else crs[:36] + " ..."
    return f"x {x.min():.10g} to {x.max():.10g}, y {y.min():.10g} to {y.max():.10g} ({code})"


def windows_of(width: int, height: int, side: int = _SIDE) -> Iterator[Window]:
    """Windows that cover so many pixels, row by row."""
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield Window(x, y, min(side, width - x), min(side, height - y))


def covered(outline: shapely.Polygon | None, window: Window) -> NDArray[np.bool_]:
    """(h, w): which pixels of a window have their centre within an outline; all where there is no outline."""
    shape = int(window.height), int(window.width)
    if outline is None or outline.covers(shapely.box(*_bounds(window))):
        return np.ones(shape, bool)
    if not outline.area or not outline.intersects(shapely.box(*_bounds(window))):
        return np.zeros(shape, bool)
    place = Affine.translation(window.col_off, window.row_off)
    return np.asarray(rasterize([(outline, 1)], shape, transform=place, dtype="uint8"), bool)


def _bounds(window: Window) -> tuple[float, float, float, float]:
    x, y, width, height = window.flatten()
    return x, y, x + width, y + height


class LabelsOnGrid:
    """Common class ids of one map on a grid; a context manager.

    Where both have the same pixels, or differ by whole ones, they are read as they are.  Otherwise a pixel of the grid
    takes the most frequent class of the ground that it covers (of equally frequent ones the first in the table), and
    none where more than half of that ground has none.  Where a pixel of the grid holds whole pixels of the map, these
    are counted.  Else shares of ground are counted at samples: a regular 4 x 4 in each pixel at least, and as many as
    it covers pixels of the map, up to 64 x 64.  GDAL's own ``mode`` counts each pixel that it touches in full, which
    moves maps by up to a pixel.

    Args:
        path: The map.
        grid: The grid.
        classes: Common classes.
        side: Which of the two maps it is.

    Attributes:
        samples: Samples along a pixel of the grid, 1 where pixels are read as they are.
    """

    def __init__(self, path: str, grid: GeoReference, classes: CommonClasses, side: int) -> None:
        self.path, self._classes, self._side = path, classes, side
        own = GeoReference.of(path)
        ratio = 0.0 if grid.same_pixels(own) or whole_shift(grid, own) is not None else _ratio(grid, own)
        self.samples = _samples(grid, own, ratio)
        fine = _finer(grid, self.samples)
        self.side = max(1, min(_SIDE, _SAMPLES // self.samples, int(_LABELS / max(ratio, 1))))
        self._labels = ReferenceLabels(path, fine, any_type=True)

    def __enter__(self) -> LabelsOnGrid:
        return self

    def __exit__(self, *error: object) -> None:
        self._labels.__exit__(*error)

    def read(self, window: Window) -> Bytes:
        """(h, w) common class ids in a window of the grid, 255 for none.

        Raises:
            OSError: The map is damaged.
            DataError: A value is no class of the map.
        """
        count = self.samples
        values, labelled = self._labels.read(Window(*(round(part * count) for part in window.flatten())))
        ids = self._classes.encode(self._side, values, self.path)
        ids[~labelled] = IGNORE
        return ids if count == 1 else most_frequent(ids, count)


def _ratio(grid: GeoReference, own: GeoReference) -> float:
    """Pixels of a map along a pixel of the grid, in its middle."""
    column, row = grid.size[1] / 2, grid.size[0] / 2
    x, y = grid.pixels_in(own, [column, column + 1, column], [row, row, row + 1])
    steps = math.hypot(x[1] - x[0], y[1] - y[0]), math.hypot(x[2] - x[0], y[2] - y[0])
    return max(steps) if np.isfinite(steps).all() else 1.0


def _samples(grid: GeoReference, own: GeoReference, ratio: float) -> int:
    """Samples along a pixel: each pixel of a map that fits in whole numbers is met equally often."""
    if ratio <= 0.5:  # the map is coarser: the pixel at the centre
        return 1
    whole = math.ceil(ratio - 1e-6)
    if whole <= _MOST and whole_shift(_finer(grid, whole), own) is not None:
        return whole
    return min(whole * -(-_FINE // whole), _MOST)


def _finer(grid: GeoReference, count: int) -> GeoReference:
    """The grid with ``count`` x ``count`` pixels in each of its own."""
    return grid if count == 1 else grid.scaled((grid.size[0] * count, grid.size[1] * count))


def most_frequent(ids: Bytes, count: int) -> Bytes:
    """Of each ``count`` x ``count`` class ids (h * count, w * count) the most frequent one; 255 where most are 255.

    Of equally frequent ones it is the lowest id.
    """
    out = np.full((ids.shape[0] // count, ids.shape[1] // count), IGNORE, np.uint8)
    best = np.zeros(out.shape, np.uint16)
    held = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
    for value in held[held != IGNORE].tolist():
        found = _counts(ids == value, count)
        more = found > best
        out[more], best[more] = value, found[more]
    out[2 * _counts(ids == IGNORE, count) > count**2] = IGNORE
    return out


def _counts(where: NDArray[np.bool_], count: int) -> NDArray[np.uint16]:
    """How many of each ``count`` x ``count`` flags are set."""
    height, width = where.shape
    rows = where.reshape(height // count, count, width).sum(axis=1, dtype=np.uint16)
    return rows.reshape(height // count, width // count, count).sum(axis=2, dtype=np.uint16)
