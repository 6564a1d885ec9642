"""The background writer: in order, bounded, and no failure goes unseen."""

from __future__ import annotations

import threading

import pytest

from rsseg.structures.writing import Writer


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
