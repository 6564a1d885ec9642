"""How far a long job is."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

__all__ = ["Progress"]

_log = logging.getLogger("rsseg")


class Progress:
    """A bar with the time left on a terminal, otherwise a log line about every tenth.

    Args:
        total: Units of work.
        what: What they are.
        verbose: Whether to show anything; one process of several should.
        unit: What one unit is called in the bar.
    """

    def __init__(self, total: int, what: str, verbose: bool = True, unit: str = "image") -> None:
        self.total, self.what, self.verbose = total, what, verbose
        self.done, self.started, self.logged = 0, time.perf_counter(), 0
        self.bar = tqdm(total=total, desc=what, unit=unit) if self._shows_a_bar() else None

    def _shows_a_bar(self) -> bool:
        return self.verbose and _log.isEnabledFor(logging.INFO) and sys.stderr.isatty()

    def step(self) -> None:
        """One more unit is done."""
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.verbose and self.done * 10 // max(self.total, 1) > self.logged:
            self.logged = self.done * 10 // self.total
            spent = time.perf_counter() - self.started
            left = spent / self.done * (self.total - self.done)
            _log.info("%s %d/%d, %.0f s, about %.0f s left", self.what, self.done, self.total, spent, left)

    def close(self) -> float:
        """End the display; returns the seconds since the start."""
        if self.bar is not None:
            self.bar.close()
        return time.perf_counter() - self.started
