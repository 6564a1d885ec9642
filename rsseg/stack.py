"""The MM stack (mmcv, mmengine, mmseg, mmpretrain): is it there, and import it without its noise."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

__all__ = ["require_pretraining", "require_stack", "require_stack_or_exit"]

INSTALL = 'python -m pip install "rsseg[mm]"  (in a checkout: python -m pip install -e ".[mm]")'
_NEEDS = {"mmcv": (2, 0), "mmengine": (0, 10), "mmseg": (1, 2)}
_NOISE = ("Could not import OneDL",)
_NOISY_WARNINGS = ("Fail to import ``MultiScaleDeformableAttention``",)


class _LineFilter(io.TextIOBase):
    """Pass text on to a stream, line by line, without the lines known as noise."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.rest = stream, ""

    def write(self, text: str) -> int:
        """Forward the complete lines in ``text`` that are no noise; keep an unfinished one back."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.strip() not in _NOISE:
                self.stream.write(line + "\n")
        return len(text)

    def close_line(self) -> None:
        """Forward what is left of an unfinished line."""
        self.stream.write(self.rest)
        self.rest = ""


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    streams = _LineFilter(sys.stdout), _LineFilter(sys.stderr)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        for stream in streams:
            stream.close_line()


def require_stack() -> None:
    """Import mmcv, mmengine and mmseg once, quietly.

    Two lines of third-party noise (a missing OneDL client, ops that rsseg never uses) are held back; everything else
    that the stack prints or warns about still shows.

    Raises:
        ImportError: A package is missing or older than rsseg understands; the message names the command to run.
    """
    for message in _NOISY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name, oldest in _NEEDS.items():
        _require(name, oldest)
    with _without_noise():
        for name in ("mmseg.datasets", "mmseg.models", "mmseg.evaluation", "mmseg.engine"):
            importlib.import_module(name)


def require_pretraining() -> None:
    """Import mmpretrain as well, which only pre-training without labels needs.

    Raises:
        ImportError: As for :func:`require_stack`.
    """
    require_stack()
    _require("mmpretrain", (1, 2))
    with _without_noise():
        for name in ("mmpretrain.datasets", "mmpretrain.models"):
            importlib.import_module(name)


def _require(name: str, oldest: tuple[int, int]) -> None:
    try:
        with _without_noise():
            module = importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"rsseg needs the MM stack, but {name} does not import ({error}). Run: {INSTALL}") from error
    version = getattr(module, "__version__", "0")
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < oldest:
        need = ".".join(map(str, oldest))
        raise ImportError(f"rsseg needs {name} >= {need}, found {version}. Run: {INSTALL}")


def require_stack_or_exit() -> None:
    """For command-line tools: :func:`require_stack`, ending the program with its message instead of a traceback."""
    try:
        require_stack()
    except ImportError as error:
        sys.exit(str(error))
