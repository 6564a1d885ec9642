"""Search for a network's architecture, and write a config that trains what was found.

rsseg search CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--from CHECKPOINT] [--amp]
                       [--log tensorboard] [--cfg-options key=value ...] [--launcher pytorch]

DIR gets architecture.json, architecture.png and retrain.py; then: rsseg train DIR/retrain.py
"""

from __future__ import annotations

import argparse
import os

from rsseg.commands import make_parser, write_result
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import add_arguments, add_training_arguments

    parser = make_parser(__doc__, results=True)
    parser.add_argument("config", help="config file of a search")
    add_training_arguments(parser)
    parser.add_argument("--from", dest="start", metavar="CHECKPOINT", help="search no further: derive from this one")
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Search, derive, write."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    args = parse_args()
    require_stack()
    from rsseg.engine.launch import apply_arguments, apply_training_arguments, start_processes
    from rsseg.engine.saving import naming_full_disk
    from rsseg.experiments.architecture_search import derive, search
    from rsseg.io.configs import read_config

    cfg = read_config(args.config)
    apply_arguments(cfg, args)
    apply_training_arguments(cfg, args)
    start_processes(args.launcher)
    with naming_full_disk(cfg.work_dir):
        config = derive(cfg, args.start) if args.start else search(cfg)
    if config is not None:
        write_result(f"to train what was found: rsseg train {config}", {"config": str(config)})
