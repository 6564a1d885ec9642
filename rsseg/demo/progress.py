"""What the demo says while it runs: stage, what is done, the time that is left, and where to look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rsseg.demo.plan import STAGES, Step
from rsseg.demo.processes import Command

__all__ = ["Progress"]

_EVERY = 15.0  # seconds between two lines
_TRUST = 60.0
"""Seconds of cost after which what was measured counts as much as what was expected."""


class Progress:
    """Time left, by what the steps cost on a usual machine and how long those that are done have taken here.

    Args:
        steps: All that will run.
        at_once: Number of processes.
        say: What prints a line.
    """

    def __init__(self, steps: Sequence[Step], at_once: int, say: Callable[[str], None]) -> None:
        self.steps, self.at_once, self.say = {step.command: step for step in steps}, at_once, say
        self.done: set[Command] = set()
        self._skipped = 0.0
        self._begun: dict[Command, float] = {}
        self._kept = dict.fromkeys(STAGES, 0)
        self._announced: set[str] = set()
        self._start = self._last = time.monotonic()

    def finish(self, command: Command, skipped: bool = False) -> None:
        """Count a step as done; ``skipped`` where an earlier run of the demo has done it."""
        self.done.add(command)
        stage = self.steps[command].stage
        self._kept[stage] += skipped
        self._skipped += self.steps[command].cost * skipped
        if self._kept[stage] == len(self._commands(stage)):
            self._announce(stage)

    def tick(self, running: Sequence[Command]) -> None:
        """Announce stages that have begun; say what runs, unless something was said a moment ago."""
        now = time.monotonic()
        for command in running:
            self._begun.setdefault(command, now)
            self._announce(self.steps[command].stage)
        if now - self._last < _EVERY or not running:
            return
        newest = self.steps[running[-1]]  # stages overlap: pre-training and the first fine-tunings run side by side
        mine = self._commands(newest.stage)
        what = f"{sum(command in self.done for command in mine)} of {len(mine)} done, now {newest.title}"
        self._say(f"{_label(newest.stage)}: {what}; {self.left()}; log: {newest.command.log}")

    def _announce(self, stage: str) -> None:
        if stage in self._announced:
            return
        self._announced.add(stage)
        count, kept = len(self._commands(stage)), self._kept[stage]
        if kept == count:
            self._say(f"{_label(stage)}: all {count} steps are finished already, by an earlier run")
        else:
            finished = f", {kept} of {count} steps are finished already" if kept else ""
            self._say(f"{_label(stage)}: {STAGES[stage]} ({self.left()}{finished})")

    def _commands(self, stage: str) -> list[Command]:
        return [step.command for step in self.steps.values() if step.stage == stage]

    def seconds_left(self) -> float:
        """Estimate of what the rest takes."""
        now = time.monotonic()
        costs = {command: step.cost for command, step in self.steps.items()}
        running = {command: begun for command, begun in self._begun.items() if command not in self.done}
        partly = sum(min(now - begun, 0.9 * costs[command]) for command, begun in running.items())
        done = sum(costs[command] for command in self.done)
        # Seconds per second of cost: at first what the number of processes suggests, then as it turns out to be.
        pace = (now - self._start + _TRUST / self.at_once) / (done - self._skipped + partly + _TRUST)
        return max(sum(costs.values()) - done - partly, 0.0) * pace

    def left(self) -> str:
        """The estimate in words."""
        seconds = self.seconds_left()
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {max(seconds, 5):.0f} s left"

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        self.say(line)


def _label(stage: str) -> str:
    return f"[{[*STAGES].index(stage) + 1}/{len(STAGES)}] {stage}"
