"""Ctrl-C, SIGTERM and SIGHUP end a command with one line, and end all processes that it has started.

The first signal raises ``KeyboardInterrupt`` in the main thread, so that files are closed and temporary ones removed.
A thread watches besides: where that takes longer than a few seconds (a library is busy, or swallows the exception), or
when the signal comes again, it ends the process at once.  Nothing is lost: all files are written under temporary names.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import resource_tracker, util
from pathlib import Path
from typing import IO, Any, NoReturn

__all__ = ["AGAIN", "LAUNCHED", "Watch", "at_end", "call", "end_with_parent", "interrupted", "leave"]

AGAIN = "run the same command again to continue"
"""What to do after an interruption, unless a command says otherwise."""
LAUNCHED = "RSSEG_LAUNCHED"
"""Environment variable of processes that another command has started, which itself tells of an interruption."""
_GRACE = 5.0
"""Seconds in which a command may end by itself."""
_AGAIN = 1.0
"""Seconds in which another signal is the same one; ``timeout`` and ``make`` send it twice."""
_FOLLOWS = 0.2
"""Seconds in which a signal follows an error that it has caused."""
_CHILDREN = 8.0
"""Seconds in which processes that were started may end by themselves; a tool among them takes ``_GRACE``."""
_NUMBERS = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]

_received: list[int] = []
_last_acts: list[Callable[[], None]] = []


def interrupted() -> bool:
    """Whether a signal has come that ends this command."""
    return bool(_received)


def at_end(function: Callable[[], None]) -> None:
    """Call a function before an interrupted process ends; it must be quick."""
    _last_acts.append(function)


class Watch:
    """Waits for the signals that end a command; one for a process, made in its main thread.

    A signal that is ignored (by ``nohup``, or for a job in the background of a script) stays so.

    Args:
        again: What to do after an interruption; the end of the line.
    """

    def __init__(self, again: str = AGAIN) -> None:
        self._again, self._owner, self._quiet = again, os.getpid(), _is_told_by_another()
        self._lock, self._raised = threading.Lock(), False
        _received.clear()
        sys.warnoptions.append("ignore:resource_tracker")  # its own process takes these over
        read, write = os.pipe()
        for end in (read, write):
            os.set_blocking(end, False)
        for number in _NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=self._forget)
        self._others = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        threading.Thread(target=self._watch, args=(read,), name="interruption", daemon=True).start()

    def _handle(self, number: int, _: Any) -> None:
        if os.getpid() != self._owner:  # a worker that was forked; the command itself says what there is to say
            os._exit(128 + number)
        if not self._raised:
            self._raised = True
            _received.append(number)
            _forget_children()
            threading.excepthook = _say_nothing  # threads fail as what they work with ends
            raise KeyboardInterrupt

    def follows(self) -> bool:
        """Whether a signal has come, or comes within a moment.

        Ctrl-C may reach a child first, whose end is an error here; and Python may run what is called at a child's end
        within what is called at Ctrl-C, so that the latter ends by the error of the former.  The thread sees both.
        """
        end = time.monotonic() + _FOLLOWS
        while True:
            try:
                _forget_children()
                while not _received and time.monotonic() < end:
                    time.sleep(0.01)
                return interrupted()
            except (Exception, KeyboardInterrupt):  # of these, also for further children
                continue

    def _forget(self) -> None:
        """In a process that was forked: its signals are its own."""
        signal.set_wakeup_fd(-1)

    def _unraisable(self, found: Any) -> None:
        """An interrupt that came where nothing can be raised is raised a little later; after one, nothing is said.

        Python says that it ignores a signal, such as that of a child's end, which came together with the interrupt.
        """
        if not _received or os.getpid() != self._owner:
            self._others(found)
        elif found.exc_type is KeyboardInterrupt:
            self._raised, number = False, _received[0]
            threading.Timer(0.05, os.kill, (self._owner, number)).start()

    def _watch(self, pipe: int) -> None:
        first, number = 0.0, 0
        while True:
            left = max(first + _GRACE - time.monotonic(), 0) if first else None
            if not select.select([pipe], [], [], left)[0]:
                self.end(number)
            numbers = [each for each in os.read(pipe, 512) if each in _NUMBERS]
            if numbers and first and time.monotonic() - first > _AGAIN:
                self.end(number)
            if numbers and not first:
                first, number = time.monotonic(), numbers[0]
                _received.append(number)

    def end(self, number: int | None = None) -> NoReturn:
        """Say that the command was interrupted, end what it started, and end.

        The exit status is 128 and the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
        """
        number = number or (_received[0] if _received else signal.SIGINT)
        if not self._lock.acquire(blocking=False):  # the other thread does it
            while True:
                time.sleep(1)
        line = "" if self._quiet else f"interrupted ({signal.Signals(number).name}); {self._again}\n"
        leave(128 + number, line)


def _forget_children() -> None:
    """Call nothing at the end of a child: torch raises an error where a data loader's worker ends by a signal."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def leave(status: int, line: str = "") -> NoReturn:
    """End this process and all that it has started, now.

    Args:
        status: Exit status.
        line: What to print on stderr first.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        if line and sys.stderr.isatty():  # below a progress bar, or the ^C of the terminal
            sys.stderr.write("\n")
        sys.stderr.write(line)
        sys.stderr.flush()
    sys.unraisablehook = _say_nothing  # semaphores that another thread gives up while their tracker ends
    for act in _last_acts:
        act()
    _end_children()
    with contextlib.suppress(Exception):
        util._run_finalizers(0)  # type: ignore[attr-defined]  # semaphores, of which multiprocessing would say that they are left
    _end_tracker()
    os._exit(status)


def _say_nothing(_: Any) -> None:
    """One line is enough of an interruption, whatever fails on the way."""


def _is_told_by_another() -> bool:
    """Whether another of several processes of one command says what there is to say."""
    return any(os.environ.get(name, "0") != "0" for name in (LAUNCHED, "RANK", "SLURM_PROCID"))


def _end_children() -> None:
    """Ask all processes that this one has started to end, and after some seconds make them."""
    keep = getattr(resource_tracker._resource_tracker, "_pid", None)  # ends with this process, and tidies up first
    left = [process for process in _descendants() if process != keep]
    _signal(left, signal.SIGTERM)
    end = time.monotonic() + _CHILDREN
    while time.monotonic() < end and (left := [process for process in left if _runs(process)]):
        time.sleep(0.02)
    _signal(left, signal.SIGKILL)


def _end_tracker() -> None:
    """Let multiprocessing's tracker of semaphores, which ends once nobody can write to it, end before its parent."""
    tracker: Any = resource_tracker._resource_tracker
    process, pipe = getattr(tracker, "_pid", None), getattr(tracker, "_fd", None)
    if process is None or pipe is None:
        return
    with contextlib.suppress(OSError):
        os.close(pipe)
    end = time.monotonic() + _CHILDREN
    while time.monotonic() < end and _runs(process):
        time.sleep(0.005)


