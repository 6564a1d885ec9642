"""Convert detection labels to segmentation labels.

rsseg convert CONFIG [--predictor sam|grabcut|box|truth] [--out DIR] [--evaluate]

If it is interrupted, repeat the command to continue. Where labels or images have changed since then, it names them;
--update converts only these again. Several processes: tools/dist_convert.sh.
"""

from __future__ import annotations

import argparse
import logging
import os

from rsseg.commands import make_parser
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import ConfigOptions

    parser = make_parser(__doc__)
    parser.add_argument("config", help="config file, for example configs/samrs/convert_sota.py")
    parser.add_argument("--out", help="output folder (default: the config's out_dir)")
    parser.add_argument("--images", help="image folder (default: the config's source)")
    parser.add_argument("--annotations", help="label folder or file (default: the config's source)")
    parser.add_argument("--predictor", help="mask model: sam, mobile_sam, sam2, grabcut, box, truth, or your own")
    parser.add_argument("--evaluate", action="store_true", help="mask quality against ground truth: mIOU_I, mIOU_P")
    parser.add_argument("--on-error", choices=("skip", "raise"), default="skip", help="unusable objects and images")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier conversion in the folder first")
    parser.add_argument("--update", action="store_true", help="convert images again whose files have changed")
    parser.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, help="config overrides, key=value")
    return parser.parse_args()


def main() -> int | str | None:
    """Load the config, apply the options, convert."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    require_stack()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from rsseg.conversion import convert_labels, load_conversion_config, shard_of

    own = {"source.images": args.images, "source.annotations": args.annotations}
    own["source.parts"] = [] if any(own.values()) else None
    options = {"out_dir": args.out, "predictor": args.predictor, **own}
    options = {**(args.cfg_options or {}), **{key: value for key, value in options.items() if value is not None}}
    config = load_conversion_config(args.config, options)
    shard = shard_of(args.launcher)
    report = convert_labels(config, args.on_error, args.overwrite, args.evaluate, shard, args.update)
    return report.error_summary
