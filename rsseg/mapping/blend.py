"""Adding up the logits of overlapping windows, row by row, in memory that does not grow with the raster."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rsseg.mapping.grid import BLENDS, Grid

__all__ = ["Blender", "argmax_classes"]

_ROWS = 64


class Blender:
    """Weighted sums of windows' scores.

    Windows come row by row, from left to right.  What a row of windows adds below its strip waits in an unnamed
    temporary file until the next row; memory holds two windows.  Sums are taken in the order of the windows, so they do
    not depend on where a run begins.

    Args:
        grid: The windows.
        blend: Name of the strategy, see ``BLENDS``.
        classes: Scores per pixel, C.
        device: Where scores are added.
        folder: Where the temporary file lies; it needs C x overlap x W x 4 bytes.
    """

    def __init__(self, grid: Grid, blend: str, classes: int, device: torch.device, folder: Path) -> None:
        self.grid, self.classes, self.device, self.folder = grid, classes, device, folder
        (height, width), (rows, columns) = grid.extent, grid.size
        self._y = torch.from_numpy(BLENDS[blend](grid.ys, height, rows)).to(device)
        self._x = torch.from_numpy(BLENDS[blend](grid.xs, width, columns)).to(device)
        self._total_y, self._total_x = self._total(self._y, grid.ys, rows), self._total(self._x, grid.xs, columns)
        # two, so that a finished block can be used while the next window is added to the other
        self._sums = torch.zeros(2, classes, height, width, device=device)
        step = max(high - low for low, high in map(grid.block, range(len(grid.xs))))
        self._slot = classes * height * step * 4
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115, closed by close()
        self.begin()

    @staticmethod
    def _total(weights: torch.Tensor, starts: NDArray[np.int64], length: int) -> torch.Tensor:
        total = torch.zeros(length, device=weights.device)
        for row, start in zip(weights, starts.tolist(), strict=True):
            total[start : start + len(row)] += row
        total[(total - 1).abs() < 1e-5] = 1
        return total

    def begin(self) -> None:
        """Start a row of windows."""
        self._right = self._loaded = 0
        self._blocks: deque[tuple[int, int, torch.Tensor]] = deque()

    def add(self, row: int, column: int, scores: torch.Tensor | None, carried: bool) -> torch.Tensor:
        """Add one window.

        Args:
            row: Row of the window.
            column: Its place in the row.
            scores: (C, h, w) float32, or None for nothing to add.
            carried: Whether the row above was added before.

        Returns:
            (C, height, width) float32 sums of the block that is finished now: rows of ``grid.strip(row)``, columns of
            ``grid.block(column)``.  A view that stays as it is until :meth:`shift` was called twice.
        """
        sums, start = self._sums[column % 2], int(self.grid.xs[column])
        old = max(self._right - start, 0)
        kept = self._fill(row, start, start + old, sums) if carried else 0
        y, x = self._y[row][:, None], self._x[column]
        plain = bool((y == 1).all()) and bool((x == 1).all())
        new = sums[:, kept:, old:]  # nothing is there yet
        if scores is None:
            new.zero_()
        else:
            for place, part, weight in (
                (sums[:, :, :old], scores[:, :, :old], None if plain else y * x[:old]),
                (sums[:, :kept, old:], scores[:, :kept, old:], None if plain else y[:kept] * x[old:]),
            ):
                place.add_(part) if weight is None else place.addcmul_(part, weight)
            rest = scores[:, kept:, old:]
            new.copy_(rest) if plain else torch.mul(rest, y[kept:] * x[old:], out=new)
        self._right = start + sums.shape[2]
        (low, high), (left, right) = self.grid.strip(row), self.grid.block(column)
        if row + 1 < len(self.grid.ys):
            self._keep(column, sums[:, high - low :, : right - left])
        return sums[:, : high - low, : right - left]

    def shift(self, column: int) -> None:
        """Move on to the next window of the row."""
        low, high = self.grid.block(column)
        rest = self._sums[column % 2, :, :, high - low :]
        self._sums[(column + 1) % 2, :, :, : rest.shape[2]] = rest

    def average(self, row: int, column: int, block: torch.Tensor) -> torch.Tensor:
        """Scores of a finished block: its sums over its weights, (C, height, width), in place."""
        y, x = (self._part(total, low, high) for total, (low, high) in self._totals(row, column))
        return block if y is None and x is None else block.div_(self._product(y, x))

    def _totals(self, row: int, column: int) -> list[tuple[torch.Tensor, tuple[int, int]]]:
        return [(self._total_y, self.grid.strip(row)), (self._total_x, self.grid.block(column))]

    @staticmethod
    def _part(total: torch.Tensor, low: int, high: int) -> torch.Tensor | None:
        part = total[low:high]
        return None if bool((part == 1).all()) else part

    @staticmethod
    def _product(y: torch.Tensor | None, x: torch.Tensor | None) -> torch.Tensor:
        if y is None or x is None:
            return x if y is None else y[:, None]  # type: ignore[return-value]
        return y[:, None] * x

    def _fill(self, row: int, start: int, old: int, sums: torch.Tensor) -> int:
        """Put what the rows above have added into the columns from ``old`` on; returns how many rows that are."""
        extent = self.grid.extent
        kept, end = int(self.grid.ys[row - 1]) + extent[0] - int(self.grid.ys[row]), start + extent[1]
        while kept and (not self._blocks or self._blocks[-1][1] < end):
            low, high = self.grid.block(self._loaded)
            data = np.empty((self.classes, kept, high - low), np.float32)
            self._pread(data, self._loaded * self._slot)
            self._blocks.append((low, high, torch.from_numpy(data).to(self.device)))
            self._loaded += 1
        for low, high, block in self._blocks:
            first, last = max(low, old), min(high, end)
            if first < last:
                sums[:, :kept, first - start : last - start] = block[:, :, first - low : last - low]
        while self._blocks and self._blocks[0][1] <= end:
            self._blocks.popleft()
        return kept

    def _keep(self, column: int, part: torch.Tensor) -> None:
        if not part.numel():  # windows without an overlap
            return
        data = np.ascontiguousarray(part.cpu().numpy()).data.cast("B")
        at = column * self._slot
        while data:
            try:
                written = os.pwrite(self._file.fileno(), data, at)
            except OSError as error:
                raise OSError(error.errno, f"cannot write into {self.folder}: {error.strerror}") from error
            data, at = data[written:], at + written

    def _pread(self, out: NDArray[np.float32], at: int) -> None:
        data = out.data.cast("B")
        while data:
            read = os.preadv(self._file.fileno(), [data], at)
            data, at = data[read:], at + read

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()


def argmax_classes(scores: torch.Tensor) -> torch.Tensor:
    """Class with the largest score, (H, W) uint8 of (C, H, W); of equal ones the first, as ``argmax`` picks.

    It goes class by class over a few rows at a time, several times faster on a CPU than ``argmax`` over the first axis.
    """
    out = torch.zeros(scores.shape[1:], dtype=torch.uint8, device=scores.device)
    for start in range(0, scores.shape[1], _ROWS):
        part = scores[:, start : start + _ROWS]
        label, best = out[start : start + _ROWS], part[0].clone()
        for number in range(1, len(part)):
            better = (part[number] > best).to(torch.uint8)
            torch.maximum(label, better.mul_(number), out=label)
            torch.maximum(best, part[number], out=best)
    return out
