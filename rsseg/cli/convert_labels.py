"""Convert detection labels to segmentation labels.

rsseg convert CONFIG [--predictor sam|boxmask|grabcut|box|truth] [--checkpoint FILE]
                     [--out DIR] [--evaluate]

If it is interrupted, repeat the command to continue. Where labels or images have changed since then, it names them;
--update converts only these again. Several processes: tools/dist_convert.sh. Classes to leave out on purpose:
--cfg-options 'source.omit=["helicopter"]'. --review applies what reviewers decided on the page of rsseg serve: objects
go, change their class or are drawn anew, and manifest.json lists it under "review".
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, write_result
from rsseg.io.shards import shard_of
from rsseg.io.tile_formats import add_tile_format
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Load the config, apply the options, convert."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rsseg.conversion.command import add_conversion_options, options_of_config

    parser = make_parser(__doc__, results=True)
    add_conversion_options(
        parser, "config file, for example configs/samrs/convert_sota.py", "the config's out_dir", True
    )
    add_tile_format(parser, None)
    parser.add_argument("--evaluate", action="store_true", help="mask quality against ground truth: mIOU_I, mIOU_P")
    parser.add_argument("--review", nargs="+", default=(), metavar="FILE", help="apply the decisions of rsseg serve")
    rules = ("majority", "any-reject", "unanimous")
    parser.add_argument("--review-rule", choices=rules, default=rules[0], help="where reviewers disagree")
    args = parser.parse_args()
    require_stack()
    if args.launcher == "ray":
        from rsseg.conversion.cluster import convert_on_cluster

        report = convert_on_cluster(args)
    else:
        from rsseg.conversion import convert_labels, load_conversion_config

        config = load_conversion_config(args.config, options_of_config(args))
        shard = shard_of(args.launcher, args.shard)
        options = (args.on_error, args.overwrite, args.evaluate, shard, args.update, args.review, args.review_rule)
        report = convert_labels(config, *options)
    if report.manifest is not None:
        write_result(report.summary, {"out_dir": report.out_dir, "evaluation": report.evaluation, **report.manifest})
    return report.error_summary
