"""Signals end a command with one line and with all that it has started, whatever it is doing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START = """
import hashlib, sys, threading, time
from pathlib import Path
from rsseg import interruption
from rsseg.commands import run_tool
from rsseg.errors import UserError

interruption._GRACE, interruption._AGAIN, interruption._CHILDREN = 1.0, 0.2, 2.0

def ready():
    Path("ready").touch()
"""
WAIT = 600  # seconds, however busy the machine is
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
LINE = "interrupted ({}); run the same command again to continue\n"

SLEEPS = "def main():\n    ready()\n    time.sleep(3600)\n"
SWALLOWS = """
def main():
    ready()
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass
"""
BUSY_IN_C = """
def main():
    ready()
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1 << 28)  # one call, in which Python sees no signal
"""
FAILS_ON_THE_WAY = """
def main():
    ready()
    try:
        time.sleep(3600)
    finally:
        raise RuntimeError("a library that gives up")
"""
IN_A_FINALIZER = """
class Holder:
    def __del__(self):
        ready()
        time.sleep(2)

def main():
    holder = Holder()
    del holder
    time.sleep(3600)
"""
THREADS = """
from rsseg.io.workers import map_threads

def work(number):
    ready()
    time.sleep(0.5)

def main():
    for _ in map_threads(work, range(1000), 2):
        pass
"""
PROCESSES = """
from rsseg.io.workers import process_pool

def work(number):
    ready()
    time.sleep(0.2)

def main():
    with process_pool(2) as pool:
        list(pool.map(work, range(1000)))
"""
LEAVES_A_SEMAPHORE = """
from multiprocessing import resource_tracker

def main():  # as where another thread has removed it and not yet said so
    resource_tracker.register("/removed", "semaphore")
    ready()
    time.sleep(3600)
"""
A_PROGRAM = """
import os
from rsseg.interruption import call

def main():
    with open("log", "wb") as log:
        ready()
        call([sys.executable, "-c", "import time; time.sleep(3600)"], os.environ, log)
"""
A_DEAF_PROGRAM = """
import os, subprocess

def main():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); open('ready', 'w'); time.sleep(3600)"
    subprocess.Popen([sys.executable, "-c", code])
    time.sleep(3600)
"""
WATCHES_ITS_CHILDREN = """
import signal, subprocess

def complain(*_):  # as torch does, for workers of data loaders
    raise RuntimeError("a worker is killed by a signal")

def main():
    children = [subprocess.Popen(["sleep", "3600"]) for _ in range(2)]
    signal.signal(signal.SIGCHLD, complain)
    ready()
    time.sleep(3600)
"""
WRITES = """
from rsseg.io.files import replacing

def main():
    with replacing(Path("out.bin")) as file:
        file.write(b"half")
        file.flush()
        ready()
        time.sleep(3600)
"""
WRITES_IN_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
from rsseg.io.files import replacing

def write():
    with replacing(Path("out.bin")) as file:
        ready()
        time.sleep(3600)

def main():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write).result()
"""


