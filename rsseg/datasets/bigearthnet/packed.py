"""Patches in one LMDB file: written once, read many times faster than GeoTIFFs.

A key is the name of a Sentinel-2 or Sentinel-1 patch, its value safetensors with one array per band, as it was stored.
rico-hdl writes the same, so that either can read what the other wrote.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

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
from rsseg.datasets.bigearthnet.bands import read_bands
from rsseg.datasets.bigearthnet.lmdb_file import (
    begin,
    check_whole,
    close_packed,
    lmdb_package,
    open_packed,
    read_packed,
)
from rsseg.datasets.bigearthnet.pack_chunks import decode_chunk, encode_chunk
from rsseg.errors import ConfigError, JobError, UserError
from rsseg.io.chunks import CHUNKS, share_chunks
from rsseg.io.files import locked, replacing
from rsseg.io.jobs import Job
from rsseg.io.progress import Progress
from rsseg.io.shards import Shard
from rsseg.io.workers import map_threads

__all__ = ["Packing", "pack_archive", "verify_packed"]

_log = logging.getLogger("rsseg")

_BATCH = 512
"""Patches that are committed at once; so many are read again after a kill."""
_FIRST_SIZE = 1 << 30
Sources = Sequence[tuple[str, str, tuple[Band, ...]]]
"""Key, folder and bands of patches."""
Batches = Iterable[tuple[list[tuple[str, bytes]], list[str]]]
"""Values of patches by name, and problems."""


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
            with begin(environment, write=True) as transaction:
                for name, value in items:
                    transaction.put(name.encode(), value)
            return
        except lmdb_package().MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def pack_archive(
    root: Path,
    out: Path,
    version: str = "v1",
    radar: bool = False,
    workers: int = 2,
    update: bool = False,
    shard: Shard = Shard(),  # noqa: B008, it is a tuple
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
        shard: Which share of the patches this job reads, of several that share the folder; the last one writes.

    Raises:
        ConfigError: Several jobs are to update.
        FileNotFoundError: There is no such archive.
        JobError: The LMDB holds another archive, or patches that this one does not have.
        OSError: Writing failed, for example on a full disk.
        DataError: The LMDB that is there was cut off.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    sources = _sources(root, version, radar)
    job = Job(out, "packed patches", hint="choose another folder, or remove it")
    if update and shard.world > 1:
        raise ConfigError("--update requires a single process; remove --shard")
    job.claim({"archive": version}, update=update)
    if shard.world > 1:
        return _pack_share(root, out, version, radar, sources, workers, shard)
    if update and (out / "data.mdb").is_file():
        verify_packed(root, out, version, radar, workers)  # takes out what differs
    result = _write(root, out, radar, sources, lambda left: _batches(left, _value, workers, "pack"), update)
    _write_labels(root, out, version, radar, result.problems)
    _log.info("%s: %d patches packed, %d were packed before", out, result.packed, result.found)
    return result


def _write(
    root: Path, out: Path, radar: bool, sources: Sources, read: Callable[[Sources], Batches], update: bool
) -> Packing:
    """Write what the LMDB does not hold; ``read`` gives batches of it."""
    lmdb, result = lmdb_package(), Packing()
    close_packed(out)
    try:
        with lmdb.open(str(out), map_size=_FIRST_SIZE) as environment:
            check_whole(environment, out)
            gone, left = _compare(environment, sources, radar)
            result.found = len(sources) - len(left)
            _take_out(environment, out, root, gone, update)
            for items, problems in read(left):
                _put(environment, items)
                result.packed += len(items)
                result.problems += problems
    except lmdb.Error as error:
        text = str(error)
        if "Input/output error" in text:  # what LMDB says where less was written than it asked for
            text += ", perhaps since the disk is full"
        raise OSError(f"cannot write {out}: {text}") from error
    return result


def _compare(environment: Any, sources: Sources, radar: bool) -> tuple[list[str], Sources]:
    """Patches of an LMDB that the archive does not have, and sources that the LMDB does not hold."""
    with begin(environment, buffers=True) as transaction:
        cursor = transaction.cursor()
        names = {source[0] for source in sources}
        kept = [bytes(key).decode() for key in cursor.iternext(values=False)]
        gone = [name for name in kept if name not in names and (radar or not name.startswith("S1"))]
        return gone, [source for source in sources if not cursor.set_key(source[0].encode())]


def _pack_share(
    root: Path, out: Path, version: str, radar: bool, sources: Sources, workers: int, shard: Shard
) -> Packing:
    """Read a share of the patches; the last of the jobs writes what all have read, as one process would."""
    folder = out / CHUNKS
    with locked(out):  # while nobody writes
        planned = _plan_share(root, out, radar, sources)

    def work(some: Sources) -> bytes:
        return encode_chunk(zip((name for name, *_ in some), map_threads(_value, some, workers), strict=True))

    def names(some: Sources) -> str:
        return "\n".join(name for name, *_ in some)

    files = share_chunks(planned, work, names, folder, shard, _BATCH, "pack")
    if files is None:
        return Packing(found=len(sources) - len(planned))

    def read(left: Sources) -> Batches:
        missing = {name for name, *_ in left}
        for file in files if missing else ():
            items, problems = decode_chunk(file)
            yield [item for item in items if item[0] in missing], problems

    with locked(out):
        if not all(file.exists() for file in files):  # another job has ended at the same time, and has written all
            return Packing(found=len(sources))
        result = _write(root, out, radar, sources, read, False)
        _write_labels(root, out, version, radar, result.problems)
        shutil.rmtree(folder, ignore_errors=True)
    _log.info("%s: %d patches packed, %d were packed before", out, result.packed, result.found)
    return result


def _plan_share(root: Path, out: Path, radar: bool, sources: Sources) -> Sources:
    """What the jobs pack: what the LMDB lacked when the first of them began, also once half of it is written.

    A plan of other patches than the archive has by now is made anew.
    """
    plan, left = out / CHUNKS / "patches.txt", sources
    if (out / "data.mdb").is_file():
        gone, left = _compare(open_packed(out), sources, radar)
        _refuse_gone(out, root, gone)
        close_packed(out)
    if plan.exists():
        names = set(plan.read_text(encoding="utf-8").split())
        planned = [source for source in sources if source[0] in names]
        if len(planned) == len(names) and names.issuperset(name for name, *_ in left):
            return planned
    plan.parent.mkdir(exist_ok=True)
    with replacing(plan) as file:
        file.write("\n".join(name for name, *_ in left).encode())
    return left


def _take_out(environment: Any, out: Path, root: Path, gone: Sequence[str], update: bool) -> None:
    """Refuse patches that the archive does not have, or take them out for an update."""
    if not update:
        _refuse_gone(out, root, gone)
    with begin(environment, write=True) as transaction:
        for name in gone:
            transaction.delete(name.encode())


def _refuse_gone(out: Path, root: Path, gone: Sequence[str]) -> None:
    if gone:
        raise JobError(
            f"{out} holds {len(gone)} patches that {root} does not have ({', '.join(gone[:3])}"
            f"{', ...' if len(gone) > 3 else ''}). Use --update to remove them, or choose another folder."
        )


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
    close_packed(out)
    lmdb = lmdb_package()
    try:
        with lmdb.open(str(out)) as environment, begin(environment, write=True) as transaction:
            for name in names:
                transaction.delete(name.encode())
    except lmdb.Error as error:
        raise OSError(
            f"cannot take damaged patches out of {out} ({error}); delete it and pack the archive again"
        ) from error
