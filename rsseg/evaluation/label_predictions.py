"""True and predicted labels of images, as ``rsseg test --out`` writes them for models of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.evaluation.image_scores import ImageScores, numbered
from rsseg.io.tables import read_csv

__all__ = ["LabelPredictions", "common_predictions", "read_predictions"]

_COLUMNS = ("image", "labels", "predicted")
_FILE = "predictions.csv"


@dataclass(frozen=True)
class LabelPredictions:
    """Images of one model.

    Attributes:
        classes: Names of the C classes.
        names: Names of the N images.
        truth: (N, C) bool, the true labels.
        predicted: (N, C) bool.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]

    def taken(self, names: Sequence[str]) -> LabelPredictions:
        """The images of these names, in their order."""
        where = {name: i for i, name in enumerate(self.names)}
        picks = [where[name] for name in names]
        return LabelPredictions(self.classes, tuple(names), self.truth[picks], self.predicted[picks])

    def scores(self) -> ImageScores:
        """What the scores of these images are made of."""
        counts = np.stack([self.truth, self.predicted, self.truth & self.predicted], -1).astype(np.int64)
        return ImageScores("labels", self.classes, self.names, counts)


def read_predictions(path: Path) -> LabelPredictions:
    """Images that have true labels.

    Args:
        path: ``predictions.csv``, or its folder.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is another table, a label is none of its classes, or no image has true labels.
    """
    file = path / _FILE if path.is_dir() else path
    classes: tuple[str, ...] = ()
    names, masks = [], []
    for line, row in read_csv(file, _COLUMNS):
        classes = classes or tuple(name for name in row if name not in _COLUMNS)
        if row["labels"]:
            names.append(row["image"])
            masks.append([_mask(row[key], classes, f"{file}, line {line}") for key in ("labels", "predicted")])
    if not names:
        raise DataError(f"{file}: no image has true labels; test on patches with files of labels")
    found = np.array(masks, bool)
    return LabelPredictions(classes, numbered(names), found[:, 0], found[:, 1])


def _mask(text: str, classes: Sequence[str], where: str) -> list[bool]:
    labels = set(text.split("; ")) if text else set()
    unknown = labels - set(classes)
    if unknown:
        raise DataError(f"{where}: {min(unknown)!r} is none of the columns' classes: {', '.join(classes)}")
    return [name in labels for name in classes]


def common_predictions(models: dict[str, LabelPredictions]) -> dict[str, LabelPredictions]:
    """The images that all models have, in one order.

    Args:
        models: By the model's name, at least one.

    Raises:
        DataError: The models have other classes, no image is common, or one has other true labels.
    """
    first_name, first = next(iter(models.items()))
    for name, own in models.items():
        if own.classes != first.classes:
            raise DataError(
                f"{name} has {len(own.classes)} classes and {first_name} {len(first.classes)}, or other ones; compare "
                "models of one label set"
            )
    known = [set(own.names) for own in models.values()]
    names = [name for name in first.names if all(name in own for own in known)]
    if not names:
        raise DataError(f"{', '.join(models)}: no image is in all predictions; test the models on the same split")
    out = {name: own.taken(names) for name, own in models.items()}
    for name, own in out.items():
        other = np.flatnonzero((own.truth != out[first_name].truth).any(1))
        if len(other):
            raise DataError(f"{names[other[0]]}: {name} and {first_name} were tested with other true labels")
    return out
