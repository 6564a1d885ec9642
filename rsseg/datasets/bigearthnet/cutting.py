"""Patches of a user's own Sentinel-2 tile, in the layout of BigEarthNet v1.0.

Source: BigEarthNet paper, section 3: patches of 120, 60 and 20 pixels that do not overlap, labelled with every class
that CORINE Land Cover has in them.  That every pixel of 10 m counts, and that patches with missing pixels or without a
class are left out, is ours.  Numbers in names are column and row of the patch, as in the archive.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from rsseg.datasets.bigearthnet.archive import date_of
from rsseg.datasets.bigearthnet.band_table import load_bands
from rsseg.datasets.bigearthnet.bands import SIDE
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.datasets.bigearthnet.corine_files import CorinePolygons, CorineRaster
from rsseg.datasets.bigearthnet.tiles import Tile
from rsseg.io.georeference import GeoReference
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened, read_stored

__all__ = ["CutPatches", "cut_patches"]

_FOLDER = "BigEarthNet-v1.0"


@dataclass
class CutPatches:
    """What became of the patches of a tile: names that are new, were there, lack pixels, or have no class."""

    written: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)


def cut_patches(tile: Tile, out: Path, corine: CorineRaster | CorinePolygons | None = None) -> CutPatches:
    """Write the patches of a tile; an interrupted call goes on when it is repeated.

    A record beside the patches says which files they were made of, so that none stays when one of these has changed.

    Args:
        tile: From :func:`rsseg.datasets.bigearthnet.tiles.find_tile`.
        out: Gets ``BigEarthNet-v1.0/<patch>/``.
        corine: What labels the patches; without it they get no files of labels.

    Raises:
        OSError: Writing failed.
        UserError: A band or CORINE file is broken; or patches of the tile are there that were made of other files.
    """
    base, result = out / _FOLDER, CutPatches()
    base.mkdir(parents=True, exist_ok=True)
    _claim(tile, out, corine)
    rows, columns = tile.patches
    progress = Progress(rows, f"cut {tile.name}", unit="row")
    for row in range(rows):
        strip = tile.ground.window(0, row * SIDE, columns * SIDE, SIDE)
        ids = None if corine is None else load_label_set("level3").encode(corine.codes(strip), tile.source)
        bands = _read_strip(tile, row, columns)
        for column in range(columns):
            own = None if ids is None else ids[:, column * SIDE : (column + 1) * SIDE]
            planes = {name: plane[:, column * len(plane) : (column + 1) * len(plane)] for name, plane in bands.items()}
            name = f"{tile.name}_{column}_{row}"
            ground = tile.ground.window(column * SIDE, row * SIDE, SIDE, SIDE)
            getattr(result, _write(base, name, planes, own, ground, tile)).append(name)
        progress.step()
    progress.close()
    return result


def _claim(tile: Tile, out: Path, corine: CorineRaster | CorinePolygons | None) -> None:
    """Write down what the patches of a tile are made of, or compare it with what an earlier call wrote."""
    names = f"{_FOLDER}/{tile.name}_*"
    job = Job(out, "patches", f".cut-{tile.name}.json", f"choose another OUT, or remove {names} and this record there")
    files = tile.files | ({"corine": corine.path} if corine else {})
    inputs = {tile.name: {key: Input(path, path.name) for key, path in files.items()}}
    made = Outputs.existing(lambda: {tile.name: sorted(out.glob(f"{names}/*"))})
    labels = corine and {"field": corine.field}
    job.claim({"offset": tile.offset, "labels": labels}, inputs, made)


def _read_strip(tile: Tile, row: int, columns: int) -> dict[str, NDArray[np.uint16]]:
    """A row of patches of every band (side, columns * side), with the offset; 0 stays "no data"."""
    known, out = load_bands(), {}
    for name, path in tile.files.items():
        side = known[name].side
        with opened(path) as file:
            stored = read_stored(file, 1, Window(0, row * side, columns * side, side)).astype(np.int64)
        moved = np.where(stored == 0, 0, np.maximum(stored + tile.offset, 1))
        out[name] = np.minimum(moved, np.iinfo(np.uint16).max).astype(np.uint16)
    return out


def _write(
    base: Path, name: str, planes: dict[str, Any], ids: NDArray[np.uint8] | None, ground: GeoReference, tile: Tile
) -> str:
    """Write one patch, whole or not at all; what became of it, as a field of :class:`CutPatches`."""
    if any((plane == 0).any() for plane in planes.values()):
        return "incomplete"
    classes = load_label_set("level3").classes
    labels = [] if ids is None else [classes[i] for i in np.unique(ids).tolist() if i < len(classes)]
    if ids is not None and not labels:
        return "unlabelled"
    target, about = base / name, f"{name}_labels_metadata.json"
    if target.is_dir() and (ids is None or (target / about).is_file()):
        return "present"
    folder = base / f".tmp-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    x, y, metres = ground.transform[2], ground.transform[5], 10 * SIDE
    for band, plane in planes.items():
        size = metres / len(plane)
        place = rasterio.transform.from_origin(x, y, size, size)
        with rasterio.open(folder / f"{name}_{band}.tif", "w", driver="GTiff", height=len(plane), width=len(plane),
                           count=1, dtype="uint16", crs=ground.crs, transform=place) as file:  # fmt: skip
            file.write(plane, 1)
    if ids is not None and ground.crs is not None:
        corners = {"ulx": x, "uly": y, "lrx": x + metres, "lry": y - metres}
        moment = tile.name.rpartition("T")[2].zfill(6)  # the archive has a name without the first zero of the hour
        date = f"{date_of(tile.name)} {':'.join(moment[i : i + 2] for i in (0, 2, 4))}"
        text = {"labels": labels, "coordinates": corners, "projection": ground.crs.to_wkt(),
                "tile_source": tile.source, "acquisition_date": date}  # fmt: skip
        (folder / about).write_text(json.dumps(text), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(folder, target)
    return "written"
