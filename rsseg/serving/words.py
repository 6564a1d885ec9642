"""Routes of the tool "Words": classes in the user's own words, in a view and as maps."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rsseg.errors import ConfigError, DataError
from rsseg.io.hub import is_hub
from rsseg.io.output_names import check_name
from rsseg.metainfo import word_table
from rsseg.serving.bodies import LayerId, ViewBody, Word, picture_of
from rsseg.serving.state import State
from rsseg.serving.tickets import Ticket
from rsseg.serving.views import View
from rsseg.serving.word_masks import ViewMask
from rsseg.serving.work import RESPONSES, TicketAnswer, TicketId, Wait, answer, enqueue, finished, told

__all__ = ["MAPS", "router"]

MAPS = "maps"
"""Folder of saved maps, below that of all results."""
_GEOJSON = "application/geo+json"
_VIEW = 5
"""How many times as long as other requests a view may take: it shows what it has, and can be stopped."""
_WORKS = "rsseg.serving.word_model"
_ADVICE = (
    "This server has no model. Start it with --config CONFIG --checkpoint FILE: with "
    "configs/landdiscover/gsnet_vitb16.py it takes words, with any other config of rsseg it shows that model's classes."
)


Words = Annotated[
    list[Word],
    Field(max_length=255, description="Classes in your own words; none for the model's own.", examples=[["road"]]),
]
Threshold = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="Pixels that are less probable get no class.")
]
ThresholdQuery = Annotated[
    float, Query(ge=0, le=1, allow_inf_nan=False, description="Pixels that are less probable get no class.")
]
ClassesQuery = Annotated[
    str | None,
    Query(
        max_length=1100,
        pattern=r"^([0-9]{1,3}(,[0-9]{1,3})*)?$",
        description="Ids of the classes to show, with commas.",
    ),
]


class TextBody(BaseModel):
    """What to look for, and where."""

    layer: LayerId
    view: ViewBody
    classes: Words = Field(default_factory=list)
    threshold: Threshold = 0


class MapBody(BaseModel):
    """A map to make of a whole image, or of a part of it."""

    layer: LayerId
    view: ViewBody | None = Field(None, description="The part of the image; none for the whole.")
    name: Annotated[str, Field(min_length=1, max_length=80, description="Name of the map, without a suffix.")]
    classes: Words = Field(default_factory=list)
    threshold: Threshold = 0


class ClassShare(BaseModel):
    """How much of a view one class is."""

    id: int
    name: str
    color: str = Field(description="#rrggbb")
    pixels: int
    share: float = Field(description="Of the pixels with data, from 0 to 1.")
    square_metres: float | None = Field(description="On the ground; null where the image has no place on the Earth.")


class Shares(BaseModel):
    """How much of a view each class is."""

    threshold: float
    classes: list[ClassShare]
    pixels: int = Field(description="Pixels with data.")
    unsure: float = Field(description="Share of the pixels whose best class is below the threshold.")


class TextAnswer(TicketAnswer):
    """A request; once it is done, with the classes found."""

    shares: Shares | None = None
    mask: str | None = Field(None, description="Address of the mask as PNG on this server.")
    polygons: str | None = Field(None, description="Address of the mask as GeoJSON.")


class ModelAnswer(BaseModel):
    """The model for words."""

    model: str | None = Field(description="Name of its config; null where the server has none.")
    advice: str = Field(description="How to give it one.")
    about: TicketAnswer | None = Field(description="Request that loads it; its result has is_open and classes.")


def _options(state: State) -> dict[str, Any]:
    if state.settings.text is None:
        raise ConfigError(_ADVICE)
    return dict(state.settings.text)


def _ask(state: State, body: TextBody) -> Ticket:
    options, layer = _options(state), picture_of(state, body.layer)
    body.view.checked(state)
    if body.classes:
        word_table(body.classes, "the request")  # which refuses what is no list of classes
    status = layer.path.stat()
    request = {"path": str(layer.path), "view": body.view.model_dump(), "words": body.classes}
    key = json.dumps([request, status.st_size, status.st_mtime_ns], sort_keys=True)
    seconds = _VIEW * state.settings.request_seconds
    return enqueue(state.queue, f"{_WORKS}:segment_view", {**request, "model": options}, key, seconds)


def _shares(mask: ViewMask, threshold: float) -> Shares:
    return Shares(threshold=threshold, **mask.shares(threshold))


def _chosen(classes: str | None) -> list[int] | None:
    return None if classes is None else [int(number) for number in classes.split(",") if number]


def _mask(state: State, id: str) -> ViewMask:
    ticket = state.queue.get(id)
    return ViewMask.of(ticket.result or ticket.partial)


def _target(settings_out: Path, name: str) -> Path:
    """File of a saved map.

    Raises:
        DataError: The name cannot be that of a file, or another map's probabilities would be called so.
    """
    plain = check_name(unicodedata.normalize("NFC", name).strip().removesuffix(".tif"), "name")
    if plain.lower().endswith("_probabilities"):
        raise DataError(f"name: {plain!r} is what the probabilities of a map are called; choose another name")
    return settings_out / MAPS / f"{plain}.tif"


def _bounds(view: View) -> list[float]:
    """West, south, east, north as ``rsseg map --bounds`` has them: from -180 to 180, west is greater beyond that."""
    wide = view.east - view.west >= 360
    west, east = (-180.0, 180.0) if wide else ((side + 180) % 360 - 180 for side in (view.west, view.east))
    return [round(side, 7) for side in (west, max(view.south, -90), east, min(view.north, 90))]


def _save(state: State, body: MapBody) -> Ticket:
    options, layer = _options(state), picture_of(state, body.layer)
    if body.classes:
        word_table(body.classes, "the request")
    target = _target(state.settings.out, body.name)
    request: dict[str, Any] = {"path": str(layer.path), "target": str(target), "words": body.classes}
    request |= {"threshold": body.threshold, "bounds": None if body.view is None else _bounds(body.view.checked(state))}
    return enqueue(state.queue, f"{_WORKS}:save_map", {**request, "model": options}, seconds=math.inf, lane="maps")


async def _answer_of(state: State, ticket: Ticket, body: TextBody, format: str) -> Response:
    """Answer with a view's classes, once they are there."""
    if ticket.state != "done":
        return told(ticket)
    mask = ViewMask.of(ticket.result)
    if format == "geojson":
        return JSONResponse(await run_in_threadpool(mask.polygons, body.threshold), media_type=_GEOJSON)
    shares = await run_in_threadpool(_shares, mask, body.threshold)
    end = f"threshold={body.threshold!r}"
    found = TextAnswer(
        **TicketAnswer.of(ticket).model_dump(),
        shares=shares,
        mask=f"/work/{ticket.id}/mask.png?{end}",
        polygons=f"/work/{ticket.id}/mask.geojson?{end}",
    )
    return JSONResponse(found.model_dump())


