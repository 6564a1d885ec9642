"""Hooks: repeatable randomness, strict pre-trained weights, compilation, pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from PIL import Image

from rsseg.engine.checkpoint import load_pretrained
from rsseg.engine.checks import TESTED, bare_model, data_classes
from rsseg.engine.pixels import use_pixels
from rsseg.errors import ConfigError
from rsseg.io.bands import percentile_range, scale_values
from rsseg.io.files import Writer, replacing
from rsseg.metainfo import IGNORE, load_metainfo
from rsseg.structures.legends import Entry, add_legend, class_entries, hatch
from rsseg.structures.pictures import blend, panel

__all__ = ["CompileBackbone", "LoadPretrained", "LoadTested", "SavePictures", "SeedEachIter", "ShareBuffers"]


@HOOKS.register_module()
class SeedEachIter(Hook):
    """Seed torch at each training iteration from (seed, iteration, rank).

    Dropout and drop path then depend on the iteration alone, so a resumed run repeats an uninterrupted one without
    storing random states.
    """

    priority = "VERY_HIGH"

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed torch (CPU and GPU) for this iteration."""
        state = np.random.SeedSequence([runner.seed, 2, runner.iter, get_rank()]).generate_state(1)
        torch.manual_seed(int(state[0]))


@HOOKS.register_module()
class ShareBuffers(Hook):
    """Give every process rank 0's buffers before validation.

    Plain BN keeps statistics of its own on each process, while a checkpoint holds rank 0's; with this, validation
    scores are those of the checkpoint and the same after a resume.
    """

    def before_val(self, runner: Runner) -> None:
        """Broadcast the model's buffers from rank 0."""
        for buffer in bare_model(runner.model).buffers():
            broadcast(buffer)
        # Python before 3.12 hangs for ever in a loader's worker that is forked in the microseconds in which a thread
        # of gloo lets go of the last broadcast
        if get_world_size() > 1:
            time.sleep(0.1)


@HOOKS.register_module()
class LoadPretrained(Hook):
    """Start training from a checkpoint, with every key accounted for; a resumed run overrides it.

    Args:
        checkpoint: File, for example a SEP run's ``iter_80000.pth``.
        new: Modules that start afresh, for example ``decode_head.conv_seg``.
        unused: Modules of the file that are not needed, for example ``heads``.
    """

    def __init__(self, checkpoint: str, new: Sequence[str] = (), unused: Sequence[str] = ()) -> None:
        self.checkpoint, self.new, self.unused = checkpoint, list(new), list(unused)

    def before_train(self, runner: Runner) -> None:
        """Load before the first iteration of a run that is not resumed."""
        if runner.iter == 0:
            if not Path(self.checkpoint).is_file():
                raise FileNotFoundError(
                    f"{self.checkpoint}: no such checkpoint. Pre-train first (see the docstring of the "
                    "config), or name another checkpoint: --cfg-options default_hooks.start.checkpoint=PATH"
                )
            classes = data_classes(runner.train_dataloader.dataset)
            load_pretrained(
                bare_model(runner.model), self.checkpoint, self.new, self.unused, classes=classes, training=True
            )


@HOOKS.register_module()
class LoadTested(Hook):
    """Load the checkpoint that is to be tested; every key of model and file, and the names of the classes, must match.

    Heads are put into the order of the config's classes, see :func:`rsseg.engine.classes.fit_classes`.

    Images are read as it was trained, see :func:`rsseg.engine.pixels.use_pixels`.

    Args:
        checkpoint: The file.
        other_set: The test set is another one than the model's: what its config declares about images holds.
    """

    def __init__(self, checkpoint: str, other_set: bool = False) -> None:
        self.checkpoint, self.other_set = checkpoint, other_set

    def before_test(self, runner: Runner) -> None:
        """Load before testing."""
        model = bare_model(runner.model)
        classes = data_classes(runner.test_dataloader.dataset, runner.cfg)
        meta = load_pretrained(model, self.checkpoint, classes=classes)
        use_pixels(runner, model, meta.get("pixels") or {}, self.checkpoint, self.other_set)
        runner.message_hub.update_info(TESTED, self.checkpoint)


