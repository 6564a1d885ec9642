"""A user's own Sentinel-2 tile: which file has which band, and where the tile lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rsseg.datasets.bigearthnet.band_table import load_bands
from rsseg.datasets.bigearthnet.bands import SIDE
from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference

__all__ = ["Tile", "find_tile"]

_BAND = re.compile(r"(?:^|_)(B\d\d|B8A)(?:_(\d\d)m)?$")
_NAME = re.compile(r"S2[A-D]_MSIL[12][AC]_\d{8}T\d{5,6}")
_OFFSET = re.compile(r"<BOA_ADD_OFFSET[^>]*>\s*(-?\d+)\s*<")
_SUFFIXES = (".jp2", ".tif", ".tiff")


@dataclass(frozen=True)
class Tile:
    """One acquisition.

    Attributes:
        name: How the names of its patches begin.
        source: Name of its folder.
        files: File of each band of Sentinel-2, in the order of the band table.
        ground: Where its 10 m pixels lie.
        offset: What is added to stored numbers to get reflectance times 10,000; -1000 for products from 2022 on.
    """

    name: str
    source: str
    files: dict[str, Path]
    ground: GeoReference
    offset: int

    @property
    def patches(self) -> tuple[int, int]:
        """Rows and columns of whole patches; what is left at the lower and right edge is not used."""
        return self.ground.size[0] // SIDE, self.ground.size[1] // SIDE


def find_tile(folder: Path, name: str | None = None) -> Tile:
    """Bands of a SAFE folder, or of a folder of GeoTIFFs.

    Args:
        folder: ``S2A_MSIL2A_....SAFE``, or a folder of files that end in ``_B02.tif``, ``_B02_10m.tif`` or are
            ``B02.tif``.
        name: How the names of the patches begin, ``S2A_MSIL2A_20170617T113321``; by default as the folder's.

    Raises:
        FileNotFoundError: A band is missing.
        DataError: A band has another pixel size or place, or nothing says the name.
    """
    bands = {band.name: 10 * SIDE // band.side for band in load_bands().values() if not band.radar}
    inside = [path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES]
    inside = [path for path in inside if "IMG_DATA" in path.parts] or inside
    files: dict[str, Path] = {}
    for path in sorted(inside):
        found = _BAND.search(path.stem)
        if found and found[1] in bands and found[2] in (None, str(bands[found[1]])):
            if found[1] in files:
                raise DataError(f"{folder}: two files of band {found[1]}: {files[found[1]].name} and {path.name}")
            files[found[1]] = path
    missing = [f"{band} ({metres} m)" for band, metres in bands.items() if band not in files]
    if missing:
        raise FileNotFoundError(f"{folder}: no file of {', '.join(missing)}; a band's file ends in _B02_10m or _B02")
    begin = name or (found[0] if (found := _NAME.match(folder.name)) else "")
    if not _NAME.fullmatch(begin):
        raise DataError(f"{folder}: patches need a name such as S2A_MSIL2A_20170617T113321, not {begin!r}; give --name")
    ground = _checked(files, bands)
    return Tile(begin, folder.name, {band: files[band] for band in bands}, ground, _offset(folder))


def _checked(files: dict[str, Path], bands: dict[str, int]) -> GeoReference:
    """Where the 10 m bands lie; every band has its pixel size and the same corner."""
    ground = GeoReference.of(files["B02"])
    for band, metres in bands.items():
        own = GeoReference.of(files[band])
        a, b, x, d, e, y = own.transform[:6]
        if (a, b, d, e) != (metres, 0, 0, -metres) or own.crs is None:
            raise DataError(
                f"{files[band]}: pixels of band {band} must be {metres} x {metres} metres, north up, in a CRS"
            )
        if own.crs != ground.crs or (x, y) != (ground.transform[2], ground.transform[5]):
            raise DataError(f"{files[band]}: lies elsewhere than {files['B02'].name}")
        if own.size[0] // (SIDE * 10 // metres) != ground.size[0] // SIDE:
            raise DataError(f"{files[band]}: has {own.size[0]} rows, but B02 has {ground.size[0]}")
    return ground


def _offset(folder: Path) -> int:
    """What the product's description adds to its numbers; 0 where it says nothing, as before 2022."""
    for path in sorted(folder.glob("MTD_MSIL2A.xml")):
        found = set(_OFFSET.findall(path.read_text(encoding="utf-8")))
        if len(found) > 1:
            raise DataError(f"{path}: bands with different offsets: {', '.join(sorted(found))}")
        return int(found.pop()) if found else 0
    return 0
