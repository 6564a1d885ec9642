"""How many pixels of each class the images of a set show, counted once and kept beside the data."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.openearthmap.splits import count_labels
from rsseg.errors import DataError
from rsseg.io.files import locked
from rsseg.io.sums import sum_of
from rsseg.io.tables import read_json, write_json
from rsseg.metainfo import load_metainfo

__all__ = ["class_pixels"]

_log = logging.getLogger("rsseg")


def class_pixels(labels: Sequence[Path], table: str, folder: Path | None = None) -> NDArray[np.int64]:
    """Pixels of each class in label files; counted with progress at first, later read from a file in ``folder``.

    The file is named after the list of label files and the class table, and holds a checksum of what the numbers depend
    on: the table's rows, and size and time of modification of every label file.  Where one has changed, all are counted
    again.  Several processes count once: the others wait for it.

    Args:
        labels: N label files.
        table: Class table of C classes.
        folder: Where the numbers are kept; None, or a folder that cannot be written, counts anew each time.

    Returns:
        (N, C) int64.

    Raises:
        FileNotFoundError: A label file is missing.
        DataError: One has a value that the table does not allow.
    """
    info = load_metainfo(table)
    states = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in labels]
    depends = sum_of(json.dumps([info.rows, list(info.ignore), states]).encode())
    if folder is None:
        return count_labels(labels, table)
    name = sum_of(json.dumps([table, [str(path) for path in labels]]).encode())[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{name}.lock", f"{folder}: another process counts the pixels of classes; waiting for it"):
            return _kept(folder / f"{name}.json", depends, labels, table)
    except PermissionError as error:
        _log.warning("the numbers of pixels of each class are not kept (%s); they are counted at every start", error)
        return count_labels(labels, table)


def _kept(path: Path, depends: str, labels: Sequence[Path], table: str) -> NDArray[np.int64]:
    """The numbers in the file where it is still right, else counted and written."""
    shape = len(labels), load_metainfo(table).num_classes
    try:
        found = read_json(path)
        pixels = np.array(found["pixels"], np.int64)
        if found["depends"] == depends and pixels.shape == shape:
            return pixels
    except FileNotFoundError:
        pass
    except (DataError, KeyError, ValueError, TypeError) as error:
        _log.warning("%s is damaged (%s); the pixels are counted again", path, error)
    pixels = count_labels(labels, table)
    write_json(path, {"depends": depends, "table": table, "pixels": pixels.tolist()}, indent=None)
    return pixels
