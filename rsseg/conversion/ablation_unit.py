"""One source image of an ablation: cut, encode, then prompt, decode and compare for every kind of prompt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.predictors import Predictor
from rsseg.conversion.predictors.base import decode, encode
from rsseg.conversion.settings import Settings
from rsseg.conversion.truths import load_truth
from rsseg.conversion.unit import LoadedUnit, Results, Transform, cut_tiles, load_unit, problem_row
from rsseg.datasets.detection import AnnotationError, DetectionSource, SourceItem
from rsseg.structures.masks import MaskCrop, cut_mask

__all__ = ["measure_unit"]

_log = logging.getLogger("rsseg")


def measure_unit(
    item: SourceItem,
    source: DetectionSource,
    settings: Settings,
    predictor: Predictor,
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
        ValueError: The model cannot use such prompts, or returned another number of masks than there are objects.
    """
    unit = load_unit(item, source, settings, needs_truth=False)
    part: dict[str, Any] = {
        "source": item.image.relative_to(Path(settings.source["images"])).as_posix(),
        "failed": unit.failure is not None,
        "without_truth": False,
        "unassigned": 0,
        "problems": [problem_row(error) for error in [*unit.detections.problems, *filter(None, [unit.failure])]],
        "labels": [],
        "truth": [],
        "masks": {kind: {"area": [], "common": []} for kind in prompters},
        "files": {},
    }
    if unit.image is None:
        return part
    try:
        unit.truth = load_truth(item, unit.detections, settings.table, settings.truth or {})
    except (AnnotationError, OSError) as error:
        if source.on_error == "raise":
            raise
        _log.warning("no ground truth: %s", error)
        part["without_truth"] = True
        return part
    for results, encoded in _encoded_tiles(unit, settings, predictor, before, part):
        _count_tile(part, results, encoded, predictor, prompters)
    return part


def _encoded_tiles(
    unit: LoadedUnit, settings: Settings, predictor: Predictor, before: list[Transform], part: dict[str, Any]
) -> Iterator[tuple[Results, Any]]:
    """Results of the tiles with objects and what the model keeps of each, as many at once as it likes."""
    lists: dict[str, Any] = {"empty_tiles": []}
    tiles = [results for results in cut_tiles(unit, settings, lists) if len(results["detections"])]
    part["unassigned"] = len(lists["unassigned"])
    count = getattr(predictor, "tile_batch", 1)
    for start in range(0, len(tiles), count):
        batch = tiles[start : start + count]
        for transform in before:
            batch = [transform(results) for results in batch]
        yield from zip(batch, encode(predictor, [results["image"] for results in batch]), strict=True)


def _count_tile(
    part: dict[str, Any], results: Results, encoded: Any, predictor: Predictor, prompters: dict[str, Transform]
) -> None:
    labels = results["detections"].labels
    truth = [None if mask is None else cut_mask(mask, results["window"]) for mask in results["source_truth"]]
    part["labels"] += [int(label) for label in labels]
    part["truth"] += [0 if mask is None else mask.area for mask in truth]
    for kind, prompter in prompters.items():
        masks = decode(predictor, encoded, prompter(dict(results))["prompts"]).masks
        if len(masks) != len(labels):
            raise ValueError(f"{len(masks)} masks for {len(labels)} prompts of kind {kind!r}")
        part["masks"][kind]["area"] += [mask.area for mask in masks]
        pairs = zip(masks, truth, strict=True)
        part["masks"][kind]["common"] += [0 if true is None else _common(mask, true) for mask, true in pairs]


def _common(a: MaskCrop, b: MaskCrop) -> int:
    """Pixels of both masks, found in the rectangle of the second."""
    height, width = b.pixels.shape
    inside = cut_mask(a, (b.x, b.y, b.x + width, b.y + height))
    h, w = inside.pixels.shape
    part: NDArray[np.bool_] = b.pixels[inside.y : inside.y + h, inside.x : inside.x + w]
    return int(np.count_nonzero(part & inside.pixels))
