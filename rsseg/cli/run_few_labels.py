"""Fine-tune with few labels from several initialisations and print the table (SAMRS paper, tables 5 and 6).

rsseg few-labels data/splits/potsdam work_dirs/few/potsdam --metric mF1 --tta
    --init IMP configs/potsdam/unet_r50_few_potsdam.py --init IMP+SEP configs/potsdam/unet_r50_few_from_sep_potsdam.py
    [--percent 5 3 1] [--seeds 0 1 2] [--gpus 0,1 | --jobs N] [--cfg-options key=value ...]

LISTS holds what rsseg few-lists wrote. It is a grid of these rows, as of rsseg grid, with its tables and options. Rows
named X+... are followed by their difference to X. If it is interrupted, repeat the command to continue.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import above, make_parser
from rsseg.grids import add_arguments, run_grid
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, run the grid, print the table."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("lists", type=Path, help="folder of the lists")
    parser.add_argument("out", type=Path, help="folder of the runs and tables")
    what = "row of the table: name, config, and settings of this row"
    parser.add_argument(
        "--init", nargs="+", action="append", required=True, metavar="NAME CONFIG [key=value]", help=what
    )
    parser.add_argument("--percent", type=above(0), nargs="+", default=[5, 3, 1], help="shares (default: 5 3 1)")
    parser.add_argument("--metric", default="mIoU", help="score of the table: mIoU, mF1, mAcc, OA (default mIoU)")
    parser.add_argument("--tta", action="store_true", help="test with flips, as the SAMRS release does")
    add_arguments(parser)
    args = parser.parse_args()
    require_stack("mmengine")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.experiments.presets import few_labels

    if short := [init for init in args.init if len(init) < 2]:
        parser.error(f"--init {short[0][0]} requires a config")
    grid = few_labels(
        args.lists, args.init, args.percent, args.seeds or (0, 1, 2), args.metric, args.tta, args.cfg_options
    )
    return run_grid(grid, args, args.out)
