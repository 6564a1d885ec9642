"""What libraries raise on files that are damaged, or are not what they seem, as one error that names the file."""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from rsseg.errors import UnreadableFileError, UserError
from rsseg.io.addresses import hide_queries, hide_those_of, shown_name, told_cause

__all__ = ["FAILURES", "reading"]

# GDAL's errors reach Python as several kinds; the others come from headers with absurd sizes, unknown types, broken
# texts and coordinate reference systems, and from Pillow.
_KINDS = (RasterioError, CPLE_BaseError, OSError, ValueError, LookupError, ArithmeticError, MemoryError, EOFError,
          SyntaxError, struct.error, zlib.error)  # fmt: skip


class _Listener(logging.Filter):
    """Hears what GDAL says in the log while a file is read, and raises no error for.

    Args:
        words: What is heard, the text of interest as its group.
        last: Whether it is the last filter, which lets no record pass that was heard or that nobody wants.
    """

    def __init__(self, words: str, last: bool) -> None:
        super().__init__()
        self._words, self._last = re.compile(words, re.DOTALL), last
        self._heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the text where a file is being read."""
        blocks: list[list[str]] = getattr(self._heard, "blocks", [])
        found = self._words.search(record.getMessage()) if blocks else None
        if found is not None:
            blocks[-1].append(found[1])
        return not self._last or (found is None and logging.getLogger("rasterio").isEnabledFor(record.levelno))

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The texts of this thread within the block."""
        for log in _LOGS:
            if log.disabled or log.level == logging.NOTSET:  # as logging.config does to what it does not name
                log.disabled = False
                log.setLevel(_LEVEL)
        if not hasattr(self._heard, "blocks"):
            self._heard.blocks = []
        self._heard.blocks.append([])
        try:
            yield self._heard.blocks[-1]
        finally:
            self._heard.blocks.pop()


class _Censor(logging.Filter):
    """Keeps what gives access to rasters out of what GDAL says by the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and keep it."""
        text = record.getMessage()
        shown = hide_queries(text)
        if shown != text:
            record.msg, record.args = shown, ()
        return True


for _name in ("rasterio._env", "rasterio._err", "pyogrio._env", "pyogrio._err", "pyogrio._io", "pyogrio._vsi"):
    logging.getLogger(_name).addFilter(_Censor())
# libtiff only warns of pixels of JPEG that it cannot decode, and goes on.
_JPEG = _Listener("JPEGLib:(.*)", True)
_HEADERS = r"TIFF\w*Directory|TIFF header|libpng|libjpeg|opj_|JP2"
"""What is said of files of images of which not even the header is whole, by an error of no kind of its own."""
FAILURES = _Listener(rf"""err_no=(?:[34]|1[1-7]|1(?=.*(?:{_HEADERS})))\b, msg=['"](.*)['"]""", False)
"""Hears of files that cannot be opened or read, and of servers that do not give them, whatever GDAL makes of that."""
_LEVEL = logging.DEBUG if "CPL_DEBUG" in os.environ else logging.INFO
"""Of what is heard, or shown to who asks for it: of GDAL's steps only where it is told to name them."""
_LOGS = [logging.getLogger(name) for name in ("rasterio._env", "rasterio._err")]
for _log in _LOGS:
    _log.setLevel(_LEVEL)
    for _listener in (FAILURES, _JPEG):
        _log.addFilter(_listener)


@contextmanager
def reading(path: Path | str, what: str = "cannot be read") -> Iterator[None]:
    """Give all errors of a library that reads a file as one that says which file.

    Only calls of the library belong into the block.

    Args:
        path: The file.
        what: What is said of it, before the library's own words.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It cannot be read, whatever the reason, or is a link to a file that is missing; or pixels
            of JPEG in it are damaged.
    """
    try:
        with _JPEG.listening() as warned:
            yield
    except UserError:
        raise
    except _KINDS as error:
        if isinstance(error, FileNotFoundError) and not os.path.islink(path):
            raise
        failure = UnreadableFileError(f"{shown_name(path)}: {what} ({_reason(error, path)})")
        raise failure from told_cause(error, path)
    if warned:
        raise UnreadableFileError(f"{shown_name(path)}: {what} (the JPEG data in it is damaged: {warned[0]})")


def _reason(error: BaseException, path: Path | str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f"it is a link to {os.readlink(path)}, which is missing"
    if isinstance(error, MemoryError):
        return "there is not enough memory for an image of the size that it states"
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or type(error).__name__
    text = " ".join(hide_those_of(str(error.__cause__ or error), path).split())
    return text if text and not isinstance(error, KeyError) else f"{type(error).__name__} {text}".strip()
