"""DeepLabV2's heads as land-cover adaptation uses them: dilated convolutions straight to classes, in five forms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.psp_head import PPM
from mmseg.registry import MODELS
from torch import Tensor, nn

from rsseg.errors import ConfigError

__all__ = ["FORMS", "DeepLabV2Head", "DilatedClassifier"]

FORMS = ("single", "cascade", "twin", "ppm", "mmd")
"""Forms of :class:`DeepLabV2Head`."""
_DILATIONS = (6, 12, 18, 24)
_POOLS = (1, 2, 3, 6)
_WEIGHTS = {"main": 1.0, "auxiliary": 0.1, "twin": 1.0}


class DilatedClassifier(nn.Module):
    """3x3 convolutions straight to the classes, one for each dilation, summed.

    Args:
        in_channels: Channels of the map.
        classes: C.
        dilations: Of the convolutions, which are padded by as much.

    Source: Chen et al., "DeepLab", 2016; here without hidden layers.  Weights N(0, 0.01), biases as PyTorch draws them.
    """

    def __init__(self, in_channels: int, classes: int, dilations: Sequence[int] = _DILATIONS) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(in_channels, classes, 3, padding=d, dilation=d) for d in dilations)
        for conv in self.convs:
            nn.init.normal_(conv.weight, std=0.01)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, C, H, W) of a map (N, in_channels, H, W)."""
        return reduce(torch.add, (conv(x) for conv in self.convs))


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """DeepLabV2 for domain adaptation; it works in any ``EncoderDecoder``, and the methods read :meth:`outputs`.

    The encoder is mmseg's ``ResNet`` with ``depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2),
    contract_dilation=True, style='pytorch'``: stride 16, and the first block of the last stage is not dilated.

    Args:
        num_classes: C.
        form: ``"single"``: a :class:`DilatedClassifier` on the last map.  ``"cascade"``: another one, ``auxiliary``, on
            the map before it, for training only.  ``"twin"``: two on the last map, whose logits are summed in tests.
            ``"ppm"``: a pyramid of pools in place of it.  ``"mmd"``: single, and an embedding of the whole image.
        in_channels: Channels of the last two maps.
        in_index: Which maps of the backbone these are.
        channels: Width of the pyramid's branches (``"ppm"``).
        dilations: Of the classifiers.
        embedding: Widths of the two layers of the embedding (``"mmd"``).
        norm_cfg: Normalisation of the pyramid.
        **kwargs: As for mmseg's decode heads (``loss_decode``, ``ignore_index`` ...).

    Raises:
        ConfigError: ``form`` is unknown.

    Source: LoveDA's release.  Logits are scaled to the image bilinearly with ``align_corners=True``; maps inside of the
    pyramid without.  The pyramid's branch of one pixel needs batches of two images or more in training.
    """

    def __init__(
        self,
        num_classes: int,
        form: str = "single",
        in_channels: Sequence[int] = (1024, 2048),
        in_index: Sequence[int] = (2, 3),
        channels: int = 512,
        dilations: Sequence[int] = _DILATIONS,
        embedding: Sequence[int] = (512, 256),
        norm_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if form not in FORMS:
            raise ConfigError(f"form={form!r}: DeepLabV2Head has the forms {', '.join(FORMS)}")
        kwargs.setdefault("align_corners", True)
        kwargs.setdefault("init_cfg", None)
        kwargs.setdefault("dropout_ratio", 0.1 if form == "ppm" else 0.0)
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            in_index=list(in_index),
            input_transform="multiple_select",
            norm_cfg=norm_cfg or dict(type="BN"),
            **kwargs,
        )
        self.form = form
        before, last = in_channels
        if form == "ppm":
            options = dict(conv_cfg=None, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
            self.psp_modules = PPM(_POOLS, last, channels, align_corners=False, **options)
            joined = last + len(_POOLS) * channels
            self.bottleneck = ConvModule(joined, channels, 3, padding=1, **options)
        else:
            self.conv_seg = DilatedClassifier(last, num_classes, dilations)
        if form == "cascade":
            self.auxiliary = DilatedClassifier(before, num_classes, dilations)
        elif form == "twin":
            self.twin = DilatedClassifier(last, num_classes, dilations)
        elif form == "mmd":
            first, second = embedding
            layers = [nn.Linear(last, first), nn.ReLU(inplace=True), nn.Linear(first, second)]
            self.embedding = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers)

    def outputs(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """All that the form computes of the backbone's maps.

        Returns:
            ``"main"``: logits (N, C, h, w); with ``"cascade"`` also ``"auxiliary"`` (N, C, h', w'), with ``"twin"``
            also ``"twin"`` (N, C, h, w), with ``"mmd"`` also ``"embedding"`` (N, D).
        """
        before, last = self._transform_inputs(inputs)
        if self.form == "ppm":
            return {"main": self.cls_seg(self.bottleneck(torch.cat([last, *self.psp_modules(last)], 1)))}
        out = {"main": self.cls_seg(last)}
        if self.form == "cascade":
            out["auxiliary"] = self.auxiliary(before)
        elif self.form == "twin":
            out["twin"] = self.twin(last)
        elif self.form == "mmd":
            out["embedding"] = self.embedding(last)
        return out

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, C, h, w) as tests use them; with ``"twin"`` the sum of both."""
        _, last = self._transform_inputs(inputs)
        if self.form == "ppm":
            return self.outputs(inputs)["main"]
        return self.cls_seg(last) + self.twin(last) if self.form == "twin" else self.cls_seg(last)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: Any) -> dict[str, Tensor]:
        """Losses of training on labels: those of the main logits, of the twin, and 0.1 times the auxiliary ones."""
        out: dict[str, Tensor] = {}
        for name, logits in self.outputs(inputs).items():
            if name in _WEIGHTS:
                prefix = "" if name == "main" else f"{name}_"
                own = self.loss_by_feat(logits, batch_data_samples)
                out |= {prefix + key: v * (_WEIGHTS[name] if "loss" in key else 1) for key, v in own.items()}
        return out
