"""Convolutions of upsampled maps, computed before the upsampling.

Both steps are linear, so a 3x3 convolution of an upsampled map is nine products at the low resolution whose results are
upsampled, shifted and added.  A map of a quarter of the size takes about a third of the time, a smaller one less.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

__all__ = ["convolve_maps", "convolve_upsampled"]


def convolve_upsampled(
    maps: torch.Tensor, weight: torch.Tensor, size: tuple[int, int], align_corners: bool = False
) -> torch.Tensor:
    """``conv2d(interpolate(maps, size, mode="bilinear"), weight, padding=k // 2)``, up to rounding, at borders too.

    Args:
        maps: (N, C, h, w).
        weight: (O, C, k, k), k odd.
        size: (H, W) of the upsampled maps.
        align_corners: As for ``interpolate``.

    Returns:
        (N, O, H, W).

    Source: ours; bilinear interpolation and convolution commute with sums.
    """
    height, width = maps.shape[2:]
    outputs, channels, kernel, _ = map(int, weight.shape)  # numbers also in a trace, unlike the sizes of maps
    taps = weight.permute(2, 0, 3, 1).reshape(kernel * outputs * kernel, channels, 1, 1)
    low = functional.conv2d(maps, taps).unflatten(1, (kernel, outputs, kernel))  # (N, k rows, O, k columns, h, w)
    columns = _shifted(width, size[1], kernel, align_corners, low)
    rows = _shifted(height, size[0], kernel, align_corners, low)
    wide = low.transpose(3, 4).flatten(4) @ columns  # (N, k, O, h, k w) x (k w, W)
    wide = wide.transpose(1, 2).flatten(2, 3)  # (N, O, k h, W)
    return rows.T @ wide


def _shifted(short: int, long: int, kernel: int, align_corners: bool, like: torch.Tensor) -> torch.Tensor:
    """(kernel short, long): the weights of linear interpolation, shifted by each tap of a kernel with zero padding."""
    precise = torch.promote_types(like.dtype, torch.float32)
    if torch.jit.is_tracing():  # sizes are tensors, so that the graph holds for every size
        weights = _linear(short, long, align_corners).to(precise)
    else:
        unit = torch.eye(short, dtype=precise, device=like.device)[None]
        weights = functional.interpolate(unit, size=long, mode="linear", align_corners=align_corners)[0]
    padded = functional.pad(weights, (kernel // 2, kernel // 2))
    return torch.cat([padded[:, tap : tap + long] for tap in range(kernel)]).to(like.dtype)


def _linear(short: Any, long: Any, align_corners: bool) -> torch.Tensor:
    """(short, long) float64: the weights of linear interpolation, of sizes that are tensors of a trace."""
    place, last = torch.arange(long, dtype=torch.float64), (short - 1).double()
    if align_corners:
        source = place * last / (long - 1).clamp(min=1).double()
    else:
        source = (place + 0.5) * short.double() / long.double() - 0.5
    source = torch.minimum(source.clamp(min=0), last)
    return (1 - (source - torch.arange(short, dtype=torch.float64)[:, None]).abs()).clamp(min=0)


def convolve_maps(maps: Sequence[torch.Tensor], weight: torch.Tensor, align_corners: bool = False) -> torch.Tensor:
    """Convolve the concatenation of maps of several sizes, all brought to the size of the first.

    Args:
        maps: (N, C_i, h_i, w_i) each; those that are smaller than the first are upsampled bilinearly.
        weight: (O, sum of C_i, k, k), k odd; zero padding of k // 2.
        align_corners: As for ``interpolate``.

    Returns:
        (N, O, h_0, w_0), equal to the convolution of the concatenation up to rounding.
    """
    size = maps[0].shape[2:]
    ends = [0, *itertools.accumulate(int(each.shape[1]) for each in maps)]
    parts = [(own, weight[:, low:high]) for own, (low, high) in zip(maps, itertools.pairwise(ends), strict=True)]
    same = [(own, part) for own, part in parts if own.shape[2:] == size]
    padding = weight.shape[-1] // 2
    total = functional.conv2d(
        torch.cat([own for own, _ in same], 1), torch.cat([part for _, part in same], 1), padding=padding
    )
    for own, part in parts:
        if own.shape[2:] != size:
            total = total + convolve_upsampled(own, part, (size[0], size[1]), align_corners)
    return total
