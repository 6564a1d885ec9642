"""A whole conversion: shards, resuming, reading ahead, writing behind, merging."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
from mmseg.registry import MODELS, TRANSFORMS

from rsseg.command_list import command
from rsseg.conversion import transforms as _transforms  # noqa: F401  (registers the transforms)
from rsseg.conversion.evaluation import check_truth, evaluate, evaluation_table
from rsseg.conversion.exactness import measure_once
from rsseg.conversion.inputs import REVIEW, image_inputs
from rsseg.conversion.merge import merge_parts
from rsseg.conversion.pipeline import Pipeline
from rsseg.conversion.predictors import MaskPredictor
from rsseg.conversion.prompts import parse_prompt
from rsseg.conversion.review import Review, load_review
from rsseg.conversion.review_tile import with_review
from rsseg.conversion.settings import Settings, build
from rsseg.conversion.source_image import SourceImage, Transform, load_source_image
from rsseg.conversion.storage import REPORT, Store, stable_hash
from rsseg.conversion.summary import failure_text, nothing_text, problem_text, review_text, summary
from rsseg.datasets.detection import AnnotationError, DetectionSource, OnError, SourceItem, image_size
from rsseg.datasets.labels.decisions import set_id_of
from rsseg.errors import ConfigError
from rsseg.io.progress import Progress
from rsseg.io.shards import Shard

__all__ = ["Conversion", "Report", "convert_labels"]

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
        failures: ``file: reason`` of each source image that could not be converted, where ``complete``.
    """

    out_dir: Path
    complete: bool
    converted: int
    resumed: int
    seconds: float
    manifest: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """What the set holds, as aligned text; whether other processes still work, where it is not complete."""
        if self.manifest is None:
            return f"{self.converted} images converted; other processes are not finished"
        speed = self.seconds / self.converted if self.converted else None
        lines = [summary(self.manifest, str(self.out_dir), speed)]
        if self.evaluation is not None:
            lines.append(f"{evaluation_table(self.evaluation)}\nwritten to {self.out_dir / 'evaluation.json'}")
        return "\n\n".join(lines)

    @property
    def error_summary(self) -> str | None:
        """Which images could not be converted and what to do; ``None`` where all could."""
        texts = [failure_text(self.failures)] if self.failures else []
        if self.manifest is not None and (nothing := nothing_text(self.manifest)):
            texts.append(nothing)
        return "\n".join(texts) or None


def convert_labels(
    config: Mapping[str, Any],
    on_error: OnError = "skip",
    overwrite: bool = False,
    with_evaluation: bool = False,
    shard: tuple[int, int] | Shard = (0, 1),
    update: bool = False,
    review: Sequence[Path | str] = (),
    review_rule: str = "majority",
) -> Report:
    """Convert detection labels to segmentation labels.

    Killed at any moment and called again, it ends with the same bytes as if it had never been interrupted; so it does
    with several processes, each with its own ``shard``.  Finished images are skipped, those that could not be converted
    are tried again.  Where labels, images or settings have changed since, that is an error.

    Args:
        config: A loaded config; see :class:`~rsseg.conversion.settings.Settings`.
        on_error: ``skip`` lists unusable objects and images in the manifest, ``raise`` stops at the first.
        overwrite: Delete an earlier conversion in the output folder first; only with one process.
        with_evaluation: Compare with the ground truth named in the config.
        shard: (rank, number of processes).
        update: Convert anew only the source images whose labels or pixels have changed, and take out those that are
            gone; the result is that of a fresh conversion.
        review: Files of reviewers' decisions; where they differ from an earlier call's, those images are redone.
        review_rule: What happens where reviewers disagree, see :func:`rsseg.conversion.review.resolve`.

    Raises:
        ConfigError: The config is wrong.
        JobError: The folder holds a conversion of other labels or images, or with another config.
        DataError: Several images have one name.
        AnnotationError: Labels or images are unusable and ``on_error`` is ``raise``.
        OSError: Writing failed, for example on a full disk; what was finished before is kept.
    """
    part = Shard(*shard)
    job = Conversion.begin(config, on_error, overwrite, with_evaluation, part.world, update, review, review_rule)
    store, source = job.store, job.source
    for error in source.problems if part.rank == 0 else ():
        _log.warning("skipped: %s", error, extra={"all_in": store.root / "manifest.json"})
    mine = [item for item in source.items if stable_hash(item.stem) % part.world == part.rank]
    todo = job.unfinished(mine)
    if len(mine) > len(todo):
        _log.info("%d of %d images are finished already", len(mine) - len(todo), len(mine))
    progress = Progress(len(todo), f"convert ({job.settings.predictor})", verbose=part.reports)
    job.convert(todo, progress.step)
    report = Report(store.root, False, len(todo), len(mine) - len(todo), progress.close())
    failed = _failed(store, source)
    if failed is None:
        _log.info("process %d of %d is finished; the process that finishes last merges the results", *part[:2])
        return report
    # Another process may not have come to its failed images yet, and the merge must tell how they are now.
    job.convert([item for item in failed if item not in mine])
    return _finish(report, store, source, job.settings, job.about, with_evaluation, job.review)


