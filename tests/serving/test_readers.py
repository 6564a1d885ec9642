"""Open rasters that requests share: bounded in number, and never those of a file that has changed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rsseg.errors import UnreadableFileError
from rsseg.serving import readers
from rsseg.serving.readers import Readers
from tests.serving.world import write_map


def _map(path: Path, value: int) -> Path:
    return write_map(path, np.full((8, 8), value, np.uint8))


def test_no_more_requests_read_than_there_are_places(tmp_path: Path) -> None:
    path, pool = _map(tmp_path / "a.tif", 1), Readers(2)
    lock, inside, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2, timeout=600)

    def read(number: int) -> int:
        with pool.borrow(path) as opened:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            if number < 2:
                both.wait()  # two are inside at the same time
            value = int(opened().read(1)[0, 0])
            with lock:
                inside[0] -= 1
        return value

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, range(40))) == [1] * 40
    assert most[0] == 2


def test_files_stay_open_and_few_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_KEPT", 3)
    pool = Readers(1)
    paths = [_map(tmp_path / f"{i}.tif", i) for i in range(5)]
    first = None
    for path in paths:
        with pool.borrow(path) as opened:
            dataset = opened()
            assert opened() is dataset
            first = first or dataset
    assert first is not None and first.closed, "the one that was used longest ago"
    with pool.borrow(paths[4]) as opened:
        kept = opened()
        assert not kept.closed
    _map(paths[4], 9)
    with pool.borrow(paths[4]) as opened:
        assert opened().read(1)[0, 0] == 9 and kept.closed, "another file in its place"


def test_errors_give_the_place_back(tmp_path: Path) -> None:
    pool, path = Readers(1), _map(tmp_path / "a.tif", 1)
    broken = tmp_path / "b.tif"
    broken.write_bytes(b"II*\0nothing")
    for _ in range(3):
        with pytest.raises(UnreadableFileError, match=r"b\.tif"), pool.borrow(broken) as opened:
            opened()
    with pytest.raises(UnreadableFileError, match="gone"), pool.borrow(tmp_path / "gone.tif") as opened:
        opened()
    with pool.borrow(path) as opened:
        assert opened().read(1)[0, 0] == 1
    assert Readers().count >= 2
