"""Domain adaptation in a run: what a method is told, rounds of pseudo labels, and pictures of the target."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.engine.checks import bare_model, data_classes
from rsseg.engine.pictures import Legend, class_panels, viewable
from rsseg.engine.pixels import leaf_datasets
from rsseg.errors import ConfigError
from rsseg.io.output_names import output_names

__all__ = ["AdaptationHook", "AdaptationPictures", "needed_rounds"]

UNLABELLED_SCORES = ("certainty", "information", "agreement")
"""Scores that need no labels of the target, see :class:`rsseg.evaluation.UnlabelledScores`."""


def needed_rounds(rounds: Iterable[int], checkpoints: Iterable[int]) -> set[int]:
    """Rounds of pseudo labels that a run may still read: the last one, and that of each checkpoint.

    Args:
        rounds: Iterations before which labels were made.
        checkpoints: Iterations that were done when a checkpoint was written; the one of 1000 has not seen the labels
            that are made before iteration 1000 (the 1001st).
    """
    own = sorted(rounds)
    before = [[r for r in own if r < done] for done in checkpoints]
    return {*own[-1:], *(found[-1] for found in before if found)}


@HOOKS.register_module()
class AdaptationHook(Hook):
    """Tell the method of an ``AdaptationSegmentor`` about the run, and let it make pseudo labels when they are due.

    It does nothing for other models.  Folders of pseudo labels that no checkpoint needs any more are removed.

    Raises:
        ConfigError: The training data has no set with the target's name, or the run is resumed from a checkpoint of
            another number of iterations than the method has counted.
    """

    priority = "HIGH"  # before images are counted and timed

    def before_train(self, runner: Runner) -> None:
        """Seed, classes, iteration, and the images of the target."""
        model = bare_model(runner.model)
        method: Any = getattr(model, "adaptation", None)
        if method is None:
            return
        method.seed = int(runner.seed or 0)
        method.classes = next(iter(data_classes(runner.train_dataloader.dataset).values()), ())
        if runner.iter == 0:
            method.restart()
        elif method.iteration != runner.iter:
            raise ConfigError(
                f"the run is resumed at iteration {runner.iter}, but its method has counted {method.iteration}; resume "
                "from a checkpoint of this config's own run"
            )
        if hasattr(method, "make_round"):
            target = _target(runner.train_dataloader.dataset, model.target)
            paths = [str(target.get_data_info(i)["img_path"]) for i in range(len(target))]
            names = output_names(map(Path, paths))
            folder = Path(runner.work_dir) / "pseudo_labels"
            method.bind(folder, {path: names[Path(path)] for path in paths}, _reader(target))
        _warn_of_target_labels(runner, model)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Make pseudo labels where they are due."""
        model = bare_model(runner.model)
        method: Any = getattr(model, "adaptation", None)
        if hasattr(method, "make_round") and method.due(runner.iter):
            method.make_round(model)
            shares = ", ".join(f"{key} {value:.3f}" for key, value in method.round_values().items())
            runner.logger.info(
                f"pseudo labels before iteration {runner.iter + 1} of {len(method.names)} images: {shares}"
            )
            if is_main_process():
                self._remove_old(runner, method.folder)

    def _remove_old(self, runner: Runner, folder: Path) -> None:
        places = [Path(runner.work_dir), *(Path(h.out_dir) for h in _checkpoint_hooks(runner) if h.out_dir)]
        found = [re.search(r"iter_(\d+)\.pth$", path.name) for place in places for path in place.glob("*iter_*.pth")]
        rounds = {int(match[1]): path for path in folder.iterdir() if (match := re.fullmatch(r"iter_(\d+)", path.name))}
        needed = needed_rounds(rounds, [int(match[1]) for match in found if match])
        for number, path in rounds.items():
            if number not in needed:
                shutil.rmtree(path)


def _checkpoint_hooks(runner: Runner) -> list[CheckpointHook]:
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]


