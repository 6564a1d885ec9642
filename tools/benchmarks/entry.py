"""One benchmark: two ways to do the same work, timed in turn or weighed in processes of their own."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rsseg.io.memory import forget_peak, peak

__all__ = ["Entry", "measure"]

Work = Callable[[], Any]


@dataclass(frozen=True)
class Entry:
    """A claim to measure.

    Attributes:
        about: One line: what is compared with what, on which work.
        setup: Makes the work and returns ``(ours, reference)``, two functions without arguments that do it; it
            checks that both give the same result where that is claimed.  Must be importable by name for ``memory``.
        memory: Compare peak memory (MiB above the level after ``setup``) instead of seconds.
    """

    about: str
    setup: Callable[[], tuple[Work, Work]]
    memory: bool = False


def measure(entry: Entry, runs: int) -> dict[str, Any]:
    """Medians of ``runs`` runs of each side after one warm-up, and reference / ours.

    ``cpu_ratio`` is that of the CPU seconds of this process and those it has waited for: a machine with other work
    on it changes it less.
    """
    cpu: dict[str, float] = {}
    if entry.memory:
        figures = _memory(entry, runs)
    else:
        figures, used = _seconds(entry, runs)
        both = [statistics.median(side) for side in used]
        cpu = {"cpu_ratio": both[1] / max(both[0], 1e-9)}
    ours, reference = (statistics.median(side) for side in figures)
    return {
        **cpu,
        "about": entry.about,
        "unit": "MiB" if entry.memory else "s",
        "ours": ours,
        "reference": reference,
        "ratio": reference / ours,
        "runs": {"ours": figures[0], "reference": figures[1]},
    }


Two = tuple[list[float], list[float]]


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(own.ru_utime + own.ru_stime for own in used)


def _seconds(entry: Entry, runs: int) -> tuple[Two, Two]:
    """Seconds by the clock and of CPU time."""
    sides = entry.setup()
    taken: Two = ([], [])
    used: Two = ([], [])
    for turn in range(runs + 1):
        for side, times, cpu in zip(sides, taken, used, strict=True):
            start, before = time.perf_counter(), _cpu()
            side()
            if turn:  # the first turn warms caches up
                times.append(time.perf_counter() - start)
                cpu.append(_cpu() - before)
    return taken, used


def _weigh(setup: Callable[[], tuple[Work, Work]], side: int, answer: Any) -> None:
    work = setup()[side]
    forget_peak()
    before = peak() or 0.0
    work()
    answer.put(max((peak() or 0.0) - before, 0.1))


def _memory(entry: Entry, runs: int) -> tuple[list[float], list[float]]:
    context = multiprocessing.get_context("spawn")
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, peaks in enumerate(taken):
            answer = context.Queue()
            process = context.Process(target=_weigh, args=(entry.setup, side, answer))
            process.start()
            peaks.append(answer.get())
            process.join()
    return taken
