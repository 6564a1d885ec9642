"""Accepted polygons of one layer: a file to which lines are only added, read by any number of servers and tabs.

Each line is one step: shapes are added, get another class, are deleted or restored.  To undo a step is a step as well.
A line that is no step, as after a failure of the power, is ignored.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from rsseg.errors import JobError
from rsseg.io.files import locked, replacing
from rsseg.io.json_lines import append_rows, settle
from rsseg.io.tables import json_text, parse_json

__all__ = ["Shape", "ShapeLog"]

_log = logging.getLogger("rsseg")
_MOST_SHAPES, _MOST_BYTES = 100_000, 256 << 20
_REMEMBERED = 100
"""Steps of each client that can be undone."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """An accepted polygon.

    Attributes:
        id: Of its own.
        label: Name of its class.
        geometry: GeoJSON Polygon or MultiPolygon in degrees.
        area: In ``unit``.
        unit: ``m2``, or ``px`` where pixels have no size on the ground.
        score: The model's estimate of its quality, from 0 to 1; None where it made none.
        author: Who accepted it.
        time: When it was accepted or last changed, in UTC.
    """

    id: str
    label: str
    geometry: Row
    area: float
    unit: str
    score: float | None
    author: str
    time: str


_FIELDS = {field.name for field in fields(Shape)}


class ShapeLog:
    """The shapes of a layer, as they are in the file at each call.

    Args:
        path: The file, JSON lines; it need not exist.

    Raises:
        OSError: The file cannot be read or written (from any method).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._shapes: dict[str, Shape] = {}
        self._deleted: dict[str, Shape] = {}
        self._steps: dict[str, list[Row]] = {}
        self._read, self._lines, self._head = 0, 0, b""

    def all(self) -> tuple[list[Shape], str]:
        """All shapes in the order in which they were accepted, and a text that changes with them."""
        with self._lock:
            self._refresh()
            return list(self._shapes.values()), f"{zlib.crc32(self._head):08x}-{self._read}"

    def add(self, shapes: Sequence[Shape], client: str) -> None:
        """Add shapes, as one step of a client.

        Raises:
            JobError: There would be too many.
        """

        def step() -> Row:
            if len(self._shapes) + len(shapes) > _MOST_SHAPES:
                raise JobError(f"the layer has {len(self._shapes)} shapes; export them, then delete some: "
                               f"no more than {_MOST_SHAPES} are kept")  # fmt: skip
            return {"do": "add", "shapes": [asdict(shape) for shape in shapes]}

        self._add_step(step, client)

    def relabel(self, id: str, label: str, author: str, time: str, client: str) -> Shape:
        """Give a shape another class.

        Raises:
            LookupError: There is no such shape.
        """
        self._add_step(lambda: {"do": "class", "id": self._known(id).id, "label": label, "author": author,
                                "time": time}, client)  # fmt: skip
        with self._lock:
            return self._known(id)

    def delete(self, id: str, client: str) -> None:
        """Delete a shape.

        Raises:
            LookupError: There is no such shape.
        """
        self._add_step(lambda: {"do": "delete", "ids": [self._known(id).id]}, client)

    def undo(self, client: str) -> bool:
        """Undo the last step of a client that is not undone; whether there was one."""

        def step() -> Row | None:
            steps = self._steps.get(client)
            return {**steps[-1], "undo": True} if steps else None

        return self._add_step(step, client)

    def compact(self) -> None:
        """Write the file anew where most lines are of shapes that are gone; earlier steps cannot be undone then."""
        with self._lock:
            self._refresh()
            if self._lines <= len(self._shapes) + _REMEMBERED:
                return
            with locked(self.path) as descriptor:
                settle(descriptor, self.path)
                self._refresh()
                with replacing(self.path) as file:
                    for row in (_head(), *({"do": "add", "shapes": [asdict(s)]} for s in self._shapes.values())):
                        file.write(json_text(row).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            self._refresh()

    def _known(self, id: str) -> Shape:
        if id not in self._shapes:
            raise LookupError("there is no such shape; it may have been deleted elsewhere, so load the list again")
        return self._shapes[id]

    def _add_step(self, make: Callable[[], Row | None], client: str) -> bool:
        """Add a line that is made of the newest state; whether there was one to add."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path) as descriptor:
                size = settle(descriptor, self.path)
                self._refresh()
                step = make()
                if step is None:
                    return False
                row = {**step, "client": client}
                if size > _MOST_BYTES:
                    raise JobError(f"{self.path.name} is larger than {_MOST_BYTES >> 20} MiB; export the layer first")
                append_rows(descriptor, self.path, [row] if size else [_head(), row])
            self._refresh()
            return True

    def _refresh(self) -> None:
        """Read the lines that are new, or all where the file is another one."""
        try:
            with self.path.open("rb") as file:
                head = file.readline()
                if head != self._head or os.fstat(file.fileno()).st_size < self._read:
                    self._forget()
                    self._head = head if head.endswith(b"\n") else b""
                file.seek(self._read)
                data = file.read() if self._head else b""
        except FileNotFoundError:
            self._forget()
            return
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            self._lines += 1
            try:
                self._apply(parse_json(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, shapely.GEOSException) as error:
                _log.warning("%s: a line is ignored that is no step (%s)", self.path, error)
        self._read += whole

    def _apply(self, row: Row) -> None:
        """Do a step, and remember what undoes it."""
        back: Row | None = None
        match row["do"]:
            case "add":
                new = {shape.id: shape for shape in _shapes_of(row["shapes"])}
                self._shapes |= new
                back = {"do": "delete", "ids": list(new)} if new else None  # None for the first line
            case "class":
                old = self._shapes.get(row["id"])
                if old is not None:
                    changed = replace(
                        old, label=_text(row["label"], 1), author=_text(row["author"]), time=_text(row["time"])
                    )
                    self._shapes[old.id] = changed
                    back = {"do": "class", "id": old.id, "label": old.label, "author": old.author, "time": old.time}
            case "delete":
                gone = {id: self._shapes.pop(id) for id in row["ids"] if id in self._shapes}
                self._deleted |= gone
                back = {"do": "restore", "ids": list(gone)}
            case "restore":
                self._shapes |= {id: self._deleted.pop(id) for id in row["ids"] if id in self._deleted}
            case other:
                raise ValueError(f"unknown step {other!r}")
        steps = self._steps.setdefault(row.get("client", ""), [])
        if row.get("undo"):
            del steps[-1:]
        elif back is not None:
            steps.append(back)
            del steps[:-_REMEMBERED]


def _head() -> Row:
    return {"do": "add", "shapes": [], "file": secrets.token_hex(12)}


def _text(value: Any, least: int = 0) -> str:
    if not isinstance(value, str) or len(value.strip()) < least:
        raise ValueError(f"{value!r} is no text")
    return value


def _shapes_of(rows: Sequence[Mapping[str, Any]]) -> list[Shape]:
    """Shapes of a line that somebody may have edited.

    Raises:
        ValueError: A value is not one of a shape.
        TypeError: A field is missing, or has another type.
    """
    found = [Shape(**{key: value for key, value in row.items() if key in _FIELDS}) for row in rows]
    for shape in found:
        for value, least in ((shape.id, 1), (shape.label, 1), (shape.author, 0), (shape.time, 0)):
            _text(value, least)
        if shape.unit not in ("m2", "px") or not math.isfinite(shape.area):
            raise ValueError(f"{shape.area!r} {shape.unit!r} is no area")
        if shape.score is not None and not math.isfinite(shape.score):
            raise ValueError(f"{shape.score!r} is no score")
    drawn = shapely.from_geojson(np.array([json_text(shape.geometry) for shape in found], object))
    if any(each is None or each.is_empty or each.geom_type not in ("Polygon", "MultiPolygon") for each in drawn):
        raise ValueError("a geometry is no polygon")
    return found
