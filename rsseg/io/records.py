"""Records of jobs as text, and what differs between two of them, for people to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["differences", "dump_record", "is_record"]

_ROWS = 3
_SHORT = 60
"""Lists up to so many characters are shown as a whole."""
_ABSENT = "nothing"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, a text for each key: ``tiling was {'size': 48}, now {'size': 64}``.

    Of two objects only the keys that differ are shown, of two long lists of one length only the rows that do.

    Args:
        old: JSON values.
        new: JSON values.
    """
    return [
        text
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
        for text in _texts(key, old.get(key), new.get(key))
    ]


def _texts(key: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [name for name in {**old, **new} if old.get(name, _ABSENT) != new.get(name, _ABSENT)]
        if any(isinstance(old.get(name), dict | list) for name in keys):
            return [text for name in keys for text in _texts(f"{key}.{name}", old.get(name), new.get(name))]
        old, new = ({name: own[name] for name in keys if name in own} for own in (old, new))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and len(repr(old)) > _SHORT:
        rows = [i for i in range(len(old)) if old[i] != new[i]]
        more = [f"and {len(rows) - _ROWS} more rows of {key}"] if len(rows) > _ROWS else []
        return [text for i in rows[:_ROWS] for text in _texts(f"{key}[{i}]", old[i], new[i])] + more
    return [f"{key} was {old!r}, now {new!r}"]


def dump_record(record: Mapping[str, Any]) -> bytes:
    """JSON with one line for each key, and for each entry of an object or list under it: short and readable."""
    lines = []
    for key, value in record.items():
        if isinstance(value, dict) and value:
            rows = ",\n  ".join(f"{_text(name)}: {_text(own)}" for name, own in value.items())
            lines.append(f"{_text(key)}: {{\n  {rows}\n }}")
        else:
            lines.append(f"{_text(key)}: {_text(value)}")
    return ("{\n " + ",\n ".join(lines) + "\n}\n").encode()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def is_record(value: Mapping[str, Any]) -> bool:
    """Whether a value has the parts of a record: ``depends``, ``items`` with a state for each input, ``failed``."""
    items = value.get("items", {})
    return (
        isinstance(value.get("depends", {}), dict)
        and isinstance(value.get("failed", []), list)
        and isinstance(items, dict)
        and all(isinstance(kinds, dict) for kinds in items.values())
        and all(isinstance(s, list) and len(s) > 1 for kinds in items.values() for s in kinds.values())
    )
