"""Cut the published archives of Potsdam, iSAID or DeepGlobe (land cover) into the tiles that fine-tuning reads.

rsseg prepare potsdam ARCHIVE [data/potsdam] [--bands IRRG] [--eroded] [--tolerance N]
rsseg prepare isaid ARCHIVE [data/isaid/tiles]
rsseg prepare deepglobe ARCHIVE [data/deepglobe]

ARCHIVE is the folder of the unpacked files; how it is divided further does not matter. If it is interrupted, repeat
the command to continue. Exit status 1 names the images that could not be prepared; all others are.
"""

from __future__ import annotations

import os

from rsseg.commands import add_workers, at_least, make_parser
from rsseg.io.tile_formats import add_tile_format

OUT = {"potsdam": "data/potsdam", "isaid": "data/isaid/tiles", "deepglobe": "data/deepglobe"}


def main() -> int | str | None:
    """Parse the arguments, find the files, cut."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = make_parser(__doc__)
    parser.add_argument("set", choices=sorted(OUT))
    parser.add_argument("archive", help="folder of the unpacked files")
    parser.add_argument("out", nargs="?", help="folder of tiles (default: the data_root of the configs)")
    parser.add_argument("--size", type=at_least(1), help="side of a tile in pixels (default: 512, 896, 1224)")
    parser.add_argument("--stride", type=at_least(1), help="stride of the tiles in pixels (default: 320, 512, 1224)")
    parser.add_argument("--bands", default="RGB", choices=["RGB", "IRRG", "RGBIR"], help="Potsdam: which images")
    parser.add_argument("--eroded", action="store_true", help="Potsdam: labels without object borders (noBoundary)")
    parser.add_argument("--splits", default="data/splits/potsdam", help="Potsdam: folder of train.txt and val.txt")
    parser.add_argument("--tolerance", type=at_least(0), default=0, help="largest difference from a known colour")
    add_workers(parser)
    add_tile_format(parser)
    parser.add_argument("--update", action="store_true", help="cut again the images that have changed")
    args = parser.parse_args()
    from rsseg.datasets.deepglobe import deepglobe_pairs, prepare_deepglobe
    from rsseg.datasets.preparation import isaid_pairs, potsdam_pairs, prepare

    out = args.out or OUT[args.set]
    if args.set == "deepglobe":
        how = args.size, args.stride, args.workers, args.update, args.format
        report = prepare_deepglobe(deepglobe_pairs(args.archive), out, *how)
        return report.error_summary
    potsdam = args.set == "potsdam"
    options = (args.splits, args.eroded, args.bands)
    pairs = potsdam_pairs(args.archive, *options) if potsdam else isaid_pairs(args.archive)
    more = args.tolerance, args.workers, args.update, args.format
    report = prepare(args.set, pairs, out, args.size, args.stride, *more)
    return report.error_summary
