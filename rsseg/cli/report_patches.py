"""Labels of patches by several models: a page of example patches, and p-values of their differences (BigEarthNet).

rsseg report patches data/bigearthnet_v1 OUT --model S-CNN-RGB=predictions_rgb --model S-CNN-All=predictions_all
    [--version v1] [--count 12] [--seed 0] [--patches LIST]

A model is its name and the folder that rsseg test --out has written. OUT gets patches.html (paper, figure 1 and
table 3: stretched red, green and blue, true labels, each model's right, missed and wrong ones). With two models or
more, each is compared with the one before it: p_values.csv has P, R, F1 and F2 (paired bootstrap, Wilcoxon; paper,
section 4), p_values_classes.csv has McNemar's test of each class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rsseg.commands import at_least, make_parser


def _model(text: str) -> tuple[str, Path]:
    name, found, folder = text.partition("=")
    if not (name and found and folder):
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, not {text!r}")
    return name, Path(folder)


def main() -> None:
    """Parse the arguments, compare, write the page."""
    parser = make_parser(__doc__)
    parser.add_argument("root", type=Path, help="folder of the unpacked archive")
    parser.add_argument("out", type=Path, help="folder of the page and tables")
    parser.add_argument("--model", type=_model, action="append", required=True, metavar="NAME=FOLDER",
                        help="name of a model and folder of its predictions.csv; may be repeated")  # fmt: skip
    parser.add_argument("--version", choices=["v1", "v2"], default="v1", help="of BigEarthNet (default v1)")
    parser.add_argument("--count", type=at_least(1), default=12, help="patches to show (default %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="another seed chooses other patches (default 0)")
    parser.add_argument("--patches", type=Path, help="list of the patches to show, one a line, instead of --count")
    args = parser.parse_args()
    if len(dict(args.model)) < len(args.model):
        parser.error("--model: two models have the same name")
    from rsseg.datasets.bigearthnet.lists import read_list
    from rsseg.evaluation.label_predictions import common_predictions, read_predictions
    from rsseg.experiments.label_comparison import write_significance
    from rsseg.reports.bigearthnet.examples import choose_patches, write_examples

    models = common_predictions({name: read_predictions(folder) for name, folder in dict(args.model).items()})
    names = next(iter(models.values())).names
    listed = [name for name, _ in read_list(args.patches)] if args.patches else []
    patches = listed or choose_patches(names, args.count, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    tests = write_significance(models, args.out)
    write_examples(args.out / "patches.html", args.root, models, patches, args.version, tests)
