"""Routes of the queue: how far a request to a model is, and how to end it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rsseg.serving.queue import LaneName, ModelQueue, QueueFull
from rsseg.serving.tickets import Ticket, TicketState

if TYPE_CHECKING:
    from rsseg.serving.state import State

__all__ = ["RESPONSES", "TicketAnswer", "TicketId", "Wait", "answer", "enqueue", "finished", "router", "told"]

_LONGEST = 600.0  # seconds that a client may wait for an answer
_LOOK = 0.05  # seconds between looks at a request that somebody waits for

TicketId = Annotated[str, Path(min_length=1, max_length=64, description="Id of the request.")]
Wait = Annotated[
    float, Query(ge=0, le=_LONGEST, allow_inf_nan=False, description="Seconds to wait for the end of the request.")
]


class TicketAnswer(BaseModel):
    """A request to a model: where it is in the queue, how far it is, and its result."""

    id: str
    state: TicketState
    position: int = Field(description="Requests that come before this one.")
    progress: float = Field(description="Share that is done, from 0 to 1.")
    message: str = Field(description="What is being done, or why it failed.")
    partial: dict[str, Any] | None = Field(description="What can be shown before the end.")
    result: dict[str, Any] | None

    @classmethod
    def of(cls, ticket: Ticket) -> TicketAnswer:
        """Of a ticket, without what only the server reads."""
        return cls(
            id=ticket.id,
            state=ticket.state,
            position=ticket.position,
            progress=ticket.progress,
            message=ticket.message,
            partial=_plain(ticket.partial),
            result=_plain(ticket.result),
        )


def _plain(result: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if result is None else {key: value for key, value in result.items() if key != "data"}


RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": TicketAnswer, "description": "Not finished yet; ask for it with GET /work/{id}."},
    400: {"description": "The request makes no sense; the text says why."},
    404: {"description": "There is no such layer."},
    429: {"description": "Too many requests wait already; Retry-After has the seconds to wait."},
}
"""Documented answers of routes that ask a model, besides 200; see :func:`answer`."""


def enqueue(
    queue: ModelQueue,
    work: str,
    request: dict[str, Any],
    key: str | None = None,
    seconds: float | None = None,
    lane: LaneName = "models",
) -> Ticket:
    """:meth:`rsseg.serving.queue.ModelQueue.submit` for routes.

    Raises:
        HTTPException: 429, too many requests wait already.
    """
    try:
        return queue.submit(work, request, key, seconds, lane)
    except QueueFull as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.retry_after)}) from error


async def finished(queue: ModelQueue, id: str, wait: float) -> Ticket:
    """A ticket once it is finished, or after ``wait`` seconds as it is then; keeps no thread busy.

    No answer takes longer than a request may, less what it takes to send it.

    Raises:
        LookupError: There is none with this id.
    """
    end = time.monotonic() + min(wait, 0.9 * queue.limits.request_seconds)
    ticket = queue.get(id)
    while not ticket.finished and time.monotonic() < end:
        await asyncio.sleep(_LOOK)
        ticket = queue.get(id)
    return ticket


async def answer(queue: ModelQueue, ticket: Ticket, wait: float) -> JSONResponse:
    """Answer of a route that has asked a model: 200 with the ticket if it is finished within ``wait`` s, else 202."""
    return told(await finished(queue, ticket.id, wait))


def told(ticket: Ticket) -> JSONResponse:
    """Answer with a ticket as it is: 200 where it is finished, else 202."""
    return JSONResponse(TicketAnswer.of(ticket).model_dump(), 200 if ticket.finished else 202)


def router(state: State) -> APIRouter:
    """``GET`` and ``DELETE /work/{id}``."""
    routes = APIRouter(tags=["work"])
    unknown: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such request."}}

    @routes.get("/work/{id}", responses=unknown)
    async def read_work(id: TicketId, wait: Wait = 0) -> TicketAnswer:
        """How far a request is, and its result; waits for its end if asked to."""
        return TicketAnswer.of(await finished(state.queue, id, wait))

    @routes.delete("/work/{id}", responses=unknown)
    def cancel_work(id: TicketId) -> TicketAnswer:
        """End a request, for all clients that share it; one that runs may take some seconds to end."""
        return TicketAnswer.of(state.queue.cancel(id))

    return routes
