"""What the outputs of one source image depend on: its labels, its pixels and, where they are used, its masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rsseg.conversion.settings import Settings
from rsseg.datasets.detection import DetectionSource, SourceItem
from rsseg.io.jobs import Input

__all__ = ["image_inputs"]

_MASKS = {"isaid": ("_instance_id_RGB.png", "_instance_color_RGB.png"), "hrsc": (".png",), "instance_png": (".png",)}
"""Kind of ground truth -> what follows the stem in the names of its files; ``coco`` keeps masks in the labels."""


def image_inputs(source: DetectionSource, settings: Settings, needs_gt_masks: bool) -> dict[str, dict[str, Input]]:
    """Inputs of every source image, by its stem.

    Args:
        source: The images and labels.
        settings: The config.
        needs_gt_masks: Whether ground-truth masks decide the outputs.
    """
    truth = settings.truth if needs_gt_masks else None
    return {item.stem: _inputs(item, source, settings, truth) for item in source.items}


def _inputs(
    item: SourceItem, source: DetectionSource, settings: Settings, truth: dict[str, Any] | None
) -> dict[str, Input]:
    name = item.image.relative_to(settings.source.images).as_posix()
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