@contextlib.contextmanager
def started(folder: Path, repo: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """A command at work, in a process group of its own."""
    (folder / "tool.py").write_text(START + body + '\nif __name__ == "__main__":\n    run_tool(main)\n')
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {"PYTHONPATH": str(repo), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        [sys.executable, "tool.py"], cwd=folder, env=environment, text=True, start_new_session=True, **pipes
    )
    try:
        while not (folder / "ready").exists() and process.poll() is None:
            time.sleep(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def left(leader: int, ended: bool = False) -> list[str]:
    """What is left of a group of processes; nothing, as soon as nothing is."""
    end = time.monotonic() + WAIT
    while group(leader, ended) and time.monotonic() < end:
        time.sleep(0.05)
    return group(leader, ended)


def group(leader: int, ended: bool = False) -> list[str]:
    """Command lines of the processes of a group that run; with those that ended and were not waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_bytes().rpartition(b")")[2].split()
            if int(fields[2]) == leader and (ended or fields[0] != b"Z"):
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.parametrize(
    ("body", "number"),
    [
        *[(SLEEPS, number) for number in SIGNALS],
        (SWALLOWS, signal.SIGTERM),
        (BUSY_IN_C, signal.SIGINT),
        (FAILS_ON_THE_WAY, signal.SIGINT),
        (IN_A_FINALIZER, signal.SIGTERM),
        (THREADS, signal.SIGINT),
        (PROCESSES, signal.SIGTERM),
        (PROCESSES, signal.SIGINT),
        (LEAVES_A_SEMAPHORE, signal.SIGINT),
        (A_PROGRAM, signal.SIGTERM),
        (A_DEAF_PROGRAM, signal.SIGTERM),
        (WATCHES_ITS_CHILDREN, signal.SIGTERM),
        (WRITES, signal.SIGTERM),
        (WRITES_IN_A_THREAD, signal.SIGINT),
    ],
)
def test_one_line_and_nothing_left(tmp_path: Path, repo: Path, body: str, number: int) -> None:
    with started(tmp_path, repo, body) as process:
        os.kill(process.pid, number)
        out, error = process.communicate(timeout=WAIT)
        assert (process.returncode, out, error) == (SIGNALS[number], "", LINE.format(signal.Signals(number).name))
        # With multiprocessing's own process, which would be left for init to wait for.
        assert left(process.pid, ended=body == PROCESSES) == []
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".tmp", "out"))]


@pytest.mark.parametrize("body", [PROCESSES, A_PROGRAM, WATCHES_ITS_CHILDREN])
def test_ctrl_c_of_a_terminal_goes_to_all_of_them(tmp_path: Path, repo: Path, body: str) -> None:
    with started(tmp_path, repo, body) as process:
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=WAIT)
        assert (process.returncode, out, error) == (130, "", LINE.format("SIGINT"))
        assert left(process.pid) == []


CHILD_FIRST = """
import os, signal, threading

interruption._FOLLOWS = 3600

def main():
    ready()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    raise RuntimeError("a worker is killed by a signal")
"""


def test_the_end_of_a_child_by_the_same_signal_is_no_error(tmp_path: Path, repo: Path) -> None:
    with started(tmp_path, repo, CHILD_FIRST) as process:
        assert process.communicate(timeout=WAIT) == ("", LINE.format("SIGINT")) and process.returncode == 130
    (tmp_path / "ready").unlink()
    with started(
        tmp_path, repo, CHILD_FIRST.replace("    threading", "    # threading").replace("3600", "0.1")
    ) as process:
        assert "RuntimeError: a worker is killed" in process.communicate(timeout=WAIT)[1] and process.returncode == 1


CHILD_WITHIN = """
import signal

interruption._FOLLOWS = 3600

def complain(*_):
    raise RuntimeError("a worker is killed by a signal")

def main():
    signal.signal(signal.SIGINT, complain)  # as where a child ends at the first step of the handler
    ready()
    time.sleep(3600)
"""


ANOTHER_CHILD = """
class Killed(RuntimeError):
    def __str__(self):  # another child ends while this error is looked at
        raise RuntimeError("another worker is killed by a signal")
"""


@pytest.mark.parametrize(
    "body", [CHILD_WITHIN, ANOTHER_CHILD + CHILD_WITHIN.replace("raise RuntimeError", "raise Killed")]
)
def test_the_end_of_a_child_within_what_a_signal_calls_is_no_error(tmp_path: Path, repo: Path, body: str) -> None:
    with started(tmp_path, repo, body) as process:
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=WAIT) == ("", LINE.format("SIGINT")) and process.returncode == 130


def test_workers_end_when_the_command_is_killed(tmp_path: Path, repo: Path) -> None:
    with started(tmp_path, repo, PROCESSES) as process:
        assert len(group(process.pid)) >= 3
        process.kill()
        assert left(process.pid) == []


def test_a_second_signal_ends_it_at_once(tmp_path: Path, repo: Path) -> None:
    with started(tmp_path, repo, f"interruption._GRACE = 3600\n{SWALLOWS}") as process:
        while process.poll() is None:  # a signal that is seen within _AGAIN counts as the same one
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.3)
        assert process.communicate(timeout=WAIT)[1] == LINE.format("SIGINT")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path, repo: Path) -> None:
    body = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SLEEPS.replace("3600", "2")
    with started(tmp_path, repo, body) as process:
        os.kill(process.pid, signal.SIGHUP)
        assert (process.communicate(timeout=WAIT), process.returncode) == (("", ""), 0)
