"""What is known of a layer before pixels are asked for: classes, place, zooms, and how values become grey."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rsseg.errors import DataError, UserError
from rsseg.io.bands import PixelSpec, choose_bands, percentile_range
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import Raster
from rsseg.io.sums import sum_of
from rsseg.io.tables import parse_json
from rsseg.serving.layers import Layer, Layers
from rsseg.serving.mosaics import class_header
from rsseg.serving.places import EDGE, Place
from rsseg.serving.readers import Readers, file_state
from rsseg.serving.views import View, fitting_level, source_scale
from rsseg.serving.worker import without_folders

__all__ = ["SIDE", "Facts", "FactsCache", "naming"]

SIDE = 512
"""Pixels of a tile's side."""
BUDGET = 1 << 26
"""Numbers that may be read for one tile; more are only needed where a large raster has no overviews."""
ZOOMS = 24
"""Zooms of tiles, as rio-tiler's grid has them; a pixel of the last one measures 5 mm."""
_KEPT = 512
_SAMPLE, _PATCHES, _WHOLE = 512, 4, 1 << 26


@contextmanager
def naming(layer: Layer) -> Iterator[None]:
    """Name a layer as people know it in errors, which must not tell where files are.

    Raises:
        DataError: A file cannot be read, or not be shown.
    """
    try:
        yield
    except (UserError, OSError) as error:
        text = str(error)
        for path in (layer.path, layer.probabilities, layer.polygons):
            text = text.replace(str(path), layer.name)
        text = text.replace(str(layer.path.parent), "...")
        raise DataError(without_folders(text)) from error


@dataclass(frozen=True)
class Facts:
    """What is known of a map or an image.

    Attributes:
        version: Changes with the file.
        size: (H, W) in pixels.
        place: Where it is shown.
        own: Where it says that it lies.
        factors: Of its overviews.
        dtype: Type of its numbers.
        classes: Names of a map's classes.
        palette: Their RGB.
        settings: How the map was made: lower-case name -> text.
        spec: Which bands of an image are shown, and which values are black and white; None values mean 8 bits.
        display: What was chosen for the display only, in words; "" where the file itself or its map says it.
    """

    version: str
    size: tuple[int, int]
    place: Place
    own: GeoReference
    factors: tuple[int, ...]
    dtype: str
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    settings: Mapping[str, str] | None = None
    spec: PixelSpec = PixelSpec()  # noqa: RUF009, it is frozen
    display: str = ""

    def reading(self, grid: GeoReference) -> tuple[int | None, float]:
        """The overview that fits a grid in Web Mercator, and how many numbers are read for it."""
        scale = source_scale(self.place, grid)
        level = fitting_level(self.factors, scale)
        factor = 1 if level is None else self.factors[level]
        height, width = (side / factor for side in self.size)
        rows, columns = (side * scale / factor for side in grid.size)
        return level, min(rows, height) * min(columns, width) * len(self.spec.bands or (1,))

    @property
    def zooms(self) -> tuple[int, int]:
        """The first zoom at which all tiles can be read within :data:`BUDGET`, and that of the raster's own pixels."""
        west, south, east, north = self.place.bounds
        middle = (south + north) / 2
        tiny = 1e-7
        lon = (west + east) / 2
        here = View(lon - tiny, middle - tiny, lon + tiny, middle + tiny, SIDE, SIDE).grid
        metres = 2 * tiny / 360 * 2 * EDGE / SIDE
        pixel = metres / source_scale(self.place, here)
        finest = math.log2(2 * EDGE / (SIDE * pixel)) if pixel > 0 else 0
        last = min(max(math.ceil(finest - 1e-3), 0), ZOOMS)
        numbers = len(self.spec.bands or (1,)) / max(self.factors, default=1) ** 2
        for first in range(last + 1):
            side = SIDE * 2.0 ** (finest - first)
            if min(side, self.size[0]) * min(side, self.size[1]) * numbers <= BUDGET:
                return first, last
        return last, last


