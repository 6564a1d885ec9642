"""Tasks on a cluster, with a stand-in for Ray: order, errors, what is lost; how the connection is made."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rsseg.engine.cluster import Cluster, connected, once
from rsseg.errors import ConfigError, DataError, JobError, MissingPackageError


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


@dataclass(eq=False)
class Reference:
    function: Any
    args: Any


class FakeRay:
    """Runs a task when its result is taken; the last one first."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, **resources: float) -> None:
        self.resources, self.options, self.cancelled = resources, dict[str, Any](), list[Any]()
        self.most = 0

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda function: SimpleNamespace(remote=lambda *args: Reference(function, args))

    def wait(self, references: list[Any]) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(references))
        return references[-1:], references[:-1]

    def get(self, reference: Any) -> Any:
        return reference.function(*reference.args)

    def cancel(self, reference: Any, force: bool) -> None:
        assert force
        self.cancelled.append(reference.args[2])


def _work(task: int) -> int:
    if task == 3:
        raise DataError("three cannot be read")
    if task == 7:
        raise RayError("the machine is gone\nand more")
    if task == 9:
        raise RayTaskError("a bug")
    return task * task


def test_tasks_come_with_their_results_or_errors() -> None:
    ray = FakeRay(CPU=2)
    found = dict(Cluster(ray, None).run(_work, range(7)))
    assert isinstance(found.pop(3), DataError)
    assert found == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25, 6: 36}
    assert ray.most == 4 and not ray.cancelled  # two for each place: enough to keep all busy
    assert ray.options == {"num_cpus": 1, "num_gpus": 0.0, "max_retries": 20}


@pytest.mark.parametrize(("gpus", "places", "each"), [(None, 2, 1.0), (0.5, 4, 0.5), (0, 8, 0)])
def test_places_are_gpus_where_there_are_any(gpus: float | None, places: int, each: float) -> None:
    cluster = Cluster(FakeRay(CPU=8, GPU=2), gpus)
    assert (cluster.places(), cluster.gpus) == (places, each)


def test_a_cluster_without_machines_yet_gets_tasks() -> None:
    assert Cluster(FakeRay(), None).places() == 1


def test_what_is_lost_again_and_again_ends_the_work() -> None:
    ray = FakeRay(CPU=1)
    with pytest.raises(JobError, match=r"lost a task 21 times \(the machine is gone\).*repeat the command"):
        list(Cluster(ray, 0).run(_work, [7, 7]))
    assert ray.cancelled == [7, 7]  # also the one that failed, which Ray allows
    with pytest.raises(RayTaskError, match="a bug"):
        list(Cluster(FakeRay(CPU=1), 0).run(_work, [9]))


def test_a_machine_without_the_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    ray = FakeRay(CPU=1)
    results = Cluster(ray, 0).run(_work, [1, 2, 4])
    next(results)
    (tmp_path / "gone").rename(tmp_path / "moved")
    errors = [str(error) for _, error in results if isinstance(error, DataError)]
    assert len(errors) == 1 and "all machines of the cluster must see the same folders" in errors[0]


def _note(calls: list[int], value: int) -> int:
    calls.append(value)
    return -value


def test_a_worker_keeps_what_it_made_last() -> None:
    calls: list[int] = []
    make = partial(_note, calls)
    assert [once(make, value) for value in (1, 1, 2, 2, 1)] == [-1, -1, -2, -2, -1]
    assert calls == [1, 2, 1]


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'rsseg\[ray\]'"), connected():
        pass


def test_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the same checkout and have the settings of rsseg; no dashboard, no statistics of use."""
    given: dict[str, Any] = {}
    ended: list[bool] = []
    ray = FakeRay(CPU=3)
    fake = SimpleNamespace(
        init=lambda **options: given.update(options),
        shutdown=lambda: ended.append(True),
        cluster_resources=ray.cluster_resources,
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setenv("RSSEG_MAX_PIXELS", "7")
    monkeypatch.setenv("PYTHONPATH", "/own")
    with connected() as cluster:
        assert cluster.places() == 3 and not ended
    root = str(Path(__file__).resolve().parents[2])
    variables = given.pop("runtime_env")["env_vars"]
    assert variables["RSSEG_MAX_PIXELS"] == "7" and variables["PYTHONPATH"] == f"{root}{os.pathsep}/own"
    assert ended == [True] and given["include_dashboard"] is False
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"

    def refuse(**options: Any) -> None:
        raise ConnectionError("nobody there")

    fake.init = refuse
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    message = r"RAY_ADDRESS=auto: no cluster .*nobody there.*ray start --head"
    with pytest.raises(ConfigError, match=message), connected():
        pass
    given.clear()
    fake.init = given.update
    for address in ("127.0.0.1:1", "nowhere.invalid:6379", "[::1]:1"):  # where Ray would wait for minutes
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ConfigError, match="no cluster of Ray answers there"), connected():
            pass
    assert not given


def test_tasks_that_no_machine_can_take(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "rsseg"):
        Cluster(FakeRay(CPU=4), 1)
    assert "a task takes 1 CPU and 1 GPUs, the cluster has 4 and 0 now" in caplog.text
    with pytest.raises(ConfigError, match=r"--gpus-per-task 1\.5: expected a share of one GPU"), connected(1.5):
        pass
