"""The demo: the whole path on procedural scenes, through the tools that a user calls."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rsseg.commands import call_tool
from rsseg.errors import JobError
from rsseg.io.names import read_names
from rsseg.io.tables import aligned
from rsseg.metainfo import load_metainfo
from rsseg.reports.comparison import comparison_panels, label_panels

__all__ = ["Demo"]

SCENES, WORK = Path("data/scenes"), Path("work_dirs/demo")
SETS = {"dota": ("sota", 36), "dior": ("sior", 24), "fair1m": ("fast", 36)}
"""Layout -> label set and number of scenes."""
LANDCOVER = {"count": 40, "val": 4, "test": 16, "size": 384}
RUNS = {"scratch": "upernet_tiny_scenes.py", "SEP": "upernet_tiny_from_sep_scenes.py"}
_STAGES = 6
_PANELS = 6

Rows = dict[str, dict[str, Any]]


class Demo:
    """Scenes, labels, pre-training, fine-tuning, test, pictures; ``data/scenes`` and ``work_dirs/demo`` are written.

    Args:
        root: Checkout with ``tools/`` and ``configs/``.
        say: What prints a line.
        iters: Iterations of each training.
        few: Labelled land-cover images for fine-tuning.
    """

    def __init__(self, root: Path, say: Callable[[str], None], iters: int = 300, few: int = 12) -> None:
        self.root, self.say, self.iters, self.few = root, say, iters, few
        self.configs = root / "configs" / "scenes"
        self._started, self._numbers = time.time(), itertools.count(1)

    def run(self) -> None:
        """All stages, with a progress line for each, and what was measured at the end.

        Raises:
            JobError: A tool failed; the message ends with its output.
        """
        self._stage(1, "scenes in the layouts of DOTA, DIOR, FAIR1M and OpenEarthMap")
        counts = [word for name, value in LANDCOVER.items() for word in (f"--{name}", value)]
        sets = [(layout, SCENES / layout, "--count", count, "--seed", 1) for layout, (_, count) in SETS.items()]
        self._tools("make_scenes", [*sets, ("landcover", SCENES / "landcover", "--seed", 2, *counts)])
        self._stage(2, "detection boxes to masks: GrabCut, and filled boxes as the floor")
        masks = self._convert()
        self._stage(
            3, f"{self.iters} iterations: SEP with three heads; land cover from {self.few} images, from scratch"
        )
        self._tools("train", [self._training("upernet_tiny_sep_scenes.py", "sep"), self._fine_tuning("scratch")])
        self._stage(4, f"{self.iters} iterations: land cover from the same {self.few} images, from SEP")
        self._tools("train", [self._fine_tuning("SEP")])
        self._stage(5, "test both; pictures")
        scores = self._test()
        out = self._pictures()
        self._stage(6, "results")
        self._report(masks, scores)
        self.say(f"\npictures: {out}/landcover (image, truth, scratch, SEP), {out}/labels_* (GrabCut, filled box)")

    def _stage(self, number: int, text: str) -> None:
        self.say(f"[{number}/{_STAGES}] {text}  ({time.time() - self._started:.0f} s so far)")

    def _tools(self, name: str, calls: Sequence[Sequence[object]]) -> None:
        """Run a tool once for each list of arguments, two at a time (the demo is made for two cores)."""
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self._tool, name, call) for call in calls]:
                done.result()

    def _tool(self, name: str, args: Sequence[object]) -> None:
        words = [str(arg).replace(f"{self.root}{os.sep}", "") for arg in args]
        self.say(f"      python tools/{name}.py {' '.join(words)}")
        log = WORK / "logs" / f"{next(self._numbers):02}_{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        code = call_tool(self.root, name, args, log)
        if code:
            raise JobError(
                f"tools/{name}.py failed with exit status {code} (complete output: {log})\n{log.read_text()[-4000:]}"
            )

    def _folder(self, predictor: str, name: str) -> Path:
        return SCENES / name if predictor == "grabcut" else WORK / f"{name}_{predictor}"

    def _convert(self) -> dict[str, Rows]:
        """Evaluations by predictor and label set."""
        calls, read = [], {}
        for predictor in ("grabcut", "box"):
            folders = {name: self._folder(predictor, name) for name, _ in SETS.values()}
            options = ["--evaluate", "--predictor", predictor, "--out"]
            calls += [
                (self.configs / f"convert_{s}_scenes.py", *options, folders[name]) for s, (name, _) in SETS.items()
            ]
            read[predictor] = {name: folder / "evaluation.json" for name, folder in folders.items()}
        self._tools("convert_labels", calls)
        return {p: {name: json.loads(file.read_text()) for name, file in rows.items()} for p, rows in read.items()}

    def _training(self, config: str, work_dir: str, *options: str) -> list[object]:
        n = self.iters
        length = [f"train_cfg.max_iters={n}", f"train_cfg.val_interval={n}"]
        length += [f"param_scheduler.0.T_max={n}", f"param_scheduler.0.end={n}"]
        return [self.configs / config, "--work-dir", WORK / work_dir, "--cfg-options", *length, *options]

    def _fine_tuning(self, title: str) -> list[object]:
        options = [f"train_dataloader.dataset.indices={self.few}"]
        if title == "SEP":
            options.append(f"default_hooks.start.checkpoint={WORK / 'sep' / f'iter_{self.iters}.pth'}")
        return self._training(RUNS[title], title, *options)

    def _test(self) -> Rows:
        """Scores on the land-cover test list, by where the fine-tuning started."""
        calls = []
        for title, config in RUNS.items():
            out, checkpoint = WORK / f"{title}_test", WORK / title / f"iter_{self.iters}.pth"
            calls.append([self.configs / config, checkpoint, "--work-dir", out, "--out", out / "maps"])
        self._tools("test", calls)
        logs = {title: (WORK / f"{title}_test").glob("*/*.json") for title in RUNS}
        newest = {title: max(files, key=lambda path: path.stat().st_mtime) for title, files in logs.items()}
        return {title: json.loads(path.read_text()) for title, path in newest.items()}

    def _pictures(self) -> Path:
        out = WORK / "pictures"
        for layout, (name, _) in SETS.items():
            gray = {"GrabCut": self._folder("grabcut", name), "filled box": self._folder("box", name)}
            tiles = sorted((SCENES / name / "images").glob("*.png")) or sorted(
                (SCENES / layout).glob("JPEGImages-trainval/*.jpg")
            )
            labelled = [path for path in tiles if (gray["GrabCut"] / "gray" / f"{path.stem}.png").exists()]
            folders = {title: folder / "gray" for title, folder in gray.items()}
            label_panels(labelled[:_PANELS], folders, load_metainfo(name), out / f"labels_{name}")
        root = SCENES / "landcover"
        regions = [(root / name.rpartition("_")[0], name) for name in read_names(root / "test.txt")]
        samples = [(region / "images" / name, region / "labels" / name) for region, name in regions]
        runs = {title: WORK / f"{title}_test" / "maps" for title in RUNS}
        comparison_panels(samples, runs, load_metainfo("openearthmap"), out / "landcover")
        return out

    def _report(self, masks: dict[str, Rows], scores: Rows) -> None:
        for name, floor in masks["box"].items():
            self.say(f"\n{name}: mIOU_I of the converted masks against the exact ones")
            ours = masks["grabcut"][name]
            rows = [(label, ours["classes"][label], row) for label, row in floor["classes"].items()]
            lines = [
                (label, box["instances"], _figure(cut["mIOU_I"]), _figure(box["mIOU_I"]))
                for label, cut, box in [*rows, ("all", ours["overall"], floor["overall"])]
            ]
            self.say(aligned([("class", "instances", "GrabCut", "box"), *lines]))
        keys = ("mIoU", "mF1", "OA")
        means = [(f"from {title}", *(f"{row[key]:.2f}" for key in keys)) for title, row in scores.items()]
        self.say(f"\nland cover, test images\n{aligned([('', *keys), *means])}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
