"""Start a run on whatever is there: one process or many, GPU or CPU."""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.engine.trackers import TRACKERS, use_trackers
from rsseg.errors import ConfigError
from rsseg.io.checkpoint_options import add_checkpoint_options, apply_checkpoint_options
from rsseg.io.configs import merge_options
from rsseg.io.resuming import latest_checkpoint

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

__all__ = [
    "ConfigOptions",
    "add_arguments",
    "add_precision",
    "add_training_arguments",
    "apply_arguments",
    "apply_training_arguments",
    "build_runner",
    "prepare_config",
    "start_processes",
    "use_tta",
]

_CHECKS = (
    "AdaptationHook",
    "AllocateSteps",
    "CheckClasses",
    "CheckLoss",
    "CheckScores",
    "CompleteAdapters",
    "KeepAdapters",
    "KeepPixels",
    "KeepProcesses",
    "NameOutputs",
)
# How many runners this process has built so far.
_BEFORE = itertools.count()


class ConfigOptions(argparse.Action):
    """``key=value ...`` read by mmengine's ``DictAction``, which is imported only where the option is given."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Put the options read so far and these into the namespace, as a dict."""
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest, nargs=self.nargs)(parser, namespace, values, option)


def start_processes(launcher: str) -> None:
    """Join the process group on machines without a GPU, over gloo; with GPUs mmengine does it.

    Raises:
        ConfigError: The launcher cannot start CPU processes.
    """
    import torch

    if launcher == "none" or torch.cuda.is_available() or torch.distributed.is_initialized():
        return
    if launcher != "pytorch":
        raise ConfigError(f"--launcher {launcher} requires GPUs; on CPUs use tools/dist_train.sh (--launcher pytorch)")
    torch.distributed.init_process_group("gloo")


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config, with a log and a history of its own.

    mmengine finds both by the experiment's name, which is the config's with the second of the start: two short runs of
    one process would share them, and the second would write no log.

    Args:
        cfg: The config; where its process has built runners before, its ``experiment_name`` gets their number.

    Returns:
        The runner.
    """
    from mmengine.runner import Runner

    before = next(_BEFORE)
    if before:
        name = cfg.get("experiment_name") or Path(cfg.filename or "run").stem
        cfg.experiment_name = f"{name}_{before + 1}"
    return Runner.from_cfg(cfg)


def _batch_norm_for_cpu(node: Any) -> None:
    """Replace SyncBN by BN everywhere in a config: SyncBN exists for GPUs only."""
    if isinstance(node, dict):
        if node.get("type") == "SyncBN":
            node["type"] = "BN"
        for value in node.values():
            _batch_norm_for_cpu(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _batch_norm_for_cpu(value)


def prepare_config(cfg: Config) -> None:
    """Fit a config to this machine, in place.

    * a loader without workers does not try to keep them;
    * several processes without GPUs: DDP (or the config's ``model_wrapper_cfg``) without device ids, BN for SyncBN;
    * every ``LoadImage`` gets the config's ``bands`` and ``value_range``;
    * the checks of :mod:`rsseg.engine.checks`, :mod:`~rsseg.engine.pixels`, :mod:`~rsseg.engine.processes`,
      :mod:`~rsseg.engine.naming`, :mod:`~rsseg.engine.adapters` and :mod:`~rsseg.engine.adaptation` take part in every
      run, also where a config replaces the hooks of ``_base_/default_runtime.py``.

    Raises:
        ConfigError: Bands or a range of values are declared twice, and differently.
    """
    import torch
    from mmengine.config import ConfigDict

    from rsseg.io.pixel_settings import share_pixels

    share_pixels(cfg._cfg_dict)
    hooks = list(cfg.get("custom_hooks") or ())
    given = [*hooks, *(cfg.get("default_hooks") or {}).values()]
    known = {str(hook.get("type")).rpartition(".")[2] for hook in given if isinstance(hook, dict)}
    cfg.custom_hooks = [*hooks, *(dict(type=f"mmseg.{name}") for name in _CHECKS if name not in known)]
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if cfg.get(name) and cfg[name].get("num_workers") == 0:
            cfg[name].persistent_workers = False
    if cfg.get("launcher", "none") != "none" and not torch.cuda.is_available():
        _batch_norm_for_cpu(cfg._cfg_dict)
        wrapper: dict[str, Any] = dict(cfg.get("model_wrapper_cfg") or dict(type="MMDistributedDataParallel"))
        cfg.model_wrapper_cfg = ConfigDict({**wrapper, "device_ids": None, "broadcast_buffers": False})


def use_tta(cfg: Config) -> None:
    """Test with the config's ``tta_pipeline`` and ``tta_model``, in place; every set of a ``MultiDataset`` as well."""
    dataset = cfg.test_dataloader.dataset
    for part in dataset.get("datasets", ()):
        part.pop("pipeline", None)
    dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of trainings, ``tools/train.py`` and ``tools/search.py``."""
    parser.add_argument(
        "--resume", nargs="?", const="auto", help="resume from the latest checkpoint in the work dir, or from this one"
    )
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast, on GPU and CPU")


def apply_training_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Put what trainings share into the config, after :func:`apply_arguments`."""
    if args.amp:
        from rsseg.engine.optim import use_autocast

        use_autocast(cfg.optim_wrapper)
    if args.resume:
        checkpoint = latest_checkpoint(cfg.work_dir) if args.resume == "auto" else args.resume
        cfg.resume, cfg.load_from = checkpoint is not None, checkpoint or cfg.get("load_from")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision``, see :func:`rsseg.engine.precision.choose_precision`."""
    parser.add_argument("--precision", choices=["auto", "exact", "bf16"], default="auto", help="on a CPU, compute by "
        "what a short test finds to be faster and off by rounding only (auto); plainly (exact); or in bfloat16, on GPU "
        "and CPU (default: %(default)s)")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``rsseg train`` and ``rsseg test`` share."""
    parser.add_argument("--work-dir", help="folder of the logs (default: work_dirs/<config folder>/<config name>)")
    add_checkpoint_options(parser)
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, help="override settings: key=value ...")
    trackers = ", ".join(TRACKERS)
    parser.add_argument("--log", action="append", default=[], metavar="TRACKER",
                        help=f"also log to a tracker: {trackers}; may be repeated")  # fmt: skip
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="job launcher")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def apply_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Put what ``rsseg train`` and ``rsseg test`` share into the config: work dir, launcher, options, trust."""
    if args.cfg_options:
        merge_options(cfg, args.cfg_options, args.config)
    cfg.launcher = args.launcher
    path = Path(str(args.config).removeprefix("rsseg::"))
    # the folder as well: configs of a user may share a name, and must not share checkpoints
    default = Path("work_dirs") / path.resolve().parent.name / path.stem
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(default)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    apply_checkpoint_options(args)
    use_trackers(cfg, args.log)
    prepare_config(cfg)
