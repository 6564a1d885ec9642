"""Train a model from a config: pre-training, fine-tuning or from scratch.

rsseg train CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp] [--compile]
                      [--log tensorboard] [--cfg-options key=value ...] [--launcher pytorch]
"""

from __future__ import annotations

import argparse
import os

from rsseg.commands import make_parser
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import add_arguments

    parser = make_parser(__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--resume", nargs="?", const="auto", help="resume from the latest checkpoint in the work dir, or from this one"
    )
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast, on GPU and CPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile the backbone")
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Build the runner and train."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    args = parse_args()
    require_stack()
    from mmengine.runner import Runner

    from rsseg.engine.launch import apply_arguments, start_processes
    from rsseg.engine.saving import naming_full_disk
    from rsseg.io.configs import read_config
    from rsseg.io.resuming import latest_checkpoint

    cfg = read_config(args.config)
    apply_arguments(cfg, args)
    if args.amp:
        from rsseg.engine.optim import use_autocast

        use_autocast(cfg.optim_wrapper)
    if args.compile:
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="mmseg.CompileBackbone")]
    if args.resume:
        checkpoint = latest_checkpoint(cfg.work_dir) if args.resume == "auto" else args.resume
        cfg.resume, cfg.load_from = checkpoint is not None, checkpoint or cfg.get("load_from")
    start_processes(args.launcher)
    with naming_full_disk(cfg.work_dir):
        Runner.from_cfg(cfg).train()
