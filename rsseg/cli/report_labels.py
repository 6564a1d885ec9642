"""Statistics and an HTML page of labelled sets: converted ones, or released SAMRS folders.

rsseg report labels ROOT [--out DIR] [--gallery N] [--workers N]
rsseg report labels data/samrs/sota data/samrs/sior data/samrs/fast --out work_dirs/samrs

Writes report.html (one file; open it in a browser), totals.json, classes.csv, mask_sizes.csv, tiles.csv, figures/. Of
several sets each report is in DIR/NAME, and DIR has sets.csv, sets_classes.png, sets_mask_sizes.png (SAMRS paper,
figures 5 and 6). Independent jobs share the counting by --shard I/N.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rsseg.commands import add_workers, at_least, make_parser, write_result
from rsseg.io.shards import add_shard, shard_of


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("root", type=Path, nargs="+", help="folder of a set, for example data/nwpu_vhr10/converted")
    parser.add_argument("--out", type=Path, help="folder of the report (default: ROOT/report; of several: required)")
    parser.add_argument("--gallery", type=at_least(0), default=4, help="masks per class and kind (default 4)")
    parser.add_argument("--images", type=Path, help="folder of the images, if the set does not name it")
    parser.add_argument("--classes", help="class table (sota, sior, fast or a .json), if the set does not name one")
    add_workers(parser, 1, "processes")
    add_shard(parser, what="the tiles")
    return parser.parse_args()


def main() -> None:
    """Open the sets, write the reports."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    from rsseg.datasets.labels import open_labels
    from rsseg.reports.labels.report import named_sets, report_label_sets, report_labels, totals_text

    shard = shard_of(shard=args.shard)
    if len(args.root) > 1:
        sets = named_sets(args.root, args.images, args.classes, args.out)
        found = report_label_sets(sets, args.out, args.gallery, args.workers, shard)
        if found is None:
            return
        texts = [f"{name}\n{totals_text(totals)}" for name, totals in found.items()]
        write_result("\n\n".join([*texts, f"written to {args.out}"]), found)
        return
    labels = open_labels(args.root[0], args.images, args.classes)
    out = args.out or args.root[0] / "report"
    totals = report_labels(labels, out, args.gallery, args.workers, shard)
    if totals is None:
        return
    write_result(f"{totals_text(totals)}\nwritten to {out}: report.html, tables, figures/", totals)
