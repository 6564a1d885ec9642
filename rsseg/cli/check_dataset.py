"""Read every image and label of a segmentation config once and say what would stop or spoil a training.

rsseg check CONFIG [--domains] [--workers N] [--show N] [--cfg-options key=value ...]

Any config of mmseg, by the transforms of its own pipelines: a table of classes with pixels, images and class weights;
kinds of images, mean and deviation of their bands; missing, unreadable and mismatched files; images that training would
refuse or read wrongly; values that are no class; labels that look off by one; images in two splits; heads that do not
fit.  Where bands, range, mean or deviation are missing or far off, lines for the config are proposed.  With --domains,
source and target of an adaptation are compared: regions, colours, contrast, sharpness and noise of both, shares of
the source's classes, and what rare-class sampling will draw.  Exit status 1 where there are problems.
"""

from __future__ import annotations

import argparse
import os

from rsseg.commands import add_workers, at_least, make_parser, write_result
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import ConfigOptions

    parser = make_parser(__doc__, results=True)
    parser.add_argument("config", help="config file")
    parser.add_argument("--domains", action="store_true", help="also compare source and target of domain adaptation")
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
    from rsseg.api import check_dataset
    from rsseg.datasets.checking.table import describe

    check = check_dataset(args.config, args.cfg_options, args.workers, args.domains)
    found = {"problems": check.problems, "notes": check.notes, "proposals": check.proposals}
    text = describe(check, args.show)
    if check.domains is not None:
        text, found = f"{check.domains}\n\n{text}", {**found, "domains": check.domains.as_dict()}
    write_result(text, found)
    return 1 if check.problems else 0
