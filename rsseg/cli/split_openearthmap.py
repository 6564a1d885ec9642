"""Write OpenEarthMap's lists: its official ones or a new 6:1:3 split, regions, continents, shares of the training list.

rsseg split-openearthmap data/openearthmap [data/splits/openearthmap] [--available] [--percent 10 50]
rsseg split-openearthmap data/openearthmap data/splits/openearthmap_new --new [--trials 10000] [--seed 0]

Writes {train,val,test}.txt; regional/{source,target}_*.txt (73 and 24 regions); continents/<code>_*.txt, each a source
or a target; few/few_<percent>_seed<seed>.txt; lists.sha256.  --new reads all labels and also writes split.csv.
A config uses a list by train_dataloader.dataset.subset=LIST train_dataloader.dataset.ann_file=''
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import above, add_workers, at_least, make_parser


def main() -> None:
    """Parse the arguments, read or draw the lists, write."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__)
    parser.add_argument("root", type=Path, help="folder of the unpacked release")
    parser.add_argument("out", nargs="?", type=Path, default=Path("data/splits/openearthmap"), help="where to")
    parser.add_argument("--new", action="store_true", help="make a new split of all labelled images, region by region")
    parser.add_argument("--trials", type=at_least(1), default=10000, help="--new: divisions per region (default 10000)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="--new: seed of the divisions (default 0)")
    parser.add_argument("--available", action="store_true", help="exclude missing images, such as those of xBD")
    parser.add_argument("--certain", action="store_true", help="exclude regions of uncertain continent")
    parser.add_argument(
        "--percent", type=above(0), nargs="+", default=[10], help="shares of the training list (default 10)"
    )
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[0, 1, 2], help="of the shares (default 0 1 2)")
    add_workers(parser, what="threads that read labels")
    args = parser.parse_args()
    from rsseg.datasets.openearthmap import make_lists, new_split

    lists = (args.root, args.out, args.percent, args.seeds, args.certain)
    if args.new:
        new_split(*lists, args.trials, args.seed, args.workers)
    else:
        make_lists(*lists, args.available)
