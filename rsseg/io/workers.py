"""Threads and processes that share the work of a command, and end with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import TypeVar

from rsseg.errors import ConfigError, JobError
from rsseg.interruption import end_with_parent, interrupted

__all__ = ["map_threads", "process_pool", "run_threads", "spawn_process"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_threads(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """Each item with ``work(item)``, as they get ready; jobs that have not begun are dropped when one fails.

    Args:
        work: What to do; decoding, encoding and writing let other threads run.
        items: What to do it with.
        workers: How many at a time.

    Raises:
        Exception: Whatever ``work`` raised.
        ConfigError: ``workers`` is not allowed.
    """
    with ThreadPoolExecutor(_checked(workers), thread_name_prefix="worker") as pool:
        jobs = {pool.submit(work, item): item for item in items}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def map_threads(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """``work(item)`` of each item, in their order; few are begun ahead, and dropped when one fails.

    Args:
        work: What to do.
        items: What to do it with.
        workers: How many at a time.

    Raises:
        Exception: Whatever ``work`` raised.
        ConfigError: ``workers`` is not allowed.
    """
    rest, jobs = iter(items), deque[Future[Result]]()
    with ThreadPoolExecutor(_checked(workers), thread_name_prefix="worker") as pool:
        try:
            jobs.extend(pool.submit(work, item) for item in islice(rest, 4 * workers))
            while jobs:
                yield jobs.popleft().result()
                jobs.extend(pool.submit(work, item) for item in islice(rest, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def process_pool(workers: int, initializer: Callable[[], object] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that end with this one, however it ends.

    Args:
        workers: How many.
        initializer: What each of them calls first; a function of a module.

    Raises:
        ConfigError: ``workers`` is not allowed.
        JobError: A process was killed, for example since there was not enough memory.
    """
    with ProcessPoolExecutor(_checked(workers), _Context(), initializer=_start, initargs=(initializer,)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise JobError(
                f"one of {workers} worker processes was killed, perhaps since memory ran out; use fewer --workers"
            ) from error
        finally:
            for process in multiprocessing.active_children() if interrupted() else ():
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def spawn_process(body: Callable[[Connection], None], name: str) -> tuple[BaseProcess, Connection]:
    """Start a fresh process that serves this one through a pipe, and ends at the latest when this one ends by itself.

    Args:
        body: What it runs; a function of a module.  Its end of the pipe raises ``EOFError`` once this process has
            ended.
        name: What the process is called.

    Returns:
        The process and this end of the pipe.
    """
    own, other = Pipe()
    process = _Context().Process(target=body, args=(other,), name=name, daemon=True)
    process.start()
    other.close()  # so that the end of the process is the end of the pipe
    return process, own


class _Process(SpawnProcess):
    """A process that leaves Ctrl-C to the one that starts it, from its first moment on."""

    def start(self) -> None:
        """Start it; a signal mask is inherited."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
    Process = _Process


def _start(initializer: Callable[[], object] | None) -> None:
    end_with_parent()
    if initializer is not None:
        initializer()


def _checked(workers: int) -> int:
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    return workers
