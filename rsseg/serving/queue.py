"""Requests to the models of the page: in order, bounded, with progress, done by worker processes.

A *work function* has the signature ``work(request, models, progress) -> result``:

- ``request``: a dict of plain values.
- ``models``: the worker's own dict, empty at first.  What is kept there (models, embeddings) is there for the next
  request; the work function bounds it.
- ``progress(done, message, partial=None)``: share done from 0 to 1, a text and, if there is one, what can be shown
  already.  It raises :class:`rsseg.serving.worker.Stopped` once the request was cancelled, so call it often.
- The result (and ``partial``) is a dict.  What its key ``data`` holds (arrays, bytes) only the server reads; everything
  else must be JSON, and goes to the page.

There are two processes, each of which does one request after the other: what a person waits for is done by the first,
and the second makes maps, which may take hours.  Each loads its own model, the second only while there are maps to
make.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace
from typing import Any, Literal, Protocol

from rsseg.serving.lanes import Lane
from rsseg.serving.tickets import Ticket, Tickets
from rsseg.serving.worker import serve_in_background, serve_requests

__all__ = ["LaneName", "ModelQueue", "QueueFull"]

LaneName = Literal["models", "maps"]
"""What people wait for, and what takes long."""


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


class ModelQueue:
    """The worker processes and the requests that wait for them; safe among threads.

    Args:
        limits: How many requests may wait for each process, one more is refused; and how long one may run by default.
        kept: How many finished tickets are kept.
        kept_bytes: Bytes of results that are kept.
        kept_seconds: How long a finished ticket is kept.
        grace: Seconds in which a work function may end by itself before its process is killed.

    Attributes:
        tickets: What is kept.
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
        self.tickets = Tickets(kept, kept_bytes, kept_seconds)
        self._changed, self._closed = threading.Condition(), False
        forget = self.tickets.forget_old
        self._lanes = {
            "models": Lane("models", serve_requests, True, self._changed, forget),
            "maps": Lane("maps", serve_in_background, False, self._changed, forget),
        }

    @property
    def workers(self) -> dict[str, int]:
        """Process ids of the workers that run, by their names."""
        found = {name: lane.worker for name, lane in self._lanes.items()}
        return {name: process for name, process in found.items() if process is not None}

    def submit(
        self,
        work: str,
        request: dict[str, Any],
        key: str | None = None,
        seconds: float | None = None,
        lane: LaneName = "models",
    ) -> Ticket:
        """Let a worker do something; a request with the key of one that waits, runs or is done gets its ticket.

        Args:
            work: ``module:function``, see this module.
            request: Plain values.
            key: Equal for requests with the same result.
            seconds: How long it may run, if not as long as by default.
            lane: Which process does it.

        Raises:
            QueueFull: Too many requests wait already.
        """
        with self._changed:
            self.tickets.forget_old()
            if key is not None and (same := self.tickets.same(work, key)) is not None:
                return self._snapshot(same)
            chosen = self._lanes[lane]
            if len(chosen.waiting) >= self.limits.queue_length or self._closed:
                raise QueueFull(len(chosen.waiting), chosen.retry_after)
            limit = self.limits.request_seconds if seconds is None else seconds
            ticket = Ticket(secrets.token_urlsafe(12), work, request, key, lane, limit, self.grace)
            self.tickets.add(ticket)
            chosen.add(ticket)
            return self._snapshot(ticket)

    def get(self, id: str) -> Ticket:
        """A ticket as it is now.

        Raises:
            LookupError: There is none with this id, or it was finished long ago.
        """
        with self._changed:
            self.tickets.forget_old()
            return self._snapshot(self.tickets.get(id))

    def wait(self, id: str, seconds: float) -> Ticket:
        """A ticket once it is finished, or after so many seconds as it is then; for threads.

        Raises:
            LookupError: As for :meth:`get`.
        """
        end = time.monotonic() + seconds
        with self._changed:
            ticket = self.tickets.get(id)
            while not ticket.finished and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._snapshot(ticket)

    def cancel(self, id: str) -> Ticket:
        """End a request, for all that share it: at once where it waits, else as soon as the work function can be ended.

        Raises:
            LookupError: As for :meth:`get`.
        """
        with self._changed:
            ticket = self.tickets.get(id)
            self._lanes[ticket.lane].cancel(ticket)
            return self._snapshot(ticket)

    def close(self) -> None:
        """End the workers and all requests; may be called again."""
        with self._changed:
            self._closed = True
            for lane in self._lanes.values():
                lane.close()
        for lane in self._lanes.values():
            lane.end()

    def _snapshot(self, ticket: Ticket) -> Ticket:
        position, message = self._lanes[ticket.lane].told(ticket)
        return replace(ticket, position=position, message=message)
