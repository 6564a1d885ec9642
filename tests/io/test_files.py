"""The background writer: in order, bounded, and no failure goes unseen; the SHA-256 of files."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest

from rsseg.io.files import Writer, sha256_of
from rsseg.io.workers import run_threads


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
