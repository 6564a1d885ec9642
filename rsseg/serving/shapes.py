"""Routes of the tool "Draw": masks of what is clicked or boxed, accepted polygons, and their export."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi import Path as PathPart
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.background import BackgroundTask

from rsseg.errors import ConfigError, DataError
from rsseg.serving.bodies import picture_of
from rsseg.serving.facts import FactsCache
from rsseg.serving.layers import Layer
from rsseg.serving.masks import BOXES_ONLY, prompts_in_view
from rsseg.serving.places import Place
from rsseg.serving.readers import Readers
from rsseg.serving.shape_bodies import (
    AddBody,
    AddedAnswer,
    BoxesBody,
    ChangeBody,
    ModelAnswer,
    ShapeAnswer,
    ShapesAnswer,
    UndoAnswer,
    UndoBody,
)
from rsseg.serving.shape_drafts import area_of, canonical, checked_geometry, geojson, spellings
from rsseg.serving.shape_exports import class_table, classes_of, write_coco, write_package
from rsseg.serving.shape_log import Shape, ShapeLog
from rsseg.serving.state import State
from rsseg.serving.tickets import Ticket
from rsseg.serving.views import View
from rsseg.serving.work import RESPONSES, TicketAnswer, Wait, answer, enqueue

__all__ = ["FOLDER", "router"]

FOLDER = "shapes"
"""Of the shapes of all layers, below that of all results."""
_WORK = "rsseg.serving.masks:segment_boxes"
_LISTED, _SIDE = 20_000, 8192
_OLD = 3600.0  # seconds after which an export that was never sent is deleted

ShapeId = Annotated[str, PathPart(min_length=1, max_length=64)]
LayerQuery = Annotated[str, Query(min_length=1, max_length=64, description="Id of an image, or of a map.")]
ClientQuery = Annotated[str, Query(max_length=64, pattern=r"^[\w-]*$", description="Whose steps undo takes back.")]
Format = Annotated[Literal["gpkg", "coco"], Query(description="GeoPackage, or COCO's JSON.")]
Limit = Annotated[int, Query(ge=0, le=_LISTED, description="How many, the newest.")]
_GONE: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request makes no sense; the text says why."},
    404: {"description": "There is no such layer or shape."},
}


_KINDS = {"gpkg": "application/geopackage+sqlite3", "coco": "application/json"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in _KINDS.values()}, "description": "The file."}
}


class _Store:
    """The shapes of all layers of a server."""

    def __init__(self, state: State) -> None:
        self.state, self.folder = state, state.settings.out / FOLDER
        self._logs: dict[str, ShapeLog] = {}
        self._lock = threading.Lock()
        now = time.time()
        for old in self.folder.glob(".export-*"):
            with suppress(OSError):
                if now - old.stat().st_mtime > _OLD:
                    shutil.rmtree(old)

    def open(self, id: str) -> tuple[Layer, ShapeLog, Place]:
        """A layer, its shapes, and where they lie: on the image of a map, if that is served.

        Raises:
            LookupError: There is no such layer.
            ConfigError: It is no raster.
        """
        layer = self.state.layers.get(id)
        if layer.kind == "set":
            raise ConfigError(f"{layer.name} is a converted set, which has no one raster to draw on; choose an image")
        with self._lock:
            log = self._logs.setdefault(layer.id, ShapeLog(self.folder / f"{layer.id}.jsonl"))
        return layer, log, Place.of(self.source(layer).path)

    def source(self, layer: Layer) -> Layer:
        """The raster in whose pixels shapes are exported."""
        return layer if layer.image is None else self.state.layers.get(layer.image)


def _ask(state: State, facts: FactsCache, body: BoxesBody) -> Ticket:
    layer = picture_of(state, body.layer)
    place = Place.of(layer.path)
    view = _whole(state, place) if body.view is None else body.view.checked(state)
    boxes, points = body.boxes, body.points
    if any(label not in (0, 1) for *_, label in points):
        raise DataError("the third number of a click must be 1 (on the object) or 0 (off it)")
    if body.units == "pixels":
        boxes = [_degrees(place, box) for box in boxes]
        points = [[*_degrees(place, (x, y, x, y))[:2], label] for x, y, label in points]
    prompts = [asdict(prompt) for prompt in prompts_in_view(view, boxes, points)]
    spec = facts.of(layer).spec  # the model sees what the page shows
    request = {"path": str(layer.path), "layer": layer.id, "view": asdict(view), "prompts": prompts,
               "bands": spec.bands, "range": spec.value_range,
               "masks": dict(state.settings.masks or {}), "units": body.units}  # fmt: skip
    return enqueue(state.queue, _WORK, request)


def _degrees(place: Place, box: Sequence[float]) -> list[float]:
    found = place.box_to_degrees(box)
    if not np.isfinite(found).all():
        raise DataError(f"pixel ({box[0]:g}, {box[1]:g}) is nowhere on the Earth")
    return list(found)


def _whole(state: State, place: Place) -> View:
    height, width = place.georeference.size
    if height * width > state.settings.view_pixels or max(height, width) > _SIDE:
        raise ConfigError(
            f"view: missing; the raster has {width} x {height} pixels, which is too many to look at at once"
        )
    return View(*place.bounds, width, height)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _feature(shape: Shape) -> dict[str, Any]:
    about = {name: getattr(shape, name) for name in ("area", "unit", "score", "author", "time")}
    return {
        "type": "Feature",
        "id": shape.id,
        "geometry": shape.geometry,
        "properties": {"class": shape.label, **about},
    }


def _listed(layer: Layer, log: ShapeLog, limit: int) -> dict[str, Any]:
    shapes, version = log.all()
    table = class_table(classes_of(layer), (shape.label for shape in shapes))
    counts, areas = Counter[int](), defaultdict[int, float](float)
    for shape in shapes:
        number = table.index(shape.label)
        counts[number] += 1
        areas[number] += shape.area
    classes = [
        {"id": i, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color), "count": counts[i], "area": areas[i]}
        for i, (name, color) in enumerate(zip(table.classes, table.palette, strict=True))
    ]
    features = [_feature(shape) for shape in shapes[max(len(shapes) - limit, 0) :]]
    return {"type": "FeatureCollection", "features": features, "total": len(shapes), "version": version,
            "classes": classes}  # fmt: skip


def _add(store: _Store, body: AddBody) -> list[dict[str, Any]]:
    layer, log, place = store.open(body.layer)
    own, author = classes_of(layer), body.author or store.state.settings.reviewer
    known = spellings(own, log.all()[0])
    new = []
    for draft in body.shapes:
        geometry = checked_geometry(draft.geometry, place, body.units)
        area, unit = area_of(geometry, place)
        label = canonical(draft.label, known)
        new.append(Shape(secrets.token_hex(6), label, geojson(geometry), area, unit, draft.score, author, _now()))
    log.add(new, body.client)
    return [_feature(shape) for shape in new]


def _change(store: _Store, id: str, body: ChangeBody) -> dict[str, Any]:
    layer, log, _ = store.open(body.layer)
    label = canonical(body.label, spellings(classes_of(layer), log.all()[0]))
    author = body.author or store.state.settings.reviewer
    return _feature(log.relabel(id, label, author, _now(), body.client))


def _export(store: _Store, id: str, format: Literal["gpkg", "coco"]) -> tuple[Path, str]:
    """A new file, and the name under which it is sent."""
    layer, log, place = store.open(id)
    log.compact()
    shapes, _ = log.all()
    table = class_table(classes_of(layer), (shape.label for shape in shapes))
    source = store.source(layer).path
    store.folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=".export-", dir=store.folder)) / (
        "shapes.gpkg" if format == "gpkg" else "shapes.json"
    )
    try:
        if format == "gpkg":
            write_package(path, shapes, table, place)
        else:
            write_coco(path, shapes, table, place, source.name)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise
    return path, f"{source.stem}_{path.name}"


def router(state: State) -> APIRouter:
    """Routes of a server."""
    routes, store = APIRouter(tags=["shapes"]), _Store(state)
    facts = FactsCache(state.layers, Readers(1))

    @routes.get("/api/masks")
    def read_model() -> ModelAnswer:
        """The mask model of this server."""
        name = str((state.settings.masks or {}).get("predictor") or "grabcut")
        return ModelAnswer(predictor=name, points=name not in BOXES_ONLY)

    @routes.post("/segment/boxes", responses=RESPONSES, response_model=TicketAnswer)
    async def segment_boxes(body: BoxesBody, wait: Wait = 0) -> Response:
        """Masks of what is boxed or clicked in a view, as GeoJSON polygons with scores and areas."""
        ticket = await run_in_threadpool(_ask, state, facts, body)
        return await answer(state.queue, ticket, wait)

    @routes.get("/api/shapes", responses=_GONE, response_model=ShapesAnswer)
    def read_shapes(layer: LayerQuery, limit: Limit = 10_000) -> Response:
        """The kept polygons of a layer."""
        found, log, _ = store.open(layer)
        return JSONResponse(_listed(found, log, limit))

    @routes.post("/api/shapes", responses=_GONE, response_model=AddedAnswer, status_code=201)
    def add_shapes(body: AddBody) -> Response:
        """Keep polygons; when the answer comes, they are on the disk."""
        return JSONResponse({"type": "FeatureCollection", "features": _add(store, body)}, 201)

    @routes.post("/api/shapes/undo", responses=_GONE, response_model=UndoAnswer)
    def undo(body: UndoBody) -> Response:
        """Take back the last step of a client, and list what there is then."""
        found, log, _ = store.open(body.layer)
        undone = log.undo(body.client)
        return JSONResponse({**_listed(found, log, _LISTED), "undone": undone})

    @routes.get("/api/shapes/export", responses={**_GONE, **_FILES}, response_class=FileResponse)
    def export(layer: LayerQuery, format: Format = "gpkg") -> FileResponse:
        """The kept polygons as a file: a GeoPackage in the image's CRS, or COCO in its pixels."""
        path, name = _export(store, layer, format)
        return FileResponse(path, media_type=_KINDS[format], filename=name,
                            background=BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True))  # fmt: skip

    @routes.patch("/api/shapes/{id}", responses=_GONE, response_model=ShapeAnswer)
    def change(id: ShapeId, body: ChangeBody) -> Response:
        """Give a kept polygon another class."""
        return JSONResponse(_change(store, id, body))

    @routes.delete("/api/shapes/{id}", responses=_GONE, status_code=204)
    def delete(id: ShapeId, layer: LayerQuery, client: ClientQuery = "") -> None:
        """Delete a kept polygon."""
        store.open(layer)[1].delete(id, client)

    return routes
