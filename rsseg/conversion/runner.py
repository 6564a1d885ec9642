"""A whole conversion: shards, resuming, reading ahead, writing behind, merging."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from mmseg.registry import MODELS, TRANSFORMS

from rsseg.conversion import steps as _steps  # noqa: F401  (registers the steps)
from rsseg.conversion.evaluation import evaluate, evaluation_table
from rsseg.conversion.merge import merge_parts
from rsseg.conversion.predictors import Predictor
from rsseg.conversion.settings import Settings
from rsseg.conversion.storage import Store, stable_hash
from rsseg.conversion.summary import summary
from rsseg.conversion.unit import LoadedUnit, Step, convert_unit, load_unit
from rsseg.datasets.detection import AnnotationError, DetectionSource, OnError, SourceItem, image_size
from rsseg.structures.progress import Progress
from rsseg.structures.writing import Writer

__all__ = ["Report", "convert_labels"]

_log = logging.getLogger("rsseg")
_AHEAD_PIXELS = 64_000_000
"""Images larger than this are not read ahead, which bounds the memory."""


@dataclass(frozen=True)
class Report:
    """What one call of :func:`convert_labels` did.

    Attributes:
        out_dir: Where it wrote.
        complete: Whether all source images are finished and merged; false while other processes still work.
        converted: Source images converted by this call.
        resumed: Source images of this process found finished.
        seconds: Time spent on the converted ones.
        manifest: The manifest, where ``complete``.
        evaluation: The result of :func:`~rsseg.conversion.evaluation.evaluate`, where asked for.
    """

    out_dir: Path
    complete: bool
    converted: int
    resumed: int
    seconds: float
    manifest: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None


def convert_labels(
    config: Mapping[str, Any],
    on_error: OnError = "skip",
    overwrite: bool = False,
    with_evaluation: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Report:
    """Convert detection labels to segmentation labels.

    Killed at any moment and called again, it ends with the same bytes as if it had never been interrupted; so it
    does with several processes, each with its own ``shard``.  Finished images are skipped (use ``overwrite`` after
    changing labels or images).

    Args:
        config: A loaded config; see :class:`~rsseg.conversion.settings.Settings`.
        on_error: ``skip`` lists unusable objects and images in the manifest, ``raise`` stops at the first.
        overwrite: Delete an earlier conversion in the output folder first; only with one process.
        with_evaluation: Compare with the ground truth named in the config.
        shard: (rank, number of processes).

    Raises:
        ValueError: The config is wrong, or the folder holds a conversion with another one.
        AnnotationError: Labels or images are unusable and ``on_error`` is ``raise``.
        OSError: Writing failed, for example on a full disk; what was finished before is kept.
    """
    cv2.setNumThreads(1)
    rank, world = shard
    settings = Settings.from_config(config)
    source = settings.open_source(on_error)
    store = _open_store(settings, overwrite, world)
    predictor: Predictor = MODELS.build(settings.predictor_config)
    about = predictor.describe()
    store.claim({**settings.as_dict(), "predictor": about, "truth": settings.truth if predictor.needs_truth else None})
    store.remove_leftovers(lambda code: code % world == rank, merge=rank == 0)
    if rank == 0:
        for error in source.problems:
            _log.warning("skipped: %s", error)
    mine = [item for item in source.items if stable_hash(item.stem) % world == rank]
    todo = [item for item in mine if not _finished(store, item)]
    if len(mine) > len(todo):
        _log.info("%d of %d images were finished before", len(mine) - len(todo), len(mine))
    progress = Progress(len(todo), f"convert ({settings.predictor})", shown=rank == 0)
    _convert_all(todo, source, settings, _build_steps(settings, predictor), store, predictor, progress)
    seconds = progress.close()
    report = Report(store.root, False, len(todo), len(mine) - len(todo), seconds)
    if not all(store.part_path(item.stem).exists() for item in source.items):
        _log.info("process %d of %d is done; the last one to finish merges", rank, world)
        return report
    return _finish(report, store, source, settings, about, with_evaluation)


def _open_store(settings: Settings, overwrite: bool, world: int) -> Store:
    store = Store(settings.out_dir)
    if overwrite and world > 1:
        raise ValueError(f"--overwrite works with one process only; remove {store.root} and start again")
    if overwrite:
        store.clear()
    return store


def _finish(
    report: Report,
    store: Store,
    source: DetectionSource,
    settings: Settings,
    about: dict[str, Any],
    with_evaluation: bool,
) -> Report:
    manifest = merge_parts(store, source, settings, about)
    speed = report.seconds / report.converted if report.converted else None
    _log.info("\n%s", summary(manifest, str(store.root), speed))
    if manifest["problems"]:
        _log.warning(
            "%d problems were skipped; see 'problems' in %s", len(manifest["problems"]), store.root / "manifest.json"
        )
    result = None
    if with_evaluation:
        result = evaluate(store, source, settings)
        _log.info("\n%s\nwritten to %s", evaluation_table(result), store.root / "evaluation.json")
    return Report(report.out_dir, True, report.converted, report.resumed, report.seconds, manifest, result)


def _finished(store: Store, item: SourceItem) -> bool:
    if store.read_part(item.stem) is not None:
        return True
    store.part_path(item.stem).unlink(missing_ok=True)
    return False


def _build_steps(settings: Settings, predictor: Predictor) -> list[Step]:
    defaults: dict[str, dict[str, Any]] = {
        "MakePrompts": {"kind": settings.prompt},
        "PredictMasks": {"predictor": predictor},
    }
    return [TRANSFORMS.build({**defaults.get(step["type"], {}), **step}) for step in settings.pipeline]


def _convert_all(
    todo: list[SourceItem],
    source: DetectionSource,
    settings: Settings,
    steps: list[Step],
    store: Store,
    predictor: Predictor,
    progress: Progress,
) -> None:
    writer = Writer()
    committed: Future[Any] | None = None
    try:
        for unit in _read_ahead(todo, source, settings, predictor.needs_truth):
            for error in [*unit.detections.problems, *([unit.failure] if unit.failure else [])]:
                _log.warning("skipped: %s", error)
            _, job = convert_unit(unit, settings, steps, store, writer)
            if committed is not None:
                committed.result()
            committed = job
            progress.step()
        if committed is not None:
            committed.result()
    except BaseException:
        writer.close(cancel=True)
        raise
    writer.close()


def _read_ahead(
    todo: list[SourceItem], source: DetectionSource, settings: Settings, needs_truth: bool
) -> Iterator[LoadedUnit]:
    """Load the units in order, the next one while the last one is used, unless it is very large."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        ahead: Future[LoadedUnit] | None = None
        for i, item in enumerate(todo):
            unit = ahead.result() if ahead else load_unit(item, source, settings, needs_truth)
            ahead = None
            if i + 1 < len(todo) and _small(todo[i + 1]):
                ahead = pool.submit(load_unit, todo[i + 1], source, settings, needs_truth)
            yield unit
            del unit


def _small(item: SourceItem) -> bool:
    try:
        height, width = image_size(item.image)
    except (AnnotationError, OSError):
        return True
    return height * width <= _AHEAD_PIXELS
