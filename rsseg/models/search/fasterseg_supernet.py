"""FasterSeg's supernet: layers of cells at three scales, each with all operators, in widths of its own.

Shapes: maps (N, C, H, W).  Scale s is 1/8, 1/16, 1/32.  An architecture is 0 (teacher, full width) or 1 (student).
A width is an index into the shares of channels, with a score that is 1 and carries the gradient of its choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError
from rsseg.models.search.fasterseg_losses import gumbel_choice, gumbel_noise
from rsseg.models.search.fasterseg_operators import OPERATORS, ConvNorm, Slimmable, build_operator
from rsseg.models.search.widths import round_channels

__all__ = ["FULL", "FasterSegSupernet", "Probabilities", "Width", "build_stem", "cell_rows", "row_counts"]

FULL = 1.0
_START = 1e-3
_STUDENT_WIDTH = 8 / 12


@dataclass(frozen=True)
class Width:
    """Channels of a map, as a share.

    Attributes:
        share: Of the full number.
        score: 1, with the gradient of the choice; None where nothing was chosen.
    """

    share: float
    score: torch.Tensor | None = None


@dataclass(frozen=True)
class Probabilities:
    """An architecture as the supernet uses it.

    Attributes:
        alphas: (layers - s, 5) of each scale.
        betas: (layers - s - 1, 2) of scales 1 and 2.
        widths: Rows of each scale, see :func:`row_counts`.
    """

    alphas: Sequence[torch.Tensor]
    betas: Mapping[int, torch.Tensor]
    widths: Sequence[Sequence[Width]]


def row_counts(layers: int) -> tuple[int, int, int]:
    """Rows of widths at each scale."""
    return layers - 1, layers - 1, layers - 2


def cell_rows(layer: int, scale: int, layers: int) -> tuple[tuple[int, int] | None, ...]:
    """Rows (scale, number) of the widths of a cell's input, its output, and its output at the next scale.

    None is the width of stem or head, or an output that is not there.
    """
    last = layer == layers - 1
    source = None if layer == 0 else (scale, layer - max(scale, 1))
    keep = None if last else (scale, layer - scale + (1 if scale else 0))
    down = None if last or scale == 2 else (scale + 1, layer - scale)
    return source, keep, down


def build_stem(base: int, width: float) -> nn.Sequential:
    """From images to 1/8: (N, 8 * base * width, H / 8, W / 8)."""
    first, middle, out = (round(part * base * width) * 2 for part in (2, 4, 4))
    convs = (build_operator(3, first, middle, 2), build_operator(3, middle, out, 2))
    return nn.Sequential(ConvNorm(3, first, 3, 2), *convs)


class _MixedOperator(nn.Module):
    """All operators between two maps, slimmable."""

    def __init__(self, before: int, after: int, stride: int, widths: Sequence[float]) -> None:
        super().__init__()
        self.slim = Slimmable(widths)
        self.ops = nn.ModuleList(build_operator(op, before, after, stride, self.slim) for op in range(len(OPERATORS)))

    def forward(self, x: torch.Tensor, alpha: torch.Tensor, source: Width, target: Width) -> torch.Tensor:
        """Sum of the operators' maps by their probabilities ``alpha``, times the scores of both widths."""
        total: Any = 0.0
        for probability, op in zip(alpha, self.ops, strict=True):
            self.slim.set_width(op, target.share)
            out = op(x) * probability
            for width in (source, target):
                out = out if width.score is None else out * width.score
            total = total + out
        return total


