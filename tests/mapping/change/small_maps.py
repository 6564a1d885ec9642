"""Two maps of 4 x 4 pixels, and what they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rasterio import Affine

from rsseg.mapping.change import Transitions

Write = Callable[..., str]
NAMES = ("water", "tree", "road")
COLOURS = ((0, 0, 250), (0, 200, 0), (100, 100, 100))
EAST, NORTH = 500000, 4000000
METRE = Affine(1, 0, EAST, 0, -1, NORTH)
BEFORE = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 255, 1]], np.uint8)
AFTER = np.array([[0, 1, 1, 1], [0, 0, 1, 2], [2, 2, 1, 2], [255, 2, 255, 1]], np.uint8)
CHANGE = [[3, 1, 0], [0, 5, 2], [0, 0, 3]]
"""Rows: before.  Of the 16 pixels, (3, 0) has no class after, and (3, 2) none at all."""


def left(found: Transitions) -> list[int]:
    """Pixels without a class in either map, in the first, in the second; outside of the second, of the first."""
    return [each.pixels for each in found.left_out]
