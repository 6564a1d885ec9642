"""Requests to the models of the page, and those that are kept once they are finished."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["End", "Ticket", "TicketState", "Tickets"]

TicketState = Literal["queued", "running", "done", "failed", "cancelled"]
End = tuple[TicketState, str, dict[str, Any] | None]
"""State, message and result with which a request ends."""


@dataclass
class Ticket:
    """A request and how far it is.

    Attributes:
        id: What the page asks for it by; cannot be guessed.
        work: ``module:function`` that does it.
        request: What it gets.
        key: Equal for requests with the same result; None for one that is not shared.
        lane: Name of the process that does it.
        seconds: Longest time that it may run.
        grace: Seconds in which its work function may end by itself before the process is killed.
        state: ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
        position: Requests that come before it.
        progress: Share that is done, from 0 to 1.
        message: What is being done (for one that waits: of the one that runs, and how far it is), or why it failed.
        partial: What can be shown before the end, and after a cancelled one; None for nothing.
        result: What the work function returned, once it is done.
        stopping: Whether it runs but is being cancelled.
        size: Bytes of the result, or of what can be shown already.
        ended: When it was finished, by the clock that never goes back.
    """

    id: str
    work: str
    request: dict[str, Any]
    key: str | None
    lane: str
    seconds: float
    grace: float
    state: TicketState = "queued"
    position: int = 0
    progress: float = 0.0
    message: str = ""
    partial: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    stopping: bool = field(default=False, repr=False)
    size: int = field(default=0, repr=False)
    ended: float = field(default=math.inf, repr=False)

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")

    def finish(self, end: End) -> None:
        """Note how it has ended."""
        self.state, self.message, self.result = end
        self.ended = time.monotonic()
        if self.state == "done":
            self.partial, self.progress = None, 1.0


class Tickets:
    """All requests that wait or run, and the last ones that are finished; for one thread at a time.

    Args:
        count: How many finished ones are kept.
        size: Bytes of their results that are kept.
        seconds: How long a finished one is kept.
    """

    def __init__(self, count: int, size: int, seconds: float) -> None:
        self.count, self.size, self.seconds = count, size, seconds
        self._all: dict[str, Ticket] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, ticket: Ticket) -> None:
        """Keep a ticket."""
        self._all[ticket.id] = ticket

    def get(self, id: str) -> Ticket:
        """A ticket by its id.

        Raises:
            LookupError: There is none, or it was finished long ago.
        """
        try:
            return self._all[id]
        except KeyError:
            raise LookupError("there is no such request, or it was finished long ago; ask again") from None

    def same(self, work: str, key: str) -> Ticket | None:
        """The latest request with a key that waits, runs or is done."""
        for ticket in reversed(self._all.values()):
            ends = ticket.state in ("failed", "cancelled") or ticket.stopping
            if (ticket.work, ticket.key) == (work, key) and not ends:
                return ticket
        return None

    def forget_old(self) -> None:
        """Drop finished ones that are old or too many; the newest is kept, however large its result is."""
        ended = sorted((ticket for ticket in self._all.values() if ticket.finished), key=lambda ticket: ticket.ended)
        size, count, now = sum(ticket.size for ticket in ended), len(ended), time.monotonic()
        for ticket in ended:
            fits = count == 1 or (count <= self.count and size <= self.size)
            if now - ticket.ended < self.seconds and fits:
                break
            del self._all[ticket.id]
            size, count = size - ticket.size, count - 1
