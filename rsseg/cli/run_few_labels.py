"""Fine-tune with few labels from several initialisations and print the table (SAMRS paper, tables 5 and 6).

rsseg few-labels data/splits/potsdam work_dirs/few/potsdam --metric mF1 --tta
    --init IMP configs/potsdam/unet_r50_few_potsdam.py --init IMP+SEP configs/potsdam/unet_r50_few_from_sep_potsdam.py
    [--percent 5 3 1] [--seeds 0 1 2] [--gpus 0 1 | --jobs N] [--cfg-options key=value ...]

LISTS holds what rsseg few-lists wrote. Each run is rsseg train, then rsseg test. Rows named X+... are
followed by their difference to X. If it is interrupted, repeat the command to continue. OUT gets table.md, table.csv,
runs.csv and a folder for each run. Exit status 1 where a run failed.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import above, at_least, make_parser, write_result
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, run the grid, print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("lists", type=Path, help="folder of the lists")
    parser.add_argument("out", type=Path, help="folder of the runs and tables")
    what = "row of the table: name, config, and settings of this row"
    parser.add_argument(
        "--init", nargs="+", action="append", required=True, metavar="NAME CONFIG [key=value]", help=what
    )
    parser.add_argument("--percent", type=above(0), nargs="+", default=[5, 3, 1], help="shares (default: 5 3 1)")
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--metric", default="mIoU", help="score of the table: mIoU, mF1, mAcc, OA (default mIoU)")
    parser.add_argument("--jobs", type=at_least(1), default=1, help="runs at the same time (default 1)")
    parser.add_argument("--gpus", nargs="+", help="one run at a time on each of these GPUs, for example 0 1 2 3")
    parser.add_argument("--tta", action="store_true", help="test with flips, as the SAMRS release does")
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints of finished runs")
    parser.add_argument("--update", action="store_true", help="repeat runs whose config, weights or data have changed")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="settings of all runs: key=value ...")
    args = parser.parse_args()
    require_stack("mmengine")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.experiments.few_labels import FewLabels, Init

    if short := [init for init in args.init if len(init) < 2]:
        parser.error(f"--init {short[0][0]} requires a config")
    inits = [Init(name, Path(config), tuple(options)) for name, config, *options in args.init]
    places = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in args.gpus] if args.gpus else [{}] * max(args.jobs, 1)
    grid = (args.lists, args.out, inits, args.percent, args.seeds, args.metric, args.cfg_options, places)
    few = FewLabels(packaged_root(), *grid, args.tta, args.keep, args.update)
    write_result(few.run(), None)
    return f"{len(few.failures)} runs failed; repeat the command to run them again" if few.failures else 0
