"""What a map says at a position, and how much of each class a view holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import geometry_mask
from rasterio.windows import Window

from rsseg.errors import DataError, UserError
from rsseg.io.areas import ClassAreas, dataset_class_areas
from rsseg.io.listing import has_suffix
from rsseg.serving.facts import Facts, FactsCache, naming
from rsseg.serving.layers import Layer
from rsseg.serving.mosaic_views import boxes_in_view, members_in_view
from rsseg.serving.mosaics import MOSAICS
from rsseg.serving.places import Bounds, Place, parts_of_view
from rsseg.serving.readers import Readers

__all__ = ["measure_view", "read_point"]

_EXACT = 1 << 24
"""Pixels up to which a view is counted at full resolution."""
_EDGE_POINTS = 65
_TINY = 1e-9
"""Degrees around a position."""
_MOST_MAPS, _MOST_PARTS = 20_000, 1000
"""Maps of a mosaic, and groups of them, of which each is counted for itself."""


def read_point(cache: FactsCache, layer: Layer, lon: float, lat: float) -> dict[str, Any]:
    """What a map or an image has at a position in degrees.

    Args:
        cache: What is known of layers, and where they are read.
        layer: The map or the image; of a mosaic, the map that is seen gives the probability.
        lon: In degrees.
        lat: In degrees.

    Returns:
        ``pixel`` (column, row) or None beyond the raster, ``coordinates`` (x, y) in ``crs`` or None where it has none;
        of a map ``class`` (an id or None) and ``probability`` (0..1 or None), of an image ``values`` of all bands.

    Raises:
        DataError: The file is damaged.
        LookupError: It is gone.
    """
    facts = cache.of(layer)
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
    with naming(layer), cache.readers.borrow(layer.path) as opened:
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
    if found["class"] is not None and layer.probabilities is None and layer.has_probabilities:
        found["probability"] = _of_members(cache, layer, label, lon, lat)
    return found


def _of_members(cache: FactsCache, layer: Layer, label: int, lon: float, lat: float) -> float | None:
    """Probability of the class of a mosaic at a position, by the map that is seen, the last that has it there."""
    view = lon - _TINY, lat - _TINY, lon + _TINY, lat + _TINY
    with naming(layer):
        maps = members_in_view(layer, cache.of(layer).place, view)
    for own in reversed(maps):
        there = read_point(cache, own, lon, lat)
        if there["class"] == label:
            return None if there["probability"] is None else float(there["probability"])
    return None


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
    level, between = _finest(outlines, facts), 0.0
    if has_suffix(layer.path, MOSAICS) and (level is None or level.factor > 1):
        parts = _parts_with_maps(layer, facts, view, outlines)
        closer = None if parts is None else _finest(parts, facts)
        if parts is not None and closer is not None and (level is None or closer.factor < level.factor):
            between = _area(outlines, facts) - _area(parts, facts)
            outlines, level = parts, closer
    if level is None:
        raise DataError(f"{layer.name}: the view holds more pixels than can be counted at once, and the file has no "
                        "overviews; zoom in, or add them: gdaladdo")  # fmt: skip
    return _count(readers, layer, facts, outlines, level, between), level.factor


class _Level(NamedTuple):
    """Full resolution, with the number None, or an overview."""

    factor: int
    number: int | None


def _finest(outlines: Sequence[Any], facts: Facts) -> _Level | None:
    """The finest level of a raster whose pixels in some outlines may be counted."""
    levels = [_Level(1, None), *sorted(_Level(factor, number) for number, factor in enumerate(facts.factors))]
    height, width = facts.size
    boxes = [shapely.box(0, 0, width, height).intersection(shapely.box(*shape.bounds)).area for shape in outlines]
    return next((level for level in levels if sum(boxes) / level.factor**2 <= _EXACT), None)


def _parts_with_maps(layer: Layer, facts: Facts, view: Bounds, outlines: Sequence[Any]) -> list[Any] | None:
    """Where outlines meet maps of a mosaic, in its pixels; None where it does not say, or there are too many."""
    try:
        found = [boxes_in_view(layer.path, facts.place, part) for part in parts_of_view(facts.place, view)]
    except (UserError, OSError):  # one that is named itself may lead to addresses
        return None
    known = [boxes for boxes in found if boxes is not None]
    if len(known) < len(found) or sum(map(len, known)) > _MOST_MAPS:
        return None
    covered = shapely.union_all(shapely.box(*np.concatenate([np.empty((0, 4)), *known]).T))
    parts = [part for shape in outlines for part in shapely.get_parts(shape.intersection(covered)) if part.area]
    return parts if len(parts) <= _MOST_PARTS else None


def _area(outlines: Sequence[Any], facts: Facts) -> float:
    height, width = facts.size
    return float(sum(shapely.box(0, 0, width, height).intersection(shape).area for shape in outlines))


def _count(
    readers: Readers, layer: Layer, facts: Facts, outlines: Sequence[Any], level: _Level, between: float
) -> ClassAreas:
    """Areas of the classes of a map in outlines in its pixels; ``between`` them lie so many pixels of no class."""
    total: ClassAreas | None = None
    with naming(layer), readers.borrow(layer.path) as opened:
        file = opened(level.number)
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
    pixels = np.rint(total.pixels * across * down).astype(np.int64)
    return replace(total, pixels=pixels, unmapped=round(total.unmapped * across * down + between))


def _window(bounds: Bounds, size: tuple[int, int]) -> Window | None:
    x1, y1 = max(0, math.floor(bounds[0])), max(0, math.floor(bounds[1]))
    x2, y2 = min(size[1], math.ceil(bounds[2])), min(size[0], math.ceil(bounds[3]))
    return Window(x1, y1, x2 - x1, y2 - y1) if x1 < x2 and y1 < y2 else None


def _sum(one: ClassAreas | None, other: ClassAreas) -> ClassAreas:
    if one is None:
        return other
    metres = None if one.metres is None or other.metres is None else one.metres + other.metres
    return ClassAreas(one.pixels + other.pixels, metres, one.method, one.unmapped + other.unmapped)
