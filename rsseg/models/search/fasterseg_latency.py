"""Latency of FasterSeg's operators as a table, and of its networks as sums over that table.

A key is (operator, H, W, channels in, channels out, stride), with H, W and channels of the input; ``convnorm1`` and
``convnorm3`` are convolutions of 1 x 1 and 3 x 3 with normalisation, ``head`` a classifier with its 3 x 3 convolution.
Values are milliseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from rsseg.errors import ConfigError
from rsseg.models.search.fasterseg_operators import OPERATORS, ConvNorm, build_operator
from rsseg.models.search.fasterseg_supernet import FasterSegSupernet, Probabilities, Width, cell_rows
from rsseg.models.search.widths import round_channels

__all__ = [
    "SHARES",
    "Key",
    "LatencyTable",
    "macs_of",
    "measure_milliseconds",
    "stem_latency",
    "supernet_latency",
    "weighted_latency",
]

Key = tuple[str, int, int, int, int, int]
SHARES = (1 / 500, 497 / 500, 2 / 500)
"""Of the latency by alphas, betas and ratios in :func:`weighted_latency`."""
_SCALES = (3 / 12, 4 / 12, 5 / 12)
_MS_PER_GMAC = 0.1


def _layer(key: Key) -> nn.Module:
    name, _, _, before, after, stride = key
    if name == "head":
        return nn.Sequential(ConvNorm(before, before), nn.Conv2d(before, after, 1))
    if name.startswith("convnorm"):
        return ConvNorm(before, after, int(name[-1]), stride)
    if name == "skip" and stride == 1:  # the supernet's; derived networks have none
        return ConvNorm(before, after, 1)
    return build_operator(OPERATORS.index(name), before, after, stride)


def macs_of(key: Key) -> float:
    """Multiply-adds of a layer's convolutions."""
    name, height, width, before, after, stride = key
    pixels = height * width / stride**2
    if name == "skip":
        return pixels * before * after
    if name == "head":
        return pixels * (9 * before * before + before * after)
    if name.startswith("convnorm"):
        return pixels * before * after * int(name[-1]) ** 2
    inner = height * width / 4 if name.endswith("downup") else pixels
    return inner * 9 * (before * after + (after * after if name.startswith("conv_2x") else 0))


def measure_milliseconds(key: Key, device: str = "cpu", runs: int = 10) -> float:
    """Median milliseconds of a layer, with initial weights, for one image."""
    layer = _layer(key).to(device).eval()
    image = torch.rand(1, key[3], key[1], key[2], device=device)
    on_gpu = torch.device(device).type == "cuda"
    times = []
    with torch.inference_mode():
        for run in range(runs + 2):
            start = time.perf_counter()
            layer(image)
            if on_gpu:
                torch.cuda.synchronize()
            if run > 1:
                times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


