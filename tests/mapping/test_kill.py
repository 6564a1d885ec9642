"""kill -9 at any moment, and processes side by side: the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

FILES = ["map.tif", "map.tif.aux.xml", "map.qml", "map_areas.csv", "map.gpkg", "map_probabilities.tif", "map.stac.json"]

# A process that has imported everything, and forks one that maps for every line it reads.  GDAL has threads in the
# process of the tests, which therefore cannot fork itself.
SERVER = """
import os, sys, time
from pathlib import Path
import torch
from rsseg.io.shards import Shard
from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.sharing import part_of
from rsseg.metainfo import load_metainfo

class Slow:
    classes, probabilities, device = 3, False, torch.device("cpu")

    def prepare(self, windows):
        time.sleep(0.004)
        return torch.stack([torch.from_numpy(pixels).float() for pixels in windows])

    def __call__(self, batch):
        return batch.flip(1)

options = MapOptions(window=(32, 32), batch=2, probabilities="all")
torch.set_num_threads(1)
print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == "wait":
        print(os.waitstatus_to_exitcode(os.waitpid(int(rest[0]), 0)[1]), flush=True)
        continue
    process = os.fork()
    if not process:
        status = 1
        try:
            source, table, rank, processes = rest
            part = part_of(Shard(int(rank), int(processes)))
            wanted = Products(vectors="gpkg")
            map_raster(source, Path(word), Slow(), load_metainfo(table), options, {}, part, wanted)
            status = 0
        finally:
            os._exit(status)
    print(process, flush=True)
"""


@pytest.fixture(scope="module")
def server(repo):
    """Asks the process for something."""
    path = os.pathsep.join(filter(None, [str(repo), os.environ.get("PYTHONPATH")]))
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process = subprocess.Popen([sys.executable, "-c", SERVER], env={**os.environ, "PYTHONPATH": path}, **pipes)

    def ask(*words):
        process.stdin.write(" ".join(map(str, words)) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    assert "ready" in process.stdout.readline()
    yield ask
    process.stdin.close()
    process.wait()


@pytest.fixture
def start(server, table, noise, write_raster, tmp_path):
    """``start(folder, rank, processes)`` maps in a process of its own, slowly enough to be hit; returns its id."""
    source = write_raster(noise(3, 38, 19).repeat(8, 1).repeat(8, 2))
    return lambda folder, rank=0, processes=1: server(
        tmp_path / folder / "map.tif", source, tmp_path / "rgb.json", rank, processes
    )


@pytest.fixture
def ended(server):
    """Waits for a process; its exit status."""
    return lambda process: server("wait", process)


def contents(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return [(folder / name).read_bytes() for name in FILES]


def test_killed_at_five_random_moments(start, ended, tmp_path):
    begun = time.monotonic()
    assert ended(start("straight")) == 0
    taken = time.monotonic() - begun
    random.seed(0)
    for share in sorted(random.uniform(0, 0.9) for _ in range(5)):
        process = start("killed")
        time.sleep(share * taken)
        os.kill(process, signal.SIGKILL)
        ended(process)
    assert ended(start("killed")) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_side_by_side_are_one(processes, start, ended, tmp_path):
    assert ended(start("one")) == 0
    running = [start("many", rank, processes) for rank in range(processes)]
    assert [ended(process) for process in running] == [0] * processes
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_killed_process_of_two_is_made_good_by_one(start, ended, tmp_path):
    assert ended(start("one")) == 0
    first, second = start("many", 0, 2), start("many", 1, 2)
    time.sleep(0.1)
    os.kill(second, signal.SIGKILL)
    ended(second)
    assert ended(first) == 0
    assert ended(start("many")) == 0
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


@pytest.mark.parametrize("shares", [[(0, 1)] * 3, [(0, 1), (0, 2), (1, 2)]])
@pytest.mark.parametrize("pause", [0, 0.15])
def test_commands_that_make_the_same_map_at_once(shares, pause, start, ended, tmp_path):
    """The same share is computed once; another division of the work ends as well."""
    assert ended(start("one")) == 0
    running = []
    for rank, processes in shares:
        running.append(start("same", rank, processes))
        time.sleep(pause)
    assert [ended(process) for process in running] == [0] * len(shares)
    assert contents(tmp_path / "same") == contents(tmp_path / "one")


def test_a_second_command_goes_on_where_the_first_was_killed(start, ended, tmp_path):
    assert ended(start("one")) == 0
    first = start("same")
    time.sleep(0.15)
    second = start("same")  # waits for the first
    time.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    ended(first)
    assert ended(second) == 0
    assert contents(tmp_path / "same") == contents(tmp_path / "one")
