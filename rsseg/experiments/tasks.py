"""What one run of a grid does: which tools it calls, and where its scores are."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import JobError
from rsseg.evaluation.image_scores import read_image_scores
from rsseg.experiments.grid import Cell
from rsseg.io.tables import read_json
from rsseg.structures.architectures import RETRAIN, TEACHER

__all__ = ["IMAGES", "NO_VALIDATION", "TASKS", "Run"]

NO_VALIDATION = "train_cfg.val_begin=1000000000"
"""Option of trainings: the test that follows is the only score."""
IMAGES = "images"
"""Folder in a run's folder with the scores of single images."""
_TIMES = ("time", "data_time")


@dataclass(frozen=True)
class Run:
    """What a task needs.

    Attributes:
        cell: The cell, with checkpoints in its options.
        folder: Its folder.
        tool: Runs a tool and waits: name and arguments.
        curve: Score of the learning curve; None validates at no time.
        search: Whether the config is a search for an architecture, which is then trained.
    """

    cell: Cell
    folder: Path
    tool: Callable[..., None]
    curve: str | None = None
    search: bool = False

    def train(self, config: Path | str, work_dir: Path, options: Iterable[str]) -> str:
        """Train one config; its last checkpoint."""
        quiet = [] if self.curve else [NO_VALIDATION]
        self.tool("train", config, "--work-dir", work_dir, "--resume", "--cfg-options", *options, *quiet)
        return (work_dir / "last_checkpoint").read_text(encoding="utf-8").strip()


def _start(run: Run) -> dict[str, Any]:
    checkpoint = run.train(run.cell.config, run.folder / "train", run.cell.options)
    return {"scores": {}, "checkpoint": checkpoint}


def _train(run: Run) -> dict[str, Any]:
    config, checkpoint, options = _trained(run)
    test, images = run.folder / "test", run.folder / IMAGES
    where = ["--work-dir", test, "--image-scores", images]
    run.tool("test", config, checkpoint, *where, *run.cell.test, "--cfg-options", *options)
    newest = max(test.glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    scores = _finite({key: value for key, value in read_json(newest).items() if key not in _TIMES})
    if (images / "images.json").is_file():
        scores |= _class_scores(images)
    return {"scores": scores, "curve": _curve(run.folder / "train", run.curve) if run.curve else {}}


def _trained(run: Run) -> tuple[Path | str, str, list[str]]:
    """Train a cell, or search and train what was found: what is tested then, as config, checkpoint and options."""
    options = list(run.cell.options)
    if not run.search:
        return run.cell.config, run.train(run.cell.config, run.folder / "train", options), options
    found, checkpoint, shared = run.folder / "search", "", list(run.cell.shared)
    if not (found / RETRAIN).is_file():  # written last
        place = ("--work-dir", found, "--resume")
        run.tool("search", run.cell.config, *place, "--cfg-options", *options, NO_VALIDATION)
    for path in (found / TEACHER, found / RETRAIN):
        if path.is_file():
            checkpoint = run.train(path, run.folder / path.stem, shared)
            if path.name == TEACHER:
                shared.append(f"model.teacher.checkpoint={checkpoint}")
    return found / RETRAIN, checkpoint, shared


def _vocabulary(run: Run) -> dict[str, Any]:
    """Train, then test on the sets of GSNet's table 2."""
    options, table = list(run.cell.options), run.folder / "table2.csv"
    checkpoint = run.train(run.cell.config, run.folder / "train", options)
    where = ["--work-dir", run.folder / "test", "--out", table, "--image-scores", run.folder / IMAGES]
    run.tool("test_vocabulary", run.cell.config, checkpoint, *where, *run.cell.test, "--cfg-options", *options)
    with table.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    names = [name for name in row if name not in ("config", "checkpoint") and row[name]]
    return {"scores": _finite({name: float(row[name]) for name in names})}


def _ablate(run: Run) -> dict[str, Any]:
    """Compare prompt kinds of a mask model; nothing is trained."""
    out = run.folder / "ablation"
    plain = [option for option in run.cell.options if not option.startswith("randomness.")]
    extra = ["--cfg-options", *plain] if plain else []
    run.tool("ablate_prompts", run.cell.config, "--out", out, *run.cell.test, *extra)
    result = read_json(out / "ablation.json")
    found = {prompt: own["overall"] for prompt, own in result["prompts"].items()}
    prefix = {prompt: f"{prompt}/" if len(found) > 1 else "" for prompt in found}
    keys = ("mIOU_I", "mIOU_P")
    return {"scores": _finite({f"{prefix[p]}{key}": 100 * (own[key] or 0) for p, own in found.items() for key in keys})}


TASKS: dict[str, Callable[[Run], dict[str, Any]]] = {
    "train": _train,
    "vocabulary": _vocabulary,
    "ablate": _ablate,
    "start": _start,
}
"""Task -> what runs it and gives its scores in percent, and its learning curve."""


def _finite(scores: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in scores.items() if math.isfinite(float(value))}


def _class_scores(folder: Path) -> dict[str, float]:
    """IoU of each class; with several label sets ``<set>/IoU/<class>``."""
    sets = read_image_scores(folder)
    out: dict[str, float] = {}
    for name, own in sets.items():
        if own.kind == "pixels":
            prefix = f"{name}/" if len(sets) > 1 else ""
            total = own.parts().sum(0)
            out |= {f"{prefix}IoU/{label}": float(own.score(f"IoU/{label}", total)) for label in own.classes}
    return {key: round(value, 2) for key, value in _finite(out).items()}


def _curve(work_dir: Path, metric: str) -> dict[str, float]:
    """Score of each validation by iteration or epoch, also of trainings that went on later."""
    out: dict[int, float] = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if metric in row and "step" in row:
                out[int(row["step"])] = float(row[metric])
    if not out:
        raise JobError(f"{work_dir}: no validation has written {metric!r}; see train_cfg.val_interval of the config")
    return {str(step): value for step, value in sorted(out.items())}
