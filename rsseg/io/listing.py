"""Find the files of a folder: images, rasters, label files."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rsseg.errors import DataError

__all__ = [
    "IMAGE_SUFFIXES",
    "LABEL_SUFFIXES",
    "RASTER_SUFFIXES",
    "find_files",
    "group_by_stem",
    "has_suffix",
    "lies_within",
    "one_per_stem",
    "stored_suffix",
    "walk_files",
]

_log = logging.getLogger("rsseg")

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Suffixes of image files, compared without case."""
LABEL_SUFFIXES = (".png", ".tif", ".tiff")
"""Suffixes of label maps, compared without case."""
RASTER_SUFFIXES = (*IMAGE_SUFFIXES, ".vrt", ".jp2", ".img")
"""Suffixes of rasters to map, compared without case."""


def has_suffix(path: Path | str, suffixes: Iterable[str]) -> bool:
    """Whether the name of a file ends in one of the suffixes; case does not matter."""
    return str(path).lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def find_files(
    folder: Path | str,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    what: str = "images",
    recursive: bool = True,
    empty: bool = False,
) -> list[Path]:
    """Files of a folder by suffix, in the order of their paths.

    Hidden files and folders (a name that begins with a dot, as temporary files' do) are left out.  Links to folders
    are followed, each folder once.

    Args:
        folder: Where to look.
        suffixes: What names may end in, compared without case; ``"_label.tif"`` is one, too.
        what: What the files are called in an error.
        recursive: Look into sub-folders, too.
        empty: Whether there may be none.

    Raises:
        FileNotFoundError: There is no such folder, or no such file in it.
        NotADirectoryError: ``folder`` is a file.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; expected {what} ({', '.join(suffixes)}) there")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: is a file; expected a folder of {what} ({', '.join(suffixes)})")
    ends = tuple(suffix.lower() for suffix in suffixes)
    others = 0
    found = []
    for path in walk_files(folder, recursive):
        if path.name.lower().endswith(ends):
            found.append(path)
        else:
            others += 1
            example = path
    if not found and not empty:
        below = " or in its sub-folders" if recursive else ""
        held = f"; it holds {others} other files, such as {example.relative_to(folder)}" if others else "; it is empty"
        raise FileNotFoundError(f"{folder}: no {what} ({', '.join(suffixes)}) in this folder{below}{held}")
    return sorted(found)


def walk_files(
    folder: Path,
    recursive: bool = True,
    within: Sequence[Path] | None = None,
    skipped: Callable[[OSError], None] | None = None,
) -> Iterator[Path]:
    """All files of a folder that are not hidden, in no particular order; links to folders are followed once.

    Links to files that are missing are among them, so that whoever reads them says so.

    Args:
        folder: Where to look.
        recursive: Look into sub-folders, too.
        within: Resolved folders and files; links that lead out of all of them are left out.  None allows any.
        skipped: Is told why a folder below cannot be read, which is then left out; None raises the error.

    Raises:
        OSError: A folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        current = todo.pop()
        try:
            status = current.stat()
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if within is not None and entry.is_symlink() and not lies_within(Path(entry.path), within):
                continue
            if entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):
                yield Path(entry.path)
            elif recursive and entry.is_dir():
                todo.append(Path(entry.path))


def lies_within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path, its links followed, is one of these resolved folders and files, or lies in one."""
    real = path.resolve()
    return any(real == folder or folder in real.parents for folder in folders)


def stored_suffix(folder: Path, suffix: str) -> str:
    """The end of the names of a folder's tiles, which may be TIFFs where a config says PNG.

    Args:
        folder: A folder, looked through with its sub-folders.
        suffix: What a config says, such as ``.png``, or ``_label.png``.

    Returns:
        ``suffix``; with ``.tif`` in place of ``.png`` where no name ends in ``suffix``, but one in that.  Where there
        are both, a warning names what is left out.
    """
    if not suffix.endswith(".png"):
        return suffix
    other = f"{suffix.removesuffix('.png')}.tif"
    names: dict[str, set[str]] = {suffix: set(), other: set()}
    for path in walk_files(folder):
        for end, stems in names.items():
            if path.name.endswith(end):
                stems.add(str(path).removesuffix(end))
    more = names[other] - names[suffix]
    if names[suffix] and more:
        _log.warning(
            "%s: %d files *%s are used, %d *%s that are none of them, such as %s, are not; remove what is left of "
            "another format",
            folder, len(names[suffix]), suffix, len(more), other, Path(f"{min(more)}{other}").name,
        )  # fmt: skip
    return other if more and not names[suffix] else suffix


def group_by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by their name without folder and suffix, in their order."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        found[path.stem].append(path)
    return dict(found)


def one_per_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name without folder and suffix, which must be unique.

    Raises:
        DataError: Two files have one name.
    """
    out: dict[str, Path] = {}
    for path in paths:
        if out.setdefault(path.stem, path) != path:
            raise DataError(f"{out[path.stem]} and {path} have the same name {path.stem!r}; rename or remove one")
    return out
