"""Memory that this process needs at most, as the system counts it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Peak", "forget_peak", "peak", "peak_of_process"]

_STATUS = Path("/proc/self/status")


@dataclass
class Peak:
    """Peak memory of this process within a block in MiB; None before its end, and on systems that do not say."""

    mebibytes: float | None = None


def peak() -> float | None:
    """Peak memory of this process in MiB, on Linux since the last :func:`forget_peak`; None where none is known."""
    if _STATUS.exists():
        return next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if "VmHWM" in line) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def forget_peak() -> None:
    """What was needed before and is free again must not hide what is needed next; only Linux can forget."""
    if _STATUS.exists():
        with contextlib.suppress(AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):  # some containers do not allow it
            _STATUS.with_name("clear_refs").write_text("5")


@contextlib.contextmanager
def peak_of_process() -> Iterator[Peak]:
    """Measure the peak of a block."""
    found = Peak()
    forget_peak()
    yield found
    found.mebibytes = peak()
