"""One source image and its tiles: the unit of work of a conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.detection import AnnotationError, Detections, DetectionSource, SourceItem, read_image
from rsseg.datasets.detection.values import settle
from rsseg.datasets.ground_truth import GroundTruthMasks, load_ground_truth
from rsseg.errors import ConfigError
from rsseg.structures.validity import count_invalid
from rsseg.structures.windows import assign_boxes, tile_name, tile_windows

if TYPE_CHECKING:
    from rsseg.conversion.settings import Settings

__all__ = [
    "Results",
    "SourceImage",
    "Transform",
    "cut_tiles",
    "load_source_image",
    "mended_rows",
    "problem_row",
    "source_name",
    "tiles_of",
]

WITHOUT_MASK = "the object has no ground-truth mask"
"""Reason of problems of a predictor that needs ground truth."""
Results = dict[str, Any]
Transform = Callable[[Results], Results]


@dataclass
class SourceImage:
    """A source image in memory.

    Attributes:
        item: Where it comes from.
        detections: Its N objects; empty where the label file is unusable.
        image: (H, W, 3) uint8 RGB, or ``None`` where there is nothing to convert or ``failure`` says why not.
        gt_masks: N masks where the predictor needs them.
        failure: Why the image cannot be converted.
        tiles: What :func:`tiles_of` says, where it was asked ahead of time.
    """

    item: SourceItem
    detections: Detections
    image: NDArray[np.uint8] | None = None
    gt_masks: GroundTruthMasks | None = None
    failure: AnnotationError | None = None
    tiles: tuple[NDArray[np.int64], NDArray[np.bool_]] | None = None


def source_name(item: SourceItem, settings: Settings) -> str:
    """What a source image is called in the outputs: its path below the folder of the images."""
    return item.image.relative_to(Path(settings.source.images)).as_posix()


def problem_row(error: AnnotationError) -> dict[str, Any]:
    """A problem as it stands in the manifest."""
    return {"file": str(error.path), "line": error.line, "reason": error.reason, "value": error.value}


def mended_rows(source_image: SourceImage, settings: Settings) -> list[dict[str, Any]]:
    """Objects whose box, or whose ground-truth polygon, crossed itself and was made valid."""
    detections, rows = source_image.detections, []
    for name, mended in zip(detections.object_ids, detections.mended, strict=False):
        if mended:
            rows.append({"object_id": name, "what": "box"})
    if settings.truth is not None:
        for name, shape in zip(detections.object_ids, detections.extra.get("segmentation", ()), strict=False):
            if isinstance(shape, list) and count_invalid(shape):
                rows.append({"object_id": name, "what": "polygon"})
    return rows


def load_source_image(
    item: SourceItem, source: DetectionSource, settings: Settings, needs_gt_masks: bool
) -> SourceImage:
    """Read labels, image and (where needed) ground truth of one source image.

    Raises:
        AnnotationError: Something is unusable and the source raises problems.
        OSError: A file is missing or cannot be read and the source raises problems.
        UserError: The predictor needs ground truth and the config names none.
    """
    detections = Detections(item.annotation, item.stem)
    if needs_gt_masks and settings.truth is None:
        raise ConfigError("this predictor needs ground-truth masks; set truth=dict(kind=...) in the config")
    try:
        detections = source.read(item)
        broken = [error for error in detections.problems if error.path == item.image]
        if broken:
            detections.problems = [error for error in detections.problems if error.path != item.image]
            return SourceImage(item, detections, failure=broken[0])
        if settings.finds_objects:  # whatever boxes there are
            detections = Detections(detections.path, detections.stem, detections.size)
        elif not len(detections) and not settings.keep_empty:
            return SourceImage(item, detections)
        image = read_image(item.image, mode=settings.source.image_mode)
        truth = None
        if needs_gt_masks and settings.truth is not None:
            truth = load_ground_truth(item, detections, settings.table, settings.truth)
            detections, truth = _with_masks(detections, truth, source)
    except (AnnotationError, OSError) as error:
        if source.on_error == "raise":
            raise
        if not isinstance(error, AnnotationError):
            path = error.filename or item.image
            error = AnnotationError(path, None, item.stem, f"file cannot be read ({error.strerror or error})")
        return SourceImage(item, detections, failure=error)
    source_image = SourceImage(item, detections, image, truth)
    source_image.tiles = tiles_of(source_image, settings)
    return source_image


def _with_masks(
    detections: Detections, masks: GroundTruthMasks, source: DetectionSource
) -> tuple[Detections, GroundTruthMasks]:
    """The objects that have a ground-truth mask; the others become problems."""
    rows = [i for i, mask in enumerate(masks) if mask is not None]
    if len(rows) == len(masks):
        return detections, masks
    ids, lines = detections.object_ids, detections.lines
    bare = [i for i, mask in enumerate(masks) if mask is None]
    problems = [AnnotationError(detections.path, lines[i], ids[i], WITHOUT_MASK) for i in bare]
    settle(problems, source.on_error)
    kept = detections.select(rows)
    kept.problems = [*detections.problems, *problems]
    return kept, [masks[i] for i in rows]


def cut_tiles(source_image: SourceImage, settings: Settings, part: dict[str, Any] | None = None) -> Iterator[Results]:
    """What the transforms start from, for each tile that is kept, with its name under ``tile``.

    Args:
        source_image: A source image; without pixels it has no tiles.
        settings: The config.
        part: Gets the lists ``unassigned`` (object ids) and ``empty_tiles`` (names).
    """
    if source_image.image is None:
        return
    windows, kept = source_image.tiles or tiles_of(source_image, settings)
    part = {"empty_tiles": []} if part is None else part
    part["unassigned"] = [source_image.detections.object_ids[i] for i in np.flatnonzero(~kept.any(axis=1))]
    for j, window in enumerate(windows):
        stem = source_image.item.stem
        tile = tile_name(stem, window) if settings.cuts_tiles else stem
        rows = np.flatnonzero(kept[:, j])
        if not len(rows) and not settings.finds_objects:
            part["empty_tiles"].append(tile)
            if not settings.keep_empty:
                continue
        yield {
            "tile": tile,
            "source": source_name(source_image.item, settings),
            "source_image": source_image.image,
            "window": window,
            "detections": source_image.detections.select(rows),
            "source_gt_masks": None if source_image.gt_masks is None else [source_image.gt_masks[i] for i in rows],
        }


def tiles_of(source_image: SourceImage, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Windows (M, 4) of the image, and which objects each keeps, (N, M)."""
    assert source_image.image is not None
    height, width = source_image.image.shape[:2]
    if settings.tiling is None:
        whole = np.array([[0, 0, width, height]], np.int64)
        return whole, np.ones((len(source_image.detections), 1), bool)
    tiling = settings.tiling
    windows = tile_windows((height, width), tiling.size, tiling.overlap, tiling.pad)
    boxes = source_image.detections.hbox if tiling.box == "hbox" else source_image.detections.qbox
    return windows, assign_boxes(boxes, windows, tiling.iof_thr)
