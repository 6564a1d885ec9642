"""Try prompt kinds of a mask model on a set with ground-truth masks: mIOU_I, mIOU_P, per class.

rsseg ablate CONFIG [--prompts hbox cp cp+hbox hbox_m ...] [--predictor sam] [--out DIR]
Each image is encoded once for all prompts.  Writes ablation.json, .csv and .png; the same command resumes.
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, write_result
from rsseg.io.shards import shard_of
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Load the config, apply the options, measure, draw."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rsseg.conversion.command import add_conversion_options, options_of_config

    parser = make_parser(__doc__, results=True)
    what = "conversion config with ground truth, for example configs/samrs/convert_hrsc.py"
    add_conversion_options(parser, what, "the config's out_dir + _ablation_ + predictor")
    parser.add_argument("--prompts", nargs="+", help="prompt kinds (default: the 15 of SAMRS, table 1)")
    parser.add_argument("--samrs-compat-union", action="store_true", help="count missing ground truth as IoU 0")
    args = parser.parse_args()
    require_stack()
    from rsseg.conversion import load_conversion_config
    from rsseg.conversion.ablation import PAPER_PROMPTS, ablate_prompts, ablation_table
    from rsseg.reports.ablation import ablation_figure
    from rsseg.reports.figures import save_figure

    prompts, union = args.prompts or PAPER_PROMPTS, args.samrs_compat_union
    config = load_conversion_config(args.config, options_of_config(args))
    config.out_dir = args.out or f"{config.out_dir}_ablation_{config.predictor}"
    shard = shard_of(args.launcher, args.shard)
    report = ablate_prompts(config, prompts, union, args.on_error, args.overwrite, shard, args.update)
    if report.result is not None:
        save_figure(ablation_figure(report.result), report.out_dir / "ablation.png")
        write_result(f"{ablation_table(report.result)}\nwritten to {report.out_dir}", report.result)
    return report.error_summary
