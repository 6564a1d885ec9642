"""How GDAL opens a raster: a local file, an address, or the bands of several rasters as one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from rsseg.errors import DataError
from rsseg.io.addresses import Address, is_text_name, locate
from rsseg.io.remote import network_settings
from rsseg.io.silent_errors import MosaicReader

__all__ = ["REFERRING", "SETTINGS", "gdal_settings", "open_named", "taken_for"]

# A folder is not listed for each of its 100,000 files, and what libjpeg only warns of is an error.
SETTINGS = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE", "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE"}
_SCENE_DRIVERS = {"DIMAP", "PDS4", "SAFE", "RS2", "TSX", "SENTINEL2", "TIL"}
"""Drivers of GDAL that read texts which lie beside the images of a scene, and name these."""
REFERRING = {"VRT", "DERIVED", "GTI", "STACIT", "STACTA", "WMS", "WMTS", "WCS", "HTTP", "MRF", "KMLSUPEROVERLAY",
             "PLMOSAIC", "EEDA", "EEDAI", "DAAS", "OGCAPI"}  # fmt: skip
"""Drivers of GDAL that read texts which say where rasters are, anywhere."""
_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".jp2", ".img")
"""What names of local images end in, in lower case."""
_TYPES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
          "float32": "Float32", "float64": "Float64"}  # fmt: skip
_COLOURS = ("Red", "Green", "Blue")


def gdal_settings(path: str | Path) -> dict[str, str]:
    """Settings of GDAL with which a raster is opened and read."""
    return {**SETTINGS, **network_settings(path)}


def open_named(path: str, open_part: Callable[[str], Any], level: int | None = None) -> Any:
    """A dataset of rasterio for a file or an address.

    What is named as an image, and any address, is opened as an image only, unless its name says that it is a text that
    refers to others: GDAL takes a file for one by a word somewhere in its first kilobyte.

    Args:
        path: As :func:`rsseg.io.addresses.locate` gives it.
        open_part: Opens each part of an address that has some.
        level: Which of its overviews, from 0; None for the full resolution.

    Raises:
        DataError: The parts of an address do not go together.
        OSError: GDAL cannot open it.
    """
    options: dict[str, Any] = {} if level is None else {"overview_level": level}
    if not isinstance(path, Address):
        if path.lower().endswith(_IMAGES) and os.path.isfile(path):
            return DatasetReader(path, driver=list(_image_drivers()), **options)
        return MosaicReader(path, **options)
    if path.parts:
        return MosaicReader(_stacked(path, open_part), **options)
    if is_text_name(path):
        return MosaicReader(path.gdal, **options)
    return DatasetReader(path.gdal, driver=list(_image_drivers()), **options)


def taken_for(path: Path) -> tuple[str, list[Path]] | None:
    """What GDAL takes a file for where another one leads to it, whatever its name says.

    Args:
        path: A local file.

    Returns:
        Name of the driver, and the files that it reads; None where it is no raster.
    """
    try:
        with rasterio.Env(**SETTINGS), rasterio.open(path) as file:
            return file.driver, [Path(name) for name in file.files]
    except RasterioError:
        return None


@functools.cache
def _image_drivers() -> tuple[str, ...]:
    with rasterio.Env() as environment:
        return tuple(name for name in environment.drivers() if name not in REFERRING | _SCENE_DRIVERS)


def _stacked(path: Address, open_part: Callable[[str], Any]) -> str:
    """A VRT of the bands of several rasters on the grid of the finest one, as text; the first three are colours.

    Coarser bands are resampled bilinearly.
    """
    files = []
    try:
        for part in path.parts:
            files.append(open_part(part))
        finest = max(files, key=lambda file: file.width * file.height)
        bands = []
        for part, file in zip(path.parts, files, strict=True):
            _check_part(path, part, file, finest)
            bands += [(locate(part), file, index) for index in file.indexes]
        colours = _COLOURS if len(bands) == len(_COLOURS) else ()
        rows = [_band(number, *band, finest, colours) for number, band in enumerate(bands, start=1)]
        place = f"<SRS>{escape(finest.crs.to_wkt())}</SRS>" if finest.crs else ""
        numbers = ", ".join(map(repr, finest.transform.to_gdal()))
        return (f'<VRTDataset rasterXSize="{finest.width}" rasterYSize="{finest.height}">{place}'
                f"<GeoTransform>{numbers}</GeoTransform>{''.join(rows)}</VRTDataset>")  # fmt: skip
    finally:
        for file in files:
            file.close()


def _check_part(path: Address, part: str, file: Any, finest: Any) -> None:
    flags = {flag for band in file.mask_flag_enums for flag in band}
    if MaskFlags.per_dataset in flags or ColorInterp.alpha in file.colorinterp:
        raise DataError(f"{path}: {part} has a mask or an alpha band, which is not supported for several assets; "
                        "name it alone, or assets without one")  # fmt: skip
    if unknown := [name for name in file.dtypes if name not in _TYPES]:
        raise DataError(f"{path}: {part} has numbers of type {unknown[0]}; expected one of: {', '.join(_TYPES)}")
    near = max(abs(finest.transform.a), abs(finest.transform.e), abs(file.transform.a), abs(file.transform.e))
    turned = any((file.transform.b, file.transform.d, finest.transform.b, finest.transform.d))
    if file.crs != finest.crs or turned or np.abs(np.subtract(file.bounds, finest.bounds)).max() > near:
        raise DataError(f"{path}: {part} lies on other ground than the other assets (CRS {file.crs}, bounds "
                        f"{tuple(file.bounds)}); name assets of one grid")  # fmt: skip


def _band(number: int, part: str, file: Any, index: int, finest: Any, colours: tuple[str, ...]) -> str:
    name = escape(part.gdal if isinstance(part, Address) else str(Path(part).resolve()))
    nodata = file.nodatavals[index - 1]
    left, right = ((x - finest.transform.c) / finest.transform.a for x in (file.bounds.left, file.bounds.right))
    top, bottom = ((y - finest.transform.f) / finest.transform.e for y in (file.bounds.top, file.bounds.bottom))
    same = file.shape == finest.shape
    method = "" if same else ' resampling="bilinear"'
    told = "" if nodata is None else f"<NoDataValue>{nodata!r}</NoDataValue>"
    tint = f"<ColorInterp>{colours[number - 1]}</ColorInterp>" if colours else ""
    source = "SimpleSource" if nodata is None else "ComplexSource"
    skip = "" if nodata is None else f"<NODATA>{nodata!r}</NODATA>"
    return (
        f'<VRTRasterBand dataType="{_TYPES[file.dtypes[index - 1]]}" band="{number}">{told}{tint}<{source}{method}>'
        f'<SourceFilename relativeToVRT="0">{name}</SourceFilename><SourceBand>{index}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{file.width}" ySize="{file.height}"/>'
        f'<DstRect xOff="{left!r}" yOff="{top!r}" xSize="{right - left!r}" ySize="{bottom - top!r}"/>'
        f"{skip}</{source}></VRTRasterBand>"
    )
