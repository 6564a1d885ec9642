"""How far two sets of labels of the same images agree: two annotators, or an annotator and a model.

Source: OpenEarthMap paper, sections 2.2 (share of equal pixels) and 3.4 (IoU between two annotations).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.labels import read_labels
from rsseg.io.listing import LABEL_SUFFIXES, find_files, has_suffix
from rsseg.io.names import match_names, read_names
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened
from rsseg.io.workers import map_threads
from rsseg.metainfo import IGNORE, ClassTable, load_metainfo, merged_ids, unmatched_ids
from rsseg.structures.confusion import cohen_kappa, confusion_matrix, scores

__all__ = ["Agreement", "LabelFolder", "compare_folders"]

_log = logging.getLogger("rsseg")
_BESIDE = ("_probabilities", "_overlay")  # of a map

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LabelFolder:
    """Label files of one hand.

    Attributes:
        path: Folder; files are found in any sub-folders, where there are folders called ``labels`` only in those.
        table: Class table of the values.
        common: Common table into which its classes merge; None keeps them.
    """

    path: Path
    table: str
    common: str | None = None

    def files(self) -> list[Path]:
        """Label files, sorted; what else tools write beside a map (probabilities, overlays) is left out.

        Raises:
            FileNotFoundError: There are none.
        """
        found = find_files(self.path, LABEL_SUFFIXES, "label files")
        found = [path for path in found if path.parent.name == "labels"] or found
        names = {path.with_suffix("") for path in found}
        return [path for path in found if not any(path.with_name(path.stem.removesuffix(end)) in names
                                                  for end in _BESIDE if path.stem.endswith(end))]  # fmt: skip

    def named(self, files: Sequence[Path], by_folder: bool) -> dict[str, Path]:
        """Label files by their name without suffix; or with their folders, other than ``labels`` and ``images``.

        Raises:
            DataError: Two have the same name.
        """
        out: dict[str, Path] = {}
        for path in files:
            folders = [part for part in path.relative_to(self.path).parts[:-1] if part not in ("labels", "images")]
            name = "/".join([*folders, path.stem]) if by_folder else path.stem
            if out.setdefault(name, path) != path:
                raise DataError(f"{out[name]} and {path} have the same name, {name}; rename or remove one")
        return out

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Class ids (H, W) of a label file, or of a map by ``rsseg map``; 255 where there is no label.

        Raises:
            OSError: It cannot be read.
            UserError: It holds a value that the table does not allow, or is a map of other classes.
        """
        table = load_metainfo(self.table)
        ids = None if path.suffix.lower() == ".png" else _map_ids(path, table)
        if ids is None:
            ids = table.encode(read_labels(str(path)), str(path))
        return ids if self.common is None else merged_ids(self.common, self.table)[ids]


def _map_ids(path: Path, table: ClassTable) -> NDArray[np.uint8] | None:
    """The values of a map, which names its classes and holds their ids; None for a label file."""
    with opened(path) as file:
        named = {key[6:]: name for key, name in file.tags(1).items() if key.startswith("class_")}
    if not named:
        return None
    if named != {str(i): name for i, name in enumerate(table.classes)}:
        raise DataError(f"{path} is a map of {', '.join(named.values())}, not of {table.name}'s classes")
    return read_labels(path)


@dataclass
class Agreement:
    """Outcome of a comparison in C classes.

    Attributes:
        classes: Names of the classes.
        names: N compared files, without suffix.
        confusions: (N, C, C) int64 pixels by class in the first and in the second folder.
        unscored: Ids of common classes that one of the label sets has nothing for; the means leave them out.
        unlabelled: Pixels that are unlabelled in at least one folder, or whose class is not in the common table; they
            are not scored.
        alone: Files that only the first and only the second folder has.
        problems: Files that could not be compared, with the reason.
    """

    classes: tuple[str, ...]
    names: list[str] = field(default_factory=list)
    confusions: Ints = field(default_factory=lambda: np.zeros((0, 0, 0), np.int64))
    unscored: tuple[int, ...] = ()
    unlabelled: int = 0
    alone: tuple[int, int] = (0, 0)
    problems: list[str] = field(default_factory=list)

    @property
    def confusion(self) -> Ints:
        """(C, C) int64 over all files."""
        return self.confusions.sum(0)

    @property
    def equal(self) -> float:
        """Share of the pixels labelled by both that have the same class."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond what labels with these class shares reach by chance."""
        return cohen_kappa(self.confusion)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """As :func:`rsseg.structures.confusion.scores`; IoU and F1 do not depend on which folder is the first."""
        return scores(self.confusion, self.unscored)


