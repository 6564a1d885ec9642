"""A worker process of the page's models, and the requests that wait for it."""

from __future__ import annotations

import logging
import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from rsseg.io.workers import spawn_process
from rsseg.serving.tickets import End, Ticket

__all__ = ["Lane"]

_log = logging.getLogger("rsseg")
_TICK = 0.1  # seconds between looks at the clock while a request runs
_DEAD = 10.0  # seconds in which a process whose pipe is closed has ended, however busy the machine is


class Lane:
    """One worker process, which does one request after the other.

    The process starts with the first request, keeps its models, and is started again after it has died.  It ends with
    this process, even if that is killed.

    Args:
        name: Of the process.
        body: What the process runs, see :func:`rsseg.serving.worker.serve_requests`.
        stays: Whether the process stays, with its models, when no request waits.
        changed: Guards tickets and lanes, and is notified of every change.
        forget: Called, guarded, once a request is finished.

    Attributes:
        waiting: Requests in their order.
        running: What the process does.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[Connection], None],
        stays: bool,
        changed: threading.Condition,
        forget: Callable[[], None],
    ) -> None:
        self.name = name
        self.waiting: deque[Ticket] = deque()
        self.running: Ticket | None = None
        self._body, self._stays, self._changed, self._forget = body, stays, changed, forget
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

    @property
    def retry_after(self) -> int:
        """Seconds after which a place may be free, by what the last requests took; 60 at most."""
        return min(max(math.ceil(sum(self._durations) / len(self._durations)), 1), 60)

    # These are called with ``changed`` held ------------------------------------------------------------------------

    def add(self, ticket: Ticket) -> None:
        """Let a request wait for its turn."""
        self.waiting.append(ticket)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"queue of {self.name}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def cancel(self, ticket: Ticket) -> None:
        """End a request: at once where it waits, else as soon as its work function can be ended."""
        if ticket.state == "queued":
            self.waiting.remove(ticket)
            self._finish(ticket, ("cancelled", "cancelled", None))
        elif ticket is self.running and not ticket.stopping:
            ticket.stopping, ticket.message = True, "being cancelled"

    def told(self, ticket: Ticket) -> tuple[int, str]:
        """How many requests come before one, and what is said of it."""
        if ticket.state != "queued":
            return 0, ticket.message
        now = self.running
        text = "" if now is None else f"{now.message or 'working'}, {100 * now.progress:.0f} %"
        return self.waiting.index(ticket) + (now is not None), text

    def close(self) -> None:
        """Take no more requests, and cancel those that wait."""
        self._closed = True
        while self.waiting:
            self._finish(self.waiting.popleft(), ("cancelled", "the server ends", None))
        self._changed.notify_all()

    def _finish(self, ticket: Ticket, end: End) -> None:
        ticket.finish(end)
        self._forget()
        self._changed.notify_all()

    # These are not --------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """End the process, and what runs; after :meth:`close`."""
        if (process := self._process) is not None:
            process.kill()  # the thread sees that, and that this is the end
        if self._thread is not None:
            self._thread.join()
        self._end_worker()

    def _work(self) -> None:
        """The thread that gives the worker one request after the other."""
        while True:
            with self._changed:
                while not self.waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                ticket = self.running = self.waiting.popleft()
                ticket.state = "running"
                self._changed.notify_all()
            started = time.monotonic()
            end = self._do(ticket)
            with self._changed:
                self._durations.append(time.monotonic() - started)
                self.running = None
                self._finish(ticket, end)
                idle = not self.waiting
            if idle and not self._stays:
                self._end_worker()

    def _do(self, ticket: Ticket) -> End:
        """Run a request to whatever its end is."""
        try:
            process, pipe = self._start_worker()
            pipe.send(("run", ticket.id, ticket.work, ticket.request))
            return self._follow(ticket, process, pipe)
        except (EOFError, OSError):  # the process has ended
            status = None
            if (dead := self._process) is not None:
                dead.join(_DEAD)
                status = dead.exitcode
            self._end_worker()
            if self._closed or ticket.stopping:
                return "cancelled", "the server ends" if self._closed else "cancelled", None
            how = "perhaps since memory ran out" if status == -9 else f"exit status {status}"
            text = f"the process of the model has died ({how}); it is started again for the next request"
            return "failed", text, None
        except Exception:  # such as memory that a result needs here; the thread goes on
            _log.exception("%s failed", ticket.work)
            self._end_worker()
            return "failed", "an error of the program; the log of the server has the details", None

    def _follow(self, ticket: Ticket, process: BaseProcess, pipe: Connection) -> End:
        limit, killing, late = time.monotonic() + ticket.seconds, math.inf, False
        while True:
            wait([pipe, process.sentinel], _TICK)
            while pipe.poll():
                if (end := self._receive(ticket, pipe.recv_bytes())) is not None:
                    return self._late(ticket) if late and end[0] == "cancelled" else end
            if not process.is_alive() and not pipe.poll():
                raise EOFError
            now = time.monotonic()
            if killing == math.inf and (ticket.stopping or now > limit):
                late, killing = not ticket.stopping, now + ticket.grace
                pipe.send(("stop", ticket.id))
            if now > killing:
                self._end_worker()
                return self._late(ticket) if late else ("cancelled", "cancelled", None)

    def _receive(self, ticket: Ticket, message: bytes) -> End | None:
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
            ticket.message = "being cancelled" if ticket.stopping else text
            if partial is not None:
                ticket.partial, ticket.size = partial, len(message)
            self._changed.notify_all()
        return None

    @staticmethod
    def _late(ticket: Ticket) -> End:
        return "failed", f"took longer than {ticket.seconds:g} s and was ended; choose a smaller view", None

    def _start_worker(self) -> tuple[BaseProcess, Connection]:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self._end_worker()
            self._process, self._pipe = spawn_process(self._body, self.name)
            if self._closed:
                self._process.kill()
        return self._process, self._pipe

    def _end_worker(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()
