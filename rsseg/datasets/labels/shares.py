"""Statistics of a labelled set that independent jobs count together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rsseg.datasets.labels import LabelledSet
from rsseg.datasets.labels.measure import Part, measure_parts
from rsseg.datasets.labels.selection import Scoring, Selection, scoring_of
from rsseg.datasets.labels.statistics import Statistics
from rsseg.io.chunks import file_states, share_chunks
from rsseg.io.shards import Shard
from rsseg.io.tables import read_json

__all__ = ["measure_share"]

_CHUNK = 512
"""Tiles of a chunk."""


def measure_share(labels: LabelledSet, folder: Path, shard: Shard, keep: int = 0, workers: int = 1) -> Part | None:
    """As :func:`~rsseg.datasets.labels.measure.measure`, by jobs that share a folder.

    Jobs share the label maps and the overlaps of masks.  Each passes over the instances up to its last tile, and the
    last job once more over all of them, for the masks worth a look.

    Args:
        labels: The set.
        folder: Where the jobs keep what they have counted.
        shard: Which share of the tiles this job counts.
        keep: As there.
        workers: As there.

    Returns:
        What was found, with the rows of all tiles; None while other jobs have not done their share.
    """
    classes = labels.table.classes
    tiles, passed = iter(labels), 0

    def count(numbers: Sequence[int]) -> bytes:
        nonlocal passed
        chunk = islice(tiles, numbers[0] - passed, numbers[-1] + 1 - passed)
        passed = numbers[-1] + 1
        whole = Part(Statistics(classes), Selection(len(classes), 0, Scoring()))
        for part in measure_parts(chunk, classes, 0, Scoring(), workers):
            whole.add(part)
        return json.dumps([whole.statistics.counts(), whole.rows, whole.problems]).encode()

    def depends(numbers: Sequence[int]) -> str:
        files = (path for number in numbers for path in labels.files(number))
        return "\n".join([*classes, file_states(list(dict.fromkeys(files)))])

    files = share_chunks(range(len(labels)), count, depends, folder, shard, _CHUNK, "measure")
    if files is None:
        return None
    whole = Part(Statistics(classes), Selection(len(classes), keep, scoring_of(labels)))
    for file in files:
        counts, rows, problems = read_json(file, list)
        whole.statistics.add_counts(counts)
        whole.rows += [tuple(row) for row in rows]
        whole.problems += problems
    for tile in labels if keep else ():
        whole.selection.offer(tile, dataclasses.replace(tile, instances=[]))
    return whole