def _target(dataset: Any, name: str) -> Any:
    """The data set whose samples are the target's.

    Raises:
        ConfigError: There is none.
    """
    parts = list(leaf_datasets(dataset))
    for part in parts:
        if (part.metainfo or {}).get("dataset_name") == name:
            return part
    names = ", ".join(str((part.metainfo or {}).get("dataset_name")) for part in parts)
    raise ConfigError(f"no training set is called {name!r} (there are: {names}); give the target name={name!r}")


def _reader(dataset: Any) -> Callable[[int], torch.Tensor]:
    """What reads a whole image (3, H, W) of a data set: by the first transform of its pipeline."""

    def read(index: int) -> torch.Tensor:
        loaded = dataset.pipeline.transforms[0](dataset.get_data_info(index))
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(loaded["img"], -1, 0)))

    return read


def _warn_of_target_labels(runner: Runner, model: Any) -> None:
    """Say where a checkpoint is chosen, or the run is ended, by labels that the target does not have."""
    given = [hook.save_best or [] for hook in _checkpoint_hooks(runner)]
    keys = {key for own in given for key in ([own] if isinstance(own, str) else own)}
    keys |= {hook.monitor for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)}
    chosen = sorted(key for key in keys if key.rpartition("/")[2] not in UNLABELLED_SCORES)
    if not chosen or runner.val_loop is None:
        return
    names = {(part.metainfo or {}).get("dataset_name") for part in leaf_datasets(runner.val_dataloader.dataset)}
    if names - {model.source}:
        runner.logger.warning(
            f"The model is chosen by {', '.join(chosen)} of a validation set that is not the source: with labels of "
            "the target, which domain adaptation does not have. Scores of the chosen model are too good. Keep the last "
            f"checkpoint (no save_best), or choose by a score without labels: {', '.join(UNLABELLED_SCORES)} of "
            "dict(type='UnlabelledScores')"
        )


@HOOKS.register_module()
class AdaptationPictures(Hook):
    """Draw a target image of the batch beside its pseudo label and what student and teacher say, with a legend.

    Pictures go to the visualizer, and so to files and trackers; models without a method have none.

    Args:
        interval: Iterations from one picture to the next.
        height: Largest height of the images in pixels.
    """

    priority = "LOW"

    def __init__(self, interval: int = 1000, height: int = 512) -> None:
        self.interval, self.height = interval, height

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Ask the method to keep its pseudo labels."""
        method: Any = getattr(bare_model(runner.model), "adaptation", None)
        if method is not None:
            method.keep_pictures, method.pictures = self.every_n_train_iters(runner, self.interval), {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Draw the first target image of this batch."""
        model: Any = bare_model(runner.model)
        if getattr(model, "adaptation", None) is None or not model.adaptation.keep_pictures or not is_main_process():
            return
        rows = [i for i, s in enumerate(data_batch["data_samples"]) if s.metainfo.get("dataset_name") == model.target]
        if not rows:
            return
        maps = {name: values[0].cpu().numpy() for name, values in model.adaptation.pictures.items()}
        maps |= self._predictions(model, data_batch, rows[0])
        legend = _legend(runner.train_dataloader.dataset)
        image = viewable(data_batch["inputs"][rows[0]].cpu().numpy())
        shown = {name.replace("_", " "): labels[: image.shape[0], : image.shape[1]] for name, labels in maps.items()}
        picture = class_panels(image, shown, dict.fromkeys(shown, legend), self.height)
        runner.visualizer.add_image("adaptation.png", picture, runner.iter + 1)

    @torch.no_grad()
    def _predictions(self, model: Any, data_batch: Any, row: int) -> dict[str, np.ndarray]:
        training = model.training
        model.eval()
        try:
            one = {key: [data_batch[key][row]] for key in ("inputs", "data_samples")}
            inputs = model.data_preprocessor(one, False)["inputs"]
            networks = ["student"] + ["teacher"] * (model.adaptation.teacher is not None)
            return {name: model.network_labels(name, inputs)[0].cpu().numpy() for name in networks}
        finally:
            model.train(training)


def _legend(dataset: Any) -> Legend:
    """Names and colours of the classes, which both domains share."""
    info = next(iter((dataset.metainfo.get("sets") or {"": dataset.metainfo}).values()))
    return tuple(info["classes"]), tuple(tuple(colour) for colour in info["palette"])
