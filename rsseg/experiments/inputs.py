"""What a run depends on besides its config: weights, class tables and data sets that the config names."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsseg.errors import UserError
from rsseg.io.files import sha256_of
from rsseg.io.jobs import Job
from rsseg.io.sums import sum_of
from rsseg.metainfo import load_metainfo

__all__ = ["run_inputs"]

_WEIGHTS = (".pth", ".pt", ".safetensors", ".bin")
_TABLES = ("table", "classes", "vocabulary")


def run_inputs(config: Mapping[str, Any], options: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Content of the files that a config names.

    Args:
        config: The config.
        options: Settings that override it, each ``key=value``.

    Returns:
        ``weights``: SHA-256 of each file of weights that is there; ``lists``: of each list of names (``.txt``);
        ``class_tables``: rows of each class table; ``data``: for each data set that rsseg made (``data_root`` with a
        record), a hash of what it was made from.
    """
    found: dict[str, dict[str, Any]] = {"weights": {}, "lists": {}, "class_tables": {}, "data": {}}
    for key, value in [
        *_texts(config),
        *((k.rpartition(".")[2], v) for k, _, v in (o.partition("=") for o in options)),
    ]:
        path = Path(value)
        if path.suffix in (*_WEIGHTS, ".txt") and path.is_file():
            state = path.stat()
            found["lists" if path.suffix == ".txt" else "weights"][value] = _sha256(
                path, state.st_size, state.st_mtime_ns
            )
        elif key in _TABLES:
            try:
                found["class_tables"][value] = load_metainfo(value).rows
            except (UserError, OSError):  # a word that is no class table
                continue
        elif key == "data_root" and (record := Job(path, "a data set").read()) is not None:
            found["data"][value] = _code(record)
    return found


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a config, each with its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, own in value.items():
            yield from _texts(own, str(name))
    elif isinstance(value, list | tuple):
        for own in value:
            yield from _texts(own, key)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    return sha256_of(path)


def _code(record: Mapping[str, Any]) -> str:
    """Hash of a record; times of modification do not count where there is a SHA-256."""
    items = {
        name: {kind: [state[0], state[-1]] for kind, state in states.items()}
        for name, states in record.get("items", {}).items()
    }
    text = json.dumps([record.get("depends"), items], sort_keys=True)
    return sum_of(text.encode())[:32]
