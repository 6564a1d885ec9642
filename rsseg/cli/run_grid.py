"""Run a grid of experiments, rows x columns x seeds of (config, overrides), and gather tables and figures.

rsseg grid configs/grids/samrs_table5.py [--out DIR] [--tiny] [--seeds 0 1 2] [--jobs N | --gpus 0,1,2,3]
rsseg grid configs/grids/samrs_table5.py --slurm 8 --sbatch "--gres=gpu:1 --time=12:00:00" [--submit]
rsseg grid configs/grids/samrs_table5.py --tables

OUT gets table.md and table.csv (mean and standard deviation over seeds, differences, paired tests on the test images),
runs.csv (each run with its state, scores, commands and log), the figures, and a folder for each run. If it is
interrupted, even killed, repeat the command to continue. A failed run is named and does not stop the others; exit
status 1. --tiny runs the grid at the scale of a CPU. --tables runs nothing and gathers what is finished.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from rsseg.commands import at_least, make_parser, write_result
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of all grids."""
    parser.add_argument("--seeds", type=at_least(0), nargs="+", help="repetitions (default: the grid's, or 0 1 2)")
    parser.add_argument("--jobs", type=at_least(1), default=1, help="runs at the same time (default 1)")
    parser.add_argument("--gpus", nargs="+", help="one run at a time on each of these GPUs: 0,1 or 0 1")
    parser.add_argument("--shard", metavar="I/N", help="run only this of N equal parts, for several machines")
    parser.add_argument("--tables", action="store_true", help="run nothing, gather what is finished")
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints of finished runs")
    parser.add_argument("--update", action="store_true", help="repeat runs whose config, weights or data have changed")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="settings of all runs: key=value ...")


def run(grid: Any, args: argparse.Namespace, out: Path) -> str | int:
    """Run a grid as the options say, write and print what came out, and say what failed."""
    from rsseg.demo.processes import fork_tool
    from rsseg.experiments.runner import GridRun
    from rsseg.experiments.slurm import read_shard
    from rsseg.experiments.tables import gather, write_tables
    from rsseg.reports.grids import write_grid_figures

    gpus = [gpu for word in args.gpus or () for gpu in word.split(",") if gpu]
    places = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] if gpus else [{}] * args.jobs
    job = GridRun(packaged_root(), grid, out, places, keep=args.keep, update=args.update)
    job.shard = read_shard(args.shard) if args.shard else (0, 1)
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


def main() -> int | str | None:
    """Read the grid, run it or hand it to Slurm."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("grid", help="config of the grid, for example configs/grids/samrs_table5.py")
    parser.add_argument("--out", type=Path, help="folder of the runs and tables (default: work_dirs/grids/NAME)")
    parser.add_argument("--tiny", action="store_true", help="at the scale of a CPU: the config's 'tiny'")
    parser.add_argument("--slurm", type=at_least(1), metavar="N", help="write OUT/grid.sbatch, an array of N jobs")
    parser.add_argument("--sbatch", default="", metavar="OPTIONS", help='--slurm: for Slurm, such as "--gres=gpu:1"')
    parser.add_argument("--submit", action="store_true", help="--slurm: give it to sbatch")
    add_arguments(parser)
    args = parser.parse_args()
    require_stack("mmengine")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.experiments.grid import read_grid
    from rsseg.experiments.slurm import submit, write_script

    grid = read_grid(args.grid, args.tiny, {"seeds": args.seeds}, args.cfg_options)
    out = args.out or Path("work_dirs/grids") / f"{Path(args.grid).stem}{'_tiny' if args.tiny else ''}"
    if args.slurm:
        script = write_script(sys.argv[1:], out, args.slurm, args.sbatch.split())
        write_result(submit(script) if args.submit else f"to submit: sbatch {script}", {"script": script})
        return 0
    return run(grid, args, out)
