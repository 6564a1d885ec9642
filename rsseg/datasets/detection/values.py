"""What goes wrong in label files, and what single values in them may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from rsseg.errors import AnnotationError, ConfigError
from rsseg.metainfo import ClassTable

__all__ = [
    "UNKNOWN_CLASS",
    "AnnotationError",
    "OmittedObject",
    "OnError",
    "check_on_error",
    "class_index",
    "parse_flag",
    "parse_number",
    "settle",
]

OnError = Literal["raise", "skip"]
UNKNOWN_CLASS = "unknown class for the table"
"""In the reason of a problem: the label's class is not in the class table."""


class OmittedObject(Exception):
    """An object of a class that the user leaves out; its argument is the name of the class."""


def check_on_error(on_error: str) -> None:
    """Raise ``ValueError`` unless ``on_error`` is one of the allowed words."""
    if on_error not in get_args(OnError):
        raise ConfigError(f"on_error must be 'raise' or 'skip', not {on_error!r}")


def settle(problems: Sequence[AnnotationError], on_error: OnError) -> None:
    """Raise the first problem when ``on_error`` is ``"raise"``; with ``"skip"`` the caller lists them."""
    if problems and on_error == "raise":
        raise problems[0]


def parse_number(text: object, path: Path, line: int | None, what: str, *, positive: bool = False) -> float:
    """A finite number in pixels (or radians) from text or a JSON value.

    ``nan``, ``inf``, overflowing exponents, ``1_000`` and booleans are no numbers.

    Raises:
        AnnotationError: It is none, or it is not above 0 where ``positive`` asks for that.
    """
    try:
        if isinstance(text, bool) or (isinstance(text, str) and ("_" in text or not text.isascii())):
            raise ValueError
        number = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise AnnotationError(path, line, text, f"{what} must be a finite number such as 12 or 12.5")
    if positive and number <= 0:
        raise AnnotationError(path, line, text, f"{what} must be above 0")
    return number


def parse_flag(text: object, path: Path, line: int | None, what: str) -> bool:
    """A 0/1 flag from text or a JSON value; empty or absent is 0.

    Raises:
        AnnotationError: It is something else.
    """
    if text in (None, "", "0", "1", 0, 1):
        return text in ("1", 1)
    raise AnnotationError(path, line, text, f"{what} must be 0 or 1")


def class_index(table: ClassTable, name: str, path: Path, line: int | None, what: str = "") -> int:
    """Training id of a class name; ``what`` opens the message.

    Raises:
        AnnotationError: The table has no such class.
        OmittedObject: Objects of this name are left out on purpose.
    """
    if table.omit and table.omits(name):
        raise OmittedObject(name)
    try:
        return table.index(name)
    except ValueError:
        allowed = ", ".join(table.classes)
        raise AnnotationError(path, line, name, f"{what}{UNKNOWN_CLASS} {table.name}, allowed are {allowed}") from None
