"""Fixtures for all tests: where the repository and the real samples are, and how to run a tool."""

from __future__ import annotations

import ast
import functools
import gc
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.forks import ToolProcess, ToolServer
from tests.tool_server import load_libraries, set_up_libraries

REPO = Path(__file__).resolve().parents[1]

# Before cv2 and any worker starts: GeoTIFF tags are no news, and one thread per process is fastest.
os.environ["OPENCV_LOG_LEVEL"] = "ERROR"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYTHON", sys.executable)  # for tools/*.sh


STACK = {"torch", "torchvision", "timm", "mmengine", "mmcv", "mmseg", "mmpretrain"}
STACK |= {"fastapi", "starlette", "uvicorn", "rio_tiler", "morecantile", "fsspec", "pystac", "pystac_client", "ray"}
"""Packages that the light environments do not have."""
WITHOUT = importlib.util.find_spec("torch") is None
"""There is neither torch nor the MM stack: what needs them is left out, as in the light environments of the CI."""


def pytest_configure(config: pytest.Config) -> None:
    """One thread for torch, where it is installed; signals as in a terminal, whoever started the tests."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:  # a job in the background of a script, or nohup
            signal.signal(number, handler)
    if WITHOUT:
        return
    if hasattr(config, "workerinput"):  # before coverage is measured, which would trace all these imports
        load_libraries()
    elif not getattr(config.option, "numprocesses", None):  # the process that only gives out tests needs none
        set_up_libraries()


def pytest_report_header() -> str | None:
    """Say so where only a part can be tested."""
    return "without torch and the MM stack: tests that need them are left out" if WITHOUT else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many inputs the fuzz targets read, see tests/fuzz."""
    reports = [report for own in terminalreporter.stats.values() for report in own]
    found = {row for report in reports for key, row in getattr(report, "user_properties", ()) if key == "fuzz"}
    for row in sorted(found):
        terminalreporter.write_line(f"fuzz {row}")


@functools.cache
def _needs_stack(module: str, name: str = "") -> bool:
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError as error:
        if _is_about_stack(error):
            return True
        raise
    return False


def _is_about_stack(error: BaseException | None) -> bool:
    if not isinstance(error, ImportError):
        return False
    return (error.name or "").partition(".")[0] in STACK or "rsseg needs the MM stack" in str(error)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without torch: leave out files that import what needs it, and folders whose conftest.py does."""
    path = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    if not WITHOUT or path.suffix != ".py" or not path.is_file():
        return None
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [(node.module, alias.name) for alias in node.names]
        if any(_needs_stack(*each) for each in names):
            return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage is measured by tests that are not slow, and there by the first case of each: more costs a third more.

    Each of several processes starts with slow ones, so that none is left with one in the end.
    """
    seen: set[str] = set()
    for item in items:
        first = item.nodeid.partition("[")[0]
        if item.get_closest_marker("slow") or first in seen:
            item.add_marker("no_cover")
        seen.add(first)
    items[:] = slow_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """What has been imported and collected stays: out of sight of the garbage collector, which datasets often call."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After a file: what its functions have cached (trees, configs, models) goes, what it has imported stays, too."""
    if nextitem is None or nextitem.path == item.path:
        return
    module = item.getparent(pytest.Module).obj
    for value in vars(module).values():
        if hasattr(value, "cache_clear") and getattr(value, "__module__", "") == module.__name__:
            value.cache_clear()
    gc.collect()
    gc.freeze()


