"""The transforms of a conversion as registered transforms; each takes and returns the results dict of one tile.

Keys of the dict, in the order in which the default transforms add them:

===============  ====================================================================================
source_image     (H, W, 3) uint8 RGB, the whole source image
window           (4,) int64 x1 y1 x2 y2 of the tile in the source image
detections       the tile's objects, a ``Detections`` in source pixels
source_gt_masks     their ground-truth masks in source pixels (``MaskCrop`` or ``None`` each), or ``None``
image            (h, w, 3) uint8 RGB, the tile
prompts          ``Prompts`` in tile pixels
encoded          what the mask model keeps of the image; there from its encoder to its decoder only, or longer where
                 ``keeps_encoded`` is set
masks            one ``MaskCrop`` per object, in tile pixels; ``predicted_iou``, ``stability`` (N,) float64
dropped          objects a policy took out: dicts of ``source_object_id``, ``reason`` and ``value``
label_map        (h, w) uint8 class ids, 255 = unlabelled
instances        JSON-ready dicts, one per object
===============  ====================================================================================

A transform that drops objects selects from ``detections``, ``prompts``, ``masks``, ``predicted_iou`` and ``stability``
alike and says so in ``dropped``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmseg.registry import MODELS, TRANSFORMS

from rsseg.conversion.policies import ORDERS, below_threshold, clip_mask, enlarge_qbox, largest_component, paint_order
from rsseg.conversion.predictors import MaskPredictor
from rsseg.conversion.predictors.base import decode, encode, find, without_scores
from rsseg.conversion.prompts import Prompts, make_prompts, parse_prompt
from rsseg.datasets.detection import Detections
from rsseg.errors import ConfigError
from rsseg.metainfo.table import IGNORE
from rsseg.structures.boxes import clip_hbox, hbox_to_qbox, qbox_area, qbox_to_hbox, qbox_to_rbox
from rsseg.structures.masks import cut_mask, paint_mask, to_rle
from rsseg.structures.windows import cut_window, qbox_iof

__all__ = ["CutTile", "MakePrompts", "PackInstances", "PaintLabels", "PredictMasks", "RefineMasks", "keep_objects"]

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
        kind: Parts joined by ``+``, see :mod:`rsseg.conversion.prompts`; the config's ``prompt`` by default.
        clip: Cut horizontal boxes at the tile's border.  Off in the SAMRS release (section 1.3 of its study).
        words: For the part ``text``: name of each class -> its words; those of the class table by default.

    Raises:
        ConfigError: There is no such kind, or it has the part ``text`` and there are no words.
    """

    def __init__(self, kind: str = "hbox", clip: bool = False, words: dict[str, Sequence[str]] | None = None) -> None:
        self.kind, self.clip, self.words = kind, clip, None
        if "text" in parse_prompt(kind):
            if not words:
                raise ConfigError(f"the prompt {kind!r} needs the words of the classes; set MakePrompts.words")
            self.words = {name: tuple(texts) for name, texts in words.items()}

    def __call__(self, results: Results) -> Results:
        """Add ``prompts``."""
        detections, window = results["detections"], np.asarray(results["window"], np.float64)
        hbox = detections.hbox - np.tile(window[:2], 2)
        prompts = make_prompts(self.kind, hbox, detections.qbox - window[:2])
        if self.clip and prompts.boxes is not None:
            prompts = dataclasses.replace(prompts, boxes=clip_hbox(prompts.boxes, results["image"].shape[:2]))
        if self.words is not None:
            prompts = dataclasses.replace(prompts, labels=detections.labels, words=self.words)
        truth = results.get("source_gt_masks")
        if truth is not None:
            cut = [None if mask is None else cut_mask(mask, results["window"]) for mask in truth]
            prompts = dataclasses.replace(prompts, gt_masks=cut)
        results["prompts"] = prompts
        return results


