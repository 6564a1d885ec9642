"""Files of JSON lines to which several processes only add rows; a kill never leaves half a row."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rsseg.io.tables import json_text, parse_json

__all__ = ["append_rows", "settle"]

_log = logging.getLogger("rsseg")
_BLOCK = 1 << 16


def append_rows(descriptor: int, path: Path, rows: Iterable[Any]) -> int:
    """Add rows to the end of a file; when this returns they are on the disk, and where it fails none is there.

    Args:
        descriptor: Of the file, from :func:`rsseg.io.files.locked`.
        path: Its path, for messages.
        rows: JSON values.

    Returns:
        The size of the file in bytes.

    Raises:
        OSError: The file cannot be written, for example on a full disk; the message names it.
    """
    text = b"".join(json_text(row).encode() + b"\n" for row in rows)
    start = settle(descriptor, path)
    end = start + len(text)
    os.lseek(descriptor, start, os.SEEK_SET)
    try:
        while text:
            text = text[os.write(descriptor, text) :]
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, start)
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error
    return end


def settle(descriptor: int, path: Path) -> int:
    """Take away what a killed process left of its last row, or end that row where only the line's end is missing.

    Args:
        descriptor: Of the file, from :func:`rsseg.io.files.locked`.
        path: Its path, for the log.

    Returns:
        The size of the file in bytes, which ends with a whole line.
    """
    size = os.fstat(descriptor).st_size
    tail, start = b"", size
    while start and b"\n" not in tail:
        length = min(start, _BLOCK)
        start -= length
        tail = os.pread(descriptor, length, start) + tail
    end = tail.rfind(b"\n") + 1
    if end == len(tail):
        return size
    try:
        parse_json(tail[end:])
    except ValueError:
        _log.warning("%s: the last line is cut off and taken away", path)
        os.ftruncate(descriptor, start + end)
        return start + end
    os.pwrite(descriptor, b"\n", size)
    return size + 1
