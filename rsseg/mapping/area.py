"""Areas of interest: polygons with coordinates, and where they are on the pixels of a raster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from shapely.geometry.base import BaseGeometry

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference
from rsseg.io.sums import sum_of
from rsseg.mapping.masking import OutsideAreaError, PixelArea, polygonal

__all__ = ["Area"]

Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]

_WGS84 = CRS.from_epsg(4326)
_STEPS = 33
"""Positions along each side of a raster by which it is found where it lies in an area's CRS."""
_MARGIN = 0.1
_DEVIATION, _HALVINGS = 0.02, 15
"""Pixels that a straight line of the area may be off on the raster, and how often one is halved at most."""
_SEAM = 1e-3
"""Pixels of the gap that rounding leaves where longitudes meet at a pole."""


@dataclass(frozen=True)
class Area:
    """Where maps are wanted.

    Attributes:
        name: What it is called in messages and in maps.
        geometry: Polygons, with x to the east; lines are straight in the coordinates.
        crs: Their coordinate reference system, or None for that of a raster without one.
        digest: SHA-256 of polygons and CRS.
        label: What it is called in maps: its name, of a local file without the folder.
    """

    name: str
    geometry: BaseGeometry
    crs: CRS | None
    digest: str
    label: str = ""

    @classmethod
    def of(cls, name: str, polygons: Sequence[BaseGeometry], crs: CRS | None, label: str = "") -> Area:
        """Of valid or invalid polygons, which may overlap.

        Raises:
            DataError: They have no area, or coordinates that are no numbers.
        """
        if not np.isfinite(shapely.get_coordinates(np.array(polygons, object))).all():
            raise DataError(f"{name}: has coordinates that are no finite numbers")
        found = b"".join(sorted(shapely.to_wkb(shape) for shape in polygons))
        found += (crs.to_wkt() if crs is not None else "").encode()
        whole = polygonal(shapely.union_all(shapely.make_valid(np.array(polygons, object))))
        if whole.is_empty:
            raise DataError(f"{name}: the polygons have no area")
        return cls(name, whole, crs, sum_of(found), label or name)

    @property
    def is_geographic(self) -> bool:
        """Whether coordinates are longitude and latitude."""
        return self.crs is not None and self.crs.is_geographic

    def boxes(self) -> tuple[Box, ...]:
        """(west, south, east, north) in degrees that hold it; two where it reaches over the 180th meridian.

        Raises:
            DataError: It has no CRS.
        """
        if self.crs is None:
            raise DataError(f"{self.name}: has no CRS, so nothing says where on Earth it lies")
        points = shapely.get_coordinates(shapely.segmentize(self.geometry, _length(self.geometry) / 256))
        lon, lat = _project(self.crs, _WGS84, *points.T)
        known = np.isfinite(lon) & np.isfinite(lat)
        if not known.any():
            raise DataError(f"{self.name}: its coordinates are none on Earth in {self.crs}")
        lon, lat = lon[known], lat[known]
        if not self.is_geographic:
            lon = lon[0] + _turn(lon - lon[0])
            for pole in (-90.0, 90.0):
                x, y = _project(_WGS84, self.crs, np.zeros(1), np.array([pole]))
                if np.isfinite([x[0], y[0]]).all() and shapely.intersects_xy(self.geometry, x[0], y[0]):
                    lon, lat = np.append(lon, (-180.0, 180.0)), np.append(lat, (pole, pole))
        west, east, south, north = (float(v) for v in (lon.min(), lon.max(), lat.min(), lat.max()))
        if east - west >= 360:
            return ((-180.0, south, 180.0, north),)
        start = float(_turn(np.array([west]))[0])
        end = start + east - west
        if end <= 180:
            return ((start, south, end, north),)
        return ((start, south, 180.0, north), (-180.0, south, end - 360, north))

    def on(self, grid: GeoReference, raster: str) -> PixelArea:
        """The area in pixels of a raster.

        Args:
            grid: Where the raster lies.
            raster: Its name, for errors.

        Raises:
            OutsideAreaError: No pixel of the raster has its centre in it; the message has both extents.
            DataError: Nothing says where the raster lies in the area's CRS.
        """
        if not grid.has_coordinates:
            advice = "; orthorectify it first (gdalwarp -rpc -t_srs EPSG:...)" if grid.rpcs is not None else ""
            raise DataError(f"{raster}: has no transform, so {self.name} cannot be found on it{advice}")
        if (self.crs is None) != (grid.crs is None):
            other = "the raster" if grid.crs is None else self.name
            raise DataError(f"{raster}: {other} has no CRS, so the two cannot be brought together; assign one "
                            "(rio edit-info --crs, ogr2ogr -a_srs)")  # fmt: skip
        height, width = grid.size
        found = self._in_pixels(grid)
        found = polygonal(shapely.intersection(found, shapely.box(0, 0, width, height)))
        if not found.is_empty:
            x1, y1, x2, y2 = found.bounds
            window = (math.ceil(x1 - 0.5), math.ceil(y1 - 0.5), math.floor(x2 + 0.5), math.floor(y2 + 0.5))
            window = (max(window[0], 0), max(window[1], 0), min(window[2], width), min(window[3], height))
            pixels = PixelArea(found, window)
            if window[0] < window[2] and window[1] < window[3] and pixels.has_pixels:
                return pixels
        raise OutsideAreaError(
            f"{raster}: has no pixel in {self.name}; the area lies at {self._extent()}, the raster at {_lies(grid)}"
        )

    def _extent(self) -> str:
        try:
            return " and ".join(f"{_numbers(box)} degrees" for box in self.boxes())
        except DataError:
            return _numbers(self.geometry.bounds)

    def _in_pixels(self, grid: GeoReference) -> BaseGeometry:
        """Polygons in pixels, at least where the raster is."""
        if self.crs != grid.crs and not self.is_geographic:
            return self._in_degrees(grid)._in_pixels(grid)
        if self.crs == grid.crs and grid.affine is not None:
            geometry = self._near(grid) if self.is_geographic else self.geometry
            return shapely.transform(geometry, lambda points: np.column_stack(grid.positions(*points.T)))

        def positions(points: Floats) -> Floats:
            return np.column_stack(grid.positions(*_project(self.crs, grid.crs, *points.T)))

        near = self._near(grid)
        found = _moved(near, positions, _DEVIATION)
        if self.is_geographic and not near.is_empty and max(-near.bounds[1], near.bounds[3]) > 89.999:
            found = polygonal(found.buffer(_SEAM, join_style="mitre").buffer(-_SEAM, join_style="mitre"))
        return found

    def _in_degrees(self, grid: GeoReference) -> Area:
        """In longitude and latitude that do not jump, as exact as pixels of a raster need it."""
        height, width = grid.size
        x, y = grid.coordinates([width / 2, width / 2 + 1], [height / 2, height / 2])
        lon, lat = _project(grid.crs, _WGS84, x, y)
        pixel = float(np.hypot(*np.diff([_turn(lon - lon[0]), lat]).ravel()))
        if not 0 < pixel < math.inf:
            raise DataError(f"{self.name}: nothing says where its CRS and that of the raster lie on Earth")

        def degrees(points: Floats) -> Floats:
            lon, lat = _project(self.crs, _WGS84, *points.T)
            return np.column_stack([np.unwrap(lon, period=360) if np.isfinite(lon).all() else lon, lat])

        geometry = _moved(self.geometry, degrees, _DEVIATION * pixel, _over_pole)
        return Area(self.name, polygonal(geometry), _WGS84, self.digest)

    def _near(self, grid: GeoReference) -> BaseGeometry:
        """What lies near a raster, in longitudes that do not jump there: far away, projections give anything."""
        height, width = grid.size
        columns, rows = (axis.ravel() for axis in np.meshgrid(np.linspace(0, width, _STEPS),
                                                               np.linspace(0, height, _STEPS)))  # fmt: skip
        x, y = _project(grid.crs, self.crs, *grid.coordinates(columns, rows))
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return shapely.MultiPolygon()
        x, y = x[known], y[known]
        if not self.is_geographic:
            return polygonal(shapely.intersection(self.geometry, _box_around(x, y)))
        x = x[len(x) // 2] + _turn(x - x[len(x) // 2])
        poles = [pole for pole in (-90.0, 90.0) if self._is_near(grid, float(x[0]), pole)]
        if poles:
            y = np.append(y, poles)
            x = np.append(x, [x.mean() - 180, x.mean() + 180])
        around = _box_around(x, y)
        if grid.crs is not None and not grid.crs.is_geographic:  # where a circle of longitudes is all around a pole
            around = shapely.intersection(around, shapely.box(x.mean() - 180, -90, x.mean() + 180, 90))
        copies = [shapely.transform(self.geometry, lambda points, by=by: points + by)
                  for by in ((-360.0, 0.0), (0.0, 0.0), (360.0, 0.0))]  # fmt: skip
        return polygonal(shapely.union_all([shapely.intersection(copy, around) for copy in copies]))

    def _is_near(self, grid: GeoReference, longitude: float, pole: float) -> bool:
        """Whether a pole lies on a raster, or not farther beside it than it is long."""
        x, y = _project(self.crs, grid.crs, np.array([longitude]), np.array([pole]))
        if grid.crs is None or grid.crs.is_geographic or not np.isfinite([x[0], y[0]]).all():
            return False
        column, row = (float(v[0]) for v in grid.positions(x, y))
        height, width = grid.size
        return -width <= column <= 2 * width and -height <= row <= 2 * height


def _length(shape: BaseGeometry) -> float:
    x1, y1, x2, y2 = shape.bounds
    return max(x2 - x1, y2 - y1, 1e-12)


def _turn(degrees: Floats) -> Floats:
    return np.asarray((degrees + 180) % 360 - 180, np.float64)


def _box_around(x: Floats, y: Floats) -> BaseGeometry:
    across, down = _MARGIN * max(np.ptp(x), 1e-9), _MARGIN * max(np.ptp(y), 1e-9)
    return shapely.box(x.min() - across, y.min() - down, x.max() + across, y.max() + down)


def _project(source: CRS | None, target: CRS | None, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Coordinates in another CRS; not finite where there are none."""
    if source is None or target is None or source == target:
        return np.asarray(x, np.float64), np.asarray(y, np.float64)
    try:
        found = transform_points(source, target, np.asarray(x).tolist(), np.asarray(y).tolist())[:2]
    except CPLE_BaseError:
        return np.full(len(x), math.nan), np.full(len(x), math.nan)
    return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)


def _moved(
    shape: BaseGeometry,
    positions: Callable[[Floats], Floats],
    deviation: float,
    close: Callable[[Floats], Floats] = lambda ring: ring,
) -> BaseGeometry:
    """Polygons brought elsewhere, with more points where straight lines become curves.

    Args:
        shape: Polygons.
        positions: Where points (K, 2) of one ring, in its order, come to lie; not finite where nowhere.
        deviation: How far a line may be off.
        close: What becomes of a moved ring in the end.
    """
    out = []
    for polygon in shapely.get_parts(shape):
        rings = [_moved_ring(shapely.get_coordinates(ring), positions, deviation)
                 for ring in (polygon.exterior, *polygon.interiors)]  # fmt: skip
        rings = [close(ring) for ring in rings if len(ring) > 2]
        if rings:
            out.append(shapely.Polygon(rings[0], rings[1:]))
    return polygonal(shapely.union_all(shapely.make_valid(np.array(out, object))))


def _moved_ring(points: Floats, positions: Callable[[Floats], Floats], deviation: float) -> Floats:
    for _ in range(_HALVINGS):
        shares = np.arange(4)[None, :, None] / 4
        fine = (points[:-1, None] + shares * (points[1:] - points[:-1])[:, None]).reshape(-1, 2)
        found = positions(np.concatenate([fine, points[-1:]]))
        moved = found[::4]
        chord = moved[1:] - moved[:-1]
        length, bent = np.hypot(*chord.T), np.zeros(len(chord), bool)
        for number in (1, 2, 3):
            between = found[number::4] - moved[:-1]
            across = np.abs(chord[:, 0] * between[:, 1] - chord[:, 1] * between[:, 0]) / np.maximum(length, 1e-300)
            off = np.where(length > deviation, across, np.hypot(*between.T))
            bent |= off > deviation
        if not bent.any():
            break
        at = np.flatnonzero(bent)
        points = np.insert(points, at + 1, (points[at] + points[at + 1]) / 2, axis=0)
    moved = positions(points)
    return moved[np.isfinite(moved).all(axis=1)]


def _over_pole(ring: Floats) -> Floats:
    """A ring in degrees that runs around a pole, closed over it."""
    turn = ring[-1, 0] - ring[0, 0]
    if abs(abs(turn) - 360) > 1:
        return ring
    pole = math.copysign(90.0, ring[:, 1].mean())
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def _numbers(values: Sequence[float]) -> str:
    return f"({', '.join(f'{round(float(value), 5):.12g}' for value in values)})"


def _lies(grid: GeoReference) -> str:
    """Where a raster lies, in degrees where that is known."""
    height, width = grid.size
    x, y = grid.coordinates([0, width, 0, width], [0, 0, height, height])
    lon, lat = _project(grid.crs, _WGS84, x, y)
    if grid.crs is None or not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return _numbers((x.min(), y.min(), x.max(), y.max()))
    lon = lon[0] + _turn(lon - lon[0])
    return f"{_numbers((lon.min(), lat.min(), lon.max(), lat.max()))} degrees"
