"""Experiment trackers beside the local log: losses, learning rates, scores and sample pictures."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.errors import ConfigError, MissingPackageError

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["TRACKERS", "use_trackers"]


def _tensorboard(run: str) -> dict[str, Any]:
    return dict(type="TensorboardVisBackend")


def _wandb(run: str) -> dict[str, Any]:
    return dict(type="WandbVisBackend", init_kwargs=dict(project="rsseg", name=run))


def _mlflow(run: str) -> dict[str, Any]:
    server = os.environ.get("MLFLOW_TRACKING_URI")  # mmengine's backend would write below the log folder instead
    return dict(type="MLflowVisBackend", exp_name="rsseg", run_name=run, tracking_uri=server)


def _clearml(run: str) -> dict[str, Any]:
    return dict(type="ClearMLVisBackend", init_kwargs=dict(project_name="rsseg", task_name=run))


def _aim(run: str) -> dict[str, Any]:
    return dict(type="AimVisBackend", init_kwargs=dict(experiment=run))


TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow, "clearml": _clearml, "aim": _aim}
"""For each tracker the config of mmengine's backend, given the name of the run; the package has the tracker's name."""


def use_trackers(cfg: Config, names: Sequence[str]) -> None:
    """Let a run also log to trackers, in place; its local log stays.

    Validations and tests also draw sample pictures, see :class:`rsseg.engine.pictures.SampleVisualizationHook`.

    Args:
        cfg: Config of the run, with ``work_dir``, whose name is the run's.
        names: Keys of :data:`TRACKERS`.

    Raises:
        ConfigError: There is no such tracker.
        MissingPackageError: A tracker is not installed.
    """
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise ConfigError(f"--log {unknown[0]}: expected one of: {', '.join(TRACKERS)}")
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingPackageError(f"--log {name} requires the package {name}, which is not installed: "
                                      f"pip install {name}")  # fmt: skip
    if not names:
        return
    visualizer = cfg.get("visualizer") or dict(type="Visualizer")
    backends = list(visualizer.get("vis_backends") or [dict(type="LocalVisBackend")])
    known = {backend["type"] for backend in backends}
    run = Path(cfg.work_dir).name
    added = [TRACKERS[name](run) for name in dict.fromkeys(names)]
    backends += [backend for backend in added if backend["type"] not in known]
    cfg.visualizer = {**visualizer, "vis_backends": backends}
    hooks = dict(cfg.get("default_hooks") or {})
    hooks["visualization"] = {
        **(hooks.get("visualization") or dict(type="mmseg.SampleVisualizationHook")),
        "draw": True,
    }
    hooks["log_test_scores"] = dict(type="mmseg.LogTestScores")
    cfg.default_hooks = hooks
