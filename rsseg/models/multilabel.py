"""Several labels per image, with mmpretrain: the head of BigEarthNet's paper and its loss.

Importing this needs mmpretrain; only configs with ``_base_/default_runtime_cls.py`` do.  It also brings the backbones
of this package that classification uses into mmpretrain's registry.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.inception_v2 import InceptionV2
from rsseg.models.scnn import SCNN
from rsseg.models.segmentor import check_pretrained
from rsseg.stack import require_pretraining

require_pretraining()

from mmpretrain.models.classifiers import ImageClassifier  # noqa: E402
from mmpretrain.models.heads import MultiLabelClsHead  # noqa: E402
from mmpretrain.registry import MODELS  # noqa: E402

__all__ = ["Classifier", "HiddenMultiLabelHead", "MeanSigmoidLoss"]

for _backbone in (SCNN, InceptionV2):
    MODELS.register_module(module=_backbone)


@MODELS.register_module()
class Classifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier``, whose backbone does not start afresh in silence."""

    def init_weights(self) -> None:
        """Initial weights as in mmpretrain.

        Raises:
            ValueError: Most of the weights in the file that ``backbone.init_cfg`` names are not the backbone's.
        """
        begun = self.is_init
        super().init_weights()
        if not begun:
            check_pretrained(self.backbone)


@MODELS.register_module()
class MeanSigmoidLoss(nn.Module):
    """Sigmoid cross-entropy, averaged over images and classes.

    mmpretrain's ``CrossEntropyLoss(use_sigmoid=True)`` adds the classes up, which is as many times more as there are
    classes, and so needs another learning rate for every label set.

    Args:
        loss_weight: Factor.

    Source: TensorFlow's ``sigmoid_cross_entropy``, which the authors of BigEarthNet use.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, scores: torch.Tensor, targets: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Loss of logits (N, C) and targets (N, C) in 0 .. 1; what else mmpretrain's heads say is not needed."""
        return self.loss_weight * functional.binary_cross_entropy_with_logits(scores.float(), targets.float())


@MODELS.register_module()
class HiddenMultiLabelHead(MultiLabelClsHead):
    """One fully connected layer with ReLU, then one that scores the classes.

    Args:
        num_classes: Classes.
        in_channels: Numbers per image in the backbone's (or neck's) last output, all places of a map together.
        hidden_channels: Width of the first layer; 128 is that of the same authors' K-Branch CNN.
        loss: Loss of logits and targets.
        thr: Probability from which a label counts as predicted.
        init_cfg: As for mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_channels: int = 128,
        loss: Any = None,
        thr: float = 0.5,
        init_cfg: Any = (dict(type="Xavier", layer="Linear"),),
    ) -> None:
        own = list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg
        super().__init__(loss=loss or dict(type="MeanSigmoidLoss"), thr=thr, init_cfg=own)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.fc = nn.Linear(in_channels, hidden_channels)
        self.classifier = nn.Linear(hidden_channels, num_classes)

    def pre_logits(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """(N, hidden_channels) of the last output, (N, in_channels) or (N, C, H, W) with as many numbers.

        Raises:
            ConfigError: The images have another size than the head was made for.
        """
        last = feats[-1]
        if last[0].numel() != self.in_channels:
            raise ConfigError(
                f"the head expects {self.in_channels} features per image, but got {tuple(last.shape[1:])}; use images "
                "of the size that the model was made for (S-CNN: 120 x 120), or set model.head.in_channels"
            )
        return functional.relu(self.fc(last.flatten(1)))

    def forward(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Logits (N, num_classes)."""
        return self.classifier(self.pre_logits(feats))
