"""What the files are called that are written for an input file, and that they stay below the folder of the output.

Two inputs never write to one name.  Names that come from a file (a table of tiles, a list) and not from a folder go
through :func:`check_name` before a file is called so, and folders are made by :func:`make_folder`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rsseg.errors import DataError

__all__ = [
    "TILE",
    "check_name",
    "check_path",
    "make_folder",
    "output_names",
    "outputs_by_item",
]

TILE = r"__\d+_\d+"
"""What follows the name of an image in the names of its tiles: column and row of their first pixel."""


def check_name(name: str, where: Path | str = "") -> str:
    """A name that a table or a list gives to a file, if the file cannot be elsewhere than in its folder.

    Args:
        name: The name, without suffix.
        where: Opens the message: which file says so.

    Returns:
        The name.

    Raises:
        DataError: It is empty, begins with a dot or a drive, or has a slash, a backslash or a control character in it.
    """
    wrong = re.search(r"[/\\\x00-\x1f\x7f]|^\.|^[A-Za-z]:", name)
    if wrong or not name or not _is_text(name):
        raise DataError(
            f"{where}{': ' * bool(where)}{name[:80]!r} cannot be the name of a file; names have no slashes, "
            "backslashes or control characters and begin with no dot or drive"
        )
    return name


def check_path(name: str, where: Path | str = "") -> str:
    """A path that a table or a list gives relative to a folder, if it stays below that folder.

    Args:
        name: The path, with slashes.
        where: Opens the message: which file says so.

    Returns:
        The path.

    Raises:
        DataError: It is empty or absolute, goes up, or has a control character in it.
    """
    parts = re.split(r"[/\\]", name)
    drive = re.match(r"[A-Za-z]:", name)
    if not parts[0] or drive or ".." in parts or re.search(r"[\x00-\x1f\x7f]", name) or not _is_text(name):
        raise DataError(f"{where}{': ' * bool(where)}{name[:80]!r} must be a path below the folder of the images")
    return name


def _is_text(name: str) -> bool:
    """Whether UTF-8 can hold it; halves of characters come from JSON."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


def make_folder(root: Path, *parts: str) -> Path:
    """Make a folder below ``root``, and see that no link leads out of it.

    Args:
        root: Folder of the output; made where it is missing, and may be a link itself.
        parts: Names of folders below.

    Raises:
        DataError: A link leads to another place.
        OSError: The folder cannot be made.
    """
    folder = root.joinpath(*parts)
    place, inside = folder.resolve(), root.resolve()
    if not place.is_relative_to(inside):
        raise DataError(f"{folder} leads out of {root}, to {place}; remove this link, or choose another output folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def output_names(paths: Iterable[Path], root: Path | None = None) -> dict[Path, str]:
    """A name, without suffix, for each input file.

    It is the file's stem; where several have that stem (whatever the case), it is the folders below ``root`` and the
    stem, joined by two underscores: ``a/0001.png`` and ``b/0001.png`` become ``a__0001`` and ``b__0001``.

    Args:
        paths: Input files.
        root: The folder that all lie in; by default the deepest one.

    Raises:
        DataError: Two files would still have one name, such as ``a.png`` and ``a.tif``, or names that differ only by
            case; the message names both.  Or :func:`check_name` refuses a name.
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
        check_name(name, f"{str(path)!r}: rename this file")
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
