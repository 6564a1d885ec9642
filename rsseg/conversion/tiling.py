"""Cutting a folder of images into tiles, without labels.

Rows are read once, from top to bottom, and only those of one row of tiles are in memory; pictures of up to 33 million
pixels are decoded at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.conversion.tile_source import TileSource
from rsseg.errors import ConfigError, DataError, UnreadableFileError
from rsseg.io.bands import PixelSpec
from rsseg.io.cutting import CutReport, cut_all
from rsseg.io.files import remove_abandoned, replacing
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.limits import check_pixels
from rsseg.io.listing import IMAGE_SUFFIXES, find_files
from rsseg.io.output_names import TILE, output_names, outputs_by_item
from rsseg.io.tile_formats import format_record
from rsseg.structures.windows import cut_window, tile_name, tile_windows

__all__ = ["cut_images"]

_log = logging.getLogger("rsseg")


def cut_images(
    images: Path | str,
    out: Path | str,
    size: int,
    overlap: int = 0,
    pad: bool = False,
    workers: int = 1,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    update: bool = False,
    spec: PixelSpec = PixelSpec(),  # noqa: B008
    tile_format: str = "png",
) -> CutReport:
    """Cut all images of a folder (and its sub-folders) into tiles ``<stem>__<x>_<y>.png``, or ``.tif``.

    A tile holds what the file calls red, green and blue, and alpha where it has that; a single band stays grey, a
    palette is kept; pixels that are not valid are transparent.  8 and 16 bits stay as they are, all other numbers need
    a declared range, which gives 8 bits.  Georeferencing is not kept.  A tile that exists is whole and is not written
    again, so a killed run goes on where it stopped; images that have changed since are an error.  Where several images
    have one stem, the names of their tiles begin with their folders, ``<folder>__<stem>__<x>_<y>.png``.

    Args:
        images: Folder of images.
        out: Folder of tiles; made where it is missing.
        size: Side of a tile in pixels.
        overlap: Pixels that neighbours share.
        pad: Fill tiles of smaller images up with zeros; otherwise they end at the border.
        workers: Images that are cut at the same time, each by a thread.
        suffixes: Image suffixes, compared without case.
        update: Cut anew the images that have changed since, and delete the tiles of those that are gone.
        spec: Declared bands (one, or red, green and blue) and range of values, for all images.
        tile_format: One of :data:`~rsseg.io.tile_formats.TILE_FORMATS`; the pixels are the same.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        UserError: Size, overlap, format or workers are not allowed.
        DataError: The tiles of two images would have one name.
        JobError: ``out`` holds tiles of another size or format, or of images that have changed since.
        OSError: A tile cannot be written; the message names it.
    """
    if Path(out).resolve().is_relative_to(Path(images).resolve()):
        raise ConfigError(
            f"{out} is inside the folder of the images, where tiles would count as images; choose another folder"
        )
    depends = {"size": size, "overlap": overlap, "pad": pad, **_declared(spec), **format_record(tile_format)}
    paths = find_files(images, suffixes)
    names = output_names(paths, Path(images))
    job = _claim(Path(out), depends, names, Path(images), update)
    paths.sort(key=lambda path: -path.lstat().st_size)  # the largest last would leave one thread working alone
    cut = partial(
        _cut_image, names=names, out=Path(out), size=size, overlap=overlap, pad=pad, spec=spec, tile_format=tile_format
    )
    return cut_all(cut, paths, workers, "tile", job, names.__getitem__)


def _declared(spec: PixelSpec) -> dict[str, Any]:
    """What of a declaration the tiles depend on."""
    if spec.bands is not None and len(spec.bands) not in (1, 3):
        text = ",".join(map(str, spec.bands))
        raise ConfigError(f"--bands {text}: a tile has one band, or red, green and blue")
    values = {"bands": spec.bands, "value_range": spec.value_range}
    return {key: list(value) for key, value in values.items() if isinstance(value, tuple)}


def _cut_image(
    path: Path,
    names: Mapping[Path, str],
    out: Path,
    size: int,
    overlap: int,
    pad: bool,
    spec: PixelSpec,
    tile_format: str,
) -> tuple[int, int, str | None]:
    """The numbers of tiles written and found, and why the image could not be cut to its end."""
    written = found = 0
    try:
        with closing(TileSource(path, spec)) as source:
            check_pixels((min(size, source.size[0]), source.size[1]), path, "a row of tiles")
            todo = tile_windows(source.size, size, overlap, pad)
            tiles = {tuple(window): out / f"{tile_name(names[path], window)}.{tile_format}" for window in todo.tolist()}
            missing = [window for window, tile in tiles.items() if not tile.exists()]
            found = len(tiles) - len(missing)
            for window, pixels in _read_tiles(source, missing):
                data = source.encode(pixels, tile_format)
                with replacing(tiles[window]) as file:
                    file.write(data)
                written += 1
    except UnreadableFileError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return written, found, f"{path}: image is broken or cut short, replace the file ({reason})"
    except DataError as error:
        return written, found, f"{path}: {str(error).removeprefix(f'{path}: ')}"
    return written, found, None


def _claim(out: Path, depends: dict[str, Any], names: Mapping[Path, str], root: Path, update: bool) -> Job:
    tile_windows((1, 1), depends["size"], depends["overlap"])  # fails here for sizes that are not allowed
    items = {
        name: {"image": Input(path, path.relative_to(root).as_posix(), hashed=False)} for path, name in names.items()
    }
    job = Job(out, "tiles", hint="choose another folder, or remove it")
    job.claim(depends, items, Outputs.existing(partial(outputs_by_item, [out], TILE)), update)
    remove_abandoned(out)
    return job


def _read_tiles(
    source: TileSource, windows: Iterable[tuple[int, ...]]
) -> Iterator[tuple[tuple[int, ...], NDArray[np.generic]]]:
    """Windows and their pixels, row of tiles by row of tiles; no row of pixels is read twice."""
    rows: NDArray[np.generic] = np.empty((0, 0, 0))
    top = bottom = 0
    for window in sorted(windows, key=lambda window: (window[1], window[0])):
        x1, y1, x2, y2 = window
        end = min(y2, source.size[0])
        if end > bottom:
            kept, start = rows[max(y1 - top, 0) :], max(y1, bottom)
            read = source.read(start, end)
            rows, top, bottom = (np.concatenate([kept, read]) if len(kept) else read), y1, end
        yield window, cut_window(rows, (x1, y1 - top, x2, y2 - top))
