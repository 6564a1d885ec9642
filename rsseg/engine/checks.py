"""Checks that end a run by name: heads and classes, names in checkpoints, scores that are not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

from rsseg.engine.classes import ClassRows, fit_classes, move_rows, reorder_optimizer
from rsseg.errors import ConfigError, DataError
from rsseg.metainfo import class_names, head_errors, load_metainfo

__all__ = ["TESTED", "CheckClasses", "CheckLoss", "CheckScores", "bare_model", "check_finite", "data_classes"]

_SCALES = 20
"""Steps in a row that may overflow while a loss scale is looked for."""
TESTED = "checkpoint_loaded"
"""Key of mmengine's message hub: the checkpoint that is tested."""


def check_finite(scores: torch.Tensor, source: str, dim: int = 0) -> None:
    """Refuse scores whose largest one is NaN or infinite: the class would be arbitrary.

    Args:
        scores: Logits or probabilities; classes along ``dim``.
        source: What gave them, first in the message: a checkpoint, or an iteration of a training.
        dim: Axis of the classes.

    Raises:
        DataError: A pixel's largest score is not finite.
    """
    if bool(torch.isfinite(scores.sum())):  # one fast pass; what follows is for large or masked scores
        return
    finite = torch.isfinite(scores.amax(dim))
    if bool(finite.all()):
        return
    share = 100 * (1 - finite.float().mean().item())
    raise DataError(
        f"{source}: the model's scores are not finite (NaN or infinity) at {share:.3g} % of the pixels, so that no "
        "class can be chosen; its training has diverged. Use an earlier checkpoint, or train again with a "
        "lower learning rate"
    )


def bare_model(model: Any) -> Any:
    """A model without the wrappers of parallel training and of test-time augmentation."""
    model = model.module if is_model_wrapper(model) else model
    return model.module if isinstance(model, BaseTTAModel) else model


def data_classes(dataset: Any, cfg: Mapping[str, Any] | None = None) -> dict[str, tuple[str, ...]]:
    """Class names that a model predicts, by label set (or class table).

    Args:
        dataset: A built dataset with ``metainfo``.
        cfg: Config of a test; where its evaluator's ``predicted`` names a class table, that one is taken instead of the
            classes of the data.
    """
    evaluator = (cfg or {}).get("test_evaluator")
    predicted = evaluator.get("predicted") if isinstance(evaluator, Mapping) else None
    if predicted:
        return {predicted: load_metainfo(predicted).classes}
    return class_names(getattr(dataset, "metainfo", None) or {})


def _score_planes(sample: Any) -> torch.Tensor | None:
    """Scores (C, ...) of a prediction: of pixels, or of an image."""
    if "seg_logits" in sample:
        return sample.seg_logits.data
    return sample.pred_score if "pred_score" in sample else None


@HOOKS.register_module()
class CheckScores(Hook):
    """End validations and tests whose scores are not finite, naming the iteration or the tested checkpoint.

    Raises:
        DataError: See :func:`check_finite`.
    """

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Check the scores of this batch."""
        self._check(outputs, f"iteration {runner.iter}")

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Check the scores of this batch."""
        self._check(outputs, runner.message_hub.get_info(TESTED) or "the tested model")

    def _check(self, outputs: Sequence[Any] | None, source: str) -> None:
        for sample in outputs or ():
            scores = _score_planes(sample)
            if scores is not None:
                check_finite(scores, source)


