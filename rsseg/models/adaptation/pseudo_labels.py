"""Pseudo labels of whole target images: made by all processes together, kept as PNG files, found again by position.

A round of labels is made before an iteration and lies in ``<work_dir>/pseudo_labels/iter_<iteration>/``, one 8-bit PNG
for each image with 255 where there is no label.  Files appear when they are whole, and a round is used when all of it
is there; which one is in use is in the checkpoint.  A run that is killed in the middle of a round makes it anew from
the same weights.  Labels are not read by the loader, whose workers are some batches ahead, but when a batch arrives:
the loader gives the position of every pixel in its image (``LoadPositions``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce, barrier, broadcast, get_dist_info
from mmseg.structures import SegDataSample
from PIL import Image
from torch import Tensor

from rsseg.command_list import command
from rsseg.errors import ConfigError, DataError
from rsseg.io.files import replacing
from rsseg.io.labels import read_labels
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student

__all__ = ["FIRST_POSITION", "SelfTrainingMethod", "TargetImages", "labels_at"]

FIRST_POSITION = 256
"""Number of an image's first pixel in a map of positions, row by row; smaller numbers, such as the 255 of padding, are
no pixel."""
_IGNORED = 255


def labels_at(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Labels of a crop.

    Args:
        labels: (H, W) uint8 of the whole image.
        positions: (h, w) integers, :data:`FIRST_POSITION` + row * W + column, or smaller where there is no pixel.

    Returns:
        (h, w) uint8, 255 where there is no pixel.

    Raises:
        DataError: A position is outside of the image.
    """
    flat = labels.ravel()
    places = positions.astype(np.int64) - FIRST_POSITION
    if places.max(initial=-1) >= flat.size:
        raise DataError(f"pseudo labels of shape {labels.shape} have no pixel number {places.max()}")
    return np.where(places >= 0, flat[places.clip(0)], np.uint8(_IGNORED))


class TargetImages:
    """The whole target images in the order of their data set, as the student sees them in evaluation.

    Args:
        count: Number of images.
        read: An image (3, H, W), as the data set gives it, by its number.
        student: The segmentor.
        write: What to do with the labels (H, W) uint8 of an image.

    Attributes:
        kept: (C,) pixels that have a pseudo label, by label, of this process.
        predicted: (C,) pixels by the student's class, of this process.
    """

    def __init__(
        self, count: int, read: Callable[[int], Tensor], student: Any, write: Callable[[int, np.ndarray], None]
    ) -> None:
        self.count, self.read, self.student, self._write = count, read, student, write
        self.rank, self.world = get_dist_info()
        self.kept = self.predicted = torch.zeros(0, dtype=torch.int64)

    def __len__(self) -> int:
        return self.count

    @torch.no_grad()
    def logits(self, index: int) -> Tensor:
        """Logits (1, C, H, W) float32 of an image at full size, in evaluation mode."""
        pixels = self.read(index)
        shape = tuple(pixels.shape[1:])
        sample = SegDataSample(metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape))
        data = self.student.data_preprocessor({"inputs": [pixels], "data_samples": [sample]}, False)
        metas = [one.metainfo for one in data["data_samples"]]
        return self.student.inference(data["inputs"], metas)[..., : shape[0], : shape[1]].float()

    def own(self) -> Iterator[tuple[int, Tensor]]:
        """Number and logits of every image of this process: each ``world``-th."""
        for index in range(self.rank, self.count, self.world):
            yield index, self.logits(index)

    def in_order(
        self,
        groups: Sequence[Sequence[int]],
        update: Callable[[list[Tensor], Tensor], tuple[list[Tensor], Tensor]],
        state: Tensor,
    ) -> Tensor:
        """Go through groups of images one after another, with a state that each leaves to the next.

        Processes predict their groups at once and then take turns, so that the result is that of one process.

        Args:
            groups: Numbers of images.
            update: Labels (1, H, W) of a group's images and the next state, from their logits and the state.
            state: Of the first group; the same on every process.

        Returns:
            The last state, on every process.
        """
        for first in range(0, len(groups), self.world):
            now = groups[first : first + self.world]
            own = now[self.rank] if self.rank < len(now) else []
            logits = [self.logits(index) for index in own]
            for turn in range(len(now)):
                if turn == self.rank:
                    labels, state = update(logits, state)
                    for index, one, scores in zip(own, labels, logits, strict=True):
                        self.write(index, one, scores)
                state = state.clone()
                broadcast(state, src=turn)
        return state

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        all_reduce(values)
        return values

    def write(self, index: int, labels: Tensor, logits: Tensor) -> None:
        """Keep the labels (1, H, W) of an image, 255 where there is none, and count them."""
        classes = logits.shape[1]
        if not len(self.kept):
            self.kept = torch.zeros(classes, dtype=torch.int64, device=logits.device)
            self.predicted = torch.zeros_like(self.kept)
        self.kept += torch.bincount(labels[labels != _IGNORED].flatten(), minlength=classes)
        self.predicted += torch.bincount(logits.argmax(1).flatten(), minlength=classes)
        self._write(index, labels[0].to(torch.uint8).cpu().numpy())


