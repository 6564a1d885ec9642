"""Requests to the models of the page: in order, bounded, with progress, done by one worker process.

A *work function* has the signature ``work(request, models, progress) -> result``:

- ``request``: a dict of plain values.
- ``models``: the worker's own dict, empty at first.  What is kept there (models, embeddings) is there for the next
  request; the work function bounds it.
- ``progress(done, message, partial=None)``: share done from 0 to 1, a text and, if there is one, what can be shown
  already.  It raises :class:`rsseg.serving.worker.Stopped` once the request was cancelled, so call it often.
- The result (and ``partial``) is a dict.  What its key ``data`` holds (arrays, bytes) only the server reads; everything
  else must be JSON, and goes to the page.
"""

from __future__ import annotations

import logging
import math
import pickle
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from rsseg.io.workers import spawn_process
from rsseg.serving.worker import serve_requests

__all__ = ["ModelQueue", "QueueFull", "Ticket"]

_log = logging.getLogger("rsseg")
State = Literal["queued", "running", "done", "failed", "cancelled"]
_TICK = 0.1  # seconds between looks at the clock while a request runs


class QueueLimits(Protocol):
    """What :class:`rsseg.serving.settings.ServeSettings` says about the queue."""

    @property
    def queue_length(self) -> int:
        """How many requests may wait."""

    @property
    def request_seconds(self) -> float:
        """How long one may run."""


class QueueFull(Exception):
    """As many requests wait as may wait.

    Attributes:
        retry_after: Seconds after which to ask again.
    """

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} requests wait for the model already; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass
class Ticket:
    """A request and how far it is.

    Attributes:
        id: What the page asks for it by; cannot be guessed.
        work: ``module:function`` that does it.
        request: What it gets.
        key: Equal for requests with the same result; None for one that is not shared.
        seconds: Longest time that it may run.
        state: ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
        position: Requests that come before it.
        progress: Share that is done, from 0 to 1.
        message: What is being done (for one that waits: of the one that runs, and how far it is), or why it failed.
        partial: What can be shown before the end, and after a cancelled one; None for nothing.
        result: What the work function returned, once it is done.
    """

    id: str
    work: str
    request: dict[str, Any]
    key: str | None
    seconds: float
    state: State = "queued"
    position: int = 0
    progress: float = 0.0
    message: str = ""
    partial: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    size: int = field(default=0, repr=False)
    ended: float = field(default=math.inf, repr=False)

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")


