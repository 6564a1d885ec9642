"""Hooks: repeatable randomness, strict pre-trained weights, compilation, memory layout."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.engine.checkpoint import load_pretrained
from rsseg.engine.checks import TESTED, bare_model, data_classes
from rsseg.engine.pixels import use_pixels
from rsseg.errors import ConfigError
from rsseg.io.hub import local_file

__all__ = [
    "ChannelsLast",
    "CompileBackbone",
    "KeepFreedMemory",
    "LoadPretrained",
    "LoadTested",
    "SeedEachIter",
    "ShareBuffers",
]
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's settings."""


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
            if not local_file(self.checkpoint).is_file():
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
        checkpoint: The file; None for a model that is not trained, which takes the files that its config names.
        other_set: The test set is another one than the model's: what its config declares about images holds.
    """

    def __init__(self, checkpoint: str | None, other_set: bool = False) -> None:
        self.checkpoint, self.other_set = checkpoint, other_set

    def before_test(self, runner: Runner) -> None:
        """Load before testing."""
        model = bare_model(runner.model)
        classes = data_classes(runner.test_dataloader.dataset, runner.cfg)
        meta = load_pretrained(model, self.checkpoint, classes=classes)
        use_pixels(runner, model, meta.get("pixels") or {}, self.checkpoint or "", self.other_set)
        if self.checkpoint is not None:
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


@HOOKS.register_module()
class ChannelsLast(Hook):
    """Train with the channels of a pixel side by side in memory, which is quicker for convolutions on a CPU.

    Source: measured with U-Net EfficientNet-Lite0, 4 crops of 128 x 128 on one core: 0.53 s of 0.62 s per iteration.
    """

    def before_train(self, runner: Runner) -> None:
        """Rearrange the weights, which the maps then follow; their values stay."""
        bare_model(runner.model).to(memory_format=torch.channels_last)


@HOOKS.register_module()
class KeepFreedMemory(Hook):
    """Let the C library keep freed arrays of up to 32 MiB for the next ones, instead of handing them to the system.

    Source: measured on one core with 32 crops of 128 x 128 and EfficientNet-Lite0: 1.15 s of 1.55 s per iteration; the
    system otherwise clears every page again.
    """

    def before_train(self, runner: Runner) -> None:
        """Set it for this process; other C libraries than glibc stay as they are."""
        with contextlib.suppress(AttributeError, OSError, TypeError):
            library = ctypes.CDLL(None)
            library.mallopt(_MMAP_THRESHOLD, 32 << 20)
            library.mallopt(_TRIM_THRESHOLD, 1 << 30)
