"""Adapters (LoRA) of PyTorch's attention modules, whose weights are used without their layers being called."""

from __future__ import annotations

from typing import Any

from peft.tuners.lora.layer import MultiheadAttention
from torch import nn

__all__ = ["AdaptedAttention"]


class AdaptedAttention(MultiheadAttention):
    """peft's layer with another forward: each adapter counts once, and the weights beside it stay as they are.

    peft (0.21) adds the adapters to the weights and subtracts them afterwards, whose rounding adds up over a training,
    makes new parameters each time, and adds that of the output projection twice.
    """

    def forward(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """As that of ``nn.MultiheadAttention``."""
        inner = self.get_base_layer()
        outer = inner.out_proj.get_base_layer()
        name = self.active_adapters[0]
        aside = inner.in_proj_weight, outer.weight
        changed = (
            aside[0].detach() + self.get_delta_weight(name),
            aside[1].detach() + inner.out_proj.get_delta_weight(name),
        )
        del inner.in_proj_weight, outer.weight
        inner.in_proj_weight, outer.weight = changed
        try:
            return inner(query, *args, **kwargs)
        finally:
            del inner.in_proj_weight, outer.weight
            inner.in_proj_weight, outer.weight = aside

    @classmethod
    def use_in(cls, encoder: nn.Module) -> None:
        """Let all adapted attention modules of an encoder be of this class, in place."""
        for module in encoder.modules():
            if type(module) is MultiheadAttention:
                module.__class__ = cls