@dataclass(frozen=True)
class Conversion:
    """A conversion that has claimed its folder.

    Attributes:
        settings: The config.
        source: The labels.
        predictor: The mask model.
        transforms: What is done to a tile.
        store: The folder.
        about: What the predictor says of itself, for the manifest.
        review: The decisions of reviewers, where there are any.
    """

    settings: Settings
    source: DetectionSource
    predictor: MaskPredictor
    transforms: list[Transform]
    store: Store
    about: dict[str, Any]
    review: Review | None = None

    @classmethod
    def begin(
        cls,
        config: Mapping[str, Any],
        on_error: OnError = "skip",
        overwrite: bool = False,
        with_evaluation: bool = False,
        world: int = 1,
        update: bool = False,
        review: Sequence[Path | str] = (),
        review_rule: str = "majority",
    ) -> Conversion:
        """Read config and labels, load the model, claim the folder; arguments and errors as for a whole conversion."""
        cv2.setNumThreads(1)
        settings = Settings.from_config(config)
        if with_evaluation:
            check_truth(settings)
        decided = load_review(review, review_rule, settings.table.classes) if review else None
        source = settings.open_source(on_error)
        predictor: MaskPredictor = build(MODELS, settings.predictor_config, f"predictors.{settings.predictor}")
        transforms = _build_transforms(settings, predictor, decided)
        about = predictor.describe()
        depends = _depends(settings, predictor, about)
        if decided is not None:
            decided.check_set(set_id_of(json.loads(json.dumps(depends))), Path(settings.out_dir))
        store = _open_store(settings, overwrite, world)  # from here on an earlier conversion may be gone
        inputs = image_inputs(source, settings, predictor.needs_gt_masks, decided)
        store.claim(depends, inputs, settings.cuts_tiles, update, () if decided is None else (REVIEW,))
        store.remove_leftovers()
        about |= measure_once(predictor, settings, source, transforms, store)
        return cls(settings, source, predictor, transforms, store, about, decided)

    def unfinished(self, items: Sequence[SourceItem]) -> list[SourceItem]:
        """Those of some source images that no earlier run has finished."""
        return [item for item in items if not _finished(self.store, item)]

    def convert(self, items: Sequence[SourceItem], done: Callable[[], None] = lambda: None) -> None:
        """Convert source images; ``done`` is called after each."""
        batch = getattr(self.predictor, "tile_batch", 1)
        pipeline = Pipeline(self.settings, self.transforms, self.store, batch, done, self.review)
        _convert_all(items, self.source, self.settings, pipeline, self.predictor.needs_gt_masks)


def _open_store(settings: Settings, overwrite: bool, world: int) -> Store:
    store = Store(settings.out_dir)
    if overwrite and world > 1:
        raise ConfigError(f"--overwrite requires a single process; remove {store.root} and start again")
    if overwrite:
        store.clear()
    return store


def _depends(settings: Settings, predictor: MaskPredictor, about: dict[str, Any]) -> dict[str, Any]:
    """What every file of a conversion depends on; ``about`` is the predictor's description."""
    truth = settings.truth if predictor.needs_gt_masks else None
    return {**settings.as_dict(), "class_table": settings.table.rows, "predictor": about, "truth": truth}


