"""What a map says at a position, and how much of each class a view holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import geometry_mask
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.areas import ClassAreas, dataset_class_areas
from rsseg.serving.facts import Facts, naming
from rsseg.serving.layers import Layer
from rsseg.serving.places import Place
from rsseg.serving.readers import Readers

__all__ = ["measure_view", "parts_of_view", "read_point"]

_EXACT = 1 << 24
"""Pixels up to which a view is counted at full resolution."""
_EDGE_POINTS = 65
Bounds = tuple[float, float, float, float]


def read_point(readers: Readers, layer: Layer, facts: Facts, lon: float, lat: float) -> dict[str, Any]:
    """What a map or an image has at a position in degrees.

    Returns:
        ``pixel`` (column, row) or None beyond the raster, ``coordinates`` (x, y) in ``crs`` or None where it has none;
        of a map ``class`` (an id or None) and ``probability`` (0..1 or None), of an image ``values`` of all bands.

    Raises:
        DataError: The file is damaged.
        LookupError: It is gone.
    """
    column, row = facts.place.pixels_at(lon, lat)
    found: dict[str, Any] = dict(pixel=None, coordinates=None, crs=None, probability=None, values=None)
    found["class"] = None
    if not (math.isfinite(column) and math.isfinite(row)):
        return found
    if facts.place.own:
        x, y = facts.place.georeference.coordinates(column, row)
        found |= dict(coordinates=(float(x[0]), float(y[0])), crs=crs_name(facts.place))
    height, width = facts.size
    if not (0 <= column < width and 0 <= row < height):
        return found
    pixel = int(column), int(row)
    found["pixel"] = pixel
    window = Window(*pixel, 1, 1)
    with naming(layer), readers.borrow(layer.path) as opened:
        file = opened()
        if layer.kind == "image":
            values = file.read(window=window)[:, 0, 0].tolist()
            found["values"] = [value if math.isfinite(value) else None for value in values]
            return found
        label, valid = int(file.read(1, window=window)[0, 0]), bool(file.dataset_mask(window=window)[0, 0])
        if valid and label < len(facts.classes):
            found["class"] = label
            if layer.probabilities is not None:
                found["probability"] = _probability(opened(None, layer.probabilities), label, window, facts)
    return found


def _probability(file: Any, label: int, window: Window, facts: Facts) -> float | None:
    """Of a class at a pixel, from a raster of the most probable class's or of all; None where it does not fit."""
    if file.shape != facts.size or file.count not in (1, len(facts.classes)):
        return None
    band = 1 if file.count == 1 else label + 1
    value = float(file.read(band, window=window)[0, 0])
    if value == file.nodata or not math.isfinite(value):
        return None
    return min(max(value * file.scales[band - 1] + file.offsets[band - 1], 0.0), 1.0)


def crs_name(place: Place) -> str | None:
    """Code or name of the CRS of a raster; None where it has none of its own."""
    if not place.own:
        return None
    found = place.crs.to_authority(confidence_threshold=100)
    return ":".join(found) if found else place.crs.to_wkt().split('"')[1]


def parts_of_view(place: Place, view: Bounds) -> list[Bounds]:
    """Where a view in degrees meets a raster, in the longitudes that the raster's bounds have.

    Args:
        place: Of the raster.
        view: West, south, east, north; an east smaller than the west lies beyond the antimeridian.
    """
    west, south, east, north = view
    east += 360 if east < west else 0
    low, bottom, high, top = place.bounds
    parts = []
    for turn in range(-3, 4):
        left, right = max(west + 360 * turn, low), min(east + 360 * turn, high)
        if left < right and max(south, bottom) < min(north, top):
            parts.append((left, max(south, bottom), right, min(north, top)))
    return _apart(parts)


def _apart(parts: list[Bounds]) -> list[Bounds]:
    """Parts of which none is counted twice, for views wider than the world."""
    widest = sorted(parts, key=lambda part: part[0] - part[2])
    kept: list[Bounds] = []
    for part in widest:
        if not any(part[0] < other[2] and other[0] < part[2] for other in kept):
            kept.append(part)
    return kept


