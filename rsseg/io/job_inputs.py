"""What the outputs of an item depend on: its state in a record, and what has changed since, for people to read."""

from __future__ import annotations

import os
import threading
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.io.files import sha256_of
from rsseg.io.progress import Progress

__all__ = ["Input", "Inputs", "changes", "describe_changes", "states_of"]

_NAMED = 3
_MANY = 2000
"""From so many items on, it is shown how far reading them is."""
_WHAT = {"labels": "label file", "image": "image", "truth": "ground-truth file", "truth1": "ground-truth file"}


@dataclass(frozen=True)
class Input:
    """One thing that the outputs of an item depend on.

    Attributes:
        path: A file.
        name: What it is called in the record and in messages; it counts as a change where it differs.
        digest: The content, where it is not a file of its own, for example one image's part of a COCO file.
        always: Compare the content even where size and time of modification are the same.
        hashed: Take a SHA-256 at all; otherwise size and time of modification are the content.
    """

    path: Path
    name: str
    digest: str | None = None
    always: bool = False
    hashed: bool = True

    def state(self, before: Any = None) -> Any:
        """What the record says of it: name, content; or name, bytes, time of modification in ns and maybe SHA-256.

        Args:
            before: What it said; a SHA-256 is taken from there where size and time are still the same.

        A file that cannot be read has no content; the job itself says what is wrong.
        """
        if self.digest is not None:
            return [self.name, self.digest]
        try:
            found = self.path.stat()
            if self.always:
                return [self.name, sha256_of(self.path)[:32]]
            if isinstance(before, list) and before[1:3] == [found.st_size, found.st_mtime_ns]:
                return [self.name, *before[1:]]
            if not self.hashed:
                return [self.name, found.st_size, found.st_mtime_ns]
            return [self.name, found.st_size, found.st_mtime_ns, sha256_of(self.path)[:32]]
        except OSError:
            return [self.name, None]


Inputs = Mapping[str, Input]
"""Kind (``labels``, ``image``, ``truth``) -> input."""


def states_of(items: Mapping[str, Inputs], known: Mapping[str, Any]) -> dict[str, Any]:
    """The state of every item's inputs, in the items' sorted order; files are read by several threads."""

    names = sorted(items)
    progress = Progress(len(names), "compare inputs", verbose=len(names) > _MANY, unit="item")
    lock = threading.Lock()

    def states(name: str) -> dict[str, Any]:
        old = known.get(name, {})
        found = {kind: given.state(old.get(kind)) for kind, given in items[name].items()}
        with lock:
            progress.step()
        return found

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="hash") as pool:
        return dict(zip(names, pool.map(states, names), strict=True))


def _differs(old: Any, new: Any) -> bool:
    """Whether name or content differ; where there is a SHA-256, the time of modification alone does not count."""
    if old is None or new is None or len(old) != len(new):
        return True
    return bool([old[0], old[-1]] != [new[0], new[-1]] if len(old) == 4 else old != new)


def changes(old: Mapping[str, Any], new: Mapping[str, Any] | None) -> list[str]:
    """Kinds of inputs that changed; ``gone`` where the item is no more."""
    if new is None:
        return ["gone"]
    return [kind for kind in {**old, **new} if _differs(old.get(kind), new.get(kind))]


def describe_changes(
    names: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any], free: Container[str] = ()
) -> list[str]:
    """One line for each kind of change but those of ``free``: how many items, and the first three."""
    found: dict[str, list[str]] = {}
    for name in names:
        for kind in changes(old[name], new.get(name)):
            if kind in free:
                continue
            state = {**old[name], **new.get(name, {})}.get(kind)
            found.setdefault(kind, []).append(name if state is None else str(state[0]))
    lines = []
    for kind, own in found.items():
        many = len(own) > 1
        if kind == "review":
            text = f"image{'s have' if many else ' has'} other decisions of reviewers (--review) than before"
        elif kind != "gone":
            text = f"{_WHAT.get(kind, kind)}{'s' if many else ''} changed"
        elif "labels" in old[names[0]]:
            text = "images or their label files are gone" if many else "image or its label file is gone"
        else:
            what = "tile" if "tile" in old[names[0]] else "image"
            text = f"{what}s are gone" if many else f"{what} is gone"
        named = ", ".join([*own[:_NAMED], *(["..."] if len(own) > _NAMED else [])])
        lines.append(f"{len(own)} {text} ({named})")
    return lines
