"""Open rasters that many requests share: a fixed number of places to read at, each with some datasets kept open.

A dataset of GDAL is for one thread at a time, and opening one takes as long as reading a tile of it.  A request borrows
a place, so that no more requests read at once than there are places, and the last one given back, whose files are still
open, is lent first.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any

import rasterio

from rsseg.io.damaged import reading
from rsseg.io.opening import SETTINGS
from rsseg.io.rasters import open_dataset

__all__ = ["Reader", "Readers", "file_state"]

_KEPT = 12
_CACHE = 256 << 20
"""Bytes of GDAL's cache of decoded blocks, which all datasets share."""


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which a changed one is known.

    Raises:
        LookupError: It is gone.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise LookupError("the file of this layer is gone") from error
    return status.st_size, status.st_mtime_ns


class Reader:
    """A place to read at; used by one thread at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Path, int | None], tuple[tuple[int, int], Any]] = OrderedDict()

    def open(self, path: Path, level: int | None = None) -> Any:
        """A dataset, or one of its overviews; it stays open, and must not be closed.

        Raises:
            LookupError: The file is gone.
            OSError: It cannot be read.
        """
        state, key = file_state(path), (path, level)
        kept = self._open.pop(key, None)
        if kept is not None and kept[0] != state:
            kept[1].close()
            kept = None
        self._open[key] = kept or (state, open_dataset(path, level))
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)[1][1].close()
        return self._open[key][1]

    def forget(self, path: Path) -> None:
        """Close what is open of a file, such as one whose reading has failed."""
        for key in [key for key in self._open if key[0] == path]:
            self._open.pop(key)[1].close()


class Readers:
    """All places of a server.

    Args:
        count: Requests that read at once; None for twice the processor's cores, at most 16.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = min(16, 2 * (os.cpu_count() or 1)) if count is None else count
        self._free: LifoQueue[Reader] = LifoQueue()
        for _ in range(self.count):
            self._free.put(Reader())

    @contextmanager
    def borrow(self, path: Path) -> Iterator[Callable[..., Any]]:
        """A place for the length of a block, in which errors of GDAL name the file.

        Args:
            path: The file that is read.

        Yields:
            Function of an overview's level (or None) and another path (by default the same) that gives an open dataset.
        """
        reader = self._free.get()
        try:
            with rasterio.Env(GDAL_CACHEMAX=_CACHE, **SETTINGS), reading(path, "is damaged"):
                yield lambda level=None, other=path: reader.open(other, level)
        except OSError:
            reader.forget(path)
            raise
        finally:
            self._free.put(reader)
