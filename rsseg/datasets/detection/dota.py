"""DOTA ``labelTxt``: one object per line."""

from __future__ import annotations

import re
from pathlib import Path

from rsseg.datasets.detection.detections import Detections, Entry, collect
from rsseg.datasets.detection.values import (
    AnnotationError,
    OnError,
    check_on_error,
    class_index,
    parse_number,
    settle,
)
from rsseg.io.text import decode_text
from rsseg.metainfo import ClassTable

__all__ = ["read_dota"]

_HEADERS = ("imagesource:", "gsd:")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_FLAGS = {"0": False, "1": True, "2": True}


def read_dota(path: Path | str, table: ClassTable, on_error: OnError = "raise") -> Detections:
    """Read one DOTA label file: ``x1 y1 x2 y2 x3 y3 x4 y4 class [difficult]`` on each line.

    Fields are apart by white space.  Header lines (``imagesource:``, ``gsd:``) and blank lines are passed
    over.  The difficult flag is 0, 1 or 2; both 1 and 2 count as difficult.  ``hbox`` is the corners' hull.
    The object id is the place of the object in the file, from 1, counting skipped ones.

    Source: DOTA devkit; layout as in the released ``labelTxt`` files (measured).

    Args:
        path: The ``.txt`` file, UTF-8 with or without BOM (or UTF-16 or UTF-32 with one), any line ends.
        table: Class table of the labels.
        on_error: ``"raise"`` the first problem, or ``"skip"`` such objects and list them in ``problems``.

    Raises:
        AnnotationError: A line is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: There is no such file.
    """
    check_on_error(on_error)
    path = Path(path)
    try:
        lines = _lines(path)
    except AnnotationError as error:
        settle([error], on_error)
        return Detections(path, path.stem, problems=[error.with_traceback(None)])
    rows = [(number, line) for number, line in enumerate(lines, 1) if _is_object(line)]

    def parse(place: int, row: tuple[int, str]) -> Entry:
        return _entry(path, table, place, *row)

    return collect(path, rows, parse, table, size=None, on_error=on_error)


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    try:
        return _NEWLINE.split(decode_text(data))
    except UnicodeDecodeError as error:
        line = len(_NEWLINE.findall(data[: error.start].decode("latin-1"))) + 1
        value = data[error.start : error.start + 1]
        raise AnnotationError(path, line, value, "the file must be UTF-8 text, save it as such") from None


def _is_object(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.lower().startswith(_HEADERS)


def _entry(path: Path, table: ClassTable, place: int, number: int, line: str) -> Entry:
    fields = line.split()
    if len(fields) not in (9, 10):
        reason = f"expected 9 or 10 fields (8 coordinates, class, optional difficult flag), got {len(fields)}"
        raise AnnotationError(path, number, line.strip(), reason)
    corners = [parse_number(text, path, number, "coordinate") for text in fields[:8]]
    label = class_index(table, fields[8], path, number)
    flag = fields[9] if len(fields) == 10 else "0"
    if flag not in _FLAGS:
        reason = "difficult flag must be 0, 1 or 2; a class index as last field is not supported"
        raise AnnotationError(path, number, flag, reason)
    return Entry(number, str(place), label, None, corners, _FLAGS[flag], " ".join(fields[:8]))
