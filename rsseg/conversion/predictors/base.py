"""What every mask model offers: one call, and a description for the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError
from rsseg.structures.masks import MaskCrop

__all__ = ["Found", "MaskPredictor", "Prediction", "decode", "encode", "find", "without_scores"]


class Prediction(NamedTuple):
    """Masks of N objects and how much the model trusts them.

    Attributes:
        masks: N masks in tile pixels, possibly empty, each the whole object (they may overlap).
        predicted_iou: (N,) float64, the model's own estimate; NaN where it makes none.
        stability: (N,) float64 in 0..1, overlap of the masks at a higher and a lower threshold; NaN where unknown.
    """

    masks: Sequence[MaskCrop]
    predicted_iou: NDArray[np.float64]
    stability: NDArray[np.float64]


class Found(NamedTuple):
    """Objects that a model finds by itself.

    Attributes:
        labels: (N,) int64 class ids.
        boxes: (N, 4) float64 x1 y1 x2 y2 in tile pixels.
        prediction: Their masks.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    prediction: Prediction


class MaskPredictor(Protocol):
    """A mask model.

    A model whose work on the image does not depend on the prompts may also have ``encode(images) -> list`` (what it
    keeps of each image) and ``decode(encoded, prompts) -> Prediction``; then one image is encoded while another is
    decoded, and once for many prompts.  ``tile_batch`` says how many images it likes to encode together.  A model that
    takes points, with or without a box, has ``reads_points``; one that can be asked with texts has ``reads_text``, and
    ``find(encoded, prompts) -> Found`` for objects without boxes.

    Attributes:
        needs_gt_masks: Whether ``prompts.gt_masks`` must be there.
    """

    needs_gt_masks: bool

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB."""
        ...

    def describe(self) -> dict[str, Any]:
        """Name, settings and (where there are weights) their sha256: whatever decides the masks, as JSON values."""
        ...


def encode(predictor: MaskPredictor, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
    """What the model keeps of each image (H, W, 3) uint8 RGB: the image itself, for a model of one stage."""
    stage = getattr(predictor, "encode", None)
    return list(images) if stage is None else list(stage(images))


def decode(predictor: MaskPredictor, encoded: Any, prompts: Prompts) -> Prediction:
    """Masks of the prompted objects in an image that went through :func:`encode`.

    Raises:
        ConfigError: The prompts are texts, which the model does not read.
    """
    _check_text(predictor, prompts)
    stage = getattr(predictor, "decode", predictor.predict)
    found: Prediction = stage(encoded, prompts)
    return found


def find(predictor: Any, encoded: Any, prompts: Prompts) -> Found:
    """Objects of the classes that the prompts name, in an image that went through :func:`encode`.

    Raises:
        ConfigError: The model does not read texts.
    """
    _check_text(predictor, prompts)
    found: Found = predictor.find(encoded, prompts)
    return found


def _check_text(predictor: MaskPredictor, prompts: Prompts) -> None:
    if prompts.words is not None and not getattr(predictor, "reads_text", False):
        raise ConfigError(
            f"{type(predictor).__name__} reads no texts; choose --predictor sam3_text, or a prompt without 'text'"
        )


def without_scores(masks: Sequence[MaskCrop]) -> Prediction:
    """A prediction of a model that makes no estimates: both scores are NaN."""
    nothing = np.full(len(masks), np.nan)
    return Prediction(masks, nothing, nothing.copy())
