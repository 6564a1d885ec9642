"""kill -9 at any moment, and processes side by side: the same bytes."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from rsseg.mapping import MapOptions, Products, map_raster

OPTIONS = MapOptions(window=(32, 32), batch=2, probabilities="all")
FILES = ["map.tif", "map_probabilities.tif", "map_areas.csv", "map.gpkg"]


@pytest.fixture
def start(stub, table, noise, write_raster, tmp_path):
    """``start(folder, shard)`` maps in a process of its own, slowly enough to be hit; returns its id."""
    source = str(write_raster(noise(3, 38, 19).repeat(8, 1).repeat(8, 2)))
    original = stub.prepare

    def prepare(windows):
        time.sleep(0.004)
        return original(windows)

    stub.prepare = prepare

    def run(folder, shard=(0, 1)):
        process = os.fork()
        if process:
            return process
        status = 1
        try:
            target = tmp_path / folder / "map.tif"
            map_raster(source, target, stub, table, OPTIONS, {}, shard, Products(vectors="gpkg"))
            status = 0
        finally:
            os._exit(status)

    return run


def ended(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def contents(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return [(folder / name).read_bytes() for name in FILES]


def test_killed_at_five_random_moments(start, tmp_path):
    begun = time.monotonic()
    assert ended(start("straight")) == 0
    taken = time.monotonic() - begun
    random.seed(0)
    for share in sorted(random.uniform(0, 0.9) for _ in range(5)):
        process = start("killed")
        time.sleep(share * taken)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert ended(start("killed")) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_side_by_side_are_one(processes, start, tmp_path):
    assert ended(start("one")) == 0
    running = [start("many", (rank, processes)) for rank in range(processes)]
    assert [ended(process) for process in running] == [0] * processes
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_killed_process_of_two_is_made_good_by_one(start, tmp_path):
    assert ended(start("one")) == 0
    first, second = start("many", (0, 2)), start("many", (1, 2))
    time.sleep(0.1)
    os.kill(second, signal.SIGKILL)
    os.waitpid(second, 0)
    assert ended(first) == 0
    assert ended(start("many")) == 0
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
