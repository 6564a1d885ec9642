"""The first convolution for images with other channels than those it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rsseg.errors import DataError

__all__ = ["fit_channels"]


def fit_channels(weight: torch.Tensor, channels: int | None = None, take: Sequence[int] | None = None) -> torch.Tensor:
    """Filters for other channels: the mean of the old ones for each, or those of chosen old ones.

    Args:
        weight: (O, C, k, k).
        channels: Number of new channels; each gets the mean of the old filters times C / channels, so that images whose
            channels are alike give the same numbers as before.
        take: For each new channel the old one (0 .. C - 1) whose filters it gets as they are, or -1 for the mean of
            all.  Of Sentinel-2's bands in order, ``(3, 2, 1)`` are red, green and blue.

    Returns:
        (O, N, k, k): ``weight`` itself where ``channels`` is C.

    Raises:
        DataError: Both or neither are given, or there is no such channel.
    """
    old = weight.shape[1]
    if (channels is None) == (take is None):
        raise DataError(
            "give either the number of channels (in_channels) or the old channel of each new one (take), not both"
        )
    mean = weight.mean(1, keepdim=True)
    if channels is not None:
        return weight if channels == old else (mean * (old / channels)).repeat(1, channels, 1, 1)
    if any(not -1 <= i < old for i in take or ()):
        raise DataError(
            f"channels {list(take or ())}: expected 0 to {old - 1}, the channels of the file, or -1 for their mean"
        )
    return torch.cat([mean if i == -1 else weight[:, i : i + 1] for i in take or ()], 1)
