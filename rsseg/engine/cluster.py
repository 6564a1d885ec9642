"""Tasks on a Ray cluster, whose machines may come and go: what a lost machine has not finished is done on another one.

Ray schedules, repeats and reports; here stands only what makes rsseg work there: its source and settings on every
machine, the same working folder, what a worker keeps between tasks, and errors as the commands report them.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import rsseg
from rsseg.errors import ConfigError, DataError, JobError, MissingPackageError, UserError

__all__ = ["Cluster", "connected", "once"]

Task = TypeVar("Task")
Result = TypeVar("Result")
Setup = TypeVar("Setup")

_log = logging.getLogger("rsseg")
_RETRIES = 20
"""How often a task is repeated whose machine or process was lost."""
_AHEAD = 2
"""Tasks for each place of the cluster that are handed over at a time: enough to keep all busy, and to ask for more."""
_PATIENCE = 20
"""Seconds in which a cluster must answer."""
_kept: dict[tuple[Any, str], Any] = {}


def once(make: Callable[[Setup], Result], setup: Setup) -> Result:
    """``make(setup)``, kept for the next tasks of this worker, as long as they have the same setup.

    Args:
        make: For example what loads a model.
        setup: Its argument; told apart by how it is shown.
    """
    key = make, repr(setup)
    if key not in _kept:
        _kept.clear()
        _kept[key] = make(setup)
    return _kept[key]


class _Failure(NamedTuple):
    """An error that a user can correct, as a result: Ray would wrap it."""

    error: UserError | OSError


def _perform(folder: str, work: Callable[[Task], Result], task: Task) -> Result | _Failure:
    """One task, in a worker."""
    logging.getLogger("rsseg").setLevel(logging.WARNING)  # progress is shown where the command runs
    try:
        _enter(folder)
        return work(task)
    except (UserError, OSError) as error:
        return _Failure(error)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be opened on {socket.gethostname()} ({error.strerror}); all machines of the cluster "
            "must see the same folders under the same names"
        ) from error


class Cluster:
    """A connection to a cluster.

    Args:
        ray: The package, once connected.
        gpus: GPUs of a task; None for one where the cluster has any.
    """

    def __init__(self, ray: Any, gpus: float | None) -> None:
        self._ray, there = ray, ray.cluster_resources()
        self.gpus = float(bool(there.get("GPU"))) if gpus is None else gpus
        if there.get("CPU", 0) < 1 or there.get("GPU", 0) < self.gpus:
            _log.warning("a task takes 1 CPU and %g GPUs, the cluster has %g and %g now: tasks wait for machines that "
                         "have them", self.gpus, there.get("CPU", 0), there.get("GPU", 0))  # fmt: skip

    def places(self) -> int:
        """Tasks that run at the same time on the machines that are there now."""
        found = self._ray.cluster_resources()
        free = found.get("GPU", 0) / self.gpus if self.gpus else found.get("CPU", 0)
        return max(1, int(free))

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Exception]]:
        """Each task with ``work(task)``, as they get ready, or with the error that a user can correct.

        Args:
            work: A function of a module, or a ``partial`` of one; it may be called again for the same task.
            tasks: What to call it with.

        Raises:
            JobError: A task was lost again and again, for example since there was not enough memory.
            Exception: Whatever else ``work`` raised.
        """
        call = self._ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=_RETRIES)(_perform)
        rest, waiting = iter(tasks), dict[Any, Task]()
        try:
            while True:
                for task in rest:
                    waiting[call.remote(os.getcwd(), work, task)] = task
                    if len(waiting) >= _AHEAD * self.places():
                        break
                if not waiting:
                    return
                for reference in self._ray.wait(list(waiting))[0]:
                    result = self._result(reference)
                    yield waiting.pop(reference), result.error if isinstance(result, _Failure) else result
        finally:
            for reference in waiting:
                self._ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError:
            raise
        except errors.RayError as error:
            reason = str(error).strip().splitlines()[0]
            raise JobError(
                f"Ray has lost a task {_RETRIES + 1} times ({reason}); see that its machines have enough memory, and "
                "repeat the command: what is finished is kept"
            ) from error


@contextmanager
def connected(gpus: float | None = None) -> Iterator[Cluster]:
    """The cluster at ``RAY_ADDRESS``, or the one that runs on this machine; without one, this machine alone.

    Args:
        gpus: GPUs of a task, also a share of one; None for one where the cluster has any.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: There is no cluster at ``RAY_ADDRESS``, or a task cannot have so many GPUs.
    """
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ConfigError(f"--gpus-per-task {gpus:g}: expected a share of one GPU, or a whole number of them")
    ray = _ray()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _reach(os.environ.get("RAY_ADDRESS", ""))
        ray.init(
            include_dashboard=False, configure_logging=False, log_to_driver=True, runtime_env={"env_vars": _variables()}
        )
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            f"RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')}: no cluster of Ray answers there "
            f"({str(error).splitlines()[0]}); start one by: ray start --head"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray has its own
    try:
        yield Cluster(ray, gpus)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise a ConnectionError where nobody listens at ``host:port``: Ray itself would ask there for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except OSError as error:
            raise ConnectionError(str(error)) from error


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError("--launcher ray requires Ray: pip install 'rsseg[ray]'") from error
    return ray


def _variables() -> dict[str, str]:
    """What workers take from this process: where a checkout lies, and the settings of rsseg."""
    root = Path(rsseg.__file__).resolve().parents[1]
    own = [] if root.name in ("site-packages", "dist-packages") else [str(root)]
    path = os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {name: value for name, value in os.environ.items() if name.startswith("RSSEG_")}
    return {**settings, **({"PYTHONPATH": path} if path else {})}
