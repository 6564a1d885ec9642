"""Cutting many images into tiles: the loop over them, and what became of each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2

from rsseg.io.files import replacing
from rsseg.io.jobs import Job
from rsseg.io.progress import Progress
from rsseg.io.workers import run_threads
from rsseg.messages import few

__all__ = ["CutReport", "cut_all"]

_log = logging.getLogger("rsseg")
Item = TypeVar("Item")


@dataclass
class CutReport:
    """What one call of :func:`cut_all` did.

    Attributes:
        images: Number of images.
        written: Tiles written by this call.
        found: Tiles that were there before.
        parts: Number of tiles of each part.
        failures: ``file: reason`` of each image that could not be cut to its end, sorted.
        listing: File with the failures, in the output folder; it is there only where there are any.
    """

    images: int = 0
    written: int = 0
    found: int = 0
    parts: dict[str, int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    listing: Path = Path("left_out.txt")

    @property
    def error_summary(self) -> str | None:
        """Which images failed and what to do; None where none did."""
        if not self.failures:
            return None
        head = f"{len(self.failures)} image(s) could not be cut, all others are:"
        return (
            f"{few(head, self.failures, str(self.listing))}\n"
            "Fix or remove these files and run the same command again; it cuts what is missing."
        )


def cut_all(
    cut: Callable[[Item], tuple[int, int, str | None]],
    items: Sequence[Item],
    workers: int,
    what: str,
    job: Job,
    name: Callable[[Item], str],
    part: Callable[[Item], str] = lambda item: "",
) -> CutReport:
    """Cut images, several at the same time, each by a thread: decoding, encoding and writing let others run.

    Args:
        cut: Cuts one image; gives the numbers of tiles written and found, and ``file: reason`` where it failed.
        items: The images.
        workers: How many at a time.
        what: What is done, for the display.
        job: The record of the output folder, in which images that failed are marked.
        name: Name of an item in the record.
        part: Which part of the set an item belongs to.

    Raises:
        ConfigError: ``workers`` is not allowed.
        OSError: A tile cannot be written; the message names it.
    """
    cv2.setNumThreads(1)
    report, progress, failed = CutReport(images=len(items)), Progress(len(items), what), []
    for item, (written, found, failure) in run_threads(cut, items, workers):
        report.written, report.found = report.written + written, report.found + found
        report.parts[part(item)] += written + found
        if failure is not None:
            report.failures.append(failure)
            failed.append(name(item))
            _log.warning("left out: %s", failure)
        progress.step()
    seconds = progress.close()
    job.mark(failed)
    report.failures.sort()
    report.listing = job.path.with_name("left_out.txt")
    report.listing.unlink(missing_ok=True)
    if report.failures:
        with replacing(report.listing) as file:
            file.write("\n".join([*report.failures, ""]).encode())
    counts = report.images, report.written, report.found, len(report.failures), seconds
    _log.info("%d images: %d tiles written, %d found, %d images failed, %.1f s", *counts)
    return report
