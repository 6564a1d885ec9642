"""What libraries raise on files that are damaged, or are not what they seem, as one error that names the file."""

from __future__ import annotations

import logging
import os
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

__all__ = ["reading"]

# GDAL's errors reach Python as several kinds; the others come from headers with absurd sizes, unknown types, broken
# texts and coordinate reference systems, and from Pillow.
_KINDS = (RasterioError, CPLE_BaseError, OSError, ValueError, LookupError, ArithmeticError, MemoryError, EOFError,
          SyntaxError, struct.error, zlib.error)  # fmt: skip


class _Listener(logging.Filter):
    """Hears what libtiff only warns of: it fills up pixels of JPEG that it cannot decode, and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a warning of libjpeg where a file is being read, else leave the record to the others."""
        blocks: list[list[str]] = getattr(self.heard, "blocks", [])
        text = record.getMessage()
        if blocks and "JPEGLib:" in text:
            blocks[-1].append(text.partition("JPEGLib:")[2])
            return False
        return logging.getLogger("rasterio").isEnabledFor(record.levelno)

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The warnings of this thread within the block."""
        if not hasattr(self.heard, "blocks"):
            self.heard.blocks = []
        self.heard.blocks.append([])
        try:
            yield self.heard.blocks[-1]
        finally:
            self.heard.blocks.pop()


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
_LISTENER = _Listener()
_GDAL = logging.getLogger("rasterio._err")
_GDAL.setLevel(logging.WARNING)
_GDAL.addFilter(_LISTENER)


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
        with _LISTENER.listening() as warned:
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
