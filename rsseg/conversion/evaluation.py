"""How well converted masks fit ground truth: SAMRS's mIOU_I and mIOU_P."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rsseg.conversion.settings import Settings
from rsseg.conversion.storage import Store
from rsseg.conversion.truths import load_truth
from rsseg.datasets.detection import AnnotationError, DetectionSource
from rsseg.structures.masks import cut_mask, rle_intersection, to_rle

__all__ = ["Score", "evaluate", "evaluation_table"]


@dataclass
class Score:
    """Sums over instances; SAMRS paper, eq. 1.

    Attributes:
        ious: Intersection over union of each instance with ground-truth pixels.
        intersection: Pixels common to mask and truth, summed over instances.
        union: Pixels of mask or truth, summed over instances.
        without_truth: Instances without any ground-truth pixel in their tile; they are left out.
    """

    ious: list[float] = field(default_factory=list)
    intersection: int = 0
    union: int = 0
    without_truth: int = 0

    def add(self, intersection: int, mask_area: int, truth_area: int) -> None:
        """Count one instance by its areas in pixels."""
        if truth_area == 0:
            self.without_truth += 1
            return
        union = mask_area + truth_area - intersection
        self.ious.append(intersection / union)
        self.intersection += intersection
        self.union += union

    def as_dict(self) -> dict[str, Any]:
        """``mIOU_I`` (mean of the instances' IoU), ``mIOU_P`` (of summed pixels), both ``None`` without instances."""
        count = len(self.ious)
        return {
            "instances": count,
            "without_truth": self.without_truth,
            "mIOU_I": round(sum(self.ious) / count, 6) if count else None,
            "mIOU_P": round(self.intersection / self.union, 6) if count else None,
        }


def evaluate(store: Store, source: DetectionSource, settings: Settings) -> dict[str, Any]:
    """Compare all converted instances with their ground truth and write ``evaluation.json``.

    Whole masks are compared (not the label map, where others may cover them), in the frame of the tile: an object
    cut by the tile's border counts with its part inside.

    Returns:
        ``{"overall": {...}, "classes": {name: {...}}, "images_without_truth": [...]}``.

    Raises:
        ValueError: The config names no ground truth.
    """
    if settings.truth is None:
        raise ValueError("--evaluate needs ground-truth masks; set truth=dict(kind=...) in the config")
    table = settings.table
    scores = {name: Score() for name in ("overall", *table.classes)}
    missing: list[str] = []
    for item in source.items:
        part = store.read_part(item.stem)
        if part is None or not part["tiles"]:
            continue
        detections = source.read(item)
        try:
            masks = load_truth(item, detections, table, settings.truth)
        except (AnnotationError, FileNotFoundError):
            if source.on_error == "raise":
                raise
            missing.append(part["source"])
            continue
        truth = dict(zip(detections.object_ids, masks, strict=True))
        for tile in part["tiles"]:
            size = tile["height"], tile["width"]
            window = tile["x"], tile["y"], tile["x"] + size[1], tile["y"] + size[0]
            for row in tile["instances"]:
                whole = truth.get(row["source_object_id"])
                areas = 0, row["area"], 0
                if whole is not None:
                    cut = cut_mask(whole, window)
                    common = rle_intersection(row["segmentation"], to_rle(cut, size)) if cut.area else 0
                    areas = common, row["area"], cut.area
                for name in ("overall", table.classes[row["label"]]):
                    scores[name].add(*areas)
    result = {
        "predictor": settings.predictor,
        "overall": scores.pop("overall").as_dict(),
        "classes": {name: score.as_dict() for name, score in scores.items() if score.ious or score.without_truth},
        "images_without_truth": missing,
    }
    store.write_json("evaluation.json", result, indent=1)
    return result


def evaluation_table(result: dict[str, Any]) -> str:
    """The result of :func:`evaluate` as an aligned text table."""
    rows = [("class", "instances", "no truth", "mIOU_I", "mIOU_P")]
    for name, row in [*result["classes"].items(), ("all", result["overall"])]:
        values = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("mIOU_I", "mIOU_P")]
        rows.append((name, str(row["instances"]), str(row["without_truth"]), values[0], values[1]))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}  {row[1]:>9}  {row[2]:>8}  {row[3]:>7}  {row[4]:>7}" for row in rows)
