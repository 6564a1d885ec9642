"""How the samples of a step are shared among processes: kept in checkpoints, and compared where a run is resumed."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

__all__ = ["AllocateSteps", "KeepProcesses", "describe_processes"]

_KEY = "processes"


def describe_processes(shares: dict[str, int]) -> str:
    """What :class:`KeepProcesses` stores, in words: ``2 processes x 4 samples``."""
    text = f"{shares['processes']} process{'es' if shares['processes'] > 1 else ''} x {shares['batch_size']} samples"
    return text if shares["accumulate"] == 1 else f"{text} x {shares['accumulate']} accumulated steps"


@HOOKS.register_module()
class AllocateSteps(Hook):
    """Let ``ProportionalSampler`` divide the batch of an optimizer step, also where several iterations make one.

    Without it each iteration's batch is divided by itself where gradients are accumulated.
    """

    def before_train(self, runner: Runner) -> None:
        """Tell the sampler how many iterations an optimizer step has."""
        sampler: Any = getattr(getattr(runner.train_dataloader, "batch_sampler", None), "sampler", None)
        if hasattr(sampler, "bind"):
            sampler.bind(sampler.batch_size, _shares(runner)["accumulate"])


@HOOKS.register_module()
class KeepProcesses(Hook):
    """Store the number of processes, samples and accumulated steps in every checkpoint; warn where a resume changes it.

    A run that is resumed exactly repeats an uninterrupted one only where the same samples meet in a step on the same
    process: seeds, batch normalisation and the order of samples depend on it.  Workers of a loader do not matter.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add ``meta["processes"]``."""
        checkpoint.setdefault("meta", {})[_KEY] = _shares(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare with a checkpoint that the run is resumed from; those of earlier versions do not say."""
        before = checkpoint.get("meta", {}).get(_KEY)
        if not runner._resume or before is None or before == (now := _shares(runner)):
            return
        runner.logger.warning(
            "The run is resumed with %s; its checkpoint was written with %s. Results will differ from those of an "
            "uninterrupted run. To repeat it exactly, resume with the old numbers (processes: tools/dist_train.sh "
            "CONFIG N; samples: train_dataloader.batch_size).",
            describe_processes(now), describe_processes(before),
        )  # fmt: skip


def _shares(runner: Runner) -> dict[str, int]:
    loader = runner._train_dataloader
    size = loader.get("batch_size") if isinstance(loader, dict) else getattr(loader, "batch_size", None)
    if size is None and not isinstance(loader, dict):  # a batch sampler of its own
        size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    wrapper = runner.optim_wrapper
    steps = wrapper.get("accumulative_counts", 1) if isinstance(wrapper, dict) else wrapper._accumulative_counts
    return {"processes": get_world_size(), "batch_size": int(size or 0), "accumulate": int(steps)}
