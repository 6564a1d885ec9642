"""SAM 3 asked with class names: it finds objects by itself, or gives the boxes of a label file their masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Found, Prediction
from rsseg.conversion.predictors.sam_models import own_device
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError
from rsseg.structures.boxes import clip_hbox, hbox_iou
from rsseg.structures.masks import MaskCrop, crop_mask, empty_mask

__all__ = ["Sam3TextPredictor", "best_of_equals", "match_boxes"]


class _Encoded(NamedTuple):
    features: Any
    size: tuple[int, int]


class _Object(NamedTuple):
    """One object that SAM 3 finds: class id, score, box (4,) in pixels, small logits (h, w) of its mask."""

    label: int
    score: float
    box: NDArray[np.float64]
    logits: torch.Tensor


def best_of_equals(boxes: NDArray[np.float64], scores: Sequence[float], iou: float) -> list[int]:
    """Rows of boxes (N, 4) without those that overlap a better one by more than ``iou``; in their own order."""
    overlap, kept = hbox_iou(boxes, boxes), list[int]()
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable").tolist():
        if all(overlap[i, j] <= iou for j in kept):
            kept.append(i)
    return sorted(kept)


def match_boxes(boxes: NDArray[np.float64], found: NDArray[np.float64], iou: float) -> list[int | None]:
    """For each box (N, 4) the row of ``found`` (M, 4) that is its object: the pairs of the largest overlap come first.

    Args:
        boxes: Of the label file.
        found: Of the model; each is given to one box only.
        iou: Least overlap of a pair.
    """
    overlap = hbox_iou(boxes, found)
    rows: list[int | None] = [None] * len(boxes)
    while overlap.size and overlap.max() >= iou:
        i, j = np.unravel_index(int(overlap.argmax()), overlap.shape)
        rows[int(i)] = int(j)
        overlap[i], overlap[:, j] = -1, -1
    return rows


@MODELS.register_module()
class Sam3TextPredictor:
    """Masks from SAM 3's detector, which is asked with the words of classes.

    With the prompt ``text`` it finds the objects; with ``hbox+text`` or ``rhbox+text`` each box gets the mask of the
    object of its class that overlaps it most, and an empty one where there is none.  An object's mask and score are
    those of ``post_process_instance_segmentation`` of transformers, bit by bit.

    Args:
        checkpoint: Folder of a SAM 3 that transformers has saved, or ``hf://facebook/sam3``.
        threshold: Objects count whose score is above.
        mask_threshold: Probability above which a pixel belongs to a mask.
        match_iou: Least overlap of a label's box with that of an object found.
        duplicate_iou: Of the objects of one class that several words find, those that overlap a better one by more are
            left out; a class of one word keeps all.
        device: ``cpu``, ``cuda:1`` ...; by default this process's own GPU where there are any.

    Raises:
        MissingPackageError: transformers is not installed.
        FileNotFoundError: There is no such folder.
        UserError: No checkpoint is given, a number is not allowed, or the weights do not fit.

    Source: Carion et al. 2025, SAM 3, and its port in transformers; matching and duplicates are ours.
    """

    needs_gt_masks = False
    reads_text = True

    def __init__(
        self,
        checkpoint: str | None = None,
        threshold: float = 0.3,
        mask_threshold: float = 0.5,
        match_iou: float = 0.5,
        duplicate_iou: float = 0.7,
        device: str | None = None,
    ) -> None:
        if checkpoint is None:
            raise ConfigError(
                "Sam3TextPredictor needs weights: --cfg-options predictors.sam3_text.checkpoint=FOLDER, or "
                "hf://facebook/sam3"
            )
        self.settings = {"threshold": threshold, "mask_threshold": mask_threshold, "match_iou": match_iou,
                         "duplicate_iou": duplicate_iou}  # fmt: skip
        for name, value in self.settings.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} must be a number from 0 to 1, not {value}")
        from rsseg.models.sam3 import SAM3

        self.model = SAM3(checkpoint)
        self.model.init_weights()
        self.model.to(device or own_device())

    def describe(self) -> dict[str, Any]:
        """Settings and files with their sha256, for the manifest."""
        about = {"name": type(self).__name__, "weights": self.model.weights, "files": self.model.files}
        return {**about, **self.settings, "transformers": self.model.version}

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB, see :meth:`decode`."""
        if not prompts.count:
            return Prediction([], np.zeros(0), np.zeros(0))
        return self.decode(self.encode([image])[0], prompts)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """What SAM 3 keeps of each image (H, W, 3) uint8 RGB of any size."""
        return [
            _Encoded(
                self.model.encode(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)),
                (int(image.shape[0]), int(image.shape[1])),
            )
            for image in images
        ]

    def find(self, encoded: Any, prompts: Prompts) -> Found:
        """All objects of the classes of ``prompts.words``, by rising score, so that the best is painted last."""
        assert prompts.words is not None
        found = sorted(self._objects(encoded, prompts.words, range(len(prompts.words))), key=lambda each: each.score)
        masks = [self._mask(each, encoded.size) for each in found]
        rows = [i for i, mask in enumerate(masks) if mask.area]
        return Found(
            np.array([found[i].label for i in rows], np.int64),
            np.array([found[i].box for i in rows], np.float64).reshape(-1, 4),
            Prediction([masks[i] for i in rows], np.array([found[i].score for i in rows]), np.full(len(rows), np.nan)),
        )

    def decode(self, encoded: Any, prompts: Prompts) -> Prediction:
        """Masks of labelled boxes; one that no object fits gets an empty mask and the score 0.

        Raises:
            ConfigError: The prompts have no texts, no boxes, or a point or mask as well.
        """
        if prompts.words is None or prompts.labels is None:
            raise ConfigError("Sam3TextPredictor needs texts; choose the prompt 'text', 'hbox+text' or 'rhbox+text'")
        if prompts.points is not None or prompts.has_masks:
            raise ConfigError("Sam3TextPredictor takes no points and masks; choose 'text', 'hbox+text' or 'rhbox+text'")
        boxes, labels = prompts.need_boxes("Sam3TextPredictor"), prompts.labels
        found = self._objects(encoded, prompts.words, sorted(set(labels.tolist())))
        masks, scores = [empty_mask() for _ in range(prompts.count)], np.zeros(prompts.count)
        for label in sorted(set(labels.tolist())):
            asked = np.flatnonzero(labels == label).tolist()
            own = [each for each in found if each.label == label]
            there = np.array([each.box for each in own], np.float64).reshape(-1, 4)
            inside = clip_hbox(boxes[asked], encoded.size)
            for row, j in zip(asked, match_boxes(inside, there, self.settings["match_iou"]), strict=True):
                if j is not None:
                    masks[row], scores[row] = self._mask(own[j], encoded.size), own[j].score
        return Prediction(masks, scores, np.full(prompts.count, np.nan))

    def _objects(self, encoded: _Encoded, words: dict[str, tuple[str, ...]], labels: Iterable[int]) -> list[_Object]:
        found: list[_Object] = []
        texts = list(words.values())
        for label in labels:
            own = [each for text in texts[label] for each in self._of_text(encoded, text, label)]
            if len(texts[label]) > 1 and own:
                boxes, scores = np.array([each.box for each in own]), [each.score for each in own]
                own = [own[i] for i in best_of_equals(boxes, scores, self.settings["duplicate_iou"])]
            found += own
        return found

    def _of_text(self, encoded: _Encoded, text: str, label: int) -> list[_Object]:
        answer, (height, width) = self.model.ask(encoded.features, text), encoded.size
        kept = answer.scores > self.settings["threshold"]
        boxes = answer.boxes[kept].cpu().numpy().astype(np.float64) * (width, height, width, height)
        scores = answer.scores[kept].cpu().numpy().astype(np.float64).tolist()
        rows = zip(scores, clip_hbox(boxes, encoded.size), answer.masks[kept], strict=True)
        return [_Object(label, *row) for row in rows]

    def _mask(self, each: _Object, size: tuple[int, int]) -> MaskCrop:
        """A mask at full size; one at a time, which bounds the memory."""
        values = torch.nn.functional.interpolate(
            each.logits.sigmoid()[None, None], size, mode="bilinear", align_corners=False
        )
        return crop_mask((values[0, 0] > self.settings["mask_threshold"]).cpu().numpy())
