"""``--suite serve``: many clients that fetch tiles of one large map from ``rsseg serve`` on this machine."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.map_stub import CLASSES, folder
from rsseg.io.tables import markdown_table

__all__ = ["Load", "fetch_tiles", "load_table", "measure_load", "tile_paths", "write_classes"]

_SIDE, _TOY = 20_000, 2_048
_TILE = 512
_ZOOMS_OUT = 5
_DIGITS = (0, 0, 0, 0, 1, 1, 1, 1, 1)  # of the columns of the table
_START = 120.0  # seconds in which a server must have started


@dataclass
class Load:
    """What clients got.

    Attributes:
        clients: Their number; each waits for one tile before it asks for the next.
        seconds: From the first request to the last answer.
        latencies: Seconds of every tile, from request to the last byte.
        size: Bytes of all tiles.
        cpu: Seconds that the server's process has computed; None where the system does not tell.
        errors: What was no tile, in words.
    """

    clients: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    size: int = 0
    cpu: float | None = None
    errors: list[str] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Milliseconds within which so many of a hundred tiles were there."""
        if len(self.latencies) < 2:
            return 1e3 * sum(self.latencies)
        return 1e3 * statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1]

    def row(self) -> dict[str, Any]:
        """The figures of the table."""
        return {
            "clients": self.clients,
            "tiles": len(self.latencies),
            "errors": len(self.errors),
            "tiles_per_second": len(self.latencies) / max(self.seconds, 1e-9),
            "median_ms": self.percentile(50),
            "p95_ms": self.percentile(95),
            "p99_ms": self.percentile(99),
            "cpu_ms_per_tile": None if self.cpu is None else 1e3 * self.cpu / max(len(self.latencies), 1),
            "kilobytes_per_tile": self.size / 1e3 / max(len(self.latencies), 1),
        }


def write_classes(path: Path, side: int) -> Path:
    """A cloud-optimised map of ``side`` x ``side`` pixels of half a metre with eight classes in blotches."""
    import numpy as np
    import rasterio
    from rasterio import Affine
    from rasterio.windows import Window

    from rsseg.mapping.output import write_cog, write_overviews

    flat = path.with_name("flat.tif")
    place = dict(crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 5650000), nodata=255)
    rng = np.random.default_rng(0)
    with rasterio.open(flat, "w", driver="GTiff", count=1, height=side, width=side, dtype="uint8", **place) as file:
        file.write_colormap(1, {i: (30 * i, 255 - 30 * i, 80, 255) for i in range(CLASSES)})
        file.update_tags(1, **{f"class_{i}": f"class {i}" for i in range(CLASSES)})
        for y in range(0, side, _TILE):
            rows = min(_TILE, side - y)
            coarse = rng.integers(0, CLASSES, (-(-rows // 16), -(-side // 16)), np.uint8)
            file.write(coarse.repeat(16, 0).repeat(16, 1)[:rows, :side], 1, window=Window(0, y, side, rows))
    write_overviews(flat)
    write_cog(flat, path, threads=os.cpu_count() or 1)
    return path


def tile_paths(info: dict[str, Any], count: int, seed: int = 0) -> list[str]:
    """Paths of tiles of a layer at random places and zooms, from its own pixels to five zooms further out.

    Args:
        info: The server's answer to ``/api/layers/{id}``.
        count: Number of tiles.
        seed: Of the choice.
    """
    import math

    chance, out = random.Random(seed), []
    west, south, east, north = info["bounds"]
    for _ in range(count):
        zoom = info["maxzoom"] - chance.randrange(_ZOOMS_OUT + 1)
        lon, lat = chance.uniform(west, east), math.radians(chance.uniform(south, north))
        x = int((lon + 180) / 360 * 2**zoom)
        y = int((1 - math.asinh(math.tan(lat)) / math.pi) / 2 * 2**zoom)
        out.append(f"/api/layers/{info['id']}/tiles/{zoom}/{x}/{y}.png")
    return out


def fetch_tiles(address: str, paths: Sequence[str], clients: int) -> Load:
    """Let clients fetch tiles, each its share one after the other, all at the same time.

    Args:
        address: Of the server.
        paths: Of the tiles.
        clients: Number of clients, each with a connection of its own.
    """
    load, lock, gate = Load(clients), threading.Lock(), threading.Barrier(clients + 1)

    def work(own: Sequence[str]) -> None:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        gate.wait()
        for path in own:
            start = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                good = answer.status == 200 and body.startswith(b"\x89PNG")
                error = "" if good else f"{path}: {answer.status} {body[:100]!r}"
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                error, body = f"{path}: {type(problem).__name__} {problem}", b""
            taken = time.perf_counter() - start
            with lock:
                load.size += len(body)
                load.latencies.append(taken)
                load.errors += [error] if error else []
        connection.close()

    threads = [threading.Thread(target=work, args=(paths[i::clients],)) for i in range(clients)]
    for thread in threads:
        thread.start()
    gate.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - start
    return load


def read_layer(address: str) -> dict[str, Any]:
    """What a server says of its first layer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    found: Any = None
    for path in ("/api/layers", "/api/layers/{id}"):
        connection.request("GET", path.format(id=found[0]["id"] if found else ""))
        found = json.loads(connection.getresponse().read())
    connection.close()
    return dict(found)


@contextmanager
def _server(path: Path) -> Iterator[tuple[str, int]]:
    """The address of ``rsseg serve`` and its process."""
    command = [sys.executable, "-m", "rsseg", "serve", str(path), "--port", "0", "--out", str(path.parent / "served")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    lines: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "http://" in line:
                found.set()
        found.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        found.wait(_START)
        match = re.search(r"http://[\w.:]+", "".join(lines))
        if match is None:
            raise RuntimeError(f"the server did not start: {''.join(lines)[-2000:]}")
        yield match.group(), process.pid
    finally:
        process.terminate()
        process.wait()


def measure_load(toy: bool = False, clients: Sequence[int] = (1, 10, 50), tiles: int = 2000) -> list[Load]:
    """Serve a map of 20,000 x 20,000 pixels, and let 1, 10 and 50 clients fetch tiles of it.

    Args:
        toy: A small map and few tiles, to see that all of it works.
        clients: Numbers of clients.
        tiles: Number of tiles for each.
    """
    path = write_classes(folder() / "map.tif", _TOY if toy else _SIDE)
    loads = []
    with _server(path) as (address, process):
        info = read_layer(address)
        fetch_tiles(address, tile_paths(info, 50, seed=99), 4)  # warms up
        for number in clients:
            before = _cpu(process)
            load = fetch_tiles(address, tile_paths(info, 4 * number if toy else tiles, seed=number), number)
            after = _cpu(process)
            load.cpu = None if before is None or after is None else after - before
            loads.append(load)
    return loads


def _cpu(process: int) -> float | None:
    """Seconds that a process has computed, by Linux; None on other systems."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_table(loads: Sequence[Load]) -> str:
    """A Markdown table, a row for each number of clients; below it, the first errors."""
    names = ["clients", "tiles", "errors", "tiles/s", "median ms", "p95 ms", "p99 ms", "CPU ms a tile", "kB a tile"]
    rows = [["-" if value is None else f"{value:.{digits}f}" for value, digits in zip(load.row().values(), _DIGITS,
            strict=True)] for load in loads]  # fmt: skip
    return "\n".join([markdown_table(names, rows, left=0), *[error for load in loads for error in load.errors[:5]]])
