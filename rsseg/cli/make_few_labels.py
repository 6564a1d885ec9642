"""Write lists of a few per cent of a training set, drawn evenly from its source images, with checksums.

rsseg few-lists potsdam data/splits/potsdam
rsseg few-lists data/isaid/tiles/img_dir/train data/splits/isaid
rsseg few-lists data/nwpu_vhr10/masks data/splits/nwpu_vhr10 --percent 1 3 5 --seeds 0 1 2
rsseg few-lists data/splits/openearthmap/train.txt LISTS --every 10

TILES is a folder of image tiles, a converted set, a list of names, or the word potsdam (the official tiles by name; no
data needed).  A config trains on a list by train_dataloader.dataset.subset=data/splits/SET/few_1_seed0.txt
"""

from __future__ import annotations

from rsseg.commands import above, at_least, make_parser


def main() -> None:
    """Parse the arguments, draw, write."""
    parser = make_parser(__doc__)
    parser.add_argument("tiles", help="source of the tiles: a folder, a converted set, a list, or potsdam")
    parser.add_argument("out", help="folder of the lists")
    parser.add_argument("--percent", type=above(0), nargs="+", default=[1, 3, 5], help="shares (default: 1 3 5)")
    parser.add_argument(
        "--seeds", type=at_least(0), nargs="+", default=[0, 1, 2], help="one list each (default: 0 1 2)"
    )
    parser.add_argument("--every", type=at_least(1), help="write instead one list of every N-th tile: few_every_N.txt")
    args = parser.parse_args()
    from rsseg.datasets.preparation import training_tiles, write_every, write_few

    tiles, sources = training_tiles(args.tiles)
    if args.every:
        write_every(tiles, args.out, args.every)
    else:
        write_few(tiles, sources, args.out, args.percent, args.seeds)
