"""Run a grid of experiments, rows x columns x seeds of (config, overrides), and gather tables and figures.

rsseg grid configs/grids/samrs_table5.py [--out DIR] [--tiny] [--seeds 0 1 2] [--jobs N | --gpus 0,1,2,3]
rsseg grid configs/grids/samrs_table5.py --slurm 8 --sbatch gres=gpu:1 time=12:00:00 [--submit]
rsseg grid configs/grids/samrs_table5.py --tables

OUT gets table.md and table.csv (mean and standard deviation over seeds, differences, paired tests on the test images),
runs.csv (each run with its state, scores, commands and log), the figures, and a folder for each run. If it is
interrupted, even killed, repeat the command to continue. A failed run is named and does not stop the others; exit
status 1. --tiny runs the grid at the scale of a CPU. --tables runs nothing and gathers what is finished.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rsseg.commands import at_least, make_parser, write_result
from rsseg.grids import add_arguments, run_grid
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Read the grid, run it or hand it to Slurm."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("grid", help="config of the grid, for example configs/grids/samrs_table5.py")
    parser.add_argument("--out", type=Path, help="folder of the runs and tables (default: work_dirs/grids/NAME)")
    parser.add_argument("--tiny", action="store_true", help="at the scale of a CPU: the config's 'tiny'")
    parser.add_argument("--slurm", type=at_least(1), metavar="N", help="write OUT/grid.sbatch, an array of N jobs")
    parser.add_argument("--sbatch", nargs="+", default=[], metavar="KEY=VALUE", help="--slurm: options of sbatch")
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
        script = write_script(
            [args.grid, *(word for word in sys.argv[1:] if word != args.grid)], out, args.slurm, args.sbatch
        )
        write_result(submit(script) if args.submit else f"to submit: sbatch {script}", {"script": script})
        return 0
    return run_grid(grid, args, out)
