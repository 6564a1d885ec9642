"""Mask2Former as a decode head: queries that are classes, each with a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.autocast import without_autocast
from rsseg.models.mask2former.losses import ClassMasks, LossSettings, class_masks, mean_count, query_losses
from rsseg.models.mask2former.proposals import Layers, MaskProposals

__all__ = ["Mask2FormerDecoder", "QueryHead"]


class QueryHead(nn.Module):
    """Losses and scores of queries that are classes; a subclass gives :data:`Layers` for what it is called with.

    Attributes:
        settings: Weights and points of the losses.
        ignore_index: Value of unlabelled pixels.
        cls_embed: Queries (..., C) to scores (..., classes + 1), the last for "none".
    """

    settings: LossSettings
    ignore_index: int
    cls_embed: nn.Module

    def targets(self, samples: Sequence[SegDataSample]) -> list[ClassMasks]:
        """Classes and masks of images with ``gt_sem_seg`` (1, H, W)."""
        return [class_masks(sample.gt_sem_seg.data[0], self.ignore_index) for sample in samples]

    def losses(
        self, layers: Layers, classifier: nn.Module, targets: Sequence[ClassMasks], count: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss_cls``, ``loss_mask`` and ``loss_dice``, each the sum over all layers; see :func:`query_losses`."""
        out: dict[str, torch.Tensor] = {}
        for queries, masks in layers:
            part = query_losses(classifier(queries), masks, targets, count, self.settings)
            out = {name: value + out.get(name, 0.0) for name, value in part.items()}
        return out

    def scores(self, layers: Layers, classifier: nn.Module, size: Sequence[int]) -> torch.Tensor:
        """For each class the sum over queries of its probability times that of the mask, (N, classes, H, W) float32."""
        queries, masks = layers[-1]
        probability = classifier(queries).float().softmax(-1)[..., :-1]
        with without_autocast(masks.device):
            masks = functional.interpolate(masks.float(), size=tuple(size), mode="bilinear").sigmoid()
            return torch.einsum("nqc,nqhw->nchw", probability, masks)

    def loss(self, inputs: Any, batch_data_samples: Sequence[SegDataSample], train_cfg: Any) -> dict[str, torch.Tensor]:
        """Losses of a backbone's maps, as mmseg's segmentors ask for them."""
        targets = self.targets(batch_data_samples)
        return self.losses(self(inputs), self.cls_embed, targets, mean_count(targets))

    def predict(self, inputs: Any, batch_img_metas: Sequence[dict[str, Any]], test_cfg: Any) -> torch.Tensor:
        """:meth:`scores` of a backbone's maps at the size of the (padded) image, or of the window of it."""
        meta = batch_img_metas[0]
        is_window = isinstance(meta["img_shape"], torch.Size)  # mmseg's sign for it
        size = meta["img_shape"] if is_window else meta.get("pad_shape", meta["img_shape"])
        return self.scores(self(inputs), self.cls_embed, size[:2])


@MODELS.register_module()
class Mask2FormerDecoder(QueryHead, MaskProposals):
    """Mask2Former on four maps of a backbone; in ``Segmentor`` as it is, for several sets in ``MultiHeadMask2Former``.

    Parameters are named as in mmseg's and the release's Mask2Former, so that their files load by a change of prefix.

    Args:
        in_channels: Channels of the backbone's maps at strides 4, 8, 16 and 32.
        num_classes: Classes, two or more.
        channels: Channels of queries and maps, a multiple of 32.
        queries: How many; at least the number of classes in an image.
        encoder_layers: Layers of the pixel decoder.
        decoder_layers: Layers of the transformer decoder.
        heads: Attention heads of both.
        encoder_hidden: Width of the MLPs of the pixel decoder.
        decoder_hidden: Width of the MLPs of the transformer decoder.
        loss: Options of :class:`LossSettings`.
        release_init: Overwrite the initial weights of all linear layers and convolutions as the SAMRS release does,
            including the offsets that deformable attention starts with.
        ignore_index: Value of unlabelled pixels.
        init_cfg: As for mmseg's heads.

    Raises:
        ConfigError: ``num_classes`` is less than two, or a size does not fit, see :class:`PixelDecoder`.

    Source: Mask2Former paper, section 3; values are those of its configuration for ADE20K with ResNet-50.  Deformable
    attention and the sampling of points use ``grid_sample``: slower than mmdet's compiled operators.
    """

    align_corners = False

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        channels: int = 256,
        queries: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        heads: int = 8,
        encoder_hidden: int = 1024,
        decoder_hidden: int = 2048,
        loss: dict[str, Any] | None = None,
        release_init: bool = False,
        ignore_index: int = 255,
        init_cfg: Any = None,
    ) -> None:
        sizes = (channels, queries, encoder_layers, decoder_layers, heads, encoder_hidden, decoder_hidden)
        super().__init__(in_channels, *sizes, init_cfg)
        if num_classes < 2:
            raise ConfigError(
                f"num_classes={num_classes}: Mask2Former requires at least two classes, one of which may be background"
            )
        self.num_classes = self.out_channels = num_classes
        self.ignore_index = ignore_index
        self.settings = LossSettings(**(loss or {}))
        self.cls_embed = self.make_classifier(num_classes)
        if release_init:
            self.apply(_reset_as_released)

    def make_classifier(self, classes: int) -> nn.Linear:
        """A layer from queries (..., channels) to scores (..., classes + 1), the last for "none"."""
        return nn.Linear(self.channels, classes + 1)


def _reset_as_released(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, nn.MultiheadAttention):  # the release leaves it as PyTorch makes it
        nn.init.xavier_uniform_(module.in_proj_weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