class _Cell(nn.Module):
    """Mixed operators that keep the scale, and that go to the next one."""

    def __init__(self, channels: int, down: bool, widths: Sequence[float]) -> None:
        super().__init__()
        self.keep = _MixedOperator(channels, channels, 1, widths)
        self.down = _MixedOperator(channels, 2 * channels, 2, widths) if down else None

    def forward(
        self, x: torch.Tensor, alpha: torch.Tensor, source: Width, keep: Width, down: Width | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        below = None if self.down is None or down is None else self.down(x, alpha, source, down)
        return self.keep(x, alpha, source, keep), below


@MODELS.register_module()
class FasterSegSupernet(BaseModule):
    """Stems, cells and the parameters of two architectures that are searched together.

    Args:
        layers: Number of layers, at least 3; a network can be derived from 5 or more.
        base: Channels of the first scale are 8 times this at full width.
        widths: Shares of the channels, the full one last.
        student_width: Share of the student's stem and head.
        init_cfg: As for mmengine's ``BaseModule``.

    Raises:
        ConfigError: There are too few layers, or a width gives stem and cells different channels.

    Source: Chen et al., "FasterSeg", 2020, and its release.
    """

    def __init__(
        self,
        layers: int = 16,
        base: int = 12,
        widths: Sequence[float] = (4 / 12, 6 / 12, 8 / 12, 10 / 12, 1.0),
        student_width: float = _STUDENT_WIDTH,
        init_cfg: Any = (dict(type="Kaiming", layer="Conv2d", mode="fan_in"),),
    ) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        if layers < 3:
            raise ConfigError(f"FasterSeg's supernet needs at least 3 layers, got {layers}")
        self.layers, self.base, self.widths = layers, base, tuple(widths)
        self.stem_widths = (FULL, student_width)
        for share in self.stem_widths:
            stem, cell = 2 * round(4 * base * share), round_channels(8 * base * share)
            if share not in self.widths or stem != cell:
                raise ConfigError(
                    f"base={base} and a width of {share:.3g} give the stem {stem} channels and the cells {cell}; the "
                    f"width must be one of {[round(w, 3) for w in self.widths]} and both numbers equal"
                )
        self.stem = nn.ModuleList(build_stem(base, width) for width in self.stem_widths)
        self.cells = nn.ModuleList()
        for layer in range(layers):
            last = layer == layers - 1
            scales = range(min(layer, 2) + 1)
            self.cells.append(nn.ModuleList(_Cell((8 << s) * base, not last and s < 2, self.widths) for s in scales))
        self._add_parameters()

    def _add_parameters(self) -> None:
        """Parameters of both architectures; they train in steps of their own, and so need no gradient otherwise."""
        for index in range(2):
            shapes = {f"alpha_{index}_{s}": (self.layers - s, len(OPERATORS)) for s in range(3)}
            shapes |= {f"beta_{index}_{s}": (self.layers - s - 1, 2) for s in (1, 2)}
            count = len(self.widths) if index else 1
            shapes |= {f"ratio_{index}_{s}": (rows, count) for s, rows in enumerate(row_counts(self.layers))}
            for name, shape in shapes.items():
                self.register_parameter(name, nn.Parameter(torch.full(shape, _START), requires_grad=False))

    def architecture_parameters(self, index: int | None = None) -> dict[str, nn.Parameter]:
        """Parameters by name, of one architecture or of both."""
        marks = tuple(
            f"{kind}_{i}_" for kind in ("alpha", "beta", "ratio") for i in ((0, 1) if index is None else (index,))
        )
        return {name: own for name, own in self.named_parameters(recurse=False) if name.startswith(marks)}

    def choose_widths(self, index: int, mode: str) -> list[list[Width]]:
        """A width for each row.

        Args:
            index: Architecture.
            mode: ``max``, ``min``, ``random``, or ``sampled`` by the architecture's ratios, each row anew.
        """
        chosen: list[list[Width]] = []
        for scale, rows in enumerate(row_counts(self.layers)):
            ratios = getattr(self, f"ratio_{index}_{scale}")
            chosen.append([self._choose(ratios[row], mode) for row in range(rows)])
        return chosen

    def _choose(self, ratios: torch.Tensor, mode: str) -> Width:
        if mode == "sampled":
            choice = gumbel_choice(ratios, gumbel_noise(len(ratios), ratios))
            best = int(choice.argmax())
            return Width(self.widths[best], choice[best])
        if mode == "random":
            return Width(self.widths[int(torch.randint(len(self.widths), ()))])
        return Width({"max": self.widths[-1], "min": self.widths[0]}[mode])

    def probabilities(self, index: int, mode: str) -> Probabilities:
        """An architecture's probabilities, with widths as :meth:`choose_widths` gives them."""
        alphas = [getattr(self, f"alpha_{index}_{s}").softmax(-1) for s in range(3)]
        betas = {s: getattr(self, f"beta_{index}_{s}").softmax(-1) for s in (1, 2)}
        return Probabilities(alphas, betas, self.choose_widths(index, mode))

    def forward(self, images: torch.Tensor, index: int = 1, mode: str = "sampled") -> list[torch.Tensor]:
        """Maps of the last layer at 1/8, 1/16 and 1/32, with the channels of the architecture's head.

        Args:
            images: (N, 3, H, W); H and W multiples of 32.
            index: Architecture, whose stem is used.
            mode: See :meth:`choose_widths`.
        """
        use, edge = self.probabilities(index, mode), Width(self.stem_widths[index])
        keeps: list[torch.Tensor] = [self.stem[index](images)]
        downs: list[torch.Tensor | None] = [None]
        layers: Any = self.cells
        for layer, cells in enumerate(layers):
            outs = [self._run(cell, layer, s, keeps, downs, use, edge) for s, cell in enumerate(cells)]
            keeps, downs = [keep for keep, _ in outs], [down for _, down in outs]
        return keeps

    def _run(
        self,
        cell: nn.Module,
        layer: int,
        scale: int,
        keeps: Sequence[torch.Tensor],
        downs: Sequence[torch.Tensor | None],
        use: Probabilities,
        edge: Width,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Outputs of a cell: of its only input, or of both, mixed by beta."""
        rows = cell_rows(layer, scale, self.layers)
        source, keep = (edge if row is None else use.widths[row[0]][row[1]] for row in rows[:2])
        down = None if rows[2] is None else use.widths[rows[2][0]][rows[2][1]]
        inputs = [keeps[0]] if scale == 0 else [downs[scale - 1]]
        if 0 < scale < layer:
            inputs.append(keeps[scale])
        outs = [cell(x, use.alphas[scale][layer - scale], source, keep, down) for x in inputs]
        if len(outs) == 1:
            return outs[0]
        beta = use.betas[scale][layer - scale - 1]
        (keep1, down1), (keep2, down2) = outs
        mixed = None if down1 is None else beta[0] * down1 + beta[1] * down2
        return beta[0] * keep1 + beta[1] * keep2, mixed
