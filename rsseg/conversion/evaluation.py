"""How well converted masks fit ground truth: SAMRS's mIOU_I and mIOU_P."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsseg.conversion.parts import tile_instances
from rsseg.conversion.settings import Settings
from rsseg.conversion.storage import Store
from rsseg.datasets.detection import AnnotationError, DetectionSource
from rsseg.datasets.ground_truth import load_ground_truth
from rsseg.errors import ConfigError
from rsseg.io.tables import aligned
from rsseg.structures.masks import cut_mask, mask_intersection, rle_to_crop

__all__ = ["Score", "Scores", "check_truth", "evaluate", "evaluation_table", "figure"]

_log = logging.getLogger("rsseg")


@dataclass
class Score:
    """Sums over instances; SAMRS paper, eq. 1.

    Attributes:
        samrs_compat_union: Count instances without ground-truth pixels as the release did: as IoU 0, their mask as
            union.  By default they are left out of both means.
        instances: How many are in the means.
        without_gt: Instances without any ground-truth pixel in their tile.
        total: Sum of the instances' intersection over union.
        intersection: Pixels common to mask and truth, summed over instances.
        union: Pixels of mask or truth, summed over instances.

    Source: SAMRS paper, eq. 1; the release, main_sam_hbox_mask_instance.py, for ``samrs_compat_union``.
    """

    samrs_compat_union: bool = False
    instances: int = 0
    without_gt: int = 0
    total: float = 0.0
    intersection: int = 0
    union: int = 0

    def add(self, intersection: int, mask_area: int, truth_area: int) -> None:
        """Count one instance by its areas in pixels."""
        union = mask_area + truth_area - intersection
        if truth_area == 0:
            self.without_gt += 1
        if union == 0 or (truth_area == 0 and not self.samrs_compat_union):
            return
        self.instances += 1
        self.total += intersection / union
        self.intersection += intersection
        self.union += union

    def as_dict(self) -> dict[str, Any]:
        """``mIOU_I`` (mean of the instances' IoU), ``mIOU_P`` (of summed pixels), both ``None`` without instances."""
        return {
            "instances": self.instances,
            "without_gt": self.without_gt,
            "mIOU_I": round(self.total / self.instances, 6) if self.instances else None,
            "mIOU_P": round(self.intersection / self.union, 6) if self.instances else None,
        }


class Scores:
    """One :class:`Score` for all instances and one per class.

    Args:
        classes: Names of the classes, by id.
        samrs_compat_union: As for :class:`Score`.
    """

    def __init__(self, classes: Sequence[str], samrs_compat_union: bool = False) -> None:
        self._all = Score(samrs_compat_union)
        self._classes = {name: Score(samrs_compat_union) for name in classes}
        self._names = tuple(classes)

    def add(self, label: int, intersection: int, mask_area: int, truth_area: int) -> None:
        """Count one instance of class id ``label`` by its areas in pixels."""
        for score in (self._all, self._classes[self._names[label]]):
            score.add(intersection, mask_area, truth_area)

    def as_dict(self) -> dict[str, Any]:
        """``{"overall": {...}, "classes": {name: {...}}}``, classes without any instance left out."""
        seen = {name: score for name, score in self._classes.items() if score.instances or score.without_gt}
        return {"overall": self._all.as_dict(), "classes": {name: score.as_dict() for name, score in seen.items()}}


def check_truth(settings: Settings) -> dict[str, Any]:
    """The config's ground truth.

    Raises:
        ConfigError: The config names none, or its objects are none of the labels'.
    """
    if settings.finds_objects:
        raise ConfigError(
            "--evaluate compares masks of labelled objects, but prompt='text' finds its own; use 'hbox+text', or "
            "compare label maps"
        )
    if settings.truth is None:
        raise ConfigError("--evaluate needs ground-truth masks; set truth=dict(kind=...) in the config")
    return settings.truth


def evaluate(store: Store, source: DetectionSource, settings: Settings) -> dict[str, Any]:
    """Compare all converted instances with their ground truth and write ``evaluation.json``.

    Whole masks are compared (not the label map, where others may cover them), in the frame of the tile: an object
    cut by the tile's border counts with its part inside.  ``truth.samrs_compat_union`` of the config decides about
    instances without ground-truth pixels, see :class:`Score`.

    Returns:
        ``{"overall": {...}, "classes": {name: {...}}, "images_without_truth": [...]}``.

    Raises:
        UserError: The config names no ground truth.
    """
    wanted, table = check_truth(settings), settings.table
    scores = Scores(table.classes, wanted.get("samrs_compat_union", False))
    missing: list[str] = []
    for item in source.items:
        part = store.read_part(item.stem)
        if part is None or not part["tiles"]:
            continue
        detections = source.read(item)
        try:
            masks = load_ground_truth(item, detections, table, wanted)
        except (AnnotationError, OSError) as error:
            if source.on_error == "raise":
                raise
            _log.warning("no ground truth: %s", error)
            missing.append(part["source"])
            continue
        truth = dict(zip(detections.object_ids, masks, strict=True))
        for tile, rows in tile_instances(part):
            size = tile["height"], tile["width"]
            window = tile["x"], tile["y"], tile["x"] + size[1], tile["y"] + size[0]
            for row in rows:
                whole = truth.get(row["source_object_id"])
                areas = 0, row["area"], 0
                if whole is not None:
                    cut = cut_mask(whole, window)
                    common = mask_intersection(rle_to_crop(row["segmentation"]), cut) if cut.area else 0
                    areas = common, row["area"], cut.area
                scores.add(row["label"], *areas)
    result: dict[str, Any] = {"predictor": settings.predictor, **scores.as_dict(), "images_without_truth": missing}
    store.write_json("evaluation.json", result, indent=1)
    return result


def evaluation_table(result: dict[str, Any]) -> str:
    """The result of :func:`evaluate` as an aligned text table."""
    lines = [("class", "instances", "no truth", "mIOU_I", "mIOU_P")]
    for name, row in [*result["classes"].items(), ("all", result["overall"])]:
        means = figure(row["mIOU_I"]), figure(row["mIOU_P"])
        lines.append((name, str(row["instances"]), str(row["without_gt"]), *means))
    return aligned(lines)


def figure(value: float | None) -> str:
    """A mean as it stands in a table."""
    return "-" if value is None else f"{value:.3f}"
