"""Train and test methods of domain adaptation with several seeds; one table (OpenEarthMap paper, table 6).

rsseg methods work_dirs/methods --row "source only" configs/scenes/deeplab_v2_lite0_source_only_scenes.py
    --row oracle configs/scenes/deeplab_v2_lite0_oracle_scenes.py --row NAME CONFIG [key=value ...]
    [--seeds 0 1 2] [--cfg-options key=value ...]

It is a grid of these rows, as of rsseg grid, with its tables and options. A row whose config is a search (rsseg search)
searches, then trains and tests what was found; its settings are those of the search. Without --row all methods of
configs/scenes/deeplab_v2_lite0_*_scenes.py are compared, on a CPU. OUT also gets maps.png, predictions of each.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import make_parser
from rsseg.grids import add_arguments, run_grid
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, run the grid, print the table."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("out", type=Path, help="folder of the runs and tables")
    what = "row of the table: name, config, and settings of this row"
    parser.add_argument("--row", nargs="+", action="append", metavar="NAME CONFIG [key=value]", help=what)
    parser.add_argument("--metric", default="mIoU", help="score of the table: mIoU, mF1, mAcc, OA (default mIoU)")
    add_arguments(parser)
    args = parser.parse_args()
    require_stack("mmengine")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.experiments.presets import SCENES, methods

    if short := [row for row in args.row or () if len(row) < 2]:
        parser.error(f"--row {short[0][0]} requires a config")
    grid = methods(args.row or SCENES, args.seeds or (0, 1, 2), args.metric, args.cfg_options)
    return run_grid(grid, args, args.out)
