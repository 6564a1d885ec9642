"""Fifty clients at once: every tile comes, and is what one client gets."""

from __future__ import annotations

import http.client
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving.conftest import running


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the load test."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "tools"))
    return importlib.import_module("benchmarks.serving")


@pytest.fixture
def address(tmp_path: Path, serving: Any) -> Iterator[str]:
    """A server of a small map."""
    from rsseg.serving.settings import ServeSettings

    path = serving.write_classes(tmp_path / "map.tif", 1500)
    with running(ServeSettings((path,), port=0, out=tmp_path / "out")) as found:
        yield found


def test_fifty_clients_get_all_tiles_without_an_error(serving: Any, address: str) -> None:
    info = serving.read_layer(address)
    paths = serving.tile_paths(info, 300)
    assert len({path.split("/")[5] for path in paths}) == 6, "six zooms"
    load = serving.fetch_tiles(address, paths, 50)
    assert load.errors == [] and len(load.latencies) == 300
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    alone = 0
    for path in paths:
        connection.request("GET", path)
        alone += len(connection.getresponse().read())
    assert load.size == alone
    text = serving.load_table([load])
    assert "| 50 | 300 | 0 |" in text and load.percentile(50) <= load.percentile(95) <= load.percentile(99)


def test_what_is_no_tile_is_an_error(serving: Any, address: str) -> None:
    load = serving.fetch_tiles(address, ["/api/layers/unknown/tiles/0/0/0.png"] * 3 + ["/api/layers"], 2)
    assert len(load.errors) == 4 and "404" in load.errors[0] + load.errors[1]
    gone = serving.fetch_tiles("http://127.0.0.1:9", ["/a"], 1)
    assert len(gone.errors) == 1 and "Error" in gone.errors[0]


@pytest.mark.slow
@pytest.mark.stack
def test_the_suite_starts_a_server_of_its_own(run_tool: Any) -> None:
    result = run_tool("benchmark", "--suite", "serve", "--toy")
    assert result.returncode == 0, result.stderr
    assert [line.split("|")[1].strip() for line in result.stdout.splitlines()[2:]] == ["1", "10", "50"]
