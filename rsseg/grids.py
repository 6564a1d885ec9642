"""Grids of experiments as the commands run them: options, where runs go, tables and figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rsseg.commands import at_least, write_result
from rsseg.io.shards import shard_of
from rsseg.packaged import packaged_root

if TYPE_CHECKING:
    from rsseg.experiments.grid import Grid

__all__ = ["add_arguments", "run_grid"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of all grids."""
    parser.add_argument("--seeds", type=at_least(0), nargs="+", help="repetitions (default: the grid's, or 0 1 2)")
    parser.add_argument("--jobs", type=at_least(1), default=1, help="runs at the same time (default 1)")
    parser.add_argument("--gpus", nargs="+", help="one run at a time on each of these GPUs: 0,1 or 0 1")
    parser.add_argument(
        "--shard", metavar="I/N", help="run only part I, 0 to N-1, of N equal parts, for several machines"
    )
    parser.add_argument("--tables", action="store_true", help="run nothing, gather what is finished")
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints of finished runs")
    parser.add_argument("--update", action="store_true", help="repeat runs whose config, weights or data have changed")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="settings of all runs: key=value ...")


def run_grid(grid: Grid, args: argparse.Namespace, out: Path) -> str | int:
    """Run a grid, write and print what came out.

    Args:
        grid: The grid.
        args: Options, see :func:`add_arguments`.
        out: Folder of the runs and tables.

    Returns:
        0, or how many runs failed, as text.

    Raises:
        UserError: As for :meth:`rsseg.experiments.runner.GridRun.run`.
        OSError: A file cannot be written; the message names it.
    """
    from rsseg.demo.processes import fork_tool
    from rsseg.experiments.runner import GridRun
    from rsseg.experiments.tables import gather, write_tables
    from rsseg.reports.grids import write_grid_figures

    gpus = [gpu for word in args.gpus or () for gpu in word.split(",") if gpu]
    places = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] if gpus else [{}] * args.jobs
    job = GridRun(packaged_root(), grid, out, places, keep=args.keep, update=args.update)
    job.shard = shard_of(shard=args.shard)[:2]
    if not gpus:
        job.launch = fork_tool
    if not args.tables:
        job.run()
    results = gather(job)
    out.mkdir(parents=True, exist_ok=True)
    write_result(write_tables(results, out), results.document())
    write_grid_figures(grid.figures, results.document(), out)
    count = len(job.failures)
    return f"{count} runs failed (see {out / 'table.md'}); repeat the command to run them again" if count else 0
