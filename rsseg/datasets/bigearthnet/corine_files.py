"""CORINE Land Cover as the Copernicus service offers it, raster or polygons, on the pixels of a tile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.errors import ConfigError, DataError, UnreadableFileError
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened

__all__ = ["CorinePolygons", "CorineRaster", "open_corine"]

_GLACIERS, _NO_DATA = 335, 999
_CODES = np.array(sorted([*load_label_set("level3").by_code, _GLACIERS]), np.uint16)
"""The 44 codes in the order of the raster's own numbers, from 1 on."""


class CorineRaster:
    """The raster of 100 m, or any other with CLC codes (111 .. 523) or the raster's own numbers (1 .. 44).

    Args:
        path: What GDAL opens.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.field = path, None

    def codes(self, ground: GeoReference) -> NDArray[np.uint16]:
        """(H, W) uint16 CLC codes of pixels, each that of the nearest pixel of the raster; 999 where there is none.

        Raises:
            DataError: It has no CRS, or a value that is neither a code nor a number of a class.
        """
        height, width = ground.size
        with opened(self.path) as file:
            if file.crs is None:
                raise DataError(f"{self.path}: has no coordinate system")
            with WarpedVRT(file, crs=ground.crs, transform=ground.transform, width=width, height=height,
                           resampling=Resampling.nearest, add_alpha=file.nodata is None) as view:  # fmt: skip
                values, valid = view.read(1).astype(np.int64), view.dataset_mask() > 0
        numbers = (values >= 1) & (values <= len(_CODES))
        unknown = valid & ~numbers & ~np.isin(values, [*_CODES.tolist(), 0, 48, 49, 50, 128, 255, 990, 995, 999])
        if unknown.any():
            raise DataError(
                f"{self.path}: {values[unknown][0]} is no CLC code (111 .. 523) and no class number (1 .. 44)"
            )
        table = np.where(numbers, _CODES[np.clip(values - 1, 0, len(_CODES) - 1)], values)
        return np.where(valid & np.isin(table, _CODES), table, _NO_DATA).astype(np.uint16)


class CorinePolygons:
    """Polygons with CLC codes.

    Args:
        path: A vector file that GDAL opens: GeoPackage, shapefile ...
        ground: Tile; polygons outside are not read.
        field: Field of the codes; by default the one named like ``Code_18``.

    Raises:
        ConfigError: There is no such field.
        DataError: The layer has no CRS, or a value is no number.
        UnreadableFileError: GDAL cannot open the file.
    """

    def __init__(self, path: Path, ground: GeoReference, field: str | None = None) -> None:
        import pyogrio

        try:
            info = pyogrio.read_info(path)
        except pyogrio.errors.DataSourceError as error:
            raise UnreadableFileError(f"{path}: cannot be read as polygons of CORINE ({error})") from error
        names = [str(name) for name in info["fields"]]
        found = [name for name in names if name == field or (field is None and name.lower().startswith("code_"))]
        if len(found) != 1:
            raise ConfigError(f"{path}: name the field of the CLC codes by --field; its fields are {', '.join(names)}")
        if info["crs"] is None or ground.crs is None:
            raise DataError(f"{path}: has no coordinate system")
        self.path, self.field = path, found[0]
        own = CRS.from_user_input(info["crs"])
        x, y = ground.coordinates([0, ground.size[1]], [ground.size[0], 0])
        box = transform_bounds(ground.crs, own, x[0], y[0], x[1], y[1], densify_pts=101)
        _, _, shapes, values = pyogrio.raw.read(path, columns=found, bbox=box)
        try:
            self.values = np.array([int(value) for value in values[0]], np.uint16)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: field {found[0]} has a value that is no CLC code ({error})") from error
        crs = ground.crs

        def move(points: NDArray[Any]) -> NDArray[Any]:
            return np.column_stack(transform_points(own, crs, *points.T.tolist())[:2])

        self.shapes = shapely.transform(shapely.force_2d(shapely.from_wkb(shapes)), move)
        self.tree = shapely.STRtree(self.shapes)

    def codes(self, ground: GeoReference) -> NDArray[np.uint16]:
        """(H, W) uint16 CLC codes of the polygons at the centres of pixels; 999 where there is none."""
        x, y = ground.coordinates([0, ground.size[1]], [ground.size[0], 0])
        chosen = np.sort(self.tree.query(shapely.box(x[0], y[0], x[1], y[1])))
        pairs = [(self.shapes[i], int(self.values[i])) for i in chosen]
        if not pairs:
            return np.full(ground.size, _NO_DATA, np.uint16)
        return np.asarray(rasterize(pairs, ground.size, _NO_DATA, transform=ground.transform, dtype="uint16"))


def open_corine(path: Path, ground: GeoReference, field: str | None = None) -> CorineRaster | CorinePolygons:
    """A raster (``.tif``, ``.img``, ``.vrt``) or polygons; arguments and errors as of :class:`CorinePolygons`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file of CORINE Land Cover")
    if path.suffix.lower() in (".tif", ".tiff", ".img", ".vrt"):
        return CorineRaster(path)
    return CorinePolygons(path, ground, field)
