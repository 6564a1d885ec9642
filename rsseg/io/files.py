"""Write files behind the work that makes them, and never half; their SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from rsseg.errors import ConfigError

__all__ = ["Writer", "locked", "remove_abandoned", "replacing", "run_threads", "sha256_of"]

_log = logging.getLogger("rsseg")
Item = TypeVar("Item")
Result = TypeVar("Result")

_ABANDONED_SECONDS = 3600.0
"""A temporary file of another machine that nobody wrote to for so long has no owner any more."""


class Writer:
    """Threads that do jobs in the background, begun in order, with a bounded number of unfinished ones.

    Args:
        waiting: Jobs that may be unfinished; ``submit`` blocks beyond that.
        threads: How many work at once; with one, jobs also end in order.
    """

    def __init__(self, waiting: int = 8, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="writer")
        self._slots = threading.BoundedSemaphore(waiting)
        self._failure: BaseException | None = None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call ``function(*args)`` in the background, after everything submitted before.

        Raises:
            Exception: Whatever an earlier job raised.
        """
        self._slots.acquire()
        if self._failure is not None:
            self._slots.release()
            raise self._failure
        future = self._pool.submit(function, *args)
        future.add_done_callback(self._done)
        return future

    def submit_checked(self, function: Callable[..., Any], *args: Any) -> None:
        """As ``submit``, for callers that keep no future: the next call, or ``close_checked``, raises what failed.

        Raises:
            Exception: Whatever an earlier job raised.
        """
        self.submit(function, *args)

    def close_checked(self) -> None:
        """Wait for all jobs and stop.

        Raises:
            Exception: Whatever a job raised.
        """
        self.close()
        if self._failure is not None:
            raise self._failure

    def _done(self, future: Future[Any]) -> None:
        if self._failure is None and not future.cancelled():
            self._failure = future.exception()
        self._slots.release()

    def close(self, cancel: bool = False) -> None:
        """Wait for the threads; ``cancel`` drops jobs that have not begun."""
        self._pool.shutdown(wait=True, cancel_futures=cancel)


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
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    with ThreadPoolExecutor(workers, thread_name_prefix="worker") as pool:
        jobs = {pool.submit(work, item): item for item in items}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def replacing(path: Path, tag: str = "file") -> Iterator[IO[bytes]]:
    """Open a new version of a file, which takes its place when the block ends without an error.

    Args:
        path: The file; its folder must exist.
        tag: Goes into the temporary name ``.tmp-<tag>-...`` beside it, so that leftovers can be told apart.

    Raises:
        OSError: Writing failed, for example on a full disk; the message names the file.
    """
    temporary = path.parent / f".tmp-{tag}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:  # not from writing, and says itself what is wrong
            raise
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path, mine: Callable[[str], bool] | None = None) -> None:
    """Delete temporary files of :func:`replacing` whose process was killed, and spare those of running ones.

    Args:
        folder: Where to look.
        mine: Whether files with that tag are this process's business; by default all are.
    """
    for path in folder.glob(".tmp-*-*-*-*"):
        _, tag, host, process, _ = path.name.split("-")
        if (mine is None or mine(tag)) and _abandoned(path, host, int(process)):
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: str | None = None) -> Iterator[int]:
    """Hold a folder, or a file that is made, for one process at a time; a killed process lets go.

    Args:
        path: The folder or file.
        wait: What to log where another process holds it, before waiting.

    Returns:
        A file descriptor; processes that inherit it hold the lock as well.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait:
                _log.info("%s", wait)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # some network file systems do not lock folders; all processes write the same bytes anyway
            if not path.is_dir():
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits; the file is read in pieces of 1 MiB.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _abandoned(path: Path, host: str, process: int) -> bool:
    try:
        if host == _host():
            os.kill(process, 0)
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    except (ProcessLookupError, FileNotFoundError):
        return True
    except PermissionError:
        return False
