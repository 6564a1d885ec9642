"""FasterSeg's derived network: branches that share cells, a decoder, and training with a teacher.

Shapes: maps (N, C, H, W); scale s is 1/8, 1/16, 1/32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.checkpoints import load_file, state_of
from rsseg.io.hub import local_file
from rsseg.io.plain_config import parse_settings
from rsseg.models.search.fasterseg_losses import distillation_loss, ohem_loss
from rsseg.models.search.fasterseg_operators import ConvNorm, build_operator, pad_to_32, scale_map
from rsseg.models.search.fasterseg_structure import architecture_of, read_structure
from rsseg.models.search.fasterseg_supernet import build_stem
from rsseg.models.segmentor import Segmentor
from rsseg.structures.keys import compare_keys

__all__ = ["Classifier", "FasterSeg", "FasterSegBackbone", "FasterSegHead"]

_INIT = (dict(type="Kaiming", layer="Conv2d", mode="fan_in"),)
_AUXILIARY = 0.2
BranchMaps = dict[int, torch.Tensor]
"""A branch's last map at each scale."""


class Classifier(nn.Module):
    """3x3 convolution with as many channels, half of them above 256, and a 1x1 convolution to the classes."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        inner = channels // 2 if channels > 256 else channels
        self.conv_3x3 = nn.Sequential(nn.Conv2d(channels, inner, 3, 1, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.conv_1x1 = nn.Conv2d(inner, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, classes, H, W)."""
        return self.conv_1x1(self.conv_3x3(x))


@MODELS.register_module()
class FasterSegBackbone(BaseModule):
    """Stem and branches.

    Args:
        architecture: What a JSON file holds, or its path.
        init_cfg: As for mmengine's ``BaseModule``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It holds no architecture of FasterSeg.
    """

    def __init__(self, architecture: Mapping[str, Any] | str | Path, init_cfg: Any = _INIT) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        self.structure = read_structure(architecture)
        self.stem = build_stem(self.structure.base, self.structure.stem_width)
        self.plans = self.structure.cells()
        self.cells = nn.ModuleDict()
        for plan in self.plans:
            cell = build_operator(plan.op, plan.before, plan.after, plan.stride)
            for name in plan.names:
                self.cells[name] = cell

    def forward(self, images: torch.Tensor) -> list[BranchMaps]:
        """Last map at each scale, of each branch."""
        stem = self.stem(images)
        maps: list[BranchMaps] = [{0: stem} for _ in self.structure.branches]
        for plan in self.plans:
            out = self.cells[plan.names[0]](maps[plan.branches[0]][plan.scale])
            for branch in plan.branches:
                maps[branch][plan.scale + plan.stride - 1] = out
        return maps


