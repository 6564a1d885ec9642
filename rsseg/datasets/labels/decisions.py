"""What reviewers decided about the objects of a converted set.

A decision says all that is needed to use it: for which set, by whom and when, about which object, and what the object
looked like (``state``), so that it is never applied to another object after the labels changed.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import DataError
from rsseg.io.jobs import RECORD
from rsseg.io.limits import check_pixels
from rsseg.io.output_names import check_name, check_path
from rsseg.io.sums import sum_of
from rsseg.io.tables import json_text, read_json
from rsseg.structures.masks import rle_to_crop

__all__ = [
    "DECISIONS", "FINISHED", "REOPENED", "REVIEWER", "Decision", "Key", "decision_of", "last_decisions", "read_set_id",
    "set_id_of", "state_of", "time_text", "unseen_decisions",
]  # fmt: skip

DECISIONS = ("accept", "reject", "class", "box", "mask", "undo")
FINISHED = "finished"
"""What stands for a decision in a line by which a reviewer says that the review is finished."""
REOPENED = "reopened"
"""The same where the reviewer goes on after that, having seen what others decided; or begins the next round."""
_MARKS = (FINISHED, REOPENED)
REVIEWER = r"[\w.-]{1,64}"
"""Names of reviewers: letters, digits, ``_``, ``.`` and ``-``, not beginning with a dot."""
_COMMENT, _FARTHEST, _DIGITS = 1000, 1e5, 16
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_KEYS = ("set", "reviewer", "time", "source", "tile", "object", "state", "label", "decision", "class", "box", "mask",
         "comment")  # fmt: skip

Key = tuple[str, str, str, str]
"""Source image, tile, object and state."""


@dataclass(frozen=True)
class Decision:
    """One line of a file of decisions.

    Attributes:
        set_id: Which labels it was made for, see :func:`set_id_of`.
        reviewer: Who decided, see ``REVIEWER``.
        time: When, UTC, for example ``2026-11-30T06:40:00Z``.
        decision: One of ``DECISIONS``, ``FINISHED`` or ``REOPENED``.
        source: The source image, as ``tiles.csv`` names it.
        tile: Its tile.
        object_id: The object's name in its source.
        state: What the object looked like, see :func:`state_of`; of ``FINISHED`` and ``REOPENED`` all objects,
            or empty.
        label: Name of its class then.
        new_class: Name of the class that it should have; beside ``class`` also with ``box`` and ``mask``.
        box: x1 y1 x2 y2 in tile pixels that the mask model should be asked with.
        mask: The mask that it should have: compressed COCO RLE of the tile's size.
        comment: What the reviewer says about it.
    """

    set_id: str
    reviewer: str
    time: str
    decision: str
    source: str = ""
    tile: str = ""
    object_id: str = ""
    state: str = ""
    label: str = ""
    new_class: str | None = None
    box: tuple[float, ...] | None = None
    mask: dict[str, Any] | None = None
    comment: str | None = None

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.source, self.tile, self.object_id, self.state

    @property
    def verdict(self) -> str:
        """The decision with the new class, whatever was drawn: what reviewers agree or disagree in."""
        word = "redraw" if self.decision in ("box", "mask") else self.decision
        return word if self.new_class is None else f"{word}: {self.new_class}"

    def as_row(self) -> dict[str, Any]:
        """JSON values, without keys that say nothing."""
        values = (self.set_id, self.reviewer, self.time, self.source, self.tile, self.object_id, self.state, self.label,
                  self.decision, self.new_class, self.box, self.mask, self.comment)  # fmt: skip
        return {key: value for key, value in zip(_KEYS, values, strict=True) if value not in (None, "")}


def time_text() -> str:
    """The time now as it stands in a decision."""
    return time.strftime(_TIME, time.gmtime())


def set_id_of(depends: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for what decides the labels of a set: classes, prompts, transforms, tiles and mask model.

    Args:
        depends: What the record of the conversion says; where its files lie does not count.
    """
    names = ("class_table", "prompt", "pipeline", "tiling", "predictor")
    known = {name: depends.get(name) for name in names} | {"format": depends.get("source", {}).get("format")}
    return sum_of(json_text(known).encode())[:_DIGITS]


def read_set_id(root: Path) -> str:
    """The id of a converted set, by the record of its conversion.

    Raises:
        FileNotFoundError: The folder has no record.
        DataError: The record is damaged.
    """
    depends = read_json(root / RECORD).get("depends")
    if not isinstance(depends, dict) or not isinstance(depends.get("source", {}), dict):
        raise DataError(f"{root / RECORD}: 'depends' is missing or damaged; convert again")
    return set_id_of(depends)


