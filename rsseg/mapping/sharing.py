"""How processes share rasters: each takes one stretch of them, whole ones and strips of the first and the last."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from rsseg.errors import UserError
from rsseg.io.rasters import image_size
from rsseg.io.shards import Shard
from rsseg.mapping.sources import Job

__all__ = ["WHOLE", "Part", "divide", "part_of", "share_jobs", "sizes_of", "whole_jobs"]


class Part(NamedTuple):
    """A part of a raster from top to bottom.

    Attributes:
        low: Where it begins, from 0.
        high: Where it ends, to 1.
        reports: Whether who computes it shows progress.
    """

    low: Fraction = Fraction(0)
    high: Fraction = Fraction(1)
    reports: bool = True

    def strips(self, total: int) -> range:
        """Those of ``total`` strips that it has; parts that follow each other leave out none and share none."""
        return range(int(total * self.low), int(total * self.high))


WHOLE = Part()


def part_of(shard: Shard) -> Part:
    """The part of one raster that a shard has."""
    return Part(Fraction(shard.rank, shard.world), Fraction(shard.rank + 1, shard.world), shard.reports)


def sizes_of(jobs: Sequence[Job], remote: bool = False) -> list[tuple[int, int]]:
    """(H, W) of each raster, for dividing the work.

    One that cannot be read is (1, 1): whoever has it says what is wrong.

    Args:
        jobs: Rasters and their maps.
        remote: Also ask for those that are no local files; otherwise all are the same where some are not.
    """
    if not remote and not all(Path(source).is_file() for source, _ in jobs):
        return [(1, 1)] * len(jobs)
    return [_size(source) for source, _ in jobs]


def _size(source: str) -> tuple[int, int]:
    try:
        height, width = image_size(source)
    except (UserError, OSError):
        return 1, 1
    return max(height, 1), max(width, 1)


def divide(sizes: Sequence[int], shard: Shard) -> list[tuple[int, Part]]:
    """The stretch of a shard, where all are laid end to end and cut into equal pieces.

    Args:
        sizes: Of the rasters.
        shard: Which piece.

    Returns:
        Numbers of the rasters that reach into it, each with the part that lies in it.
    """
    total = sum(sizes)
    low, high = Fraction(total * shard.rank, shard.world), Fraction(total * (shard.rank + 1), shard.world)
    found, start = [], 0
    for number, size in enumerate(sizes):
        first, last = max(low, Fraction(start)), min(high, Fraction(start + size))
        if first < last:
            found.append((number, Part((first - start) / size, (last - start) / size, shard.reports)))
        start += size
    return found


def share_jobs(jobs: Sequence[Job], shard: Shard) -> list[tuple[Job, Part]]:
    """The rasters of a shard, each with the part that it computes.

    Args:
        jobs: Rasters and their maps, the same in all shards.
        shard: Which of the equal stretches of pixels.
    """
    if shard.world == 1:
        return [(job, WHOLE) for job in jobs]
    sizes = [height * width for height, width in sizes_of(jobs)] if len(jobs) > 1 else [1]
    return [(jobs[number], part) for number, part in divide(sizes, shard)]


def whole_jobs(jobs: Sequence[Job], shard: Shard) -> list[tuple[Job, Part]]:
    """As :func:`share_jobs`, for shards that do not see each other's files: each raster is of the one it begins in."""
    return [(job, WHOLE) for job, part in share_jobs(jobs, shard) if part.low == 0]
