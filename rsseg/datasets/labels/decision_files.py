"""Files of decisions: JSON lines, one a decision, to which lines are only added.

A line that was cut off at the end of the file, as where a process was killed or the power failed, is left out with a
warning; any other line that is no decision is an error.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from rsseg.datasets.labels.decisions import Decision, decision_of
from rsseg.errors import DataError
from rsseg.io.files import locked
from rsseg.io.tables import json_text, parse_json

__all__ = ["add_decision", "read_decisions"]

_log = logging.getLogger("rsseg")


def read_decisions(path: Path, classes: Sequence[str] | None = None) -> list[Decision]:
    """All decisions of a file, in their order.

    Args:
        path: The file.
        classes: Names of the classes that there are; None takes any.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: A line is no decision; the message names it.
    """
    lines = path.read_bytes().split(b"\n")
    last, found = lines.pop(), []
    for number, line in enumerate(lines, start=1):
        found.append(_line(line, f"{path}:{number}", classes))
    if last:
        where = f"{path}:{len(lines) + 1}"
        try:
            row = parse_json(last)
        except ValueError:
            _log.warning("%s: the last line is cut off and left out", where)
        else:
            found.append(decision_of(row, where, classes))
    return found


def _line(line: bytes, where: str, classes: Sequence[str] | None) -> Decision:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DataError(f"{where}: the line is no JSON object ({error}), found {line[:60]!r}") from error
    return decision_of(row, where, classes)


def add_decision(path: Path, decision: Decision) -> None:
    """Add a line to a file, which is made where it is missing; when this returns, the line is on the disk.

    What a killed process left of its last line is taken away first.  Several processes may add lines.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        start = _whole(descriptor, size)
        text = json_text(decision.as_row()).encode() + b"\n"
        if start < 0:  # complete but for its end
            text, start = b"\n" + text, size
        elif start < size:
            _log.warning("%s: the last line is cut off and taken away", path)
            os.ftruncate(descriptor, start)
        os.lseek(descriptor, start, os.SEEK_SET)
        try:
            while text:
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, start)
            raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error


def _whole(descriptor: int, size: int) -> int:
    """Where the last whole line ends; -1 where only the last line's end is missing."""
    tail, start = b"", size
    while start and b"\n" not in tail:
        length = min(start, 1 << 16)
        start -= length
        tail = os.pread(descriptor, length, start) + tail
    end = tail.rfind(b"\n") + 1
    if end == len(tail):
        return size
    try:
        parse_json(tail[end:])
    except ValueError:
        return start + end
    return -1
