"""Whole runs of mmengine's runner: a training, a test."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.command_list import command
from rsseg.commands import arguments_of
from rsseg.engine.launch import (
    add_arguments,
    add_precision,
    add_training_arguments,
    apply_arguments,
    apply_training_arguments,
    build_runner,
    start_processes,
    use_tta,
)
from rsseg.errors import ConfigError
from rsseg.io.configs import merge_options, read_config
from rsseg.io.guards import load_from_local
from rsseg.io.hub import weights_of
from rsseg.io.resuming import latest_checkpoint
from rsseg.stack import require_stack

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["Scores", "add_test_arguments", "add_train_arguments", "evaluate", "train", "train_box_masks"]

_log = logging.getLogger("rsseg")
_NUMBER = re.compile(r"(iter|epoch)_(\d+)\.pth$")


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config and the options of a training."""
    parser.add_argument("config", help="config file")
    add_training_arguments(parser)
    parser.add_argument("--compile", action="store_true", help="torch.compile the backbone")
    add_arguments(parser)


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Add config, checkpoint and the options of a test."""
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file; models that are not trained need none")
    parser.add_argument("--out", help="folder for predictions: palette PNGs in the values of the label files, or a CSV")
    parser.add_argument(
        "--image-scores", metavar="DIR", help="folder for the scores of each image, images.csv and .json"
    )
    parser.add_argument("--show-dir", help="folder for pictures: image, ground truth and prediction side by side")
    parser.add_argument("--tta", action="store_true", help="average over flips (the config's tta_pipeline)")
    parser.add_argument("--on", metavar="CONFIG", help="test on the test set of this config instead")
    parser.add_argument("--merge", metavar="TABLE", help="--on: common class table of both label sets")
    add_precision(parser)
    add_arguments(parser)


@contextmanager
def _own_environment() -> Iterator[None]:
    """What a run sets for its hooks (``--trust``, ``--class-map``) is gone after it, for later loads, too."""
    before = {name: value for name, value in os.environ.items() if name.startswith("RSSEG_")}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("RSSEG_") and name not in before]:
            del os.environ[name]
        os.environ.update(before)


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path | None = None,
    amp: bool = False,
    compile: bool = False,
    log: Sequence[str] = (),
    trust: bool = False,
    class_map: Mapping[str, str] | Sequence[str] | None = None,
    trust_classes: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    local_rank: int = 0,
) -> Path | None:
    """Train a model, as ``rsseg train`` does.

    Args:
        config: Its config file; ``rsseg::samrs/upernet_swin_sep.py`` names one of the package.
        work_dir: Folder of logs and checkpoints; None is ``work_dirs/<config folder>/<config name>``.
        resume: True goes on from the last checkpoint in the work dir, a path from that one.
        amp: bfloat16 autocast, on GPU and CPU.
        compile: ``torch.compile`` the backbone.
        log: Trackers that get the log as well, such as ``tensorboard``.
        trust: Allow checkpoint files to run code while they load.
        class_map: Where a checkpoint has other classes than the config: its name -> the config's, "" leaves it out.
        trust_classes: Load a checkpoint with other classes as it is.
        cfg_options: Settings of the config to override, by their full names.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, where this is one of several processes.
        local_rank: Number of this process on its machine; the launcher says it.

    Returns:
        The last checkpoint; None where none was written.

    Raises:
        UserError: Config, data and options do not go together.
        OSError: A file is missing or cannot be written.
    """
    given = dict(locals())
    require_stack()
    from rsseg.engine.saving import naming_full_disk

    args = _arguments(add_train_arguments, {**given, "resume": "auto" if resume is True else resume or None})
    with _own_environment():
        cfg = _train_config(args)
        if cfg.get("resume") and _is_finished(cfg):
            _say_finished(args.config, cfg)
            return Path(cfg.load_from)
        start_processes(launcher)
        with naming_full_disk(cfg.work_dir):
            build_runner(cfg).train()
    found = latest_checkpoint(cfg.work_dir)
    return Path(found) if found else None


def train_box_masks(config: str | Path, **options: Any) -> Path | None:
    """Train, as :func:`rsseg.running.train` does, and see that the network's file is there.

    Args:
        config: A config whose model is a ``BoxMaskModel``.
        **options: As for :func:`rsseg.running.train`.

    Returns:
        ``boxmask.pth`` in the work dir; None in all processes of several but the first.

    Raises:
        ConfigError: The config trains something else.
        UserError: Config, data and options do not go together.
        OSError: A file is missing or cannot be written.
    """
    require_stack()
    from mmengine.dist import is_main_process

    from rsseg.engine.box_masks import BOX_MASK_FILE

    cfg = read_config(config, trust=bool(options.get("trust")))
    if options.get("cfg_options"):
        merge_options(cfg, options["cfg_options"], config)
    if (cfg.get("model") or {}).get("type") != "BoxMaskModel":
        raise ConfigError(f"{config}: expected a config with model=dict(type='BoxMaskModel'); for others: rsseg train")
    _provide_weights(cfg.model)
    checkpoint = train(config, **options)
    if not is_main_process() or checkpoint is None:
        return None
    path = checkpoint.parent / BOX_MASK_FILE
    # killed between the last checkpoint and the validation that writes the file, or that of an earlier training
    if not path.is_file() or path.stat().st_mtime < checkpoint.stat().st_mtime:
        cfg.work_dir, cfg.load_from, cfg.launcher = str(checkpoint.parent), str(checkpoint), "none"
        runner = build_runner(cfg)
        runner.val()
    return path


def _provide_weights(model: Any) -> None:
    """Convert the packaged ImageNet weights where the config starts from them and they are not there yet."""
    from rsseg.engine.weights.packaged import HOW_TO_GET, packaged_efficientnet

    init = model.backbone.get("init_cfg") or {}
    path = Path(str(init.get("checkpoint", "")))
    if path.name != "efficientnet_lite0.pth" or path.is_file():
        return
    if packaged_efficientnet(path) is None:
        raise ConfigError(
            f"{path}: no such file. The ImageNet weights come as a package: {HOW_TO_GET}; then run the same command "
            "again. Without them (scores will be lower): --cfg-options model.backbone.init_cfg=None"
        )
    _log.info("ImageNet weights of the encoder: %s", path)


def _arguments(add: Callable[[argparse.ArgumentParser], None], options: dict[str, Any]) -> argparse.Namespace:
    """The options of a command as its command line gives them."""
    pairs = options["class_map"]
    mapped = [f"{old}={new}" for old, new in pairs.items()] if isinstance(pairs, Mapping) else pairs
    paths = ("config", "checkpoint", "work_dir", "out", "image_scores", "show_dir", "on", "resume")
    texts = {name: str(options[name]) for name in paths if options.get(name) is not None}
    settings = dict(options["cfg_options"] or {})
    return arguments_of(add, {**options, **texts, "class_map": mapped, "cfg_options": settings})


def _train_config(args: argparse.Namespace) -> Config:
    cfg = read_config(args.config, trust=args.trust)
    apply_arguments(cfg, args)
    apply_training_arguments(cfg, args)
    if args.compile:
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="mmseg.CompileBackbone")]
    return cfg


def _is_finished(cfg: Config) -> bool:
    """Whether nothing is left to train after the checkpoint to resume from, which is read to see that it is whole."""
    named, limits = _NUMBER.search(str(cfg.load_from)), cfg.get("train_cfg") or {}
    limit = limits.get(f"max_{named[1]}s") if named else None
    if named is None or limit is None or int(named[2]) < limit:
        return False
    load_from_local(str(cfg.load_from))
    return True


def _say_finished(config: str, cfg: Config) -> None:
    if os.environ.get("RANK", "0") == "0":
        _log.info(
            "%s: this training is already finished; its last checkpoint is %s. To test it: %s %s %s. To train longer, "
            "raise train_cfg.max_iters (or max_epochs); to train anew, leave --resume out",
            cfg.work_dir, cfg.load_from, command("test"), config, cfg.load_from,
        )  # fmt: skip


def _test_config(args: argparse.Namespace) -> Config:
    from rsseg.evaluation import use_dataset

    cfg = read_config(args.config, trust=args.trust)
    given = [name for name in ("on", "merge") if getattr(args, name)]
    if given and cfg.get("default_scope") == "mmpretrain":
        raise ConfigError(f"--{given[0]} requires a segmentation config, but {args.config} classifies whole images")
    if args.merge and not args.on:
        raise ConfigError("--merge requires --on CONFIG, the config of the other dataset")
    predicted = use_dataset(cfg, args.on, args.merge) if args.on else None
    apply_arguments(cfg, args)
    weights = weights_of(args.config, args.checkpoint)
    load = dict(type="mmseg.LoadTested", checkpoint=weights, other_set=bool(args.on))
    precision = dict(type="mmseg.UsePrecision", precision=args.precision)
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), load, precision]
    if args.show_dir:
        pictures = dict(type="mmseg.SavePictures", out_dir=str(args.show_dir), predicted=predicted)
        cfg.custom_hooks = [*cfg.custom_hooks, pictures]
    metric = cfg.test_evaluator[0] if isinstance(cfg.test_evaluator, list) else cfg.test_evaluator
    if args.out:
        metric.output_dir = str(args.out)
    if args.image_scores:
        metric.images_dir = str(args.image_scores)
    if args.tta:
        use_tta(cfg)
    return cfg


class Scores(dict[str, float]):
    """Scores by name, such as ``mIoU``, in percent.

    Attributes:
        text: Tables of all classes, for people.
    """

    text: str = ""


def evaluate(
    config: str | Path,
    checkpoint: str | Path | None = None,
    *,
    out: str | Path | None = None,
    image_scores: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    on: str | Path | None = None,
    merge: str | None = None,
    precision: str = "auto",
    work_dir: str | Path | None = None,
    log: Sequence[str] = (),
    trust: bool = False,
    class_map: Mapping[str, str] | Sequence[str] | None = None,
    trust_classes: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    local_rank: int = 0,
    log_tables: bool = True,
) -> Scores | None:
    """Score a checkpoint on the test set of a config, as ``rsseg test`` does.

    Args:
        config: The model's config file.
        checkpoint: Its weights; None for a model that is not trained.
        out: Folder for predictions: palette PNGs in the values of the label files, or a CSV of labels per image.
        image_scores: Folder for the scores of each image, ``images.csv`` and ``images.json``.
        show_dir: Folder for pictures: image, ground truth and prediction side by side.
        tta: Average over the flips of the config's ``tta_pipeline``.
        on: Test on the test set of this config instead.
        merge: With ``on``, the common class table of both label sets.
        precision: ``auto``, ``exact`` or ``bf16``, see :func:`rsseg.engine.precision.choose_precision`.
        work_dir: Folder of the log.
        log: As for :func:`train`.
        trust: As there.
        class_map: As there.
        trust_classes: As there.
        cfg_options: As there.
        launcher: As there.
        local_rank: As there.
        log_tables: Show the tables of scores in the log on the screen; the log's file has them anyway.

    Returns:
        The scores; None in all processes of several but the first.

    Raises:
        UserError: Config, checkpoint, data and options do not go together.
        OSError: A file is missing or cannot be written.
    """
    given = {name: value for name, value in locals().items() if name != "log_tables"}
    require_stack()
    return _test(_arguments(add_test_arguments, given), log_tables)


def _test(args: argparse.Namespace, log_tables: bool) -> Scores | None:
    from mmengine.dist import is_main_process

    from rsseg.engine.saving import naming_full_disk

    tables: list[str] = []
    with _own_environment():
        cfg = _test_config(args)
        start_processes(args.launcher)
        with naming_full_disk(cfg.work_dir):
            runner = build_runner(cfg)
            for metric in runner.test_loop.evaluator.metrics:
                metric.tables = tables
            for handler in runner.logger.handlers:
                if type(handler) is logging.StreamHandler and not log_tables:
                    handler.addFilter(lambda record: record.getMessage() not in tables)
            scores = Scores(runner.test() or {})
    scores.text = "\n".join(tables or [f"{name} {value}" for name, value in scores.items()])
    return scores if is_main_process() else None
