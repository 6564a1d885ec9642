"""Steps of an architecture's parameters between those of the weights, on images of their own."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce, broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError

__all__ = ["StepArchitecture"]

_KEY = "architecture_step"


@HOOKS.register_module()
class StepArchitecture(Hook):
    """Before each step of the weights: one of the architecture's parameters, with the batch's last images.

    The model has ``architecture_parameters()``, ``architecture_losses(inputs, data_samples)`` and ``after_epoch()``;
    its parameters take no gradient in between, so that parallel training need not know of them.  Checkpoints hold the
    optimizer's state and the weight of the latency; a resumed run repeats an uninterrupted one.

    Args:
        lr: Learning rate of Adam.
        betas: Of Adam.
        epoch: Iterations from one call of ``after_epoch`` to the next; None for never.

    Source: FasterSeg's release: the architecture first, then the weights.
    """

    priority = "NORMAL"  # after torch is seeded for the iteration

    def __init__(self, lr: float = 3e-4, betas: tuple[float, float] = (0.5, 0.999), epoch: int | None = None) -> None:
        self.lr, self.betas, self.epoch = lr, (betas[0], betas[1]), epoch
        self._optimizer: torch.optim.Optimizer | None = None
        self._state: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Make the optimizer; the first process's table of latencies is everybody's.

        Raises:
            ConfigError: The model has no architecture to train.
        """
        model = bare_model(runner.model)
        parameters = model.architecture_parameters() if hasattr(model, "architecture_parameters") else []
        if not parameters:
            raise ConfigError(
                f"{type(model).__name__} has no architecture that trains; remove the hook StepArchitecture"
            )
        self._optimizer = torch.optim.Adam(parameters, lr=self.lr, betas=self.betas)
        if self._state is not None:
            self._optimizer.load_state_dict(self._state["optimizer"])
            model.latency_weight = self._state["latency_weight"]
            model.table.add_rows(self._state["latencies"])
        self._share_table(model)

    def _share_table(self, model: Any) -> None:
        if model.table.kind == "measured":
            if is_main_process():
                model.measure_latencies()
            rows = [model.table.rows()]
            broadcast_object_list(rows)
            model.table.add_rows(rows[0])

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """A step of the architecture's parameters."""
        assert self._optimizer is not None
        model = bare_model(runner.model)
        model.train()
        data = model.data_preprocessor(data_batch, training=True)
        parameters = [own for group in self._optimizer.param_groups for own in group["params"]]
        for own in parameters:
            own.requires_grad_(True)
        try:
            losses = model.architecture_losses(data["inputs"], data["data_samples"])
            total = torch.stack(list(losses.values())).sum()
            gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        finally:
            for own in parameters:
                own.requires_grad_(False)
        for own, gradient in zip(parameters, gradients, strict=True):
            own.grad = torch.zeros_like(own) if gradient is None else gradient
            all_reduce(own.grad, "mean")
        self._optimizer.step()
        self._optimizer.zero_grad()
        for name, loss in losses.items():
            runner.message_hub.update_scalar(f"train/{name}", loss.item())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Adapt the weight of the latency at the end of an epoch."""
        if self.epoch and self.every_n_train_iters(runner, self.epoch):
            for name, value in bare_model(runner.model).after_epoch().items():
                runner.message_hub.update_scalar(f"train/{name}", value)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the optimizer's state."""
        if self._optimizer is not None:
            model = bare_model(runner.model)
            checkpoint[_KEY] = dict(
                optimizer=self._optimizer.state_dict(),
                latency_weight=model.latency_weight,
                latencies=model.table.rows(),
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take the optimizer's state of a run that is resumed."""
        if runner._resume:
            self._state = checkpoint.get(_KEY)
