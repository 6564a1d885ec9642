"""Readers of mosaics (VRT, GTI) that raise what GDAL keeps to itself.

GDAL says once that a file of a mosaic cannot be opened.  As long as any mosaic is open, later looks at that file fail
without a word, which rasterio takes for success (seen with rasterio 1.4.4 and GDAL 3.10.3): its pixels are read as 0 or
as no data, by other datasets, too, and also once the file is back.  The checksum of what was read does raise then; it
takes 1.5 ns for a byte.  In an index of tiles (GTI), a tile that cannot be opened is one without data; that is only
heard, once, so that it is remembered.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from rsseg.io.damaged import FAILURES

__all__ = ["MosaicReader", "MosaicView"]

_COARSER = 1.01
"""Times as fine as the pixels that were read may the overview be that is looked at."""
_SOURCES = re.compile(r"<Source(?:Filename|Dataset)\b([^>]*)>([^<]+)<")
_SAID: dict[str, str] = {}
"""Mosaics of which a file could not be opened or read in this process, and what GDAL said of it, which it says once."""


class _Raising:
    """What both readers have, before the class of rasterio."""

    @property
    def mosaic(self) -> Any:
        """The dataset whose files are read."""
        return self

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        with FAILURES.listening() as heard:
            try:
                yield
            finally:
                said = next((text for text in heard if not text.startswith("Checksum")), None)
                if said is not None and self.mosaic.driver in ("VRT", "GTI"):
                    _SAID[self.mosaic.name] = said

    def read(self, indexes: Any = None, out: Any = None, window: Any = None, *args: Any, **options: Any) -> Any:
        """As rasterio does.

        Raises:
            RasterioIOError: A file of the mosaic cannot be read, or a tile of the index could not be opened before.
        """
        driver, name = self.mosaic.driver, self.mosaic.name
        try:
            with self._remembering():
                numbers = super().read(indexes, out, window, *args, **options)  # type: ignore[misc]
                if driver == "VRT":
                    self._check(indexes, window, numbers.shape[-2:])
        except (RasterioError, CPLE_BaseError):
            said = _missing_file(name) or _SAID.get(name)
            if driver == "VRT" and said:
                raise RasterioIOError(said) from None
            raise
        if name in _SAID and driver == "GTI":
            raise RasterioIOError(f"{_SAID[name]}; start again once it can be read")
        return numbers

    def _check(self: Any, indexes: Any, window: Any, shape: tuple[int, int]) -> None:
        """Read again what was read, from the overview that fits where it was made smaller."""
        rows, columns = ((0, self.height), (0, self.width)) if window is None else _slices(window)
        smaller = min((rows[1] - rows[0]) / shape[0], (columns[1] - columns[0]) / shape[1])
        with self._overview(smaller) as source:
            down, across = source.height / self.height, source.width / self.width
            x1, y1 = max(0, math.floor(columns[0] * across)), max(0, math.floor(rows[0] * down))
            x2 = min(source.width, math.ceil(columns[1] * across))
            y2 = min(source.height, math.ceil(rows[1] * down))
            for band in self.indexes if indexes is None else np.atleast_1d(indexes).tolist():
                source.checksum(band, window=Window(x1, y1, x2 - x1, y2 - y1))

    @contextmanager
    def _overview(self, smaller: float) -> Iterator[Any]:
        yield self


def _slices(window: Any) -> Any:
    """Rows and columns, first and after the last."""
    return window.toranges() if isinstance(window, Window) else window


def _missing_file(mosaic: str) -> str | None:
    """The first file that a VRT names and that is not there, if it says so plainly."""
    if not os.path.isfile(mosaic):
        return None
    for about, name in _SOURCES.findall(Path(mosaic).read_text(errors="replace")):
        file = os.path.join(os.path.dirname(mosaic) if 'relativeToVRT="1"' in about else "", unescape(name.strip()))
        if ":" not in file and not file.startswith("/vsi") and not os.path.exists(file):
            return f"{file}: {os.strerror(errno.ENOENT)}"
    return None


class MosaicReader(_Raising, DatasetReader):
    """A dataset of rasterio of any format."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(path, **options)
        self._opened = path, options

    def overviews(self, bidx: int) -> Any:
        """As rasterio does."""
        with self._remembering():
            return super().overviews(bidx)

    @contextmanager
    def _overview(self, smaller: float) -> Iterator[Any]:
        path, options = self._opened
        fitting = {} if "overview_level" in options else {
            factor: level for level, factor in enumerate(self.overviews(1)) if factor <= smaller * _COARSER
        }  # fmt: skip
        if not fitting:
            yield self
            return
        with DatasetReader(path, **options, overview_level=fitting[max(fitting)]) as coarser:
            yield coarser


class MosaicView(_Raising, WarpedVRT):
    """A warped view of any dataset."""

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__(source, **options)
        self._source = source

    @property
    def mosaic(self) -> Any:
        """The dataset that is shown."""
        return self._source
