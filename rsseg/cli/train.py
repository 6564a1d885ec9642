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
    from rsseg.engine.launch import add_arguments, add_training_arguments

    parser = make_parser(__doc__)
    parser.add_argument("config", help="config file")
    add_training_arguments(parser)
    parser.add_argument("--compile", action="store_true", help="torch.compile the backbone")
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Build the runner and train."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    args = parse_args()
    require_stack()
    from mmengine.runner import Runner

    from rsseg.engine.launch import apply_arguments, apply_training_arguments, start_processes
    from rsseg.engine.saving import naming_full_disk
    from rsseg.io.configs import read_config

    cfg = read_config(args.config)
    apply_arguments(cfg, args)
    apply_training_arguments(cfg, args)
    if args.compile:
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="mmseg.CompileBackbone")]
    start_processes(args.launcher)
    with naming_full_disk(cfg.work_dir):
        Runner.from_cfg(cfg).train()
