"""Results of many items that independent jobs share by files: each does its chunks, and whoever finds all merges them.

A chunk's file is whole or not there, and its name is made of all that the results depend on: so a job that was killed
goes on, two that do the same write the same, another number of jobs does what is missing, and nothing stale is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import rsseg
from rsseg.io.files import replacing
from rsseg.io.progress import Progress
from rsseg.io.shards import Shard
from rsseg.io.sums import sum_of

__all__ = ["CHUNKS", "file_states", "share_chunks"]

Item = TypeVar("Item")

_log = logging.getLogger("rsseg")
CHUNKS = ".shards"
"""Folder of the chunks in the folder of the results."""
_SUFFIX = ".chunk"


def file_states(paths: Sequence[Path]) -> str:
    """Names, sizes and times of files, for what results depend on; those that are not there have none."""
    lines = []
    for path in paths:
        try:
            state = path.stat()
            lines.append(f"{path} {state.st_size} {state.st_mtime_ns}")
        except OSError:
            lines.append(f"{path} -")
    return "\n".join(lines)


def share_chunks(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], bytes],
    depends: Callable[[Sequence[Item]], str],
    folder: Path,
    shard: Shard,
    size: int,
    what: str,
) -> list[Path] | None:
    """Do the chunks of a shard that are not there yet.

    Args:
        items: All items, the same in all shards.
        work: The result of some items.
        depends: What that depends on, besides the version of rsseg; it names the items, too.
        folder: Where the files go; made where it is missing.
        shard: Which share of the chunks this job does.
        size: Items of a chunk, whatever the number of shards.
        what: What the progress is called.

    Returns:
        The files of all chunks in the order of the items; None while other jobs have not done theirs.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    paths = [folder / f"{_code(depends(chunk))}{_SUFFIX}" for chunk in chunks]
    own = range(shard.rank, len(chunks), shard.world)
    missing = [number for number in own if not paths[number].exists()]
    if len(missing) < len(own):
        _log.info("%s: %d of %d chunks are finished already", what, len(own) - len(missing), len(own))
    progress = Progress(len(missing), what, shard.reports, "chunk")
    for number in missing:
        data = work(chunks[number])
        try:
            with replacing(paths[number], "chunk") as file:
                file.write(data)
        except FileNotFoundError:
            if folder.exists():
                raise
            break  # another job has done the same chunks, and has written the result
        progress.step()
    progress.close()
    if not all(path.exists() for path in paths):
        _log.info("shard %d/%d is finished; the one that finishes last writes the result", shard.rank, shard.world)
        return None
    for path in set(folder.glob(f"*{_SUFFIX}")) - set(paths):  # made of what has changed since
        path.unlink(missing_ok=True)
    return paths


def _code(depends: str) -> str:
    return sum_of(f"{rsseg.__version__} {depends}".encode())[:32]
