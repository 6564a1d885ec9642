"""Patches in one LMDB file: written once, read many times faster than GeoTIFFs.

A key is the name of a Sentinel-2 or Sentinel-1 patch, its value safetensors with one array per band, as it was stored.
rico-hdl writes the same, so that either can read what the other wrote.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.command_list import command
from rsseg.datasets.bigearthnet.archive import (
    INDEX,
    PatchInfo,
    archive_folder,
    find_patches,
    pair_radar,
    patch_folder,
    read_jsons,
    read_parquet,
    write_index,
)
from rsseg.datasets.bigearthnet.band_table import Band, load_bands
from rsseg.datasets.bigearthnet.bands import check_plane, read_bands
from rsseg.errors import DataError, JobError, MissingPackageError, UserError
from rsseg.io.jobs import Job
from rsseg.io.progress import Progress
from rsseg.io.workers import map_threads

__all__ = ["Packing", "missing_patches", "pack_archive", "read_packed", "verify_packed"]

_log = logging.getLogger("rsseg")

_BATCH = 512
"""Patches that are committed at once; so many are read again after a kill."""
_FIRST_SIZE = 1 << 30
_SLACK = 1 << 24
"""Bytes that may be missing at the end: LMDB does not write pages that were given up before they were committed."""
_DTYPES: dict[str, np.dtype[Any]] = {"U16": np.dtype("<u2"), "F32": np.dtype("<f4")}


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise MissingPackageError("packed BigEarthNet requires lmdb: pip install 'rsseg[optional]'") from error
    return lmdb


_readers: dict[str, tuple[int, Any]] = {}
_lock = threading.Lock()


def _open(folder: str | Path) -> Any:
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
                environment = _lmdb().open(key, readonly=True, lock=False, readahead=False, max_spare_txns=16)
            except _lmdb().Error as error:
                raise DataError(f"{folder}: no readable LMDB ({error}); pack the archive again") from error
            _check_whole(environment, folder)
            _readers[key] = os.getpid(), environment
        return environment


def _check_whole(environment: Any, folder: str | Path) -> None:
    """Refuse a file that was cut off: reading behind its end would kill the process."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    size = Path(folder, "data.mdb").stat().st_size
    if size + _SLACK < expected:
        environment.close()
        raise DataError(
            f"{folder}: data.mdb has {size} of {expected} bytes; copy it again, or delete it and pack the archive again"
        )


def _begin(environment: Any, **options: Any) -> Any:
    """A transaction, also where another process made the file larger."""
    try:
        return environment.begin(**options)
    except _lmdb().MapResizedError:
        environment.set_mapsize(0)  # as large as it is now
        return environment.begin(**options)


def _close(folder: str | Path) -> None:
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
        with _begin(_open(folder)) as transaction:
            value = transaction.get(patch.encode())
    except _lmdb().Error as error:
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
    with _begin(_open(folder), buffers=True) as transaction:
        cursor = transaction.cursor()
        return [name for name in names if not cursor.set_key(name.encode())]


@dataclass
class Packing:
    """What :func:`pack_archive` did.

    Attributes:
        packed: Patches that it wrote.
        found: Patches that were there already.
        problems: What could not be read, a line each.
    """

    packed: int = 0
    found: int = 0
    problems: list[str] = field(default_factory=list)


def _sources(root: Path, version: str, radar: bool) -> list[tuple[str, str, tuple[Band, ...]]]:
    """Key, folder and bands of all patches, sorted by key."""
    optical = tuple(band for band in load_bands().values() if not band.radar)
    base = archive_folder(root, version)
    sources = [(name, patch_folder(base, version, name), optical) for name in find_patches(root, version)]
    if radar:
        bands, base = tuple(band for band in load_bands().values() if band.radar), archive_folder(root, version, "S1")
        names = find_patches(root, version, "S1")
        sources = [(name, patch_folder(base, version, name), bands) for name in names] + sources
    return sources


def _value(source: tuple[str, str, tuple[Band, ...]]) -> bytes | str:
    """The value of a patch, or what is wrong with it."""
    from safetensors.numpy import save

    name, folder, bands = source
    try:
        return save({b.name: plane for b, plane in zip(bands, read_bands(folder, name, bands), strict=True)})
    except (OSError, UserError) as error:
        return str(error)