def slow_first(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """Order tests for processes that get equal parts in a row: files with slow tests are at the start of each part."""
    if processes == 1:
        return list(items)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    slow = [own for own in files.values() if any(item.get_closest_marker("slow") for item in own)]
    quick = [item for own in files.values() if own not in slow for item in own]
    order: list[pytest.Item] = []
    for process in range(processes):
        order += [item for own in slow[process::processes] for item in own]
        missing = max(0, (process + 1) * len(items) // processes - len(order))
        order, quick = order + quick[:missing], quick[missing:]
    return order + quick


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Without torch: skip tests whose fixtures need it, and those that are marked so."""
    if WITHOUT and item.get_closest_marker("stack"):
        pytest.skip("starts a process that needs the MM stack")
    return (yield from _skip_without())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Without torch: skip tests that turn out to need it."""
    return (yield from _skip_without())


def _skip_without() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except ImportError as error:
        if WITHOUT and _is_about_stack(error):
            pytest.skip(f"needs the MM stack: {error}")
        raise


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """What a test sets for rsseg (``--trust``, ``--class-map`` ...) is gone after it, for later tools, too."""
    before = {name: value for name, value in os.environ.items() if name.startswith("RSSEG_")}
    yield
    for name in [name for name in os.environ if name.startswith("RSSEG_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def mmseg_scope() -> None:
    """Let names in configs mean mmseg's registries, as the runner does."""
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real samples; the test is skipped where there is none."""
    told = os.environ.get("RSSEG_SAMPLES")
    folder = Path(told) if told else REPO.parent / "shared" / "data"
    if not folder.is_dir():
        where = "$RSSEG_SAMPLES" if told else "../shared/data (and $RSSEG_SAMPLES is not set)"
        pytest.skip(f"no real samples: {where} is no folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def _tool_server() -> Iterator[ToolServer]:
    server = ToolServer(_environment(None))
    yield server
    server.close()


@pytest.fixture(scope="session")
def start_tool(_tool_server: ToolServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ToolProcess]:
    """Start a tool and go on: ``start_tool("train", "config.py", cwd=..., env=...)`` has ``kill`` and ``wait``."""

    def start(name: str, *args: object, cwd: Path, env: dict[str, str] | None = None) -> ToolProcess:
        if WITHOUT:
            pytest.skip("the tool server needs the MM stack")
        argv = [str(REPO / "tools" / f"{name.removesuffix('.py')}.py"), *map(str, args)]
        return ToolProcess(_tool_server.stack, argv, cwd, _environment(env), tmp_path_factory.mktemp("tool"))

    return start


@pytest.fixture(scope="session")
def fork_python(_tool_server: ToolServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Run Python: ``fork_python("-c", code, ..., cwd=..., env=...)``, where ``env`` is all of its environment.

    It is a fork of a process that has imported torch and other libraries, but neither the MM stack nor rsseg: what
    these do when they are imported is seen as in a fresh interpreter, in a fifth of the time.
    """

    def run(*args: object, cwd: Path = REPO, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        if WITHOUT:
            pytest.skip("the tool server needs torch")
        folder = tmp_path_factory.mktemp("python")
        own = _environment(None) if env is None else env
        return ToolProcess(_tool_server.libraries, [*map(str, args)], cwd, own, folder).wait()

    return run


@pytest.fixture(scope="session")
def forked_python(_tool_server: ToolServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which ``tools/*.sh``, and torchrun, take forks with the MM stack for Python."""
    if WITHOUT:
        pytest.skip("the tool server needs the MM stack")
    return {**_environment(None), **_as_python(tmp_path_factory.mktemp("bin") / "python", _tool_server.stack)}


@pytest.fixture(scope="session")
def forked_libraries(_tool_server: ToolServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What makes ``tools/*.sh``, and torchrun, take forks like those of ``fork_python`` for Python."""
    if WITHOUT:
        pytest.skip("the tool server needs torch")
    return _as_python(tmp_path_factory.mktemp("bin") / "python", _tool_server.libraries)


def _as_python(path: Path, address: str) -> dict[str, str]:
    """Write a program that runs its arguments in a fork of the server there; the variables that name it."""
    client = REPO / "tests" / "forked_python.py"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{client}" "{address}" "$@"\n')
    path.chmod(0o755)
    return {"PYTHON": str(path), "PYTHON_EXEC": str(path)}


@pytest.fixture(scope="session")
def their_tool() -> Callable[[str, str], str]:
    """Path of a tool that mmseg or mmpretrain bring along, for ``start_tool``: ``their_tool("mmseg", "test")``."""

    def path(package: str, name: str) -> str:
        found = importlib.util.find_spec(package)
        tool = Path(found.origin).parent / ".mim" / "tools" / f"{name}.py" if found and found.origin else Path()
        if not tool.is_file():
            pytest.skip(f"{package} was installed without its tools")
        return str(tool)

    return path


@pytest.fixture(scope="session")
def run_ranks(start_tool: Callable[..., ToolProcess]) -> Callable[..., list[subprocess.CompletedProcess[str]]]:
    """Run a tool by several processes, as torchrun starts them: ``run_ranks(2, "train", "config.py", cwd=...)``."""

    def run(processes: int, name: str, *args: object, cwd: Path) -> list[subprocess.CompletedProcess[str]]:
        from torch.distributed import TCPStore

        store = TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)  # held here: nobody else gets its port
        job = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(processes)}
        job |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
        ranks = [
            start_tool(name, *args, "--launcher", "pytorch", cwd=cwd, env={**job, "RANK": rank, "LOCAL_RANK": rank})
            for rank in map(str, range(processes))
        ]
        return [rank.wait() for rank in ranks]

    return run


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(more or {})}


@pytest.fixture
def run_tool(tmp_path: Path, start_tool: Callable[..., ToolProcess]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call a tool as a user does: ``run_tool("train", "config.py", "--amp", cwd=..., env=..., timeout=600)``.

    The tool runs in ``cwd`` (default ``tmp_path``) with this checkout on its path and one OMP thread; the
    result carries ``returncode``, ``stdout`` and ``stderr`` as text.  It is a fork of a process that has imported the
    MM stack already; ``fresh=True`` starts an interpreter instead.
    """

    def run(
        name: str,
        *args: object,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 600,
        fresh: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        if not fresh and not WITHOUT:
            return start_tool(name, *args, cwd=cwd or tmp_path, env=env).wait(timeout)
        done = subprocess.run(
            [sys.executable, str(REPO / "tools" / f"{name.removesuffix('.py')}.py"), *map(str, args)],
            cwd=cwd or tmp_path,
            env=_environment(env),
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if WITHOUT and "rsseg needs the MM stack" in done.stderr:
            pytest.skip(f"tools/{name} needs the MM stack")
        return done

    return run


@pytest.fixture
def call_tool_as_fork(start_tool: Callable[..., ToolProcess]) -> Callable[..., int]:
    """Stands for ``rsseg.commands.call_tool``: the tool is a fork, and no lock is inherited."""

    def call(
        root: Path,
        name: str,
        args: Sequence[object],
        log: Path,
        environment: dict[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> int:
        assert root == REPO
        done = start_tool(name, *args, cwd=Path.cwd(), env=environment).wait()
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
        return done.returncode

    return call


@pytest.fixture(scope="session")
def converted_set() -> Callable[..., Path]:
    """Write a small converted dataset (DESIGN's layout): coloured squares on grey, 255 elsewhere.

    ``converted_set(folder, classes=18, count=8, size=64)``; every fourth tile is in the val split.
    """

    def write(folder: Path, classes: int, count: int = 8, size: int = 64) -> Path:
        import csv

        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(classes)
        rows = []
        for name in ("images", "gray"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            labels = np.full((size, size), 255, np.uint8)
            pixels = rng.integers(90, 110, (size, size, 3)).astype(np.uint8)
            for _ in range(4):
                train_id, (y, x) = int(rng.integers(classes)), rng.integers(0, size - 20, 2)
                labels[y : y + 20, x : x + 20] = train_id
                pixels[y : y + 20, x : x + 20] = train_id * 23 % 256, train_id * 57 % 256, train_id * 101 % 256
            Image.fromarray(pixels).save(folder / "images" / f"t{i}.png")
            Image.fromarray(labels).save(folder / "gray" / f"t{i}.png")
            rows.append([f"t{i}", f"s{i}.png", 0, 0, size, size, "train" if i % 4 else "val"])
        with (folder / "tiles.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["tile", "source", "x", "y", "width", "height", "split"], *rows])
        return folder

    return write