def state_of(label: str, row: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for an object as it is: class, mask and boxes.

    Args:
        label: Name of its class.
        row: ``segmentation`` (compressed RLE), ``prompt_box`` and ``qbox`` as in ``instances.json``.
    """
    shape = row["segmentation"]
    seen = [label, shape["size"], shape["counts"], row.get("prompt_box"), row.get("qbox")]
    return sum_of(json_text(seen).encode())[:_DIGITS]


def decision_of(row: Any, where: str, classes: Sequence[str] | None = None) -> Decision:
    """A decision from the JSON values of a line.

    Args:
        row: The values.
        where: Opens messages: file and line.
        classes: Names of the classes that there are; None takes any.

    Raises:
        DataError: Something is missing or not allowed.
    """
    if not isinstance(row, dict):
        raise DataError(f"{where}: a line must be a JSON object, found {str(row)[:60]!r}")
    if unknown := sorted(row.keys() - set(_KEYS)):
        raise DataError(f"{where}: unknown key {unknown[0]!r}; expected some of: {', '.join(_KEYS)}")
    kind, own = row.get("decision"), _texts(row, where)
    if kind in _MARKS:
        return Decision(own["set"], own["reviewer"], own["time"], kind, state=own.get("state", ""))
    if kind not in DECISIONS:
        raise DataError(f"{where}: decision must be one of {', '.join([*DECISIONS, *_MARKS])}, found {kind!r}")
    for name in ("source", "tile", "object", "state", "label"):
        if not own.get(name):
            raise DataError(f"{where}: {name!r} must be a text, found {row.get(name)!r}")
    check_path(own["source"], where)
    check_name(own["tile"], where)
    given = {name for name in ("class", "box", "mask") if row.get(name) is not None}
    needed = {kind} & {"class", "box", "mask"}
    if not needed <= given or given - needed - ({"class"} if kind in ("box", "mask") else set()):
        wanted = f"exactly {', '.join(needed) or 'none'} of class, box and mask"
        raise DataError(f"{where}: the decision {kind!r} needs {wanted}, found {', '.join(sorted(given)) or 'none'}")
    new_class = own.get("class")
    if new_class is not None and classes is not None and new_class not in classes:
        raise DataError(f"{where}: there is no class {new_class!r}; expected one of: {', '.join(classes)}")
    return Decision(
        own["set"], own["reviewer"], own["time"], kind, own["source"], own["tile"], own["object"], own["state"],
        own["label"], new_class, _box(row.get("box"), where), _mask(row.get("mask"), where), own.get("comment"),
    )  # fmt: skip


def _texts(row: Mapping[str, Any], where: str) -> dict[str, str]:
    """The values that are texts, checked."""
    own = {}
    for name in _KEYS:
        value = row.get(name)
        if name in ("box", "mask", "decision") or value is None:
            continue
        if not isinstance(value, str) or len(value) > _COMMENT or any("\ud800" <= char <= "\udfff" for char in value):
            raise DataError(f"{where}: {name!r} must be a text of up to {_COMMENT} characters, found {str(value)[:60]}")
        own[name] = value
    patterns = {"set": r"[0-9a-f]{16}", "reviewer": REVIEWER}
    for name, pattern in patterns.items():
        if not re.fullmatch(pattern, own.get(name, "")) or own[name].startswith("."):
            what = "16 hexadecimal digits" if name == "set" else "letters, digits, '_', '.' and '-', 64 at most"
            raise DataError(f"{where}: {name!r} must consist of {what}, found {row.get(name)!r}")
    try:
        time.strptime(own.get("time", ""), _TIME)
    except ValueError:
        raise DataError(f"{where}: 'time' must be UTC as 2026-11-30T06:40:00Z, found {row.get('time')!r}") from None
    return own


def _box(value: Any, where: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = value if isinstance(value, list | tuple) else []
    good = len(numbers) == 4 and all(type(v) in (int, float) and abs(v) < _FARTHEST for v in numbers)
    if not good or not all(math.isfinite(v) for v in numbers) or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise DataError(f"{where}: 'box' must be x1 y1 x2 y2 in pixels with x1 < x2 and y1 < y2, found {value!r}")
    return tuple(round(float(v), 4) for v in numbers)


def _mask(value: Any, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    size: Any
    size, counts = (value.get("size"), value.get("counts")) if isinstance(value, dict) else (None, None)
    whole = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if not whole or not isinstance(counts, str):
        raise DataError(f"{where}: 'mask' must be a compressed RLE of the tile, found {str(value)[:60]}")
    check_pixels((size[0], size[1]), where, "the mask")
    try:
        area = rle_to_crop({"size": size, "counts": counts}).area
    except ValueError as error:
        raise DataError(f"{where}: 'mask': {error}") from error
    if not area:
        raise DataError(f"{where}: 'mask' has no pixels; reject the object instead")
    return {"size": size, "counts": counts}


def last_decisions(decisions: Iterable[Decision]) -> dict[Key, dict[str, Decision]]:
    """What counts: the last decision of each reviewer about each object, by its key.

    ``undo`` takes back the reviewer's last one about the object, so that the one before counts again.
    """
    found: dict[Key, dict[str, list[Decision]]] = {}
    for own in sorted(decisions, key=lambda decision: decision.time):
        if own.decision in _MARKS:
            continue
        stack = found.setdefault(own.key, {}).setdefault(own.reviewer, [])
        if own.decision != "undo":
            stack.append(own)
        elif stack:
            stack.pop()
    last = {key: {name: own[-1] for name, own in sorted(each.items()) if own} for key, each in sorted(found.items())}
    return {key: reviewers for key, reviewers in last.items() if reviewers}


def unseen_decisions(decisions: Iterable[Decision]) -> list[Decision]:
    """Those that reviewers made before they could see what others decided, by time: all that agreement may count.

    Nothing counts that a reviewer decided after ``FINISHED``.  After ``REOPENED`` it counts again only where the
    objects, all together, are not those of a finished review: they were changed since, which begins another round.
    ``undo`` counts where it takes back what counts, so that taking back what does not leaves the rest as it is.
    """
    found, seen, open_ = list[Decision](), dict[str, set[str]](), dict[str, bool]()
    counted = dict[tuple[str, Key], list[bool]]()
    for own in sorted(decisions, key=lambda decision: decision.time):
        states, counts = seen.setdefault(own.reviewer, set()), open_.get(own.reviewer, True)
        if own.decision == FINISHED:
            states.add(own.state)
            open_[own.reviewer] = False
        elif own.decision == REOPENED:
            open_[own.reviewer] = not states & {own.state, ""}
        else:
            stack = counted.setdefault((own.reviewer, own.key), [])
            if own.decision != "undo":
                stack.append(counts)
            elif stack:
                counts &= stack.pop()
            if counts:
                found.append(own)
    return found
