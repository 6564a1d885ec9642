"""Parts of models that are computed in the precision of their inputs, whatever is around them."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

__all__ = ["without_autocast"]


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A context in which autocast is off; on the device ``meta``, which has none, it does nothing."""
    if device.type == "meta":
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