@dataclass
class LatencyTable:
    """Milliseconds by key; what is missing is computed or measured when it is asked for.

    Attributes:
        entries: What is known.
        kind: ``macs``, a tenth of a millisecond for each thousand million multiply-adds, or ``measured``.
        device: Where it is measured.
        release_defects: ``conv_2x_downup`` costs what ``conv_2x`` costs, as in the release's table.

    Raises:
        ConfigError: There is no such kind.
    """

    entries: dict[Key, float] = field(default_factory=dict)
    kind: str = "macs"
    device: str = "cpu"
    release_defects: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("macs", "measured"):
            raise ConfigError(f"latency kind {self.kind!r}; expected 'macs' or 'measured'")

    def __call__(self, *key: Any) -> float:
        """Milliseconds of a layer."""
        found: Key = (key[0], *map(int, key[1:]))
        if self.release_defects and found[0] in _RELEASE:
            found = (_RELEASE[found[0]], *found[1:])
        if found not in self.entries:
            if self.kind == "macs":
                self.entries[found] = _MS_PER_GMAC * macs_of(found) / 1e9
            else:
                self.entries[found] = measure_milliseconds(found, self.device)
        return self.entries[found]

    def rows(self) -> list[list[Any]]:
        """The entries as a JSON file holds them."""
        return [[*key, value] for key, value in sorted(self.entries.items())]

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take over entries of :meth:`rows`."""
        self.entries |= {(row[0], *map(int, row[1:6])): float(row[6]) for row in rows}


_RELEASE = {"conv_2x_downup": "conv_2x"}


def stem_latency(table: LatencyTable, base: int, width: float, size: tuple[int, int]) -> float:
    """Milliseconds of a stem for images of (H, W)."""
    (height, wide), channels = size, [round(part * base * width) * 2 for part in (2, 4, 4)]
    total = table("convnorm3", height, wide, 3, channels[0], 2)
    for i in (1, 2):
        total += table("conv_2x", height >> i, wide >> i, channels[i - 1], channels[i], 2)
    return total


def supernet_latency(
    net: FasterSegSupernet,
    table: LatencyTable,
    use: Probabilities,
    index: int = 1,
    size: tuple[int, int] = (1024, 2048),
    release_defects: bool = False,
) -> torch.Tensor:
    """Expected milliseconds of the supernet, with the gradient of its probabilities and widths.

    Args:
        net: The supernet.
        table: Milliseconds of layers.
        use: Probabilities.
        index: Architecture, for the widths of stem and head.
        size: (H, W) of the images.
        release_defects: Add up as the release does: every scale takes the betas of the last scale of the loop, an
            output at the next scale counts its own layer's operator twice, and a scale sees this layer's sums of finer
            ones.
    """
    edge = Width(net.stem_widths[index])
    start = use.alphas[0].new_tensor(stem_latency(table, net.base, edge.share, size))
    zero = torch.zeros_like(start)
    totals = [[start, zero], [zero, zero], [zero, zero]]
    for layer in range(net.layers):
        count = min(layer, 2) + 1
        before = [list(row) for row in totals]
        for scale in range(count):
            keep, down = _cell_latency(net, table, use, edge, layer, scale, size)
            if release_defects:
                _add_as_released(totals, use, layer, scale, count - 1, keep, down)
                continue
            if scale == 0:
                reached = before[0][0]
            elif layer == scale:
                reached = before[scale - 1][1]
            else:
                beta = use.betas[scale][layer - scale - 1]
                reached = beta[0] * before[scale - 1][1] + beta[1] * before[scale][0]
            totals[scale] = [reached + keep, zero if down is None else reached + down]
    return torch.stack([share * totals[scale][0] for scale, share in enumerate(_SCALES)]).sum()


def _add_as_released(
    totals: list[list[torch.Tensor]],
    use: Probabilities,
    layer: int,
    scale: int,
    deepest: int,
    keep: torch.Tensor,
    down: torch.Tensor | None,
) -> None:
    """The release's sums, in place: ``totals`` are those of this layer for finer scales already."""
    for column, own in enumerate((keep, down)):
        if own is None:
            continue
        if scale == 0:
            totals[0][column] = totals[0][0] + own
        elif layer == scale:
            totals[scale][column] = totals[scale - 1][1] + own
        else:
            beta = use.betas[deepest][layer - deepest - 1]
            totals[scale][column] = beta[1] * totals[scale][0] + beta[0] * totals[scale - 1][1] + own


def _cell_latency(
    net: FasterSegSupernet,
    table: LatencyTable,
    use: Probabilities,
    edge: Width,
    layer: int,
    scale: int,
    size: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Expected milliseconds of a cell, and of its output at the next scale."""
    rows = cell_rows(layer, scale, net.layers)
    source, keep = (edge if row is None else use.widths[row[0]][row[1]] for row in rows[:2])
    down = None if rows[2] is None else use.widths[rows[2][0]][rows[2][1]]
    height, width = (side >> (3 + scale) for side in size)
    full = (8 << scale) * net.base
    alpha = use.alphas[scale][layer - scale]

    def mixed(target: Width, channels: int, stride: int) -> torch.Tensor:
        ends = round_channels(full * source.share), round_channels(channels * target.share)
        times = [table(name, height, width, *ends, stride) for name in OPERATORS]
        total = (alpha * alpha.new_tensor(times)).sum()
        for score in (source.score, target.score):
            total = total if score is None else total * score
        return total

    return mixed(keep, full, 1), None if down is None else mixed(down, 2 * full, 2)


def weighted_latency(net: FasterSegSupernet, latency: Callable[[Probabilities], torch.Tensor]) -> torch.Tensor:
    """The student's latency with the gradient of alphas, betas and ratios, each seen with the others uniform or full.

    Args:
        net: The supernet.
        latency: Such as :func:`supernet_latency` of these probabilities.
    """
    own, full = net.probabilities(1, "sampled"), net.choose_widths(1, "max")
    alphas = [torch.full_like(a, 1 / len(OPERATORS)) for a in own.alphas]
    betas = {s: torch.full_like(b, 0.5) for s, b in own.betas.items()}
    parts = (
        Probabilities(own.alphas, betas, full),
        Probabilities(alphas, own.betas, full),
        Probabilities(alphas, betas, own.widths),
    )
    return torch.stack([share * latency(part) for share, part in zip(SHARES, parts, strict=True)]).sum()
