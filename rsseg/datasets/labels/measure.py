"""One pass over a labelled set: counts, one row per tile, and the masks worth a look."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.labels import LabelledSet, LabelledTile
from rsseg.datasets.labels.selection import Scoring, Selection, scoring_of
from rsseg.datasets.labels.statistics import Statistics
from rsseg.errors import DataError
from rsseg.io.labels import read_labels
from rsseg.io.progress import Progress
from rsseg.io.workers import process_pool

__all__ = ["TILE_COLUMNS", "Part", "measure", "measure_parts", "measure_tiles"]

TILE_COLUMNS = (
    "tile", "source", "split", "instances", "empty_masks", "pixels", "unlabelled_share",
    "covered_pixels", "overlap_share", "overlap_share_of_different_classes",
)  # fmt: skip
_CHUNK = 16

_log = logging.getLogger("rsseg")

Row = tuple[str | int | float | None, ...]


@dataclasses.dataclass
class Part:
    """What was found in some tiles.

    Attributes:
        statistics: The counts.
        selection: The masks worth a look.
        rows: One row per tile, columns ``TILE_COLUMNS``.
        problems: Files that could not be used, with the reason.
    """

    statistics: Statistics
    selection: Selection
    rows: list[Row] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: Part) -> None:
        """Add what was found in tiles that follow."""
        self.statistics.add(other.statistics)
        self.selection.join(other.selection)
        self.rows += other.rows
        self.problems += other.problems


def _label_pixels(tile: LabelledTile) -> NDArray[np.int64]:
    """Pixels of a tile's label map by value, (256,).

    Raises:
        OSError: The file is missing or broken.
        DataError: It is no label map of the tile's size.
    """
    labels = read_labels(tile.labels)
    if labels.shape != tile.size:
        raise DataError(f"the label map is {labels.shape} high and wide, its tile {tile.size}")
    return np.bincount(labels.ravel(), minlength=256)


def measure_tiles(tiles: Iterable[LabelledTile], classes: tuple[str, ...], keep: int, scoring: Scoring) -> Part:
    """Count some tiles.

    Args:
        tiles: The tiles.
        classes: Names of the classes.
        keep: Masks of each kind and class to choose.
        scoring: What to order them by.
    """
    part = Part(Statistics(classes), Selection(len(classes), keep, scoring))
    for tile in tiles:
        share = None
        try:
            share = round(part.statistics.add_labels(_label_pixels(tile)), 6)
        except (OSError, DataError) as error:
            part.problems.append(f"{tile.labels}: {error}; not part of the pixel counts; convert this image again")
        try:
            overlap = part.statistics.add_instances(tile.instances)
        except ValueError as error:
            raise DataError(f"instances of {tile.name} ({tile.labels}): {error}; convert this image again") from error
        part.selection.offer(tile, dataclasses.replace(tile, instances=[]))
        covered = max(overlap.covered, 1)
        empty = sum(instance.area == 0 for instance in tile.instances)
        part.rows.append((
            tile.name, tile.source, tile.split, len(tile.instances) - empty, empty, tile.size[0] * tile.size[1], share,
            overlap.covered, round(overlap.shared / covered, 6), round(overlap.mixed / covered, 6),
        ))  # fmt: skip
    return part


def measure(
    labels: LabelledSet, keep: int = 0, workers: int = 1, on_rows: Callable[[list[Row]], None] | None = None
) -> Part:
    """Count a whole set; the outcome does not depend on the number of processes.

    Args:
        labels: The set.
        keep: Masks of each kind and class to choose.
        workers: Processes that count; this one reads the set.
        on_rows: Takes the rows of the tiles as they come; the returned part has none.
    """
    classes, scoring = labels.table.classes, scoring_of(labels)
    whole = Part(Statistics(classes), Selection(len(classes), keep, scoring))
    progress = Progress(len(labels), "measure", unit="tile")
    for part in measure_parts(iter(labels), classes, keep, scoring, workers):
        if on_rows is not None:
            on_rows(part.rows)
        for _ in part.rows:
            progress.step()
        part.rows = []
        whole.add(part)
    progress.close()
    return whole


def measure_parts(
    tiles: Iterator[LabelledTile], classes: tuple[str, ...], keep: int, scoring: Scoring, workers: int
) -> Iterator[Part]:
    """Parts of a few tiles each, in order, as :func:`measure_tiles` finds them; what cannot be used goes to the log.

    Args:
        tiles: The tiles; a few per process are under way at a time.
        classes: As there.
        keep: As there.
        scoring: As there.
        workers: Processes.
    """
    for part in _parts(tiles, classes, keep, scoring, workers):
        for problem in part.problems:
            _log.warning("%s", problem)
        yield part


def _parts(
    tiles: Iterator[LabelledTile], classes: tuple[str, ...], keep: int, scoring: Scoring, workers: int
) -> Iterator[Part]:
    chunks = iter(lambda: list(islice(tiles, _CHUNK)), [])
    if workers <= 1:
        yield from (measure_tiles(chunk, classes, keep, scoring) for chunk in chunks)
        return
    under_way: deque[Future[Part]] = deque()
    with process_pool(workers) as pool:
        for chunk in chunks:
            under_way.append(pool.submit(measure_tiles, chunk, classes, keep, scoring))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
