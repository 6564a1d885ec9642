"""``polygons``, ``polygons_memory``: a noisy map as a GeoPackage, against rasterio, shapely and pyogrio."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.entry import Entry, Work

_SIDE, _CLASSES, _SIGMA = 2048, 8, 4.5


def _write_map(path: Path) -> None:
    """The class of the largest of smooth random fields: some 90 pixels per polygon."""
    import rasterio
    from rasterio import Affine
    from scipy.ndimage import gaussian_filter

    fields = np.random.default_rng(0).normal(size=(_CLASSES, _SIDE // 4, _SIDE // 4)).astype(np.float32)
    labels = np.argmax([gaussian_filter(field, _SIGMA, mode="wrap") for field in fields], axis=0)
    profile = dict(driver="GTiff", count=1, height=_SIDE, width=_SIDE, dtype="uint8", nodata=255)
    where = dict(crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    with rasterio.open(path, "w", **profile, **where) as file:
        file.write(np.tile(labels.astype(np.uint8), (4, 4)), 1)


def _peer(path: Path, out: Path) -> tuple[int, float]:
    """Polygons and their area by ``rasterio.features.shapes``, shapely and pyogrio."""
    import pyogrio
    import rasterio
    import shapely
    from rasterio.features import shapes

    with rasterio.open(path) as file:
        labels = file.read(1)
        found = [(shapely.geometry.shape(shape), value)
                 for shape, value in shapes(labels, mask=labels != 255, transform=file.transform)]  # fmt: skip
    geometry = np.array([shape for shape, _ in found], object)
    fields = [np.array([value for _, value in found], np.int32), shapely.area(geometry)]
    pyogrio.raw.write(out, shapely.to_wkb(geometry), fields, ["class_id", "area_m2"], layer="classes", driver="GPKG",
                      geometry_type="Polygon", crs="EPSG:32633")  # fmt: skip
    return len(geometry), float(fields[1].sum())


def _setup() -> tuple[Work, Work]:
    from rsseg.io.georeference import GeoReference
    from rsseg.mapping.layers import write_layer
    from rsseg.mapping.vectors import polygons
    from rsseg.metainfo import load_metainfo

    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    path, out = root / "map.tif", root / "ours.gpkg"
    _write_map(path)
    where, table = GeoReference.of(path), load_metainfo("openearthmap")

    def ours() -> Path:
        write_layer(out, polygons(path, where.row_areas), table, where)
        return out

    def reference() -> tuple[int, float]:
        return _peer(path, root / "peer.gpkg")

    return ours, reference


def _checked() -> tuple[Work, Work]:
    import pyogrio
    import shapely

    ours, reference = _setup()
    (count, area), out = reference(), ours()
    _, _, geometry, fields = pyogrio.raw.read(out, layer="classes")
    shapes = shapely.from_wkb(geometry)
    if len(shapes) != count or not shapely.is_valid(shapes).all() or not np.isclose(fields[2].sum(), area):
        raise ValueError("the polygons differ")
    return ours, reference


_ABOUT = (
    f"polygons of a noisy map of {_SIDE} x {_SIDE} as a GeoPackage, against rasterio.features.shapes, shapely and "
    "pyogrio on the whole map at once"
)

POLYGONS = {
    "polygons": Entry(_ABOUT, _checked),
    "polygons_memory": Entry(f"peak memory of {_ABOUT}", _setup, memory=True),
}
