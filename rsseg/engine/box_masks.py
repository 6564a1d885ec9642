"""What a training of a box-to-mask network leaves: one file with weights, settings and a calibrated score."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError
from rsseg.io.checkpoints import write_weights

__all__ = ["BOX_MASK_FILE", "SaveBoxMask"]

BOX_MASK_FILE = "boxmask.pth"
"""Name of the file, in the work dir."""


@HOOKS.register_module()
class SaveBoxMask(Hook):
    """After each validation, write what ``--predictor boxmask`` reads; the score is calibrated on the held-out masks.

    The weights are those that were validated: with mmengine's ``EMAHook`` the averaged ones, which it puts in their
    place for the validation only.

    Raises:
        ConfigError: The validation is not that of ``BoxMaskMetric``.
        DataError: There are too few held-out masks.
    """

    priority = "VERY_HIGH"  # before EMAHook takes its weights out again

    def __init__(self) -> None:
        self._iterations = 0

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Remember how long a network was trained that is only validated."""
        self._iterations = int((checkpoint.get("meta") or {}).get("iter") or 0)

    def before_train(self, runner: Runner) -> None:
        """See that there are enough held-out masks before the time of a training is spent."""
        loop = runner._val_loop
        labels = getattr(loop.dataloader.dataset, "labels", None) if isinstance(loop, BaseLoop) else None
        model = bare_model(runner.model)
        if labels is not None and hasattr(model, "check_held_out"):
            model.check_held_out(len(labels))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Calibrate and write."""
        if runner.rank != 0:
            return
        pairs = next((found for each in runner.val_evaluator.metrics if (found := getattr(each, "pairs", None))), None)
        model = bare_model(runner.model)
        if pairs is None or not hasattr(model, "file_meta"):
            raise ConfigError("SaveBoxMask needs val_evaluator=dict(type='BoxMaskMetric') and model type BoxMaskModel")
        scores, ious = zip(*pairs, strict=True)
        loop = runner._train_loop
        dataset: Any = loop.dataloader.dataset if isinstance(loop, BaseLoop) else None
        count = len(getattr(dataset, "patches", ())) or None
        measured = {name: value for name, value in (metrics or {}).items() if math.isfinite(value)}  # JSON has no NaN
        training = {"iterations": runner.iter or self._iterations, "masks": count, **measured}
        meta = model.file_meta(scores, ious, training)
        state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        path = Path(runner.work_dir) / BOX_MASK_FILE
        write_weights(path, state, meta)
        runner.logger.info("masks from boxes: rsseg convert CONFIG --predictor boxmask --checkpoint %s", path)
