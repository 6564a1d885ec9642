"""What the demo runs: commands of the package with their arguments, in six stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
_RANDOM, _NO_WEIGHTS = "random weights", "model.backbone.init_cfg=None"
PREDICTORS = ("grabcut", "box")


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes:
        detection: Scenes of each detection layout.
        size: Their size in pixels.
        landcover: Land-cover images for training, for validation and for testing.
        pixels: Their size.
        large: Size in pixels of the scene to map.
        iters: Iterations of a fine-tuning with all labels, and of one with few.
        sep_iters: Iterations of the pre-training.
        labels: Labelled images of the fine-tunings: all and few.
        seeds: Repetitions of each fine-tuning.
    """

    detection: tuple[int, int, int] = (12, 8, 12)
    size: int = 512
    landcover: tuple[int, int, int] = (12, 8, 12)
    pixels: int = 384
    large: int = 1536
    iters: tuple[int, int] = (100, 60)
    sep_iters: int = 100
    labels: tuple[int, int] = (12, 4)
    seeds: int = 3


TINY = Scale((2, 2, 2), 256, (4, 1, 2), 128, 256, (2, 2), 2, (4, 2), 1)
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
        needs: Commands that come before.
        inputs: Files; where they, the config and the command are as they were, and ``output`` exists, the step is
            finished.  None for commands that see by themselves what is finished.
        output: Pattern of its result.
    """

    stage: str
    title: str
    command: Command
    cost: float
    needs: tuple[Command, ...] = ()
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
        self.base = "ImageNet" if weights else _RANDOM
        self.sep = WORK / "sep" / f"iter_{scale.sep_iters}.pth"
        self.map = WORK / "map" / "scene.tif"
        self.best = WORK / "best.pth"

    def rows(self) -> list[tuple[str, int]]:
        """What fine-tunings begin with, and their number of labelled images; from random weights with all labels."""
        every, few = self.scale.labels
        starts = [self.base, f"{self.base} + SEP"]
        scratch = [(_RANDOM, every)] if self.weights else []
        return [*scratch, *((start, every) for start in starts), *((start, few) for start in starts)]

    def runs(self) -> list[Run]:
        """All fine-tunings."""
        return [Run(start, n, seed) for start, n in self.rows() for seed in range(self.scale.seeds)]

    def candidates(self) -> list[Run]:
        """Fine-tunings of which the best one, by its validation images, makes the map."""
        return [run for run in self.runs() if run.images == self.scale.labels[0]]

    @property
    def model(self) -> str:
        """Options of the commands that use the best model; it has the same network, whatever it began with."""
        return f"--config {self.configs / f'{_MODEL}_scenes.py'} --checkpoint {self.best}"

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
        """All steps, stage by stage; each comes after those that it needs."""
        scenes = self._scenes()
        labels = [step for predictor in PREDICTORS for step in self._labels(predictor, scenes)]
        sep = self._sep(labels[: len(SETS)])
        trainings = {run: self._fine_tuning(run, scenes["landcover"], sep) for run in self.runs()}
        tests = [self._test(run, step) for run, step in trainings.items()]
        maps = self._maps([scenes["large"], *(trainings[run] for run in self.candidates())])
        return [*scenes.values(), *labels, sep, *trainings.values(), *tests, *maps]

    def _command(self, name: str, tool: str, *args: object) -> Command:
        return Command(tool, tuple(map(str, args)), WORK / "logs" / f"{name}.log")

    def _scenes(self) -> dict[str, Step]:
        """By their folders; the themes of land cover come in turn, so that every list has as many of each."""
        train, val, test = self.scale.landcover
        pixels = ("--size", self.scale.pixels, "--count", train + val + test, "--val", val, "--test", test)
        themes = ("--in-turn", "--theme", "suburb", "farmland", "riverside", "industry")
        large = ("--size", self.scale.large, "--seed", 1, "--count", 1, "--val", 0, "--test", 1, "--theme", "suburb")
        calls: dict[str, tuple[str, Sequence[object], float]] = {
            layout: (layout, ("--count", count, "--seed", 1, "--size", self.scale.size), 0.8 * count)
            for layout, count in zip(SETS, self.scale.detection, strict=True)
        }
        calls["landcover"] = ("landcover", (*pixels, *themes), 0.5 * (train + val + test))
        calls["large"] = ("landcover", large, 20 * (self.scale.large / 2048) ** 2)
        return {
            name: Step(
                "scenes", name, self._command(f"scenes_{name}", "make_scenes", layout, SCENES / name, *args), cost
            )
            for name, (layout, args, cost) in calls.items()
        }

    def _labels(self, predictor: str, scenes: Mapping[str, Step]) -> Iterator[Step]:
        for (layout, name), count in zip(SETS.items(), self.scale.detection, strict=True):
            args = ("--evaluate", "--predictor", predictor, "--out", self.folder(predictor, name))
            config = self.configs / f"convert_{layout}_scenes.py"
            command = self._command(f"labels_{name}_{predictor}", "convert_labels", config, *args)
            cost = count * (2 if predictor == "grabcut" else 0.2)
            yield Step("labels", f"{name}, {predictor}", command, cost, (scenes[layout].command,))

    def _sep(self, labels: Sequence[Step]) -> Step:
        options = [f"model.backbone.init_cfg.checkpoint={self.weights}" if self.weights else _NO_WEIGHTS]
        sources = [self.folder("grabcut", name) / "instances.json" for name in SETS.values()]
        sources += [self.weights] if self.weights else []
        iters = self.scale.sep_iters
        command = self._train(
            "sep", f"{_MODEL}_sep_scenes.py", iters, 0, f"train_cfg.val_interval={iters + 1}", *options
        )
        needs = tuple(step.command for step in labels)
        return Step("SEP", "three heads", command, iters * 0.8 + 4, needs, tuple(sources), str(self.sep))

    def _fine_tuning(self, run: Run, scenes: Step, sep: Step) -> Step:
        iters = self.iters(run)
        options = [f"train_dataloader.dataset.indices={self._indices(run)}", f"train_cfg.val_interval={iters}"]
        needs, sources = [scenes.command], [SCENES / "landcover" / "train.txt"]
        if run.start.endswith("SEP"):
            options.append(f"default_hooks.start.checkpoint={self.sep}")
            needs.append(sep.command)
            sources.append(self.sep)
        elif run.start == _RANDOM:
            options.append(_NO_WEIGHTS)
        elif self.weights:
            options.append(f"model.backbone.init_cfg.checkpoint={self.weights}")
            sources.append(self.weights)
        command = self._train(run.name, self.config(run).name, iters, run.seed, *options)
        cost, output = iters * 0.43 + 6, str(self.checkpoint(run))
        return Step("fine-tuning", f"{run.title}, seed {run.seed}", command, cost, tuple(needs), tuple(sources), output)

    def _indices(self, run: Run) -> object:
        """Labelled images of a fine-tuning: few are others for every seed."""
        every, few = self.scale.labels
        if run.images == every:
            return every
        return "[" + ",".join(str((run.seed * few + i) % every) for i in range(few)) + "]"

    def _train(self, name: str, config: str, iters: int, seed: int, *options: str) -> Command:
        length = [
            f"train_cfg.max_iters={iters}", f"param_scheduler.1.T_max={iters}", f"param_scheduler.1.end={iters}",
            f"default_hooks.checkpoint.interval={iters}", f"randomness.seed={seed}",
        ]  # fmt: skip
        args = ("--work-dir", WORK / name, "--cfg-options", *length, *options)
        return self._command(f"train_{name}", "train", self.configs / config, *args)

    def _test(self, run: Run, training: Step) -> Step:
        out = WORK / f"{run.name}_test"
        args: list[object] = [self.config(run), self.checkpoint(run), "--work-dir", out]
        if run.seed == 0:
            args += ["--out", out / "maps"]
        inputs = (self.checkpoint(run), SCENES / "landcover" / "test.txt")
        cost = 3 + 0.2 * self.scale.landcover[2]
        title, command = f"{run.title}, seed {run.seed}", self._command(f"test_{run.name}", "test", *args)
        return Step("test", title, command, cost, (training.command,), inputs, f"{out}/*/*.json")

    def _maps(self, before: Sequence[Step]) -> list[Step]:
        image, labels = self.large()
        args = [
            image, self.map, "--config", self.configs / f"{_MODEL}_scenes.py", "--checkpoint", self.best,
            "--window", 256, "--vectors", "gpkg", "--min-area", 4, "--simplify", 1, "--reference", labels,
            "--overwrite",
        ]  # fmt: skip
        cost = 40 * (self.scale.large / 2048) ** 2 + 3
        needs = tuple(step.command for step in before)
        inputs, output = (self.best, image, labels), self.map.with_suffix(".gpkg")
        tif = Step(
            "map", "GeoTIFF and GeoPackage", self._command("map", "map_raster", *args), cost, needs, inputs, str(output)
        )
        command = self._command("map_page", "report_map", self.map, "--image", image)
        html = str(self.map.with_suffix(".html"))
        return [tif, Step("map", "page of the map", command, 5, (tif.command,), (self.map, image), html)]
