"""The record every detection-label reader returns, and the checks every box passes, whatever its format."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.datasets.detection.values import AnnotationError, OmittedObject, OnError, check_on_error, settle
from rsseg.metainfo import ClassTable
from rsseg.structures.boxes import hbox_to_qbox, is_crossed, qbox_area, qbox_to_hbox, untangle_qbox

__all__ = ["AnnotationError", "Detections", "Entry", "check_inside", "collect"]

T = TypeVar("T")

_MARGIN = 1.0
"""Pixels by which a horizontal box may leave the image: 1-based and inclusive coordinates do so (ours)."""
_MIN_AREA = 1e-6
"""Square pixels below which four corners count as enclosing nothing (rounding of collinear corners)."""
_NO_HBOX = (math.nan,) * 4
_NO_QBOX = (math.nan,) * 8


@dataclass
class Detections:
    """The labelled objects of one image.

    Attributes:
        path: Label file.
        stem: Name of the image without folder and suffix.
        size: (H, W) of the image in pixels, ``None`` where unknown.
        hbox: (N, 4) float64, x1 y1 x2 y2 in pixels; hull of ``qbox`` where the format has no horizontal box.
        qbox: (N, 4, 2) float64, corners x y in pixels, in order around the box.
        labels: (N,) int64, training ids of the class table.
        names: N class names as the table spells them.
        difficult: (N,) bool.
        oriented: (N,) bool, true where ``hbox`` is the hull of a rotated box, which may overhang the border.
        object_ids: N ids, the file's own or the object's place in the file from 1, counting skipped ones.
        lines: N lines of the boxes in the file, ``None`` for JSON.
        extra: Further values of a format, N per key; no keys in an empty record.
        problems: What was left out of the record, in file order.
        mended: (N,) bool, true where the file has the corners of a rotated box in an order that makes it cross itself;
            in ``qbox`` they are in order around the box.
        omitted: Class name -> objects that were left out on purpose, see ``ClassTable.omit``.
    """

    path: Path
    stem: str
    size: tuple[int, int] | None = None
    hbox: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    qbox: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4, 2)))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    names: list[str] = field(default_factory=list)
    difficult: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    oriented: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    object_ids: list[str] = field(default_factory=list)
    lines: list[int | None] = field(default_factory=list)
    extra: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[AnnotationError] = field(default_factory=list)
    mended: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    omitted: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: ArrayLike) -> Detections:
        """The objects at ``index``: (K,) integers in any order, or a (N,) bool mask; ``problems`` stay."""
        chosen = np.asarray(index)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        rows = np.arange(len(self))[chosen]
        return replace(
            self,
            hbox=self.hbox[rows],
            qbox=self.qbox[rows],
            labels=self.labels[rows],
            names=[self.names[i] for i in rows],
            difficult=self.difficult[rows],
            oriented=self.oriented[rows],
            object_ids=[self.object_ids[i] for i in rows],
            lines=[self.lines[i] for i in rows],
            extra={key: [values[i] for i in rows] for key, values in self.extra.items()},
            problems=list(self.problems),
            mended=self.mended[rows] if len(self.mended) else self.mended,
        )


class Entry(NamedTuple):
    """One object as parsed: at least one of ``hbox`` (4 numbers) and ``qbox`` (8 numbers, x y pairs)."""

    line: int | None
    object_id: str
    label: int
    hbox: Sequence[float] | None
    qbox: Sequence[float] | None
    difficult: bool
    value: str
    """The box as written, for error messages."""
    extra: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple default, never changed)


def collect(
    path: Path,
    objects: Iterable[T],
    parse: Callable[[int, T], Entry],
    table: ClassTable,
    *,
    size: tuple[int, int] | None,
    on_error: OnError,
    stem: str | None = None,
) -> Detections:
    """Parse the objects of a file, check their boxes, and build the record.

    Args:
        path: Label file.
        objects: Whatever the format calls an object, in file order.
        parse: Called with the place of the object in the file (from 1) and the object.
        table: Class table of the labels.
        size: (H, W) the file states, or ``None``: then boxes are not compared with the image.
        on_error: ``"raise"`` the first problem in file order, or ``"skip"`` such objects and list them.
        stem: Name of the image, by default the stem of ``path``.

    Raises:
        AnnotationError: An object is unusable and ``on_error`` is ``"raise"``.
    """
    entries: list[Entry] = []
    places: list[int] = []
    found: list[tuple[int, AnnotationError]] = []
    omitted: Counter[str] = Counter()
    for place, item in enumerate(objects, 1):
        try:
            entries.append(parse(place, item))
            places.append(place)
        except OmittedObject as left_out:
            omitted[str(left_out)] += 1
        except AnnotationError as error:
            found.append((place, error.with_traceback(None)))
    record = _assemble(path, stem or path.stem, entries, table, size)
    faults = _faults(record, size)
    for i, reason in faults.items():
        found.append((places[i], _error(record, i, reason, entries[i].value)))
    found.sort(key=lambda pair: pair[0])
    problems = [error for _, error in found]
    settle(problems, on_error)
    record.problems, record.omitted = problems, dict(omitted)
    return record.select([i for i in range(len(record)) if i not in faults]) if faults else record


def check_inside(detections: Detections, size: tuple[int, int], on_error: OnError = "raise") -> Detections:
    """Compare a record with the image it belongs to.

    A horizontal box may leave the image by at most 1 px; of a rotated box only the hull must meet the image.

    Args:
        detections: The record.
        size: (H, W) of the image in pixels.
        on_error: ``"raise"``, or ``"skip"``: the objects go and the problems are added to the record.

    Returns:
        The record with ``size`` set.

    Raises:
        AnnotationError: The label file states another size (then no box can be trusted), or a box is outside.
    """
    check_on_error(on_error)
    if detections.size not in (None, size):
        reason = (
            f"the label file states another (H, W) than its image {detections.stem} has, {size}; pair the right files"
        )
        problem = AnnotationError(detections.path, None, detections.size, reason)
        settle([problem], on_error)
        return replace(detections.select([]), size=size, problems=[*detections.problems, problem])
    faults = _faults(detections, size)
    problems = [_error(detections, i, reason, _show(detections, i)) for i, reason in faults.items()]
    settle(problems, on_error)
    kept = detections.select([i for i in range(len(detections)) if i not in faults])
    return replace(kept, size=size, problems=kept.problems + problems)


def _assemble(
    path: Path, stem: str, entries: list[Entry], table: ClassTable, size: tuple[int, int] | None
) -> Detections:
    hbox = np.array([entry.hbox or _NO_HBOX for entry in entries], np.float64).reshape(-1, 4)
    qbox = np.array([entry.qbox or _NO_QBOX for entry in entries], np.float64).reshape(-1, 4, 2)
    oriented = np.array([entry.hbox is None for entry in entries], np.bool_)
    plain = np.array([entry.qbox is None for entry in entries], np.bool_)
    mended = is_crossed(qbox)
    qbox = untangle_qbox(qbox)
    hbox[oriented] = qbox_to_hbox(qbox[oriented])
    qbox[plain] = hbox_to_qbox(hbox[plain])
    keys = entries[0].extra if entries else {}
    return Detections(
        path=path,
        stem=stem,
        size=size,
        hbox=hbox,
        qbox=qbox,
        labels=np.array([entry.label for entry in entries], np.int64),
        names=[table.classes[entry.label] for entry in entries],
        difficult=np.array([entry.difficult for entry in entries], np.bool_),
        oriented=oriented,
        object_ids=[entry.object_id for entry in entries],
        lines=[entry.line for entry in entries],
        extra={key: [entry.extra[key] for entry in entries] for key in keys},
        mended=mended,
    )


def _faults(record: Detections, size: tuple[int, int] | None) -> dict[int, str]:
    """Row -> what is wrong with its box, in row order; all rows are checked at once."""
    hbox, qbox = record.hbox, record.qbox
    with np.errstate(over="ignore", invalid="ignore"):
        area = qbox_area(qbox)
    tests = [
        (~(np.isfinite(hbox).all(1) & np.isfinite(qbox).all((1, 2))), "box must have finite coordinates"),
        (
            ~record.oriented & (hbox[:, 2:] <= hbox[:, :2]).any(1),
            "inverted or zero-area box, x2 must be above x1 and y2 above y1",
        ),
        (area < _MIN_AREA, "zero-area rotated box, its corners must enclose an area"),
    ]
    if size is not None:
        limit = np.array(size[::-1], np.float64)
        hull = qbox_to_hbox(qbox)
        apart = [((box[:, :2] >= limit) | (box[:, 2:] <= 0)).any(1) for box in (hbox, hull)]
        leaves = ((hbox[:, :2] < -_MARGIN) | (hbox[:, 2:] > limit + _MARGIN)).any(1)
        image = f"the image of {size[0]} x {size[1]} (H x W) pixels"
        tests.append((apart[0] | apart[1], f"box outside {image}, it must cover some of it"))
        tests.append((~record.oriented & leaves, f"box outside {image} by more than {_MARGIN:g} px"))
    code = np.select([bad for bad, _ in tests], list(range(len(tests))), -1)
    return {int(i): tests[code[i]][1] for i in np.flatnonzero(code >= 0)}


def _error(record: Detections, i: int, reason: str, value: str) -> AnnotationError:
    line = record.lines[i]
    named = f"annotation {record.object_ids[i]}: " if line is None else ""
    return AnnotationError(record.path, line, value, named + reason)


def _show(record: Detections, i: int) -> str:
    numbers = record.qbox[i].ravel() if record.oriented[i] else record.hbox[i]
    return " ".join(f"{number:.10g}" for number in numbers)