class _Fusion(nn.Module):
    """1x1 convolution of the joined branches.  ``channel_attention`` is built and not used, as in the release."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv_1x1 = nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())
        self.channel_attention = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(2))
        self.channel_attention.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_1x1(x)


@MODELS.register_module()
class FasterSegHead(BaseDecodeHead):
    """Brings the branches to 1/8, joins and classifies them; in training also at 1/16 and 1/32.

    Args:
        architecture: As for :class:`FasterSegBackbone`.
        auxiliary: Build the heads at 1/16 and 1/32.
        kept: Share of the pixels that stay at least, see :func:`ohem_loss`.
        threshold: See :func:`ohem_loss`.
        **kwargs: As for mmseg's decode heads (``num_classes`` ...).

    Source: Chen et al., "FasterSeg", 2020, and its release; sections of its training.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any] | str | Path,
        auxiliary: bool = True,
        kept: float = 1 / 16,
        threshold: float = 0.7,
        **kwargs: Any,
    ) -> None:
        structure = read_structure(architecture)
        joined = structure.head_channels(0) * len(structure.branches)
        kwargs = {"align_corners": True, "dropout_ratio": 0.0, "init_cfg": list(_INIT), **kwargs}
        super().__init__(in_channels=joined, channels=joined, **kwargs)
        self.conv_seg = nn.Identity()  # the classifier is heads8
        self.structure, self.kept, self.threshold = structure, kept, threshold
        lasts = [branch.last for branch in structure.branches]
        wide = structure.head_channels
        left = [structure.left_channels(i) for i in range(len(lasts))]
        if auxiliary and 2 in lasts:
            self.heads32 = Classifier(wide(2), self.num_classes)
            more = wide(1) if 1 in lasts else 0
            self.heads16 = Classifier(more + left[lasts.index(2)][1], self.num_classes)
        elif auxiliary and 1 in lasts:
            self.heads16 = Classifier(wide(1), self.num_classes)
        self.heads8 = Classifier(joined, self.num_classes)
        if 2 in lasts:
            own = left[lasts.index(2)]
            self.arms32 = nn.ModuleList([ConvNorm(wide(2), wide(1), 1), ConvNorm(wide(1), wide(0), 1)])
            refined = (ConvNorm(wide(1) + own[1], wide(1)), ConvNorm(wide(0) + own[0], wide(0)))
            self.refines32 = nn.ModuleList(refined)
        if 1 in lasts:
            self.arms16 = ConvNorm(wide(1), wide(0), 1)
            self.refines16 = ConvNorm(wide(0) + left[lasts.index(1)][0], wide(0))
        self.ffm = _Fusion(joined)

    def _to_finest(self, last: int, maps: BranchMaps) -> torch.Tensor:
        """A branch's map at 1/8, refined from its end on."""
        arms, refines = (self.arms32, self.refines32) if last == 2 else ([self.arms16], [self.refines16])
        x = maps[last]
        for step, scale in enumerate(range(last - 1, -1, -1)):
            x = scale_map(arms[step](x), maps[scale].shape[2:])
            x = refines[step](torch.cat([x, maps[scale]], 1))
        return x

    def forward(self, inputs: Sequence[BranchMaps]) -> torch.Tensor:
        """Logits (N, classes, H / 8, W / 8) of the branches' maps."""
        ends = [branch.last for branch in self.structure.branches]
        finest = [self._to_finest(last, maps) if last else maps[0] for last, maps in zip(ends, inputs, strict=True)]
        return self.heads8(self.ffm(torch.cat(finest, 1)))

    def forward_all(self, inputs: Sequence[BranchMaps]) -> list[torch.Tensor]:
        """Logits at 1/8, then of the auxiliary heads at 1/16 and 1/32 that there are."""
        out = [self.forward(inputs)]
        middle = [maps[1] for maps in inputs if 1 in maps]
        if hasattr(self, "heads16"):
            out.append(self.heads16(torch.cat(middle, 1)))
        if hasattr(self, "heads32"):
            out.append(self.heads32(inputs[0][2]))
        return out

    def loss(self, inputs: Sequence[BranchMaps], batch_data_samples: Any, train_cfg: Any) -> dict[str, torch.Tensor]:
        """``loss_ce`` at 1/8, a fifth of those at 1/16 and 1/32 as ``loss_aux16`` and ``loss_aux32``."""
        return self.losses_of(self.forward_all(inputs), self._stack_batch_gt(batch_data_samples).squeeze(1))

    def losses_of(self, logits: Sequence[torch.Tensor], target: torch.Tensor) -> dict[str, torch.Tensor]:
        """Losses of logits as :meth:`forward_all` gives them, and labels (N, H, W)."""
        names = ["loss_ce", *(f"loss_aux{side}" for side in (16, 32) if hasattr(self, f"heads{side}"))]
        kept, losses = int(target.numel() * self.kept), {}
        for name, own in zip(names, logits, strict=True):
            full = resize(own, target.shape[1:], mode="bilinear", align_corners=self.align_corners)
            loss = ohem_loss(full, target, kept, self.threshold, self.ignore_index)
            losses[name] = loss if name == "loss_ce" else _AUXILIARY * loss
        return losses


