"""Errors that the user can correct: a tool reports them in one line.

Any other exception but ``OSError`` is a bug, and a tool shows its traceback.
"""

from __future__ import annotations

__all__ = ["ConfigError", "DataError", "JobError", "UserError"]


class UserError(ValueError):
    """Something that the user can correct; the message names the file, the value and what is allowed."""


class ConfigError(UserError):
    """An option or a setting of a config is unknown, missing, or has a value that is not allowed."""


class DataError(UserError):
    """The content of a file is damaged, or is not what it should be."""


class JobError(UserError):
    """Finished work cannot be continued: what it depends on has changed, or another process is at work on it."""
