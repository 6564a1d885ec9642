"""Write a data set of procedural aerial scenes with exact labels.

Examples:
    rsseg scenes dota data/scenes/dota --count 40 --seed 0 --size 512 --workers 2
    rsseg scenes domains data/scenes/domains --count 120 --size 256

The layout domains is land cover of source and target regions that look different, with lists for adaptation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rsseg.commands import above, add_workers, at_least, make_parser, write_result


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.scenes import LAYOUTS, THEMES

    parser = make_parser(__doc__, results=True)
    parser.add_argument("layout", choices=list(LAYOUTS), help="layout of the files")
    parser.add_argument("out", type=Path, help="root folder of the set")
    parser.add_argument("--count", type=at_least(1), default=20, help="number of images (default: %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default: %(default)s")
    parser.add_argument(
        "--size", type=at_least(1), nargs="+", default=[512], help="pixels: one side, or height and width"
    )
    parser.add_argument("--theme", nargs="+", choices=list(THEMES), help="kinds of scene (default: all suitable kinds)")
    parser.add_argument("--in-turn", action="store_true", help="as many scenes of each kind, one after the other")
    parser.add_argument("--gsd", type=above(0), help="metres per pixel (default: by kind of scene)")
    parser.add_argument(
        "--val", type=at_least(0), help="land cover: images in val.txt (default: a fifth); domains: of each domain"
    )
    parser.add_argument("--test", type=at_least(0), help="land cover, domains: images in test.txt (default: a fifth)")
    add_workers(parser, 1, "processes")
    return parser.parse_args()


def main() -> None:
    """Write the set and say where it is."""
    args = parse_args()
    from rsseg.scenes import write_scenes

    size = args.size[0] if len(args.size) == 1 else tuple(args.size)
    options = {"theme": args.theme, "gsd": args.gsd, "val": args.val, "test": args.test, "in_turn": args.in_turn}
    stems = write_scenes(args.layout, args.out, args.count, args.seed, size, workers=args.workers, **options)
    text = f"{len(stems)} {args.layout} scenes in {args.out} ({stems[0]} ... {stems[-1]})"
    write_result(text, {"folder": args.out, "scenes": stems})
