"""Converted sets under review: their objects, and what each reviewer has decided so far."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.labels.decision_files import add_decision, read_decisions
from rsseg.datasets.labels.decisions import FINISHED, REOPENED, Decision, read_set_id, time_text
from rsseg.datasets.labels.index import InstanceIndex, stamp_of
from rsseg.errors import DataError

__all__ = ["SHOWN", "FinishedError", "ReviewSet", "Reviewer"]

SHOWN = ("undecided", "all", "accept", "reject", "class", "redraw")
"""Which objects are shown: by what the reviewer has decided."""


class FinishedError(Exception):
    """A reviewer has finished, and has seen what others decided."""


_CODES = {"accept": 1, "reject": 2, "class": 3, "box": 4, "mask": 4}


@dataclass
class Reviewer:
    """What one reviewer has decided about the objects that are there now.

    Attributes:
        path: The file.
        codes: (N,) uint8: 0 undecided, otherwise the place in :data:`SHOWN` less one.
        decisions: By number of the object.
        steps: Number of the object and what was decided before, of every step that can be undone.
        marks: What the reviewer has said last, ``FINISHED`` or ``REOPENED``, of each state of all objects, the latest
            at the end.
        finished: Whether the reviewer has said so, of the objects as they are now.
        closed: Whether nothing more can be decided: finished, and not reopened.
        last: Time of the latest line of the file.
        stamp: Size and time of the file that this was read from.
    """

    path: Path
    codes: NDArray[np.uint8]
    decisions: dict[int, Decision] = field(default_factory=dict)
    steps: list[tuple[int, Decision | None]] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    closed: bool = False
    last: str = ""
    stamp: tuple[int, int] | None = None

    def add(self, decision: Decision) -> None:
        """Add a line to the file, never with an earlier time than the line before, should the clock be set back.

        Conversions go by the times, since a reviewer may have several files.

        Raises:
            OSError: The file cannot be written.
        """
        self.last = max(self.last, decision.time)
        add_decision(self.path, replace(decision, time=self.last))
        self.stamp = _stamp(self.path)

    def mark(self, kind: str, state: str, whole_state: str) -> None:
        """Set what the reviewer has said of all objects in a state, empty for any; ``whole_state`` is that of now."""
        self.marks.pop(state, None)
        self.marks[state] = kind
        if state in ("", whole_state):
            self.closed = kind == FINISHED
            self.finished |= self.closed

    def put(self, number: int, decision: Decision | None) -> None:
        """Set what is decided about an object; None for nothing."""
        if decision is None:
            self.decisions.pop(number, None)
        else:
            self.decisions[number] = decision
        self.codes[number] = 0 if decision is None else _CODES[decision.decision]

    def take_back(self, number: int) -> None:
        """Undo the last step of an object."""
        for i in reversed(range(len(self.steps))):
            if self.steps[i][0] == number:
                self.put(number, self.steps.pop(i)[1])
                return


class ReviewSet:
    """A converted set and its reviewers; safe among threads.

    Args:
        root: Folder of the set.
        out: Folder of the server's results; decisions go to ``<set>-<id>/reviews/<reviewer>.jsonl`` in it.

    Attributes:
        index: The objects.
        set_id: Id of the set.
        folder: Folder of the decisions.

    Raises:
        DataError: The set cannot be reviewed.
        OSError: A file cannot be read.
    """

    def __init__(self, root: Path, out: Path) -> None:
        try:
            self.index, self.set_id = InstanceIndex(root), read_set_id(root)
        except FileNotFoundError as error:
            name = Path(error.filename or "").name or str(error)
            raise DataError(f"this set cannot be reviewed: {name} is missing; convert it to its end") from error
        name = re.sub(r"[^\w-]", "_", root.resolve().name)[:60] or "set"
        self.folder = out / f"{name}-{self.set_id[:8]}" / "reviews"
        self.lock = threading.RLock()
        self._root = root
        self._reviewers: dict[str, Reviewer] = {}

    @property
    def is_current(self) -> bool:
        """Whether the set is still the one that was read."""
        try:
            return self.index.stamp == stamp_of(self._root)
        except FileNotFoundError:
            return False

    @property
    def takes_boxes(self) -> bool:
        """Whether a conversion can use redrawn boxes: not where objects are found by words, or masks are known."""
        manifest = self.index.labels.manifest or {}
        model = (manifest.get("predictor") or {}).get("name")
        return manifest.get("prompt") != "text" and model != "GroundTruthPredictor"

    def names(self) -> list[str]:
        """Reviewers with a file."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def reviewer(self, name: str) -> Reviewer:
        """A reviewer, as the file is now.

        Raises:
            DataError: The file is damaged.
        """
        with self.lock:
            path = self.folder / f"{name}.jsonl"
            stamp = _stamp(path)
            known = self._reviewers.get(name)
            if known is None or known.stamp != stamp:
                known = self._reviewers[name] = self._read(path)
                known.stamp = stamp
            return known

    def _read(self, path: Path) -> Reviewer:
        found = Reviewer(path, np.zeros(len(self.index), np.uint8))
        if not path.is_file():
            return found
        numbers: dict[tuple[str, ...], int | None] = {}
        for own in read_decisions(path, self.index.labels.table.classes):
            found.last = max(found.last, own.time)
            if own.decision in (FINISHED, REOPENED):
                found.mark(own.decision, own.state, self.index.whole_state)
                continue
            if own.key not in numbers:
                numbers[own.key] = self.index.find(own.tile, own.object_id, own.state)
            number = numbers[own.key]
            if number is None:
                continue
            if own.decision == "undo":
                found.take_back(number)
            else:
                found.steps.append((number, found.decisions.get(number)))
                found.put(number, own)
        return found

    def decide(self, name: str, number: int, decision: Decision) -> None:
        """Add a decision to the reviewer's file.

        Raises:
            FinishedError: The reviewer has finished.
            OSError: The file cannot be written.
        """
        with self.lock:
            known = self._open(name)
            known.add(decision)
            known.steps.append((number, known.decisions.get(number)))
            known.put(number, decision)

    def undo(self, name: str) -> int | None:
        """Take back the reviewer's last decision; returns the object's number, None where there is nothing to undo.

        Raises:
            FinishedError: The reviewer has finished.
            OSError: The file cannot be written.
        """
        with self.lock:
            known = self._open(name)
            if not known.steps:
                return None
            number, _ = known.steps[-1]
            last = known.decisions[number]
            known.add(Decision(last.set_id, name, time_text(), "undo", *last.key, last.label))
            known.take_back(number)
            return number

    def finish(self, name: str) -> None:
        """Note that the reviewer has finished.

        Raises:
            OSError: The file cannot be written.
        """
        with self.lock:
            known = self.reviewer(name)
            if not known.closed:
                self._mark(known, name, FINISHED)

    def reopen(self, name: str) -> None:
        """Note that a reviewer who has finished goes on.

        Raises:
            OSError: The file cannot be written.
        """
        with self.lock:
            known = self.reviewer(name)
            if known.closed:
                self._mark(known, name, REOPENED)

    def _mark(self, known: Reviewer, name: str, kind: str) -> None:
        whole = self.index.whole_state
        known.add(Decision(self.set_id, name, time_text(), kind, state=whole))
        known.mark(kind, whole, whole)

    def _open(self, name: str) -> Reviewer:
        """A reviewer who may decide; where a conversion has changed objects since the end, the next round begins."""
        known = self.reviewer(name)
        if known.closed:
            raise FinishedError(
                f"{name} has finished the review of this set, so nothing more is decided; 'Reopen my review' goes on, "
                "but what is decided then does not count for the agreement of reviewers"
            )
        if known.marks and next(reversed(known.marks)) != self.index.whole_state:
            self._mark(known, name, REOPENED)
        return known

    def others(self, name: str) -> Iterator[tuple[str, Reviewer]]:
        """The other reviewers."""
        for other in self.names():
            if other != name:
                yield other, self.reviewer(other)

    def choose(
        self, name: str, order: str, label: int | None, shown: str, start: int, limit: int
    ) -> tuple[list[int], int | None, int]:
        """Numbers of objects to show.

        Args:
            name: The reviewer.
            order: One of :data:`~rsseg.datasets.labels.index.ORDERS`.
            label: Class id; None for all.
            shown: One of :data:`SHOWN`.
            start: Place in the order of all objects to begin at.
            limit: How many.

        Returns:
            The numbers, the place to go on at (None at the end), and how many objects are shown in all.
        """
        with self.lock:
            numbers = self.index.order(order)
            kept = np.ones(len(numbers), bool) if label is None else self.index.label[numbers] == label
            if shown != "all":
                wanted = {"undecided": 0, "accept": 1, "reject": 2, "class": 3, "redraw": 4}[shown]
                kept &= self.reviewer(name).codes[numbers] == wanted
            places = np.flatnonzero(kept)
        at = int(np.searchsorted(places, start))
        chosen = places[at : at + limit]
        following = int(places[at + limit]) if at + limit < len(places) else None
        return numbers[chosen].tolist(), following, len(places)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
