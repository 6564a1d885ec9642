"""What a request must be before anything else sees it: from this page or a program that knows the token, small, short.

A server on a researcher's machine is open to every page that the same browser shows.  Hence: names other than those of
this machine are refused (a foreign name that points here), changes are taken from our own page only, and no other page
may show ours in a frame or read its answers.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser

from rsseg.serving.settings import ServeSettings, is_loopback

__all__ = ["COOKIE", "HEADERS", "Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "rsseg_token"
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Headers of every answer."""
_SAFE = {"GET", "HEAD", "OPTIONS"}
_LONGEST_LINE = 8192


class _Refusal(Exception):
    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


class Guard:
    """Middleware (ASGI) around the application.

    Args:
        app: The application.
        settings: Token, host and limits.
    """

    def __init__(self, app: App, settings: ServeSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        # anything else, such as a web socket, is closed by the server when nothing answers

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                own = {name for name, _ in message["headers"]}
                extra = [(name.encode(), text.encode()) for name, text in HEADERS.items() if name.encode() not in own]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}
            self._check_origin(scope, headers)
            self._check_token(scope, headers)
            limited = self._limited(headers, receive)
            await asyncio.wait_for(self.app(scope, limited, with_headers), self.settings.request_seconds)
        except _Refusal as refusal:
            if not begun:
                await _reply(with_headers, refusal)
        except (TimeoutError, asyncio.TimeoutError):
            if not begun:
                text = f"the answer took more than {self.settings.request_seconds:.0f} seconds; ask for less"
                await _reply(with_headers, _Refusal(504, text))

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdigit() else host
        if self.settings.token is None and not is_loopback(name) and name != self.settings.host:
            raise _Refusal(421, "this server answers to the names of its own machine only, such as 127.0.0.1")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _LONGEST_LINE:
            raise _Refusal(414, f"an address may have {_LONGEST_LINE} characters")
        if scope["method"] not in _SAFE:
            origin = headers.get("origin")
            if origin is not None and _place_of(origin) != host:
                raise _Refusal(403, "changes are taken from the page of this server only")
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise _Refusal(403, "changes are taken from the page of this server only")

    def _check_token(self, scope: Scope, headers: dict[str, str]) -> None:
        token = self.settings.token
        if token is None:
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and scope["method"] == "GET" and self._is(query.pop("token", [""])[0]):
            left = urlencode(query, doseq=True)
            cookie = f"{_cookie_of(scope)}={token}; HttpOnly; SameSite=Strict; Path=/"
            raise _Refusal(303, "", {"location": f"/?{left}" if left else "/", "set-cookie": cookie})
        found = cookie_parser(headers.get("cookie", "")).get(_cookie_of(scope), "")
        kind, _, value = headers.get("authorization", "").partition(" ")
        bearer = value.strip() if kind.lower() == "bearer" else ""
        if not self._is(found) and not self._is(bearer):
            text = "a token is required: open the address that rsseg serve printed, or send Authorization: Bearer TOKEN"
            raise _Refusal(401, text, {"www-authenticate": "Bearer"})

    def _is(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.settings.token or "").encode())

    def _limited(self, headers: dict[str, str], receive: Receive) -> Receive:
        limit = self.settings.request_bytes
        text = f"a request may have {limit} bytes"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise _Refusal(413, text)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, text)  # which FastAPI lets through, unlike any other error of a body
            return message

        return counted


def _place_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _cookie_of(scope: Scope) -> str:
    """Name of the cookie; browsers send the cookies of all ports of a host to each of them."""
    return f"{COOKIE}_{(scope.get('server') or ('', 0))[1]}"


async def _reply(send: Send, refusal: _Refusal) -> None:
    body = json.dumps({"detail": refusal.text}).encode() if refusal.text else b""
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    headers |= refusal.headers
    pairs = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
