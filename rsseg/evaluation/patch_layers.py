"""Predicted labels of patches as a GeoPackage: the outline of each patch, its labels and its probabilities."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from rsseg.io.files import replacing
from rsseg.io.georeference import GeoReference
from rsseg.io.workers import map_threads

__all__ = ["patch_outline", "write_patch_layer"]

_log = logging.getLogger("rsseg")
_THREADS = 8
_WGS84 = CRS.from_epsg(4326)
_VERSION = "1.2"  # older GIS programs warn of newer GeoPackages


def patch_outline(image: Path | str) -> tuple[CRS, NDArray[np.float64]] | None:
    """Where an image lies.

    Args:
        image: A raster; or a folder with the bands of a patch, ``<patch>/<patch>_B02.tif`` ..., each over the whole
            patch; or ``<patch>/<patch>``, as BigEarthNet's data sets name them.

    Returns:
        Coordinate system and corners (4, 2) from the upper left one on, clockwise; None where nothing says it, as for
        bands without coordinates and for packed patches.

    Raises:
        UnreadableFileError: The raster cannot be opened.
    """
    path = Path(image)
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else sorted(folder.glob(f"{path.name}_*.tif"))[:1]
    found = GeoReference.of(files[0]) if files else None
    if found is None or found.crs is None or not found.has_coordinates:
        return None
    height, width = found.size
    return found.crs, np.stack(found.coordinates([0, width, width, 0], [0, 0, height, height]), 1)


def write_patch_layer(path: Path, images: Sequence[str], fields: dict[str, Sequence[Any]]) -> int:
    """Write the layer ``patches``: in the patches' coordinate system if all have the same, else in WGS 84.

    Args:
        path: The GeoPackage.
        images: As for :func:`patch_outline`.
        fields: Values of the images by the name of their field: texts or numbers.

    Returns:
        The number of patches that were written; without any, no file is.  The log says how many have no coordinates.

    Raises:
        OSError: Writing failed.
        UnreadableFileError: A raster cannot be opened.
    """
    import pyogrio.raw

    outlines = list(map_threads(patch_outline, images, _THREADS))
    placed = [i for i, outline in enumerate(outlines) if outline is not None]
    if len(placed) < len(images):
        _log.warning("%s: %d of %d patches have no coordinates and are left out of the layer", path,
                     len(images) - len(placed), len(images))  # fmt: skip
    if not placed:
        return 0
    found = [outline for outline in outlines if outline is not None]
    crs = found[0][0] if all(own == found[0][0] for own, _ in found) else _WGS84
    shapes = shapely.polygons(np.stack([_in_crs(own, corners, crs)[::-1] for own, corners in found]))
    values = [_column([column[i] for i in placed]) for column in fields.values()]
    data = io.BytesIO()
    code = crs.to_authority(confidence_threshold=100)
    pyogrio.raw.write(
        data, shapely.to_wkb(shapes), values, list(fields), driver="GPKG", layer="patches", geometry_type="Polygon",
        crs=":".join(code) if code else crs.to_wkt(), dataset_options={"VERSION": _VERSION},
    )  # fmt: skip
    with replacing(path) as file:
        file.write(data.getvalue())
    return len(placed)


def _in_crs(own: CRS, corners: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    if own == crs:
        return corners
    x, y = transform_points(own, crs, *corners.T.tolist())[:2]
    return np.column_stack([x, y])


def _column(values: Sequence[Any]) -> NDArray[Any]:
    return np.array(values, object if isinstance(values[0], str) else np.float32)
