"""Mask2Former for several label sets: everything is shared but the classifier of the queries."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from rsseg.models.mask2former.losses import mean_count
from rsseg.models.multihead import MultiHeadSegmentor

__all__ = ["MultiHeadMask2Former"]


@MODELS.register_module()
class MultiHeadMask2Former(MultiHeadSegmentor):
    """``MultiHeadSegmentor`` for ``Mask2FormerDecoder``; parameters of a set are ``heads.<set>.weight`` and ``bias``.

    Args:
        heads: Number of classes of each label set, by dataset name.
        decode_head: A ``Mask2FormerDecoder`` without ``num_classes``.
        **kwargs: As for ``MultiHeadSegmentor``.

    Raises:
        ValueError: A sample belongs to a set without a head.

    Source: SAMRS release, where ``cls_embed`` is the only part that each set has for itself.
    """

    def __init__(self, heads: dict[str, int], decode_head: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(heads, decode_head, **kwargs)
        self.decode_head.cls_embed = nn.Identity()

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``<set>.loss_cls``, ``<set>.loss_mask`` and ``<set>.loss_dice`` for every head.

        Args:
            inputs: (N, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W) and ``dataset_name``.
        """
        rows_of = self._rows([self._head_of(sample.metainfo) for sample in data_samples])
        decode = self.decode_head
        layers: Any = None if self.forward_per_dataset else self._shared(inputs)
        out: dict[str, torch.Tensor] = {}
        for name, head in self.heads.items():
            rows = rows_of[name]
            targets = decode.targets([data_samples[i] for i in rows])
            count = mean_count(targets)  # also where there are none: all processes take part
            if not rows:  # keep every parameter in the graph: DDP expects a gradient for each
                out[f"{name}.loss_cls"] = torch.stack([p.sum() for p in head.parameters()]).sum() * 0.0
                continue
            part: Any = self._shared(inputs[rows]) if layers is None else [(q[rows], m[rows]) for q, m in layers]
            out.update({f"{name}.{key}": v for key, v in decode.losses(part, head, targets, count).items()})
        return out

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict]) -> torch.Tensor:
        """Scores (N, C, H, W) of the head that the (first) image's ``dataset_name`` asks for."""
        head = self.heads[self._head_of(batch_img_metas[0])]
        return self.decode_head.scores(self._shared(inputs), head, inputs.shape[2:])

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> dict[str, torch.Tensor]:
        layers = self._shared(inputs)
        return {name: self.decode_head.scores(layers, head, inputs.shape[2:]) for name, head in self.heads.items()}
