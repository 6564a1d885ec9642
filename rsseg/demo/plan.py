"""What the demo runs: commands of the package with their arguments, in six stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsseg.demo.processes import Command

__all__ = ["SCENES", "SETS", "STAGES", "WORK", "Plan", "Run", "Scale", "Step"]

SCENES, WORK = Path("data/scenes"), Path("work_dirs/demo")
SETS = {"dota": "sota", "dior": "sior", "fair1m": "fast"}
"""Layout of a detection set -> its label set."""
STAGES = {
    "scenes": "scenes in the layouts of DOTA, DIOR, FAIR1M and OpenEarthMap, and one large scene",
    "labels": "detection boxes to masks: GrabCut, and filled boxes to compare with",
    "SEP": "pre-training on these masks, with a head for each label set",
    "fine-tuning": "land cover from few labelled images",
    "test": "scores on images that no training has seen",
    "map": "the large scene as GeoTIFF, GeoPackage and page",
}
"""Stage -> what happens in it."""
_MODEL = "unet_efficientnet_lite0"
PREDICTORS = ("grabcut", "box")


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes:
        detection: Scenes of each detection layout.
        size: Their size in pixels.
        landcover: Land-cover images: those with labels for training, those for testing, and their size in pixels.
        large: Size in pixels of the scene to map.
        iters: Iterations of a fine-tuning with all labels, and of one with few.
        sep_iters: Iterations of the pre-training.
        labels: Labelled images of the fine-tunings: all and few.
        seeds: Repetitions of each fine-tuning.
    """

    detection: tuple[int, int, int] = (16, 12, 16)
    size: int = 512
    landcover: tuple[int, int, int] = (12, 12, 384)
    large: int = 1536
    iters: tuple[int, int] = (150, 100)
    sep_iters: int = 100
    labels: tuple[int, int] = (12, 4)
    seeds: int = 3


TINY = Scale((2, 2, 2), 256, (4, 2, 128), 256, (2, 2), 2, (4, 2), 1)
"""A handful of scenes and two iterations: it shows that everything runs, and nothing else."""


@dataclass(frozen=True)
class Run:
    """One fine-tuning: what it begins with, its number of labelled images, and its seed."""

    start: str
    images: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.start.replace(' + ', '_').replace(' ', '_').lower()}_{self.images}_seed{self.seed}"

    @property
    def title(self) -> str:
        """For pictures and tables."""
        return f"from {self.start}, {self.images} images"


@dataclass(frozen=True)
class Step:
    """A command within a stage.

    Attributes:
        stage: A key of ``STAGES``.
        title: What runs, for the line that shows the progress.
        command: The command.
        cost: CPU seconds that it takes on a usual machine.
        inputs: Files; where they, the config and the command are as they were, and ``output`` exists, the step is
            finished.  None for commands that see by themselves what is finished.
        output: Pattern of its result.
    """

    stage: str
    title: str
    command: Command
    cost: float
    inputs: tuple[Path, ...] | None = None
    output: str = ""