@HOOKS.register_module()
class CheckLoss(Hook):
    """End a training whose loss is NaN or infinite, before a checkpoint is written.

    mmengine takes the losses from the GPU for its log in each iteration, so that looking at them costs nothing.  A
    wrapper that scales losses (mmengine's ``AmpOptimWrapper``) leaves out steps that overflow and tries smaller scales;
    only where that does not help either is it an error.

    Raises:
        DataError: See above; the message names the iteration and the losses.
    """

    def __init__(self) -> None:
        self._bad = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Check the loss of this iteration."""
        values = {
            name: value.item() if isinstance(value, torch.Tensor) else float(value)
            for name, value in (outputs or {}).items()
            if "loss" in name and (not isinstance(value, torch.Tensor) or value.numel() == 1)
        }
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        self._bad = self._bad + 1 if bad else 0
        scales = getattr(runner.optim_wrapper, "loss_scaler", None) is not None
        if self._bad > (_SCALES if scales else 0):
            found = ", ".join(f"{name} is {value}" for name, value in bad.items())
            raise DataError(
                f"iteration {runner.iter + 1}: {found}; the training has diverged. Lower the learning rate "
                "(--cfg-options optim_wrapper.optimizer.lr=...; optim_wrapper.network.optimizer.lr=... where there are "
                "discriminators), or clip gradients "
                "(optim_wrapper.clip_grad.max_norm=1), and continue from a checkpoint of an earlier iteration in "
                f"{runner.work_dir} (--resume CHECKPOINT), or start anew"
            )


@HOOKS.register_module()
class CheckClasses(Hook):
    """Before the first iteration, compare the heads' ``num_classes`` with the classes of the data.

    The class names of a checkpoint that the runner itself loads or resumes from are compared as well, and its heads put
    into the order of the data, see :func:`rsseg.engine.classes.fit_classes`.

    Raises:
        ConfigError: They differ.
    """

    priority = "VERY_HIGH"  # before weights are loaded

    def __init__(self) -> None:
        self._moved: dict[str, ClassRows] = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the heads of ``load_from`` and ``resume`` into the order of the classes of the data."""
        meta, state = checkpoint.get("meta"), checkpoint.get("state_dict")
        if not (isinstance(meta, dict) and isinstance(state, dict)):
            return
        built = [
            loop for loop in (runner._train_loop, runner._test_loop, runner._val_loop) if isinstance(loop, BaseLoop)
        ]
        if not built:  # the runner was asked to load before it has data
            return
        training, tested = built[0] is runner._train_loop, built[0] is runner._test_loop
        classes = data_classes(built[0].dataloader.dataset, runner.cfg if tested else None)
        model, source = (
            bare_model(runner.model),
            str(runner._load_from or f"the latest checkpoint in {runner.work_dir}"),
        )
        plain = {str(key).removeprefix("module."): value for key, value in state.items()}
        if hasattr(model, "check_checkpoint"):
            model.check_checkpoint(checkpoint, source)
        begins = training and not runner._resume
        self._moved = fit_classes(plain, meta, model, classes, source, training=begins)
        state.update(zip(list(state), plain.values(), strict=True))
        average = checkpoint.get("ema_state_dict") or {}
        plain = {str(key).removeprefix("module."): value for key, value in average.items()}
        move_rows(plain, self._moved, model.state_dict())
        average.update(zip(list(average), plain.values(), strict=True))

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the validation set; momentum follows the weights that were put into order."""
        wrapper: Any = runner.optim_wrapper
        for part in wrapper.optim_wrappers.values() if hasattr(wrapper, "optim_wrappers") else [wrapper]:
            reorder_optimizer(part.optimizer, bare_model(runner.model), self._moved)
        self._moved = {}
        self._check(runner.cfg, data_classes(runner.train_dataloader.dataset))
        if runner.val_loop is not None:
            self._check(runner.cfg, data_classes(runner.val_dataloader.dataset))

    def before_test(self, runner: Runner) -> None:
        """Check the test set."""
        self._check(runner.cfg, data_classes(runner.test_dataloader.dataset, runner.cfg))

    def _check(self, cfg: Mapping[str, Any], classes: Mapping[str, Sequence[str]]) -> None:
        model = cfg.get("model") or {}
        errors = head_errors(model.get("module", model), classes)  # test-time augmentation wraps the model
        if errors:
            raise ConfigError("; ".join(errors))
