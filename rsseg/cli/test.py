"""Test a checkpoint: per-class IoU, F1 and accuracy, OA, mF1, mIoU, and pictures; P, R, F1, F2 and mAP of image labels.

rsseg test CONFIG CHECKPOINT [--out DIR] [--show-dir DIR] [--tta] [--launcher pytorch]
rsseg test CONFIG CHECKPOINT --on configs/_base_/datasets/loveda.py --merge landcover6
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from rsseg.commands import make_parser
from rsseg.errors import ConfigError
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import add_arguments

    parser = make_parser(__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", help="folder for predictions: palette PNGs in the values of the label files, or a CSV")
    parser.add_argument("--show-dir", help="folder for pictures: image, ground truth and prediction side by side")
    parser.add_argument("--tta", action="store_true", help="average over flips (the config's tta_pipeline)")
    parser.add_argument("--on", metavar="CONFIG", help="test on the test set of this config instead")
    parser.add_argument("--merge", metavar="TABLE", help="--on: common class table of both label sets")
    add_arguments(parser)
    return parser.parse_args()


def _use_other_set(cfg: Any, args: argparse.Namespace) -> str | None:
    """Class table of the predictions, where the test set is another config's."""
    from rsseg.evaluation import use_dataset

    if args.merge and not args.on:
        raise ConfigError("--merge requires --on CONFIG, the config of the other dataset")
    return use_dataset(cfg, args.on, args.merge) if args.on else None


def _check_options(cfg: Any, args: argparse.Namespace) -> None:
    """Refuse an option for maps where the config is of labels per image."""
    given = [name for name in ("on", "merge") if getattr(args, name)]
    if given and cfg.get("default_scope") == "mmpretrain":
        raise ConfigError(f"--{given[0]} requires a segmentation config, but {args.config} classifies whole images")


def main() -> None:
    """Build the runner and test."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    args = parse_args()
    require_stack()
    from mmengine.runner import Runner

    from rsseg.engine.launch import apply_arguments, start_processes, use_tta
    from rsseg.engine.saving import naming_full_disk
    from rsseg.io.configs import read_config

    cfg = read_config(args.config)
    _check_options(cfg, args)
    predicted = _use_other_set(cfg, args)
    apply_arguments(cfg, args)
    load = dict(type="mmseg.LoadTested", checkpoint=args.checkpoint, other_set=bool(args.on))
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), load]
    if args.show_dir:
        pictures = dict(type="mmseg.SavePictures", out_dir=args.show_dir, predicted=predicted)
        cfg.custom_hooks = [*cfg.custom_hooks, pictures]
    if args.out:
        cfg.test_evaluator.output_dir = args.out
    if args.tta:
        use_tta(cfg)
    start_processes(args.launcher)
    with naming_full_disk(cfg.work_dir):
        Runner.from_cfg(cfg).test()