class Plan:
    """All steps, in order.

    Args:
        root: Checkout with ``configs/``.
        scale: How much is computed.
        weights: Converted ImageNet weights of the encoder; None where there are none.
    """

    def __init__(self, root: Path, scale: Scale, weights: Path | None) -> None:
        self.configs, self.scale, self.weights = root / "configs" / "scenes", scale, weights
        self.base = "ImageNet" if weights else "random weights"
        self.sep = WORK / "sep" / f"iter_{scale.sep_iters}.pth"
        self.map = WORK / "map" / "scene.tif"
        self._number = 0

    @property
    def starts(self) -> list[str]:
        """What the fine-tunings begin with."""
        return [self.base, f"{self.base} + SEP"]

    def runs(self) -> list[Run]:
        """All fine-tunings."""
        seeds = range(self.scale.seeds)
        return [Run(start, n, seed) for n in self.scale.labels for start in self.starts for seed in seeds]

    def config(self, run: Run) -> Path:
        """Config of a fine-tuning."""
        few = "_few" if run.images == self.scale.labels[1] else ""
        sep = "_from_sep" if run.start.endswith("SEP") else ""
        return self.configs / f"{_MODEL}{few}{sep}_scenes.py"

    def checkpoint(self, run: Run) -> Path:
        """What a fine-tuning ends with."""
        return WORK / run.name / f"iter_{self.iters(run)}.pth"

    def iters(self, run: Run) -> int:
        """Iterations of a fine-tuning."""
        return self.scale.iters[self.scale.labels.index(run.images)]

    def folder(self, predictor: str, name: str) -> Path:
        """Folder of a converted label set."""
        return SCENES / name if predictor == "grabcut" else WORK / f"{name}_{predictor}"

    def large(self) -> tuple[Path, Path]:
        """Image and labels of the large scene."""
        folder = SCENES / "large" / "northport"
        return folder / "images" / "northport_1.tif", folder / "labels" / "northport_1.tif"

    def steps(self) -> list[Step]:
        """All steps, stage by stage."""
        stages = (self._scenes(), self._labels(), self._sep(), self._fine_tuning(), self._tests(), self._maps())
        return [step for stage in stages for step in stage]

    def _command(self, tool: str, *args: object) -> Command:
        self._number += 1
        return Command(tool, tuple(map(str, args)), WORK / "logs" / f"{self._number:02}_{tool}.log")

    def _scenes(self) -> Iterator[Step]:
        train, test, size = self.scale.landcover
        pixels = ("--size", size, "--seed", 87, "--count", train + test + 1, "--val", 1, "--test", test)
        themes = ("--theme", "suburb", "farmland", "riverside", "industry")  # with this seed three of each are trained
        large = ("--size", self.scale.large, "--seed", 7, "--count", 1, "--val", 0, "--test", 1, "--theme", "suburb")
        calls: dict[str, tuple[Sequence[object], float]] = {
            "one large scene": (("landcover", SCENES / "large", *large), 20 * (self.scale.large / 2048) ** 2),
            "land cover": (("landcover", SCENES / "landcover", *pixels, *themes), 0.4 * (train + test)),
        }
        for layout, count in zip(SETS, self.scale.detection, strict=True):
            calls[layout] = (
                (layout, SCENES / layout, "--count", count, "--seed", 1, "--size", self.scale.size),
                0.7 * count,
            )
        for title, (args, cost) in calls.items():
            yield Step("scenes", title, self._command("make_scenes", *args), cost)

    def _labels(self) -> Iterator[Step]:
        for predictor in PREDICTORS:
            for (layout, name), count in zip(SETS.items(), self.scale.detection, strict=True):
                args = ("--evaluate", "--predictor", predictor, "--out", self.folder(predictor, name))
                command = self._command("convert_labels", self.configs / f"convert_{layout}_scenes.py", *args)
                yield Step("labels", f"{name}, {predictor}", command, count * (2 if predictor == "grabcut" else 0.2))

    def _sep(self) -> Iterator[Step]:
        options = [] if self.weights else ["model.backbone.init_cfg=None"]
        sources = tuple(self.folder("grabcut", name) / "instances.json" for name in SETS.values())
        yield self._training("SEP", "sep", f"{_MODEL}_sep_scenes.py", self.scale.sep_iters, 0, options, sources)

    def _fine_tuning(self) -> Iterator[Step]:
        for run in self.runs():
            options = [f"train_dataloader.dataset.indices={self._indices(run)}"]
            sources = [SCENES / "landcover" / "train.txt"]
            if run.start.endswith("SEP"):
                options.append(f"default_hooks.start.checkpoint={self.sep}")
                sources.append(self.sep)
            elif not self.weights:
                options.append("model.backbone.init_cfg=None")
            title = f"{run.title}, seed {run.seed}"
            name, iters = self.config(run).name, self.iters(run)
            yield self._training("fine-tuning", run.name, name, iters, run.seed, options, tuple(sources), title)

    def _indices(self, run: Run) -> object:
        """Labelled images of a fine-tuning: few are others for every seed."""
        every, few = self.scale.labels
        if run.images == every:
            return every
        return "[" + ",".join(str((run.seed * few + i) % every) for i in range(few)) + "]"

    def _training(
        self, stage: str, name: str, config: str, iters: int, seed: int, options: Sequence[str],
        sources: tuple[Path, ...], title: str = "three heads",
    ) -> Step:  # fmt: skip
        length = [
            f"train_cfg.max_iters={iters}", f"train_cfg.val_interval={iters + 1}",  # tests come later
            f"param_scheduler.1.T_max={iters}", f"param_scheduler.1.end={iters}", f"randomness.seed={seed}",
        ]  # fmt: skip
        if self.weights and "model.backbone.init_cfg=None" not in options and "default_hooks.start" not in str(options):
            length.append(f"model.backbone.init_cfg.checkpoint={self.weights}")
            sources = (*sources, self.weights)
        command = self._command(
            "train", self.configs / config, "--work-dir", WORK / name, "--cfg-options", *length, *options
        )
        cost = iters * (0.8 if stage == "SEP" else 0.4) + 4
        return Step(stage, title, command, cost, sources, f"{WORK / name}/iter_{iters}.pth")

    def _tests(self) -> Iterator[Step]:
        for run in self.runs():
            out = WORK / f"{run.name}_test"
            args: list[object] = [self.config(run), self.checkpoint(run), "--work-dir", out]
            if run.seed == 0:
                args += ["--out", out / "maps"]
            inputs = (self.checkpoint(run), SCENES / "landcover" / "test.txt")
            title = f"{run.title}, seed {run.seed}"
            cost = 3 + 0.2 * self.scale.landcover[1]
            yield Step("test", title, self._command("test", *args), cost, inputs, f"{out}/*/*.json")

    def best(self) -> Run:
        """The fine-tuning whose model makes the map."""
        return Run(self.starts[1], self.scale.labels[0], 0)

    def _maps(self) -> Iterator[Step]:
        run, (image, labels) = self.best(), self.large()
        args = [
            image, self.map, "--config", self.config(run), "--checkpoint", self.checkpoint(run), "--window", 256,
            "--vectors", "gpkg", "--min-area", 4, "--simplify", 1, "--reference", labels, "--overwrite",
        ]  # fmt: skip
        cost = 40 * (self.scale.large / 2048) ** 2 + 3
        yield Step("map", "GeoTIFF and GeoPackage", self._command("map_raster", *args), cost)
        page = self._command("report_map", self.map, "--image", image)
        yield Step("map", "page of the map", page, 5)