def compare_folders(
    first: LabelFolder, second: LabelFolder, names: Sequence[str] | Path | None = None, workers: int = 1
) -> Agreement:
    """Compare the files that both folders have.

    Args:
        first: Labels of one source; the rows of the confusion matrix.
        second: Labels of the other; its columns.
        names: Files to compare, or a list with one name per line, with or without suffix and folders; None takes
            all that both have.
        workers: Threads.

    Raises:
        FileNotFoundError: A folder has no labels, or lacks one of ``names``.
        UserError: The classes differ (name a common table), no file is in both folders, or ``names`` is empty.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag
    tables = [load_metainfo(folder.common or folder.table) for folder in (first, second)]
    if tables[0].classes != tables[1].classes:
        raise ConfigError(
            f"{first.table} and {second.table} have different classes; name a common class table with --merge, such "
            "as landcover6"
        )
    files = _by_name(first, second)
    both = sorted(files[0].keys() & files[1].keys())
    unscored = unmatched_ids(first.common, first.table, second.table) if first.common else ()
    alone = len(files[0]) - len(both), len(files[1]) - len(both)
    out = Agreement(tables[0].classes, unscored=unscored, alone=alone)
    if names is not None:
        both = _chosen(names, both)
    if not both:
        examples = next(iter(files[0])), next(iter(files[1]))
        raise ConfigError(
            f"{first.path} and {second.path} have no file name in common; the first files are {examples[0]} and "
            f"{examples[1]}"
        )
    todo, rows, progress = [(files[0][name], files[1][name]) for name in both], [], Progress(len(both), "compare")
    done = map_threads(lambda pair: _compare(first, second, *pair), todo, workers)
    for name, row in zip(both, done, strict=True):
        if isinstance(row, str):
            out.problems.append(row)
            _log.warning("left out: %s", row)
        else:
            out.names.append(name)
            out.unlabelled += row[1]
            rows.append(row[0])
        progress.step()
    progress.close()
    count = len(out.classes)
    out.confusions = np.array(rows, np.int64).reshape(-1, count, count)
    return out


def _by_name(first: LabelFolder, second: LabelFolder) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files of both folders by the names that pair them: with their folders where names alone are not unique."""
    found = first.files(), second.files()
    by_folder = any(len({path.stem for path in files}) < len(files) for files in found)
    return first.named(found[0], by_folder), second.named(found[1], by_folder)


def _chosen(names: Sequence[str] | Path, both: Sequence[str]) -> list[str]:
    """The files that ``names`` mean, sorted."""
    listing = names if isinstance(names, Path) else "the list"
    given = read_names(names, "a text file with one name per line") if isinstance(names, Path) else names
    if not given:
        raise ConfigError("the list of files to compare is empty")
    known = set(both)
    by_folder = {name: str(Path(name).with_suffix("")) for name in given if has_suffix(name, LABEL_SUFFIXES)}
    given = [by_folder[name] if by_folder.get(name) in known else name for name in given]
    return sorted(match_names(given, known, listing, "common file", LABEL_SUFFIXES))


def _compare(first: LabelFolder, second: LabelFolder, one: Path, other: Path) -> tuple[Ints, int] | str:
    """Confusion matrix and unlabelled pixels; or why the files cannot be compared."""
    try:
        a, b = first.read(one), second.read(other)
        if a.shape != b.shape:
            raise DataError(f"{one} has {a.shape} pixels (H, W), but {other} has {b.shape}")
    except (OSError, UserError) as error:
        text = str(error)
        return text if str(one) in text or str(other) in text else f"{one}, {other}: {text}"
    a = np.where(b == IGNORE, np.uint8(IGNORE), a)
    count = load_metainfo(first.common or first.table).num_classes
    confusion = confusion_matrix(b, a, count)
    return confusion, int((a == IGNORE).sum())
