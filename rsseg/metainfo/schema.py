"""What the file of a class table may hold; errors name the file, and the line or the key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rsseg.errors import DataError

__all__ = ["read_table"]


class _Kind(NamedTuple):
    text: str
    fits: Callable[[Any], bool]


def _is_byte(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 255


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_NAME = _Kind(
    "a text that is not empty, without control characters",
    lambda value: (
        isinstance(value, str) and bool(value.strip()) and not re.search("[\x00-\x1f\x7f\ud800-\udfff]", value)
    ),
)
_WHOLE = _Kind("a whole number", lambda value: type(value) is int)
_FLAG = _Kind("true or false", lambda value: type(value) is bool)
_BYTES = _Kind(
    "a list of whole numbers from 0 to 255", lambda value: isinstance(value, list) and all(map(_is_byte, value))
)
_NAMES = _Kind("a list of texts", _are_names)
_COLOR = _Kind("written as '#RRGGBB'", lambda v: isinstance(v, str) and bool(re.fullmatch("#[0-9A-Fa-f]{6}", v)))
_ROWS = _Kind("a list with at least one class", lambda value: isinstance(value, list) and bool(value))
_SETS = _Kind(
    "an object of lists of class names, by label set",
    lambda value: isinstance(value, dict) and all(map(_are_names, value.values())),
)
_LEVELS = _Kind("an object of texts", lambda value: isinstance(value, dict) and _are_names(list(value.values())))

_TABLE = {"name": _NAME, "source": _TEXT, "categories": _ROWS, "label_offset": _WHOLE, "ignore": _BYTES}
_TABLE |= {"unused": _SETS, "levels": _LEVELS}
_ROW = {"id": _WHOLE, "name": _NAME, "color": _COLOR, "raw": _BYTES, "prompts": _NAMES, "to": _NAME, "scored": _FLAG}
_ROW |= {"from": _SETS, "code": _WHOLE, "images": _WHOLE}
_REQUIRED = {"name", "source", "categories"}, {"id", "name", "color"}


def read_table(path: Path) -> dict[str, Any]:
    """The content of a class table's file, in which every key is known and every value of the right kind.

    Raises:
        DataError: The file is not JSON (the message has the line), a key is unknown, missing or there twice, or a value
            is of another kind (it has the key).
    """
    data = _parse(path)
    _check_object(data, _TABLE, _REQUIRED[0], str(path), "")
    for i, row in enumerate(data["categories"]):
        _check_object(row, _ROW, _REQUIRED[1], str(path), f"categories[{i}]")
    return data


def _parse(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
    except json.JSONDecodeError as error:
        young = error.msg.startswith("Illegal trailing comma")  # Python 3.13 points at the comma, older ones behind it
        before = text[: error.pos + young].rstrip()
        line = before.count("\n") + 1 if before.endswith(",") else error.lineno
        reason = "the last entry must have no comma after it" if before.endswith(",") else error.msg
        raise DataError(f"{path}:{line}: a class table must be JSON, but {reason}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: a class table must be JSON in UTF-8 ({error})") from error
    except ValueError as error:  # numbers of thousands of digits
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: a class table must be JSON ({error})") from error
    except RecursionError as error:
        raise DataError(f"{path}: a class table must be JSON of a few levels; this file has too many") from error


def _once(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    """An object of the file; json itself keeps the last of two keys of one name in silence."""
    out = dict(pairs)
    if len(out) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DataError(f"{path}: the key {twice!r} stands twice in one object (its last value is {out[twice]!r})")
    return out


def _check_object(value: Any, kinds: Mapping[str, _Kind], required: set[str], path: str, where: str) -> None:
    """Refuse what is no object, and keys and values that do not belong there."""
    if not isinstance(value, dict):
        what = where or "a class table"
        raise DataError(f"{path}: {what} must be an object with {_listed(required)}, found {value!r:.60}")
    start = f"{where}." if where else ""
    for key in value:
        if key not in kinds:
            close = difflib.get_close_matches(key, kinds, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; expected one of: {', '.join(kinds)}"
            raise DataError(f"{path}: unknown key {start + key!r}{hint}")
    for key, kind in kinds.items():
        if key not in value:
            if key in required:
                raise DataError(f"{path}: missing required key {start + key!r}, which must be {kind.text}")
        elif not kind.fits(value[key]):
            raise DataError(f"{path}: {start + key!r} must be {kind.text}, found {value[key]!r:.60}")


def _listed(names: set[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
