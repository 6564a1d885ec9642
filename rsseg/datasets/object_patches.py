"""Patches of objects with masks in memory, divided by scene into those to train on and those held out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from rsseg.datasets.masked_objects import MaskedImage, ObjectPatch, cut_patch, read_masked_images, read_pixels
from rsseg.errors import ConfigError, DataError
from rsseg.io.names import read_names

__all__ = ["ObjectPatches", "hold_out"]

_log = logging.getLogger("rsseg")
_PARTS = ("train", "held_out", "all")


@DATASETS.register_module()
class ObjectPatches(Dataset):
    """Objects with masks of one or several label sets, each as a patch; all are read at the start.

    It is registered with mmengine itself, so that configs of any scope find it.

    Args:
        sets: What :func:`~rsseg.datasets.masked_objects.read_masked_images` takes, a dict for each set; also
            ``scenes``, a text file that names the images of one scene in each line, and ``train_only=True`` for a set
            of which nothing is held out.
        part: ``train``, ``held_out`` or ``all``.
        held_out: Share of the masks that are held out, in whole scenes, above 0 and below 1.
        seed: Another seed holds out others.
        size: Side of a patch in patch pixels.
        context: Side of a patch as a multiple of the box's longer side; more than a crop's, so that it can be turned.
        least: Least side of a patch in image pixels.
        max_masks: Objects of one set at most; the images come in an order without meaning.
        balance: How far rare classes are shown more often: 0, as often as they occur; 1, as often as the most frequent
            one; 0.5, by the square root.  Whole repetitions.

    Attributes:
        metainfo: Empty: whatever class an object has, its mask counts alike.
        labels: Class name of each object.

    Raises:
        ConfigError: An option is not allowed.
        DataError: There is no object with a mask.
        FileNotFoundError: A file is missing.
        AnnotationError: Labels or images are unusable.
    """

    def __init__(
        self,
        sets: Sequence[Mapping[str, Any]],
        part: str = "train",
        held_out: float = 0.1,
        seed: int = 0,
        size: int = 176,
        context: float = 2.0,
        least: int = 34,
        max_masks: int = 8000,
        balance: float = 0.0,
    ) -> None:
        if part not in _PARTS:
            raise ConfigError(f"part must be one of {', '.join(_PARTS)}, not {part!r}")
        if not 0 < held_out < 1:
            raise ConfigError(f"held_out must be a share above 0 and below 1, not {held_out!r}")
        if not 0 <= balance <= 1:
            raise ConfigError(f"balance must be from 0 to 1, not {balance!r}")
        if max_masks < 1:
            raise ConfigError(f"max_masks must be at least 1, not {max_masks!r}")
        self.metainfo: dict[str, Any] = {}
        self.patches: list[ObjectPatch] = []
        self.labels: list[str] = []
        for spec in sets:
            options = dict(spec)
            scenes, train_only = _scenes(options.pop("scenes", None)), options.pop("train_only", False)
            chosen = part if not train_only or part == "all" else {"train": "all"}.get(part)
            if chosen is not None:
                self._add(options, chosen, scenes, (held_out, seed), (size, context, least), max_masks)
        if not self.patches:
            raise DataError(f"no object with a mask in the part {part!r} of {len(sets)} sets; check images and labels")
        counts = Counter(self.labels)
        most = max(counts.values())
        repeats = [round((most / counts[label]) ** balance) for label in self.labels]
        self._shown = np.repeat(np.arange(len(self.labels)), repeats)
        _log.info("%s: %d objects with masks, %d with repetitions", part, len(self.patches), len(self._shown))

    def _add(
        self,
        spec: Mapping[str, Any],
        part: str,
        scenes: Mapping[str, str],
        division: tuple[float, int],
        shape: tuple[int, float, int],
        max_masks: int,
    ) -> None:
        """Add the objects of one set."""
        found: list[tuple[str, MaskedImage]] = []
        for image in read_masked_images(spec):
            if image.masks:
                found.append((scenes.get(image.image.stem, image.scene), image))
        out = hold_out([scene for scene, _ in found], [len(image.masks) for _, image in found], *division)
        wanted = [image for scene, image in found if part == "all" or (scene in out) == (part == "held_out")]
        order = np.random.default_rng(division[1]).permutation(len(wanted))
        rows = ((wanted[k], i) for k in order for i in range(len(wanted[k].masks)))
        last, pixels = None, None
        for image, i in islice(rows, max_masks):
            if image is not last:
                last, pixels = image, read_pixels(image)
            assert pixels is not None
            self.patches.append(cut_patch(pixels, image, i, *shape))
            self.labels.append(image.labels[i])

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """An object, rare ones repeated: fields of ``rsseg.models.boxmask.crops.Patches`` and its label."""
        row = int(self._shown[int(idx)])
        patch = self.patches[row]
        return {
            "pixels": torch.from_numpy(np.ascontiguousarray(patch.pixels.transpose(2, 0, 1))),
            "masks": torch.from_numpy(patch.mask),
            "boxes": torch.from_numpy(patch.box),
            "rboxes": torch.from_numpy(patch.rbox),
            "hulls": torch.from_numpy(patch.hull),
            "least": torch.tensor(patch.least, dtype=torch.float32),
            "label": self.labels[row],
        }


def hold_out(scenes: Sequence[str], masks: Sequence[int], share: float, seed: int) -> set[str]:
    """Scenes that are held out: whole ones, so that no part of one is trained on, until they have enough masks.

    Args:
        scenes: Scene of each image.
        masks: Number of masks of each image.
        share: Share of the masks, in 0..1; a scene that would exceed it by half is passed over.
        seed: Another seed makes another choice.

    Returns:
        At least one scene and not all, where there are several.
    """
    counts: dict[str, int] = {}
    for scene, count in zip(scenes, masks, strict=True):
        counts[scene] = counts.get(scene, 0) + count
    names, wanted, found = sorted(counts), share * sum(masks), 0
    chosen: set[str] = set()
    for i in np.random.default_rng(seed).permutation(len(names)):
        if found < wanted and found + counts[names[i]] <= 1.5 * wanted and len(chosen) < len(names) - 1:
            chosen.add(names[i])
            found += counts[names[i]]
    if not chosen and len(names) > 1:
        chosen = {min(names, key=lambda name: (counts[name], name))}
    return chosen


def _scenes(path: str | None) -> dict[str, str]:
    """Image stem -> name of its scene, of a file with the stems of one scene in each line."""
    lines = [] if path is None else read_names(path, "a text file with the images of one scene in each line")
    return {stem: line.split()[0] for line in lines for stem in line.split()}
