"""Files of a converted dataset: every one is written under another name and then renamed.

======================  ===================================================================================
images/<tile>.png       the tile, 8-bit RGB; only where tiles were cut; or .tif, as ``tile_format`` of the config says
gray/<tile>.png         class ids, 8-bit, 255 = unlabelled, colours in the palette (mode P)
.parts/<stem>.json      one source image is finished: its tiles, instances, problems, files and their sizes
.job.json               what the outcome depends on, see :mod:`rsseg.io.jobs`; a rerun must agree with it
.exactness.json         how far an inexact predictor is from the exact one; only where one is used
======================  ===================================================================================
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.parts import decode_part, encode_part
from rsseg.errors import JobError
from rsseg.io.files import remove_abandoned, replacing
from rsseg.io.jobs import RECORD, Input, Job, Outputs
from rsseg.io.output_names import TILE, check_name, check_path, make_folder, outputs_by_item
from rsseg.io.sums import sum_of
from rsseg.io.tables import json_text
from rsseg.io.tile_files import encode_indices
from rsseg.metainfo import ClassTable

__all__ = ["Store", "encode_labels", "stable_hash"]

_PARTS = ".parts"
_FOLDERS = ("images", "gray", _PARTS)
_FILES = (
    RECORD, ".exactness.json", "instances.json", "tiles.csv", "train.txt", "val.txt", "splits.sha256",
    "manifest.json", "evaluation.json",
)  # fmt: skip
REPORT = "report"
"""Folder of the page of ``rsseg report labels``, unless another was given."""
_MERGE = "merge"
_UNLABELLED_COLOUR = (255, 255, 255)


def stable_hash(text: str) -> int:
    """64-bit hash of a text, the same in every process and on every machine."""
    return int(sum_of(text.encode("utf-8"))[:16], 16)


def encode_labels(labels: NDArray[np.uint8], table: ClassTable, tile_format: str = "png") -> bytes:
    """File of a label map (H, W) uint8 with the class colours as palette; 255 is white."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: table.num_classes] = table.palette
    palette[255] = _UNLABELLED_COLOUR
    return encode_indices(labels, palette, tile_format)


def _tag(owner: str) -> str:
    return _MERGE if owner == _MERGE else f"{stable_hash(owner):016x}"


