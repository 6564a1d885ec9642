"""Two sets for domain adaptation: a source with labels and a target of which no label is read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS
from numpy.typing import NDArray

from rsseg.datasets.class_pixels import class_pixels
from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.datasets.segmentation import MultiDataset
from rsseg.datasets.transforms import RareClassCrop
from rsseg.errors import ConfigError
from rsseg.metainfo import load_metainfo
from rsseg.structures.rare_classes import RELEASE_TEMPERATURE, TEMPERATURE, draw_class, rare_class_probabilities

__all__ = ["AdaptationDataset", "RareClassDraw", "domain_configs"]

_log = logging.getLogger("rsseg")
_DRAW = 3
"""Sets the draws of classes and images apart from the augmentations of the same sample."""


def domain_configs(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both sets by their names, ``source`` and ``target``; labels of the target are not read."""
    return [{**source, "name": "source"}, {**target, "name": "target", "labels": False}]


class RareClassDraw:
    """Which image is drawn for which class: a class by its rarity, then an image that shows enough of it.

    Args:
        pixels: (N, C) pixels of each class in each image.
        min_pixels: An image is drawn for a class only with more pixels of it.
        temperature: See :func:`rsseg.structures.rare_classes.rare_class_probabilities`.

    Attributes:
        probabilities: (C,) of each class.
        images: For each class the images that may be drawn for it; where none has enough, all that show it.

    Source: DAFormer, section 3.3, and its release, where a class without enough of it in any image is an error.
    """

    def __init__(self, pixels: NDArray[np.int64], min_pixels: float, temperature: float = TEMPERATURE) -> None:
        self.probabilities = rare_class_probabilities(pixels.sum(0), temperature)
        self.images = [np.flatnonzero(column > min_pixels) for column in pixels.T]
        self.scarce = [i for i, rows in enumerate(self.images) if not len(rows) and pixels[:, i].any()]
        for i in self.scarce:
            self.images[i] = np.flatnonzero(pixels[:, i] > 0)

    def __call__(self, rng: np.random.Generator) -> tuple[int, int]:
        """A class and the number of an image."""
        chosen = draw_class(self.probabilities, rng)
        return chosen, int(rng.choice(self.images[chosen]))


@DATASETS.register_module()
class AdaptationDataset(MultiDataset):
    """A source set with labels and a target set without; samples name theirs (``metainfo['dataset_name']``).

    Both have the same classes: those of one class table, or, where the label sets differ, of a common one
    (``table="loveda@landcover6"``).  Label files of the target are neither read nor looked for.

    Args:
        source: Config of the source, a :class:`TableDataset`.
        target: Config of the target, likewise; it may have label files.
        rare_classes: Draw source images by rare classes: ``dict(temperature=..., release_defects=False)``; needs a
            :class:`RareClassCrop` in the source's pipeline.  With ``release_defects=True`` the temperature is 0.01,
            DAFormer's for Cityscapes, by which two of OpenEarthMap's classes are drawn in 99.5 % of the samples.
        absent: Names of classes that one of the sets has no label for, stated so that it is no mistake.
        cache: Folder that keeps the pixels of each class; ``<data_root of the source>/.class_pixels`` by default.

    Attributes:
        draw: How source images are drawn; None where they are taken in turn.

    Raises:
        ConfigError: The sets have different classes, one has no label for a class that is not in ``absent``, or rare
            classes are asked for without a :class:`RareClassCrop`.
    """

    def __init__(
        self,
        source: Mapping[str, Any],
        target: Mapping[str, Any],
        rare_classes: Mapping[str, Any] | None = None,
        absent: tuple[str, ...] | list[str] = (),
        cache: str | None = None,
    ) -> None:
        super().__init__(domain_configs(source, target))
        _check_classes([item.table for item in self.datasets], absent)
        # a model of both sets is a model of one label set, like any other
        self._metainfo = {k: v for k, v in self.datasets[0].metainfo.items() if k != "dataset_name"}
        self.draw = None if rare_classes is None else self._rare_draw(dict(rare_classes), cache)

    def _rare_draw(self, options: dict[str, Any], cache: str | None) -> RareClassDraw:
        own = self.datasets[0]
        crop = next((step for step in own.pipeline.transforms if isinstance(step, RareClassCrop)), None)
        if crop is None:
            raise ConfigError("rare_classes needs a RareClassCrop in place of the RandomCrop of the source's pipeline")
        release = options.pop("release_defects", False)
        temperature = options.pop("temperature", RELEASE_TEMPERATURE if release else TEMPERATURE)
        if options:
            raise ConfigError(
                f"rare_classes has no option {next(iter(options))!r}; it has: temperature, release_defects"
            )
        labels = [Path(own.get_data_info(i)["seg_map_path"]) for i in range(len(own))]
        folder = Path(cache) if cache else Path(own.data_root or ".") / ".class_pixels"
        draw = RareClassDraw(class_pixels(labels, own.table, folder), crop.min_pixels, temperature)
        classes = own.metainfo["classes"]
        shares = zip(classes, draw.probabilities, draw.images, strict=True)
        _log.info(
            "rare-class sampling at temperature %g: %s",
            temperature,
            ", ".join(f"{name} {100 * p:.1f} % of {len(rows)} images" for name, p, rows in shares),
        )
        if draw.scarce:
            names = ", ".join(classes[i] for i in draw.scarce)
            _log.warning("no source image has %.0f pixels of %s; drawn from all that show it", crop.min_pixels, names)
        return draw

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Sample ``idx``; with rare classes, source samples are drawn by the index's seed instead."""
        if self.draw is None or int(idx) >= self.set_sizes[0]:
            return super().__getitem__(idx)
        seed = idx.seed if isinstance(idx, SeededIndex) else int(np.random.randint(2**31))
        chosen, image = self.draw(np.random.default_rng([seed, _DRAW]))
        seed_all(seed)
        own = self.datasets[0]
        return own.pipeline({**own.get_data_info(image), "rare_class": chosen})


def _check_classes(tables: list[str], absent: tuple[str, ...] | list[str]) -> None:
    """Refuse sets of different classes, and classes that one of them can never show."""
    source, target = map(load_metainfo, tables)
    if source.classes != target.classes:
        raise ConfigError(
            f"the source's classes are {', '.join(source.classes)}, the target's {', '.join(target.classes)}; give "
            f"both the classes of one table by name, for example table='{tables[1]}@{tables[0]}' for the target"
        )
    stated = {source.index(name) for name in absent}
    for name, info in (("source", source), ("target", target)):
        missing = [c for i, c in enumerate(info.classes) if not info.raw_values[i] and i not in stated]
        if missing:
            raise ConfigError(
                f"labels of the {name} ({info.name}) have no {', '.join(missing)}; state it by absent={missing!r} in "
                "the AdaptationDataset, or map another class to it"
            )