@TRANSFORMS.register_module()
class PredictMasks:
    """Ask the mask model.

    Args:
        predictor: A predictor, or the config of one; the config's ``predictor`` by default.
    """

    def __init__(self, predictor: MaskPredictor | dict[str, Any]) -> None:
        self.predictor = MODELS.build(predictor) if isinstance(predictor, dict) else predictor

    def encode(self, tiles: Sequence[Results]) -> None:
        """Add ``encoded``, what the model keeps of the image, to tiles that have prompts; together in one call."""
        wanted = [results for results in tiles if results["prompts"].count or results["prompts"].finds_objects]
        found = encode(self.predictor, [results["image"] for results in wanted]) if wanted else []
        for results, encoded in zip(wanted, found, strict=True):
            results["encoded"] = encoded

    def __call__(self, results: Results) -> Results:
        """Add ``masks``, ``predicted_iou`` and ``stability``; encodes the image where :meth:`encode` has not.

        Where the prompts are texts alone, the objects that the model finds take the place of ``detections``.

        Raises:
            ConfigError: The model returned another number of masks than there are objects, or reads no texts.
        """
        prompts = results["prompts"]
        if "encoded" not in results:
            self.encode([results])
        if prompts.finds_objects:
            return self._find(results, prompts.words)
        encoded = results["encoded"] if results.get("keeps_encoded") else results.pop("encoded", None)
        prediction = decode(self.predictor, encoded, prompts) if prompts.count else without_scores([])
        if len(prediction.masks) != prompts.count:
            raise ConfigError(f"{len(prediction.masks)} masks for {prompts.count} prompts")
        results.update(prediction._asdict())
        return results

    def _find(self, results: Results, words: dict[str, tuple[str, ...]]) -> Results:
        labels, boxes, prediction = find(self.predictor, results.pop("encoded"), results["prompts"])
        before, names, count = results["detections"], list(words), len(labels)
        hbox = boxes + np.tile(np.asarray(results["window"][:2], np.float64), 2)
        results["detections"] = Detections(
            before.path, before.stem, before.size, hbox, hbox_to_qbox(hbox), labels,
            [names[label] for label in labels], np.zeros(count, np.bool_), np.zeros(count, np.bool_),
            [f"{results['tile']}:{i + 1}" for i in range(count)], [None] * count,
        )  # fmt: skip
        results["prompts"] = Prompts(count)
        results.update(prediction._asdict())
        return results


@TRANSFORMS.register_module()
class RefineMasks:
    """Opt-in policies on the masks, between ``PredictMasks`` and ``PaintLabels``; without options nothing changes.

    Objects are dropped first, then masks are cut at their boxes, then their largest component is taken.

    Args:
        min_predicted_iou: Drop objects whose predicted IoU is lower.
        min_stability: Drop objects whose stability score is lower.
        largest_component: Keep only the largest connected part of each mask.
        clip: ``box`` cuts a mask at its horizontal box (the prompt's where there is one), ``rbox`` at its rotated box.
        margin: Share by which both sides of that box are enlarged first, 0.1 = 10 %.

    Raises:
        ConfigError: ``clip`` is none of these, or the margin is negative; when it is called, also a threshold for a
            score that the predictor does not give.

    Source: ours; the SAMRS release keeps every mask as it is.
    """

    def __init__(
        self,
        min_predicted_iou: float | None = None,
        min_stability: float | None = None,
        largest_component: bool = False,
        clip: str | None = None,
        margin: float = 0.0,
    ) -> None:
        if clip not in (None, "box", "rbox"):
            raise ConfigError(f"clip must be 'box', 'rbox' or None, not {clip!r}")
        if margin < 0:
            raise ConfigError(f"margin must be at least 0, not {margin}")
        self.least = {"predicted_iou": min_predicted_iou, "stability": min_stability}
        self.largest_component, self.clip, self.margin = largest_component, clip, margin

    def __call__(self, results: Results) -> Results:
        """Change ``masks``; take dropped objects out of everything and add them to ``dropped``."""
        self._drop(results)
        if self.clip is not None:
            boxes = enlarge_qbox(self._boxes(results), self.margin)
            results["masks"] = [clip_mask(mask, box) for mask, box in zip(results["masks"], boxes, strict=True)]
        if self.largest_component:
            results["masks"] = [largest_component(mask) for mask in results["masks"]]
        return results

    def _drop(self, results: Results) -> None:
        kept = np.ones(len(results["masks"]), bool)
        dropped = results.setdefault("dropped", [])
        for name, least in self.least.items():
            if least is not None and len(results[name]) and np.isnan(results[name]).all():
                raise ConfigError(
                    f"RefineMasks.min_{name}={least} would drop nothing, since this predictor gives no {name}; remove "
                    "the option, or use a predictor that estimates it, such as sam"
                )
            for i in np.flatnonzero(kept & below_threshold(results[name], least)):
                kept[i] = False
                value, reason = _number(results[name][i], 6), f"{name} below {least}"
                row = {"source_object_id": results["detections"].object_ids[i], "reason": reason, "value": value}
                dropped.append(row)
        if kept.all():
            return
        keep_objects(results, np.flatnonzero(kept))

    def _boxes(self, results: Results) -> np.ndarray:
        detections, boxes = results["detections"], results["prompts"].boxes
        corner = np.asarray(results["window"][:2], np.float64)
        if self.clip == "rbox":
            return np.asarray(detections.qbox - corner)
        return hbox_to_qbox(detections.hbox - np.tile(corner, 2) if boxes is None else boxes)


