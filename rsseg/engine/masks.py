"""Masked attention that is given up in the course of a training, block after block."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError

__all__ = ["AnnealMasks", "mask_rates"]

_PARTS = 6
"""The first block begins after one sixth of the training, the last one ends one sixth before its end."""


def mask_rates(iteration: int, total: int, blocks: int, power: float = 0.9) -> list[float]:
    """Share of queries that are held to their masks, for each block.

    Each falls from 1 to 0 within a sixth of the training as ``(1 - progress) ** power``; the first one begins after one
    sixth, the last one after four, the others at even distances.

    Args:
        iteration: From 0.
        total: Iterations of the training.
        blocks: How many there are.
        power: Of the polynomial.

    Source: EoMT (arXiv 2503.19108), section 3.3; where blocks begin and end is read from its authors' configurations
    (4 blocks: 1/6, 2/6, 3/6, 4/6; 3 blocks: 1/6, 2.5/6, 4/6).
    """
    out = []
    for i in range(blocks):
        begin = 1 + (_PARTS - 3) * i / max(blocks - 1, 1)
        progress = min(max(_PARTS * iteration / total - begin, 0.0), 1.0)
        out.append(float((1 - progress) ** power))
    return out


@HOOKS.register_module()
class AnnealMasks(Hook):
    """Set ``decode_head.mask_rates`` of an EoMT before each iteration, see :func:`mask_rates`.

    The rates are those of the iteration alone, so that a resumed run repeats another.

    Args:
        power: Of the polynomial.
    """

    def __init__(self, power: float = 0.9) -> None:
        self.power = power

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the rates of this iteration.

        Raises:
            ConfigError: The model is no EoMT.
        """
        rates = getattr(getattr(bare_model(runner.model), "decode_head", None), "mask_rates", None)
        if not isinstance(rates, torch.Tensor):
            raise ConfigError(f"AnnealMasks is for EoMT; {type(bare_model(runner.model)).__name__} has no mask_rates")
        rates.copy_(rates.new_tensor(mask_rates(runner.iter, runner.max_iters, len(rates), self.power)))