def _finish(
    report: Report,
    store: Store,
    source: DetectionSource,
    settings: Settings,
    about: dict[str, Any],
    with_evaluation: bool,
    review: Review | None,
) -> Report:
    manifest = merge_parts(store, source, settings, about, review)
    if review is not None and (text := review_text(manifest)):
        _log.warning("%s", text)
    if manifest["problems"]:
        _log.warning("%s", problem_text(manifest, store.root / "manifest.json"))
    if store.has_report() and report.converted:
        _log.warning(
            "%s describes the labels as they were before; write it anew: %s %s",
            store.root / REPORT, command("report labels"), store.root,
        )  # fmt: skip
    result = evaluate(store, source, settings) if with_evaluation else None
    failed = _failed(store, source) if manifest["failed_images"] else None
    failures = [_reason(store, item) for item in failed or ()]
    return replace(report, complete=True, manifest=manifest, evaluation=result, failures=failures)


def _finished(store: Store, item: SourceItem) -> bool:
    part = store.read_part(item.stem)
    return part is not None and store.is_good(part)


def _failed(store: Store, source: DetectionSource) -> list[SourceItem] | None:
    """Images that could not be converted; ``None`` while there are unfinished ones."""
    if not all(store.part_path(item.stem).exists() for item in source.items):
        return None
    failed = []
    for item in source.items:
        part = store.read_part(item.stem)
        if part is None:
            return None
        if part["failed"]:
            failed.append(item)
    return failed


def _reason(store: Store, item: SourceItem) -> str:
    part = store.read_part(item.stem)
    problem = part["problems"][-1] if part and part["problems"] else {"file": item.image, "reason": "not readable"}
    return f"{problem['file']}: {problem['reason']}"


def _build_transforms(settings: Settings, predictor: MaskPredictor, review: Review | None = None) -> list[Transform]:
    words = {"words": settings.words} if "text" in parse_prompt(settings.prompt) else {}
    defaults: dict[str, dict[str, Any]] = {
        "MakePrompts": {"kind": settings.prompt, **words},
        "PredictMasks": {"predictor": predictor},
    }
    transforms = [
        build(TRANSFORMS, {**defaults.get(transform["type"], {}), **transform}, f"pipeline.{i}")
        for i, transform in enumerate(settings.pipeline)
    ]
    if review is None:
        return transforms
    takes_boxes = not (settings.finds_objects or predictor.needs_gt_masks)
    return with_review(transforms, review, settings.table.classes, takes_boxes)


def _convert_all(
    todo: Sequence[SourceItem], source: DetectionSource, settings: Settings, pipeline: Pipeline, needs_gt_masks: bool
) -> None:
    with pipeline:
        for source_image in _read_ahead(todo, source, settings, needs_gt_masks, pipeline.settle):
            for error in [*source_image.detections.problems, *([source_image.failure] if source_image.failure else [])]:
                _log.warning("skipped: %s", error, extra={"all_in": Path(settings.out_dir) / "manifest.json"})
            pipeline.convert(source_image)
            del source_image
        pipeline.settle()


def _read_ahead(
    todo: Sequence[SourceItem],
    source: DetectionSource,
    settings: Settings,
    needs_gt_masks: bool,
    settle: Callable[[], None],
) -> Iterator[SourceImage]:
    """Load the units in order, the next one while the last one is used; a large one only when nothing else is held."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        ahead: Future[SourceImage] | None = None
        for i, item in enumerate(todo):
            if ahead is None and not _small(item):
                settle()
            source_image = ahead.result() if ahead else load_source_image(item, source, settings, needs_gt_masks)
            ahead = None
            if i + 1 < len(todo) and _small(todo[i + 1]):
                ahead = pool.submit(load_source_image, todo[i + 1], source, settings, needs_gt_masks)
            yield source_image
            del source_image


def _small(item: SourceItem) -> bool:
    try:
        height, width = image_size(item.image)
    except (AnnotationError, OSError):
        return True
    return height * width <= _AHEAD_PIXELS
