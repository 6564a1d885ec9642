"""Strips joined to the GeoTIFFs from which the files of a map are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rsseg.io.georeference import GeoReference
from rsseg.mapping.output import describe_band
from rsseg.mapping.strips import LEVELS, NODATA, Strips, read_strip
from rsseg.metainfo import ClassTable

__all__ = ["write_geotiff"]


def write_geotiff(
    strips: Strips, georeference: GeoReference, table: ClassTable, tags: Mapping[str, str], folder: Path,
    corner: tuple[int, int] = (0, 0),
) -> list[Path]:  # fmt: skip
    """Join strips to uncompressed GeoTIFFs in a folder: ``classes.tif`` and, where they were kept, ``shares.tif``.

    Args:
        strips: All of them must be there.
        georeference: Size and place.
        table: Names and colours.
        tags: Metadata of the files.
        folder: Where to.
        corner: (row, column) of the strips where the files begin; they end with the georeference.

    Returns:
        The files, classes first.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    names = {"classes.tif": ["class"]}
    if strips.kind is not None:
        names["shares.tif"] = ["confidence"] if strips.kind == "top" else list(table.classes)
    height, width = georeference.size
    common = dict(driver="GTiff", dtype="uint8", nodata=NODATA, height=height, width=width, **georeference.profile)
    paths = [folder / name for name in names]
    try:
        files = [rasterio.open(folder / name, "w", count=len(bands), bigtiff="IF_SAFER", **common)
                 for name, bands in names.items()]  # fmt: skip
        for file, bands in zip(files, names.values(), strict=True):
            file.update_tags(**tags)
            for number, band in enumerate(bands, start=1):
                file.set_band_description(number, band)
        describe_band(files[0], table)
        if len(files) > 1:
            files[1].scales = (1 / LEVELS,) * files[1].count
        for number in range(len(strips.grid.ys)):
            low, high = strips.grid.strip(number)
            first, last = max(low, corner[0]), min(high, corner[0] + height)
            if first >= last:
                continue
            planes = read_strip(strips, number)[:, first - low : last - low, corner[1] : corner[1] + width]
            rows = Window(0, first - corner[0], width, last - first)
            files[0].write(planes[0], 1, window=rows)
            if len(files) > 1:
                files[1].write(planes[1:], window=rows)
        for file in files:
            file.close()
    except RasterioError as error:
        raise OSError(f"cannot write {folder}: {error}") from error
    return paths
