"""FasterSeg's search: teacher and student in one supernet, whose weights and architectures train on different images.

Shapes: images (N, 3, H, W); of the images of a batch the first ones are for the weights, the last for the architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.search.fasterseg import Classifier
from rsseg.models.search.fasterseg_derivation import choose_branches, derive_branches
from rsseg.models.search.fasterseg_latency import LatencyTable, supernet_latency, weighted_latency
from rsseg.models.search.fasterseg_losses import ohem_loss
from rsseg.models.search.fasterseg_operators import OPERATORS, ConvNorm, pad_to_32, scale_map
from rsseg.models.search.fasterseg_structure import Structure, architecture_of, network_latency
from rsseg.models.search.fasterseg_supernet import FULL
from rsseg.models.search.widths import round_channels
from rsseg.models.segmentor import Segmentor

__all__ = ["FasterSegSearch", "FasterSegSearchHead"]

_PASSES = {
    "pretrain": ((0, "max"), (0, "min"), (0, "random"), (0, "random")),
    "search": ((0, "max"), (1, "sampled"), (1, "max"), (1, "min")),
}
"""Architecture and widths of each forward pass that the weights learn from."""
_NAMES = {
    "pretrain": ("loss_max", "loss_min", "loss_random1", "loss_random2"),
    "search": ("loss_teacher", "loss_student", "loss_max", "loss_min"),
}
PAIRS = {(2, 0): 3, (2, 1): 4}
"""Number of the prediction that two branches give."""


class _Decoder(nn.Module):
    """Refines the coarser maps to 1/8 and classifies: 1/8, 1/16, 1/32, 1/8 with 1/32, 1/16 with 1/32."""

    def __init__(self, base: int, width: float, classes: int) -> None:
        super().__init__()
        c8, c16, c32 = (round((8 << scale) * base * width) for scale in range(3))
        refine32 = (ConvNorm(c32, c16, 1), ConvNorm(2 * c16, c16), ConvNorm(c16, c8, 1), ConvNorm(2 * c8, c8))
        self.refine32 = nn.ModuleList(refine32)
        self.refine16 = nn.ModuleList((ConvNorm(c16, c8, 1), ConvNorm(2 * c8, c8)))
        self.heads = nn.ModuleList(Classifier(n * c8, classes) for n in (1, 1, 1, 2, 2))

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        x8, x16, x32 = maps

        def up(conv: nn.Module, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
            return torch.cat([scale_map(conv(x), like.shape[2:]), like], 1)

        from16 = self.refine16[1](up(self.refine16[0], x16, x8))
        from32 = self.refine32[1](up(self.refine32[0], x32, x16))
        from32 = self.refine32[3](up(self.refine32[2], from32, x8))
        pairs = torch.cat([x8, from32], 1), torch.cat([from16, from32], 1)
        return [head(x) for head, x in zip(self.heads, (x8, from16, from32, *pairs), strict=True)]


@MODELS.register_module()
class FasterSegSearchHead(BaseDecodeHead):
    """A decoder for each architecture, with five predictions.

    Args:
        base: As for :class:`FasterSegSupernet`.
        student_width: As for :class:`FasterSegSupernet`.
        kept: Share of the pixels at 1/8 that stay at least, see :func:`ohem_loss`.
        threshold: See :func:`ohem_loss`.
        **kwargs: As for mmseg's decode heads (``num_classes`` ...).
    """

    def __init__(
        self, base: int = 12, student_width: float = 8 / 12, kept: float = 1 / 16, threshold: float = 0.7, **kwargs: Any
    ) -> None:
        init = [dict(type="Kaiming", layer="Conv2d", mode="fan_in")]
        kwargs = {"align_corners": True, "dropout_ratio": 0.0, "init_cfg": init, **kwargs}
        super().__init__(in_channels=8 * base, channels=8 * base, **kwargs)
        self.conv_seg = nn.Identity()
        self.kept, self.threshold = kept, threshold
        self.decoders = nn.ModuleList(_Decoder(base, width, self.num_classes) for width in (FULL, student_width))

    def forward(self, inputs: Sequence[torch.Tensor], index: int = 1) -> list[torch.Tensor]:
        """Five logits (N, classes, H / 8, W / 8) of an architecture."""
        return self.decoders[index](inputs)

    def loss_of(self, logits: Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Sum over the predictions; labels (N, H, W) are taken at the place of each logit."""
        small = functional.interpolate(target[:, None].float(), size=logits[0].shape[2:], mode="nearest")[:, 0].long()
        kept = int(small.numel() * self.kept)
        losses = [ohem_loss(own, small, kept, self.threshold, self.ignore_index) for own in logits]
        return torch.stack(losses).sum()


