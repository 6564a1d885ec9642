"""Sets whose labels leave most pixels without a class: a model that is trained on them never sees background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.parts import Part
from rsseg.metainfo import BACKGROUND, IGNORE, head_settings

__all__ = ["propose_background", "unlabelled_share"]

_MUCH = 0.5


def unlabelled_share(counts: NDArray[np.int64], part: Part) -> float | None:
    """Share of the pixels that carry 255 and no class, where it is more than half of all; None otherwise.

    Args:
        counts: (256,) pixels of each value in the label files.
        part: Whose files they are.
    """
    if part.meaning[IGNORE] != IGNORE or not counts.any():
        return None
    share = float(counts[IGNORE] / counts.sum())
    return share if share > _MUCH else None


def propose_background(part: Part, model: Mapping[str, Any]) -> list[str]:
    """Lines of a config that make a class of the unlabelled pixels.

    Args:
        part: The training set.
        model: The model's config; its heads need one class more.
    """
    if part.table is None or any(name.lower() == BACKGROUND[1:] for name in part.classes):
        return [
            "give the unlabelled pixels (255) a value of their own in the label files, and the dataset a class for it"
        ]
    lines = [f'in its dataset (train, val and test): table="{part.table}{BACKGROUND}"']
    return [*lines, *(f"{setting} = {len(part.classes) + 1}" for setting, _ in head_settings(model, part.name))]
