"""What changes from step to step when a student and its moving average train each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from rsseg.errors import ConfigError

__all__ = ["SelfDistillation", "clip_each", "cosine", "warm_up"]

_TOLERANCE = 0.05


def cosine(step: int, steps: int, first: float, last: float) -> float:
    """Value at ``step`` of half a cosine from ``first`` (step 0) to ``last`` (step ``steps``, and after it)."""
    return last + (first - last) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2


def warm_up(epoch: int, epochs: int, first: float, last: float) -> float:
    """Value in ``epoch``: in ``epochs`` equal steps from ``first`` (epoch 0) to ``last`` (epoch ``epochs`` - 1)."""
    return float(np.linspace(first, last, epochs)[epoch]) if epoch < epochs else last


@torch.no_grad()
def clip_each(gradients: list[Tensor], largest: float) -> None:
    """Scale each gradient by itself, in place, to a norm of at most ``largest``.

    Source: DINO release; the usual clipping takes the norm of all gradients together.
    """
    if gradients:
        norms = torch._foreach_norm(gradients)
        scales = [torch.clamp(largest / (norm + 1e-6), max=1.0) for norm in norms]
        torch._foreach_mul_(gradients, scales)


@HOOKS.register_module()
class SelfDistillation(Hook):
    """Schedules of DINO, and what happens around an optimizer step: clipping, frozen last layer, moving teacher.

    All follow from the number of the iteration, so that a resumed run goes on with them.  Teacher momentum and
    temperature are in the log.

    Args:
        epoch: Iterations of an epoch; a log line warns where the training set says another number.
        temperature: The teacher's, in the first epoch and after ``temperature_epochs``; linear between.
        temperature_epochs: See there.
        momentum: The teacher's at the first iteration and at the end; half a cosine between.
        frozen_epochs: Epochs during which the head's last layer does not learn.
        clip: Largest norm of a parameter's gradient, each by itself; None does not clip.

    Raises:
        ConfigError: An epoch of no iterations.

    Source: Caron et al. 2021, section 3.2 and appendix C, and the release's ``main_dino.py``.
    """

    def __init__(
        self,
        epoch: int,
        temperature: tuple[float, float] = (0.04, 0.07),
        temperature_epochs: int = 30,
        momentum: tuple[float, float] = (0.996, 1.0),
        frozen_epochs: int = 1,
        clip: float | None = 3.0,
    ) -> None:
        if epoch < 1:
            raise ConfigError(f"epoch={epoch}: must be at least 1 iteration")
        self.epoch, self.frozen_epochs, self.clip = epoch, frozen_epochs, clip
        self.temperature, self.temperature_epochs, self.momentum = temperature, temperature_epochs, momentum

    def before_train(self, runner: Runner) -> None:
        """Hang clipping, freezing and the teacher's move on the optimizer's step."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        fixed = list(model.student.head.last_layer.parameters())

        def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            if runner.iter < self.frozen_epochs * self.epoch:
                for parameter in fixed:
                    parameter.grad = None
            if self.clip is not None:
                parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
                clip_each([parameter.grad for parameter in parameters if parameter.grad is not None], self.clip)

        def after_step(*_: Any) -> None:
            momentum = cosine(runner.iter, runner.max_iters, *self.momentum)
            model.move_teacher(momentum)
            runner.message_hub.update_scalar("train/teacher_momentum", momentum)

        runner.optim_wrapper.optimizer.register_step_pre_hook(before_step)
        runner.optim_wrapper.optimizer.register_step_post_hook(after_step)
        self._check_epoch(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the teacher's temperature."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.temperature = warm_up(runner.iter // self.epoch, self.temperature_epochs, *self.temperature)
        runner.message_hub.update_scalar("train/teacher_temperature", model.temperature)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop before a broken network becomes a checkpoint.

        Raises:
            FloatingPointError: The loss is infinite or no number.
        """
        loss = float(outputs["loss"].detach())
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at iteration {runner.iter + 1}: resume from the last checkpoint (--resume) with a "
                "lower learning rate, a smaller default_hooks.self_distillation.clip, or without --amp"
            )

    def _check_epoch(self, runner: Runner) -> None:
        loader = runner.train_dataloader
        size = getattr(loader.batch_sampler, "batch_size", None)
        if size is None:  # batches are drawn by a sampler of its own
            return
        iterations = len(loader.dataset) / (size * runner.world_size)
        if abs(self.epoch - iterations) > max(1.0, _TOLERANCE * iterations):
            runner.logger.warning(
                f"SelfDistillation: an epoch is {self.epoch} iterations, but {len(loader.dataset)} crops in batches of "
                f"{size} on {runner.world_size} process(es) are {iterations:.1f}; warm-up, schedules and "
                "train_cfg.max_iters are counted in iterations too"
            )
