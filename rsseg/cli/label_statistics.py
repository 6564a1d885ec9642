"""Count pixels and connected segments of land-cover labels: OpenEarthMap paper, table 2 and figs. 2-4.

rsseg report classes OUT configs/_base_/datasets/openearthmap.py [configs/_base_/datasets/loveda.py ...]
rsseg report classes OUT CONFIG --encoder CONFIG CHECKPOINT [--size 512] [--device cuda]

Each CONFIG is one set; several are drawn side by side.  For OpenEarthMap also by region and continent, and with
--encoder a map of its regions (t-SNE of a trained encoder's features).  Independent jobs share the work by --shard I/N.
Exit status 1 names broken labels.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import add_workers, at_least, make_parser
from rsseg.io.shards import add_shard, shard_of
from rsseg.messages import few
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, count, draw."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.engine.launch import ConfigOptions

    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path, help="folder of the tables and figures")
    parser.add_argument("configs", nargs="+", metavar="config", help="config of a set")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "val"], choices=["train", "val", "test"], help="what to read"
    )
    parser.add_argument("--encoder", nargs=2, metavar=("CONFIG", "CHECKPOINT"), help="trained model; for the first set")
    parser.add_argument("--size", type=at_least(1), help="--encoder: resize images to this side (default: no)")
    parser.add_argument("--device", default="cpu", help="--encoder: where it runs (default: cpu)")
    add_workers(parser)
    add_shard(parser, what="the labels")
    parser.add_argument(
        "--cfg-options", nargs="+", action=ConfigOptions, help="settings of the first set: key=value ..."
    )
    args = parser.parse_args()
    require_stack()
    from mmengine.registry import init_default_scope

    from rsseg.engine.features import load_encoder
    from rsseg.io.configs import read_config
    from rsseg.reports.land_cover.report import draw_similarity, report_sets

    init_default_scope("mmseg")
    configs = [read_config(path, None if i else args.cfg_options) for i, path in enumerate(args.configs)]
    model = load_encoder(read_config(args.encoder[0]), args.encoder[1], args.device) if args.encoder else None
    sets = report_sets(configs, args.out, args.splits, args.workers, shard_of(shard=args.shard))
    if model is not None and sets:
        draw_similarity(model, sets[0], args.out, args.size)
    problems = [problem for counts in sets for problem in counts.problems]
    return few(f"{len(problems)} labels could not be used:", problems, f"{args.out}/left_out_*.txt") if problems else 0
