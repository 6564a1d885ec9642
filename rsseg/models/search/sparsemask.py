"""SparseMask: a decoder of nodes with all edges, which a search thins out, and the one that is derived from it.

Shapes: maps (N, C, H, W), from the backbone finest first, in the decoder coarsest first.  Node k has the size of map k.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rsseg.errors import ConfigError
from rsseg.models.search.sparsemask_pruning import architecture_of, mask_of, prune_edges, read_mask

__all__ = ["SparseMaskHead", "SparseMaskSearchHead", "noisy_weights", "sparsity_loss", "sum_at_size"]

_NOISE, _LARGEST, _EPS = 0.1, 2.0, 1e-10
_INIT = (dict(type="Kaiming", layer="Conv2d"), dict(type="Constant", layer="_BatchNorm", val=1))


def noisy_weights(table: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Weights of edges for one forward pass: a tenth of standard normal ``noise`` added, then clipped to 0 .. 2."""
    return (table + _NOISE * noise).clamp(0, _LARGEST)


def sparsity_loss(weights: torch.Tensor, ratio: float | None = None) -> torch.Tensor:
    """Pushes the weights of a node's edges to 0 or 2, and their mean towards two edges for each node.

    Args:
        weights: (k + 1, 2) between 0 and 2.
        ratio: Share of the edges that shall stay; by default that of two, at most one half.

    Returns:
        Scalar: mean binary entropy of the halved weights, plus the cross-entropy between ``ratio`` and their mean.

    Source: facts of the release; SparseMask paper, equations for sparsity and binarisation.
    """
    share = min(2 / weights.numel(), 0.5) if ratio is None else ratio
    w = weights / 2
    mean = w.mean()
    entropy = -(w * (w + _EPS).log() + (1 - w) * (1 - w + _EPS).log()).mean()
    return entropy - (share * (mean + _EPS).log() + (1 - share) * (1 - mean + _EPS).log())


def sum_at_size(maps: Iterable[torch.Tensor], size: torch.Size) -> torch.Tensor:
    """Sum of maps (N, C, h, w) of several sizes, each scaled to (H, W), bilinear, corner to corner.

    Those of one size are added up before they are scaled, which gives the same and takes less time.
    """
    sums: dict[torch.Size, torch.Tensor] = {}
    for x in maps:
        sums[x.shape[2:]] = sums[x.shape[2:]] + x if x.shape[2:] in sums else x
    total: Any = 0.0
    for own, x in sums.items():
        fits = own == size or tuple(own) == (1, 1) != tuple(size)
        total = total + (x if fits else functional.interpolate(x, tuple(size), mode="bilinear", align_corners=True))
    return total.expand(-1, -1, *size)


