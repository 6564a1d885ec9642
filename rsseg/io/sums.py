"""Files of checksums that ``sha256sum --check`` understands: ``<sha256>  <file name>`` a line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.io.names import read_lines

__all__ = ["check_sum", "encode_sums", "read_sums", "sum_of", "write_sums"]

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def sum_of(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def encode_sums(sums: Mapping[str, str]) -> bytes:
    """The content of a file of checksums: hex SHA-256 by file name."""
    return "".join(f"{value}  {name}\n" for name, value in sums.items()).encode()


def write_sums(path: Path, files: Iterable[Path]) -> None:
    """Write the checksums of some files, by their paths from the folder of ``path``.

    Raises:
        OSError: A file cannot be read, or ``path`` not be written; the message names it.
    """
    sums = {file.relative_to(path.parent).as_posix(): sum_of(file.read_bytes()) for file in files}
    with replacing(path) as out:
        out.write(encode_sums(sums))


def read_sums(path: Path) -> dict[str, str]:
    """Hex SHA-256 by file name; nothing where the file is not there.

    Raises:
        DataError: A line is no checksum and file name.
    """
    out = {}
    for number, line in read_lines(path) if path.is_file() else ():
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{path}:{number}: {line!r} is not a checksum; expected '<sha256>  <file name>'")
        out[match[2]] = match[1]
    return out


def check_sum(path: Path, sums: Path, advice: str) -> None:
    """Check a file against the checksum that another file states of it.

    Args:
        path: The file.
        sums: The file of checksums.
        advice: What to do where they differ.

    Raises:
        DataError: The checksum is missing or differs.
    """
    stated = read_sums(sums).get(path.name)
    if stated is None:
        raise DataError(f"{path}: {sums} has no checksum of this file; {advice}")
    if stated != sum_of(path.read_bytes()):
        raise DataError(f"{path}: has changed since {sums} was written (the checksums differ); {advice}")
