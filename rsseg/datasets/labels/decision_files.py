"""Files of decisions: JSON lines, one a decision, to which lines are only added.

A line that was cut off at the end of the file, as where a process was killed or the power failed, is left out with a
warning; any other line that is no decision is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rsseg.datasets.labels.decisions import Decision, decision_of
from rsseg.errors import DataError
from rsseg.io.files import locked
from rsseg.io.json_lines import append_rows
from rsseg.io.tables import parse_json

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
        append_rows(descriptor, path, [decision.as_row()])
