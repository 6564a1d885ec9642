"""Ground control points of two rasters: whether the pixels of one are those of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rasterio.control import GroundControlPoint

__all__ = ["points_shift"]

_SAME = 0.01  # pixels


def points_shift(points: Sequence[GroundControlPoint], others: Sequence[GroundControlPoint]) -> tuple[int, int] | None:
    """Columns and rows from pixels of a raster to the same pixels of another one, of which it is a part or the whole.

    Args:
        points: Of the raster.
        others: Of the other one.

    Returns:
        None where the points are not the same places, whole pixels apart.
    """
    ours, theirs = (np.array(sorted((p.x, p.y, p.col, p.row) for p in some)) for some in (points, others))
    if not ours.size or ours.shape != theirs.shape or (ours[:, :2] != theirs[:, :2]).any():
        return None
    off = theirs[:, 2:] - ours[:, 2:]
    shift = np.round(off[0])
    return (int(shift[0]), int(shift[1])) if np.abs(off - shift).max() <= _SAME else None
