"""Downloads: one address is one file, and its content is what it was."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from rsseg.errors import DataError
from rsseg.io.downloads import download


class _Handler(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "ftp://a/b" if "ftp" in self.path else "file:///etc/hostname")
            self.end_headers()
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a web server, and the folder that it serves."""
    folder = tmp_path / "www"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    _Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


def test_files_are_kept_by_address(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    for name in ("a", "b"):
        (folder / name / "model.pth").write_bytes(name.encode())
    kept = [download(f"{address}/{name}/model.pth", tmp_path / "cache") for name in ("a", "b", "a")]
    assert [path.read_bytes() for path in kept] == [b"a", b"b", b"a"] and kept[0] == kept[2] != kept[1]
    assert _Handler.asked == ["/a/model.pth", "/b/model.pth"]
    assert {path.suffix for path in kept} == {".pth"} and not list((tmp_path / "cache").glob(".tmp*"))


def test_what_another_program_left_is_not_taken(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "a" / "model.pth").write_bytes(b"right")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "model.pth").write_bytes(b"wrong")
    kept = download(f"{address}/a/model.pth", cache)
    assert kept.read_bytes() == b"right"
    kept.with_name(f"{kept.name}.sha256").unlink()  # without its sum, a file is no finished download
    kept.write_bytes(b"ri")
    assert download(f"{address}/a/model.pth", cache).read_bytes() == b"right"


def test_content_is_compared(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    digest = hashlib.sha256(b"content").hexdigest()
    for name in ("model.pth", f"net-{digest[:8]}.pth", "net-01234567.pth", "net-20211101.pth"):
        (folder / "a" / name).write_bytes(b"content")
    for good in (f"model.pth#sha256={digest}", f"net-{digest[:8]}.pth", "net-20211101.pth"):
        assert download(f"{address}/a/{good}", tmp_path / "cache").read_bytes() == b"content"
    with pytest.raises(DataError, match="expected 01234567; it was not kept"):
        download(f"{address}/a/net-01234567.pth", tmp_path / "cache")
    with pytest.raises(DataError, match=f"asks for {'0' * 64}; nothing was loaded"):
        download(f"{address}/a/model.pth#sha256={'0' * 64}", tmp_path / "cache")
    with pytest.raises(DataError, match="must be 64 hexadecimal digits"):
        download(f"{address}/a/model.pth#sha256=12", tmp_path / "cache")
    kept = download(f"{address}/a/model.pth", tmp_path / "cache")
    kept.write_bytes(b"changed")
    with pytest.raises(DataError, match=r"has changed since it was downloaded from .*delete it"):
        download(f"{address}/a/model.pth", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if "01234567" in path.name and path.suffix == ".pth"]


def test_names_stay_in_the_cache(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "a" / "evil").write_bytes(b"x")
    for tail in ("a/evil?/../../../x", "a/%2e%2e%2fa%2fevil", "a/evil?x=1"):
        try:
            kept = download(f"{address}/{tail}", tmp_path / "cache")
        except OSError as error:  # the server may know no such file
            assert "cannot be downloaded" in str(error)
        else:
            assert kept.parent == tmp_path / "cache"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "www"]


def test_no_other_sources(server: tuple[str, Path], tmp_path: Path) -> None:
    address, _ = server
    for other in ("file:///etc/hostname", "ftp://a/b", "/etc/hostname", f"{address}/moved-ftp.pth"):
        with pytest.raises(DataError, match="must begin with http:// or https://"):
            download(other, tmp_path / "cache")
    with pytest.raises(OSError, match="'file:///etc/hostname' is not allowed"):
        download(f"{address}/moved.pth", tmp_path / "cache")
    with pytest.raises(OSError, match=r"gone\.pth: cannot be downloaded .*name the file"):
        download(f"{address}/gone.pth", tmp_path / "cache")
    with pytest.raises(OSError, match="cut short"):
        download(f"{address}/short.pth", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix == ".pth"]