def keep_objects(results: Results, rows: np.ndarray) -> None:
    """Take all objects of a tile with masks but those of some rows (K,) int64 out of everything."""
    results["detections"] = results["detections"].select(rows)
    results["prompts"] = _select(results["prompts"], rows)
    results["masks"] = [results["masks"][i] for i in rows]
    for name in ("predicted_iou", "stability"):
        results[name] = results[name][rows]


def _select(prompts: Prompts, rows: np.ndarray) -> Prompts:
    changes: Results = {"count": len(rows)}
    for field in dataclasses.fields(prompts):
        value = getattr(prompts, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = value[rows]
        elif isinstance(value, list):
            changes[field.name] = [value[i] for i in rows]
    return dataclasses.replace(prompts, **changes)


@TRANSFORMS.register_module()
class PaintLabels:
    """Merge the masks into one label map; where they overlap, the object painted last wins.

    Args:
        order: ``file``, ``large_first`` or ``score``, see :func:`~rsseg.conversion.policies.paint_order`.

    Raises:
        ConfigError: There is no such order.
    """

    def __init__(self, order: str = "file") -> None:
        if order not in ORDERS:
            raise ConfigError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
        self.order = order

    def __call__(self, results: Results) -> Results:
        """Add ``label_map``."""
        masks, labels = results["masks"], results["detections"].labels
        canvas = np.full(results["image"].shape[:2], IGNORE, np.uint8)
        for i in paint_order(self.order, [mask.area for mask in masks], results["predicted_iou"]):
            paint_mask(canvas, masks[i], int(labels[i]))
        results["label_map"] = canvas
        return results


@TRANSFORMS.register_module()
class PackInstances:
    """Describe every object as it will stand in ``instances.json``: boxes, whole mask, quality, origin."""

    def __call__(self, results: Results) -> Results:
        """Add ``instances``."""
        detections, prompts = results["detections"], results["prompts"]
        size = int(results["image"].shape[0]), int(results["image"].shape[1])
        corners = detections.qbox - np.asarray(results["window"][:2], np.float64)
        rotated, room = _rotated(corners), _area_inside(corners, size)
        if prompts.boxes is not None:
            prompted = _area_inside(hbox_to_qbox(prompts.boxes), size)
        packed = []
        for i, mask in enumerate(results["masks"]):
            x1, y1, x2, y2 = mask.bbox
            area = mask.area
            box_area = float(room[i] if rotated[i] or prompts.boxes is None else prompted[i])
            row: Results = {
                "label": int(detections.labels[i]),
                "segmentation": to_rle(mask, size),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": area,
                "empty": area == 0,
                "touches_border": area > 0 and (min(x1, y1) == 0 or x2 == size[1] or y2 == size[0]),
                "mask_to_box": round(area / box_area, 6) if box_area > 0 else None,
                "predicted_iou": _number(results["predicted_iou"][i], 6),
                "stability": _number(results["stability"][i], 6),
                "prompt_box": None if prompts.boxes is None else _numbers(prompts.boxes[i]),
                "source_object_id": detections.object_ids[i],
                "difficult": bool(detections.difficult[i]),
            }
            if rotated[i]:
                row["rbox"] = _numbers(qbox_to_rbox(corners[i]))
                row["qbox"] = _numbers(corners[i].ravel())
            packed.append(row)
        results["instances"] = packed
        return results


def _rotated(qbox: np.ndarray) -> np.ndarray:
    """Which corners (N, 4, 2) are not those of their horizontal hull, in whatever order; (N,) bool."""
    hull = hbox_to_qbox(qbox_to_hbox(qbox))
    same = (qbox[:, :, None] == hull[:, None]).all(-1)
    return ~np.asarray(same.any(1).all(1) & same.any(2).all(1))


def _area_inside(qbox: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area (N,) of corners (N, 4, 2) within a tile of ``size`` (H, W)."""
    return np.asarray(qbox_area(qbox) * qbox_iof(qbox, [(0, 0, size[1], size[0])])[:, 0])


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