class ModelQueue:
    """One worker process and the requests that wait for it.

    The process starts with the first request, keeps its models, and is started again after it has died.  It ends with
    this process, even if that is killed.

    Args:
        limits: How many requests may wait, one more is refused; and how long one may run by default.
        kept: How many finished tickets are kept.
        kept_bytes: Bytes of results that are kept.
        kept_seconds: How long a finished ticket is kept.
        grace: Seconds in which a work function may end by itself before its process is killed.
    """

    def __init__(
        self,
        limits: QueueLimits,
        kept: int = 256,
        kept_bytes: int = 512 << 20,
        kept_seconds: float = 3600.0,
        grace: float = 5.0,
    ) -> None:
        self.limits, self.grace = limits, grace
        self.kept, self.kept_bytes, self.kept_seconds = kept, kept_bytes, kept_seconds
        self._changed = threading.Condition()
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._waiting: deque[Ticket] = deque()
        self._running: Ticket | None = None
        self._stop = False  # the running request was cancelled
        self._durations: deque[float] = deque([5.0], maxlen=8)
        self._closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._thread: threading.Thread | None = None

    @property
    def worker(self) -> int | None:
        """Process id of the worker; None where it has not been started, or has ended."""
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def submit(
        self, work: str, request: dict[str, Any], key: str | None = None, seconds: float | None = None
    ) -> Ticket:
        """Let the worker do something; a request with the key of one that waits, runs or is done gets its ticket.

        Args:
            work: ``module:function``, see this module.
            request: Plain values.
            key: Equal for requests with the same result.
            seconds: How long it may run, if not as long as by default.

        Raises:
            QueueFull: Too many requests wait already.
        """
        with self._changed:
            self._forget_old()
            if key is not None:
                for ticket in reversed(self._tickets.values()):
                    ends = ticket.state in ("failed", "cancelled") or (self._stop and ticket is self._running)
                    if (ticket.work, ticket.key) == (work, key) and not ends:
                        return self._snapshot(ticket)
            if len(self._waiting) >= self.limits.queue_length or self._closed:
                expected = sum(self._durations) / len(self._durations)
                raise QueueFull(len(self._waiting), min(max(math.ceil(expected), 1), 60))
            limit = self.limits.request_seconds if seconds is None else seconds
            ticket = Ticket(secrets.token_urlsafe(12), work, request, key, limit)
            self._tickets[ticket.id] = ticket
            self._waiting.append(ticket)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="model queue", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return self._snapshot(ticket)

    def get(self, id: str) -> Ticket:
        """A ticket as it is now.

        Raises:
            LookupError: There is none with this id, or it was finished long ago.
        """
        with self._changed:
            self._forget_old()
            return self._snapshot(self._found(id))

    def wait(self, id: str, seconds: float) -> Ticket:
        """A ticket once it is finished, or after so many seconds as it is then; for threads.

        Raises:
            LookupError: As for :meth:`get`.
        """
        end = time.monotonic() + seconds
        with self._changed:
            ticket = self._found(id)
            while not ticket.finished and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._snapshot(ticket)

    def cancel(self, id: str) -> Ticket:
        """End a request, for all that share it: at once where it waits, else as soon as the work function can be ended.

        Raises:
            LookupError: As for :meth:`get`.
        """
        with self._changed:
            ticket = self._found(id)
            if ticket.state == "queued":
                self._waiting.remove(ticket)
                self._finish(ticket, "cancelled", "cancelled")
            elif ticket is self._running and not self._stop:
                self._stop, ticket.message = True, "being cancelled"
            return self._snapshot(ticket)

    def close(self) -> None:
        """End the worker and all requests; may be called again."""
        with self._changed:
            self._closed = True
            while self._waiting:
                self._finish(self._waiting.popleft(), "cancelled", "the server ends")
            self._changed.notify_all()
        self._end_worker()
        if self._thread is not None:
            self._thread.join(10)

    def _found(self, id: str) -> Ticket:
        try:
            return self._tickets[id]
        except KeyError:
            raise LookupError("there is no such request, or it was finished long ago; ask again") from None

    def _snapshot(self, ticket: Ticket) -> Ticket:
        before, message, running = 0, ticket.message, self._running
        if ticket.state == "queued":
            before = self._waiting.index(ticket) + (running is not None)
            if running is not None:
                message = f"{running.message or 'working'}, {100 * running.progress:.0f} %"
        return replace(ticket, position=before, message=message)

    def _finish(self, ticket: Ticket, state: State, message: str, result: dict[str, Any] | None = None) -> None:
        ticket.state, ticket.message, ticket.result = state, message, result
        ticket.partial = None if state == "done" else ticket.partial
        ticket.progress = 1.0 if state == "done" else ticket.progress
        ticket.ended = time.monotonic()
        self._tickets.move_to_end(ticket.id)  # finished ones stand in the order in which they are forgotten
        self._changed.notify_all()

    def _forget_old(self) -> None:
        ended = [ticket for ticket in self._tickets.values() if ticket.finished]
        size, count, now = sum(ticket.size for ticket in ended), len(ended), time.monotonic()
        for ticket in ended:
            newest = count == 1  # one result may be larger than all that is kept
            if now - ticket.ended < self.kept_seconds and (newest or (count <= self.kept and size <= self.kept_bytes)):
                break
            del self._tickets[ticket.id]
            size, count = size - ticket.size, count - 1

    def _work(self) -> None:
        """The thread that gives the worker one request after the other."""
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                ticket = self._running = self._waiting.popleft()
                self._stop, ticket.state = False, "running"
                self._changed.notify_all()
            started = time.monotonic()
            state, message, result = self._do(ticket)
            with self._changed:
                self._durations.append(time.monotonic() - started)
                self._running = None
                self._finish(ticket, state, message, result)
                self._forget_old()

    def _do(self, ticket: Ticket) -> tuple[State, str, dict[str, Any] | None]:
        """Run a request to whatever its end is."""
        try:
            process, pipe = self._start_worker()
            pipe.send(("run", ticket.id, ticket.work, ticket.request))
            return self._follow(ticket, process, pipe)
        except (EOFError, OSError):  # the process has ended
            status = None
            if (dead := self._process) is not None:
                dead.join(1)
                status = dead.exitcode
            self._end_worker()
            if self._closed or self._stop:
                return "cancelled", "the server ends" if self._closed else "cancelled", None
            how = "perhaps since memory ran out" if status == -9 else f"exit status {status}"
            return (
                "failed",
                f"the process of the model has died ({how}); it is started again for the next request",
                None,
            )
        except Exception:  # such as memory that a result needs here; the thread goes on
            _log.exception("%s failed", ticket.work)
            self._end_worker()
            return "failed", "an error of the program; the log of the server has the details", None

    def _follow(
        self, ticket: Ticket, process: BaseProcess, pipe: Connection
    ) -> tuple[State, str, dict[str, Any] | None]:
        limit, killing, late = time.monotonic() + ticket.seconds, math.inf, False
        while True:
            wait([pipe, process.sentinel], _TICK)
            while pipe.poll():
                if (end := self._receive(ticket, pipe.recv_bytes())) is not None:
                    return self._late(ticket) if late and end[0] == "cancelled" else end
            if not process.is_alive() and not pipe.poll():
                raise EOFError
            now = time.monotonic()
            if killing == math.inf and (self._stop or now > limit):
                late, killing = not self._stop, now + self.grace
                pipe.send(("stop", ticket.id))
            if now > killing:
                self._end_worker()
                return self._late(ticket) if late else ("cancelled", "cancelled", None)

    def _receive(self, ticket: Ticket, message: bytes) -> tuple[State, str, dict[str, Any] | None] | None:
        kind, id, value = pickle.loads(message)
        if id != ticket.id:
            return None
        if kind == "done":
            ticket.size = len(message)
            return "done", "", value
        if kind != "progress":
            return ("failed", str(value), None) if kind == "failed" else ("cancelled", "cancelled", None)
        with self._changed:
            ticket.progress, text, partial = value
            ticket.message = "being cancelled" if self._stop else text
            if partial is not None:
                ticket.partial, ticket.size = partial, len(message)
            self._changed.notify_all()
        return None

    @staticmethod
    def _late(ticket: Ticket) -> tuple[State, str, None]:
        return "failed", f"took longer than {ticket.seconds:g} s and was ended; choose a smaller view", None

    def _start_worker(self) -> tuple[BaseProcess, Connection]:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self._end_worker()
            self._process, self._pipe = spawn_process(serve_requests, "models")
            if self._closed:
                raise EOFError
        return self._process, self._pipe

    def _end_worker(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()
