"""Routes of the tool "Review"."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from rsseg.serving.review_bodies import (
    AgreementAnswer,
    Context,
    DecisionBody,
    Item,
    ItemsAnswer,
    Label,
    LayerId,
    Limit,
    Number,
    Order,
    ReviewerBody,
    ReviewerName,
    SegmentBody,
    Shown,
    Start,
    StateOf,
    SummaryAnswer,
)
from rsseg.serving.review_crops import draw
from rsseg.serving.review_segment import WORK, segment_request
from rsseg.serving.reviews import Reviews
from rsseg.serving.state import State
from rsseg.serving.tickets import Ticket
from rsseg.serving.work import RESPONSES, TicketAnswer, Wait, answer, enqueue

__all__ = ["router"]

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The layer is no converted set, or the request makes no sense; the text says why."},
    404: {"description": "There is no such layer or object."},
    409: {"description": "The set was converted again, others' decisions are hidden still, or the review is finished."},
}
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {}}, "description": "A picture."}}


def router(state: State) -> APIRouter:
    """``/api/review/{layer}``: objects, pictures, decisions and their agreement."""
    routes = APIRouter(prefix="/api/review", tags=["review"], responses=_ERRORS)
    reviews = Reviews(state)
    _add_objects(routes, reviews, state.settings.reviewer)
    _add_decisions(routes, reviews, state.settings.reviewer)
    _add_model(routes, reviews, state)
    return routes


def _add_objects(routes: APIRouter, reviews: Reviews, me: str) -> None:
    @routes.get("/{layer}")
    def read_summary(layer: LayerId, reviewer: ReviewerName = me) -> SummaryAnswer:
        """The set, its classes, and how far the reviewer is."""
        return reviews.summary(layer, reviewer)

    @routes.get("/{layer}/items")
    def read_items(
        layer: LayerId,
        reviewer: ReviewerName = me,
        order: Order = "suspicious",
        shown: Shown = "undecided",
        label: Label = None,
        start: Start = 0,
        limit: Limit = 24,
        context: Context = 1,
    ) -> ItemsAnswer:
        """Some objects, in an order and by filters."""
        return reviews.items(layer, reviewer, (order, label, shown), (start, limit), context)

    @routes.get("/{layer}/items/{number}")
    def read_item(layer: LayerId, number: Number, reviewer: ReviewerName = me, context: Context = 1) -> Item:
        """One object, with more of its surroundings if asked for."""
        return reviews.item(layer, reviewer, number, context)

    @routes.get("/{layer}/pictures/{number}", response_class=Response, responses=_PICTURE)
    def read_picture(layer: LayerId, number: Number, state: StateOf, context: Context = 1) -> Response:
        """Picture of an object in a state."""
        found, tile, instance = reviews.read(layer, number, state)
        window = draw(tile, instance, context).window
        data = reviews.crops.picture(tile, window, (found.set_id, number, context, state))
        return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=86400, immutable"})


def _add_decisions(routes: APIRouter, reviews: Reviews, me: str) -> None:
    @routes.post("/{layer}/decisions")
    def add_decision(layer: LayerId, body: DecisionBody) -> Item:
        """Decide about an object; the decision is on the disk when this answers."""
        return reviews.decide(layer, body)

    @routes.post("/{layer}/undo")
    def undo(layer: LayerId, body: ReviewerBody, context: Context = 1) -> Item | None:
        """Take back the reviewer's last decision; the answer is its object, null where there is nothing to undo."""
        return reviews.undo(layer, body.reviewer, context)

    @routes.post("/{layer}/finish")
    def finish(layer: LayerId, body: ReviewerBody) -> SummaryAnswer:
        """Say that the review is finished, so that others' decisions may be seen."""
        reviews.get(layer).finish(body.reviewer)
        return reviews.summary(layer, body.reviewer)

    @routes.post("/{layer}/reopen")
    def reopen(layer: LayerId, body: ReviewerBody) -> SummaryAnswer:
        """Go on after the end, which is noted: what is decided then does not count for the agreement."""
        reviews.get(layer).reopen(body.reviewer)
        return reviews.summary(layer, body.reviewer)

    @routes.get("/{layer}/agreement")
    def read_agreement(layer: LayerId, reviewer: ReviewerName = me) -> AgreementAnswer:
        """How far all reviewers agree, by what each decided before the end of the own review."""
        return reviews.agreement(layer, reviewer)


def _add_model(routes: APIRouter, reviews: Reviews, state: State) -> None:
    @routes.post("/{layer}/segment", responses=RESPONSES, response_model=TicketAnswer)
    async def segment(layer: LayerId, body: SegmentBody, wait: Wait = 0) -> Response:
        """Mask of what is boxed or clicked on an object, as GeoJSON in pixels of its tile."""

        def ask() -> Ticket:
            _, tile, instance = reviews.read(layer, body.number, body.state)
            window = draw(tile, instance, body.context).window
            return enqueue(state.queue, WORK, segment_request(state.settings, layer, tile, window, body))

        return await answer(state.queue, await run_in_threadpool(ask), wait)
