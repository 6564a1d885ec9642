"""Statistics and an HTML page of a labelled set: a converted one, or one of the released SAMRS folders.

rsseg report labels ROOT [--out DIR] [--gallery N] [--workers N]

Writes report.html (one file; open it in a browser), totals.json, classes.csv, mask_sizes.csv, tiles.csv, figures/.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rsseg.commands import add_workers, at_least, make_parser, write_result


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("root", type=Path, help="folder of the set, for example data/nwpu_vhr10/converted")
    parser.add_argument("--out", type=Path, help="folder of the report (default: ROOT/report)")
    parser.add_argument("--gallery", type=at_least(0), default=4, help="masks per class and kind (default 4)")
    parser.add_argument("--images", type=Path, help="folder of the images, if the set does not name it")
    parser.add_argument("--classes", help="class table (sota, sior, fast or a .json), if the set does not name one")
    add_workers(parser, 1, "processes")
    return parser.parse_args()


def main() -> None:
    """Open the set, write the report."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    from rsseg.datasets.labels import open_labels
    from rsseg.reports.labels.report import report_labels, totals_text

    labels = open_labels(args.root, args.images, args.classes)
    out = args.out or args.root / "report"
    totals = report_labels(labels, out, args.gallery, args.workers)
    write_result(f"{totals_text(totals)}\nwritten to {out}: report.html, tables, figures/", totals)
