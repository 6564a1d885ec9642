"""bfloat16 autocast that works the same on CPU and GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS

__all__ = ["AutocastOptimWrapper"]


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast on the model's own device; parameters stay float32.

    bfloat16 has float32's range, so no loss scaling is needed and nothing is added to checkpoints.
    """

    @contextlib.contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[Any]:
        """Autocast around the forward pass (and mmengine's gradient accumulation)."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
