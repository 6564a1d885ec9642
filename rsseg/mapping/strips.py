"""The strips of a map: computed row by row of windows, kept as files that are whole or not there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.mapping.blend import Blender, argmax_classes
from rsseg.mapping.grid import Grid

__all__ = ["Strips", "WindowScorer", "confidence", "read_strip", "top_share"]

NODATA = 255
LEVELS = 254
"""Probability 1 in files; 255 is no data."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class WindowScorer(Protocol):
    """What makes scores of windows."""

    classes: int
    probabilities: bool
    device: torch.device

    def prepare(self, windows: Sequence[NDArray[np.generic]]) -> Any:
        """A batch of (C, h, w) windows of one size; called in another thread."""

    def __call__(self, batch: Any) -> torch.Tensor:
        """(N, classes, h, w) float32 scores: probabilities, or logits."""


class Source(Protocol):
    """What gives windows of a raster."""

    def read(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """(C, h, w) pixels, and (h, w) which are valid or None for all."""


def confidence(scores: torch.Tensor, kind: str, probabilities: bool) -> torch.Tensor:
    """Probabilities as bytes: of every class (C, H, W), or of the most probable one (1, H, W).

    Args:
        scores: (C, H, W) float32.
        kind: ``all`` or ``top``.
        probabilities: Whether scores are probabilities already; else they are logits.

    Returns:
        uint8, 0..254 for 0..1.
    """
    shares = scores if probabilities else scores.softmax(dim=0)
    if kind == "top":
        shares = shares.amax(dim=0, keepdim=True)
    return shares.mul(LEVELS).round_().clamp_(0, LEVELS).to(torch.uint8)


def top_share(scores: torch.Tensor, probabilities: bool) -> torch.Tensor:
    """Probability (H, W) of the most probable class, of scores (C, H, W); see :func:`confidence`."""
    best = scores.amax(dim=0)
    return best if probabilities else (best - scores.logsumexp(dim=0)).exp_()


@dataclass
class _Batch:
    row: int
    columns: list[int]
    valid: list[NDArray[np.bool_] | None]
    inputs: Any


class Strips:
    """Computes strips of a map and keeps them in a folder; reading, inference and writing overlap.

    Strip ``r`` is the file ``<r>.strip``: block by block from left to right, and in each plane by plane, uint8: classes
    (255 without data), then the probabilities that were requested.

    Args:
        source: Gives the pixels.
        predictor: Gives the scores.
        grid: The windows.
        blend: Name of the strategy, see ``BLENDS``.
        folder: Where the files go.
        batch: Windows per batch; a batch never reaches over two rows.
        kind: Probabilities to keep: None, ``top`` or ``all``.
        threshold: Pixels whose most probable class is less probable than this are 255; None for none.
    """

    def __init__(
        self,
        source: Source,
        predictor: WindowScorer,
        grid: Grid,
        blend: str,
        folder: Path,
        batch: int = 1,
        kind: str | None = None,
        threshold: float | None = None,
    ) -> None:
        self.threshold = threshold
        self.source, self.predictor, self.grid, self.blend = source, predictor, grid, blend
        self.folder, self.batch, self.kind = folder, batch, kind

    def path(self, strip: int) -> Path:
        """File of a strip."""
        return self.folder / f"{strip:06d}.strip"

    @property
    def planes(self) -> int:
        """Bytes per pixel in a strip's file."""
        return 1 + {None: 0, "top": 1, "all": self.predictor.classes}[self.kind]

    def missing(self) -> list[int]:
        """Strips that are not there yet."""
        return [r for r in range(len(self.grid.ys)) if not self.path(r).exists()]

    def compute(
        self,
        strips: Sequence[int],
        done: Callable[[], None] = lambda: None,
        report: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Compute strips, given in ascending order.

        Args:
            strips: Their numbers.
            done: Called after each strip.
            report: Called before each further batch of windows with the share of them that is done; what it raises
                ends the work, and strips that are finished stay.

        Raises:
            OSError: A file cannot be read or written.
        """
        if not strips:
            return
        blender = Blender(self.grid, self.blend, self.predictor.classes, self.predictor.device, self.folder)
        rows = sorted({r for s in strips for r in range(self.grid.first_row(s), s + 1)})
        wanted, before = set(strips), -2
        reader = _reporting(_ahead(self._load, self._batches(rows)), len(rows) * len(self.grid.xs), report)
        with closing(blender), ThreadPoolExecutor(1, thread_name_prefix="writer") as pool, closing(reader):
            for row in rows:
                self._row(blender, row, row - 1 == before, reader, pool, row in wanted)
                before = row
                if row in wanted:
                    done()

    def _batches(self, rows: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        columns = range(len(self.grid.xs))
        return ((row, list(columns[i : i + self.batch])) for row in rows for i in columns[:: self.batch])

    def _load(self, item: tuple[int, list[int]]) -> _Batch:
        """Pixels of a batch; windows without a valid pixel stay out of it."""
        row, columns = item
        (height, width), y = self.grid.extent, int(self.grid.ys[row])
        windows, valid = [], []
        for x in self.grid.xs[columns].tolist():
            pixels, mask = self.source.read(x, y, x + width, y + height)
            valid.append(mask)
            if mask is None or mask.any():
                windows.append(pixels)
        return _Batch(row, columns, valid, self.predictor.prepare(windows) if windows else None)

    def _row(
        self, blender: Blender, row: int, carried: bool, reader: Iterator[_Batch], pool: Executor, wanted: bool
    ) -> None:
        blocks = self._blocks(blender, row, carried, reader)
        if not wanted:  # only what it adds to the rows below
            deque(blocks, maxlen=0)
            return

        def finish(column: int, sums: torch.Tensor, mask: NDArray[np.bool_] | None) -> None:
            file.write(self._planes(blender.average(row, column, sums), mask).data.cast("B"))

        with replacing(self.path(row), "strip") as file:
            before: Future[None] | None = None
            for block in blocks:
                job = pool.submit(finish, *block)
                if before is not None:  # its sums are written over next
                    before.result()
                before = job
            assert before is not None  # a row has a window
            before.result()

    def _blocks(
        self, blender: Blender, row: int, carried: bool, reader: Iterator[_Batch]
    ) -> Iterator[tuple[int, torch.Tensor, NDArray[np.bool_] | None]]:
        """Column, sums and validity of each block of a row."""
        blender.begin()
        for _ in range(0, len(self.grid.xs), self.batch):
            batch = next(reader)
            scores = iter(self.predictor(batch.inputs) if batch.inputs is not None else ())
            for column, mask in zip(batch.columns, batch.valid, strict=True):
                part = next(scores) if mask is None or mask.any() else None
                yield column, blender.add(row, column, part, carried), mask
                blender.shift(column)
            del batch, scores, part  # before the next scores are made

    def _planes(self, scores: torch.Tensor, mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
        """Bytes (planes, h, w) of a finished block."""
        planes = argmax_classes(scores)[None]
        if self.threshold is not None:
            planes[0][top_share(scores, self.predictor.probabilities) < self.threshold] = NODATA
        if self.kind is not None:
            planes = torch.cat([planes, confidence(scores, self.kind, self.predictor.probabilities)])
        out = planes.cpu().numpy()
        if mask is not None:
            out[:, ~mask[: out.shape[1], : out.shape[2]]] = NODATA
        return out


def read_strip(strips: Strips, number: int) -> NDArray[np.uint8]:
    """A strip's planes (planes, rows, W) uint8.

    Raises:
        DataError: The file has the wrong length, so something else has changed it.
    """
    low, high = strips.grid.strip(number)
    data = np.fromfile(strips.path(number), np.uint8)
    planes, rows = strips.planes, high - low
    if data.size != planes * rows * strips.grid.size[1]:
        raise DataError(
            f"{strips.path(number)}: has {data.size} bytes, which does not match {rows} rows; delete it and run again"
        )
    out = np.empty((planes, rows, strips.grid.size[1]), np.uint8)
    for column in range(len(strips.grid.xs)):
        left, right = strips.grid.block(column)
        block = data[planes * rows * left : planes * rows * right]
        out[:, :, left:right] = block.reshape(planes, rows, right - left)
    return out


def _reporting(
    batches: Generator[_Batch, None, None], windows: int, report: Callable[[float], None]
) -> Generator[_Batch, None, None]:
    """Batches as they come, each reported once the next one is asked for."""
    done = 0
    with closing(batches):
        for batch in batches:
            report(done / windows)
            yield batch
            done += len(batch.columns)


def _ahead(
    function: Callable[[_Item], _Result], items: Iterator[_Item], count: int = 1
) -> Generator[_Result, None, None]:
    """``map`` in another thread that is up to ``count`` results ahead."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
