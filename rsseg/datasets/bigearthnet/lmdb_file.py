"""The LMDB of packed patches as it is read: one environment for each process and folder, damage is named.

A key is the name of a Sentinel-2 or Sentinel-1 patch, its value safetensors with one array per band, as it was stored.
"""

from __future__ import annotations

import functools
import json
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.command_list import command
from rsseg.datasets.bigearthnet.band_table import Band
from rsseg.datasets.bigearthnet.bands import check_plane
from rsseg.errors import DataError, MissingPackageError

__all__ = ["begin", "check_whole", "close_packed", "lmdb_package", "missing_patches", "open_packed", "read_packed"]

_SLACK = 1 << 24
"""Bytes that may be missing at the end: LMDB does not write pages that were given up before they were committed."""
_DTYPES: dict[str, np.dtype[Any]] = {"U16": np.dtype("<u2"), "F32": np.dtype("<f4")}


def lmdb_package() -> Any:
    """The package ``lmdb``.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import lmdb
    except ImportError as error:
        raise MissingPackageError("packed BigEarthNet requires lmdb: pip install 'rsseg[optional]'") from error
    return lmdb


_readers: dict[str, tuple[int, Any]] = {}
_lock = threading.Lock()


def open_packed(folder: str | Path) -> Any:
    """Environment for reading: one per process and folder, as LMDB wants it."""
    key = str(folder)
    process, environment = _readers.get(key, (0, None))
    if process == os.getpid():
        return environment
    with _lock:
        process, environment = _readers.get(key, (0, None))
        if process != os.getpid():
            if environment is not None:  # a forked process must not use its parent's
                environment.close()
            if not Path(folder, "data.mdb").is_file():
                raise FileNotFoundError(
                    f"{folder}: no packed patches (data.mdb); {command('pack-bigearthnet')} writes them"
                )
            try:
                environment = lmdb_package().open(key, readonly=True, lock=False, readahead=False, max_spare_txns=16)
            except lmdb_package().Error as error:
                raise DataError(f"{folder}: no readable LMDB ({error}); pack the archive again") from error
            check_whole(environment, folder)
            _readers[key] = os.getpid(), environment
        return environment


def check_whole(environment: Any, folder: str | Path) -> None:
    """Refuse a file that was cut off, by a DataError: reading behind its end would kill the process."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    size = Path(folder, "data.mdb").stat().st_size
    if size + _SLACK < expected:
        environment.close()
        raise DataError(
            f"{folder}: data.mdb has {size} of {expected} bytes; copy it again, or delete it and pack the archive again"
        )


def begin(environment: Any, **options: Any) -> Any:
    """A transaction, also where another process made the file larger."""
    try:
        return environment.begin(**options)
    except lmdb_package().MapResizedError:
        environment.set_mapsize(0)  # as large as it is now
        return environment.begin(**options)


def close_packed(folder: str | Path) -> None:
    """Give up reading, so that this process may write."""
    with _lock:
        _, environment = _readers.pop(str(folder), (0, None))
    if environment is not None:
        environment.close()


@functools.lru_cache(maxsize=256)
def _layout(header: bytes) -> dict[str, tuple[int, int, tuple[int, ...], np.dtype[Any]]]:
    """Offset, count, shape and type of every band, from the header of safetensors; patches share few of them."""
    out: dict[str, tuple[int, int, tuple[int, ...], np.dtype[Any]]] = {}
    for name, about in json.loads(header).items():
        if name != "__metadata__":
            dtype = _DTYPES[about["dtype"]]
            start, end = about["data_offsets"]
            out[name] = start, (end - start) // dtype.itemsize, tuple(about["shape"]), dtype
    return out


def read_packed(folder: str | Path, patch: str, bands: Sequence[Band]) -> list[NDArray[Any]]:
    """Several bands of a patch as they are stored, without copies.

    Args:
        folder: Folder of the LMDB.
        patch: Name of a Sentinel-2 or Sentinel-1 patch.
        bands: Which bands.

    Returns:
        Arrays (side, side), uint16 or float32, that must not be written to.

    Raises:
        FileNotFoundError: There is no LMDB, no such patch in it, or no such band in the patch.
        DataError: What is stored is damaged, or has another size or type.
    """
    try:
        with begin(open_packed(folder)) as transaction:
            value = transaction.get(patch.encode())
    except lmdb_package().Error as error:
        raise DataError(
            f"patch {patch}: {folder} is damaged ({error}); delete it and pack the archive again"
        ) from error
    if value is None:
        raise FileNotFoundError(f"patch {patch}: not in {folder}; run {command('pack-bigearthnet')} again")
    try:
        start = 8 + int.from_bytes(value[:8], "little")
        layout = _layout(value[8:start])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"patch {patch}: {folder} holds no safetensors for it ({error}); pack it again") from error
    planes = []
    for band in bands:
        if band.name not in layout:
            raise FileNotFoundError(f"patch {patch}, band {band.name}: {folder} has {', '.join(sorted(layout))} only")
        offset, count, shape, dtype = layout[band.name]
        if start + offset + count * dtype.itemsize > len(value) or count != math.prod(shape):
            raise DataError(f"patch {patch}, band {band.name}: {folder} holds only part of it; pack it again")
        plane = np.frombuffer(value, dtype, count, start + offset).reshape(shape)
        check_plane(plane, band, patch)
        planes.append(plane)
    return planes


def missing_patches(folder: str | Path, names: Sequence[str]) -> list[str]:
    """Those of some patches that a packed file does not hold."""
    with begin(open_packed(folder), buffers=True) as transaction:
        cursor = transaction.cursor()
        return [name for name in names if not cursor.set_key(name.encode())]
