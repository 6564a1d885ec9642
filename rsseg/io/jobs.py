"""What finished work was made from: one record for each output folder, so that a rerun knows what it may keep.

A job *claims* its folder with everything that its outputs depend on: settings, the content of class tables, the
SHA-256 of weights, the version of rsseg, and for each item (usually a source image) the content of its label file and
the size, time and SHA-256 of its image.  A later run with other inputs is an error that names what changed; with
``update`` the outputs of changed and removed items are deleted *before* the new record takes its place, so an output
that exists was made from the recorded inputs, whenever the process was killed.

Images are compared by size and time of modification, and by SHA-256 where only the time differs: a rerun does not read
them all, and a copy of the same files is no change.  Label files are small and always compared by content.  Where
making things again costs little more than a SHA-256 (cutting tiles), size and time must do.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rsseg
from rsseg.errors import DataError, JobError
from rsseg.io.files import locked, replacing
from rsseg.io.job_inputs import Input, Inputs, changes, describe_changes, states_of
from rsseg.io.records import differences, dump_record, is_record
from rsseg.io.tables import read_json

__all__ = ["RECORD", "Input", "Job", "Outputs"]

_log = logging.getLogger("rsseg")
RECORD = ".job.json"


@dataclass(frozen=True)
class Outputs:
    """What a job knows about its own output files.

    Attributes:
        files: Files that exist, by item; called only where some must go.
        finished: Whether an item was finished by an earlier run; what was not is made again without a word.
        shared: Files that are made from all items; they go where the items change.
        worth: Whether an earlier run made anything of an item that is finished; an image without objects has nothing.
        notes: Files of an item that only say that it could not be made; they stay while the item is there.
    """

    files: Callable[[], Mapping[str, Sequence[Path]]]
    finished: Callable[[str], bool] = lambda name: True
    shared: Sequence[Path] = ()
    notes: Callable[[str], Sequence[Path]] = lambda name: ()
    worth: Callable[[str], bool] = lambda name: True

    @classmethod
    def existing(cls, files: Callable[[], Mapping[str, Sequence[Path]]]) -> Outputs:
        """Outputs of a job in which an item was begun where any file of it is there."""
        listed = functools.cache(files)
        return cls(listed, lambda name: bool(listed().get(name)))


_NOTHING = Outputs(dict)


@dataclass
class Job:
    """The record of one output folder.

    Attributes:
        root: The folder; made when it is claimed.
        kind: What the folder holds, for messages, for example ``a conversion``.
        record: Name of the record in it.
        hint: What to do where settings differ, in a sentence's end.
        items: State of each item's inputs, once claimed.
        redone: Items whose outputs ``update`` has deleted.
        own: Whether an item of the record was the business of the last claim.
        depends: What all outputs depend on, once claimed.
        claimed: State of the record's file then.
    """

    root: Path
    kind: str
    record: str = RECORD
    hint: str = "choose another --out, or delete the old one with --overwrite"
    items: dict[str, Any] = field(default_factory=dict)
    redone: list[str] = field(default_factory=list)
    own: Callable[[str], bool] = lambda name: True
    depends: dict[str, Any] = field(default_factory=dict)
    claimed: tuple[int, int, int] | None = None

    @property
    def path(self) -> Path:
        """File of the record."""
        return self.root / self.record

    def read(self) -> dict[str, Any] | None:
        """The record, or None where there is none.

        Raises:
            JobError: It is damaged.
        """
        try:
            record = dict(read_json(self.path))
        except FileNotFoundError:
            return None
        except DataError as error:
            raise JobError(f"{error}; remove {self.root} and start again") from error
        if not is_record(record):
            raise JobError(f"{self.path} is damaged; remove {self.root} and start again")
        return record

    def claim(
        self,
        depends: Mapping[str, Any],
        items: Mapping[str, Inputs] | None = None,
        outputs: Outputs = _NOTHING,
        update: bool = False,
        own: Callable[[str], bool] = lambda name: True,
        free: Container[str] = (),
    ) -> None:
        """Write down what the outputs depend on, or compare it with what an earlier run wrote.

        Args:
            depends: What all outputs depend on, as JSON values.
            items: What the outputs of each item depend on besides.
            outputs: The files that are there.
            update: Delete the outputs of items that changed or are gone, and go on with what another version of rsseg
                finished; otherwise both are errors.
            own: Whether an item of the record is this call's business; all others stay as they are.
            free: Kinds of inputs that may change without ``update``: only those items are made again.

        Raises:
            JobError: The folder holds work that was made from something else; the message says from what.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.own = own
        now = json.loads(json.dumps(dict(depends)))
        with locked(self.root):
            before = self.read()
            known = before.get("items", {}) if before else {}
            others = {name: state for name, state in known.items() if not own(name)}
            self.items = dict(sorted({**others, **states_of(items or {}, known)}.items()))
            if before is None:
                self._refuse_unknown(outputs, update)
            else:
                self._compare(before, now, known, outputs, update, free)
            text: dict[str, Any] = {"kind": self.kind, "version": rsseg.__version__, "depends": now}
            if items is not None:
                text["items"] = self.items
                failed = [n for n in (before or {}).get("failed", []) if known.get(n) == self.items.get(n, 0)]
                text |= {"failed": failed} if failed else {}
            if text != before:
                for path in outputs.shared if known != self.items else ():
                    path.unlink(missing_ok=True)
                with replacing(self.path, "job") as file:
                    file.write(dump_record(text))
            self.depends, self.claimed = now, self._state()

    def check(self, depends: Mapping[str, Any], update: bool = False) -> None:
        """As :meth:`claim`, for a folder without items that another call will claim; nothing is written."""
        before = self.read()
        if before is not None:
            self._compare(before, json.loads(json.dumps(dict(depends))), {}, _NOTHING, update)

    def mark(self, failed: Iterable[str]) -> None:
        """Note the items that could not be made, so that a run with mended inputs makes them without a word.

        Args:
            failed: Names of items; all others of the last claim count as good.
        """
        with locked(self.root):
            record = self.read() or {}
            names = sorted({*failed, *(name for name in record.get("failed", []) if not self.own(name))})
            if record.get("failed", []) != names:
                record.pop("failed", None)
                with replacing(self.path, "job") as file:
                    file.write(dump_record({**record, "failed": names} if names else record))

    def code(self, name: str) -> str:
        """The content of an item's inputs in short, for the job's own files; times of modification do not count."""
        return " ".join(str(state[-1]) for state in self.items.get(name, {}).values())

    def _refuse_unknown(self, outputs: Outputs, update: bool) -> None:
        """Without a record nobody knows what the files that are there were made from; ``update`` makes them again."""
        files = outputs.files()
        found = [path for name in self.items for path in files.get(name, ())]
        if found and not update:
            raise JobError(
                f"{self.root} holds {len(found)} files that this run would write, such as {found[0].name}, but no "
                f"record ({self.record}) of what they were made from. Use --update to make them again; or {self.hint}."
            )
        for path in found:
            path.unlink(missing_ok=True)

    def _compare(
        self,
        before: dict[str, Any],
        now: dict[str, Any],
        known: dict[str, Any],
        outputs: Outputs,
        update: bool,
        free: Container[str] = (),
    ) -> None:
        """Refuse what cannot be continued; with ``update`` delete what must be made again."""
        changed = differences(before.get("depends", {}), now)
        failed = set(before.get("failed", []))
        begun = outputs is not _NOTHING and any(
            outputs.finished(name) and outputs.worth(name) for name in known if name not in failed
        )
        if changed and known and outputs is not _NOTHING and not begun:
            self._start_anew(known, outputs)
            return
        if changed:
            no = "; --update cannot help, since everything depends on it" if update else ""
            raise JobError(f"{self.root} holds {self.kind} with another config: {'; '.join(changed)}{no}. "
                           f"{self.hint[:1].upper()}{self.hint[1:]}.")  # fmt: skip
        stale = [name for name in known if changes(known[name], self.items.get(name))]
        done = [name for name in stale if name not in failed and outputs.finished(name)]
        version = before.get("version")
        lines = describe_changes(done, known, self.items, () if update else free)
        if version != rsseg.__version__:
            lines.insert(0, f"rsseg was {version}, now {rsseg.__version__}, which may give other results")
        if lines and not update:
            raise JobError(
                f"{self.root} holds {self.kind} made from other inputs: {'; '.join(lines)}. "
                f"Use --update to redo only what changed; or {self.hint}."
            )
        for line in lines:
            _log.info("update of %s: %s", self.root, line)
        if stale:
            files = outputs.files()
            for name in stale:
                kept = outputs.notes(name) if name in self.items else ()
                for path in files.get(name, ()):
                    if path not in kept:
                        path.unlink(missing_ok=True)
        self.redone = done

    def _start_anew(self, known: Mapping[str, Any], outputs: Outputs) -> None:
        """An earlier run with another config finished nothing, so there is nothing to keep."""
        files = outputs.files()
        for path in [*outputs.shared, *(path for name in known for path in files.get(name, ()))]:
            path.unlink(missing_ok=True)
        _log.info("%s: an earlier run with another config finished nothing; this one starts anew", self.root)

    def confirm(self) -> None:
        """See that no other process has claimed the folder for something else since.

        Raises:
            JobError: One has.
        """
        state = self._state()
        if state != self.claimed:
            record = self.read()
            if record is None or record["depends"] != self.depends:
                raise JobError(f"{self.root}: another process has started {self.kind} with another config here")
            self.claimed = state

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