def _put(environment: Any, items: Sequence[tuple[str, bytes]]) -> None:
    """Write patches in one transaction; the map doubles when it is full."""
    while True:
        try:
            with _begin(environment, write=True) as transaction:
                for name, value in items:
                    transaction.put(name.encode(), value)
            return
        except _lmdb().MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def pack_archive(
    root: Path, out: Path, version: str = "v1", radar: bool = False, workers: int = 2, update: bool = False
) -> Packing:
    """Write all patches of an archive into one LMDB, and ``patches.csv`` with their labels beside it.

    Interrupted, even killed, it goes on where it stopped: every transaction is whole or absent.  Two at once may do it.
    Labels are read anew each time.  GeoTIFFs that changed since they were packed show when they are read, so only an
    update (or :func:`verify_packed`) looks for them.

    Args:
        root: Where the archive was unpacked.
        out: Folder of the LMDB (``data.mdb``); made where it is missing.
        version: ``v1`` or ``v2``.
        radar: Whether Sentinel-1 is packed as well.
        workers: Threads that read.
        update: Compare what is packed with the GeoTIFFs, pack anew what differs, and take out patches that are gone.

    Raises:
        FileNotFoundError: There is no such archive.
        JobError: The LMDB holds another archive, or patches that this one does not have.
        OSError: Writing failed, for example on a full disk.
        DataError: The LMDB that is there was cut off.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    lmdb, sources = _lmdb(), _sources(root, version, radar)
    job = Job(out, "packed patches", hint="choose another folder, or remove it")
    job.claim({"archive": version}, update=update)
    if update and (out / "data.mdb").is_file():
        verify_packed(root, out, version, radar, workers)  # takes out what differs
    _close(out)
    result = Packing()
    try:
        with lmdb.open(str(out), map_size=_FIRST_SIZE) as environment:
            _check_whole(environment, out)
            with _begin(environment, buffers=True) as transaction:
                cursor = transaction.cursor()
                names = {source[0] for source in sources}
                kept = [bytes(key).decode() for key in cursor.iternext(values=False)]
                gone = [name for name in kept if name not in names and (radar or not name.startswith("S1"))]
                left = [source for source in sources if not cursor.set_key(source[0].encode())]
            result.found = len(sources) - len(left)
            _take_out(environment, out, root, gone, update)
            for items, problems in _batches(left, _value, workers, "pack"):
                _put(environment, items)
                result.packed += len(items)
                result.problems += problems
    except lmdb.Error as error:
        text = str(error)
        if "Input/output error" in text:  # what LMDB says where less was written than it asked for
            text += ", perhaps since the disk is full"
        raise OSError(f"cannot write {out}: {text}") from error
    _write_labels(root, out, version, radar, result.problems)
    _log.info("%s: %d patches packed, %d were packed before", out, result.packed, result.found)
    return result


def _take_out(environment: Any, out: Path, root: Path, gone: Sequence[str], update: bool) -> None:
    """Refuse patches that the archive does not have, or take them out for an update."""
    if gone and not update:
        raise JobError(
            f"{out} holds {len(gone)} patches that {root} does not have ({', '.join(gone[:3])}"
            f"{', ...' if len(gone) > 3 else ''}). Use --update to remove them, or choose another folder."
        )
    with _begin(environment, write=True) as transaction:
        for name in gone:
            transaction.delete(name.encode())


def _write_labels(root: Path, out: Path, version: str, radar: bool, problems: list[str]) -> None:
    """Write ``patches.csv``; patches of v1 whose labels cannot be read are left out of it."""
    table = root / "metadata.parquet"
    infos: Iterable[PatchInfo]
    if version == "v1":
        infos = read_jsons(archive_folder(root, "v1"), find_patches(root, "v1"), problems=problems)
        if radar:
            pairs = pair_radar(root, None)
            infos = (replace(info, s1=pairs.get(info.name, "")) for info in infos)
    elif table.is_file():
        infos = read_parquet(table)
    else:
        _log.warning("%s is missing, so there is no %s; training requires one of them", table, out / INDEX)
        return
    write_index(out / INDEX, infos)


def _batches(
    sources: Sequence[Any], work: Callable[[Any], bytes | str], workers: int, what: str
) -> Iterator[tuple[list[tuple[str, bytes]], list[str]]]:
    """Results of ``work``, some hundred at a time: values by name, and the problems."""
    progress = Progress(len(sources), what, unit="patch")
    values = map_threads(work, sources, workers)
    for start in range(0, len(sources), _BATCH):
        items, problems = [], []
        for source in sources[start : start + _BATCH]:
            value = next(values)
            problems.append(value) if isinstance(value, str) else items.append((source[0], value))
            progress.step()
        yield items, problems
    progress.close()


def verify_packed(root: Path, out: Path, version: str = "v1", radar: bool = False, workers: int = 2) -> list[str]:
    """Compare every band of every patch with its GeoTIFF, bit by bit.

    What is damaged or differs is taken out of the LMDB, so that :func:`pack_archive` packs it again.

    Returns:
        What is missing or differs, a line each; empty when all is well.

    Raises:
        FileNotFoundError: There is no such archive.
        OSError: Damaged patches could not be taken out.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

    bad: list[str] = []

    def compare(source: tuple[str, str, tuple[Band, ...]]) -> bytes | str:
        name, folder, bands = source
        try:
            stored = read_packed(out, name, bands)
        except (OSError, UserError) as error:
            bad.append(name)
            return str(error)
        try:
            planes = read_bands(folder, name, bands)
        except (OSError, UserError) as error:
            return str(error)
        for band, packed, plane in zip(bands, stored, planes, strict=True):
            if not np.array_equal(packed, plane, equal_nan=band.radar):
                bad.append(name)
                return f"patch {name}, band {band.name}: what is packed differs from {folder}"
        return b""

    sources = _sources(root, version, radar)
    problems = [problem for _, found in _batches(sources, compare, workers, "verify") for problem in found]
    _remove(out, bad)
    return problems


def _remove(out: Path, names: Sequence[str]) -> None:
    """Take patches out of the LMDB."""
    if not names or not (out / "data.mdb").is_file():
        return
    _close(out)
    lmdb = _lmdb()
    try:
        with lmdb.open(str(out)) as environment, _begin(environment, write=True) as transaction:
            for name in names:
                transaction.delete(name.encode())
    except lmdb.Error as error:
        raise OSError(
            f"cannot take damaged patches out of {out} ({error}); delete it and pack the archive again"
        ) from error
