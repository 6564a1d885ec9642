"""Write files behind the work that makes them, and never half; their SHA-256."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rsseg.errors import UserError
from rsseg.interruption import at_end

__all__ = ["Writer", "locked", "remove_abandoned", "replacing", "sha256_of"]

_log = logging.getLogger("rsseg")

_ABANDONED_SECONDS = 3600.0
"""A temporary file of another machine that nobody wrote to for so long has no owner any more."""
_TEMPORARY = re.compile(r"\.tmp-[^-]+-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,9})-[0-9a-f]{8}")
_live: set[Path] = set()
"""Temporary files of this process."""
_cleaned: set[Path] = set()
"""Folders whose abandoned temporary files are gone."""


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


@contextmanager
def replacing(path: Path, tag: str = "file") -> Iterator[IO[bytes]]:
    """Open a new version of a file, which takes its place when the block ends without an error.

    The temporary file beside it is locked while somebody writes to it, so that those of killed processes can be told
    apart; the first call for a folder removes them.

    Args:
        path: The file; its folder must exist.
        tag: Goes into the temporary name ``.tmp-<tag>-...`` beside it, for people; no dash in it.

    Raises:
        OSError: Writing failed, for example on a full disk; the message names the file.
    """
    if path.parent not in _cleaned:
        _cleaned.add(path.parent)
        remove_abandoned(path.parent)
    temporary = None
    try:
        temporary, file, lock = _temporary(path.parent, tag)
        try:
            with file:
                yield file
            os.replace(temporary, path)
        finally:
            os.close(lock)
    except OSError as error:
        elsewhere = error.filename is not None and not Path(os.fsdecode(error.filename)).name.startswith(".tmp-")
        if isinstance(error, UserError) or elsewhere:
            raise  # not from writing, and says itself what is wrong
        reason = f"cannot write {path}: {error.strerror or error}"
        raise OSError(error.errno or errno.EIO, reason) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
            _live.discard(temporary)


def _temporary(folder: Path, tag: str) -> tuple[Path, IO[bytes], int]:
    """A new temporary file, and a descriptor that keeps it locked."""
    while True:
        path = folder / f".tmp-{tag}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        _live.add(path)
        try:
            file = path.open("xb")
        except OSError:
            _live.discard(path)
            raise
        lock = os.dup(file.fileno())
        with suppress(OSError):  # some network file systems do not lock
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be looking whether it can be removed
        if os.path.lexists(path):
            return path, file, lock
        file.close()  # another process has removed it before it was locked
        os.close(lock)
        _live.discard(path)


def remove_abandoned(folder: Path) -> None:
    """Delete temporary files of :func:`replacing` whose process was killed; all other files stay.

    Args:
        folder: Where to look; it need not exist.
    """
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is not None and not entry.is_dir(follow_symlinks=False):
                _remove_if_abandoned(folder / entry.name, match["host"], int(match["process"]))


def _remove_if_abandoned(path: Path, host: str, process: int) -> None:
    if path in _live:
        return
    here = host == _host()
    lock, busy = _open_to_lock(path)
    try:
        old = time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS
        if not busy and (old or (here and (lock is not None or not _runs(process)))):
            path.unlink()
    except (FileNotFoundError, PermissionError):
        pass
    finally:
        if lock is not None:
            os.close(lock)


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
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            _wait_for(descriptor, path, wait)
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _wait_for(descriptor: int, path: Path, wait: str | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait:
            _log.info("%s", wait)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # some network file systems do not lock folders; all processes write the same bytes anyway
        if not path.is_dir():
            raise


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the path still is what was opened; the process that held the lock may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


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


def _open_to_lock(path: Path) -> tuple[int | None, bool]:
    """A descriptor that holds the lock of a file, and whether another process holds it; links cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None, False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return None, isinstance(error, BlockingIOError)
    return descriptor, False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove_temporaries() -> None:
    """Before an interrupted process ends: threads may still write."""
    for path in list(_live):
        with suppress(OSError):
            path.unlink(missing_ok=True)


at_end(_remove_temporaries)
