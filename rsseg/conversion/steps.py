"""The steps of a conversion as registered transforms; each takes and returns the results dict of one tile.

Keys of the dict, in the order in which the default steps add them:

===============  ====================================================================================
source_image     (H, W, 3) uint8 RGB, the whole source image
window           (4,) int64 x1 y1 x2 y2 of the tile in the source image
detections       the tile's objects, a ``Detections`` in source pixels
source_truth     their ground-truth masks in source pixels (``MaskCrop`` or ``None`` each), or ``None``
image            (h, w, 3) uint8 RGB, the tile
prompts          ``Prompts`` in tile pixels
masks            one ``MaskCrop`` per object, in tile pixels; ``predicted_iou``, ``stability`` (N,) float64
label_map        (h, w) uint8 class ids, 255 = unlabelled
instances        JSON-ready dicts, one per object
===============  ====================================================================================

A step that drops objects selects from ``detections``, ``masks``, ``predicted_iou`` and ``stability`` alike.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from mmseg.registry import MODELS, TRANSFORMS

from rsseg.conversion.predictors import Predictor
from rsseg.conversion.prompts import make_prompts
from rsseg.metainfo.table import IGNORE
from rsseg.structures.boxes import clip_hbox, qbox_to_hbox, qbox_to_rbox
from rsseg.structures.masks import cut_mask, paint_mask, to_rle
from rsseg.structures.windows import cut_window

__all__ = ["CutTile", "MakePrompts", "PackInstances", "PaintLabels", "PredictMasks"]

Results = dict[str, Any]


@TRANSFORMS.register_module()
class CutTile:
    """Cut the tile out of the source image.

    Args:
        fill: RGB of pixels beyond the border, where tiles are padded.
    """

    def __init__(self, fill: tuple[int, int, int] = (124, 116, 104)) -> None:
        self.fill = fill

    def __call__(self, results: Results) -> Results:
        """Add ``image``."""
        results["image"] = cut_window(results["source_image"], results["window"], self.fill)
        return results


@TRANSFORMS.register_module()
class MakePrompts:
    """Prompts from the boxes, moved into the tile's frame.

    Args:
        kind: Key of ``PROMPTS``; the config's ``prompt`` by default.
        clip: Cut horizontal boxes at the tile's border.  Off in the SAMRS release (section 1.3 of its study).
    """

    def __init__(self, kind: str = "hbox", clip: bool = False) -> None:
        self.kind, self.clip = kind, clip

    def __call__(self, results: Results) -> Results:
        """Add ``prompts``."""
        detections, window = results["detections"], np.asarray(results["window"], np.float64)
        hbox = detections.hbox - np.tile(window[:2], 2)
        prompts = make_prompts(self.kind, hbox, detections.qbox - window[:2])
        if self.clip and prompts.boxes is not None:
            prompts = dataclasses.replace(prompts, boxes=clip_hbox(prompts.boxes, results["image"].shape[:2]))
        truth = results.get("source_truth")
        if truth is not None:
            cut = [None if mask is None else cut_mask(mask, results["window"]) for mask in truth]
            prompts = dataclasses.replace(prompts, truth=cut)
        results["prompts"] = prompts
        return results


@TRANSFORMS.register_module()
class PredictMasks:
    """Ask the mask model.

    Args:
        predictor: A predictor, or the config of one; the config's ``predictor`` by default.
    """

    def __init__(self, predictor: Predictor | dict[str, Any]) -> None:
        self.predictor = MODELS.build(predictor) if isinstance(predictor, dict) else predictor

    def __call__(self, results: Results) -> Results:
        """Add ``masks``, ``predicted_iou`` and ``stability``.

        Raises:
            ValueError: The model returned another number of masks than there are objects.
        """
        prediction = self.predictor.predict(results["image"], results["prompts"])
        if len(prediction.masks) != results["prompts"].count:
            raise ValueError(f"{len(prediction.masks)} masks for {results['prompts'].count} prompts")
        results.update(prediction._asdict())
        return results


@TRANSFORMS.register_module()
class PaintLabels:
    """Merge the masks into one label map; where they overlap, the object painted last wins.

    Args:
        order: ``file`` paints in the order of the label file, as the SAMRS release does; ``large_first`` paints
            large masks before small ones, so that small objects stay visible.

    Raises:
        ValueError: There is no such order.

    Source: SAMRS release, main_sam_hbox_semantic.py, for ``file``; ours for ``large_first``.
    """

    def __init__(self, order: str = "file") -> None:
        if order not in ("file", "large_first"):
            raise ValueError(f"order must be 'file' or 'large_first', not {order!r}")
        self.order = order

    def __call__(self, results: Results) -> Results:
        """Add ``label_map``."""
        masks, labels = results["masks"], results["detections"].labels
        order = np.arange(len(masks))
        if self.order == "large_first":
            order = np.argsort([-mask.area for mask in masks], kind="stable")
        canvas = np.full(results["image"].shape[:2], IGNORE, np.uint8)
        for i in order:
            paint_mask(canvas, masks[i], int(labels[i]))
        results["label_map"] = canvas
        return results


@TRANSFORMS.register_module()
class PackInstances:
    """Describe every object as it will stand in ``instances.json``: boxes, whole mask, scores, origin."""

    def __call__(self, results: Results) -> Results:
        """Add ``instances``."""
        detections, prompts = results["detections"], results["prompts"]
        size = int(results["image"].shape[0]), int(results["image"].shape[1])
        packed = []
        for i, mask in enumerate(results["masks"]):
            x1, y1, x2, y2 = mask.bbox
            area = mask.area
            row: Results = {
                "label": int(detections.labels[i]),
                "segmentation": to_rle(mask, size),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": area,
                "empty": area == 0,
                "predicted_iou": _number(results["predicted_iou"][i], 6),
                "stability": _number(results["stability"][i], 6),
                "prompt_box": None if prompts.boxes is None else _numbers(prompts.boxes[i]),
                "source_object_id": detections.object_ids[i],
                "difficult": bool(detections.difficult[i]),
            }
            corners = detections.qbox[i]
            if not np.array_equal(np.unique(corners, axis=0), np.unique(_hull_corners(corners), axis=0)):
                moved = corners - np.asarray(results["window"][:2], np.float64)
                row["rbox"] = _numbers(qbox_to_rbox(moved))
            packed.append(row)
        results["instances"] = packed
        return results


def _hull_corners(corners: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = qbox_to_hbox(corners)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
