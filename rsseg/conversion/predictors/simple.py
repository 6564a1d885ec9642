"""Masks without a model: the filled box, and the ground truth where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction, without_scores
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError
from rsseg.structures.masks import empty_mask, fill_hbox, fill_polygon

__all__ = ["BoxPredictor", "GroundTruthPredictor"]


@MODELS.register_module()
class BoxPredictor:
    """The filled box: the floor that any mask model has to beat.

    Args:
        kind: ``hbox`` fills the box prompt, ``rbox`` the rotated box (prompt ``rhbox`` hands it on).

    Raises:
        ConfigError: There is no such kind.
    """

    needs_gt_masks = False

    def __init__(self, kind: str = "hbox") -> None:
        if kind not in ("hbox", "rbox"):
            raise ConfigError(f"kind must be 'hbox' or 'rbox', not {kind!r}")
        self.kind = kind

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Filled boxes, cut at the border of ``image`` (H, W, 3).

        Raises:
            ConfigError: The prompts lack the boxes that ``kind`` asks for.
        """
        height, width = image.shape[:2]
        if self.kind == "hbox":
            boxes = prompts.need_boxes("BoxPredictor")
            return without_scores([fill_hbox(box, (height, width)) for box in boxes])
        if prompts.qboxes is None:
            raise ConfigError("BoxPredictor(kind='rbox') needs rotated boxes; use the prompt 'rhbox'")
        return without_scores([fill_polygon(box, (height, width)) for box in prompts.qboxes])

    def describe(self) -> dict[str, Any]:
        """Settings for the manifest."""
        return {"name": "BoxPredictor", "kind": self.kind}


@MODELS.register_module()
class GroundTruthPredictor:
    """The ground-truth masks themselves: turns instance masks into semantic labels.

    An object without a ground-truth mask gets an empty one.
    """

    needs_gt_masks = True

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """``prompts.gt_masks``.

        Raises:
            ConfigError: The source has no ground truth configured.
        """
        if prompts.gt_masks is None:
            raise ConfigError("GroundTruthPredictor needs ground-truth masks; set truth=dict(kind=...) in the config")
        return without_scores([mask if mask is not None else empty_mask() for mask in prompts.gt_masks])

    def describe(self) -> dict[str, Any]:
        """Settings for the manifest."""
        return {"name": "GroundTruthPredictor"}