def _signal(processes: Sequence[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _descendants() -> list[int]:
    """Processes that this one has started, and those that they have started."""
    parents = _parents()
    if not parents:
        return [child.pid for child in multiprocessing.active_children() if child.pid is not None]
    found, todo = list[int](), [os.getpid()]
    while todo:
        own = parents.get(todo.pop(), [])
        found += own
        todo += own
    return found


def _parents() -> dict[int, list[int]]:
    """Processes by the one that started them; empty where the system does not tell (it is no Linux)."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
            found.setdefault(parent, []).append(int(path.parent.name))
    return found


def _runs(process: int) -> bool:
    """Whether a process is there and has not ended; one that ended and waits for its parent has."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        pass
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return not Path("/proc/self").exists()


def call(command: Sequence[str], env: Mapping[str, str], output: IO[Any], pass_fds: Sequence[int] = ()) -> int:
    """Run another program to its end, in any thread; it is ended where this command is interrupted.

    Args:
        command: The program and its arguments.
        env: Its environment.
        output: Open file for all that it prints.
        pass_fds: File descriptors that it inherits.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: This command was interrupted.
    """
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=env, pass_fds=pass_fds, **streams) as process:
        try:
            status = None
            while status is None and not interrupted():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(0.2)
            if status is None or interrupted():
                raise KeyboardInterrupt
            return status
        except BaseException:
            process.terminate()
            try:
                process.wait(_CHILDREN)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def end_with_parent(parent: int | None = None) -> None:
    """In a process that another one has started: end when that one has ended.

    Args:
        parent: Its process id; by default that of the process that started this one by multiprocessing.
    """
    if parent is None:
        parent = getattr(multiprocessing.parent_process(), "pid", None)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
