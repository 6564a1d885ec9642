"""Packed patches on their way into the LMDB, where jobs on several machines pack them: LMDB has one writer.

A chunk is a ZIP file, not compressed, with the value of each patch under its name, and what could not be read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

from rsseg.errors import DataError

__all__ = ["decode_chunk", "encode_chunk"]

_PROBLEMS = "problems.json"


def encode_chunk(values: Iterable[tuple[str, bytes | str]]) -> bytes:
    """The file of some patches.

    Args:
        values: Name of each patch with its value, or with what is wrong with it.
    """
    problems, out = list[str](), io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, value in values:
            if isinstance(value, str):
                problems.append(value)
            else:
                file.writestr(zipfile.ZipInfo(name), value)
        file.writestr(zipfile.ZipInfo(_PROBLEMS), json.dumps(problems))
    return out.getvalue()


def decode_chunk(path: Path) -> tuple[list[tuple[str, bytes]], list[str]]:
    """Names with values, in their order, and problems.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if name != _PROBLEMS]
            return [(name, file.read(name)) for name in names], json.loads(file.read(_PROBLEMS))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path}: is damaged ({error}); delete it and repeat the command") from error