class _SearchNode(nn.Module):
    """All edges into one node, each 1x1 convolution and normalisation, with a weight."""

    def __init__(self, taps: Sequence[int], ups: Sequence[int], channels: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()

        def edge(before: int) -> nn.Sequential:
            conv = nn.Conv2d(before, channels, 1, bias=False)
            return nn.Sequential(conv, build_norm_layer(norm_cfg, channels)[1])

        self.down_convs = nn.ModuleList(map(edge, taps))
        self.up_convs = nn.ModuleList(map(edge, ups))
        self.bn = build_norm_layer(norm_cfg, channels)[1]
        self.table = nn.Parameter(torch.ones(len(taps), 2))

    def forward(self, taps: Sequence[torch.Tensor], ups: Sequence[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
        return self.bn(self._sum(weights, *taps, *ups))

    def forward_in_parts(self, taps: Any, ups: Any, weights: torch.Tensor) -> torch.Tensor:
        """The same, with the edges' maps computed again for the gradient instead of being kept."""
        total = checkpoint(self._sum, weights, *taps, *ups, use_reentrant=False, preserve_rng_state=False)
        return self.bn(total)

    def _sum(self, weights: torch.Tensor, *maps: torch.Tensor) -> torch.Tensor:
        count = len(self.down_convs)
        size = maps[count - 1].shape[2:]
        edges = ((j, column) for j in range(count) for column in range(2))
        convs = (self.down_convs, self.up_convs)
        return sum_at_size((weights[j, c] * convs[c][j](functional.relu6(maps[c * count + j])) for j, c in edges), size)


class _Node(nn.Module):
    """The edges that are left into one node, each a 1x1 convolution; their sum is normalised."""

    def __init__(self, taps: dict[int, int], ups: dict[int, int], channels: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        edges = [{str(j): nn.Conv2d(c, channels, 1, bias=False) for j, c in side.items()} for side in (taps, ups)]
        self.down_convs, self.up_convs = map(nn.ModuleDict, edges)
        self.bn = build_norm_layer(norm_cfg, channels)[1]

    def forward(self, taps: Sequence[torch.Tensor], ups: Sequence[torch.Tensor | None]) -> torch.Tensor:
        size = taps[-1].shape[2:]
        sides: Any = ((self.down_convs, taps), (self.up_convs, ups))  # a consistent mask reads nodes that are there
        edges = (conv(functional.relu6(maps[int(j)])) for convs, maps in sides for j, conv in convs.items())
        return self.bn(sum_at_size(edges, size))


class _Head(BaseDecodeHead):
    """What search and derived head share: all maps come in, the last node's map is classified."""

    def __init__(self, in_channels: Sequence[int], channels: int = 64, **kwargs: Any) -> None:
        kwargs = {"dropout_ratio": 0.0, "align_corners": True, "init_cfg": list(_INIT), **kwargs}
        kwargs.setdefault("norm_cfg", dict(type="BN", momentum=0.0003))
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(range(len(in_channels))),
            input_transform="multiple_select",
            channels=channels,
            **kwargs,
        )
        coarsest_first = list(in_channels)[::-1]
        self.taps = coarsest_first
        self.ups = [coarsest_first[0], *[channels] * (len(in_channels) - 1)]

    def _begin(self, inputs: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Maps from the coarsest on, and the first input of the nodes."""
        maps = list(self._transform_inputs(inputs))[::-1]
        return maps, functional.adaptive_avg_pool2d(maps[0], 1)


@MODELS.register_module()
class SparseMaskSearchHead(_Head):
    """SparseMask's decoder in search: node k reads maps 0 .. k and the outputs of all earlier nodes.

    4,170,018 parameters with its backbone and 8 classes.  Weights of edges are drawn anew in every forward pass, in
    evaluation as well.  A checkpoint's tables are clipped by the hook ``TrackArchitecture`` after each step.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        channels: Of the nodes.
        sparsity_weight: Factor of the sum of :func:`sparsity_loss` over the nodes.
        threshold: Of :func:`prune_edges`, for the architecture so far.
        with_cp: Compute the maps of edges again for the gradient, which needs a fraction of the memory; running
            statistics of their normalisation then move twice a step, as in the release.
        **kwargs: As for mmseg's decode heads; normalisation should have ``requires_grad=False``.

    Source: Wu et al., "SparseMask", 2019, and its release.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        sparsity_weight: float = 0.01,
        threshold: float = 0.001,
        with_cp: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, channels, **kwargs)
        self.sparsity_weight, self.threshold, self.with_cp = sparsity_weight, threshold, with_cp
        self.decoders = nn.Sequential()
        for k in range(len(self.taps)):
            node = _SearchNode(self.taps[: k + 1], self.ups[: k + 1], channels, self.norm_cfg)
            self.decoders.add_module(f"Decoders_{k}", node)
        self._drawn: list[torch.Tensor] = []

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, classes, H / 2, W / 2)."""
        taps, first = self._begin(inputs)
        ups, x, drawn = [first], first, []
        for k, node in enumerate(self._nodes()):
            weights = noisy_weights(node.table, torch.randn_like(node.table))
            run = node.forward_in_parts if self.with_cp and torch.is_grad_enabled() else node
            x = run(taps[: k + 1], ups[: k + 1], weights)
            ups.append(x)
            drawn.append(weights)
        self._drawn = drawn
        return self.cls_seg(functional.relu6(x))

    def loss(self, inputs: Any, batch_data_samples: Any, train_cfg: Any) -> dict[str, torch.Tensor]:
        """mmseg's losses and ``loss_sparsity``."""
        losses = super().loss(inputs, batch_data_samples, train_cfg)
        total = torch.stack([sparsity_loss(weights) for weights in self._drawn]).sum()
        self._drawn = []
        return {**losses, "loss_sparsity": self.sparsity_weight * total}

    def _nodes(self) -> list[Any]:
        return list(self.decoders)

    def after_step(self) -> None:
        """Clip the edge tables to 0 .. 2."""
        with torch.no_grad():
            for node in self._nodes():
                node.table.clamp_(0, _LARGEST)

    def edge_tables(self) -> list[np.ndarray]:
        """Edge table (k + 1, 2) of each node, clipped to 0 .. 2."""
        return [node.table.detach().float().cpu().clamp(0, _LARGEST).numpy() for node in self._nodes()]

    def architecture(self) -> dict[str, Any]:
        """The architecture so far, see :func:`architecture_of`, with the edges' weights; it may have no edges."""
        tables = self.edge_tables()
        weights = [[[round(float(w), 4) for w in row] for row in table] for table in tables]
        return architecture_of(prune_edges(tables, self.threshold), threshold=self.threshold, weights=weights)


@MODELS.register_module()
class SparseMaskHead(_Head):
    """SparseMask's derived decoder: only the edges of an architecture, without weights.

    2,785,096 parameters with its backbone, 8 classes and the mask of the authors for PASCAL VOC.

    Args:
        architecture: A file, ``.json`` or the release's ``.npy``, or what a JSON file holds.
        in_channels: Channels of the backbone's maps, finest first.
        channels: Of the nodes.
        **kwargs: As for mmseg's decode heads.

    Raises:
        FileNotFoundError: There is no such architecture.
        ConfigError: The architecture has another number of nodes than the backbone has maps.
        DataError: It is empty or damaged.

    Source: Wu et al., "SparseMask", 2019, and its release.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any] | str | Path,
        in_channels: Sequence[int],
        channels: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, channels, **kwargs)
        mask = mask_of(architecture) if isinstance(architecture, Mapping) else read_mask(architecture)
        if len(mask) != len(self.taps):
            raise ConfigError(f"the architecture has {len(mask)} nodes, the backbone {len(self.taps)} maps")
        self.decoders = nn.ModuleDict()
        for k, rows in enumerate(mask):
            if rows.any():
                taps, ups = ({int(j): side[j] for j in np.flatnonzero(rows[:, column])}
                             for column, side in enumerate((self.taps, self.ups)))  # fmt: skip
                self.decoders[f"Decoders_{k}"] = _Node(taps, ups, channels, self.norm_cfg)

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, classes, H / 2, W / 2)."""
        taps, first = self._begin(inputs)
        ups: list[torch.Tensor | None] = [first]
        for k in range(len(taps)):
            name = f"Decoders_{k}"
            ups.append(self.decoders[name](taps[: k + 1], ups[: k + 1]) if name in self.decoders else None)
        last = ups[-1]
        assert last is not None  # see check_mask
        return self.cls_seg(functional.relu6(last))
