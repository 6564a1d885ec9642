"""Which step of the demo comes next, and which ones an earlier run has finished."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rsseg.demo.plan import Step
from rsseg.demo.processes import Command
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from rsseg.io.sums import sum_of
from rsseg.io.tables import write_json

__all__ = ["Schedule"]


class Schedule:
    """Hands out steps in the order of the plan, each as soon as those that it needs are done.

    Args:
        steps: The plan; a step comes after those that it needs.
        ended: Called with each step that is done, and whether an earlier run has done it.
    """

    def __init__(self, steps: Sequence[Step], ended: Callable[[Step, bool], None]) -> None:
        self._waiting, self._ended = list(steps), ended
        self._running: dict[Command, Step] = {}
        self._done: set[Command] = set()

    def take(self) -> Command | None:
        """The command to start now; None where all that is left waits for what runs, or nothing is left."""
        for step in [*self._waiting]:
            if not self._done.issuperset(step.needs):
                continue
            self._waiting.remove(step)
            if not _finished(step):
                self._running[step.command] = step
                return step.command
            self._done.add(step.command)
            self._ended(step, True)
        return None

    def finish(self, command: Command) -> None:
        """Note that a command has ended well."""
        step = self._running.pop(command)
        if step.inputs is not None:
            write_json(_record(step), _inputs(step))
        self._done.add(command)
        self._ended(step, False)


def _record(step: Step) -> Path:
    return step.command.log.with_suffix(".json")


def _inputs(step: Step) -> dict[str, Any]:
    """What the result of a step depends on."""
    return {
        "command": [step.command.tool, *step.command.args],
        "configs": {Path(word).name: _config_sum(word) for word in step.command.args if word.endswith(".py")},
        "inputs": {str(path): sha256_of(path) for path in step.inputs or ()},
    }


@functools.cache  # several steps have one config, and reading one takes a while
def _config_sum(path: str) -> str:
    return sum_of(json.dumps(read_config(path).to_dict(), sort_keys=True, default=str).encode())


def _finished(step: Step) -> bool:
    record = _record(step)
    if step.inputs is None or not record.is_file() or not any(Path().glob(step.output)):
        return False
    if not all(path.is_file() for path in step.inputs):
        return False
    return bool(json.loads(record.read_text()) == _inputs(step))