@MODELS.register_module()
class FasterSegSearch(Segmentor):
    """Supernet and decoders; trains weights, and gives the loss that the hook ``StepArchitecture`` descends.

    With 8 classes and the default supernet 252.0 M parameters.

    Args:
        backbone: Settings of :class:`FasterSegSupernet`.
        decode_head: Settings of :class:`FasterSegSearchHead`.
        phase: ``pretrain`` (the teacher's stem and decoder, widths largest, smallest and twice random) or
            ``search`` (both architectures, and largest and smallest widths with the student's stem and decoder).
        weight_images: Images of a process's batch that train the weights; the others are for the architecture.
        latency: ``kind``, ``device`` and ``release_defects`` of :class:`LatencyTable`, ``size`` (H, W) of the images.
        latency_weight: Factor of the student's latency in milliseconds.
        fps_band: Images per second that the student shall reach, and not exceed by much: after each epoch the weight of
            the latency is halved where a derived network is faster, else doubled where one is slower.  None keeps it.
        pair: Ends of the student's branches: (2, 1), as OpenEarthMap's release has it, or (2, 0).  None, as in
            FasterSeg's release: ``rsseg search`` compares both by validation in the end, see :meth:`choose_pair`.
        **kwargs: As for mmseg's ``EncoderDecoder``.

    Raises:
        ConfigError: There is no such phase or pair.

    Source: Chen et al., "FasterSeg", 2020, and its release, first order only.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        phase: str = "search",
        weight_images: int = 2,
        latency: Mapping[str, Any] | None = None,
        latency_weight: float = 0.01,
        fps_band: Sequence[float] | None = None,
        pair: Sequence[int] | None = (2, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone=backbone, decode_head=decode_head, **kwargs)
        if phase not in _PASSES or (pair is not None and tuple(pair) not in PAIRS):
            raise ConfigError(
                f"phase is {phase!r}, one of: {', '.join(_PASSES)}; pair is {pair!r}, one of {list(PAIRS)} or None"
            )
        settings = dict(latency or {})
        self.size = tuple(settings.pop("size", (1024, 2048)))
        self.table = LatencyTable(**settings)
        self.phase, self.weight_images, self.pair = phase, weight_images, tuple(pair or (2, 1))
        self.pairs_to_compare = [] if pair is not None else list(PAIRS)
        self._compared: list[dict[str, Any]] = []
        self.latency_weight, self.fps_band = latency_weight, fps_band

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict]) -> torch.Tensor:
        """Logits (N, classes, H, W) of the student's two branches, widths by its ratios; in pre-training the widest."""
        index, mode = (1, "sampled") if self.phase == "search" else (0, "max")
        height, width = inputs.shape[2:]
        padded = pad_to_32(inputs)
        logits = self.decode_head(self.backbone(padded, index, mode), index)[PAIRS[self.pair]]  # type: ignore[index]
        return scale_map(logits, padded.shape[2:])[..., :height, :width]

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        return self.encode_decode(inputs, [])

    def loss(self, inputs: torch.Tensor, data_samples: Any) -> dict[str, torch.Tensor]:
        """A loss for each forward pass over the images for the weights."""
        images, target = self._part(inputs, data_samples, slice(None, self.weight_images))
        passes = [self._pass(images, target, *one) for one in _PASSES[self.phase]]
        return dict(zip(_NAMES[self.phase], passes, strict=True))

    def _part(self, inputs: torch.Tensor, data_samples: Any, where: slice) -> tuple[torch.Tensor, torch.Tensor]:
        target = self.decode_head._stack_batch_gt(data_samples).squeeze(1)
        if not len(inputs[where]):
            part = "the weights" if where.start is None else "the architecture"
            raise ConfigError(
                f"a batch of {len(inputs)} images has none for {part}; "
                f"train_dataloader.batch_size must exceed model.weight_images={self.weight_images}"
            )
        return pad_to_32(inputs[where]), pad_to_32(target[where], self.decode_head.ignore_index)

    def _pass(self, images: torch.Tensor, target: torch.Tensor, index: int, mode: str) -> torch.Tensor:
        logits = self.decode_head(self.backbone(images, index, mode), index)
        return self.decode_head.loss_of(logits, target)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """What the architecture's steps change; nothing in pre-training."""
        return list(self.backbone.architecture_parameters().values()) if self.phase == "search" else []

    def architecture_losses(self, inputs: torch.Tensor, data_samples: Any) -> dict[str, torch.Tensor]:
        """Losses of both architectures and of the widest and the narrowest over the other images, and the latency's."""
        images, target = self._part(inputs, data_samples, slice(self.weight_images, None))
        passes = torch.stack([self._pass(images, target, *one) for one in _PASSES["search"]]).sum()
        net: Any = self.backbone
        milliseconds = weighted_latency(net, lambda use: supernet_latency(net, self.table, use, 1, self.size))
        return {"loss_architecture": passes, "loss_latency": self.latency_weight * milliseconds}

    def measure_latencies(self) -> None:
        """Fill the table with all that the search asks of it, so that other processes can take it over."""
        net: Any = self.backbone
        supernet_latency(net, self.table, net.probabilities(1, "max"), 1, self.size)
        for source in self.backbone.widths:
            for target in self.backbone.widths:
                self._measure(source, target)

    def _measure(self, source: float, target: float) -> None:
        net = self.backbone
        for scale in range(3):
            size = [side >> (3 + scale) for side in self.size]
            full = (8 << scale) * net.base
            for stride in (1, 2) if scale < 2 else (1,):
                ends = round_channels(full * source), round_channels(full * stride * target)
                for name in OPERATORS:
                    self.table(name, *size, *ends, stride)

    def after_step(self) -> None:
        """Nothing: the architecture's parameters have no bounds."""

    def after_epoch(self) -> dict[str, float]:
        """Adapt the weight of the latency, see ``fps_band``.

        Returns:
            Images per second of both pairs of branches, and the weight.
        """
        speeds = {
            f"fps{pair[0]}{pair[1]}": 1000
            / network_latency(self._structure(pair), self.table, self.num_classes, self.size)
            for pair in PAIRS
        }
        if self.fps_band is not None:
            low, high = self.fps_band
            if max(speeds.values()) >= high:
                self.latency_weight /= 2
            elif min(speeds.values()) <= low:
                self.latency_weight *= 2
        return {**speeds, "latency_weight": self.latency_weight}

    def choose_pair(self, scores: Mapping[tuple[int, int], float]) -> None:
        """Take the pair of branches with the larger objective, see :func:`choose_branches`.

        Args:
            scores: mIoU (0 .. 1) of the supernet's prediction of each pair.  Latencies are of the derived networks.
        """
        milliseconds = {
            pair: network_latency(self._structure(pair), self.table, self.num_classes, self.size) for pair in PAIRS
        }
        both = ((scores[pair], milliseconds[pair]) for pair in ((2, 0), (2, 1)))
        self.pair = choose_branches(*(number for one in both for number in one))
        self._compared = [{"pair": list(p), "mIoU": scores[p], "milliseconds": milliseconds[p]} for p in PAIRS]

    def _structure(self, pair: Sequence[int], index: int = 1) -> Structure:
        net = self.backbone
        branches = derive_branches(net.architecture_parameters(index), net.widths, index, forbid_skips=index == 0)
        width = net.stem_widths[index]
        return Structure(tuple(branches[last] for last in pair), net.base, width, width)

    def architecture(self) -> dict[str, Any]:
        """The student, with the teacher under ``teacher`` and all parameters under ``parameters``.

        What :meth:`choose_pair` has compared is under ``compared``.
        """
        parameters = {
            name: own.detach().cpu().tolist() for name, own in self.backbone.architecture_parameters().items()
        }
        teacher = architecture_of(self._structure(self.pair, 0))
        more = {"compared": self._compared} if self._compared else {}
        return architecture_of(self._structure(self.pair), teacher=teacher, parameters=parameters, **more)
