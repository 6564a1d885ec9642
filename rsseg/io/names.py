"""Lists of names: one name a line, in UTF-8.

A name may hold blanks; those around it do not count.  Empty lines are skipped; a byte-order mark and the line ends of
Windows are accepted; a file that ends in ``.gz`` or ``.bz2`` is unpacked.  mmseg reads its ``ann_file`` the same way.
"""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.packaged import find_packaged

__all__ = ["check_same", "encode_names", "match_names", "read_lines", "read_names", "unique_names", "write_names"]

_UNPACK = {".gz": gzip.decompress, ".bz2": bz2.decompress}


def read_lines(path: Path | str, what: str = "a text file with one name per line") -> list[tuple[int, str]]:
    """Lines of a list that are not empty, with their numbers from 1, without blanks around them.

    Args:
        path: The file; one of ``data/splits`` that is not there is taken from the package.
        what: What the file should be, for the error where there is none.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file cannot be unpacked, or is not text in UTF-8.
    """
    path = find_packaged(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {kind}; expected {what}")
    data = path.read_bytes()
    try:
        text = _UNPACK.get(path.suffix.lower(), bytes)(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8 ({error}); save it as UTF-8") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); copy or download the file again") from error
    lines = enumerate(re.split(r"\r\n|\r|\n", text), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_names(path: Path | str, what: str = "a text file with one name per line", empty: bool = False) -> list[str]:
    """Names in a list, in its order.

    Args:
        path: The file.
        what: As for :func:`read_lines`.
        empty: Whether the list may be empty.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: A name stands there twice, the list is empty, or the file is not text.
    """
    found: dict[str, int] = {}
    for number, name in read_lines(path, what):
        if name in found:
            raise DataError(f"{path}:{number}: {name!r} is already in line {found[name]}; remove one of these lines")
        found[name] = number
    if not found and not empty:
        raise DataError(f"{path}: the list is empty; expected one name per line")
    return list(found)


def encode_names(names: Iterable[str]) -> bytes:
    """The content of a list.

    Raises:
        DataError: A name could not be read back: it is empty, has blanks around it or a line break in it, or occurs
            twice.
    """
    names = list(names)
    for name in names:
        if not name or name != name.strip() or re.search(r"[\r\n]", name):
            raise DataError(f"{name!r} cannot stand in a list of names; remove line breaks and blanks around it")
    unique_names(names)
    return "".join(f"{name}\n" for name in names).encode()


def unique_names(names: Sequence[str], where: str = "the names") -> None:
    """Check that no name occurs twice.

    Raises:
        DataError: One does; ``where`` opens the message.
    """
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"{where}: {twice!r} occurs more than once, {len(names) - len(set(names))} too many in all")


def write_names(path: Path | str, names: Iterable[str], replace: bool = True) -> bytes:
    """Write a list, atomically.

    Args:
        path: The file; its folder is made where it is missing.
        names: What to write.
        replace: Whether a list that is there with other names may be replaced.

    Returns:
        The content.

    Raises:
        DataError: As for :func:`encode_names`; or another list is there that may not be replaced.
        OSError: The list cannot be written; the message names it.
    """
    path, names = Path(path), list(names)
    data = encode_names(names)
    if not replace:
        check_same(path, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)
    return data


def check_same(path: Path, names: Iterable[str]) -> None:
    """Check that a list is not there yet, or with these very names.

    Raises:
        DataError: It is there with other names.
    """
    if path.is_file() and path.read_bytes() != encode_names(names):
        raise DataError(f"{path}: exists and holds other names than those to write; remove it, or write elsewhere")


def match_names(
    names: Sequence[str],
    known: Collection[str],
    path: Path | str,
    what: str = "image",
    suffixes: Sequence[str] = (),
) -> list[str]:
    """The known names that a list means, in its order.

    Args:
        names: What the list says.
        known: The names that there are.
        path: The list, for errors.
        what: What the names are names of.
        suffixes: Where given, names may also be written with one of these suffixes, and with folders.

    Raises:
        DataError: A name is not known, or two of them mean the same; the message has the line.
    """
    out: dict[str, str] = {}
    unknown = []
    for name in names:
        found = _known(name, known, suffixes)
        if found is None:
            unknown.append(name)
        elif found in out:
            raise DataError(f"{_where(path, name)}: {name!r} and {out[found]!r} name the same {what}; remove one")
        else:
            out[found] = name
    if unknown:
        some = next(iter(sorted(known)), None)
        look = f"; {what} names look like {some!r}" if some is not None else f"; there are no {what}s"
        raise DataError(
            f"{_where(path, unknown[0])}: {len(unknown)} of {len(names)} names in {path} match no {what} "
            f"(first: {unknown[0]!r}){look}"
        )
    return list(out)


def _known(name: str, known: Collection[str], suffixes: Sequence[str]) -> str | None:
    if name in known:
        return name
    ends = tuple(suffix.lower() for suffix in suffixes)
    if not ends:
        return None
    base = PurePosixPath(name.replace("\\", "/")).name
    stem = base[: -len(PurePosixPath(base).suffix)] if base.lower().endswith(ends) else base
    return next((candidate for candidate in (base, stem) if candidate in known), None)


def _where(path: Path | str, name: str) -> str:
    """``path:line`` of a name, where the list is a file."""
    if Path(path).is_file():
        return next((f"{path}:{number}" for number, line in read_lines(path) if line == name), str(path))
    return str(path)
