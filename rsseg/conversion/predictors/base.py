"""What every mask model offers: one call, and a description for the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.prompts import Prompts
from rsseg.structures.masks import MaskCrop

__all__ = ["Prediction", "Predictor", "without_scores"]


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


class Predictor(Protocol):
    """A mask model.

    Attributes:
        needs_truth: Whether ``prompts.truth`` must be there.
    """

    needs_truth: bool

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB."""
        ...

    def describe(self) -> dict[str, Any]:
        """Name, settings and (where there are weights) their sha256: whatever decides the masks, as JSON values."""
        ...


def without_scores(masks: Sequence[MaskCrop]) -> Prediction:
    """A prediction of a model that makes no estimates: both scores are NaN."""
    nothing = np.full(len(masks), np.nan)
    return Prediction(masks, nothing, nothing.copy())
