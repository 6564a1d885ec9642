"""One source image of an ablation: cut, encode, then prompt, decode and compare for every kind of prompt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from rsseg.conversion.predictors import MaskPredictor
from rsseg.conversion.predictors.base import decode, encode
from rsseg.conversion.settings import Settings
from rsseg.conversion.source_image import (
    Results,
    SourceImage,
    Transform,
    cut_tiles,
    load_source_image,
    problem_row,
    source_name,
)
from rsseg.datasets.detection import AnnotationError, DetectionSource, SourceItem
from rsseg.datasets.ground_truth import load_ground_truth
from rsseg.errors import ConfigError
from rsseg.structures.masks import cut_mask, mask_intersection

__all__ = ["measure_image"]

_log = logging.getLogger("rsseg")


def measure_image(
    item: SourceItem,
    source: DetectionSource,
    settings: Settings,
    predictor: MaskPredictor,
    before: list[Transform],
    prompters: dict[str, Transform],
) -> dict[str, Any]:
    """Measure the masks of every prompt kind on one source image.

    Args:
        item: The image and its label file.
        source: Where it comes from.
        settings: The config, with ``truth``.
        predictor: The mask model.
        before: Steps before the prompts.
        prompters: Kind -> the transform that makes such prompts.

    Returns:
        What the image adds, as JSON values: for each instance of each tile its class id under ``labels``, the pixels of
        its truth under ``truth``, and under ``masks``, for each kind, the pixels of its mask (``area``) and of both
        (``common``); besides them what went wrong.

    Raises:
        AnnotationError: Something is unusable and the source raises problems.
        OSError: A file is missing or cannot be read and the source raises problems.
        UserError: The model cannot use such prompts, or returned another number of masks than there are objects.
    """
    source_image = load_source_image(item, source, settings, needs_gt_masks=False)
    part: dict[str, Any] = {
        "source": source_name(item, settings),
        "failed": source_image.failure is not None,
        "without_gt": False,
        "unassigned": 0,
        "problems": [
            problem_row(error) for error in [*source_image.detections.problems, *filter(None, [source_image.failure])]
        ],
        "labels": [],
        "truth": [],
        "masks": {kind: {"area": [], "common": []} for kind in prompters},
        "files": {},
    }
    if source_image.image is None:
        return part
    try:
        source_image.gt_masks = load_ground_truth(item, source_image.detections, settings.table, settings.truth or {})
    except (AnnotationError, OSError) as error:
        if source.on_error == "raise":
            raise
        _log.warning("no ground truth: %s", error)
        part["without_gt"] = True
        if not isinstance(error, AnnotationError):
            error = AnnotationError(item.image, None, item.stem, f"no ground truth ({error})")
        part["problems"].append(problem_row(error))
        return part
    for results, encoded in _encoded_tiles(source_image, settings, predictor, before, part):
        _count_tile(part, results, encoded, predictor, prompters)
    return part


def _encoded_tiles(
    source_image: SourceImage,
    settings: Settings,
    predictor: MaskPredictor,
    before: list[Transform],
    part: dict[str, Any],
) -> Iterator[tuple[Results, Any]]:
    """Results of the tiles with objects and what the model keeps of each, as many at once as it likes."""
    lists: dict[str, Any] = {"empty_tiles": []}
    tiles = [results for results in cut_tiles(source_image, settings, lists) if len(results["detections"])]
    part["unassigned"] = len(lists["unassigned"])
    count = getattr(predictor, "tile_batch", 1)
    for start in range(0, len(tiles), count):
        batch = tiles[start : start + count]
        for transform in before:
            batch = [transform(results) for results in batch]
        yield from zip(batch, encode(predictor, [results["image"] for results in batch]), strict=True)


def _count_tile(
    part: dict[str, Any], results: Results, encoded: Any, predictor: MaskPredictor, prompters: dict[str, Transform]
) -> None:
    labels = results["detections"].labels
    truth = [None if mask is None else cut_mask(mask, results["window"]) for mask in results["source_gt_masks"]]
    part["labels"] += [int(label) for label in labels]
    part["truth"] += [0 if mask is None else mask.area for mask in truth]
    for kind, prompter in prompters.items():
        masks = decode(predictor, encoded, prompter(dict(results))["prompts"]).masks
        if len(masks) != len(labels):
            raise ConfigError(f"{len(masks)} masks for {len(labels)} prompts of kind {kind!r}")
        part["masks"][kind]["area"] += [mask.area for mask in masks]
        pairs = zip(masks, truth, strict=True)
        part["masks"][kind]["common"] += [0 if true is None else mask_intersection(mask, true) for mask, true in pairs]
