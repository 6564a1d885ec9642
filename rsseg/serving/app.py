"""The application: routes, what errors become, and the files of the page."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

import rsseg
from rsseg.errors import UserError
from rsseg.serving import maps, review, shapes, words, work
from rsseg.serving.layers import Layers
from rsseg.serving.overview import overview
from rsseg.serving.queue import ModelQueue
from rsseg.serving.security import Guard
from rsseg.serving.settings import ServeSettings
from rsseg.serving.state import State
from rsseg.serving.worker import without_folders

__all__ = ["create_app"]

_log = logging.getLogger("rsseg")
_STATIC = Path(__file__).with_name("static")
_ABOUT = "Maps, own words, clicks and boxes, and label review. Places are in degrees (WGS 84) unless a text says so."


class _Json(JSONResponse):
    """Numbers that JSON does not have become null."""

    def render(self, content: Any) -> bytes:
        """The content as bytes."""
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
        except (ValueError, UnicodeEncodeError):
            text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
            finite = json.loads(text, parse_constant=lambda _: None)
            return json.dumps(finite, separators=(",", ":")).encode()


def create_app(settings: ServeSettings) -> FastAPI:
    """The application of a server; it starts the model when the first request needs it, and ends it at its own end.

    Raises:
        UserError: What is to be served cannot be.
        OSError: A path does not exist, or the folder for results cannot be made.
    """
    saved = settings.out / words.MAPS
    saved.mkdir(parents=True, exist_ok=True)
    state = State(settings, Layers((*settings.paths, saved)), ModelQueue(settings))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.queue.close()

    app = FastAPI(
        title="rsseg", version=rsseg.__version__, description=_ABOUT, lifespan=life, docs_url=None, redoc_url=None,
        default_response_class=_Json,
    )  # fmt: skip
    for room in (maps, words, shapes, review, work):
        app.include_router(room.router(state))
    _add_errors(app)
    _add_page(app)
    app.add_middleware(Guard, settings=settings)
    app.state.rsseg = state
    return app


def _add_errors(app: FastAPI) -> None:
    """What the user can correct is answered with its text; of anything else only the log tells."""

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> Response:
        return _Json({"detail": without_folders(str(error))}, 400)

    @app.exception_handler(LookupError)
    async def missing(_: Request, error: LookupError) -> Response:
        if isinstance(error, (KeyError, IndexError)) and not (error.args and " " in str(error.args[0])):
            raise error  # a fault of ours
        return _Json({"detail": str(error.args[0]) if error.args else "not found"}, 404)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = [{"loc": part["loc"], "msg": part["msg"], "type": part["type"]} for part in error.errors()]
        return _Json({"detail": jsonable_encoder(found)}, 422)

    @app.exception_handler(OSError)
    async def failed(_: Request, error: OSError) -> Response:
        _log.error("%s", error)
        return _Json({"detail": "a file could not be read or written; the server's messages say which"}, 500)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(_STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(overview(app.openapi()))

    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
