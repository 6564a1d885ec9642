"""Cutting a folder of images into tiles, without labels.

Rows are read once, from top to bottom, and only those of one row of tiles are in memory; a JPEG is decoded at once.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import JpegImagePlugin
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from rsseg.conversion.source_image import tile_name
from rsseg.conversion.storage import encode_image
from rsseg.errors import ConfigError, DataError
from rsseg.io.files import remove_abandoned, replacing, run_threads
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.listing import IMAGE_SUFFIXES, find_files
from rsseg.io.output_names import TILE, output_names, outputs_by_item
from rsseg.io.progress import Progress
from rsseg.structures.pictures import indexed
from rsseg.structures.windows import cut_window, tile_windows

__all__ = ["TilingReport", "cut_images"]

_log = logging.getLogger("rsseg")


@dataclass
class TilingReport:
    """What one call of :func:`cut_images` did.

    Attributes:
        images: Images in the folder.
        written: Tiles written by this call.
        found: Tiles that were there before.
        failures: ``file: reason`` of each image that could not be cut to its end.
    """

    images: int = 0
    written: int = 0
    found: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def error_summary(self) -> str | None:
        """Which images failed and what to do; ``None`` where none did."""
        if not self.failures:
            return None
        lines = "\n  ".join(self.failures)
        return (
            f"{len(self.failures)} image(s) could not be cut, all others are:\n  {lines}\n"
            "Replace or remove these files and run the same command again; it cuts what is missing."
        )


def cut_images(
    images: Path | str,
    out: Path | str,
    size: int,
    overlap: int = 0,
    pad: bool = False,
    workers: int = 1,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    update: bool = False,
) -> TilingReport:
    """Cut all images of a folder (and its sub-folders) into PNG tiles ``<stem>__<x>_<y>.png``.

    Band count (1, 3 or 4), 8 or 16 bits and palettes are kept; georeferencing is not.  A tile that exists is whole and
    is not written again, so a killed run goes on where it stopped; images that have changed since are an error.  Where
    several images have one stem, the names of their tiles begin with their folders, ``<folder>__<stem>__<x>_<y>.png``.

    Args:
        images: Folder of images.
        out: Folder of tiles; made where it is missing.
        size: Side of a tile in pixels.
        overlap: Pixels that neighbours share.
        pad: Fill tiles of smaller images up with zeros; otherwise they end at the border.
        workers: Images that are cut at the same time, each by a thread.
        suffixes: Image suffixes, compared without case.
        update: Cut anew the images that have changed since, and delete the tiles of those that are gone.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: Size, overlap or workers are not allowed.
        DataError: The tiles of two images would have one name.
        JobError: ``out`` holds tiles of another size, or of images that have changed since.
        OSError: A tile cannot be written; the message names it.
    """
    if Path(out).resolve().is_relative_to(Path(images).resolve()):
        raise ConfigError(f"{out} lies in the folder of the images, where tiles would count as images; choose another")
    paths = find_files(images, suffixes)
    names = output_names(paths, Path(images))
    job = _claim(Path(out), {"size": size, "overlap": overlap, "pad": pad}, names, Path(images), update)
    paths.sort(key=lambda path: -path.stat().st_size)  # the largest last would leave one thread working alone
    cv2.setNumThreads(1)
    report = TilingReport(images=len(paths))
    progress = Progress(len(paths), "tile")
    failed = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        cut = partial(_cut_image, names=names, out=Path(out), size=size, overlap=overlap, pad=pad)
        for path, (written, found, failure) in run_threads(cut, paths, workers):
            report.written += written
            report.found += found
            if failure is not None:
                report.failures.append(f"{path}: {failure}")
                failed.append(names[path])
                _log.warning("skipped: %s", report.failures[-1])
            progress.step()
    seconds = progress.close()
    job.mark(failed)
    report.failures.sort()
    counts = report.images, report.written, report.found, len(report.failures), seconds
    _log.info("%d images: %d tiles written, %d found, %d images failed, %.1f s", *counts)
    return report


def _cut_image(
    path: Path, names: Mapping[Path, str], out: Path, size: int, overlap: int, pad: bool
) -> tuple[int, int, str | None]:
    """The numbers of tiles written and found, and why the image could not be cut to its end."""
    written = found = 0
    try:
        with _opened(path) as raster:
            palette = _palette(raster)
            todo = tile_windows((raster.height, raster.width), size, overlap, pad)
            tiles = {tuple(window): out / f"{tile_name(names[path], window, True)}.png" for window in todo.tolist()}
            missing = [window for window, tile in tiles.items() if not tile.exists()]
            found = len(tiles) - len(missing)
            for window, pixels in _read_tiles(raster, missing):
                data = encode_image(pixels) if palette is None else _encode_indexed(pixels, palette)
                with replacing(tiles[window]) as file:
                    file.write(data)
                written += 1
    except RasterioError as error:  # what GDAL said is only in the cause
        why = error.__cause__ or error
        return written, found, f"image is broken or cut short, replace the file ({why})"
    except ValueError as error:
        return written, found, str(error)
    return written, found, None


def _claim(out: Path, depends: dict[str, Any], names: Mapping[Path, str], root: Path, update: bool) -> Job:
    tile_windows((1, 1), depends["size"], depends["overlap"])  # fails here for sizes that are not allowed
    items = {
        name: {"image": Input(path, path.relative_to(root).as_posix(), hashed=False)} for path, name in names.items()
    }
    job = Job(out, "tiles", hint="choose another folder, or remove it")
    job.claim(depends, items, Outputs(partial(outputs_by_item, [out], TILE)), update)
    remove_abandoned(out)
    return job


class _Jpeg:
    """A JPEG decoded once and by Pillow, as everywhere in rsseg: GDAL's decoder gives slightly other colours."""

    def __init__(self, path: Path) -> None:
        try:
            with JpegImagePlugin.JpegImageFile(path) as image:
                if image.mode not in ("L", "RGB"):
                    raise DataError(f"a JPEG must be grey or RGB, this one is {image.mode}; convert it")
                pixels = np.array(image)
        except (OSError, SyntaxError) as error:
            raise DataError(f"image is broken or cut short, replace the file ({error})") from error
        self._bands = np.moveaxis(np.atleast_3d(pixels), -1, 0)
        self.count, self.height, self.width = self._bands.shape
        self.colorinterp = [ColorInterp.gray]

    def read(self, window: Window) -> NDArray[np.uint8]:
        return self._bands[(slice(None), *window.toslices())]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            jpeg = file.read(2) == b"\xff\xd8"
    except OSError as error:
        raise DataError(f"file cannot be read ({error.strerror})") from error
    if jpeg:
        yield _Jpeg(path)
        return
    with rasterio.open(path) as raster:
        kinds = set(raster.dtypes)
        if len(kinds) > 1 or not kinds <= {"uint8", "uint16"} or raster.count not in (1, 3, 4):
            found = f"{raster.count} band(s) of {'/'.join(sorted(kinds))}"
            raise DataError(f"PNG tiles hold 1, 3 or 4 bands of uint8 or uint16, this image {found}; convert it")
        yield raster


