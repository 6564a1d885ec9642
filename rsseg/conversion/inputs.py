"""What the outputs of one source image depend on: its labels, its pixels, where used its masks, and its review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rsseg.conversion.review import Review
from rsseg.conversion.settings import Settings
from rsseg.conversion.source_image import source_name
from rsseg.datasets.detection import DetectionSource, SourceItem
from rsseg.io.jobs import Input

__all__ = ["REVIEW", "image_inputs"]

REVIEW = "review"
"""Kind of the input that reviewers' decisions are."""

_MASKS = {"isaid": ("_instance_id_RGB.png", "_instance_color_RGB.png"), "hrsc": (".png",), "instance_png": (".png",)}
"""Kind of ground truth -> what follows the stem in the names of its files; ``coco`` keeps masks in the labels."""


def image_inputs(
    source: DetectionSource, settings: Settings, needs_gt_masks: bool, review: Review | None = None
) -> dict[str, dict[str, Input]]:
    """Inputs of every source image, by its stem.

    Args:
        source: The images and labels.
        settings: The config.
        needs_gt_masks: Whether ground-truth masks decide the outputs.
        review: What reviewers decided.
    """
    truth = settings.truth if needs_gt_masks else None
    found = {item.stem: _inputs(item, source, settings, truth) for item in source.items}
    if review is None:
        return found
    for item in source.items:
        name = source_name(item, settings)
        digest = review.digest(name)
        if digest is not None:
            found[item.stem][REVIEW] = Input(item.image, name, digest)
    return found


def _inputs(
    item: SourceItem, source: DetectionSource, settings: Settings, truth: dict[str, Any] | None
) -> dict[str, Input]:
    name = source_name(item, settings)
    digest = source.digest(item)
    labels = item.annotation.name if digest is None else f"{name} in {item.annotation.name}"
    inputs = {"image": Input(item.image, name)}
    if item.annotation != item.image:
        inputs = {"labels": Input(item.annotation, labels, digest, always=True), **inputs}
    if truth is not None:
        masks = truth.get("masks")
        start = Path(masks) / item.stem if masks else item.image.with_suffix("")
        for i, end in enumerate(_MASKS.get(truth["kind"], ())):
            path = Path(f"{start}{end}")
            inputs[f"truth{i or ''}"] = Input(path, path.name)
    return inputs