class SelfTrainingMethod(AdaptationMethod):
    """A method with pseudo labels of whole target images, made anew at some iterations.

    A subclass gives :meth:`refresh`, and calls :meth:`pseudo_labels` in ``losses``.

    Args:
        start: Iteration before which the first round is made.
        interval: Rounds are made before the iterations that are a multiple of this, from ``start`` on.

    Attributes:
        thresholds: (C,) float64 of the last round; 1 before.
        kept_shares: (C,) of the last round: pixels with the pseudo label c per pixel predicted c; 0 before.
    """

    def __init__(self, start: int, interval: int) -> None:
        super().__init__()
        self.start, self.interval = start, interval
        self.round: Tensor
        self.thresholds: Tensor
        self.kept_shares: Tensor
        self.register_buffer("round", torch.full((), -1, dtype=torch.int64))
        self.folder: Path | None = None
        self.names: Mapping[str, str] = {}
        self.read: Callable[[int], Tensor] | None = None

    def setup(self, student: Student) -> None:
        """Make what has a value for each class of the student's head."""
        classes = student.decode_head.num_classes
        self.register_buffer("thresholds", torch.ones(classes, dtype=torch.float64))
        self.register_buffer("kept_shares", torch.zeros(classes))

    def restart(self) -> None:
        """Begin at iteration 0, without labels."""
        super().restart()
        self.round.fill_(-1)
        self.thresholds.fill_(1)
        self.kept_shares.zero_()

    @property
    def adapts(self) -> bool:
        """Whether the target takes part by now."""
        return self.iteration >= self.start

    def due(self, iteration: int) -> bool:
        """Whether labels are made anew before this iteration."""
        return iteration >= self.start and (iteration % self.interval == 0 or int(self.round) < 0)

    def bind(self, folder: Path, names: Mapping[str, str], read: Callable[[int], Tensor]) -> None:
        """Say where the target's images and labels are; the hook of the run does.

        Args:
            folder: Where the folders of the rounds go.
            names: Name of an image's label file, without suffix, by the image's path, in the order of the images.
            read: An image (3, H, W), as the data set gives it, by its number.
        """
        self.folder, self.names, self.read = folder, names, read

    @abstractmethod
    def refresh(self, images: TargetImages) -> None:
        """Set :attr:`thresholds`, and write the labels of every image with ``images.write``.

        The network is in evaluation mode; gradients are off; every process calls it, and has the first process's
        buffers.
        """

    @torch.no_grad()
    def make_round(self, student: Any) -> None:
        """Make a round of labels, before the current iteration.

        Raises:
            ConfigError: Nothing says where the images are.
        """
        if self.folder is None or self.read is None:
            raise ConfigError(
                f"{type(self).__name__} needs the whole target images; train with {command('train')}, or add the hook "
                "mmseg.AdaptationHook to the config's custom_hooks"
            )
        training, names = student.training, list(self.names.values())
        folder = self.folder / f"iter_{self.iteration}"
        folder.mkdir(parents=True, exist_ok=True)
        student.eval()
        for buffer in student.buffers():  # batch statistics are each process's own
            broadcast(buffer)
        images = TargetImages(
            len(names), self.read, student, lambda i, labels: _save(folder / f"{names[i]}.png", labels)
        )
        try:
            self.refresh(images)
        finally:
            student.train(training)
        counts = torch.zeros(2, len(self.thresholds), dtype=torch.int64, device=self.round.device)
        if len(images.kept):
            counts += torch.stack([images.kept, images.predicted])
        images.sum(counts)
        self.kept_shares.copy_(counts[0] / counts[1].clamp(min=1))
        self.round.fill_(self.iteration)
        barrier()

    def pseudo_labels(self, target: DomainBatch) -> Tensor:
        """Labels (N, H, W) int64 of a batch by the round in use, 255 where there is none.

        Raises:
            ConfigError: The loader does not say where the pixels lie.
            DataError: A file of the round is missing.
        """
        out = np.full((len(target), *target.size), _IGNORED, np.uint8)
        for labels, sample in zip(out, target.samples, strict=True):
            meta = sample.metainfo
            if "positions" not in meta:
                raise ConfigError(
                    f"{type(self).__name__} needs the positions of the target's pixels; put dict(type='LoadPositions') "
                    "behind LoadImage in the target's pipeline, and 'positions' into the meta_keys of PackSegInputs"
                )
            found = labels_at(self._read(str(meta["img_path"])), meta["positions"])
            labels[: found.shape[0], : found.shape[1]] = found
        return torch.from_numpy(out).to(target.inputs.device).long()

    def round_values(self) -> dict[str, Tensor]:
        """Thresholds and shares of kept labels of the last round, by class, for the log."""
        return self.named_values("threshold", self.thresholds) | self.named_values("kept", self.kept_shares)

    def _read(self, image: str) -> np.ndarray:
        folder = (self.folder or Path()) / f"iter_{int(self.round)}"
        path = folder / f"{self.names.get(image, Path(image).stem)}.png"
        if not path.is_file():
            raise DataError(
                f"{path}: no such pseudo label. The run resumes with the labels of iteration {int(self.round)}; put "
                f"the folder {folder} back, or resume from a checkpoint of iteration {int(self.round)} or earlier"
            )
        return read_labels(path)


def _save(path: Path, labels: np.ndarray) -> None:
    with replacing(path) as file:
        Image.fromarray(labels).save(file, "PNG")