def _outlines(place: Place, parts: list[Bounds]) -> Iterator[Any]:
    """Rectangles in Web Mercator, or degrees, as polygons in pixels."""
    along = np.linspace(0, 1, _EDGE_POINTS)[:-1]
    for west, south, east, north in parts:
        lon = np.concatenate([west + (east - west) * along, np.full(64, east), east - (east - west) * along,
                              np.full(64, west)])  # fmt: skip
        lat = np.concatenate([np.full(64, north), north - (north - south) * along, np.full(64, south),
                              south + (north - south) * along])  # fmt: skip
        yield place.degrees_to_pixels(np.array([shapely.Polygon(np.column_stack([lon, lat]))]))[0]


def measure_view(readers: Readers, layer: Layer, facts: Facts, view: Bounds) -> tuple[ClassAreas, int]:
    """How much of each class of a map a view in degrees holds, by the centres of pixels.

    Returns:
        The areas, and the factor of the overview from which they are estimated, 1 where all pixels were counted; pixels
        are those of full resolution, rounded.

    Raises:
        DataError: The file is damaged, or the view holds too much of a raster without overviews.
        LookupError: It is gone.
    """
    outlines = [shape for shape in _outlines(facts.place, parts_of_view(facts.place, view)) if shape.is_valid]
    level = next((level for level in _levels(facts) if _pixels(outlines, facts, level) <= _EXACT), None)
    if level is None:
        raise DataError(f"{layer.name}: the view holds more pixels than can be counted at once, and the file has no "
                        "overviews; zoom in, or add them: gdaladdo")  # fmt: skip
    total: ClassAreas | None = None
    with naming(layer), readers.borrow(layer.path) as opened:
        file = opened(level if level >= 0 else None)
        across, down = facts.size[1] / file.width, facts.size[0] / file.height
        georeference = facts.own.scaled(file.shape)
        for shape in outlines:
            small = shapely.transform(shape, lambda points: points / (across, down))
            window = _window(small.bounds, file.shape)
            if window is None:
                continue

            def inside(part: Window, small: Any = small) -> NDArray[np.bool_]:
                size, corner = (part.height, part.width), Affine.translation(part.col_off, part.row_off)
                found: NDArray[np.bool_] = geometry_mask([small], size, corner, invert=True)
                return found

            total = _sum(total, dataset_class_areas(file, georeference, len(facts.classes), window, inside))
    if total is None:
        count = len(facts.classes)
        metres = None if facts.own.no_metres else np.zeros(count)
        total = ClassAreas(np.zeros(count, np.int64), metres, facts.own.area_method, 0)
    if level < 0:
        return total, 1
    pixels = np.rint(total.pixels * across * down).astype(np.int64)
    return ClassAreas(pixels, total.metres, total.method, round(total.unmapped * across * down)), facts.factors[level]


def _levels(facts: Facts) -> list[int]:
    """Full resolution (-1), then overviews, finest first."""
    return [-1, *sorted(range(len(facts.factors)), key=lambda level: facts.factors[level])]


def _pixels(outlines: list[Any], facts: Facts, level: int) -> float:
    factor = 1 if level < 0 else facts.factors[level]
    height, width = facts.size
    boxes = [shapely.box(0, 0, width, height).intersection(shapely.box(*shape.bounds)).area for shape in outlines]
    return sum(boxes) / factor**2


def _window(bounds: Bounds, size: tuple[int, int]) -> Window | None:
    x1, y1 = max(0, math.floor(bounds[0])), max(0, math.floor(bounds[1]))
    x2, y2 = min(size[1], math.ceil(bounds[2])), min(size[0], math.ceil(bounds[3]))
    return Window(x1, y1, x2 - x1, y2 - y1) if x1 < x2 and y1 < y2 else None


def _sum(one: ClassAreas | None, other: ClassAreas) -> ClassAreas:
    if one is None:
        return other
    metres = None if one.metres is None or other.metres is None else one.metres + other.metres
    return ClassAreas(one.pixels + other.pixels, metres, one.method, one.unmapped + other.unmapped)
