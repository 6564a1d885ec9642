"""Who may ask a server what, and how much."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rsseg.errors import ConfigError
from rsseg.serving.command import address_query
from rsseg.serving.settings import ServeSettings, is_loopback

httpx = pytest.importorskip("httpx")
TOKEN = "a-token-of-twenty-chars"
Serve = Callable[..., str]
_get = functools.partial(httpx.get, timeout=None)  # however busy the machine is
_post = functools.partial(httpx.post, timeout=None)


def test_other_hosts_need_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.7", "::", "example.org"):
        assert not is_loopback(host)
        with pytest.raises(ConfigError, match="token is required"):
            ServeSettings((), host=host)
        assert ServeSettings((), host=host, token=TOKEN).token == TOKEN
    for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.3.2.1"):
        assert is_loopback(host)
        assert ServeSettings((), host=host).token is None
    with pytest.raises(ConfigError, match="at least 16"):
        ServeSettings((), token="short")


def test_a_foreign_name_of_this_machine_is_refused(serve: Serve) -> None:
    address = serve()
    assert _get(f"{address}/openapi.json").status_code == 200
    port = address.rsplit(":", 1)[1]
    for host, status in {f"localhost:{port}": 200, "127.0.0.1": 200, f"evil.example:{port}": 421, "": 421}.items():
        assert _get(f"{address}/openapi.json", headers={"host": host}).status_code == status, host


def test_changes_come_from_our_page_only(serve: Serve) -> None:
    address = serve()
    for headers, status in (
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": address}, 404),
        ({}, 404),
    ):
        assert _post(f"{address}/nothing", headers=headers).status_code == status, headers


def test_a_token_by_header_cookie_and_first_visit(serve: Serve) -> None:
    address = serve(token=TOKEN)
    for path in ("/", "/openapi.json", "/static/main.js", "/docs", "/?token=wrong"):
        answer = _get(address + path)
        assert answer.status_code == 401, path
        assert "Bearer" in answer.json()["detail"]
    assert _get(f"{address}/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert _get(f"{address}/openapi.json", headers={b"authorization": b"Bearer \xff"}).status_code == 401
    with httpx.Client(base_url=address, timeout=None) as client:
        first = client.get(f"/?token={TOKEN}&layer=a")
        assert (first.status_code, first.headers["location"]) == (303, "/?layer=a")
        assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
        assert client.get("/openapi.json").status_code == 200
        (cookie,) = first.cookies
        for other in ('json={"a": 1, "b": "c"}', 'open="', "rsseg_token_1=of-another-server"):
            both = {"cookie": f"{other}; {cookie}={TOKEN}"}
            assert _get(f"{address}/openapi.json", headers=both).status_code == 200, other


def test_servers_on_one_machine_keep_each_its_token(serve: Serve) -> None:
    """Browsers send cookies of a host to all of its ports."""
    addresses = {serve(token=token): token for token in (TOKEN, f"{TOKEN}+/==")}
    with httpx.Client(timeout=None) as client:
        for address, token in addresses.items():
            assert client.get(address, params={"token": token}).status_code == 303
        for address in addresses:
            assert client.get(f"{address}/openapi.json").status_code == 200


def test_a_token_of_the_environment_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [address_query(token) for token in (None, f"{TOKEN}+")] == ["", f"?token={TOKEN}%2B"]
    monkeypatch.setenv("RSSEG_TOKEN", TOKEN)
    assert address_query(TOKEN) == "?token=$RSSEG_TOKEN"


@pytest.mark.parametrize("odd", [" ", ";", '"', ",", "\n", "&", "%", "é", "\\"])
def test_tokens_fit_into_headers_and_cookies(odd: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits and"):
        ServeSettings((), token=f"{TOKEN}{odd}{TOKEN}")


def test_large_and_long_requests_end(serve: Serve) -> None:
    address = serve(request_bytes=1000)
    assert _post(f"{address}/work", content=b"x" * 1001).status_code == 413
    assert _get(f"{address}/?{'x' * 9000}").status_code == 414
    for path in ("/api/shapes", "/segment/text", "/api/maps"):  # in pieces, of which nobody has said how many
        pieces = (b'"' + b"x" * 100 for _ in range(11))
        answer = _post(f"{address}{path}", content=pieces, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["detail"]) == (413, "a request may have 1000 bytes"), path


def test_an_answer_that_takes_too_long_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import APIRouter

    from rsseg.serving import work

    given_up = threading.Event()

    def router(state: Any) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/slow", given_up.wait)
        return routes

    monkeypatch.setattr(work, "router", router)
    address = serve(request_seconds=0.2)
    try:
        answer = _get(f"{address}/slow")
    finally:
        given_up.set()
    assert answer.status_code == 504
    assert "ask for less" in answer.json()["detail"]


def test_silent_connections_are_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsseg.serving.connections._HEAD_SECONDS", 0.2)
    address = serve()
    port = int(address.rsplit(":", 1)[1])
    whole = b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    for begun in (b"", whole[:20], whole + whole[:20]):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(begun)
            received = b""
            try:
                while part := connection.recv(1 << 16):
                    received += part
            except ConnectionResetError:
                pass
        assert received.startswith(b"HTTP/1.1 200") == (len(begun) > len(whole))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(whole[:-2] + b"x: " + b"x" * 100_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400"), "a head has 64 KiB at most"


def test_more_connections_than_allowed_are_told_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsseg.serving.connections.CONNECTIONS", 3)
    address = serve()
    port = int(address.rsplit(":", 1)[1])
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert _get(f"{address}/openapi.json").status_code == 503
    while (status := _get(f"{address}/openapi.json").status_code) == 503:
        pass  # until the server has seen that the others are gone
    assert status == 200


def test_only_files_of_the_page_are_given(serve: Serve) -> None:
    address = serve()
    assert "javascript" in _get(f"{address}/static/main.js").headers["content-type"]
    assert "javascript" in _get(f"{address}/static/maplibre/maplibre-gl.mjs").headers["content-type"]
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fcli/serve.py", "/static//etc/passwd"):
        assert _get(address + path).status_code == 404, path


def test_every_answer_has_the_headers_that_protect_it(serve: Serve) -> None:
    address = serve()
    for path in ("/", "/openapi.json", "/nothing"):
        headers = _get(address + path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert "interface for programs" in _get(f"{address}/docs").text
