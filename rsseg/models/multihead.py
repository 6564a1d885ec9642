"""Segmentation pre-training (SEP): one encoder and decoder, one classification head per label set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.metainfo import BACKGROUND, list_metainfo, load_metainfo
from rsseg.models.segmentor import Segmentor

__all__ = ["MultiHeadSegmentor", "set_loss"]


def set_loss(logits: torch.Tensor, target: torch.Tensor, ignore_index: int = 255) -> torch.Tensor:
    """Mean cross-entropy over the labelled pixels of one set's part of the batch.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 class ids or ``ignore_index``.
        ignore_index: Pixels with this target do not count.

    Returns:
        Scalar in float32; 0 (with a zero gradient, not NaN) where no pixel is labelled.
    """
    total = functional.cross_entropy(logits.float(), target, ignore_index=ignore_index, reduction="sum")
    return total / (target != ignore_index).sum().clamp(min=1)


def _accuracy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Percent of labelled pixels whose own class has the largest logit; ``argmax`` would take ten times as long."""
    labelled = target != 255
    own = logits.gather(1, target.where(labelled, 0)[:, None])[:, 0]
    return 100.0 * ((own >= logits.amax(1)) & labelled).sum() / labelled.sum().clamp(min=1)


@MODELS.register_module()
class MultiHeadSegmentor(Segmentor):
    """A shared backbone and decoder with a classifier for each label set.

    A sample goes to the head named by its ``metainfo['dataset_name']``.  The batch runs through the shared part once;
    the loss is the sum over sets of :func:`set_loss`.  Parameters are named ``backbone.*``, ``decode_head.*`` and
    ``heads.<set>.*``, so the shared part loads into a plain ``EncoderDecoder`` unchanged.

    Args:
        heads: Number of classes of each label set, by dataset name.
        decode_head: Any mmseg head that ends in ``cls_seg``, without ``num_classes``; its dropout comes before the
            set's classifier, which is its ``make_classifier(classes)`` where it has one, else a 1x1 convolution.
        forward_per_dataset: In training, run the shared part once per set, as the release does: batch statistics are
            then those of one set's samples, and it takes longer.  Every process needs samples of every set: where the
            batch of all processes has fewer of one, ``train_dataloader.sampler.per_process=True``.
        head: Label set of images that do not say to which they belong, as those given to ``inference_model`` and
            ``MMSegInferencer``; the first by default.  :attr:`head` may be set at any time.
        **kwargs: As for mmseg's ``EncoderDecoder`` (``backbone``, ``data_preprocessor``, ``test_cfg`` ...).

    Raises:
        ValueError: A sample belongs to a set without a head.

    Source: SAMRS paper, section 4.1.2 and figure 7.  By default batch statistics are those of the whole batch, not of
    each set as in the release; where nothing depends on the batch both give the same losses.
    """

    def __init__(
        self,
        heads: dict[str, int],
        decode_head: dict[str, Any],
        forward_per_dataset: bool = False,
        head: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(decode_head={**decode_head, "num_classes": 3}, **kwargs)
        self.decode_head.conv_seg = nn.Identity()
        self.decode_head.threshold = 0.5  # mmseg asks for one where a head has a single class
        self.forward_per_dataset = forward_per_dataset
        make = getattr(self.decode_head, "make_classifier", None)
        self.heads = nn.ModuleDict()
        for name, count in heads.items():
            own = make(count) if make else nn.Conv2d(self.decode_head.channels, count, 1)
            nn.init.xavier_uniform_(own.weight)
            nn.init.constant_(own.bias, 0.0)  # type: ignore[arg-type]
            self.heads[name] = own
        self._classes = dict(heads)
        self.head = next(iter(heads)) if head is None else head

    @property
    def head(self) -> str:
        """Label set of images that do not say to which they belong.

        Raises:
            ConfigError: The model has no such head.
        """
        return str(self.__dict__["_head"])

    @head.setter
    def head(self, name: str) -> None:
        """Choose a label set."""
        self.__dict__["_head"] = self._head_of({"dataset_name": name})

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Names and colours of the classes of :attr:`head`: those of the checkpoint, else of the class table that has
        the head's name.

        Raises:
            AttributeError: Neither is there.
        """
        meta = self.__dict__.get("_meta") or {}
        own = (meta.get("sets") or {}).get(self.head) or meta
        count = self._classes[self.head]
        if len(own.get("classes") or ()) != count or (own is meta and self.head != next(iter(self.heads))):
            names = [self.head, f"{self.head}{BACKGROUND}"] if self.head in list_metainfo() else []
            table = next((found for found in map(load_metainfo, names) if found.num_classes == count), None)
            if table is None:
                raise AttributeError(f"the names of the {count} classes of head {self.head!r} are not known")
            own = {"classes": table.classes, "palette": [list(color) for color in table.palette]}
        return own

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any]) -> None:
        """Keep what a checkpoint says."""
        self.__dict__["_meta"] = meta

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``<set>.loss`` and ``<set>.acc`` (percent of labelled pixels) for every head.

        Args:
            inputs: (N, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W) and ``dataset_name``.
        """
        names = [self._head_of(sample.metainfo) for sample in data_samples]
        rows = self._rows(names)
        order = [i for own in rows.values() for i in own]
        if order != sorted(order):
            inputs = inputs[order]
        counts = [len(own) for own in rows.values()]
        parts = inputs.split(counts) if self.forward_per_dataset else self._shared(inputs).split(counts)
        out: dict[str, torch.Tensor] = {}
        for part, (name, head) in zip(parts, self.heads.items(), strict=True):
            if not rows[name]:  # keep every parameter in the graph: DDP expects a gradient for each
                out[f"{name}.loss"] = torch.stack([p.sum() for p in head.parameters()]).sum() * 0.0
                continue
            target = torch.stack([data_samples[i].gt_sem_seg.data[0] for i in rows[name]]).long()
            logits = head(self._shared(part) if self.forward_per_dataset else part)
            logits = self._resize(logits, target.shape[1:])
            out[f"{name}.loss"] = set_loss(logits, target)
            out[f"{name}.acc"] = _accuracy(logits.detach(), target)
        return out

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict]) -> torch.Tensor:
        """Logits (N, C, H, W) of the head that the (first) image's ``dataset_name`` asks for."""
        head = self.heads[self._head_of(batch_img_metas[0])]
        logits = head(self._shared(inputs))
        return self._resize(logits, inputs.shape[2:])

    def predict(self, inputs: torch.Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predictions for images (N, 3, H, W); images of different sets may share a batch."""
        if data_samples is None:
            return super().predict(inputs)
        out: list[SegDataSample | None] = [None] * len(data_samples)
        names = [self._head_of(sample.metainfo) for sample in data_samples]
        for name in dict.fromkeys(names):
            rows = [i for i, own in enumerate(names) if own == name]
            for i, sample in zip(rows, super().predict(inputs[rows], [data_samples[i] for i in rows]), strict=True):
                out[i] = sample
        return [sample for sample in out if sample is not None]

    def postprocess_result(self, seg_logits: torch.Tensor, data_samples: Any = None) -> list[SegDataSample]:
        """As mmseg, but a head with one class predicts id 0 instead of thresholding."""
        out = super().postprocess_result(seg_logits, data_samples)
        if seg_logits.shape[1] == 1:
            for sample in out:
                sample.pred_sem_seg.data = torch.zeros_like(sample.pred_sem_seg.data, dtype=torch.long)
        return out

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> dict[str, torch.Tensor]:
        features = self._shared(inputs)
        return {name: head(features) for name, head in self.heads.items()}

    def _shared(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.decode_head(self.extract_feat(inputs))

    def _head_of(self, meta: dict) -> str:
        name = meta.get("dataset_name") or self.head
        if name not in self.heads:
            raise ConfigError(f"no head for dataset {name!r}; the model has heads for: {', '.join(self.heads)}")
        return name

    def _rows(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Positions in the batch of each set's samples.

        Raises:
            ConfigError: With ``forward_per_dataset`` a process has none of a set, whose pass the others would await.
        """
        rows = {name: [i for i, own in enumerate(names) if own == name] for name in self.heads}
        missing = [name for name, own in rows.items() if not own]
        if missing and self.forward_per_dataset and get_world_size() > 1:
            raise ConfigError(
                f"model.forward_per_dataset=True requires samples of every set on every process, but a batch has none "
                f"of: {', '.join(missing)}; set train_dataloader.sampler.per_process=True, or enlarge the batch"
            )
        return rows

    def _resize(self, logits: torch.Tensor, size: Any) -> torch.Tensor:
        return resize(logits, size=tuple(size), mode="bilinear", align_corners=self.align_corners)
