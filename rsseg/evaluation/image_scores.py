"""Scores of single images in a folder: ``images.csv`` for people, ``images.json`` for tests between two models.

``images.json`` holds what scores are made of, so that any score of any choice of images follows exactly: for
segmentation the true, predicted and common pixels of each class, for labels of images the true and the predicted ones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.io.tables import read_json, write_csv, write_json
from rsseg.structures.confusion import count_scores

__all__ = ["ImageScores", "gather_image_scores", "numbered", "read_image_scores", "write_image_scores"]

_PIXELS, _LABELS = ("mIoU", "mF1", "mAcc", "OA"), ("P", "R", "F1", "F2")
_NAME = "images.json"


@dataclass(frozen=True)
class ImageScores:
    """Images of one label set.

    Attributes:
        kind: ``pixels`` or ``labels``.
        classes: Names of the C classes.
        names: Names of the N images.
        counts: (N, C, 3) int64 of each class: true, predicted, both; for ``labels`` 0 or 1.
        unscored: Classes that means leave out.
        only_true: Means leave out classes that are not true anywhere.
    """

    kind: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    counts: NDArray[np.int64]
    unscored: tuple[int, ...] = ()
    only_true: bool = False

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores that :meth:`score` knows besides ``IoU/<class>``."""
        return _PIXELS if self.kind == "pixels" else _LABELS

    def score(self, name: str, counts: NDArray[Any]) -> NDArray[np.float64]:
        """A score in percent.

        Args:
            name: One of :attr:`scores`, or ``IoU/<class>``.
            counts: (..., C, 3) sums over images; for ``labels`` (..., 4), sums of what :meth:`parts` gives.

        Returns:
            (...) float64; NaN where nothing can be scored.

        Raises:
            DataError: There is no such score.
        """
        if self.kind == "labels" and name in _LABELS:
            with np.errstate(invalid="ignore"):
                return np.asarray(100 * counts[..., _LABELS.index(name)] / counts[..., 4])
        key, _, label = name.partition("/")
        if self.kind == "labels" or (key not in (*_PIXELS, "IoU") or (label or "") not in ("", *self.classes)):
            raise DataError(f"no score {name!r} of single images; expected one of: {', '.join(self.scores)}")
        found = 100 * count_scores(counts, self.unscored, self.only_true)[key]
        return np.asarray(found[..., self.classes.index(label)] if label else found)

    def parts(self) -> NDArray[np.float64]:
        """(N, ...) what is summed over images to be scored."""
        if self.kind == "pixels":
            return self.counts.astype(np.float64)
        true, predicted, both = np.moveaxis(self.counts, -1, 0).sum(-1).astype(np.float64)
        rows = [both / np.maximum(predicted, 1), both / np.maximum(true, 1)]
        rows += [(1 + b**2) * both / np.maximum(b**2 * true + predicted, 1) for b in (1, 2)]
        return np.stack([*rows, np.ones(len(true))], 1)

    def of_images(self, name: str) -> NDArray[np.float64]:
        """(N,) a score of each image in percent; NaN where it has none."""
        return self.score(name, self.parts())

    def right(self) -> NDArray[np.bool_]:
        """(N * C,) whether each label of each image is decided right; of ``labels`` alone."""
        return np.asarray(self.counts[..., 0] == self.counts[..., 1]).reshape(-1)


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Names that differ: of those that occur twice, the second gets ``#2``, and so on."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(out)


def write_image_scores(folder: Path | str, sets: Mapping[str, ImageScores]) -> None:
    """Write both files.

    Args:
        folder: Made where it is missing.
        sets: By name of the label set; "" where there is only one.

    Raises:
        OSError: A file cannot be written; the message names it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain, rows = {}, []
    for name, own in sets.items():
        dense = {n: c.tolist() if own.kind == "pixels" else _ids(c) for n, c in zip(own.names, own.counts, strict=True)}
        plain[name] = {
            "kind": own.kind, "classes": own.classes, "unscored": own.unscored, "only_true": own.only_true,
            "images": dense,
        }  # fmt: skip
        values = [own.of_images(key) for key in own.scores]
        for i, image in enumerate(own.names):
            rows.append([name, image, *("" if np.isnan(v[i]) else f"{v[i]:.2f}" for v in values)])
    write_json(folder / _NAME, plain, indent=None)
    columns = next(iter(sets.values())).scores if sets else ()
    write_csv(folder / "images.csv", ["set", "image", *columns], rows)


def _ids(counts: NDArray[np.int64]) -> list[list[int]]:
    return [np.flatnonzero(counts[:, i]).tolist() for i in (0, 1)]


def read_image_scores(folder: Path | str) -> dict[str, ImageScores]:
    """What :func:`write_image_scores` has written, by name of the label set.

    Raises:
        FileNotFoundError: There is none.
        DataError: The file is damaged.
    """
    path = Path(folder) / _NAME
    try:
        return {name: _read(own) for name, own in read_json(path).items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path}: is not what rsseg test --image-scores writes ({error})") from error


def gather_image_scores(folder: Path | str | None, names: Iterable[str]) -> None:
    """Write the scores of several sets, each in a folder of its name below ``folder``, into one file in ``folder``.

    Args:
        folder: Where :func:`write_image_scores` wrote ``<folder>/<name>`` for each set; of some sets there may be none.
            None does nothing.
        names: Of the sets.

    Raises:
        DataError: A file is damaged.
        OSError: A file cannot be written; the message names it.
    """
    if folder is None:
        return
    folder, sets = Path(folder), dict[str, ImageScores]()
    for name in names:
        if (folder / name / _NAME).is_file():
            found = read_image_scores(folder / name)
            sets |= {name if len(found) == 1 else f"{name}/{own}": scores for own, scores in found.items()}
    write_image_scores(folder, sets)


def _read(own: Mapping[str, Any]) -> ImageScores:
    classes, images = tuple(own["classes"]), own["images"]
    dense = functools.partial(_dense, count=len(classes)) if own["kind"] == "labels" else list
    counts = np.array([dense(value) for value in images.values()], np.int64).reshape(len(images), len(classes), 3)
    return ImageScores(own["kind"], classes, tuple(images), counts, tuple(own["unscored"]), bool(own["only_true"]))


def _dense(ids: Sequence[Sequence[int]], count: int) -> NDArray[np.int64]:
    out = np.zeros((count, 3), np.int64)
    for i, own in enumerate(ids):
        out[list(own), i] = 1
    out[:, 2] = out[:, 0] & out[:, 1]
    return out
