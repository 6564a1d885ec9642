"""The demo: scenes, labels, pre-training, fine-tuning, tests, a map, and a page with all results."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsseg.demo.plan import PREDICTORS, SETS, WORK, Plan, Run, Scale, Step
from rsseg.demo.processes import Pool
from rsseg.demo.progress import Progress
from rsseg.demo.schedule import Schedule
from rsseg.errors import JobError
from rsseg.io.files import replacing
from rsseg.io.tables import aligned
from rsseg.reports.demo import DemoResults, LandCover, write_demo_page

__all__ = ["Demo"]

_METRICS = ("mIoU", "mF1", "OA")


class Demo:
    """All stages; ``data/scenes`` and ``work_dirs/demo`` are written.

    What an earlier run has finished with the same settings is kept, so a rerun goes on where that one stopped.

    Args:
        root: Checkout with ``tools/`` and ``configs/``.
        say: What prints a line.
        scale: How much is computed.
        at_once: Number of processes.
    """

    def __init__(self, root: Path, say: Callable[[str], None], scale: Scale | None = None, at_once: int = 2) -> None:
        self.root, self.say, self.scale, self.at_once = root, say, scale or Scale(), at_once

    def run(self) -> tuple[str, dict[str, Any]]:
        """Run all.

        Returns:
            What was measured and what to do next, as text; and the figures and files.

        Raises:
            JobError: A command failed; the message ends with its output.
        """
        plan = Plan(self.root, self.scale, self._weights())
        steps = plan.steps()
        progress = Progress(steps, self.at_once, self.say)
        candidates = {plan.checkpoint(run) for run in plan.candidates()}

        def ended(step: Step, skipped: bool) -> None:
            progress.finish(step.command, skipped)
            if Path(step.output) in candidates:
                candidates.remove(Path(step.output))
                if not candidates:
                    self.say(f"      {_choose(plan)}")

        schedule, pool, start = Schedule(steps, ended), Pool(self.root, self.at_once, progress.tick), time.monotonic()
        pool.run(schedule.take, schedule.finish)
        self._tell_cost(steps, pool, time.monotonic() - start)
        self.say(f"Writing {WORK / 'index.html'} ...")
        results = self._results(plan, steps)
        page = write_demo_page(results, WORK / "index.html")
        scores = {row.title: {"means": row.means, "standard deviations": row.spread} for row in results.land_cover}
        return self._text(results, page, plan), {"page": page, "map": plan.map, "land cover": scores}

    def _tell_cost(self, steps: list[Step], pool: Pool, elapsed: float) -> None:
        """Say what was computed: CPU seconds by stage, and how well they filled the processes."""
        costs: dict[str, float] = {}
        for step in steps:
            costs[step.stage] = costs.get(step.stage, 0.0) + pool.seconds.get(step.command, 0.0)
        if total := sum(costs.values()):
            shares = ", ".join(f"{stage} {cost:.0f}" for stage, cost in costs.items() if cost)
            self.say(
                f"CPU seconds: {shares}; together {total:.0f} in {elapsed:.0f} s, "
                f"{100 * total / elapsed / self.at_once:.0f} % of {self.at_once} cores"
            )

    def _weights(self) -> Path | None:
        """ImageNet weights of the encoder, converted; None where their package is missing."""
        from rsseg.engine.weights.packaged import HOW_TO_GET, packaged_efficientnet

        target = Path("data/weights/efficientnet_lite0.pth")
        source = packaged_efficientnet(target)
        if source is None:
            self.say(
                "ImageNet weights are missing, so training begins with random weights and scores will be lower. "
                f"To get them: {HOW_TO_GET}"
            )
            return None
        self.say(f"ImageNet weights of the encoder: {target} (rsseg weights {source.name} {target})")
        return target

    def _results(self, plan: Plan, steps: list[Step]) -> DemoResults:
        labels = {
            name: {
                predictor: json.loads((plan.folder(predictor, name) / "evaluation.json").read_text())
                for predictor in PREDICTORS
            }
            for name in SETS.values()
        }
        rows = []
        for start, images in plan.rows():
            runs = [run for run in plan.runs() if (run.start, run.images) == (start, images)]
            rows.append(_land_cover(start, images, runs))
        commands = [(step.stage, f"tools/{step.command.tool}.py {' '.join(step.command.args)}") for step in steps]
        commands = [(stage, line.replace(f"{self.root}/", "")) for stage, line in commands]
        grabcut, boxes = ({name: plan.folder(predictor, name) for name in labels} for predictor in PREDICTORS)
        pretrained = plan.weights is not None
        return DemoResults(labels, grabcut, boxes, rows, plan.large()[0], plan.map, commands, pretrained)

    def _text(self, results: DemoResults, page: Path, plan: Plan) -> str:
        masks = [("set", "objects", "GrabCut", "filled box"), *results.label_rows()]
        scores: list[tuple[str, ...]] = [("land cover, test images", *_METRICS)]
        scores += [(row.title, *(row.text(metric) for metric in _METRICS)) for row in results.land_cover]
        rsseg = "rsseg" if shutil.which("rsseg") else "python -m rsseg"  # make installs it in .venv alone
        here = self.root.resolve() == Path.cwd()
        model = plan.model.replace(f"{self.root}/", "") if here else plan.model
        convert = plan.configs.relative_to(self.root) if here else plan.configs
        seeds = f"mean ± standard deviation of {self.scale.seeds} seeds" if self.scale.seeds > 1 else "one seed"
        return (
            f"\nconverted masks against the exact ones, mIOU_I in per cent\n{aligned(masks)}\n\n{aligned(scores)}\n"
            f"({seeds}, in per cent)\n{results.sep_effect()}\n\n"
            f"Open {page} in a browser; the map is {plan.map}, QGIS shows its classes by name.\nNext:\n"
            f"{_activation()}"
            f"  {rsseg} map YOUR_RASTER.tif YOUR_MAP.tif {model} --window 256 --vectors gpkg\n"
            f"  {rsseg} convert {convert / 'convert_dota_scenes.py'} --images YOUR_IMAGES --annotations YOUR_BOXES "
            "--out YOUR_LABELS\n"
            "docs/tutorials/boxes_to_map.md says how to train on them."
        )


def _land_cover(start: str, images: int, runs: list[Run]) -> LandCover:
    scores: dict[str, list[float]] = {metric: [] for metric in _METRICS}
    for run in runs:
        files = sorted((WORK / f"{run.name}_test").glob("*/*.json"), key=lambda path: path.stat().st_mtime)
        if not files:
            raise JobError(f"{WORK / run.name}_test holds no scores; delete the folder and run the demo again")
        found: dict[str, Any] = json.loads(files[-1].read_text())
        for metric in _METRICS:
            scores[metric].append(float(found[metric]))
    spread = {name: statistics.stdev(values) if len(values) > 1 else math.nan for name, values in scores.items()}
    means = {name: statistics.fmean(values) for name, values in scores.items()}
    return LandCover(start, images, means, spread, WORK / f"{runs[0].name}_test" / "maps")


def _choose(plan: Plan) -> str:
    """Keep the model with the highest mIoU on the validation images as ``plan.best``, and say which one it is."""
    scores = {run: _validated(run) for run in plan.candidates()}
    best = max(scores, key=lambda run: scores[run])
    data = plan.checkpoint(best).read_bytes()
    if not plan.best.is_file() or plan.best.read_bytes() != data:
        with replacing(plan.best) as file:
            file.write(data)
    found = f"{scores[best]:.1f} per cent, the highest of {len(scores)}"
    return f"{plan.best} is the model {best.title}, seed {best.seed}: its mIoU on the validation images is {found}"


def _validated(run: Run) -> float:
    """mIoU on the validation images, at the end of a fine-tuning."""
    files = sorted((WORK / run.name).glob("*/vis_data/scalars.json"), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    found = [line["mIoU"] for line in lines if "mIoU" in line]
    if not found:
        raise JobError(f"{WORK / run.name} holds no validation score; delete the folder and run the demo again")
    return float(found[-1])


def _activation() -> str:
    """The line that activates the environment of this process; empty where there is none to activate."""
    script = Path(sys.prefix) / "bin" / "activate"
    if not script.is_file():
        return ""
    inside = script.is_relative_to(Path.cwd())
    return f"  source {os.path.relpath(script) if inside else script}\n"
