"""Errors that the user can correct: a tool reports them in one line.

Any other exception but ``OSError`` is a bug, and a tool shows its traceback.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "AnnotationError",
    "ConfigError",
    "DataError",
    "JobError",
    "MissingPackageError",
    "UnreadableFileError",
    "UserError",
]


class UserError(ValueError):
    """Something that the user can correct; the message names the file, the value and what is allowed."""


class ConfigError(UserError):
    """An option or a setting of a config is unknown, missing, or has a value that is not allowed."""


class DataError(UserError):
    """The content of a file is damaged, or is not what it should be."""


class JobError(UserError):
    """Finished work cannot be continued: what it depends on has changed, or another process is at work on it."""


class MissingPackageError(UserError, ImportError):
    """A package that this work needs is not installed or too old; the message has the command that installs it."""


class AnnotationError(DataError):
    """Something in a label or image file that cannot be used.

    Attributes:
        path: The file.
        line: Line in that file, from 1; ``None`` where there are none to name (JSON, images, folders).
        value: The offending value as text.
        reason: What is wrong and what is allowed.
    """

    def __init__(self, path: Path | str, line: int | None, value: object, reason: str) -> None:
        super().__init__(path, line, value, reason)
        self.path = Path(path)
        self.line = line
        self.value = str(value)
        self.reason = reason

    def __str__(self) -> str:
        where = f"{self.path}" if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.reason}: {self.value!r}"


class UnreadableFileError(DataError, OSError):
    """A file is damaged, cut short, or in no format that can be read."""