@HOOKS.register_module()
class CompileBackbone(Hook):
    """``torch.compile`` the backbone, or the towers for images, in place; parameter names do not change.

    mmengine's ``compile=True`` would compile the optimizer step as well, which torch refuses.
    """

    def before_train(self, runner: Runner) -> None:
        """Compile before the first iteration.

        Raises:
            ConfigError: The model has none of these parts.
        """
        model = bare_model(runner.model)
        parts = dict(model.named_modules())
        found = [parts[name] for name in ("backbone", "clip.visual", "dino") if name in parts]
        if not found:
            raise ConfigError(f"{type(model).__name__} has no backbone to compile; train without --compile")
        for part in found:
            part.compile()


def _viewable(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of (C, H, W): red, green, blue of three bands, else the first three; or the first one, in grey.

    Other types than uint8 are stretched from the 2nd to the 98th percentile.
    """
    bands = pixels[::-1] if len(pixels) == 3 else pixels[: 3 if len(pixels) > 3 else 1]
    if bands.dtype != np.uint8:
        low, high = percentile_range(bands, None)
        bands = scale_values(bands, (low, max(high, low + 1e-6))).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bands, (3, *bands.shape[1:])).transpose(1, 2, 0))


@HOOKS.register_module()
class SavePictures(Hook):
    """Write image, truth and prediction side by side for tested images: ``<out_dir>/<set>_<stem>.png``.

    A legend names the classes that occur; pixels without a label are hatched.
    The files are written by a thread of their own; testing does not wait for them.

    Args:
        out_dir: Folder.
        limit: Largest number of pictures per process.
        height: Height of the pictures in pixels; larger images are shrunk.
        predicted: Class table of the predictions, where it is not the set's own.
    """

    priority = "LOW"

    def __init__(self, out_dir: str, limit: int = 100000, height: int = 512, predicted: str | None = None) -> None:
        self.predicted = predicted
        self.out_dir, self.limit, self.height, self.done = Path(out_dir), limit, height, 0
        self._writer: Writer | None = None
        self.names: Mapping[str, str] = {}
        """Name of an image's picture by the image's path, where that is not its stem."""

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Write the pictures of this batch."""
        inputs = (data_batch or {}).get("inputs", [])
        if inputs and isinstance(inputs[0], (list, tuple)):  # test-time augmentation: views, each with the batch
            inputs = inputs[0]  # the first view is the image itself
        for sample, pixels in zip(outputs or [], inputs, strict=True):
            if self.done < self.limit:
                self.done += 1
                self._writer = self._writer or Writer()
                self._writer.submit_checked(self._save, sample.cpu(), pixels)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Wait until all pictures are on disk."""
        if self._writer is not None:
            self._writer.close_checked()
            self._writer = None

    def _save(self, sample: Any, pixels: Any) -> None:
        image = _viewable(pixels.cpu().numpy())
        tables = {"truth": load_metainfo(sample.table), "prediction": load_metainfo(self.predicted or sample.table)}
        maps = {"prediction": sample.pred_sem_seg}
        if "gt_sem_seg" in sample:
            maps = {"truth": sample.gt_sem_seg, **maps}
        tinted, shown = [], {}
        for what, item in maps.items():
            labels, table = item.data.squeeze(0).cpu().numpy(), tables[what]
            if labels.shape != image.shape[:2]:
                image = np.asarray(Image.fromarray(image).resize(labels.shape[::-1]))
            tinted.append(hatch(blend(image, labels, table.palette, 0.6), labels == IGNORE, over=True))
            shown[what] = labels
        picture = panel([image, *tinted], ["image", *maps], min(self.height, image.shape[0]))
        self.out_dir.mkdir(parents=True, exist_ok=True)
        name = self.names.get(str(Path(sample.img_path)), Path(sample.img_path).stem)
        entries: list[Entry] = []
        for table in {table.name: table for table in tables.values()}.values():
            own = [labels for what, labels in shown.items() if tables[what].name == table.name]
            entries += class_entries(own, table.classes, table.palette, "no label")
        entries = sorted(dict.fromkeys(entries), key=lambda entry: entry[1] is None)
        with replacing(self.out_dir / f"{sample.dataset_name}_{name}.png") as file:
            Image.fromarray(add_legend(picture, entries)).save(file, "PNG")
