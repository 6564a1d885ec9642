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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window, evaluate

from rsseg.io.damaged import FAILURES

__all__ = ["MosaicReader", "MosaicView"]

_FEWER = 2
"""How many times as many pixels there must be as were read, that fewer of them are looked at, too."""
_MOSAICS = ("VRT", "GTI")
"""Drivers of GDAL for them."""
_SOURCES = re.compile(r"<Source(?:Filename|Dataset)\b([^>]*)>([^<]+)<")
_SAID: dict[str, str] = {}
"""Mosaics of which a file could not be opened or read in this process, and what GDAL said of it, which it says once."""
_QUIET: set[str] = set()
"""Those of which something was said, but no error raised: VRTs of indexes of tiles."""


class _Raising:
    """What both readers have, before the class of rasterio."""

    _text: tuple[str, int | None] | None = None
    """By what GDAL opens it, and which of its overviews."""

    @property
    def mosaic(self) -> Any:
        """The dataset whose files are read."""
        return self

    @contextmanager
    def _remembering(self) -> Iterator[list[str]]:
        with FAILURES.listening() as heard:
            try:
                yield heard
            finally:
                said = next((text for text in heard if not text.startswith("Checksum")), None)
                if said is not None and self.mosaic.driver in _MOSAICS:
                    _SAID[self.mosaic.name] = said

    def read(self, indexes: Any = None, out: Any = None, window: Any = None, *args: Any, **options: Any) -> Any:
        """As rasterio does.

        Raises:
            RasterioIOError: A file of the mosaic cannot be read, or a tile of the index could not be opened before.
        """
        driver, name = self.mosaic.driver, self.mosaic.name
        read = partial(super().read, indexes, out, window, *args, **options)  # type: ignore[misc]
        if driver not in _MOSAICS:
            return read()
        try:
            with self._remembering() as heard:
                numbers = read()
                if driver == "VRT":
                    self._check(indexes, window, numbers.shape[-2:])
            if heard and driver == "VRT":
                _QUIET.add(name)
        except (RasterioError, CPLE_BaseError):
            said = _missing_file(name) or _SAID.get(name) if driver == "VRT" else None
            if said:
                raise RasterioIOError(said) from None
            raise
        if name in _SAID and (driver == "GTI" or name in _QUIET):
            raise RasterioIOError(f"{_SAID[name]}; start again once it can be read")
        return numbers

    def _check(self: Any, indexes: Any, window: Any, shape: tuple[int, int]) -> None:
        """Read again what was read, by as many numbers."""
        left, top, width, height = _whole_window(window, self.width, self.height)
        if not (width > 0 and height > 0 and all(shape)):
            return
        bands = self.indexes if indexes is None else np.atleast_1d(indexes).tolist()
        if width * height > _FEWER * shape[0] * shape[1] and self._text is not None:
            self._check_smaller(bands, (left, top, width, height), shape)
            return
        for band in bands:
            self.checksum(band, window=Window(left, top, width, height))

    def _check_smaller(self: Any, bands: Sequence[int], window: Sequence[int], shape: tuple[int, int]) -> None:
        """Let GDAL make it smaller, which then reads overviews of the files where they have some."""
        name, level = self._text
        options = "" if level is None else f'<OpenOptions><OOI key="OVERVIEW_LEVEL">{level}</OOI></OpenOptions>'
        sides = "xOff", "yOff", "xSize", "ySize"
        there, here = (
            " ".join(f'{side}="{number}"' for side, number in zip(sides, box, strict=True))
            for box in (window, (0, 0, shape[1], shape[0]))
        )
        rows = [
            f'<VRTRasterBand dataType="Byte" band="{number}"><SimpleSource><SourceFilename relativeToVRT="0">'
            f"{escape(name)}</SourceFilename>{options}<SourceBand>{band}</SourceBand><SrcRect {there}/>"
            f"<DstRect {here}/></SimpleSource></VRTRasterBand>" for number, band in enumerate(bands, start=1)
        ]  # fmt: skip
        text = f'<VRTDataset rasterXSize="{shape[1]}" rasterYSize="{shape[0]}">{"".join(rows)}</VRTDataset>'
        with DatasetReader(text) as smaller:
            for band in smaller.indexes:
                smaller.checksum(band)


def _whole_window(window: Any, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the pixels of a raster that a window meets."""
    if window is None:
        return 0, 0, width, height
    own = evaluate(window, height, width)
    left, top = max(0, math.floor(own.col_off)), max(0, math.floor(own.row_off))
    right, bottom = math.ceil(own.col_off + own.width), math.ceil(own.row_off + own.height)
    return left, top, min(width, right) - left, min(height, bottom) - top


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
        self._text = path, options.get("overview_level")

    def overviews(self, bidx: int) -> Any:
        """As rasterio does."""
        with self._remembering():
            return super().overviews(bidx)


class MosaicView(_Raising, WarpedVRT):
    """A warped view of any dataset."""

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__(source, **options)
        self._source = source

    @property
    def mosaic(self) -> Any:
        """The dataset that is shown."""
        return self._source
