"""Which prompt suits a mask model best: many prompt kinds on one labelled set with masks (SAMRS paper, table 1).

An image (or tile) is encoded once and decoded for every kind.  What a source image adds to the means is kept as whole
numbers in ``.parts/<stem>.json``: a killed run goes on where it stopped, and several processes share the work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
from mmseg.registry import MODELS, TRANSFORMS

from rsseg.conversion import transforms as _transforms  # noqa: F401  (registers the transforms)
from rsseg.conversion.ablation_image import measure_image
from rsseg.conversion.evaluation import Scores, figure
from rsseg.conversion.inputs import image_inputs
from rsseg.conversion.predictors import MaskPredictor
from rsseg.conversion.prompts import parse_prompt
from rsseg.conversion.settings import Settings, build
from rsseg.conversion.source_image import Transform, problem_row
from rsseg.conversion.storage import Store, stable_hash
from rsseg.datasets.detection import DetectionSource, OnError, SourceItem
from rsseg.errors import ConfigError
from rsseg.io.jobs import RECORD
from rsseg.io.progress import Progress
from rsseg.io.shards import Shard
from rsseg.io.tables import aligned, csv_bytes
from rsseg.messages import few

__all__ = ["PAPER_PROMPTS", "AblationReport", "ablate_prompts", "ablation_table"]

_log = logging.getLogger("rsseg")

PAPER_PROMPTS = (
    "cp",
    "hbox", "hbox_m", "hbox+hbox_m", "cp+hbox", "cp+hbox_m", "cp+hbox+hbox_m",
    "rbox_m", "cp+rbox_m",
    "rhbox", "rhbox_m", "rhbox+rhbox_m", "cp+rhbox", "cp+rhbox_m", "cp+rhbox+rhbox_m",
)  # fmt: skip
"""The 15 combinations of SAMRS, table 1: centre point, and all of {point, box, mask} for each kind of box."""


@dataclass(frozen=True)
class AblationReport:
    """What one call of :func:`ablate_prompts` did.

    Attributes:
        out_dir: Where it wrote.
        measured: Source images done by this call.
        resumed: Source images of this process found finished.
        result: The content of ``ablation.json``; ``None`` while other processes still work.
    """

    out_dir: Path
    measured: int
    resumed: int
    result: dict[str, Any] | None = None

    @property
    def error_summary(self) -> str | None:
        """Which images failed and what to do, ``None`` where all went well."""
        found = self.result or {}
        failed = [*found.get("failed_images", ()), *found.get("images_without_truth", ())]
        if not failed:
            return None
        head = f"{len(failed)} images could not be used or have no ground truth, and are not part of the means:"
        listing = self.out_dir / "ablation.json"
        return (
            f"{few(head, failed, str(listing))}\nCheck 'truth' of the config and these files ({listing} has the "
            "reasons under 'problems'), and run the same command again."
        )


class _Sums(Store):
    folders = (".parts",)
    files = (RECORD, "ablation.json", "ablation.csv", "ablation.png")
    stale = ("ablation.json", "ablation.csv", "ablation.png")
    kind = "an ablation"
    made = ("labels",)

    @staticmethod
    def is_good(part: Mapping[str, Any]) -> bool:
        return not (part["failed"] or part["without_gt"])


def ablate_prompts(
    config: Mapping[str, Any],
    prompts: Sequence[str] = PAPER_PROMPTS,
    samrs_compat_union: bool = False,
    on_error: OnError = "skip",
    overwrite: bool = False,
    shard: tuple[int, int] | Shard = (0, 1),
    update: bool = False,
) -> AblationReport:
    """Measure how well the masks of each prompt kind fit the ground truth; writes ``ablation.json`` and ``.csv``.

    Masks are compared as the model gives them: transforms after ``PredictMasks`` are not run.  An object cut by the
    tile's border counts with its part inside.

    Args:
        config: A loaded conversion config with ``truth``; its ``prompt`` is not used.
        prompts: Prompt kinds.
        samrs_compat_union: As for :class:`~rsseg.conversion.evaluation.Score`, besides
            ``truth.samrs_compat_union`` of the config; it can be changed on finished sums.
        on_error: ``skip`` lists unusable objects and images in the result, ``raise`` stops at the first.
        overwrite: Delete an earlier run in the output folder first; only with one process.
        shard: (rank, number of processes).
        update: Measure anew only the source images whose labels, pixels or masks have changed.

    Raises:
        ConfigError: The config is wrong, or a prompt kind unknown.
        JobError: The folder holds a run with other inputs.
        DataError: Several images have one name.
        AnnotationError: Labels or images are unusable and ``on_error`` is ``raise``.
        OSError: Writing failed; what was finished before is kept.

    Source: SAMRS paper, section 2.4 and table 1.
    """
    cv2.setNumThreads(1)
    rank, world, _ = part = Shard(*shard)
    settings = Settings.from_config(config)
    prompts = _check(settings, prompts, overwrite and world > 1)
    source = settings.open_source(on_error)
    predictor: MaskPredictor = build(MODELS, settings.predictor_config, f"predictors.{settings.predictor}")
    store = _Sums(settings.out_dir)
    if overwrite:
        store.clear()
    about = _about(settings, prompts, predictor)
    store.claim(
        {**about, "class_table": settings.table.rows}, image_inputs(source, settings, True), settings.cuts_tiles, update
    )
    store.remove_leftovers()
    mine = [item for item in source.items if stable_hash(item.stem) % world == rank]
    todo = [item for item in mine if _unfinished(store, item)]
    if len(mine) > len(todo):
        _log.info("%d of %d images are finished already", len(mine) - len(todo), len(mine))
    _measure(todo, source, settings, prompts, predictor, store, verbose=part.reports)
    report = AblationReport(store.root, len(todo), len(mine) - len(todo))
    if not all(store.part_path(item.stem).exists() for item in source.items):
        _log.info("process %d of %d is finished; the process that finishes last computes the means", rank, world)
        return report
    samrs_compat_union |= (settings.truth or {}).get("samrs_compat_union", False)
    result = _add_up(store, source, settings.table.classes, samrs_compat_union, about)
    return replace(report, result=result)


def _measure(
    todo: Sequence[SourceItem],
    source: DetectionSource,
    settings: Settings,
    prompts: Sequence[str],
    predictor: MaskPredictor,
    store: Store,
    verbose: bool,
) -> None:
    before, prompters = _build_transforms(settings, prompts)
    progress = Progress(len(todo), f"ablation ({settings.predictor}, {len(prompts)} prompts)", verbose)
    for item in todo:
        part = measure_image(item, source, settings, predictor, before, prompters)
        for problem in part["problems"]:
            _log.warning("skipped: %s: %s (%s)", problem["file"], problem["reason"], problem["value"])
        store.write_part(item.stem, part)
        progress.step()
    progress.close()


def _check(settings: Settings, prompts: Sequence[str], overwrites_others: bool) -> list[str]:
    """The prompt kinds, each in its canonical spelling."""
    if settings.truth is None:
        raise ConfigError("an ablation requires ground-truth masks; set truth=dict(kind=...) in the config")
    if overwrites_others:
        raise ConfigError(f"--overwrite requires a single process; remove {settings.out_dir} and start again")
    kinds = ["+".join(parse_prompt(kind)) for kind in prompts]
    if not kinds or len(set(kinds)) < len(kinds):
        raise ConfigError(f"prompts must be different kinds, at least one, not {' '.join(kinds)}")
    if "text" in kinds:
        raise ConfigError("an ablation compares masks of labelled objects; 'text' finds its own, so use 'hbox+text'")
    return kinds


def _about(settings: Settings, prompts: Sequence[str], predictor: MaskPredictor) -> dict[str, Any]:
    """What decides the sums, as JSON values."""
    plain = settings.as_dict()
    transforms = [transform for transform in settings.pipeline if transform["type"] in ("CutTile", "MakePrompts")]
    truth = {name: value for name, value in (settings.truth or {}).items() if name != "samrs_compat_union"}
    kept = {"source": plain["source"], "tiling": plain["tiling"], "transforms": transforms, "truth": truth}
    if any("text" in parse_prompt(kind) for kind in prompts):
        kept["words"] = settings.words
    return {"prompts": list(prompts), "predictor": predictor.describe(), **kept}


def _build_transforms(settings: Settings, prompts: Sequence[str]) -> tuple[list[Transform], dict[str, Transform]]:
    """The transforms before ``MakePrompts``, and that transform for every kind."""
    names = [transform["type"] for transform in settings.pipeline]
    if "MakePrompts" not in names:
        raise ConfigError(f"the pipeline of an ablation must contain MakePrompts; it has {', '.join(names)}")
    at = names.index("MakePrompts")
    makers = {}
    for kind in prompts:
        words = {"words": settings.words} if "text" in parse_prompt(kind) else {}
        makers[kind] = build(TRANSFORMS, {**words, **settings.pipeline[at], "kind": kind}, f"pipeline.{at}")
    return [build(TRANSFORMS, transform, f"pipeline.{i}") for i, transform in enumerate(settings.pipeline[:at])], makers


def _unfinished(store: Store, item: SourceItem) -> bool:
    part = store.read_part(item.stem)
    if part is None:
        store.part_path(item.stem).unlink(missing_ok=True)
        return True
    return not store.is_good(part)


def _add_up(
    store: Store, source: DetectionSource, classes: Sequence[str], published: bool, about: dict[str, Any]
) -> dict[str, Any]:
    """Means over all parts, in the order of their stems; writes ``ablation.csv`` and, last, ``ablation.json``."""
    scores = {kind: Scores(classes, published) for kind in about["prompts"]}
    lists: dict[str, list[Any]] = {name: [] for name in ("failed_images", "images_without_truth", "problems")}
    unassigned = 0
    for item in source.items:
        part = store.read_part(item.stem)
        if part is None:
            raise FileNotFoundError(f"{store.part_path(item.stem)}: part is missing or damaged; run the ablation again")
        for kind, masks in part["masks"].items():
            for row in zip(part["labels"], masks["common"], masks["area"], part["truth"], strict=True):
                scores[kind].add(*row)
        unassigned += part["unassigned"]
        lists["failed_images"] += [part["source"]] if part["failed"] else []
        lists["images_without_truth"] += [part["source"]] if part["without_gt"] else []
        lists["problems"] += part["problems"]
    lists["problems"] += [problem_row(error) for error in source.problems]
    result = {
        "label_set": source.table.name,
        **about,
        "samrs_compat_union": published,
        "images": len(source.items),
        "unassigned_objects": unassigned,
        **lists,
        "prompts": {kind: score.as_dict() for kind, score in scores.items()},
    }
    store.write("ablation.csv", csv_bytes(_COLUMNS, _rows(result)))
    store.write_json("ablation.json", result, indent=1)
    return result


_COLUMNS = ("prompt", "class", "instances", "without_gt", "mIOU_I", "mIOU_P")


def _rows(result: dict[str, Any]) -> Iterator[list[Any]]:
    """Rows of the table: all classes first, then class by class, each with every prompt kind."""
    kinds = result["prompts"]
    names = dict.fromkeys(name for scores in kinds.values() for name in scores["classes"])
    for name in ("all", *names):
        for kind, scores in kinds.items():
            row = scores["overall"] if name == "all" else scores["classes"][name]
            yield [kind, name, *(row[column] for column in _COLUMNS[2:])]


def ablation_table(result: dict[str, Any]) -> str:
    """The result of :func:`ablate_prompts` as an aligned text table, the best of each class marked with ``*``."""
    rows = list(_rows(result))
    if len({row[1] for row in rows}) == 2:  # "all" and the only class say the same
        rows = [row for row in rows if row[1] == "all"]
    best = {name: [max(row[i] or 0 for row in rows if row[1] == name) for i in (4, 5)] for name in {r[1] for r in rows}}
    lines = [("class", "prompt", "instances", "no truth", "mIOU_I ", "mIOU_P ")]
    last = ""
    for kind, name, instances, without, *means in rows:
        shown = [figure(value) + "* "[value != top] for value, top in zip(means, best[name], strict=True)]
        lines.append(("" if name == last else name, kind, str(instances), str(without), shown[0], shown[1]))
        last = name
    return aligned(lines, left=2)
