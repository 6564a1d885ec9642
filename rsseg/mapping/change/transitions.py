"""What has become of what: pixels and ground of every pair of classes, as tables for people and for programs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.io.tables import aligned, write_csv

__all__ = ["LeftOut", "Transitions"]

_LARGEST = 10
_UNITS = ((1e7, 1e6, "km2"), (1e4, 1e4, "ha"), (0, 1, "m2"))
"""From so many square metres on, square metres of the unit, and its name."""

Amounts = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class LeftOut:
    """Pixels that are not compared.

    Attributes:
        reason: Why, in words.
        pixels: How many, of the compared grid, or of the map that they are of.
        metres: Square metres, None where pixels have no size.
    """

    reason: str
    pixels: int
    metres: float | None


@dataclass(frozen=True)
class Transitions:
    """The change between two maps in C classes.

    Attributes:
        classes: Names.
        palette: RGB of every class.
        pixels: (C, C) int64, rows before, columns after.
        metres: (C, C) float64 square metres, or None where pixels have no size on the ground.
        method: How a pixel's area was found, in words.
        left_out: What is not compared.
        about: What was compared: ``before`` and ``after``, on which ``grid``, how often a pixel was sampled ...
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    pixels: NDArray[np.int64]
    metres: NDArray[np.float64] | None
    method: str
    left_out: tuple[LeftOut, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    # The codes of the raster ------------------------------------------------------------------------------------------

    @property
    def wide(self) -> bool:
        """Whether codes need 16 bits."""
        return len(self.classes) ** 2 > 255

    @property
    def nodata(self) -> int:
        """Value of the raster where nothing is compared."""
        return 65535 if self.wide else 255

    def name(self, code: int) -> str:
        """What a value of the raster stands for: ``tree to water``; a class alone where nothing changed."""
        before, after = divmod(code, len(self.classes))
        return self.classes[before] if before == after else f"{self.classes[before]} to {self.classes[after]}"

    def colour(self, code: int) -> tuple[int, int, int]:
        """RGB of a value: the new class with a touch of the old one; pale where nothing changed."""
        before, after = (np.array(self.palette[i], float) for i in divmod(code, len(self.classes)))
        pale = code // len(self.classes) == code % len(self.classes)
        mixed = 0.2 * after + 0.8 * 245 if pale else 0.8 * after + 0.2 * before
        red, green, blue = mixed.round().astype(int).tolist()
        return red, green, blue

    @property
    def occurring(self) -> list[int]:
        """Codes of the pairs of classes that occur, in ascending order."""
        return np.flatnonzero(self.pixels).tolist()

    # Areas ------------------------------------------------------------------------------------------------------------

    @property
    def amounts(self) -> Amounts:
        """(C, C) square metres; pixels where they have no size."""
        return self.pixels if self.metres is None else self.metres

    @functools.cached_property
    def unit(self) -> tuple[float, str]:
        """Square metres of the unit in which tables for people are, and its name; pixels where they have no size."""
        if self.metres is None:
            return 1, "pixels"
        total = float(self.metres.sum())
        return next((size, name) for limit, size, name in _UNITS if total >= limit)

    @property
    def total(self) -> float:
        """What is compared, in square metres or pixels."""
        return float(self.amounts.sum())

    @property
    def unchanged(self) -> float:
        """Share of what is compared that has the same class in both maps."""
        return float(np.trace(self.amounts)) / self.total

    def of_classes(self) -> list[dict[str, Any]]:
        """Of each class: before, after, gain, loss, net and kept in square metres (or pixels), and persistence.

        Persistence is the share of what was of the class before that still is; None where there was none.
        """
        changed, kept = self.amounts.copy(), np.diag(self.amounts).tolist()
        np.fill_diagonal(changed, 0)
        rows = []
        for name, same, gain, loss in zip(self.classes, kept, *(changed.sum(axis=i).tolist() for i in (0, 1)),
                                          strict=True):  # fmt: skip
            before = same + loss
            rows.append({
                "class": name, "before": before, "after": same + gain, "gain": gain, "loss": loss, "net": gain - loss,
                "kept": same, "persistence": same / before if before else None,
            })  # fmt: skip
        return rows

    def changes(self) -> list[int]:
        """Codes of the pairs of two classes that occur, the largest first."""
        count, flat = len(self.classes), self.amounts.ravel()
        codes = [code for code in self.occurring if code // count != code % count]
        return sorted(codes, key=lambda code: (-flat[code], code))

    # Files and texts --------------------------------------------------------------------------------------------------

    def write(self, folder: Path) -> list[Path]:
        """Write ``transitions.csv``, ``matrix.csv``, ``matrix_pixels.csv`` and ``classes.csv``; returns the files.

        Raises:
            OSError: A file cannot be written.
        """
        paths = [folder / f"{name}.csv" for name in ("transitions", "matrix", "matrix_pixels", "classes")]
        columns = ["code", "from", "to", "pixels", "m2", "ha", "km2", "percent_of_from", "percent"]
        write_csv(paths[0], columns, [self._row(code) for code in self.occurring])
        unit = "pixels" if self.metres is None else "m2"
        for path, values, name in ((paths[1], self.amounts, unit), (paths[2], self.pixels, "pixels")):
            rows = [[one, *row, sum(row)] for one, row in zip(self.classes, values.tolist(), strict=True)]
            rows.append(["total", *values.sum(axis=0).tolist(), values.sum().item()])
            write_csv(path, [f"from \\ to ({name})", *self.classes, "total"], [_rounded(row) for row in rows])
        keys = ["before", "after", "gain", "loss", "net", "kept"]
        rows = [[row["class"], *_rounded([row[key] for key in keys]), _percent(row["persistence"])]
                for row in self.of_classes()]  # fmt: skip
        write_csv(paths[3], ["class", *(f"{key}_{unit}" for key in keys), "persistence_percent"], rows)
        return paths

    def _row(self, code: int) -> list[Any]:
        count = len(self.classes)
        before, after = divmod(code, count)
        amount = self.amounts[before, after].item()
        areas = ["", "", ""]
        if self.metres is not None:
            areas = [f"{amount:.2f}", f"{amount / 1e4:.4f}", f"{amount / 1e6:.6f}"]
        shares = amount / self.amounts[before].sum().item(), amount / self.total
        names = self.classes[before], self.classes[after]
        return [code, *names, self.pixels[before, after].item(), *areas, *map(_percent, shares)]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            **self.about,
            "classes": list(self.classes),
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self.palette],
            "unit": "pixels" if self.metres is None else "m2",
            "areas": self.method,
            "compared": {"pixels": int(self.pixels.sum()), "m2": None if self.metres is None else self.total},
            "unchanged": self.unchanged,
            "pixels": self.pixels.tolist(),
            "m2": None if self.metres is None else self.metres.tolist(),
            "per_class": self.of_classes(),
            "transitions": [self._record(code) for code in self.occurring],
            "left_out": [{"reason": left.reason, "pixels": left.pixels, "m2": left.metres} for left in self.left_out],
        }

    def _record(self, code: int) -> dict[str, Any]:
        before, after = divmod(code, len(self.classes))
        metres = None if self.metres is None else self.metres[before, after].item()
        return {
            "code": code, "from": self.classes[before], "to": self.classes[after], "name": self.name(code),
            "colour": "#{:02x}{:02x}{:02x}".format(*self.colour(code)),
            "pixels": self.pixels[before, after].item(), "m2": metres,
        }  # fmt: skip

    def __str__(self) -> str:
        size, unit = self.unit
        digits = 0 if self.metres is None else 2
        keys = ["before", "after", "gain", "loss", "net"]
        rows: list[list[str]] = [["class", *(f"{key} {unit}" for key in keys), "kept %"]]
        for row in self.of_classes():
            if row["before"] or row["after"]:
                cells = [f"{row[key] / size:.{digits}f}" for key in keys]
                rows.append([row["class"], *cells, _percent(row["persistence"]) or "-"])
        lines = [aligned(rows), ""]
        changes, flat = self.changes(), self.amounts.ravel()
        if changes:
            shown = [[self.name(code), f"{flat[code] / size:.{digits}f}", _percent(flat[code] / self.total)]
                     for code in changes[:_LARGEST]]  # fmt: skip
            head = "largest changes" if len(changes) <= _LARGEST else f"largest of {len(changes)} changes"
            lines += [aligned([[head, unit, "%"], *shown]), ""]
        lines.append(f"unchanged {100 * self.unchanged:.2f} % of {self.total / size:.{digits}f} {unit} compared "
                     f"({self.pixels.sum()} pixels of {self.about.get('grid_of', 'the first map')}); "
                     f"areas: {self.method}")  # fmt: skip
        lines += [f"not compared: {left.pixels} pixels {left.reason}" for left in self.left_out if left.pixels]
        return "\n".join(lines)


def _rounded(row: list[Any]) -> list[Any]:
    return [f"{value:.2f}" if isinstance(value, float) else value for value in row]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3f}"
