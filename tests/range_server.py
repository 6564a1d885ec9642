"""A server of files on 127.0.0.1 that answers requests of ranges, and fails when it is told to.

It is a process of its own, as GDAL's calls keep Python's lock while they wait for an answer.
"""

from __future__ import annotations

import email.utils
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["RangeServer", "serve_folder"]

_CONTROL = "/-control-"


class _Handler(BaseHTTPRequestHandler):
    """Files of a folder; what is posted to a path gets the file of that name as an answer."""

    protocol_version = "HTTP/1.1"
    folder: Path
    lock = threading.Lock()
    requests: ClassVar[list[list[Any]]] = []
    orders: ClassVar[dict[str, Any]] = {}

    def log_message(self, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Answer any kind of request; that to HEAD has no content."""
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == _CONTROL:
            return self._control(json.loads(sent))
        with self.lock:
            self.requests.append([self.command, self.path, self.headers.get("Range"), sent.decode()])
            left = self.orders.get("fail", {}).get(path, [])
            status = left.pop(0) if left else 200
            cuts = self.orders.get("cut", {})
            cut = self.command == "GET" and status == 200 and cuts.get(path, 0) > 0
            cuts[path] = cuts.get(path, 0) - cut
        if self.orders.get("query") not in (None, query):
            status = 403
        if status != 200:
            return self._send(status, b"no", {})
        return self._file(self.folder / path.strip("/"), cut)

    do_HEAD = do_POST = do_GET

    def _control(self, orders: dict[str, Any]) -> None:
        with self.lock:
            self.orders.update(orders)
            data = json.dumps(self.requests).encode()
            if orders:
                self.requests.clear()
        self._send(200, data, {})

    def _file(self, file: Path, cut: bool) -> None:
        if file.is_dir() and not self.path.endswith("/"):
            return self._send(301, b"", {"Location": f"{self.path}/"})
        if file.is_dir():
            files = [(urllib.parse.quote(path.name), "/" * path.is_dir(), path.name) for path in sorted(file.iterdir())]
            rows = "".join(f'<a href="{name}{slash}">{text}</a>\n' for name, slash, text in files)
            page = f"<html><title>Index of {self.path}</title>\n{rows}</html>".encode()
            return self._send(200, page, {"Content-Type": "text/html"})
        if not file.is_file():
            return self._send(404, b"none", {})
        data, state = file.read_bytes(), file.stat()
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{state.st_size}-{state.st_mtime_ns}"',
                   "Last-Modified": email.utils.formatdate(state.st_mtime, usegmt=True)}  # fmt: skip
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not found:
            return self._send(200, data, headers, cut)
        first, last = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self._send(416, b"", headers)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self._send(206, data[first : last + 1], headers, cut)

    def _send(self, status: int, data: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True


class RangeServer:
    """A running server.

    Attributes:
        url: Begins all addresses.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def order(self, **orders: Any) -> None:
        """Change how it answers, and forget the requests.

        Args:
            **orders: ``fail={path: [status, ...]}`` of the next answers; ``cut={path: n}``, how many of the next end
                after half of their bytes; ``query`` that every request must have, or None.
        """
        self._ask(orders)

    def requests(self) -> list[tuple[str, str, str | None, str]]:
        """(method, path with query, range, content) of each request since the last order."""
        return [tuple(row) for row in self._ask({})]

    def reads(self, path: str) -> int:
        """Requests for the content of a path."""
        return sum(method == "GET" and asked.partition("?")[0] == path for method, asked, *_ in self.requests())

    def _ask(self, orders: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.url + _CONTROL, json.dumps(orders).encode())
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read())


@contextmanager
def serve_folder(folder: Path) -> Iterator[RangeServer]:
    """Serve a folder on a free port for the length of a block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.listen(16)
        process = subprocess.Popen([sys.executable, "-I", "-S", __file__, str(folder), str(free.fileno())],
                                   stdin=subprocess.PIPE, pass_fds=[free.fileno()])  # fmt: skip
    try:
        yield RangeServer(f"http://127.0.0.1:{port}")
    finally:
        assert process.stdin is not None
        process.stdin.close()  # which ends it
        process.wait(600)


def _main() -> None:
    _Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=int(sys.argv[2]))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    _main()