def router(state: State) -> APIRouter:
    """Routes of a server."""
    routes = APIRouter(tags=["words"])

    @routes.get("/api/words", responses={429: RESPONSES[429]})
    async def read_model() -> ModelAnswer:
        """The model for words; asking loads it, so that the first view does not wait for it."""
        if state.settings.text is None:
            return ModelAnswer(model=None, advice=_ADVICE, about=None)
        options = dict(state.settings.text)
        seconds = _VIEW * state.settings.request_seconds
        ticket = enqueue(state.queue, f"{_WORKS}:describe_model", {"model": options}, "model", seconds)
        name = options["config"] if is_hub(options["config"]) else Path(options["config"]).stem
        return ModelAnswer(model=name, advice=_ADVICE, about=TicketAnswer.of(ticket))

    @routes.post("/segment/text", responses=RESPONSES, response_model=TextAnswer)
    async def segment_text(
        body: TextBody, wait: Wait = 0, format: Annotated[Literal["json", "geojson"], Query()] = "json"
    ) -> Response:
        """Find classes in a view; with ``wait`` the answer has the shares of the classes, or is GeoJSON."""
        ticket = await run_in_threadpool(_ask, state, body)
        return await _answer_of(state, await finished(state.queue, ticket.id, wait), body, format)

    @routes.post("/api/maps", responses=RESPONSES, response_model=TicketAnswer)
    async def save(body: MapBody, wait: Wait = 0) -> Response:
        """Map an image with these words into the server's folder of results; the same request again goes on."""
        return await answer(state.queue, await run_in_threadpool(_save, state, body), wait)

    _add_masks(routes, state)
    return routes


def _add_masks(routes: APIRouter, state: State) -> None:
    unknown: dict[int | str, dict[str, Any]] = {404: {"description": "No such request, or it has no mask yet."}}
    picture = {**unknown, 200: {"content": {"image/png": {}}, "description": "The mask."}}

    @routes.get("/work/{id}/mask.png", responses=picture, response_class=Response)
    def read_mask(id: TicketId, threshold: ThresholdQuery = 0, classes: ClassesQuery = None) -> Response:
        """The mask in the colours of its classes; while the request runs, as far as it is."""
        found = _mask(state, id).picture(threshold, _chosen(classes))
        return Response(found, media_type="image/png", headers={"cache-control": "no-store"})

    @routes.get("/work/{id}/mask.geojson", responses=unknown)
    def read_polygons(id: TicketId, threshold: ThresholdQuery = 0, classes: ClassesQuery = None) -> JSONResponse:
        """The mask as polygons in degrees, the largest first."""
        return JSONResponse(_mask(state, id).polygons(threshold, _chosen(classes)), media_type=_GEOJSON)

    @routes.get("/work/{id}/mask.json", responses=unknown)
    def read_shares(id: TicketId, threshold: ThresholdQuery = 0) -> Shares:
        """How much of the view each class is."""
        return _shares(_mask(state, id), threshold)
