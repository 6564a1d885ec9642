"""Threads that turn source images into files: while one tile is encoded, the last ones are decoded and written.

The calling thread cuts, prompts and encodes; a second one decodes, paints and packs; two more encode files and write.
Only a few tiles are under way at any time, and a source image's part file is written last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.review import Review
from rsseg.conversion.settings import Settings
from rsseg.conversion.source_image import (
    Results,
    SourceImage,
    Transform,
    cut_tiles,
    mended_rows,
    problem_row,
    source_name,
)
from rsseg.conversion.storage import Store, encode_labels
from rsseg.errors import ConfigError, DataError, JobError, UserError
from rsseg.io.files import Writer
from rsseg.io.tile_files import encode_image

__all__ = ["Pipeline", "divide_transforms"]

_DECODING = 4
"""Encoded tiles that may wait to be decoded."""
_WRITING = 8
"""Files that may wait to be written."""
_UNITS = 16
"""Source images that may wait for their last file; matters only where nearly all are empty."""

Files = list[tuple[str, "Future[int]"]]


def divide_transforms(transforms: Sequence[Transform]) -> tuple[list[Transform], list[Transform]]:
    """The transforms before the first one that can encode ahead (``PredictMasks``), and the others."""
    at = next((i for i, transform in enumerate(transforms) if hasattr(transform, "encode")), len(transforms))
    return list(transforms[:at]), list(transforms[at:])


class Pipeline:
    """The threads of one conversion; use it in a ``with`` block.

    Args:
        settings: The config.
        transforms: What is done to a tile.
        store: Where the files go.
        tile_batch: Tiles of one source image that are encoded together.  They never come from two images, so that
            an interrupted run encodes the same tiles together.
        committed: Called after each source image whose files are all written.
        review: What ``transforms`` apply, whose unused outcomes are listed; None where there is none.
    """

    def __init__(
        self,
        settings: Settings,
        transforms: Sequence[Transform],
        store: Store,
        tile_batch: int = 1,
        committed: Callable[[], None] = lambda: None,
        review: Review | None = None,
    ) -> None:
        self._review = review
        self._settings, self._store, self._tile_batch = settings, store, tile_batch
        self._before, self._after = divide_transforms(transforms)
        self._committed = committed
        self._decoder, self._writer = Writer(_DECODING), Writer(_WRITING, threads=2)
        self._units: deque[Future[Future[None]]] = deque()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *failure: object) -> None:
        # What was handed over is finished even after a failure: complete images keep their part file.
        self._decoder.close()
        self._writer.close()

    def convert(self, source_image: SourceImage) -> None:
        """Convert a source image; returns when its tiles are encoded.

        Raises:
            UserError: A tile of this or an earlier image cannot be converted; the message names it.
            RuntimeError: The same, for what is no fault of the user.
            OSError: A file cannot be written; the message names it.
        """
        part = _empty_part(source_image, self._settings)
        tiles: list[Future[None]] = []
        files: Files = []
        for batch in self._batches(source_image, part):
            with _naming(source_image, batch[0]["tile"]):
                for transform in self._after[:1]:
                    transform.encode(batch)  # type: ignore[attr-defined]
            for results in batch:
                tiles.append(self._decoder.submit(self._finish_tile, source_image, results, part, files))
        self._units.append(self._decoder.submit(self._finish_unit, source_image.item.stem, part, tiles, files))
        self.settle(_UNITS)

    def settle(self, left: int = 0) -> None:
        """Wait until at most ``left`` source images are under way.

        Raises:
            Exception: As :meth:`convert`.
        """
        while len(self._units) > left or (self._units and _is_written(self._units[0])):
            self._units.popleft().result().result()
            self._committed()

    def _batches(self, source_image: SourceImage, part: dict[str, Any]) -> Iterator[list[Results]]:
        batch: list[Results] = []
        for results in cut_tiles(source_image, self._settings, part):
            with _naming(source_image, results["tile"]):
                for transform in self._before:
                    results = transform(results)
            batch.append(results)
            if len(batch) >= self._tile_batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _finish_tile(self, source_image: SourceImage, results: Results, part: dict[str, Any], files: Files) -> None:
        tile, stem = results["tile"], source_image.item.stem
        with _naming(source_image, tile):
            for transform in self._after:
                results = transform(results)
        part.setdefault("reviewed", []).extend(results.get("reviewed", ()))
        if self._settings.finds_objects:
            part["objects"] += len(results["instances"]) + len(results.get("dropped", []))
            if not results["instances"]:
                part["empty_tiles"].append(tile)
                if not self._settings.keep_empty:
                    rows = [{"tile": tile, **row} for row in results.get("dropped", ())]
                    if rows:
                        part.setdefault("dropped", []).extend(rows)
                    return
        tile_format = self._settings.tile_format
        if self._settings.cuts_tiles:
            name = f"images/{tile}.{tile_format}"
            data = results["image"], tile_format
            files.append((name, self._writer.submit(_write_image, self._store, name, *data, stem)))
        name, labels = f"gray/{tile}.{tile_format}", results["label_map"]
        files.append((name, self._writer.submit(_write_labels, self._store, name, labels, self._settings, stem)))
        height, width = labels.shape
        x, y = (int(v) for v in results["window"][:2])
        row = {"tile": tile, "x": x, "y": y, "width": width, "height": height}
        part["tiles"].append({**row, "instances": results["instances"], "dropped": results.get("dropped", [])})

    def _finish_unit(self, stem: str, part: dict[str, Any], tiles: list[Future[None]], files: Files) -> Future[None]:
        for tile in tiles:
            tile.result()
        used = part.pop("reviewed", [])
        if self._review is not None and self._review.of_image(part["source"]):
            part |= {"reviewed": used, "stale": self._review.stale(part["source"], used)}
        return self._writer.submit(_commit, self._store, stem, part, files)


def _is_written(source_image: Future[Future[None]]) -> bool:
    """Whether asking for the result would not wait: the image is written, or has failed."""
    return source_image.done() and (source_image.exception() is not None or source_image.result().done())


def _empty_part(source_image: SourceImage, settings: Settings) -> dict[str, Any]:
    failure = [] if source_image.failure is None else [problem_row(source_image.failure)]
    return {
        "source": source_name(source_image.item, settings),
        "objects": len(source_image.detections),
        "failed": source_image.failure is not None,
        "size": None if source_image.image is None else [int(v) for v in source_image.image.shape[:2]],
        "unassigned": [],
        "empty_tiles": [],
        "mended": mended_rows(source_image, settings),
        "omitted": source_image.detections.omitted,
        "problems": [problem_row(error) for error in source_image.detections.problems] + failure,
        "tiles": [],
        "files": {},
    }


def _write_image(store: Store, name: str, image: NDArray[np.uint8], tile_format: str, owner: str) -> int:
    return store.write(name, encode_image(image, tile_format), owner)


def _write_labels(store: Store, name: str, labels: NDArray[np.uint8], settings: Settings, owner: str) -> int:
    return store.write(name, encode_labels(labels, settings.table, settings.tile_format), owner)


def _commit(store: Store, stem: str, part: dict[str, Any], files: Files) -> None:
    part["files"] = {name: job.result() for name, job in files}
    store.write_part(stem, part)


@contextmanager
def _naming(source_image: SourceImage, tile: str) -> Iterator[None]:
    """Let an error say which image and tile it is about; those of files say so themselves."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        kinds = (ConfigError, JobError, DataError, UserError, ValueError)
        kind = next((kind for kind in kinds if isinstance(error, kind)), RuntimeError)
        raise kind(f"{source_image.item.image}, tile {tile}: {error}") from error
