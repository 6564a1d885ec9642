"""Export a labelled set to SAMRS's pickles, colour images, YOLO polygons or COCO.

rsseg export ROOT --to pkl color yolo coco [--out DIR]

ROOT is the output folder of rsseg convert, or one subset of the released SAMRS folders, for example
dotav2_1024/trainval. If it is interrupted, repeat the command to continue.
"""

from __future__ import annotations

import argparse

from rsseg.commands import make_parser, write_result


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("root", help="the labelled set")
    parser.add_argument("--to", nargs="+", required=True, choices=("pkl", "color", "yolo", "coco"), help="formats")
    parser.add_argument("--out", help="output folder (default: ROOT): ins/, color/, yolo/, instances.json")
    parser.add_argument("--images", help="folder of the images, if the set does not name it or they have moved")
    parser.add_argument("--classes", help="class table (sota, sior, fast or a .json), if the set does not name one")
    parser.add_argument("--overwrite", action="store_true", help="rewrite finished files")
    parser.add_argument("--update", action="store_true", help="rewrite the tiles whose instances have changed")
    return parser.parse_args()


def main() -> int | str:
    """Export, then say what was written."""
    args = parse_args()
    from rsseg.conversion.exports import export_labels, export_summary

    rows = export_labels(args.root, args.to, args.out, args.images, args.classes, args.overwrite, args.update)
    write_result(export_summary(rows), [vars(row) for row in rows])
    failed = sum(len(row.problems) for row in rows)
    return f"{failed} files could not be exported (see above); repeat the command once they are whole" if failed else 0
