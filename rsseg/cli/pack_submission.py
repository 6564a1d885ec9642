"""Pack predictions of OpenEarthMap's test list, whose labels are withheld, for the benchmark's server.

rsseg test CONFIG CHECKPOINT --out DIR --cfg-options test_dataloader.dataset.ann_file=test.txt \\
    test_dataloader.dataset.labels=False test_evaluator.format_only=True
rsseg pack-submission DIR submission.zip [--root data/openearthmap] [--format png] [--fill 1]

Every image of the list has to be there, with the size of the image and with values of classes only; all others are
named and nothing is written.  The archive holds one 8-bit file for each image, named as in the list.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import at_least, make_parser, write_result
from rsseg.io.tables import boxed


def main() -> None:
    """Parse the arguments, check, pack."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("predictions", type=Path, help="folder of the predictions, as rsseg test --out writes them")
    parser.add_argument("out", type=Path, help="the ZIP archive")
    parser.add_argument(
        "--root", type=Path, default=Path("data/openearthmap"), help="the unpacked release (default: data/openearthmap)"
    )
    parser.add_argument("--list", type=Path, help="list of the images (default: ROOT/test.txt)")
    parser.add_argument("--format", choices=("png", "tif"), default="png", help="of the files (default: png)")
    parser.add_argument("--fill", type=at_least(1), help="class value for pixels of no class (default: an error)")
    args = parser.parse_args()
    from rsseg.datasets.openearthmap import pack_submission
    from rsseg.metainfo import load_metainfo

    done = pack_submission(
        args.predictions, args.out, args.list or args.root / "test.txt", args.root, args.format, args.fill
    )
    total = max(sum(done.classes.values()), 1)
    classes = zip(done.classes.items(), load_metainfo("openearthmap").classes, strict=True)
    rows = [[value, name, count, f"{100 * count / total:.2f}"] for (value, count), name in classes]
    write_result(boxed(["value", "class", "pixels", "%"], rows), vars(done))
