"""What commands say beside their results: lines on stderr, never very many of one kind."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rsseg.imports import after_import

__all__ = ["QUIET_VARIABLE", "few", "results_apart", "results_stream", "show_log"]

QUIET_VARIABLE = "RSSEG_QUIET"
"""Environment variable that ``--quiet`` sets to 1, for the processes that a command starts, too."""
_MOST_LINES, _MOST_NAMED = 10, 20
_results: list[TextIO] = []  # the real stdout, while everything else goes to stderr


def few(head: str, texts: Sequence[str], all_in: str = "", most: int = _MOST_NAMED) -> str:
    """A heading with the first of many texts below it, and how many more there are.

    Args:
        head: First line.
        texts: The others, each indented by two blanks.
        all_in: What has all of them, such as ``manifest.json``; "" where nothing has.
        most: How many are shown.
    """
    lines = [f"  {text}" for text in texts[:most]]
    if len(texts) > most:
        lines.append(f"  {_more(len(texts) - most, '', all_in)}")
    return "\n".join([head, *lines])


def _more(count: int, what: str, all_in: str) -> str:
    return f"... and {count} more{what}" + (f"; all in {all_in}" if all_in else "")


@dataclass
class _Kind:
    first: str
    all_in: str
    count: int = 0


class _Lines(logging.Handler):
    """Log lines on stderr; of warnings from one place in the code only the first few, then their number.

    A record may say what has all of them: ``extra={"all_in": "manifest.json"}``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[tuple[str, int], _Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as it is, unless it is one of many."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            all_in = str(getattr(record, "all_in", ""))
            kind = self.kinds.setdefault((record.pathname, record.lineno), _Kind(text, all_in))
            kind.count += 1
            if kind.count > _MOST_LINES:
                return
        self._write(text)

    def close_kinds(self) -> None:
        """Say how many lines were left out."""
        for kind in self.kinds.values():
            if kind.count > _MOST_LINES:
                first = kind.first.splitlines()[0][:60] if kind.first else ""
                self._write(_more(kind.count - _MOST_LINES, f" like {first!r}", kind.all_in))
        self.kinds.clear()

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed pipe ends no work
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


@contextlib.contextmanager
def show_log() -> Iterator[None]:
    """Show rsseg's log on stderr, line by line as it is, and warnings of others."""
    lines, log = _Lines(), logging.getLogger("rsseg")
    before = log.level, log.propagate, list(log.handlers)
    log.handlers, log.propagate = [lines], False
    log.setLevel(logging.WARNING if os.environ.get(QUIET_VARIABLE) == "1" else logging.INFO)
    try:
        yield
    finally:
        lines.close_kinds()
        log.handlers, log.propagate = before[2], before[1]
        log.setLevel(before[0])


def _quieten(module: Any) -> None:
    """With ``--quiet``, mmengine's loggers show warnings only; their files have everything."""
    start = module.MMLogger.__init__
    if hasattr(start, "__wrapped__"):
        return

    def start_quietly(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        if os.environ.get(QUIET_VARIABLE) == "1":
            for handler in self.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(logging.WARNING)

    start_quietly.__wrapped__ = start  # type: ignore[attr-defined]
    module.MMLogger.__init__ = start_quietly


def results_stream() -> TextIO:
    """Where results go: stdout, also while :func:`results_apart` keeps everything else from it."""
    return _results[-1] if _results else sys.stdout


@contextlib.contextmanager
def results_apart() -> Iterator[None]:
    """Send what libraries print or log to stdout, such as mmengine's logger, to stderr: stdout is for results."""
    after_import("mmengine.logging.logger", _quieten)
    _results.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _results.pop()
