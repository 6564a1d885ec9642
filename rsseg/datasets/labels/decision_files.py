"""Files of decisions: JSON lines, one a decision, to which lines are only added.

A line that was cut off at the end of the file, as where a process was killed or the power failed, is left out with a
warning; empty lines say nothing; any other line that is no decision is an error.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rsseg.datasets.labels.decisions import Decision, decision_of
from rsseg.errors import DataError
from rsseg.io.files import locked
from rsseg.io.json_lines import append_rows
from rsseg.io.tables import json_text, parse_json

__all__ = ["add_decision", "read_all_decisions", "read_decisions"]

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
        if line.strip():
            found.append(_line(line, f"{path}:{number}", classes))
    if last.strip():
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


def read_all_decisions(paths: Iterable[Path], classes: Sequence[str] | None = None) -> list[tuple[Path, Decision]]:
    """The decisions of several files, each with the file that has it.

    Lines that a copy of a file has as well, for example an older one, count once: otherwise ``undo`` would take back
    one of two.

    Args:
        paths: The files.
        classes: As for :func:`read_decisions`, which raises the same errors.
    """
    known, found = Counter[str](), list[tuple[Path, Decision]]()
    for path in paths:
        own = Counter[str]()
        for decision in read_decisions(path, classes):
            text = json_text(decision.as_row())
            own[text] += 1
            if own[text] > known[text]:
                found.append((path, decision))
        known |= own
    return found


def add_decision(path: Path, decision: Decision) -> None:
    """Add a line to a file, which is made where it is missing; when this returns, the line is on the disk.

    What a killed process left of its last line is taken away first.  Several processes may add lines.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path) as descriptor:
        append_rows(descriptor, path, [decision.as_row()])
