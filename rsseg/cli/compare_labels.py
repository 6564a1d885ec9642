"""Compare two folders of labels of the same images: annotator against annotator, or annotator against model.

rsseg compare FIRST SECOND OUT --table openearthmap [--list names.txt]
rsseg compare data/openearthmap PREDICTIONS OUT --table openearthmap
rsseg compare FIRST SECOND OUT --table chesapeake --second-table openearthmap --merge landcover6

Prints the share of equal pixels and the IoU of each class; OUT gets classes.csv, confusion.csv, images.csv and
confusion.png.  PREDICTIONS: what rsseg test --out or rsseg map wrote.  Files belong together by their name
without suffix; with their folders, where one name occurs in several.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import add_workers, make_parser, write_result


def main() -> int | str | None:
    """Parse the arguments, compare, write."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__, results=True)
    parser.add_argument("first", type=Path, help="folder of labels; rows of the confusion matrix")
    parser.add_argument("second", type=Path, help="folder of labels; columns")
    parser.add_argument("out", type=Path, help="folder of the tables and the figure")
    parser.add_argument("--table", required=True, help="class table of both folders, or of the first one only")
    parser.add_argument("--second-table", help="class table of the second folder, if it differs")
    parser.add_argument("--merge", help="common class table into which both merge by name, such as landcover6")
    parser.add_argument("--titles", nargs=2, default=("first", "second"), help="names of the folders in the figure")
    parser.add_argument("--list", type=Path, help="compare only these files; a text file with one name per line")
    add_workers(parser)
    args = parser.parse_args()
    from rsseg.evaluation.agreement import LabelFolder, compare_folders
    from rsseg.reports.agreement import agreement_text, confusion_figure, write_agreement
    from rsseg.reports.figures import save_figure

    first = LabelFolder(args.first, args.table, args.merge)
    second = LabelFolder(args.second, args.second_table or args.table, args.merge)
    agreement = compare_folders(first, second, args.list, args.workers)
    write_agreement(agreement, args.out)
    save_figure(confusion_figure(agreement, tuple(args.titles)), args.out / "confusion.png")
    scores = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in agreement.scores.items()}
    write_result(agreement_text(agreement), {"classes": agreement.classes, "equal": agreement.equal, **scores})
    return f"{len(agreement.problems)} files could not be compared" if agreement.problems else 0
