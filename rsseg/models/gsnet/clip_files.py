"""Files with CLIP's weights, brought to the names of :class:`rsseg.models.gsnet.clip.CLIP`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

__all__ = ["read_clip"]


def read_clip(files: str | Sequence[str], wanted: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Weights of a CLIP model, from a file."""
    raise ValueError(f"{files}: not readable yet")