class FactsCache:
    """Facts of the layers of a server, read once for each state of a file; safe among threads.

    Args:
        layers: All layers.
        readers: Where files are read.
    """

    def __init__(self, layers: Layers, readers: Readers) -> None:
        self.layers, self.readers = layers, readers
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Facts] = OrderedDict()

    def of(self, layer: Layer) -> Facts:
        """Facts of a map or an image.

        Raises:
            LookupError: The file is gone, or the layer is a set.
            DataError: It cannot be shown.
        """
        if layer.kind == "set":
            raise LookupError(f"{layer.name} is a converted set, which has no place on the map")
        version = sum_of(f"{layer.path} {file_state(layer.path)}".encode(errors="surrogateescape"))[:12]
        with self._lock:
            facts = self._kept.get(layer.id)
            if facts is not None and facts.version == version:
                self._kept.move_to_end(layer.id)
                return facts
        with naming(layer):
            facts = self._read(layer, version)
        with self._lock:
            self._kept[layer.id] = facts
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return facts

    def _read(self, layer: Layer, version: str) -> Facts:
        with self.readers.borrow(layer.path) as opened:
            file = opened()
            common: dict[str, Any] = dict(
                version=version, size=file.shape, place=Place.of(file), own=GeoReference.of(file),
                factors=tuple(file.overviews(1)), dtype=file.dtypes[0],
            )  # fmt: skip
            if layer.kind == "map":
                header = class_header(layer.path, file)
                return Facts(**common, classes=header.classes, palette=header.palette, settings=header.settings)
            colours, types = tuple(file.colorinterp), file.dtypes
            bits = [int(file.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", 8)) for band in file.indexes]
        bands, range_, display = self._of_map(layer, len(colours))
        if bands is None:
            bands, note = _bands(colours, str(layer.path))
            display += note
        common["dtype"] = types[bands[0] - 1]
        if range_ is None and any(types[band - 1] != "uint8" for band in bands):
            range_, note = _stretch(layer, bands)
            display += note
        elif range_ is None and (fewest := min(bits[band - 1] for band in bands)) < 8:
            range_ = 0.0, 2.0**fewest - 1
            display += f"For the display only, white is {2**fewest - 1}, the largest number of {fewest} bits. "
        return Facts(**common, spec=PixelSpec(bands, range_), display=display.strip())

    def _of_map(
        self, layer: Layer, count: int
    ) -> tuple[tuple[int, ...] | None, tuple[float, float] | None, str]:  # fmt: skip
        """Bands and range with which a map was made from an image, where one says so."""
        of_it = next((other for other in self.layers.all() if other.image == layer.id), None)
        if of_it is None:
            return None, None, ""
        settings = self.of(of_it).settings or {}
        found = _numbers(settings.get("bands"))
        bands = tuple(int(band) for band in found[:3] if 1 <= band <= count) if found else ()
        ends = _numbers(settings.get("range"))
        usable = bands if len(bands) == 3 else bands[:1] * 3
        range_ = (ends[0], ends[1]) if ends and len(ends) == 2 and ends[0] < ends[1] else None
        return usable or None, range_, ""


def _numbers(text: str | None) -> list[float] | None:
    try:
        found = parse_json(text or "null")
    except ValueError:
        return None
    ok = isinstance(found, list) and all(isinstance(value, (int, float)) and math.isfinite(value) for value in found)
    return found if ok else None


def _bands(colours: Sequence[Any], where: str) -> tuple[tuple[int, ...], str]:
    """Bands to show as red, green and blue; the first ones, where the file does not say which they are."""
    try:
        return choose_bands(colours, PixelSpec(repeat_grey=True), where), ""
    except DataError:
        data = [number for number, colour in enumerate(colours, start=1) if colour.name not in ("alpha", "palette")]
        if not data:
            raise
        bands = tuple(data[:3]) if len(data) >= 3 else (data[0],) * 3
        shown = ", ".join(map(str, bands))
        return bands, f"The file does not say which bands are red, green and blue; shown are {shown}. "


def _stretch(layer: Layer, bands: tuple[int, ...]) -> tuple[tuple[float, float], str]:
    """Black and white of values of more than 8 bits, from a sample of the raster; for the display only."""
    with Raster(layer.path, PixelSpec(bands, "raw")) as raster:
        parts = [(pixels, valid) for read in _samples(raster) for pixels, valid in [read()]]
    pixels = np.concatenate([part.reshape(len(part), 1, -1) for part, _ in parts], axis=2)
    valid = np.concatenate([
        np.ones(part.shape[1:], bool).ravel() if known is None else known.ravel() for part, known in parts
    ])  # fmt: skip
    low, high = percentile_range(pixels, valid[None])
    if not low < high:
        low, high = low - 0.5, low + 0.5
    note = f"For the display only, values are stretched from {low:.4g} to {high:.4g} (2nd to 98th percentile). "
    return (low, high), note


def _samples(raster: Raster) -> Iterator[Callable[[], Any]]:
    """Readings that together are like the whole raster: it made small, or patches of one without overviews."""
    height, width = raster.size
    if raster.decoded or raster.dataset.overviews(1) or height * width <= _WHOLE:
        yield functools.partial(raster.read, size=(min(height, _SAMPLE), min(width, _SAMPLE)))
        return
    for y in range(_PATCHES):
        for x in range(_PATCHES):
            x1, y1 = width * x // _PATCHES, height * y // _PATCHES
            yield functools.partial(raster.read, x1, y1, min(x1 + _SAMPLE, width), min(y1 + _SAMPLE, height))