class Store:
    """An output folder.

    Args:
        root: The folder; made where it is missing.

    Attributes:
        folders: Its folders, made where they are missing.
        files: Files beside them that are made from the parts.
        stale: Those of them that do not stay when the source images change.
        kind: What the folder holds, for messages.
        made: Lists of a part of which one is not empty where the source image gave anything.

    Raises:
        OSError: The folder cannot be made.
    """

    folders: tuple[str, ...] = _FOLDERS
    files: tuple[str, ...] = _FILES
    stale: tuple[str, ...] = (".exactness.json", "manifest.json", "evaluation.json")
    kind = "a conversion"
    made: tuple[str, ...] = ("tiles",)

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.job = Job(self.root, self.kind)
        for name in self.folders:
            make_folder(self.root, name)

    @contextmanager
    def replacing(self, name: str, owner: str = _MERGE) -> Iterator[IO[bytes]]:
        """Open a new version of file ``name``, which takes its place when the block ends without an error.

        Args:
            name: Path relative to the folder.
            owner: Stem of the source image the file belongs to, so that leftovers can be told apart.

        Raises:
            DataError: The path leads out of the folder.
            OSError: Writing failed, for example on a full disk; the message names the file.
        """
        if Path(check_path(name)).parent.name in self.folders:
            check_name(Path(name).stem)
        with replacing(self.root / name, _tag(owner)) as file:
            yield file

    def write(self, name: str, data: bytes, owner: str = _MERGE) -> int:
        """Write file ``name`` at once; returns its size in bytes."""
        with self.replacing(name, owner) as file:
            file.write(data)
        return len(data)

    def write_json(self, name: str, value: Any, owner: str = _MERGE, indent: int | None = None) -> None:
        """Write ``value`` as UTF-8 JSON."""
        self.write(name, (json_text(value, indent) + "\n").encode("utf-8"), owner)

    def claim(
        self,
        depends: dict[str, Any],
        inputs: Mapping[str, Mapping[str, Input]],
        cut: bool,
        update: bool = False,
        free: Container[str] = (),
    ) -> None:
        """Write down what decides the outcome, or compare it with what an earlier run wrote.

        Args:
            depends: What every file depends on, as JSON values.
            inputs: What the files of each source image depend on, by its stem.
            cut: Whether tiles are cut, whose names go on after the stem.
            update: Delete the files of source images that changed or are gone, instead of refusing them.
            free: Kinds of inputs for which that is done without ``update``.

        Raises:
            JobError: The folder holds work that was made from something else; the message says from what.
        """
        shared = [self.root / name for name in self.stale]
        outputs = Outputs(
            partial(self._files_by_stem, cut), self._was_finished, shared, self._notes, self._made_something
        )
        self.job.claim(depends, inputs, outputs, update, free=free)

    def _files_by_stem(self, cut: bool) -> dict[str, list[Path]]:
        """Files of every source image, its part last: while that is there, all are known."""
        found = outputs_by_item((self.root / name for name in self.folders if name != _PARTS), TILE if cut else "")
        for stem, paths in outputs_by_item([self.root / _PARTS]).items():
            found[stem] += paths
        return found

    def _was_finished(self, stem: str) -> bool:
        part = self._load_part(stem)
        return part is not None and self.is_good(part)

    def _made_something(self, stem: str) -> bool:
        part = self._load_part(stem) or {}
        return any(part.get(name) for name in self.made)

    def _notes(self, stem: str) -> list[Path]:
        part = self._load_part(stem)
        return [] if part is None or self.is_good(part) else [self.part_path(stem)]

    @staticmethod
    def is_good(part: Mapping[str, Any]) -> bool:
        """Whether a part says that all went well; others are made again by the next run."""
        return not part["failed"]

    def remove_leftovers(self) -> None:
        """Delete temporary files of processes that were killed."""
        for folder in (self.root, *(self.root / name for name in self.folders)):
            remove_abandoned(folder)

    def clear(self) -> None:
        """Delete what a conversion wrote here, and nothing else.

        Raises:
            JobError: The folder holds files but no conversion.
        """
        old = self.root / ".config.json"  # what earlier versions wrote instead of the record
        if not (self.job.path.exists() or old.exists()) and any((self.root / name).exists() for name in self.files):
            raise JobError(f"{self.root} was not written by a conversion; remove it yourself or choose another")
        for name in (*self.files, old.name):
            (self.root / name).unlink(missing_ok=True)
        if self.has_report():
            shutil.rmtree(self.root / REPORT)
        for name in self.folders:
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir()

    def has_report(self) -> bool:
        """Whether ``rsseg report labels`` has written its page here."""
        return all((self.root / REPORT / name).is_file() for name in ("report.html", "totals.json"))

    def part_path(self, stem: str) -> Path:
        """Where the part of a source image is or will be."""
        return self.root / _PARTS / f"{stem}.json"

    def read_part(self, stem: str) -> dict[str, Any] | None:
        """The part of a source image as :func:`~rsseg.conversion.parts.decode_part` gives it; None: not finished.

        A part counts when it is whole, was made from the inputs that are there now, and all its files are there with
        the sizes it states; or where it says that the image could not be converted, which is tried again anyway.
        """
        part = self._load_part(stem)
        if part is None or (self.is_good(part) and part.get("inputs") != self.job.code(stem)):
            return None
        return part

    def _load_part(self, stem: str) -> dict[str, Any] | None:
        try:
            with open(f"{self.root}/{_PARTS}/{stem}.json", "rb") as file:  # a Path for each of 100,000 takes as long
                part = decode_part(file.read())
            whole = "failed" in part and all(
                os.stat(f"{self.root}/{name}").st_size == size for name, size in part["files"].items()
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return part if whole else None

    def write_part(self, stem: str, part: dict[str, Any]) -> None:
        """Write the part of a source image, once all its files are there.

        Raises:
            JobError: Another process has claimed the folder with another config.
        """
        self.job.confirm()
        self.write(f"{_PARTS}/{stem}.json", encode_part({**part, "inputs": self.job.code(stem)}), owner=stem)
