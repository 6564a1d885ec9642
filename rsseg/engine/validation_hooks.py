"""Training comforts that mmengine lacks: the loss on the validation set, and a best checkpoint that can be resumed.

Early stopping is mmengine's own.  Each of the three is switched on by a line of a config or of ``--cfg-options``::

    default_hooks.val_loss.type=ValidationLoss
    default_hooks.checkpoint.type=ResumableBestCheckpoint default_hooks.checkpoint.save_best=mIoU
    default_hooks.early_stopping.type=EarlyStoppingHook default_hooks.early_stopping.monitor=mIoU
        default_hooks.early_stopping.min_delta=0.1 default_hooks.early_stopping.patience=5

``mIoU`` is in percent.  With :class:`ValidationLoss`, ``monitor`` and ``save_best`` may also be ``val_loss`` (then give
a small ``min_delta``); for other scores, such as OA, say ``rule='greater'``.  mmengine does not store how long it has
waited: a resumed run counts its patience from 0.  A run that is stopped early writes no last checkpoint; what is left
are the best one and the last of the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.errors import ConfigError

__all__ = ["ResumableBestCheckpoint", "ValidationLoss"]


@HOOKS.register_module()
class ValidationLoss(Hook):
    """Log the model's own training loss on the validation set, and give it to early stopping and best checkpoints.

    The loss of each image is taken in eval mode, without gradients, from the whole image padded as in training; images
    without a labelled pixel are left out.  ``val_loss`` is the mean over images; with several label sets
    (``metainfo['dataset_name']``) also ``<set>/val_loss``, and ``val_loss`` is then the mean over sets.  It costs a
    second forward pass.  Random numbers that a loss draws do not change those of training.

    Args:
        ignore_index: Label of pixels that do not count.

    Raises:
        ValueError: The validation pipeline loads no labels.
    """

    priority = "HIGHEST"  # before the hooks that log scores and compare them

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index
        self._sums: dict[str, list[float]] = {}

    def before_val_epoch(self, runner: Runner) -> None:
        """Forget the last validation."""
        self._sums = {}

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Add the losses of this batch, image by image: they may differ in size."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        for pixels, sample in zip(data_batch["inputs"], data_batch["data_samples"], strict=True):
            if "gt_sem_seg" not in sample:
                raise ConfigError(
                    "ValidationLoss requires labels, but the validation pipeline loads none; add LoadLabels to it"
                )
            labels = sample.gt_sem_seg.data
            if not (labels != self.ignore_index).any():
                continue
            fits = labels.shape[-2:] == pixels.shape[-2:]  # mmseg's own pipelines may resize the image alone
            with torch.no_grad(), torch.random.fork_rng(devices):
                data = model.data_preprocessor({"inputs": [pixels], "data_samples": [sample]}, fits)
                loss, _ = model.parse_losses(model(**data, mode="loss"))
            entry = self._sums.setdefault(sample.metainfo.get("dataset_name", ""), [0.0, 0.0])
            entry[0] += float(loss)
            entry[1] += 1

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the means of all processes to the scores."""
        parts: list[Any] = all_gather_object(self._sums)
        names = sorted({name for part in parts for name in part})
        means = {}
        for name in names:
            total, count = (sum(part.get(name, (0.0, 0.0))[i] for part in parts) for i in (0, 1))
            means[name] = total / count
        if metrics is None or not means:
            return
        metrics["val_loss"] = sum(means.values()) / len(means)
        if len(means) > 1:
            metrics.update({f"{name}/val_loss": value for name, value in means.items()})


@HOOKS.register_module()
class ResumableBestCheckpoint(CheckpointHook):
    """mmengine's ``CheckpointHook``, whose best checkpoint also holds optimizer and schedule, so it can be resumed.

    mmengine always drops them, whatever ``save_optimizer`` says; here both settings hold for the best one too.
    """

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        save = runner.save_checkpoint

        def save_all(*args: Any, **kwargs: Any) -> None:
            own = dict(save_optimizer=self.save_optimizer, save_param_scheduler=self.save_param_scheduler)
            save(*args, **{**kwargs, **own})

        runner.save_checkpoint = save_all
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            del runner.save_checkpoint
