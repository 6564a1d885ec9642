"""Pixels and ground of every pair of classes of two maps, counted window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsseg.io.georeference import GeoReference
from rsseg.io.progress import Progress
from rsseg.mapping.change.classes import CommonClasses
from rsseg.mapping.change.grids import CommonGround, covered, windows_of
from rsseg.mapping.change.resampling import LabelsOnGrid
from rsseg.mapping.change.transitions import LeftOut
from rsseg.metainfo import IGNORE

__all__ = ["Counts"]

Flags = NDArray[np.bool_]
_SIDES = ("first", "second")


class _Amount:
    """Pixels, and square metres where rows have areas."""

    def __init__(self, areas: NDArray[np.float64] | None) -> None:
        self._areas, self.pixels, self.metres = areas, 0, 0.0

    def add(self, where: Flags, row: int) -> None:
        """Add pixels (h, w) that are set, of which the first row is ``row`` of the grid."""
        rows = np.count_nonzero(where, axis=1)
        self.pixels += int(rows.sum())
        if self._areas is not None:
            self.metres += float(self._areas[row : row + len(rows)] @ rows)

    def left_out(self, reason: str) -> LeftOut:
        """As a line of the result."""
        return LeftOut(reason, self.pixels, None if self._areas is None else self.metres)


class Counts:
    """What becomes of every class, and what cannot be compared.

    Args:
        paths: The two maps.
        places: Where they lie.
        classes: Their common classes.
        ground: What of them is compared.

    Attributes:
        pixels: (C, C) int64, rows before, columns after.
        metres: (C, C) float64 square metres, or None where pixels have no size.
        samples: Of each map, samples along a pixel of the grid; see :class:`LabelsOnGrid`.
    """

    def __init__(
        self,
        paths: tuple[str, str],
        places: tuple[GeoReference, GeoReference],
        classes: CommonClasses,
        ground: CommonGround,
    ) -> None:
        self._paths, self._places, self._classes, self._ground = paths, places, classes, ground
        count = len(classes.classes)
        self._areas = areas = ground.grid.row_areas
        self._even = areas is None or bool(areas.min() == areas.max())
        self.pixels = np.zeros((count, count), np.int64)
        self.metres: NDArray[np.float64] | None = None if areas is None else np.zeros((count, count))
        self.samples: tuple[int | None, int | None] = 1, 1
        self._missing = {name: _Amount(areas) for name in ("both", "first", "second", "outside")}

    def run(self, write: Callable[[Window, NDArray[np.integer]], None]) -> None:
        """Count.

        Args:
            write: Gets each window of the compared grid and its codes (h, w), before * C + after; C * C where there is
                none.

        Raises:
            OSError: A map is damaged.
            DataError: A map has a value that is no class.
        """
        grid = self._ground.grid
        with ExitStack() as stack:
            sides = [stack.enter_context(LabelsOnGrid(path, grid, self._classes, i))
                     for i, path in enumerate(self._paths)]  # fmt: skip
            self.samples = sides[0].samples, sides[1].samples
            windows = list(windows_of(grid.size[1], grid.size[0], min(side.side for side in sides)))
            progress = Progress(len(windows), "compare", unit="window")
            for window in windows:
                before, after = (side.read(window) for side in sides)
                write(window, self._add(before, after, window))
                progress.step()
            progress.close()
        if self._even and self._areas is not None:
            self.metres = np.asarray(self.pixels * float(self._areas[0]), np.float64)

    def _add(self, before: NDArray[np.uint8], after: NDArray[np.uint8], window: Window) -> NDArray[np.integer]:
        count, row = len(self._classes.classes), int(window.row_off)
        none = before == IGNORE, after == IGNORE
        codes = before.astype(np.int32) * count + after
        codes[none[0] | none[1]] = count * count
        if self._even:
            self.pixels += self._counts(codes.ravel())
        else:
            for y, line in enumerate(codes):
                found = self._counts(line)
                self.pixels += found
                assert self.metres is not None and self._areas is not None
                self.metres += found * self._areas[row + y]
        self._add_missing(none, window)
        return codes

    def _counts(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        count = len(self._classes.classes)
        return np.bincount(codes, minlength=count * count + 1)[:-1].reshape(count, count)

    def _add_missing(self, none: tuple[Flags, Flags], window: Window) -> None:
        side, row = self._ground.side, int(window.row_off)
        self._missing["both"].add(none[0] & none[1], row)
        self._missing[_SIDES[side]].add(none[side] & ~none[1 - side], row)
        only = ~none[side] & none[1 - side]
        if only.any():
            x, y, width, height = window.flatten()
            place = Window(x + self._ground.window.col_off, y + self._ground.window.row_off, width, height)
            inside = covered(self._ground.outlines[1 - side], place)
            self._missing[_SIDES[1 - side]].add(only & inside, row)
            self._missing["outside"].add(only & ~inside, row)

    def left_out(self) -> tuple[LeftOut, ...]:
        """What is not compared; reads what the maps do not have in common.

        Raises:
            OSError: A map is damaged.
            DataError: A map has a value that is no class.
        """
        side = self._ground.side
        rest = [self._outside(0), self._outside(1)]
        near = self._missing["outside"].left_out("")
        metres = None if near.metres is None else near.metres + (rest[side].metres or 0.0)
        rest[side] = LeftOut(rest[side].reason, rest[side].pixels + near.pixels, metres)
        return (
            self._missing["both"].left_out("without a class in either map"),
            self._missing["first"].left_out("without a class in the first map"),
            self._missing["second"].left_out("without a class in the second map"),
            *rest,
        )

    def _outside(self, side: int) -> LeftOut:
        """Pixels of a map that the other one does not cover, or that are not in the window of the compared grid."""
        place = self._places[side]
        amount = _Amount(place.row_areas)
        with LabelsOnGrid(self._paths[side], place, self._classes, side) as labels:
            for window, compared in self._beyond(side, place):
                amount.add((labels.read(window) != IGNORE) & ~compared, int(window.row_off))
        return amount.left_out(f"of the {_SIDES[side]} map, outside of the {_SIDES[1 - side]} one")

    def _beyond(self, side: int, place: GeoReference) -> Iterator[tuple[Window, Flags]]:
        """Windows of a map that are not compared as a whole, and which of their pixels are."""
        held = self._ground.window
        for window in windows_of(place.size[1], place.size[0]):
            if side != self._ground.side:
                compared = covered(self._ground.outlines[1 - side], window)
            else:
                compared = np.zeros((int(window.height), int(window.width)), bool)
                top, left = int(held.row_off - window.row_off), int(held.col_off - window.col_off)
                bottom, right = max(top + int(held.height), 0), max(left + int(held.width), 0)
                compared[max(top, 0) : bottom, max(left, 0) : right] = True
            if not compared.all():
                yield window, compared
