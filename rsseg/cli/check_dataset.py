"""Read every image and label of a segmentation config once and say what would stop or spoil a training.

rsseg check CONFIG [--workers N] [--show N] [--cfg-options key=value ...]

Any config of mmseg, by the transforms of its own pipelines: a table of classes with pixels, images and class weights;
kinds of images, mean and deviation of their bands; missing, unreadable and mismatched files; images that training would
refuse or read wrongly; values that are no class; labels that look off by one; images in two splits; heads that do not
fit.  Where bands, range, mean or deviation are missing or far off, lines for the config are proposed.  Exit status 1
where there are problems.
"""

from __future__ import annotations

import argparse
import logging
import os

from rsseg.commands import add_workers, at_least, make_parser, write_result
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import ConfigOptions

    parser = make_parser(__doc__, results=True)
    parser.add_argument("config", help="config file")
    add_workers(parser)
    parser.add_argument("--show", type=at_least(0), default=3, help="files to name of each problem (default 3)")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, help="override settings: key=value ...")
    return parser.parse_args()


def main() -> int | str | None:
    """Check and report."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    require_stack()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from rsseg.api import check_dataset
    from rsseg.datasets.checking.table import describe

    check = check_dataset(args.config, args.cfg_options, args.workers)
    found = {"problems": check.problems, "notes": check.notes, "proposals": check.proposals}
    write_result(describe(check, args.show), found)
    return 1 if check.problems else 0
