"""Train and test methods of domain adaptation with several seeds; one table (OpenEarthMap paper, table 6).

rsseg methods work_dirs/methods --row "source only" configs/scenes/deeplab_v2_lite0_source_only_scenes.py
    --row oracle configs/scenes/deeplab_v2_lite0_oracle_scenes.py --row NAME CONFIG [key=value ...]
    [--seeds 0 1 2] [--cfg-options key=value ...]

A row whose config is a search (rsseg search) searches, then trains and tests what was found; its settings are those of
the search. Without --row all methods of configs/scenes/deeplab_v2_lite0_*_scenes.py are compared, on a CPU. Each run is
rsseg train, then rsseg test. If it is interrupted, even killed, repeat the command to continue. OUT gets table.md,
runs.csv, figure.png (predictions of each method) and a folder for each run. Exit status 1 where a run failed.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import at_least, make_parser, write_result
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, run the grid, print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path, help="folder of the runs and tables")
    what = "row of the table: name, config, and settings of this row"
    parser.add_argument("--row", nargs="+", action="append", metavar="NAME CONFIG [key=value]", help=what)
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--metric", default="mIoU", help="score of the table: mIoU, mF1, mAcc, OA (default mIoU)")
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints of finished runs")
    parser.add_argument("--update", action="store_true", help="repeat runs whose config, weights or data have changed")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="settings of all runs: key=value ...")
    args = parser.parse_args()
    require_stack("mmengine")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.demo.processes import fork_tool
    from rsseg.experiments.few_labels import Init
    from rsseg.experiments.methods import SCENES, MethodGrid
    from rsseg.reports.methods import write_method_figure

    if short := [row for row in args.row or () if len(row) < 2]:
        parser.error(f"--row {short[0][0]} requires a config")
    root = packaged_root()
    rows = [Init(name, Path(config), tuple(options)) for name, config, *options in args.row or SCENES]
    grid = MethodGrid(root, Path(), args.out, rows, [100.0], args.seeds, args.metric, args.cfg_options)
    grid.keep, grid.update, grid.launch = args.keep, args.update, fork_tool
    table = grid.run()
    write_method_figure(
        {row.name: grid.folder(row, 100.0, args.seeds[0]) / "maps" for row in rows},
        rows[0].config,
        args.out / "figure.png",
    )
    write_result(table, None)
    return f"{len(grid.failures)} runs failed; repeat the command to run them again" if grid.failures else 0
