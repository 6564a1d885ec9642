"""Applying a review to a tile, between the mask model and the painting of its labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rsseg.conversion.prompts import Prompts
from rsseg.conversion.review import CONFLICT, Outcome, Review, outcome_row
from rsseg.conversion.source_image import Results, Transform
from rsseg.conversion.transforms import PackInstances, PaintLabels, keep_objects
from rsseg.datasets.labels.decisions import Key, state_of
from rsseg.errors import ConfigError
from rsseg.structures.boxes import clip_hbox, hbox_area, hbox_to_qbox
from rsseg.structures.masks import rle_to_crop

__all__ = ["ApplyReview", "with_review"]

_NO_BOXES = "not applied: this mask model is not asked with boxes"
_NO_SIZE = "not applied: the mask was drawn on a tile of another size"
_OUTSIDE = "not applied: the box lies outside of the tile"


def with_review(
    transforms: Sequence[Transform], review: Review, classes: Sequence[str], takes_boxes: bool
) -> list[Transform]:
    """The transforms of a tile with a review applied before ``PaintLabels``.

    Args:
        transforms: What is done to a tile.
        review: The outcomes.
        classes: Names of the classes by id.
        takes_boxes: Whether a box can be redrawn: not where objects are found by words alone, or masks are known.

    Raises:
        ConfigError: Labels are not painted by ``PaintLabels``.
    """
    at = next((i for i, transform in enumerate(transforms) if isinstance(transform, PaintLabels)), None)
    if at is None:
        raise ConfigError("--review needs the transform PaintLabels in 'pipeline', before which decisions are applied")
    apply = ApplyReview(review, transforms[:at], classes, takes_boxes)
    return [apply.mark, *transforms[:at], apply, *transforms[at:]]


class ApplyReview:
    """Take out, change and redraw objects of a tile; add ``reviewed``, a row for each outcome that was used.

    An object that a first round of review has changed may be reviewed again in its new state, so outcomes are looked
    up until none fits.

    Args:
        review: The outcomes.
        before: The transforms that lead to masks, which are asked again with redrawn boxes.
        classes: Names of the classes by id.
        takes_boxes: As for :func:`with_review`.
    """

    def __init__(self, review: Review, before: Sequence[Transform], classes: Sequence[str], takes_boxes: bool) -> None:
        self.before, self.takes_boxes = list(before), takes_boxes
        self.outcomes: dict[tuple[str, str], dict[Key, Outcome]] = {}
        for own in review.outcomes.values():
            for key, outcome in own.items():
                self.outcomes.setdefault(key[:2], {})[key] = outcome
        self.classes = list(classes)
        self.pack = PackInstances()

    def mark(self, results: Results) -> Results:
        """Have the mask model's work on a tile kept where it may be asked again."""
        if any(outcome.action == "box" for outcome in self._wanted(results).values()):
            results["keeps_encoded"] = True
        return results

    def _wanted(self, results: Results) -> dict[Key, Outcome]:
        return dict(self.outcomes.get((results["source"], results["tile"]), {}))

    def __call__(self, results: Results) -> Results:
        """Apply what was decided about the tile's objects."""
        wanted = self._wanted(results)
        if wanted:
            results["reviewed"] = []
        while wanted:
            keys = self._keys(results)
            due = {i: wanted[key] for i, key in enumerate(keys) if key in wanted}
            if not due:
                break
            for i in due:
                wanted.pop(keys[i], None)
            self._apply(results, due, keys)
        results.pop("encoded", None)
        return results

    def _keys(self, results: Results) -> list[Key]:
        detections = results["detections"]
        rows = self.pack(dict(results))["instances"]
        return [
            (results["source"], results["tile"], row["source_object_id"], state_of(name, row))
            for name, row in zip(detections.names, rows, strict=True)
        ]

    def _apply(self, results: Results, due: dict[int, Outcome], keys: list[Key]) -> None:
        results["masks"] = list(results["masks"])
        for name in ("predicted_iou", "stability"):
            results[name] = np.array(results[name], np.float64)
        size = list(results["image"].shape[:2])
        boxes, gone = list[int](), list[int]()
        for i, outcome in due.items():
            row = outcome_row(keys[i], outcome) | {"from": results["detections"].names[i]}
            results["reviewed"].append(row)
            if (reason := self._hindrance(outcome, size)) is not None:
                row["action"], row["reason"] = CONFLICT, reason
                continue
            if outcome.action == "reject":
                gone.append(i)
                results.setdefault("dropped", []).append(_dropped(keys[i], outcome))
            elif outcome.action == "box":
                boxes.append(i)
            elif outcome.mask is not None:
                results["masks"][i] = rle_to_crop(outcome.mask)
                results["predicted_iou"][i] = results["stability"][i] = np.nan
            if outcome.new_class is not None and outcome.action != CONFLICT:
                self._change_class(results, i, outcome.new_class)
        if boxes:
            gone += self._redraw(results, boxes, [due[i] for i in boxes])
        if gone:
            keep_objects(results, np.array([i for i in range(len(keys)) if i not in gone], np.int64))

    def _hindrance(self, outcome: Outcome, size: list[int]) -> str | None:
        """Why an outcome cannot be applied to a tile of ``size`` (H, W); None where it can."""
        if outcome.action == "box" and not self.takes_boxes:
            return _NO_BOXES
        if outcome.box is not None and not hbox_area(clip_hbox(outcome.box, (size[0], size[1]))) > 0:
            return _OUTSIDE
        return _NO_SIZE if outcome.mask is not None and outcome.mask["size"] != size else None

    def _change_class(self, results: Results, i: int, name: str) -> None:
        detections = results["detections"]
        labels, names = detections.labels.copy(), list(detections.names)
        labels[i], names[i] = self.classes.index(name), name
        results["detections"] = dataclasses.replace(detections, labels=labels, names=names)

    def _redraw(self, results: Results, rows: list[int], outcomes: list[Outcome]) -> list[int]:
        """Ask the mask model again; returns which of the rows a policy on masks took out."""
        corner = np.tile(np.asarray(results["window"][:2], np.float64), 2)
        hbox = np.array([outcome.box for outcome in outcomes], np.float64) + corner
        detections = results["detections"].select(rows)
        detections = dataclasses.replace(detections, hbox=hbox, qbox=hbox_to_qbox(hbox))
        names = ("source", "tile", "source_image", "window", "encoded")
        part = {name: results[name] for name in names} | {"keeps_encoded": True, "source_gt_masks": None}
        part |= {"detections": dataclasses.replace(detections, object_ids=[str(i) for i in rows])}
        for transform in self.before:
            part = transform(part)
        for dropped in part.get("dropped", ()):
            name = results["detections"].object_ids[int(dropped["source_object_id"])]
            results.setdefault("dropped", []).append({**dropped, "source_object_id": name})
        left = [int(name) for name in part["detections"].object_ids]
        _put(results, part, left)
        return [i for i in rows if i not in set(left)]


