"""Files that GIS programs open: cloud-optimised GeoTIFFs with colours, names and overviews, and PNGs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy
from rasterio.windows import Window

from rsseg.metainfo import IGNORE as NODATA
from rsseg.metainfo import ClassTable

__all__ = ["describe_band", "halve", "sync", "write_cog", "write_overviews", "write_png"]

_BLOCK = 512
# level 5 takes half the time of the usual 6 and makes maps a fifth larger
_COG = {"driver": "COG", "compress": "DEFLATE", "level": 5, "blocksize": _BLOCK, "bigtiff": "IF_SAFER"}


def describe_band(file: Any, table: ClassTable) -> None:
    """Colours and class names of the band with the classes; the names once more for programs, by number."""
    file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(table.palette)})
    file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(table.classes)})


def halve(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A class map (H, W) at half the size: of each 2 x 2 pixels the most frequent class.

    Of equally frequent ones it is the lowest id; 255 only where all four are.
    """
    height, width = labels.shape
    if height % 2 or width % 2:
        labels = np.pad(labels, ((0, height % 2), (0, width % 2)), constant_values=NODATA)
    parts = [np.ascontiguousarray(labels[y::2, x::2]) for y in (0, 1) for x in (0, 1)]
    twice = np.full_like(parts[0], NODATA)
    for first, second in combinations(parts, 2):
        np.minimum(twice, first, out=twice, where=first == second)
    return np.where(twice != NODATA, twice, np.minimum(np.minimum(*parts[:2]), np.minimum(*parts[2:])))


def write_overviews(flat: Path) -> None:
    """Write the overviews of a class map beside it, each the overview of the one before; GDAL finds them.

    This is GDAL's resampling ``mode`` in a third of its time.

    Raises:
        OSError: Writing failed.
    """
    path = flat
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            while True:
                with rasterio.open(path) as file:
                    height, width = file.shape
                    if max(height, width) <= _BLOCK:
                        return
                    smaller = path.with_name(f"{path.name}.ovr")
                    half = dict(height=-(-height // 2), width=-(-width // 2), count=1, dtype="uint8", nodata=NODATA)
                    with rasterio.open(smaller, "w", driver="GTiff", bigtiff="IF_SAFER", **half) as out:
                        for y in range(0, height, _BLOCK):
                            rows = halve(file.read(1, window=Window(0, y, width, min(_BLOCK, height - y))))
                            out.write(rows, 1, window=Window(0, y // 2, rows.shape[1], rows.shape[0]))
                path = smaller
    except RasterioError as error:
        raise OSError(f"cannot write {flat}: {error}") from error


def write_cog(flat: Path, path: Path, overviews: str | None = None, threads: int = 1) -> None:
    """Cloud-optimised copy of a GeoTIFF, whole or not there.

    Args:
        flat: The GeoTIFF.
        path: The copy.
        overviews: How pixels are reduced, for example ``average``; None copies those of :func:`write_overviews`.
        threads: Threads that compress; they change nothing in the file.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        made = dict(overviews="AUTO") if overviews is None else dict(overview_resampling=overviews.upper())
        copy(str(flat), str(temporary), num_threads=str(threads), **_COG, **made)
        with rasterio.open(temporary) as file:  # the last block, which a full disk would have cut off
            size = file.height, file.width
            file.read(1, window=((size[0] - 1, size[0]), (size[1] - 1, size[1])))
    except RasterioError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: {error}") from error
    os.replace(temporary, path)


def write_png(flat: Path, path: Path) -> None:
    """Copy of a class map as a PNG of mode P, transparent where there is no data; its metadata become text in it.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    try:
        with rasterio.Env(GDAL_PAM_ENABLED="NO"):  # no second file beside it
            copy(str(flat), str(path), driver="PNG", WRITE_METADATA_AS_TEXT="YES")
            with rasterio.open(path) as file:  # the last row, which a full disk would have cut off
                file.read(1, window=Window(0, file.height - 1, file.width, 1))
    except RasterioError as error:
        raise OSError(f"cannot write {path}: {error}") from error


def sync(paths: Sequence[Path]) -> None:
    """Let finished files reach the disk before anything that they were made from is deleted."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
