"""Features of the images that were seen last, in memory: other texts for the same images need no encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

import torch

__all__ = ["RememberedFeatures"]


class RememberedFeatures:
    """An encoder that computes each batch of images of one scene once; for evaluation, as weights must not change.

    It stands in the place of a model's ``extract_feat``, whose result nothing may change in place.

    Args:
        encode: Function of images (B, C, H, W).
        limit: Bytes to keep; further batches are computed each time.
    """

    def __init__(self, encode: Callable[[torch.Tensor], Any], limit: int) -> None:
        self.encode, self.limit = encode, limit
        self._scene: Hashable = None
        self._kept: dict[bytes, Any] = {}
        self._size = 0

    def look_at(self, scene: Hashable) -> None:
        """Keep features of this scene from now on, and forget those of another one; None keeps none."""
        if scene != self._scene:
            self._scene, self._size = scene, 0
            self._kept.clear()

    def __call__(self, inputs: torch.Tensor) -> Any:
        """Features of images, from memory where they are there."""
        if self._scene is None or torch.is_grad_enabled():
            return self.encode(inputs)
        key = _key(inputs)
        if key in self._kept:
            return self._kept[key]
        found = self.encode(inputs)
        size = _size(found)
        if size is not None and self._size + size <= self.limit:
            self._kept[key], self._size = found, self._size + size
        return found


def _key(inputs: torch.Tensor) -> bytes:
    """What features depend on, besides the model: the pixels, and how products are computed."""
    kind = inputs.device.type
    cast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    text = f"{cast} {torch.get_float32_matmul_precision()} {inputs.dtype} {tuple(inputs.shape)}"
    pixels = inputs.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    return hashlib.sha256(text.encode() + pixels.tobytes()).digest()


def _size(value: Any) -> int | None:
    """Bytes of all tensors in nested sequences; None where there is anything else."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if value is None:
        return 0
    if not isinstance(value, (list, tuple)):
        return None
    sizes = [_size(part) for part in value]
    return None if None in sizes else sum(size for size in sizes if size is not None)
