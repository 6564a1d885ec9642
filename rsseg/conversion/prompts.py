"""Prompts: what a mask model is told about each object, as pure functions on boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsseg.structures.boxes import qbox_to_hbox
from rsseg.structures.masks import MaskCrop

__all__ = ["PROMPTS", "Prompts", "make_prompts"]


@dataclass(frozen=True)
class Prompts:
    """Prompts for N objects of one tile, in tile pixels; ``None`` is a kind of prompt that is not given.

    Attributes:
        count: N.
        boxes: (N, 4) float64 x1 y1 x2 y2; may reach over the tile's border.
        qboxes: (N, 4, 2) float64 corners of rotated boxes, for models that can use them.
        points: (N, P, 2) float64 x y.
        point_labels: (N, P) int64, 1 = on the object, 0 = off it.
        masks: N mask prompts.
        truth: N ground-truth masks (``None`` for an object without one), for ``TruthPredictor`` only.
    """

    count: int
    boxes: NDArray[np.float64] | None = None
    qboxes: NDArray[np.float64] | None = None
    points: NDArray[np.float64] | None = None
    point_labels: NDArray[np.int64] | None = None
    masks: Sequence[MaskCrop] | None = None
    truth: Sequence[MaskCrop | None] | None = None

    def need_boxes(self, who: str) -> NDArray[np.float64]:
        """``boxes``, for a model that cannot do without.

        Raises:
            ValueError: There are none; the message names ``who`` wanted them.
        """
        if self.boxes is None:
            raise ValueError(f"{who} needs box prompts; choose one of {', '.join(PROMPTS)}")
        return self.boxes


PromptFunction = Callable[[NDArray[np.float64], NDArray[np.float64]], Prompts]


def _hbox(hbox: NDArray[np.float64], qbox: NDArray[np.float64]) -> Prompts:
    """H-Box: the horizontal box of the label file."""
    return Prompts(len(hbox), boxes=hbox)


def _rhbox(hbox: NDArray[np.float64], qbox: NDArray[np.float64]) -> Prompts:
    """RH-Box: the horizontal hull of the rotated box, which is handed on as well."""
    return Prompts(len(hbox), boxes=qbox_to_hbox(qbox), qboxes=qbox)


PROMPTS: dict[str, PromptFunction] = {"hbox": _hbox, "rhbox": _rhbox}
"""Kind -> function of (hbox (N, 4), qbox (N, 4, 2)) in tile pixels.  Source: SAMRS paper, section 2.3."""


def make_prompts(kind: str, hbox: NDArray[np.float64], qbox: NDArray[np.float64]) -> Prompts:
    """Prompts of one kind.

    Args:
        kind: Key of ``PROMPTS``.
        hbox: (N, 4) float64 horizontal boxes in tile pixels.
        qbox: (N, 4, 2) float64 corners in tile pixels.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in PROMPTS:
        raise ValueError(f"no prompt kind {kind!r}; there are {', '.join(PROMPTS)}")
    return PROMPTS[kind](hbox, qbox)
