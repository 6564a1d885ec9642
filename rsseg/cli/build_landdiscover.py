"""Build LandDiscover50K from the five sets it is made of, in the layout in which it is published.

rsseg build-landdiscover data/landdiscover --openearthmap data/openearthmap --loveda LOVEDA
    --deepglobe DEEPGLOBE --sota data/samrs/sota --sior data/samrs/sior data/samrs/sior_test [--copy]
rsseg build-landdiscover data/landdiscover --only-lists         (of the published archive, unpacked)

Give what you have: the account says how many pairs of each set are missing. Classes merge by name (the table
rsseg/metainfo/landdiscover.json). Images are links to your files; --copy writes PNGs instead. Writes counts.csv and
lists/, too: one list for each set, and 10k_seed0.txt to 40k_seed0.txt. If it is interrupted, repeat the command to
continue. Exit status 1 names the files that could not be used; everything else is built.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import add_workers, at_least, make_parser
from rsseg.stack import require_stack

SETS = {"openearthmap": "OpenEarthMap", "loveda": "LoveDA", "deepglobe": "DeepGlobe", "sota": "SOTA", "sior": "SIOR"}


def main() -> int | str | None:
    """Parse the arguments, build, write the lists."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path, help="folder of the set")
    for name, shown in SETS.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", metavar="DIR", help=f"folders of {shown}")
    parser.add_argument("--copy", action="store_true", help="write all images as PNG, so that the set can be moved")
    parser.add_argument("--only-lists", action="store_true", help="only write the lists of the existing pairs")
    parser.add_argument(
        "--subsets", type=at_least(1), nargs="*", default=[10000, 20000, 30000, 40000], help="sizes of the random lists"
    )
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[0], help="of the random lists (default 0)")
    add_workers(parser)
    parser.add_argument("--update", action="store_true", help="rewrite the pairs whose files have changed")
    args = parser.parse_args()
    require_stack()
    folders = {name: getattr(args, name) for name in SETS if getattr(args, name)}
    if bool(folders) == args.only_lists:
        parser.error("name at least one dataset, or use --only-lists alone")
    from rsseg.datasets.landdiscover import build_landdiscover, list_pairs, write_subsets

    built = build_landdiscover(folders, args.out, args.copy, args.workers, args.update) if folders else None
    if built is None or built.pairs:
        write_subsets(list_pairs(args.out), args.out / "lists", args.subsets, args.seeds)
    return built.error_summary if built else None
