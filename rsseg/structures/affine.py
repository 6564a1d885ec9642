"""Affine transforms of many points at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

__all__ = ["apply_affine", "moved_affine"]

Floats = NDArray[np.float64]


def apply_affine(transform: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Where a transform brings points (K,)."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def moved_affine(transform: Affine, x: float, y: float) -> Affine:
    """A transform whose results are moved."""
    a, b, c, d, e, f = transform[:6]
    return Affine(a, b, c + x, d, e, f + y)