def _palette(raster: Any) -> NDArray[np.uint8] | None:
    if raster.colorinterp[0] != ColorInterp.palette:
        return None
    palette = np.zeros((256, 3), np.uint8)
    for index, colour in raster.colormap(1).items():
        palette[index] = colour[:3]
    return palette


def _encode_indexed(pixels: NDArray[Any], palette: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    indexed(pixels, palette).save(buffer, format="PNG")
    return buffer.getvalue()


def _read_tiles(
    raster: Any, windows: Iterable[tuple[int, ...]]
) -> Iterator[tuple[tuple[int, ...], NDArray[np.generic]]]:
    """Windows and their pixels, row of tiles by row of tiles; no row of pixels is read twice."""
    rows: NDArray[np.generic] = np.empty((0, 0, 0))
    top = bottom = 0
    for window in sorted(windows, key=lambda window: (window[1], window[0])):
        x1, y1, x2, y2 = window
        end = min(y2, raster.height)
        if end > bottom:
            kept, start = rows[max(y1 - top, 0) :], max(y1, bottom)
            read = np.moveaxis(raster.read(window=Window(0, start, raster.width, end - start)), 0, -1)
            rows, top, bottom = (np.concatenate([kept, read]) if len(kept) else read), y1, end
        pixels = cut_window(rows, (x1, y1 - top, x2, y2 - top))
        yield window, pixels[..., 0] if raster.count == 1 else pixels
