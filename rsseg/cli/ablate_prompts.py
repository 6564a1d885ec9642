"""Try prompt kinds of a mask model on a set with ground-truth masks: mIOU_I, mIOU_P, per class.

rsseg ablate CONFIG [--prompts hbox cp cp+hbox hbox_m ...] [--predictor sam] [--out DIR]
Each image is encoded once for all prompts.  Writes ablation.json, .csv and .png; the same command resumes.
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
    parser.add_argument("config", help="conversion config with ground truth, for example configs/samrs/convert_hrsc.py")
    parser.add_argument("--prompts", nargs="+", help="prompt kinds (default: the 15 of SAMRS, table 1)")
    parser.add_argument("--predictor", help="mask model: sam, grabcut, box, or a name in predictors")
    parser.add_argument("--out", help="output folder (default: the config's out_dir + _ablation_ + predictor)")
    parser.add_argument("--samrs-compat-union", action="store_true", help="count missing ground truth as IoU 0")
    parser.add_argument("--on-error", choices=("skip", "raise"), default="skip", help="unusable objects and images")
    parser.add_argument("--overwrite", action="store_true", help="delete the results of an earlier run first")
    parser.add_argument("--update", action="store_true", help="convert images again whose files have changed")
    parser.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, help="config overrides, key=value")
    return parser.parse_args()


def main() -> int | str | None:
    """Load the config, apply the options, measure, draw."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    require_stack()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from rsseg.conversion import load_conversion_config, shard_of
    from rsseg.conversion.ablation import PAPER_PROMPTS, ablate_prompts
    from rsseg.reports.ablation import ablation_figure
    from rsseg.reports.figures import save_figure

    told = {**(args.cfg_options or {}), **({"predictor": args.predictor} if args.predictor else {})}
    prompts, union = args.prompts or PAPER_PROMPTS, args.samrs_compat_union
    config = load_conversion_config(args.config, told)
    config.out_dir = args.out or f"{config.out_dir}_ablation_{config.predictor}"
    report = ablate_prompts(config, prompts, union, args.on_error, args.overwrite, shard_of(args.launcher), args.update)
    if report.result is not None:
        save_figure(ablation_figure(report.result), report.out_dir / "ablation.png")
    return report.error_summary
