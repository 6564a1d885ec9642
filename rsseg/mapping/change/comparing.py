"""Compare two maps of one place: counts, raster and polygons, in a folder of their own."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import hide_secrets
from rsseg.io.files import locked, replacing
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import ignore_missing_georeference
from rsseg.io.records import dump_record
from rsseg.mapping.change.classes import CommonClasses, common_classes, table_of_map
from rsseg.mapping.change.counting import Counts
from rsseg.mapping.change.files import FILES, write_change_layer, write_change_raster
from rsseg.mapping.change.grids import CommonGround, common_ground
from rsseg.mapping.change.options import ChangeOptions
from rsseg.mapping.change.transitions import Transitions
from rsseg.mapping.layers import check_format
from rsseg.mapping.output import sync

__all__ = ["compare_maps"]

_log = logging.getLogger("rsseg")
_CACHE = 128 << 20  # bytes: rows of blocks of two maps, some ten thousand pixels wide
_BLOCK = 512
_PARTS = ".change.parts"


def compare_maps(before: str, after: str, out: Path, options: ChangeOptions = ChangeOptions()) -> Transitions:  # noqa: B008
    """Compare two class maps of one place and write what has become of what.

    ``out`` gets ``change.tif`` (a class for each pair of classes), ``transitions.csv``, ``matrix.csv``,
    ``matrix_pixels.csv``, ``classes.csv``, polygons on request, and last ``change.json``.  Files of an earlier
    comparison in it are replaced when all is counted; each file is whole or not there.  Memory does not grow with the
    maps.

    Args:
        before: The earlier map: one with class names in its metadata, or any raster with one band of class values.
        after: The later map, on any grid.
        out: The folder.
        options: How.

    Returns:
        The change; where both have a class.

    Raises:
        ConfigError: Classes are not known or differ, or ``out`` holds one of the maps, or other files with the names of
            the result's.
        DataError: A file is no class map, or the maps have no ground in common.
        OSError: A file cannot be read or written.
    """
    if options.vectors is not None:
        check_format(options.vectors)
    paths = before, after
    ignore_missing_georeference()
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_PAM_ENABLED="NO"):
        tables = table_of_map(before, options.classes), table_of_map(after, options.after_classes, options.classes)
        classes = common_classes(tables, options.merge, options.all_classes)
        places = GeoReference.of(before), GeoReference.of(after)
        ground = common_ground(places, paths, options.grid)
        _refuse_inputs(paths, out)
        with _folder(out) as parts:
            found, flat = _count(paths, places, classes, ground, parts)
            write_change_raster(flat, parts, found)
            if options.vectors is not None:
                write_change_layer(flat, parts, found, options.vectors, options.min_area, options.simplify)
            flat.unlink()
            found.write(parts)
            with replacing(parts / "change.json") as file:
                file.write(dump_record(found.as_dict()))
            _publish(parts, out)
    return found


def _refuse_inputs(paths: Sequence[str], out: Path) -> None:
    """See that nothing of the result takes the place of a map, or of a file that is of no comparison."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder for the tables, the raster and the page")
    for path in paths:
        for name in FILES:
            if (out / name).exists() and Path(path).exists() and (out / name).samefile(path):
                raise ConfigError(f"{path}: lies where the result goes; choose another folder than {out}")
    if (out / "change.json").exists() or (out / _PARTS).exists():  # of an earlier one, perhaps of a killed process
        return
    if held := [name for name in FILES if (out / name).exists()]:
        raise ConfigError(f"{out / held[0]}: is not of a finished comparison, and would be replaced; choose another "
                          "folder, or remove it")  # fmt: skip


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A folder for unfinished files within the result's, which only one process has at a time."""
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, f"{out}: another process writes a comparison here; waiting for it"):
        parts = out / _PARTS
        shutil.rmtree(parts, ignore_errors=True)  # of a killed process
        parts.mkdir()
        try:
            yield parts
        finally:
            shutil.rmtree(parts, ignore_errors=True)


def _count(
    paths: tuple[str, str],
    places: tuple[GeoReference, GeoReference],
    classes: CommonClasses,
    ground: CommonGround,
    parts: Path,
) -> tuple[Transitions, Path]:
    """The change, and an uncompressed raster with its codes."""
    counts = Counts(paths, places, classes, ground)
    count, flat = len(classes.classes), parts / "flat.tif"
    empty = Transitions(classes.classes, classes.palette, counts.pixels, counts.metres, ground.grid.area_method)
    dtype, height, width = "uint16" if empty.wide else "uint8", *ground.grid.size
    profile = dict(driver="GTiff", dtype=dtype, nodata=empty.nodata, height=height, width=width, count=1, tiled=True,
                   blockxsize=_BLOCK, blockysize=_BLOCK, bigtiff="IF_SAFER", **ground.grid.profile)  # fmt: skip
    try:
        with rasterio.open(flat, "w", **profile) as file:

            def write(window: Window, codes: NDArray[np.integer]) -> None:
                values = np.where(codes == count * count, empty.nodata, codes).astype(dtype)
                file.write(values, 1, window=window)

            counts.run(write)
    except RasterioError as error:
        raise OSError(f"cannot write {flat}: {error}") from error
    if not counts.pixels.any():
        raise DataError(f"{paths[0]} and {paths[1]}: no pixel has a class in both maps")
    names = _names(paths)
    about = {
        "before": names[0],
        "after": names[1],
        "grid_of": names[ground.side],
        "samples": list(counts.samples),
        "crs": None if ground.grid.crs is None else ground.grid.crs.to_string(),
        "size": [height, width],
    }
    left_out = counts.left_out()
    found = Transitions(classes.classes, classes.palette, counts.pixels, counts.metres, ground.grid.area_method,
                        left_out, about)  # fmt: skip
    return found, flat


def _names(paths: Sequence[str]) -> list[str]:
    """What the maps are called: as short as tells them apart, without what may give access to an address."""
    parts = [Path(hide_secrets(path)).parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if names[0] != names[1]:
            return names
    return [each[-1] for each in parts]


def _publish(parts: Path, out: Path) -> None:
    """Give finished files their names; ``change.json`` goes first and comes last, so with it all are of one run."""
    made = sorted(parts.iterdir(), key=lambda path: (path.name == "change.json", path.name))
    sync(made)
    for name in sorted(FILES, key=lambda name: name != "change.json"):
        (out / name).unlink(missing_ok=True)
    for path in made:
        os.replace(path, out / path.name)
    _log.info("%s: %s", out, ", ".join(path.name for path in made))
