"""What the files are called that are written for an input file; two inputs never write to one name."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rsseg.errors import DataError

__all__ = ["TILE", "output_names", "outputs_by_item"]

TILE = r"__\d+_\d+"
"""What follows the name of an image in the names of its tiles: column and row of their first pixel."""


def output_names(paths: Iterable[Path], root: Path | None = None) -> dict[Path, str]:
    """A name, without suffix, for each input file.

    It is the file's stem; where several have that stem (whatever the case), it is the folders below ``root`` and the
    stem, joined by two underscores: ``a/0001.png`` and ``b/0001.png`` become ``a__0001`` and ``b__0001``.

    Args:
        paths: Input files.
        root: The folder that all lie in; by default the deepest one.

    Raises:
        DataError: Two files would still have one name, such as ``a.png`` and ``a.tif``, or names that differ only by
            case; the message names both.
    """
    found = list(dict.fromkeys(paths))
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in found:
        by_stem[path.stem.casefold()].append(path)
    names = {path: path.stem for path in found}
    for same in by_stem.values():
        if len(same) > 1:
            top = root or Path(os.path.commonpath([os.path.abspath(path.parent) for path in found]))
            for path in same:
                below = path.relative_to(top) if root else Path(os.path.abspath(path)).relative_to(top)
                names[path] = "__".join(below.with_suffix("").parts)
    owners: dict[str, Path] = {}
    for path, name in names.items():
        other = owners.setdefault(name.casefold(), path)
        if other != path:
            raise DataError(
                f"{other} and {path} have one stem, so what is made from them would have one name, {name!r}; rename "
                "one of them, or move it to another folder"
            )
    return names


def outputs_by_item(folders: Iterable[Path], tail: str = "") -> dict[str, list[Path]]:
    """Output files by the name of the input that they were made from.

    Args:
        folders: Folders of output files; those that do not exist are empty.
        tail: Regular expression of what follows that name, before the suffix.
    """
    pattern = re.compile(rf"(.+){tail}\.\w+")
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            match = pattern.fullmatch(path.name)
            if match and not path.name.startswith("."):
                found[match[1]].append(path)
    return found
