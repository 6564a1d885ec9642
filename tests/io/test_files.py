"""The background writer: in order, bounded, and no failure goes unseen; the SHA-256 of files."""

from __future__ import annotations

import fcntl
import hashlib
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from rsseg.errors import ConfigError, UnreadableFileError
from rsseg.io.files import Writer, locked, remove_abandoned, replacing, sha256_of
from rsseg.io.workers import map_threads, run_threads


def test_jobs_run_in_order_and_are_done_after_closing():
    seen: list[int] = []
    writer = Writer(waiting=2)
    for i in range(20):
        writer.submit_checked(seen.append, i)
    writer.close_checked()
    assert seen == list(range(20))


def test_a_failure_is_raised_later():
    writer = Writer()
    writer.submit_checked(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        writer.close_checked()


def test_submitting_waits_when_too_much_waits():
    gate = threading.Event()
    writer = Writer(waiting=1)
    writer.submit(gate.wait)
    blocked = threading.Thread(target=writer.submit, args=(int,))
    blocked.start()
    blocked.join(0.1)
    assert blocked.is_alive()
    gate.set()
    blocked.join()
    writer.close()


def test_threads_give_each_item_with_its_result():
    assert sorted(run_threads(lambda value: value * 2, [3, 1, 2], workers=2)) == [(1, 2), (2, 4), (3, 6)]


def test_jobs_that_have_not_begun_are_dropped_when_one_fails():
    begun: list[str] = []

    def work(text: str) -> int:
        begun.append(text)
        if text != "x":
            time.sleep(0.1)  # long enough for the failure to be seen
        return int(text)

    with pytest.raises(ValueError, match="invalid literal"):
        list(run_threads(work, ["x", *map(str, range(50))], workers=1))
    assert len(begun) < 51


@pytest.mark.parametrize("size", [0, 3, (1 << 20) + 1])
def test_sha256_of_a_file(tmp_path: Path, size: int) -> None:
    data = b"abc"[:size] if size <= 3 else bytes(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(str(tmp_path / "file")) == sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    if size == 3:  # FIPS 180-2, appendix B.1
        assert sha256_of(tmp_path / "file").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_threads_give_results_in_order_and_begin_few_ahead() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return 2 * number

    results = map_threads(work, iter(range(1000)), 2)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    results.close()
    assert len(begun) < 20
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        next(map_threads(work, [1], 0))


def test_a_file_that_cannot_be_written_is_named_and_what_is_read_meanwhile_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    for error, message in (
        (OSError(28, "No space left on device"), f"cannot write {path}: No space left on device"),
        (OSError("encoder error -2"), f"cannot write {path}: encoder error -2"),
        (FileNotFoundError(2, "No such file or directory", "other"), "'other'"),
        (UnreadableFileError("other: is damaged"), "other: is damaged"),
    ):
        with pytest.raises(OSError) as caught, replacing(path):
            raise error
        assert message in str(caught.value)
    with pytest.raises(OSError, match=r"cannot write .*missing/a: No such file"), replacing(tmp_path / "missing" / "a"):
        pass
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["a"]


def test_leftovers_of_killed_processes_go_with_the_next_file_that_is_written(tmp_path: Path) -> None:
    ready, end = multiprocessing.Event(), multiprocessing.Event()

    def write() -> None:
        with replacing(tmp_path / "b") as file:
            file.write(b"half")
            file.flush()
            ready.set()
            end.wait()

    process = multiprocessing.get_context("fork").Process(target=write)
    process.start()
    ready.wait()
    running = next(tmp_path.glob(".tmp-*"))
    foreign = [tmp_path / name for name in (".tmp-a-b-c-d", ".tmp-x-0badc0de-x-00000000", ".tmp", ".tmp-1-2-3-4.txt")]
    for path in foreign:
        path.write_bytes(b"mine")
    remove_abandoned(tmp_path)
    assert running.exists()
    process.kill()
    process.join()
    assert running.exists()
    reused = running.with_name(running.name.replace(f"-{process.pid}-", "-1-"))  # its number is another process's now
    reused.write_bytes(b"half")
    with replacing(tmp_path / "c") as file:
        file.write(b"whole")
    assert not running.exists() and not reused.exists() and all(path.exists() for path in foreign)
    remove_abandoned(tmp_path / "missing")


def test_a_file_that_another_process_removes_while_it_is_opened_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one holds its lock for the moment between looking at it and removing it."""
    others, dup = list[threading.Thread](), os.dup

    def remove(path: Path, lock: int) -> None:
        time.sleep(0.1)
        path.unlink()
        os.close(lock)

    def meet(descriptor: int) -> int:
        if not others:
            (path,) = tmp_path.glob(".tmp-*")
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            others.append(threading.Thread(target=remove, args=(path, lock)))
            others[0].start()
        return dup(descriptor)

    monkeypatch.setattr(os, "dup", meet)
    with replacing(tmp_path / "a") as file:
        others[0].join()
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", list[str]()

    def second() -> None:
        with locked(path, "wait"):
            assert path.exists()
            order.append("second")

    with locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
        path.unlink()
    thread.join()
    assert order == ["first", "second"] and path.exists()
