"""Schedules of learning rates that mmengine lacks."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS

from rsseg.errors import ConfigError

__all__ = ["WarmupPoly", "warmup_poly"]


def warmup_poly(iteration: int, warmup: int, total: int, power: float) -> float:
    """Factor of the learning rate: linear from 0 in the warm-up, then (1 - iteration / total) ** power.

    At the end of the warm-up it steps down, from nearly 1 to what the decay has reached by then.

    Args:
        iteration: From 0; beyond ``total`` it is 0.
        warmup: Iterations of the warm-up; iteration 0 then has a rate of 0.
        total: Iterations after which it is 0; a run may stop before.
        power: Of the decay.

    Source: LoveDA's release for domain adaptation.
    """
    if iteration < warmup:
        return iteration / warmup
    return float(max(1 - iteration / total, 0.0) ** power)


@PARAM_SCHEDULERS.register_module()
class WarmupPoly(LRSchedulerMixin, _ParamScheduler):
    """Learning rates by :func:`warmup_poly`, in closed form: a resumed run has exactly the rates of another.

    Args:
        optimizer: The optimizer, or its wrapper.
        warmup: See :func:`warmup_poly`.
        total: See :func:`warmup_poly`.
        power: See :func:`warmup_poly`.
        **kwargs: As for schedules of mmengine (``by_epoch`` ...).

    Raises:
        ConfigError: The warm-up is not shorter than the whole.
    """

    def __init__(
        self, optimizer: Any, warmup: int = 750, total: int = 15000, power: float = 0.9, **kwargs: Any
    ) -> None:
        if not 0 <= warmup < total:
            raise ConfigError(f"WarmupPoly needs 0 <= warmup < total, got warmup={warmup} and total={total}")
        self.warmup, self.total, self.power = warmup, total, power
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> list[float]:
        factor = warmup_poly(self.last_step, self.warmup, self.total, self.power)
        return [value * factor for value in self.base_values]
