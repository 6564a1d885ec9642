"""From strips to files that GIS programs open: cloud-optimised GeoTIFFs with colours, names and provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.shutil import copy

from rsseg.mapping.strips import LEVELS, NODATA, Strips, read_strip
from rsseg.metainfo import ClassTable

__all__ = ["Place", "sync", "write_cog", "write_flat"]

_COG = {"driver": "COG", "compress": "DEFLATE", "blocksize": 512, "bigtiff": "IF_SAFER", "overviews": "IGNORE_EXISTING"}


@dataclass(frozen=True)
class Place:
    """Where a raster lies.

    Attributes:
        size: (H, W) in pixels.
        crs: Coordinate reference system, or None.
        transform: Pixel to coordinate.
    """

    size: tuple[int, int]
    crs: Any
    transform: Affine


def write_flat(strips: Strips, place: Place, table: ClassTable, tags: Mapping[str, str], folder: Path) -> list[Path]:
    """Join strips to uncompressed GeoTIFFs in a folder: ``classes.tif`` and, where they were kept, ``shares.tif``.

    Args:
        strips: All of them must be there.
        place: Size, CRS and transform.
        table: Names and colours.
        tags: Metadata of the files.
        folder: Where to.

    Returns:
        The files, classes first.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    names = {"classes.tif": ["class"]}
    if strips.kind is not None:
        names["shares.tif"] = ["confidence"] if strips.kind == "top" else list(table.classes)
    common = dict(driver="GTiff", dtype="uint8", nodata=NODATA, height=place.size[0], width=place.size[1])
    if place.crs is not None:
        common["crs"] = place.crs
    if place.transform != Affine.identity():
        common["transform"] = place.transform
    paths = [folder / name for name in names]
    try:
        files = [rasterio.open(folder / name, "w", count=len(bands), bigtiff="IF_SAFER", **common)
                 for name, bands in names.items()]  # fmt: skip
        for file, bands in zip(files, names.values(), strict=True):
            file.update_tags(**tags)
            for number, band in enumerate(bands, start=1):
                file.set_band_description(number, band)
        _describe(files[0], table)
        if len(files) > 1:
            files[1].scales = (1 / LEVELS,) * files[1].count
        for number in range(len(strips.grid.ys)):
            planes, (low, high) = read_strip(strips, number), strips.grid.strip(number)
            place_in = ((low, high), (0, place.size[1]))
            files[0].write(planes[0], 1, window=place_in)
            if len(files) > 1:
                files[1].write(planes[1:], window=place_in)
        for file in files:
            file.close()
    except RasterioError as error:
        raise OSError(f"cannot write {folder}: {error}") from error
    return paths


def _describe(file: Any, table: ClassTable) -> None:
    """Colours and class names of the band with the classes; the names once more for programs, by number."""
    file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(table.palette)})
    file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(table.classes)})


def write_cog(flat: Path, path: Path, overviews: str, threads: int = 1) -> None:
    """Cloud-optimised copy of a GeoTIFF, whole or not there.

    Args:
        flat: The GeoTIFF.
        path: The copy.
        overviews: How pixels are reduced: ``mode`` for classes, ``average`` for probabilities.
        threads: Threads that compress; they change nothing in the file.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        copy(str(flat), str(temporary), overview_resampling=overviews.upper(), num_threads=str(threads), **_COG)
        with rasterio.open(temporary) as file:  # the last block, which a full disk would have cut off
            size = file.height, file.width
            file.read(1, window=((size[0] - 1, size[0]), (size[1] - 1, size[1])))
    except RasterioError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: {error}") from error
    os.replace(temporary, path)


def sync(paths: Sequence[Path]) -> None:
    """Let finished files reach the disk before anything that they were made from is deleted."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
