"""Commands as processes that share one import of torch and the MM stack, which costs more than most of them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsseg.commands import call_tool
from rsseg.errors import JobError
from rsseg.interruption import LAUNCHED, end_with_parent, interrupted

__all__ = ["Command", "Pool", "run_as_main"]

_POLL = 0.1  # seconds
_GRACE = 8.0
"""Seconds in which a command that is ended may close its files."""

_parents_streams: list[object] = []
"""In a fork: they must not be collected, since that would close the files that have their numbers now."""


@dataclass(frozen=True)
class Command:
    """A tool of the checkout with its arguments.

    Attributes:
        tool: Name of the tool, without ``.py``.
        args: Its arguments.
        log: File for all that it prints; it is replaced.
    """

    tool: str
    args: tuple[str, ...]
    log: Path


class Pool:
    """Runs commands, a few at a time: on Linux as forks of this process, elsewhere as processes of their own.

    Args:
        root: Folder with ``tools/``.
        at_once: Number of processes.
        tick: Called every tenth of a second while commands run, with those that do.

    Attributes:
        seconds: CPU seconds of each command that has ended well, where the system tells.
    """

    def __init__(self, root: Path, at_once: int, tick: Callable[[Sequence[Command]], None]) -> None:
        self.root, self.at_once, self.tick = root, at_once, tick
        self.seconds: dict[Command, float] = {}

    def run(self, take: Callable[[], Command | None], done: Callable[[Command], None] = lambda command: None) -> None:
        """Run commands until nothing runs and no other is handed out.

        Args:
            take: Hands out the next command; None where there is none now.
            done: Called with each command that has ended well.

        Raises:
            JobError: A command failed; the others are ended, and the message shows the end of its output.
        """
        running: dict[int, tuple[Command, _Process]] = {}
        try:
            while True:
                while len(running) < self.at_once and (command := take()) is not None:
                    running[id(command)] = command, _Process(self.root, command)
                if not running:
                    return
                for key, (command, process) in list(running.items()):
                    status = process.poll()
                    if status is not None:
                        del running[key]
                        _check(command, status)
                        if process.seconds is not None:
                            self.seconds[command] = process.seconds
                        done(command)
                self.tick([command for command, _ in running.values()])
                time.sleep(_POLL)
        finally:
            _end_all([process for _, process in running.values()])


def _check(command: Command, status: int) -> None:
    if status:
        raise JobError(
            f"tools/{command.tool}.py failed with exit status {status} (complete output: {command.log})\n"
            f"{command.log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
        )


def fork_tool(
    root: Path,
    name: str,
    args: Sequence[object],
    log: Path,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> int:
    """Run a tool as :func:`rsseg.commands.call_tool` does, but import torch and the MM stack once for all tools.

    Args:
        root: Folder with ``tools/``.
        name: Name of the tool, without ``.py``.
        args: Its arguments.
        log: File to which all that it prints is appended.
        environment: Variables set for it, beside those of this process.
        keep_open: File descriptors that it inherits; a fork inherits all.

    Returns:
        The exit status; negative where a signal ended the tool.

    Raises:
        KeyboardInterrupt: This command was interrupted; the tool was ended.
    """
    if sys.platform != "linux":
        return call_tool(root, name, args, log, environment, keep_open)
    for package in ("datasets", "engine", "evaluation", "models"):
        importlib.import_module(f"rsseg.{package}")
    command = Command(name, tuple(map(str, args)), log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n$ {' '.join(['python', str(root / 'tools' / f'{name}.py'), *command.args])}\n")
    process = _Process(root, command, environment, "ab")
    try:
        while (status := process.poll()) is None:
            if interrupted():
                raise KeyboardInterrupt
            time.sleep(_POLL)
    finally:
        _end_all([process])
    return status


def _end_all(processes: Sequence[_Process]) -> None:
    """End processes that still run: ask, wait a little, then make them."""
    for process in processes:
        process.end(signal.SIGTERM)
    late = time.monotonic() + _GRACE
    while time.monotonic() < late and any(process.poll() is None for process in processes):
        time.sleep(_POLL)
    for process in processes:
        process.end(signal.SIGKILL)


class _Process:
    """One command while it runs."""

    def __init__(
        self, root: Path, command: Command, environment: Mapping[str, str] | None = None, mode: str = "wb"
    ) -> None:
        command.log.parent.mkdir(parents=True, exist_ok=True)
        argv = [str(root / "tools" / f"{command.tool}.py"), *command.args]
        self.status: int | None = None
        self.seconds: float | None = None
        self.other: subprocess.Popen[bytes] | None = None
        with command.log.open(mode) as log:
            if sys.platform == "linux":
                sys.stdout.flush()
                sys.stderr.flush()
                gc.freeze()  # the pages of what is imported stay shared
                parent = os.getpid()
                self.pid = os.fork()
                if self.pid == 0:
                    _become(argv, log.fileno(), parent, environment or {})
            else:
                self.other = subprocess.Popen(
                    [sys.executable, *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, LAUNCHED: "1"},
                )
                self.pid = self.other.pid

    def poll(self) -> int | None:
        """Exit status, None while it runs."""
        if self.other is not None:
            return self.other.poll()
        if self.status is None:
            ended, status, usage = os.wait4(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if ended else None
            self.seconds = usage.ru_utime + usage.ru_stime
        return self.status

    def end(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _become(argv: Sequence[str], log: int, parent: int, environment: Mapping[str, str]) -> None:
    """In the child: run a tool as ``python TOOL ARGUMENTS`` would, and leave."""
    status = 1
    try:
        end_with_parent(parent)
        os.environ.update(environment)
        os.environ[LAUNCHED] = "1"  # the demo itself says that it was interrupted
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _parents_streams.extend((sys.stdout, sys.stderr))
        sys.stdout, sys.stderr = (open(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115
        sys.path.insert(0, str(Path(argv[0]).parent))
        status = run_as_main(argv)
    finally:  # a fork must not go on with its parent's work
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def run_as_main(argv: Sequence[str]) -> int:
    """Run a script in this process as ``python SCRIPT ARGUMENTS`` would; an error is printed, with its traceback.

    Args:
        argv: Path of the script, and its arguments.

    Returns:
        The exit status.
    """
    sys.argv = list(argv)
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
