"""Two rows of a grid on the same test images: do they differ by more than the choice of images explains?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsseg.errors import DataError
from rsseg.evaluation.image_scores import ImageScores, read_image_scores
from rsseg.structures.significance import Bootstrap, mcnemar, paired_bootstrap, wilcoxon

__all__ = ["Comparison", "compare_images"]

_FEWEST = 6


@dataclass(frozen=True)
class Comparison:
    """Tests between two rows.

    Attributes:
        images: Number of images that both have.
        bootstrap: Of the score of all images.
        wilcoxon: p-value, of the images' own scores, each a mean over seeds.
        mcnemar: p-value, of the labels of all images with the first seed; None where pixels are scored, which depend on
            each other.
    """

    images: int
    bootstrap: Bootstrap
    wilcoxon: float
    mcnemar: float | None


def compare_images(first: Sequence[Path], second: Sequence[Path], score: str) -> Comparison | None:
    """Compare two rows.

    Args:
        first: Folders of image scores of the row that is subtracted, one for each seed.
        second: Likewise of the other, with the same seeds.
        score: Name of the score.

    Returns:
        None where there are no scores of single images, several label sets, another score than images have, or fewer
        than six images: with five, Wilcoxon's smallest p-value is 0.0625.

    Raises:
        DataError: A file is damaged.
    """
    rows = [[_single(folder) for folder in folders] for folders in (first, second)]
    if not rows[0] or len(rows[0]) != len(rows[1]) or None in [own for row in rows for own in row]:
        return None
    found: list[list[ImageScores]] = [[own for own in row if own is not None] for row in rows]
    one = found[0][0]
    names = [name for name in one.names if all(name in own.names for row in found for own in row)]
    if len(names) < _FEWEST or any(own.classes != one.classes for row in found for own in row):
        return None
    picks = [[[own.names.index(name) for name in names] for own in row] for row in found]
    try:
        sums, means = [], []
        for row, choices in zip(found, picks, strict=True):
            pairs = list(zip(row, choices, strict=True))
            sums.append(np.sum([own.parts()[pick] for own, pick in pairs], 0))
            means.append(np.mean([own.of_images(score)[pick] for own, pick in pairs], 0))
    except DataError:  # a score that is one of all images alone, such as mAP
        return None
    bootstrap = paired_bootstrap(sums[0], sums[1], lambda totals: one.score(score, totals))
    decided = None
    if one.kind == "labels":
        right = [row[0].right().reshape(len(row[0].names), -1)[pick[0]] for row, pick in zip(found, picks, strict=True)]
        decided = mcnemar(right[0].reshape(-1), right[1].reshape(-1))
    return Comparison(len(names), bootstrap, wilcoxon(means[0], means[1]), decided)


def _single(folder: Path) -> ImageScores | None:
    if not (folder / "images.json").is_file():
        return None
    sets = list(read_image_scores(folder).values())
    return sets[0] if len(sets) == 1 else None
