"""The queue of the models, with work functions that do next to nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import rsseg.serving.lanes as lanes_module
from rsseg.interruption import _runs
from rsseg.serving.queue import LaneName, ModelQueue, QueueFull
from rsseg.serving.tickets import Ticket

HERE = Path(__file__).parent
WORKS = "queue_works"  # of this folder
LONG = 3600.0  # seconds that no test takes, however busy the machine is


class Limits(NamedTuple):
    queue_length: int = 3
    request_seconds: float = LONG


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def queue() -> Iterator[ModelQueue]:
    found = ModelQueue(Limits(), grace=LONG)
    yield found
    found.close()


@pytest.fixture
def waiting(queue: ModelQueue, tmp_path: Path) -> Callable[..., Ticket]:
    """Submits a request that runs until the file ``go`` is there, and returns once it runs."""

    def begin(lane: LaneName = "models", **options: Any) -> Ticket:
        begun = tmp_path / f"begun{len(list(tmp_path.iterdir()))}"
        request = {"begun": str(begun), "go": str(tmp_path / "go"), **options}
        ticket = queue.submit(f"{WORKS}:wait", request, lane=lane)
        _until(begun.exists)
        return ticket

    return begin


def test_quick_requests_go_on_while_maps_are_made(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    slow = waiting(lane="maps")
    maps = [queue.submit(f"{WORKS}:echo", {"number": number}, lane="maps") for number in range(3)]
    with pytest.raises(QueueFull):
        queue.submit(f"{WORKS}:echo", {}, lane="maps")
    assert [ticket.position for ticket in maps] == [1, 2, 3]
    quick = _done(queue, _echo(queue, 1)).result or {}
    before = queue.workers
    assert before["models"] == quick["process"] != before["maps"]
    assert os.getpriority(os.PRIO_PROCESS, before["maps"]) > os.getpriority(os.PRIO_PROCESS, before["models"])
    os.kill(before["maps"], signal.SIGKILL)
    assert "has died" in _done(queue, slow).message
    found = [_done(queue, ticket).result or {} for ticket in maps]
    assert [(one["number"], one["calls"]) for one in found] == [(0, 1), (1, 2), (2, 3)]
    _until(lambda: "maps" not in queue.workers)  # with the last map its model leaves the memory
    assert queue.workers == {"models": quick["process"]}


def test_a_map_is_cancelled_and_ended_with_the_server(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    first = waiting(lane="maps")
    queue.cancel(first.id)
    assert _done(queue, first).state == "cancelled"
    quick, second = waiting(deaf=True), waiting(lane="maps", deaf=True)
    processes = queue.workers.values()
    queue.close()
    assert len(processes) == 2 and not any(_runs(process) for process in processes)
    assert [queue.get(ticket.id).state for ticket in (quick, second)] == ["cancelled", "cancelled"]


def _until(condition: Callable[[], Any]) -> None:
    while not condition():
        time.sleep(0.01)


def _done(queue: ModelQueue, ticket: Ticket) -> Ticket:
    found = queue.wait(ticket.id, LONG)
    assert found.finished
    return found


def _echo(queue: ModelQueue, number: int, key: str | None = None) -> Ticket:
    return queue.submit(f"{WORKS}:echo", {"number": number}, key)


def test_requests_are_done_in_order_by_one_process_that_keeps_its_models(queue: ModelQueue, tmp_path: Path) -> None:
    assert queue.workers == {}
    tickets = [_echo(queue, number) for number in range(3)]
    found = [_done(queue, ticket) for ticket in tickets]
    results = [ticket.result or {} for ticket in found]
    assert [result["number"] for result in results] == [0, 1, 2]
    assert [result["calls"] for result in results] == [1, 2, 3]
    assert {result["process"] for result in results} == {queue.workers["models"]} != {os.getpid()}
    assert all((ticket.state, ticket.progress, ticket.position) == ("done", 1.0, 0) for ticket in found)


def test_positions_progress_and_partial_results_are_told(
    queue: ModelQueue, waiting: Callable[..., Ticket], tmp_path: Path
) -> None:
    first = waiting()
    second, third = _echo(queue, 2), _echo(queue, 3)
    assert (second.position, third.position, third.state) == (1, 2, "queued")
    _until(lambda: queue.get(first.id).partial)
    found = queue.get(first.id)
    assert (found.state, found.progress, found.message) == ("running", 0.25, "waiting")
    assert found.partial is not None and found.partial["text"] == "so far"
    (tmp_path / "go").touch()
    result = _done(queue, first).result or {}
    assert result["text"] == "waited" and np.array_equal(result["data"], np.arange(4))
    assert (_done(queue, third).result or {})["calls"] == 2


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("user", "ground.tif: the value 3 is not allowed; see configs/landdiscover or 3/4"),
        ("file", "image.tif: No such file or directory"),
        ("text", "model.py: no such config file"),
        ("bug", "an error of the program (KeyError); the log of the server has the details"),
        ("memory", "memory ran out; choose a smaller view, or a model with fewer parameters"),
    ],
)
def test_a_failure_has_a_text_without_local_paths_and_the_process_goes_on(
    queue: ModelQueue, kind: str, text: str
) -> None:
    before = (_done(queue, _echo(queue, 0)).result or {})["process"]
    failed = _done(queue, queue.submit(f"{WORKS}:fail", {"kind": kind}))
    assert (failed.state, failed.message, failed.result) == ("failed", text, None)
    assert (_done(queue, _echo(queue, 1)).result or {})["process"] == before


def test_a_process_that_is_killed_fails_its_request_and_is_started_again(
    queue: ModelQueue, waiting: Callable[..., Ticket]
) -> None:
    first = waiting()
    following = _echo(queue, 7)
    killed = queue.workers["models"]
    os.kill(killed, signal.SIGKILL)
    failed = _done(queue, first)
    assert failed.state == "failed" and "has died (perhaps since memory ran out)" in failed.message
    result = _done(queue, following).result or {}
    assert (result["number"], result["calls"]) == (7, 1) and result["process"] == queue.workers["models"] != killed


def test_cancelling(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    running = waiting()
    process, queued = queue.workers["models"], _echo(queue, 1)
    _until(lambda: queue.get(running.id).partial)
    assert queue.cancel(queued.id).state == "cancelled"
    assert queue.cancel(running.id).state == "running"
    found = _done(queue, running)
    assert found.state == "cancelled" and (found.partial or {})["text"] == "so far"
    assert queue.workers["models"] == process  # which ended the work by itself
    assert queue.cancel(running.id).state == "cancelled"  # nothing to do
    queue.grace = 0.2
    deaf = waiting(deaf=True)
    queue.cancel(deaf.id)
    assert _done(queue, deaf).state == "cancelled"
    assert (_done(queue, _echo(queue, 2)).result or {})["process"] != process


@pytest.mark.parametrize("deaf", [False, True])
def test_a_request_that_takes_too_long_is_ended(queue: ModelQueue, tmp_path: Path, deaf: bool) -> None:
    _done(queue, _echo(queue, 0))
    queue.grace = 0.2 if deaf else LONG
    request = {"begun": str(tmp_path / "begun"), "go": str(tmp_path / "go"), "deaf": deaf}
    late = _done(queue, queue.submit(f"{WORKS}:wait", request, seconds=0.2))
    assert (late.state, late.message) == ("failed", "took longer than 0.2 s and was ended; choose a smaller view")
    assert _done(queue, _echo(queue, 1)).state == "done"


def test_a_full_queue_refuses(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    waiting()
    tickets = [_echo(queue, number) for number in range(3)]
    with pytest.raises(QueueFull, match="3 requests wait for the model already; try again in 5 s") as error:
        _echo(queue, 3)
    assert error.value.retry_after == 5
    queue.cancel(tickets[0].id)
    assert _echo(queue, 4).position == 3


def test_equal_requests_share_a_ticket_until_it_fails(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    running = waiting()
    first = _echo(queue, 1, "a")
    assert _echo(queue, 1, "a").id == first.id != _echo(queue, 1, "b").id
    assert queue.submit(f"{WORKS}:large", {"bytes": 1}, "a").id != first.id
    queue.cancel(running.id)
    assert _done(queue, first).state == "done"
    assert _echo(queue, 1, "a").id == first.id  # the result that is kept
    failed = _done(queue, queue.submit(f"{WORKS}:fail", {"kind": "user"}, "c"))
    assert queue.submit(f"{WORKS}:fail", {"kind": "user"}, "c").id != failed.id


def test_a_request_that_is_being_cancelled_is_not_shared(queue: ModelQueue, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    request = {"begun": str(begun), "go": str(go), "deaf": True}
    first = queue.submit(f"{WORKS}:wait", request, "a")
    _until(begun.exists)
    assert queue.submit(f"{WORKS}:wait", request, "a").id == first.id
    queue.cancel(first.id)
    again = queue.submit(f"{WORKS}:wait", request, "a")
    assert again.id != first.id and again.message == "being cancelled, 0 %"
    go.touch()
    assert _done(queue, again).state == "done"


def test_a_result_that_the_server_cannot_take_fails_its_request_only(
    queue: ModelQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lanes_module.pickle, "loads", _no_memory)
        failed = _done(queue, _echo(queue, 1))
    assert failed.state == "failed" and "the log of the server" in failed.message
    assert _done(queue, _echo(queue, 2)).state == "done"


def _no_memory(_: bytes) -> None:
    raise MemoryError


def test_results_are_kept_for_a_while() -> None:
    queue = ModelQueue(Limits(), kept=3, kept_bytes=1500, kept_seconds=LONG)
    try:
        made = [
            _done(queue, queue.submit(f"{WORKS}:large", {"bytes": size})) for size in (1000, 1000, 10, 10, 10, 4000)
        ]
        _until(lambda: len(queue.tickets) == 1)
        assert queue.get(made[-1].id).result == {"data": bytes(4000)}  # the newest is kept, whatever its size
        with pytest.raises(LookupError, match="finished long ago"):
            queue.get(made[0].id)
        queue.tickets.seconds = 0
        with pytest.raises(LookupError):
            queue.get(made[-1].id)
        with pytest.raises(LookupError):
            queue.cancel("nothing")
    finally:
        queue.close()


def test_the_end_of_the_server_ends_all(queue: ModelQueue, waiting: Callable[..., Ticket]) -> None:
    running = waiting(deaf=True)
    queued, process = _echo(queue, 1), queue.workers["models"]
    queue.close()
    queue.close()
    assert not _runs(process)
    assert [queue.get(ticket.id).state for ticket in (running, queued)] == ["cancelled", "cancelled"]
    assert not any(thread.name.startswith("queue of") for thread in threading.enumerate())
    with pytest.raises(QueueFull):
        _echo(queue, 2)


@pytest.mark.slow
def test_the_worker_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from rsseg.serving.queue import ModelQueue\n"
        "from types import SimpleNamespace\n"
        "if __name__ == '__main__':\n"
        "    queue = ModelQueue(SimpleNamespace(queue_length=3, request_seconds=1000))\n"
        f"    queue.submit('{WORKS}:wait', {{'begun': {str(tmp_path / 'begun')!r}, 'go': '/nothing', 'deaf': True}})\n"
        "    while not queue.workers: time.sleep(0.01)\n"
        "    print(queue.workers['models'], flush=True)\n"
        "    time.sleep(1000)\n"
    )
    path = tmp_path / "server.py"
    path.write_text(script)
    with subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        _until((tmp_path / "begun").exists)
        server.kill()
        _until(lambda: not _runs(worker))
