"""Labels of BigEarthNet v1 that independent jobs read together: a file for each patch, half a million of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rsseg.datasets.bigearthnet.archive import PatchInfo, read_json, read_jsons
from rsseg.errors import UserError
from rsseg.io.chunks import file_states, share_chunks
from rsseg.io.shards import Shard
from rsseg.io.tables import read_json as read_json_file
from rsseg.io.workers import map_threads

__all__ = ["read_share"]

_CHUNK = 4096
"""Patches of a chunk."""
_THREADS = 16


def read_share(
    base: Path, names: Sequence[str], folder: Path, shard: Shard, problems: list[str]
) -> Iterable[PatchInfo] | None:
    """What the archive says of patches, read by jobs that share a folder.

    Args:
        base: Folder of the patches' folders.
        names: Patches.
        folder: Where several jobs keep what they have read.
        shard: Which share of the patches this job reads.
        problems: Gets a line for each patch that cannot be read, which is left out.

    Returns:
        All patches in their order; None while other jobs have not done their share.
    """
    if shard.world == 1:
        return read_jsons(base, names, "count", problems)

    def read(name: str) -> dict[str, Any] | str:
        try:
            return asdict(read_json(f"{base}/{name}", name))
        except (OSError, UserError) as error:
            return str(error)

    def work(some: Sequence[str]) -> bytes:
        return json.dumps(list(map_threads(read, some, _THREADS))).encode()

    def depends(some: Sequence[str]) -> str:
        return file_states([base / name / f"{name}_labels_metadata.json" for name in some])

    files = share_chunks(names, work, depends, folder, shard, _CHUNK, "count")
    if files is None:
        return None
    found = [row for file in files for row in read_json_file(file, list)]
    problems += [row for row in found if isinstance(row, str)]
    return (_info(row) for row in found if not isinstance(row, str))


def _info(row: dict[str, Any]) -> PatchInfo:
    corner = row["corner"]
    labels = tuple(map(sys.intern, row["labels"]))
    return PatchInfo(**{**row, "labels": labels, "corner": None if corner is None else (corner[0], corner[1])})
