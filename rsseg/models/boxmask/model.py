"""The box-to-mask network as mmengine trains it: loss, and overlaps of a validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor

from rsseg.errors import ConfigError
from rsseg.models.boxmask.crops import Augmentation, Patches, cut_patches
from rsseg.models.boxmask.network import BoxMaskDecoder, encode_crops
from rsseg.models.boxmask.score import BOX_MASK_FORMAT, check_held_out, expected_iou, fit_calibration

__all__ = ["BoxMaskModel", "box_mask_loss"]

_FIELDS = ("pixels", "masks", "boxes", "rboxes", "hulls", "least")


@MODELS.register_module()
class BoxMaskModel(BaseModel):
    """From the surroundings of a box to the mask of the object in it, whatever its class.

    Args:
        backbone: Config of a ``TIMMBackbone`` of the EfficientNet family with ``features_only=True``.
        channels: Channels of the decoder.
        size: Side of a crop in crop pixels, a multiple of 32.
        context: Side of a crop as a multiple of the box's longer side.
        least: Least side of a crop in image pixels.
        mean: Of each band, 0..255.
        std: Of each band.
        augmentation: Options of :class:`~rsseg.models.boxmask.crops.Augmentation` for training crops.

    Raises:
        ConfigError: The size is no multiple of 32, or the context not above 1.

    Source: ours (measured: docs/results.md).
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        channels: int = 48,
        size: int = 128,
        context: float = 1.4,
        least: int = 24,
        mean: Sequence[float] = (127.0, 127.0, 127.0),
        std: Sequence[float] = (128.0, 128.0, 128.0),
        augmentation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if size % 32 or size <= 0:
            raise ConfigError(f"model.size must be a multiple of 32, not {size}")
        if context <= 1:
            raise ConfigError(f"model.context must be above 1, so that a crop shows its box whole, not {context}")
        self.backbone = MODELS.build(backbone)
        encoder = self.backbone.timm_model
        if not hasattr(encoder, "conv_stem"):
            raise ConfigError(f"model.backbone must be an EfficientNet of timm, not {backbone.get('model_name')!r}")
        stem = encoder.conv_stem.out_channels
        self.decoder = BoxMaskDecoder(encoder.feature_info.channels(), stem, channels=channels)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.augmentation = Augmentation(**(augmentation or {}))
        self.settings: dict[str, Any] = {
            "model_name": backbone["model_name"],
            "channels": channels,
            "size": size,
            "context": context,
            "least": least,
            "mean": [float(value) for value in mean],
            "std": [float(value) for value in std],
        }

    @staticmethod
    def check_held_out(count: int) -> None:
        """See that this many held-out masks are enough for a score.

        Raises:
            DataError: They are not.
        """
        check_held_out(count)

    def file_meta(self, scores: Sequence[float], ious: Sequence[float], training: Mapping[str, Any]) -> dict[str, Any]:
        """What stands beside the weights in the file of a trained network, as JSON values.

        Args:
            scores: (N,) expected overlaps of masks that it was not trained on.
            ious: (N,) their true overlaps.
            training: What is to be known about the training.

        Raises:
            DataError: There are too few such masks.
        """
        curve = fit_calibration(scores, ious)
        return {
            "boxmask": BOX_MASK_FORMAT,
            "settings": self.settings,
            "calibration": curve,
            "training": {**training, "held_out_masks": len(ious)},
        }

    def logits(self, pixels: Tensor, prompts: Tensor) -> Tensor:
        """Logits (B, 1, S, S) of crops (B, 3, S, S) 0..255 and their prompt maps (B, 2, S, S)."""
        images = (pixels - self.mean) / self.std
        maps = encode_crops(self.backbone.timm_model, self.decoder, images, prompts)
        found: Tensor = self.decoder(maps, F.avg_pool2d(prompts, 2))
        return found

    def forward(self, mode: str = "tensor", **batch: Any) -> Any:
        """A step on patches, see :class:`~rsseg.datasets.object_patches.ObjectPatches`.

        Args:
            mode: ``loss``: crops vary as ``augmentation`` says.  ``predict``: each object's overlap ``iou`` with its
                mask, expected overlap ``score`` and ``label``.  ``tensor``: logits (B, 1, S, S).
            batch: Fields of ``Patches``, and ``label``.

        Raises:
            ConfigError: There is no such mode.
        """
        if mode not in ("loss", "predict", "tensor"):
            raise ConfigError(f"mode must be 'loss', 'predict' or 'tensor', not {mode!r}")
        patches = Patches(*(batch[name] for name in _FIELDS))
        views = self.augmentation if mode == "loss" else Augmentation(rotated=0.0)
        with torch.autocast(patches.pixels.device.type, enabled=False):
            pixels, prompts, masks = cut_patches(patches, views, self.settings["size"], self.settings["context"])
        logits = self.logits(pixels, prompts).float()
        if mode == "tensor":
            return logits
        inside = prompts[:, :1] > 0
        if mode == "loss":
            return box_mask_loss(logits, masks, inside)
        found, true = (logits > 0) & inside, (masks > 0.5) & inside
        ious = (found & true).sum((1, 2, 3)) / (found | true).sum((1, 2, 3)).clamp_min(1)
        rows = zip(ious.tolist(), expected_iou(logits, inside).tolist(), batch["label"], strict=True)
        return [{"iou": iou, "score": score, "label": label} for iou, score, label in rows]


def box_mask_loss(logits: Tensor, masks: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """Cross-entropy and Dice loss inside the box, each the mean over objects.

    Args:
        logits: (B, 1, S, S).
        masks: (B, 1, S, S) 0..1.
        inside: (B, 1, S, S) bool.

    Returns:
        ``loss_bce`` and ``loss_dice``, scalars.
    """
    weight = inside.float()
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * weight
    entropy = entropy.sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1.0)
    probability, true = logits.sigmoid() * weight, masks * weight
    common, both = (probability * true).sum((1, 2, 3)), (probability + true).sum((1, 2, 3))
    dice = 1 - (2 * common + 1) / (both + 1)
    return {"loss_bce": entropy.mean(), "loss_dice": dice.mean()}
