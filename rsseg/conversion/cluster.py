"""A conversion on a Ray cluster: groups of source images are tasks, and one more task merges what they have made."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from rsseg.conversion.command import options_of_config
from rsseg.conversion.runner import Conversion, Report, convert_labels
from rsseg.conversion.settings import load_conversion_config
from rsseg.engine.cluster import Cluster, connected, once
from rsseg.errors import ConfigError
from rsseg.io.progress import Progress

__all__ = ["convert_on_cluster"]

_log = logging.getLogger("rsseg")
_TASKS = 8
"""Tasks for each place of the cluster, so that all end at about the same time."""
_MOST = 32
"""Source images of a task."""

Result = TypeVar("Result")


def convert_on_cluster(args: argparse.Namespace) -> Report:
    """Convert by tasks of Ray; all machines see the same folders.

    Args:
        args: As ``rsseg convert`` has them.

    Returns:
        As :func:`~rsseg.conversion.runner.convert_labels`.

    Raises:
        ConfigError: ``--shard`` is given, too, or there is no cluster.
        JobError: Machines were lost again and again, or as for ``convert_labels``.
        UserError: As for ``convert_labels``.
    """
    if args.shard is not None:
        raise ConfigError("--shard and --launcher ray both divide the work; use one of them")
    again = argparse.Namespace(**{**vars(args), "overwrite": False, "update": False})
    with connected(args.gpus_per_task) as cluster:
        todo, resumed = _one(cluster, _plan, args)
        if resumed:
            _log.info("%d of %d images are finished already", resumed, resumed + len(todo))
        size = max(1, min(_MOST, len(todo) // (_TASKS * cluster.places())))
        groups = [todo[i : i + size] for i in range(0, len(todo), size)]
        _log.info("%d images in %d tasks, on %d places", len(todo), len(groups), cluster.places())
        progress = Progress(len(todo), "convert")
        for group, found in cluster.run(partial(_convert, again), groups):
            if isinstance(found, Exception):
                raise found
            for _ in group:
                progress.step()
        seconds = progress.close()
        report: Report = _one(cluster, _merge, again)
    return replace(report, converted=len(todo), resumed=resumed, seconds=seconds)


def _one(cluster: Cluster, work: Callable[[argparse.Namespace], Result], args: argparse.Namespace) -> Any:
    """The result of a single task."""
    ((_, found),) = cluster.run(work, [args])
    if isinstance(found, Exception):
        raise found
    return found


def _begin(args: argparse.Namespace) -> Conversion:
    config = load_conversion_config(args.config, options_of_config(args))
    options = args.on_error, args.overwrite, args.evaluate, 1, args.update, args.review, args.review_rule
    return Conversion.begin(config, *options)


def _plan(args: argparse.Namespace) -> tuple[list[str], int]:
    """Claim the folder; stems of the source images that are not finished, and the number of those that are."""
    job = _begin(args)
    for error in job.source.problems:
        _log.warning("skipped: %s", error, extra={"all_in": job.store.root / "manifest.json"})
    todo = job.unfinished(job.source.items)
    return [item.stem for item in todo], len(job.source.items) - len(todo)


def _convert(args: argparse.Namespace, stems: Sequence[str]) -> None:
    """Convert some source images; what a lost task has finished of them stays."""
    job: Conversion = once(_begin, args)
    names = set(stems)
    job.convert(job.unfinished([item for item in job.source.items if item.stem in names]))


def _merge(args: argparse.Namespace) -> Report:
    config = load_conversion_config(args.config, options_of_config(args))
    reviewed = {"review": args.review, "review_rule": args.review_rule}
    return convert_labels(config, args.on_error, False, args.evaluate, **reviewed)
