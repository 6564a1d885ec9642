"""``--suite gpu``: one table of what only a card can show; each group is a process that may fail or hang alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from queue import Empty
from typing import Any, NamedTuple

from benchmarks.entry import Work
from benchmarks.gpu_works import GROUPS

__all__ = ["QUICK", "Row", "run_suite", "table"]

QUICK = (
    "convert_postprocess", "gsnet_decoder_5", "map_throughput", "metric", "precision_unet_bf16", "sep_step", "slide",
    "startup", "tiling", "upernet_view",
)  # fmt: skip
"""Entries that end in five minutes on two cores, with one run of each side."""
_SECONDS = 3.0


class Row(NamedTuple):
    """One form of one group: its rate, or why there is none."""

    group: str
    form: str
    rate: float | None
    unit: str
    error: str = ""


def _rate(work: Work, amount: float, device: str, seconds: float) -> float:
    """Amount per second, after one run that warms up."""
    import torch

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    work()
    finish()
    start, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - start < seconds:
        work()
        finish()
        runs += 1
    return runs * amount / (time.perf_counter() - start)


def _rows(group: str, device: str, toy: bool) -> Iterator[Row]:
    unit, make, _ = GROUPS[group]
    try:
        for form, (work, amount) in make(device, toy).items():
            try:
                yield Row(group, form, _rate(work, amount, device, 0.0 if toy else _SECONDS), unit)
            except Exception as error:  # one failure is a row of the table, not its end
                yield Row(group, form, None, unit, _line(error))
    except Exception as error:
        yield Row(group, "", None, unit, _line(error))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error) or '-').splitlines()[0][:100]}"


def _send(group: str, device: str, toy: bool, answers: Any) -> None:
    for row in _rows(group, device, toy):
        answers.put(row)
    answers.put(None)


def _alone(group: str, device: str, toy: bool) -> Iterator[Row]:
    """The rows of a group from a process of its own."""
    unit, _, limit = GROUPS[group]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_send, args=(group, device, toy, answers))
    process.start()
    end = time.monotonic() + limit
    while True:
        try:
            row = answers.get(timeout=0.5)
        except Empty:
            if process.is_alive() and time.monotonic() < end:
                continue
            reason = f"not done after {limit} s" if process.is_alive() else f"exit status {process.exitcode}"
            row = None
            yield Row(group, "", None, unit, reason)
        if row is None:
            break
        yield row
    process.kill()
    process.join()


def run_suite(device: str, toy: bool = False) -> Iterator[Row]:
    """All groups, one after another.

    Args:
        device: ``cuda`` or ``cpu``.
        toy: Tiny models and images, one run each, in this process: to see that all of it works.
    """
    for group in GROUPS:
        yield from (_rows if toy else _alone)(group, device, toy)


def table(rows: list[Row], device: str) -> str:
    """A Markdown table under the name of the device."""
    import platform

    import torch

    name = platform.processor() or platform.machine() if device == "cpu" else torch.cuda.get_device_name()
    lines = [f"{name}, torch {torch.__version__}", "", "| group | form | rate |", "|---|---|---:|"]
    for row in rows:
        rate = row.error if row.rate is None else f"{row.rate:.3g} {row.unit}"
        lines.append(f"| {row.group} | {row.form} | {rate} |")
    return "\n".join(lines)