def _dropped(key: Key, outcome: Outcome) -> dict[str, Any]:
    return {"source_object_id": key[2], "reason": f"rejected by {', '.join(outcome.reviewers)}", "value": None}


def _put(results: Results, part: Results, rows: list[int]) -> None:
    """Give rows of a tile what the mask model made of their new boxes."""
    detections = results["detections"]
    hbox, qbox = detections.hbox.copy(), detections.qbox.copy()
    hbox[rows], qbox[rows] = part["detections"].hbox, part["detections"].qbox
    results["detections"] = dataclasses.replace(detections, hbox=hbox, qbox=qbox)
    results["prompts"] = _merge_prompts(results["prompts"], part["prompts"], rows)
    for name in ("predicted_iou", "stability"):
        results[name][rows] = part[name]
    for i, mask in zip(rows, part["masks"], strict=True):
        results["masks"][i] = mask


def _merge_prompts(prompts: Prompts, new: Prompts, rows: list[int]) -> Prompts:
    changes: dict[str, Any] = {}
    for own in dataclasses.fields(prompts):
        value = getattr(prompts, own.name)
        if isinstance(value, np.ndarray):
            changes[own.name] = value.copy()
            changes[own.name][rows] = getattr(new, own.name)
    return dataclasses.replace(prompts, **changes)
