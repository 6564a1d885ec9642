"""Where a raster lies: the one answer to where its pixels are and what they measure on the ground."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio import Affine
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points

from rsseg.errors import DataError
from rsseg.io.damaged import reading
from rsseg.io.longitudes import SPHEROID, counted_beside, in_degrees, metres_between, radians_of
from rsseg.io.rasters import opened
from rsseg.io.rpcs import move_rpcs, read_rpcs
from rsseg.io.silent_errors import MosaicView
from rsseg.structures.affine import apply_affine, moved_affine

__all__ = ["SPHEROID", "GeoReference"]

Floats = NDArray[np.float64]

_DISTORTION = 0.01  # of the plane of a projected CRS: beyond, the ellipsoid counts
_FIT, _SAME = 0.05, 0.01  # pixels
_IDENTITY = Affine.identity()
_PLANE = CRS.from_wkt('LOCAL_CS["coordinates without a CRS",UNIT["metre",1]]')
_ORTHORECTIFY = "orthorectify it first (gdalwarp -rpc -t_srs EPSG:...)"
_RECTIFY = "rectify it first (gdalwarp -t_srs EPSG:...)"


@dataclass(frozen=True)
class GeoReference:
    """Where the pixels of a raster lie.

    A file with a transform and ground control points lies where its transform says, as for GDAL.  Pixels are positions
    (column, row); the centre of the first one is (0.5, 0.5).

    Attributes:
        size: (H, W) in pixels.
        crs: Coordinate reference system of the transform or of the ground control points, or None.
        transform: Pixel to coordinate; the identity where there is none.
        gcps: Ground control points, where there is no transform.
        rpcs: Rational polynomial coefficients.  A map on the same pixels keeps them, but the ground that they give
            depends on heights, so nothing is measured by them.
    """

    size: tuple[int, int]
    crs: CRS | None = None
    transform: Affine = _IDENTITY
    gcps: tuple[GroundControlPoint, ...] = ()
    rpcs: RPC | None = None

    @classmethod
    def of(cls, dataset: Any) -> GeoReference:
        """Of an open rasterio dataset, or of a path.

        Raises:
            FileNotFoundError: There is no such file.
            UnreadableFileError: GDAL cannot open it, or its georeference cannot be understood.
        """
        if not hasattr(dataset, "transform"):
            with opened(dataset) as file:
                return cls.of(file)
        with reading(dataset.name, "its georeference cannot be understood"):
            gcps, crs = dataset.gcps
            if dataset.transform != _IDENTITY or not gcps:
                return cls(dataset.shape, dataset.crs, dataset.transform, (), read_rpcs(dataset))
            return cls(dataset.shape, crs or dataset.crs, _IDENTITY, tuple(gcps), read_rpcs(dataset))

    @property
    def has_coordinates(self) -> bool:
        """Whether there is a transform, or ground control points."""
        return self.transform != _IDENTITY or bool(self.gcps)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known, as for a plain picture."""
        return not self.has_coordinates and self.crs is None and self.rpcs is None

    @functools.cached_property
    def affine(self) -> Affine | None:
        """The transform, or the one that all ground control points fit to a twentieth of a pixel; None without one."""
        if not self.gcps:
            return self.transform if self.has_coordinates else None
        points = np.array([(p.col, p.row, p.x, p.y) for p in self.gcps], np.float64)
        corner = points[0, 2:]  # coordinates relative to it keep their digits
        design = np.column_stack([points[:, :2], np.ones(len(points))])
        if np.linalg.matrix_rank(design) < 3:
            return None
        (a, d), (b, e), (c, f) = np.linalg.lstsq(design, points[:, 2:] - corner, rcond=None)[0].tolist()
        fit = Affine(a, b, c, d, e, f)
        if fit.is_degenerate:
            return None
        found = np.stack(apply_affine(~fit, *(points[:, 2:] - corner).T), axis=1)
        return moved_affine(fit, *corner.tolist()) if np.abs(found - points[:, :2]).max() <= _FIT else None

    @property
    def profile(self) -> dict[str, Any]:
        """What ``rasterio.open(..., "w")`` needs to write a file that lies here: crs, transform or gcps, rpcs."""
        out: dict[str, Any] = {} if self.crs is None else {"crs": self.crs}
        if self.gcps:
            out["gcps"] = list(self.gcps)
        elif self.has_coordinates:
            out["transform"] = self.transform
        return out if self.rpcs is None else {**out, "rpcs": self.rpcs}

    def coordinates(self, columns: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
        """Coordinates x and y (K,) in the CRS of pixel positions (K,); of a raster without any, the positions.

        Raises:
            DataError: GDAL finds no polynomial through the ground control points.
        """
        columns, rows = (np.atleast_1d(np.asarray(axis, np.float64)) for axis in (columns, rows))
        if self.affine is not None or not self.gcps:
            return apply_affine(self.affine or self.transform, columns, rows)
        return self._by_points(lambda points: points.xy(rows, columns, offset="ul"))

    def positions(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Pixel positions (column, row) of coordinates (K,) in the CRS: what :meth:`coordinates` turns round."""
        x, y = (np.atleast_1d(np.asarray(axis, np.float64)) for axis in (x, y))
        if self.affine is not None or not self.gcps:
            return apply_affine(~(self.affine or self.transform), x, y)
        rows, columns = self._by_points(lambda points: points.rowcol(x, y, op=np.asarray))
        return columns, rows

    def _by_points(self, ask: Callable[[GCPTransformer], Sequence[ArrayLike]]) -> tuple[Floats, Floats]:
        try:
            with GCPTransformer(list(self.gcps)) as transformer:
                first, second = ask(transformer)
        except CPLE_BaseError as error:
            raise DataError(f"the raster has {len(self.gcps)} ground control points that give no position ({error})"
                            ) from error  # fmt: skip
        return np.asarray(first, np.float64), np.asarray(second, np.float64)

    # What pixels measure ------------------------------------------------------------------------------------------

    @functools.cached_property
    def no_metres(self) -> str | None:
        """Why pixels have no size on the ground, in words; None where they have one."""
        if self.has_coordinates:
            try:
                self.coordinates(0, 0)
            except DataError:
                return "ground control points that give no position"
            return "no CRS" if self.crs is None else None
        if self.rpcs is not None:
            return "rational polynomial coefficients (RPC) only, whose ground depends on heights"
        return "no CRS" if self.crs is None else "a CRS but no transform"

    @functools.cached_property
    def pixel_size(self) -> tuple[float, float]:
        """Metres on the ground from pixel to pixel, to the right and downwards, in the middle of the raster.

        Raises:
            DataError: Pixels have no size on the ground; see :attr:`no_metres`.
        """
        if self.no_metres is not None:
            how = f"; {_ORTHORECTIFY}" if self.rpcs is not None else ""
            raise DataError(f"the raster has {self.no_metres}, so its pixels have no size in metres{how}")
        across, down = np.hypot(*self._steps[0]).tolist()
        return across, down

    @functools.cached_property
    def area_method(self) -> str:
        """How areas are found, in words."""
        if self.no_metres is not None:
            return f"{self.no_metres}: pixels only"
        points = ", by ground control points" if self.gcps else ""
        return ("in the plane of the projected CRS" if self._steps[1] else "on the WGS 84 ellipsoid") + points

    @property
    def plane_unit(self) -> float | None:
        """Metres of the CRS's unit where areas are those of its plane; None where they are not, or pixels have none."""
        if self.no_metres is not None or self.crs is None or not self._steps[1]:
            return None
        return float(self.crs.units_factor[1])

    @functools.cached_property
    def row_areas(self) -> Floats | None:
        """(H,) square metres of a pixel in each row, in its middle column; None where pixels have no size.

        A projected CRS counts in its plane, as GIS programs do, unless that is off by more than one per cent in the
        middle of the raster (Web Mercator is off by half at 45 degrees): then, and in a geographic CRS, areas are those
        on the WGS 84 ellipsoid.  Pixels that are nowhere on Earth have no area.
        """
        if self.no_metres is not None:
            return None
        rows = np.arange(self.size[0], dtype=np.float64) + 0.5
        columns: Floats = np.full(self.size[0], self.size[1] / 2)
        if self._steps[1] and self.affine is not None:
            columns, rows = columns[:1], rows[:1]
        steps = self._in_plane(columns, rows) if self._steps[1] else self._on_ellipsoid(columns, rows)
        areas = np.abs(_determinant(steps))
        return np.broadcast_to(np.where(np.isfinite(areas), areas, 0), self.size[0])

    @functools.cached_property
    def _steps(self) -> tuple[Floats, bool]:
        """Metres east and north of a pixel to the right and one down, in the middle; and if areas are the plane's.

        Lengths and areas are both judged here, each by what it is off: an equal-area projection keeps its areas.
        """
        middle = np.array([self.size[1] / 2]), np.array([self.size[0] / 2])
        ground = self._on_ellipsoid(*middle)[..., 0]
        assert self.crs is not None
        if self.crs.is_geographic:
            return ground, False
        plane = self._in_plane(*middle)[..., 0]
        area = abs(_determinant(ground))
        if not np.isfinite(area) or not area:  # beyond what the projection can do, or no CRS of the Earth
            return plane, True
        lengths = np.hypot(*plane) / np.hypot(*ground)
        near = np.abs(lengths - 1).max() <= _DISTORTION
        return plane if near else ground, bool(abs(abs(_determinant(plane)) / area - 1) <= _DISTORTION)

    def _in_plane(self, columns: Floats, rows: Floats) -> Floats:
        """(2, 2, K) metres x and y of one pixel to the right and one down in the plane of a projected CRS."""
        assert self.crs is not None
        if self.affine is not None:
            a, b, _, d, e, _ = self.affine[:6]
            steps = np.array([[a, b], [d, e]])[..., None] * np.ones(len(columns))
        else:
            ends = [self.coordinates(*end) for end in _ends(columns, rows)]
            steps = np.array([[ends[0][i] - ends[1][i], ends[2][i] - ends[3][i]] for i in (0, 1)])
        return np.asarray(steps * self.crs.units_factor[1], np.float64)

    def _on_ellipsoid(self, columns: Floats, rows: Floats) -> Floats:
        """(2, 2, K) metres east and north of one pixel to the right and one down at K positions."""
        lon, lat = zip(*(self._longitudes(*end) for end in _ends(columns, rows)), strict=True)
        return metres_between(lon, lat)

    def _longitudes(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude in radians of positions; NaN beyond what the projection can do."""
        assert self.crs is not None
        x, y = self.coordinates(columns, rows)
        return radians_of(self.crs, x, y)

    # Other grids --------------------------------------------------------------------------------------------------

    def scaled(self, size: tuple[int, int], across: float | None = None, down: float | None = None) -> GeoReference:
        """The grid of another ``size`` (H, W) whose pixels are ``across`` times as wide and ``down`` times as high.

        By default the new pixels cover the same ground, as those of overviews do.
        """
        across = self.size[1] / size[1] if across is None else across
        down = self.size[0] / size[0] if down is None else down
        a, b, c, d, e, f = (self.affine or self.transform)[:6]
        points = tuple(GroundControlPoint(p.row / down, p.col / across, p.x, p.y, p.z, p.id, p.info) for p in self.gcps)
        rpcs = move_rpcs(self.rpcs, across=across, down=down)
        if self.affine is not None:
            return GeoReference(size, self.crs, Affine(a * across, b * down, c, d * across, e * down, f), (), rpcs)
        return GeoReference(size, self.crs, _IDENTITY, points, rpcs)

    def resampled(self, gsd: float) -> GeoReference:
        """The grid of pixels of ``gsd`` metres on the ground (in the middle) over the same ground.

        Raises:
            DataError: Pixels have no size in metres.
        """
        across, down = self.pixel_size
        if self.affine is None:
            raise DataError(f"the raster is bent by its ground control points, so it has no grid of pixels in metres; "
                            f"{_RECTIFY}")  # fmt: skip
        height, width = (max(1, math.ceil(n * m / gsd - 1e-6)) for n, m in zip(self.size, (down, across), strict=True))
        return self.scaled((height, width), gsd / across, gsd / down)

    def window(self, column: int, row: int, width: int, height: int) -> GeoReference:
        """The grid of some of the pixels."""
        points = tuple(GroundControlPoint(p.row - row, p.col - column, p.x, p.y, p.z) for p in self.gcps)
        size, rpcs = (height, width), move_rpcs(self.rpcs, column, row)
        if not self.has_coordinates:
            return replace(self, size=size, rpcs=rpcs)
        if points:
            return GeoReference(size, self.crs, _IDENTITY, points, rpcs)
        x, y = (values[0] for values in self.coordinates(column, row))
        return GeoReference(size, self.crs, Affine(*self.transform[:2], x, *self.transform[3:5], y), (), rpcs)

    def pixels_in(self, other: GeoReference, columns: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
        """Positions (K,) of this grid as positions of another one; NaN where the CRSs do not reach.

        Raises:
            DataError: The other grid has no transform.
        """
        x, y = self.coordinates(columns, rows)
        other = other._beside(self)
        if other.affine is None:
            raise DataError(f"the raster has no transform; {_RECTIFY}")
        if self.crs is not None and other.crs is not None and self.crs != other.crs:
            try:
                x, y = (np.asarray(v) for v in transform_points(self.crs, other.crs, x.tolist(), y.tolist())[:2])
            except CPLE_BaseError:
                x = y = np.full(len(x), math.nan)
        return apply_affine(~other.affine, x, y)

    @functools.cached_property
    def _span(self) -> tuple[float, float]:
        x = self.coordinates([0, self.size[1]] * 2, [0, 0, self.size[0], self.size[0]])[0]
        return float(x.min()), float(x.max())

    def _beside(self, other: GeoReference) -> GeoReference:
        """The same ground with longitudes counted as another raster needs them."""
        if self.affine is None or self.crs is None or other.crs is None or not in_degrees(self.crs):
            return self
        crs, by = counted_beside(self.crs, self._span, other.crs, None if other.affine is None else other._span)
        return replace(self, crs=crs, transform=moved_affine(self.affine, by, 0), gcps=()) if by else self

    def same_pixels(self, other: GeoReference) -> bool:
        """Whether pixel by pixel both rasters are the same ground, to a hundredth of a pixel.

        A raster that does not say where it lies has the ground of one with as many rows and columns.
        """
        if self.size != other.size or (self.crs is not None and other.crs is not None and self.crs != other.crs):
            return False
        if not self.has_coordinates or not other.has_coordinates:
            return None in (self.rpcs, other.rpcs) or self.rpcs == other.rpcs
        if self.affine is None or other.affine is None:
            ours, theirs = (sorted((p.row, p.col, p.x, p.y) for p in g.gcps) for g in (self, other))
            return ours == theirs
        return self.offset_from(other) <= _SAME

    def offset_from(self, other: GeoReference) -> float:
        """By how many of its own pixels this raster's corners are off those of another one; infinite if unrelated."""
        if not self.has_coordinates or not other.has_coordinates or self.affine is None:
            return math.inf
        columns, rows = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
        found = other.pixels_in(self, columns * other.size[1], rows * other.size[0])
        off = np.abs(np.stack([found[0] - columns * self.size[1], found[1] - rows * self.size[0]])).max()
        return float(off) if np.isfinite(off) else math.inf

    def check_related(self, other: GeoReference) -> None:
        """See that pixels of another raster can be brought onto this grid.

        Raises:
            DataError: Nothing relates the two; the message begins with what the other raster has, and says what helps.
        """
        sizes = "has {} x {} pixels, the map {} x {}".format(*other.size, *self.size)
        for one, name in ((other, "it"), (self, "the map")):
            if not one.has_coordinates and one.rpcs is not None:
                raise DataError(f"{sizes}, and {name} lies by rational polynomial coefficients (RPC) only; "
                                f"{_ORTHORECTIFY}")  # fmt: skip
            if one.has_coordinates and one.affine is None:
                raise DataError(f"{sizes}, and {name} is bent by its ground control points; {_RECTIFY}")
        if not self.has_coordinates or not other.has_coordinates or (self.crs is None) != (other.crs is None):
            raise DataError(f"{sizes}, and no CRS relates them; both need a transform and a CRS (rio edit-info --crs)")

    def view(
        self,
        dataset: Any,
        resampling: Resampling = Resampling.nearest,
        add_alpha: bool = False,
        tolerance: float = 0.125,
        source: GeoReference | None = None,
    ) -> WarpedVRT:
        """The pixels of an open dataset on this grid; they are read as windows of the result.

        Args:
            dataset: May have any other extent, pixel size, direction of rows, rotation and CRS.
            resampling: How pixels are made of others.
            add_alpha: Give the result an alpha band, 0 beyond the dataset.
            tolerance: Error in pixels up to which positions are interpolated; 0 is not possible.
            source: Where the dataset lies, if not where it says itself.

        Raises:
            DataError: Nothing relates the two; see :meth:`check_related`.
        """
        source = GeoReference.of(dataset) if source is None else source
        self.check_related(source)
        source = source._beside(self)
        crs = {"src_crs": source.crs or _PLANE, "crs": self.crs or _PLANE}
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0] or ColorInterp.alpha in dataset.colorinterp
        extras = {"SRC_ALPHA_MAX": "1"}  # any alpha above 0 is a valid pixel, of whatever type it is
        if masked and dataset.nodata is not None:
            extras["UNIFIED_SRC_NODATA"] = "NO"  # otherwise only one of the two would count
        return MosaicView(dataset, src_transform=source.affine, transform=self.affine, width=self.size[1],
                          height=self.size[0], resampling=resampling, add_alpha=add_alpha, tolerance=tolerance,
                          **crs, **extras)  # fmt: skip


def _determinant(steps: Floats) -> Floats:
    return np.asarray(steps[0, 0] * steps[1, 1] - steps[0, 1] * steps[1, 0])


def _ends(columns: Floats, rows: Floats) -> Sequence[tuple[Floats, Floats]]:
    """Half a pixel to the right, to the left, down and up."""
    half = 0.5
    return (columns + half, rows), (columns - half, rows), (columns, rows + half), (columns, rows - half)