@MODELS.register_module()
class FasterSeg(Segmentor):
    """FasterSeg's network of one architecture, trained alone or with a teacher.

    Args:
        architecture: What a JSON file holds, or its path; backbone and head get it.
        backbone: Settings of :class:`FasterSegBackbone`.
        decode_head: Settings of :class:`FasterSegHead`.
        teacher: ``dict(model=..., checkpoint=...)``: another model of this kind that training learns from as well; it
            is no part of this model's weights.
        **kwargs: As for mmseg's ``EncoderDecoder``.

    Raises:
        ConfigError: The teacher lacks its model or checkpoint.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any] | str | Path,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        teacher: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        found = architecture_of(read_structure(architecture))
        parts = {"backbone": {**backbone, "architecture": found}, "decode_head": {**decode_head, "architecture": found}}
        super().__init__(**parts, **kwargs)
        if teacher is not None and not {"model", "checkpoint"} <= set(teacher):
            raise ConfigError("teacher requires model and checkpoint, or None to train without")
        self._teacher_settings = copy.deepcopy(teacher)
        self._teacher: list[Any] = []  # no module, so that it is no part of checkpoints

    def loss(self, inputs: torch.Tensor, data_samples: Any) -> dict[str, torch.Tensor]:
        """The head's losses, and ``loss_distillation`` where there is a teacher; any size (H, W) will do."""
        inputs = pad_to_32(inputs)
        logits = self.decode_head.forward_all(self.extract_feat(inputs))
        target = pad_to_32(self.decode_head._stack_batch_gt(data_samples).squeeze(1), self.decode_head.ignore_index)
        losses = {f"decode.{name}": loss for name, loss in self.decode_head.losses_of(logits, target).items()}
        if self._teacher_settings is not None:
            with torch.no_grad():
                teacher = self._find_teacher(inputs.device).encode_decode(inputs, [{"img_shape": inputs.shape[2:]}])
            own = resize(logits[0], inputs.shape[2:], mode="bilinear", align_corners=True)
            losses["decode.loss_distillation"] = distillation_loss(own, teacher)
        return losses

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict]) -> torch.Tensor:
        """Logits (N, classes, H, W) of images (N, 3, H, W) of any size."""
        height, width = inputs.shape[2:]
        padded = pad_to_32(inputs)
        metas = [{**meta, "img_shape": padded.shape[2:]} for meta in batch_img_metas]
        return super().encode_decode(padded, metas)[..., :height, :width]

    def check_checkpoint(self, content: Any, source: str) -> None:
        """See that a checkpoint was trained with this architecture.

        Its weights do not tell: operators at half the size have the same as those at full size.

        Args:
            content: What the file holds; one without config passes.
            source: What errors call it.

        Raises:
            DataError: It was trained with another one.
        """
        _check_architecture(content, architecture_of(self.backbone.structure), source)

    def _find_teacher(self, device: torch.device) -> Any:
        """The teacher in evaluation, with its weights, on the first call."""
        if not self._teacher:
            settings, checkpoint = (self._teacher_settings or {})["model"], (self._teacher_settings or {})["checkpoint"]
            if not local_file(checkpoint).is_file():
                raise FileNotFoundError(
                    f"{checkpoint}: no such checkpoint of the teacher; train it first, or teacher=None"
                )
            model = MODELS.build(copy.deepcopy(settings))
            content = load_file(checkpoint)
            own, file = model.state_dict(), state_of(content, str(checkpoint))
            found = compare_keys(file, own)
            if found:
                raise DataError(f"{checkpoint}: is no checkpoint of the teacher: {found}")
            model.check_checkpoint(content, str(checkpoint))
            model.load_state_dict(file)
            self._teacher = [model.to(device).eval().requires_grad_(False)]
        return self._teacher[0]


def _check_architecture(content: Any, own: Mapping[str, Any], source: str) -> None:
    """See :meth:`FasterSeg.check_checkpoint`."""
    try:
        model = parse_settings(content["meta"]["cfg"], source)["model"]
        found = architecture_of(read_structure(model["architecture"]))
    except (UserError, KeyError, TypeError, OSError):  # it says nothing about its architecture
        return
    differing = [key for key in own if found[key] != own[key]]
    if differing:
        raise DataError(
            f"{source}: was trained with another architecture, perhaps of another search; these settings differ: "
            f"{', '.join(differing)}. Use the config that was written with it"
        )
