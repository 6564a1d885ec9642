"""Maps on a Ray cluster: parts of rasters are tasks, and the task that ends last with a raster writes its map."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from rsseg.engine.cluster import connected
from rsseg.errors import ConfigError, JobError
from rsseg.io.progress import Progress
from rsseg.mapping.masking import log_failure
from rsseg.mapping.sharing import Part, sizes_of
from rsseg.mapping.sources import Job

__all__ = ["Task", "UnusableModelError", "map_on_cluster", "parts_of_rasters"]

Task = tuple[Job, Part]

_log = logging.getLogger("rsseg")
_TASKS = 8
"""Tasks for each place of the cluster, so that all end at about the same time."""
_USUAL_WINDOW = 512
"""Side of windows in pixels, for cutting rasters into tasks, where only the model knows it."""


class UnusableModelError(JobError):
    """The model cannot be used, for whatever raster; its argument is the error."""


def parts_of_rasters(jobs: Sequence[Job], rows: float, tasks: int) -> list[Task]:
    """Cut rasters into tasks of about the same size.

    Args:
        jobs: Rasters and their maps.
        rows: Pixel rows of the smallest part; where two parts meet, a row of windows is computed twice.
        tasks: How many, about; at least one for each raster.
    """
    sizes = sizes_of(jobs, remote=True)
    share = sum(height * width for height, width in sizes) / tasks
    out = []
    for job, (height, width) in zip(jobs, sizes, strict=True):
        count = max(1, min(math.ceil(height * width / share), int(height / rows)))
        out += [(job, Part(Fraction(i, count), Fraction(i + 1, count), False)) for i in range(count)]
    return out


def map_on_cluster(
    work: Callable[[argparse.Namespace, Task], bool],
    args: argparse.Namespace,
    jobs: Sequence[Job],
    finished: Callable[[str, Path], None],
) -> dict[str, Exception]:
    """Map rasters by tasks of Ray; all machines see the same folders.

    Args:
        work: Computes a part of a map, and says whether the map is there then.
        args: As for :func:`rsseg.mapping.command.run`.
        jobs: Rasters and their maps.
        finished: Called with source and map once that is there.

    Returns:
        What was wrong, for each raster that could not be mapped.

    Raises:
        ConfigError: ``--shard`` is given, too, or there is no cluster.
        JobError: Machines were lost again and again.
    """
    if args.shard is not None:
        raise ConfigError("--shard and --launcher ray both divide the work; use one of them")
    setup = argparse.Namespace(**{**vars(args), "launcher": "none"})
    rows = (args.window or _USUAL_WINDOW) * max(1 - args.overlap, 0.1)
    failed, made = dict[str, Exception](), set[str]()
    with connected(args.gpus_per_task) as cluster:
        tasks = parts_of_rasters(jobs, rows, _TASKS * cluster.places())
        _log.info("%d rasters in %d tasks, on %d places", len(jobs), len(tasks), cluster.places())
        progress = Progress(len(tasks), "map", unit="task")
        for ((source, target), _), found in cluster.run(partial(work, setup), tasks):
            progress.step()
            if isinstance(found, UnusableModelError):
                raise found.args[0]
            if isinstance(found, Exception):
                if source not in failed and len(jobs) > 1:
                    log_failure(found)
                failed.setdefault(source, found)
            elif found and source not in made:
                made.add(source)
                _log.info("%s: finished", target)
                finished(source, target)
        progress.close()
    for source, target in jobs:
        if source not in made:
            failed.setdefault(source, JobError(f"{target}: is not finished; repeat the command"))
    return failed
