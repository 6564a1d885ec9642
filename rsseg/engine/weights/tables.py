"""Tables of relative positions for windows of another size."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from rsseg.errors import DataError

__all__ = ["middle_of_table", "resize_table", "table_side"]


def table_side(rows: int) -> int:
    """Side s of the square windows that a table of (2s - 1) ** 2 relative positions is for.

    Raises:
        DataError: No square window has that many.
    """
    reach = math.isqrt(rows)
    if reach**2 != rows or reach % 2 == 0:
        raise DataError(f"a table of {rows} relative positions does not belong to square windows")
    return (reach + 1) // 2


def resize_table(table: torch.Tensor, side: int) -> torch.Tensor:
    """Relative position biases for windows of another size than the one they were trained for (bicubic).

    Args:
        table: ((2s - 1) ** 2, heads) for windows of side s.
        side: The new side S.

    Returns:
        ((2S - 1) ** 2, heads).

    Raises:
        DataError: The table is not for square windows.

    Source: the rule is that of Swin's and mmseg's fine-tuning.
    """
    old, new = 2 * table_side(len(table)) - 1, 2 * side - 1
    if old == new:
        return table
    maps = table.T.unflatten(1, (old, old))[None]
    maps = functional.interpolate(maps.float(), size=(new, new), mode="bicubic", align_corners=False)[0]
    return maps.flatten(1).T.to(table.dtype)


def middle_of_table(table: torch.Tensor, side: int, extra: int) -> torch.Tensor:
    """Relative position biases of the distances that a smaller window has; each keeps its own.

    Args:
        table: ((2s - 1) ** 2 + extra, heads) for windows of side s.
        side: The new side S, at most s.
        extra: Rows at the end that are no places, for example those of the class token; they are kept.

    Returns:
        ((2S - 1) ** 2 + extra, heads).

    Raises:
        DataError: The table is not for square windows, or for smaller ones.

    Source: BEiT's segmentation code, whose least step between distances is 1.01 instead of 1.  Its rule for larger
    windows is in the ViT of this package, which applies it to images of any size.
    """
    old = table_side(len(table) - extra)
    if side > old:
        raise DataError(f"relative positions of {old} x {old} places do not reach over {side} x {side}")
    rows, margin = table[: len(table) - extra].unflatten(0, (2 * old - 1, 2 * old - 1)), old - side
    kept = rows[margin : margin + 2 * side - 1, margin : margin + 2 * side - 1]
    return torch.cat([kept.flatten(0, 1), table[len(table) - extra :]])
