"""Adding up the logits of overlapping windows, row by row, in memory that does not grow with the raster."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rsseg.mapping.grid import BLENDS, Grid

__all__ = ["Blender", "largest"]

_ROWS = 64


class Blender:
    """Weighted sums of windows' scores.

    Windows come row by row, from left to right.  What a row of windows adds below its strip waits in an unnamed
    temporary file until the next row; memory holds a window and a step to its right.  Sums are taken in the order of
    the windows, so they do not depend on where a run begins.

    Args:
        grid: The windows.
        blend: Name of the strategy, see ``BLENDS``.
        classes: Scores per pixel, C.
        device: Where scores are added.
        folder: Where the temporary file lies; it needs C x overlap x W x 4 bytes.
    """

    def __init__(self, grid: Grid, blend: str, classes: int, device: torch.device, folder: Path) -> None:
        self.grid, self.classes, self.device = grid, classes, device
        (height, width), (rows, columns) = grid.extent, grid.size
        self._y = torch.from_numpy(BLENDS[blend](grid.ys, height, rows)).to(device)
        self._x = torch.from_numpy(BLENDS[blend](grid.xs, width, columns)).to(device)
        self._total_y, self._total_x = self._total(self._y, grid.ys, rows), self._total(self._x, grid.xs, columns)
        self._step = max(high - low for low, high in map(grid.block, range(len(grid.xs))))
        self._sums = torch.zeros(classes, height, width + self._step, device=device)
        self._slot = classes * height * self._step * 4
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115, closed by close()
        self._loaded = self._left = self._right = 0

    @staticmethod
    def _total(weights: torch.Tensor, starts: NDArray[np.int64], length: int) -> torch.Tensor:
        total = torch.zeros(length, device=weights.device)
        for row, start in zip(weights, starts.tolist(), strict=True):
            total[start : start + len(row)] += row
        total[(total - 1).abs() < 1e-5] = 1
        return total

    def begin(self) -> None:
        """Start a row of windows."""
        self._loaded = self._left = self._right = 0

    def add(self, row: int, column: int, scores: torch.Tensor | None, carried: bool) -> torch.Tensor:
        """Add one window.

        Args:
            row: Row of the window.
            column: Its place in the row.
            scores: (C, h, w) float32, or None for nothing to add.
            carried: Whether the row above was added before.

        Returns:
            (C, height, width) float32 sums of the block that is finished now, a view until the next call: rows of
            ``grid.strip(row)``, columns of ``grid.block(column)``.
        """
        width = self.grid.extent[1]
        self._fill(row, int(self.grid.xs[column]) + width, carried)
        place = self._sums[:, :, :width]
        y, x = self._y[row], self._x[column]
        if scores is not None:
            if bool((y == 1).all()) and bool((x == 1).all()):
                place += scores
            else:
                place.addcmul_(scores, y[:, None] * x)
        (low, high), (left, right) = self.grid.strip(row), self.grid.block(column)
        columns = slice(0, right - left)
        if row + 1 < len(self.grid.ys):
            self._keep(column, self._sums[:, high - low :, columns])
        return self._sums[:, : high - low, columns]

    def shift(self, column: int) -> None:
        """Move on to the next window of the row."""
        low, high = self.grid.block(column)
        rest = self._sums[:, :, high - low : self._right - self._left]
        self._sums[:, :, : rest.shape[2]] = rest.clone() if rest.shape[2] > high - low else rest
        self._left = high

    def average(self, row: int, column: int, block: torch.Tensor) -> torch.Tensor:
        """Scores of a finished block: its sums over its weights, (C, height, width)."""
        y, x = (self._part(total, low, high) for total, (low, high) in self._totals(row, column))
        return block if y is None and x is None else block / self._product(y, x)

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

    def _fill(self, row: int, until: int, carried: bool) -> None:
        """Let the sums reach to column ``until`` with what the rows above have added, else with zeros."""
        while self._right < until:
            low, high = self.grid.block(self._loaded)
            place = self._sums[:, :, low - self._left : high - self._left]
            kept = int(self.grid.ys[row - 1]) + self.grid.extent[0] - int(self.grid.ys[row]) if carried else 0
            if kept:
                data = np.empty((self.classes, kept, high - low), np.float32)
                self._pread(data, self._loaded * self._slot)
                place[:, :kept] = torch.from_numpy(data)
            place[:, kept:] = 0
            self._loaded, self._right = self._loaded + 1, high

    def _keep(self, column: int, part: torch.Tensor) -> None:
        data = np.ascontiguousarray(part.cpu().numpy()).data.cast("B")
        at = column * self._slot
        while data:
            written = os.pwrite(self._file.fileno(), data, at)
            data, at = data[written:], at + written

    def _pread(self, out: NDArray[np.float32], at: int) -> None:
        data = out.data.cast("B")
        while data:
            read = os.preadv(self._file.fileno(), [data], at)
            data, at = data[read:], at + read

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()


def largest(scores: torch.Tensor) -> torch.Tensor:
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
