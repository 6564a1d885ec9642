"""Adapters (LoRA) of PyTorch's attention modules, whose weights are used without their layers being called."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["attend", "use_exact_attention"]


def attend(layer: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
    """Forward of peft's adapted attention: each adapter counts once, and the weights beside it stay as they are.

    That of peft (0.21) adds the adapters to the weights and subtracts them afterwards, whose rounding adds up over a
    training, makes new parameters each time, and adds the adapter of the output projection twice.

    Args:
        layer: peft's layer.
        query: As for ``nn.MultiheadAttention``.
        *args: As there.
        **kwargs: As there.
    """
    inner = layer.get_base_layer()
    outer = inner.out_proj.get_base_layer()
    name = layer.active_adapters[0]
    aside = inner.in_proj_weight, outer.weight
    changed = (
        aside[0] + layer.get_delta_weight(name),
        aside[1] + inner.out_proj.get_delta_weight(name),
    )
    del inner.in_proj_weight, outer.weight
    inner.in_proj_weight, outer.weight = changed
    try:
        return inner(query, *args, **kwargs)
    finally:
        del inner.in_proj_weight, outer.weight
        inner.in_proj_weight, outer.weight = aside


def _stay(layer: Any) -> None:
    """In the place of peft's, which makes new parameters whenever somebody asks for names: an optimizer lacks them."""


def use_exact_attention(encoder: nn.Module) -> None:
    """Let all adapted attention modules of an encoder go by :func:`attend`, in place."""
    from peft.tuners.lora.layer import MultiheadAttention

    own = {"forward": attend, "_restore_weights": _stay, "__module__": __name__}
    exact = type("AdaptedAttention", (MultiheadAttention,), own)
    for module in encoder.modules():
        if type(module) is MultiheadAttention:
            module.__class__ = exact
