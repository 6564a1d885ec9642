"""One source image: cut, prompt, predict, merge; the unit of work of a conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.settings import Settings
from rsseg.conversion.storage import Store, encode_image, encode_labels
from rsseg.conversion.truths import Truth, load_truth
from rsseg.datasets.detection import AnnotationError, Detections, DetectionSource, SourceItem, read_image
from rsseg.structures.windows import assign_boxes, tile_windows
from rsseg.structures.writing import Writer

__all__ = ["LoadedUnit", "convert_unit", "load_unit", "problem_row", "tile_name", "tiles_of"]

Step = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class LoadedUnit:
    """A source image in memory.

    Attributes:
        item: Where it comes from.
        detections: Its N objects; empty where the label file is unusable.
        image: (H, W, 3) uint8 RGB, or ``None`` where there is nothing to convert or ``failure`` says why not.
        truth: N masks where the predictor needs them.
        failure: Why the image cannot be converted.
    """

    item: SourceItem
    detections: Detections
    image: NDArray[np.uint8] | None = None
    truth: Truth | None = None
    failure: AnnotationError | None = None


def problem_row(error: AnnotationError) -> dict[str, Any]:
    """A problem as it stands in the manifest."""
    return {"file": str(error.path), "line": error.line, "reason": error.reason, "value": error.value}


def tile_name(stem: str, window: NDArray[np.int64], cut: bool) -> str:
    """``<stem>__<x>_<y>`` for a tile that was cut at column x, row y; the stem itself for a whole image."""
    return f"{stem}__{int(window[0])}_{int(window[1])}" if cut else stem


def load_unit(item: SourceItem, source: DetectionSource, settings: Settings, needs_truth: bool) -> LoadedUnit:
    """Read labels, image and (where needed) ground truth of one source image.

    Raises:
        AnnotationError: Something is unusable and the source raises problems.
        FileNotFoundError: A file is missing and the source raises problems.
        ValueError: The predictor needs ground truth and the config names none.
    """
    detections = Detections(item.annotation, item.stem)
    if needs_truth and settings.truth is None:
        raise ValueError("this predictor needs ground-truth masks; set truth=dict(kind=...) in the config")
    try:
        detections = source.read(item)
        broken = [error for error in detections.problems if error.path == item.image]
        if broken:
            detections.problems = [error for error in detections.problems if error.path != item.image]
            return LoadedUnit(item, detections, failure=broken[0])
        if not len(detections) and not settings.keep_empty:
            return LoadedUnit(item, detections)
        image = read_image(item.image, mode=settings.source.get("image_mode", "strict"))
        truth = None
        if needs_truth and settings.truth is not None:
            truth = load_truth(item, detections, settings.table, settings.truth)
    except (AnnotationError, FileNotFoundError) as error:
        if source.on_error == "raise":
            raise
        if not isinstance(error, AnnotationError):
            error = AnnotationError(item.image, None, error.filename or item.stem, "file is missing")
        return LoadedUnit(item, detections, failure=error)
    return LoadedUnit(item, detections, image, truth)


def convert_unit(
    unit: LoadedUnit, settings: Settings, steps: list[Step], store: Store, writer: Writer
) -> tuple[dict[str, Any], Future[Any]]:
    """Convert one source image and hand its files to the writer, the part file last.

    Returns:
        The part, and the future of its writing; ``result()`` of that raises what went wrong.
    """
    item, cut = unit.item, settings.cuts_tiles
    part: dict[str, Any] = {
        "source": item.image.relative_to(Path(settings.source["images"])).as_posix(),
        "objects": len(unit.detections),
        "failed": unit.failure is not None,
        "size": None if unit.image is None else [int(v) for v in unit.image.shape[:2]],
        "unassigned": [],
        "empty_tiles": [],
        "problems": [problem_row(error) for error in unit.detections.problems],
        "tiles": [],
        "files": {},
    }
    if unit.failure is not None:
        part["problems"].append(problem_row(unit.failure))
    waiting: list[tuple[str, Future[int]]] = []
    if unit.image is not None:
        for tile, results in _tiles(unit, settings, steps, part):
            if cut:
                name = f"images/{tile}.png"
                waiting.append((name, writer.submit(_write_image, store, name, results["image"], item.stem)))
            name = f"gray/{tile}.png"
            job = writer.submit(_write_labels, store, name, results["label_map"], settings, item.stem)
            waiting.append((name, job))
    return part, writer.submit(_commit, store, item.stem, part, waiting)


def _write_image(store: Store, name: str, image: NDArray[np.uint8], owner: str) -> int:
    return store.write(name, encode_image(image), owner)


def _write_labels(store: Store, name: str, labels: NDArray[np.uint8], settings: Settings, owner: str) -> int:
    return store.write(name, encode_labels(labels, settings.table), owner)


def _commit(store: Store, stem: str, part: dict[str, Any], waiting: list[tuple[str, Future[int]]]) -> None:
    part["files"] = {name: job.result() for name, job in waiting}
    store.write_json(f".parts/{stem}.json", part, owner=stem)


def _tiles(
    unit: LoadedUnit, settings: Settings, steps: list[Step], part: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and results of each tile that is kept; fills the part's lists of tiles on the way."""
    assert unit.image is not None
    windows, kept = tiles_of(unit, settings)
    part["unassigned"] = [unit.detections.object_ids[i] for i in np.flatnonzero(~kept.any(axis=1))]
    for j, window in enumerate(windows):
        tile = tile_name(unit.item.stem, window, settings.cuts_tiles)
        rows = np.flatnonzero(kept[:, j])
        if not len(rows):
            part["empty_tiles"].append(tile)
            if not settings.keep_empty:
                continue
        results: dict[str, Any] = {
            "source_image": unit.image,
            "window": window,
            "detections": unit.detections.select(rows),
            "source_truth": None if unit.truth is None else [unit.truth[i] for i in rows],
        }
        for step in steps:
            results = step(results)
        height, width = results["label_map"].shape
        row = {"tile": tile, "x": int(window[0]), "y": int(window[1]), "width": width, "height": height}
        part["tiles"].append({**row, "instances": results["instances"], "dropped": results.get("dropped", [])})
        yield tile, results


def tiles_of(unit: LoadedUnit, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Windows (M, 4) of the image, and which objects each keeps, (N, M)."""
    assert unit.image is not None
    height, width = unit.image.shape[:2]
    if settings.tiling is None:
        whole = np.array([[0, 0, width, height]], np.int64)
        return whole, np.ones((len(unit.detections), 1), bool)
    tiling = settings.tiling
    windows = tile_windows((height, width), tiling["size"], tiling.get("overlap", 0), tiling.get("pad", False))
    boxes = unit.detections.hbox if tiling.get("box", "qbox") == "hbox" else unit.detections.qbox
    return windows, assign_boxes(boxes, windows, tiling.get("iof_thr", 0.7))
