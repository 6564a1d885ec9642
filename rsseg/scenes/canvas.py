"""The drawing surface: albedo, height, material, land cover and object ids, at twice the image's resolution.

World coordinates are metres, x right and y down from the image's corner. Sample ``(2 * row, 2 * column)`` lies exactly
at the centre of a pixel, so taking every second sample of a map *is* the mask of what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .materials import MATERIALS, NAMES, palette
from .regions import Look
from .shapes import Array, Colour, Shape

_SHIFT = 4
"""Fractional bits of polygon corners."""


@dataclass(frozen=True)
class Pose:
    """Where a local frame lies in the world: origin in metres, direction of its x axis in radians (clockwise)."""

    x: float
    y: float
    angle: float = 0.0

    def __call__(self, points: ArrayLike) -> Array:
        """Local (N, 2) metres to world (N, 2) metres."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(points, np.float64) @ np.array([[c, s], [-s, c]]) + (self.x, self.y)

    def at(self, u: float, v: float, turn: float = 0.0) -> Pose:
        """The pose at local ``(u, v)``, turned by ``turn`` radians against this one."""
        x, y = self(np.array([[u, v]]))[0]
        return Pose(float(x), float(y), self.angle + turn)

    def inverse(self, x: Array, y: Array) -> tuple[Array, Array]:
        """World coordinates (metres, any shape) to local ones."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        dx, dy = x - self.x, y - self.y
        return dx * c + dy * s, dy * c - dx * s


@dataclass
class Drawn:
    """An object put on the canvas: its kind, direction (radians) and full size in samples."""

    kind: str
    angle: float
    samples: int


class Canvas:
    """Maps of one scene under construction.

    Attributes:
        albedo: (2H, 2W, 3) uint8 RGB.
        height: (2H, 2W) float32 metres above ground.
        material: (2H, 2W) uint8 index into ``MATERIALS``.
        cover: (2H, 2W) uint8 land cover, OpenEarthMap raw values.
        instances: (2H, 2W) uint16 1-based object number in drawing order, 0 = none.
        trees: Rows of x, y, radius (metres) and colour index, grown at the end.
    """

    def __init__(self, size: tuple[int, int], gsd: float, rng: np.random.Generator, look: Look | None = None) -> None:
        """Args: size: (H, W) pixels; gsd: metres per pixel; rng: source of all randomness; look: of the region."""
        self.size, self.gsd, self.rng, self.look = size, gsd, rng, look or Look()
        shape = (2 * size[0], 2 * size[1])
        self.shape = shape
        self.width, self.depth = size[1] * gsd, size[0] * gsd
        self.centre = Pose(self.width / 2, self.depth / 2, float(rng.uniform(0, 2 * np.pi)))
        self.reach = float(np.hypot(self.width, self.depth)) / 2
        self.albedo = np.zeros((*shape, 3), np.uint8)
        self.height = np.zeros(shape, np.float32)
        self.material = np.zeros(shape, np.uint8)
        self.cover = np.zeros(shape, np.uint8)
        self.instances = np.zeros(shape, np.uint16)
        self.objects: list[Drawn] = []
        self.trees: list[tuple[float, float, float, int]] = []
        self.palette = palette(rng, self.look.dry, self.look.tints)

    def anywhere(self) -> tuple[float, float]:
        """A random place inside the image, world metres."""
        return float(self.rng.uniform(0, self.width)), float(self.rng.uniform(0, self.depth))

    def samples(self, points: Array) -> Array:
        """World metres to sample coordinates, (N, 2)."""
        return points / (self.gsd / 2) - 1

    def grid(self, window: tuple[slice, slice]) -> tuple[Array, Array]:
        """World x and y (metres) of the samples of a window."""
        y, x = np.mgrid[window].astype(np.float64)
        return (x + 1) * self.gsd / 2, (y + 1) * self.gsd / 2

    def noise(self, cell: float) -> NDArray[np.float32]:
        """Smooth unit-variance noise, (2H, 2W) float32; ``cell`` is its grain in metres."""
        step = max(cell / self.gsd * 2, 1.0)
        h, w = (int(np.ceil(n / step)) + 3 for n in self.shape)
        small = self.rng.standard_normal((h, w), np.float32)
        if step == 1.0:
            return small[: self.shape[0], : self.shape[1]]
        big = cv2.resize(small, (int(w * step), int(h * step)), interpolation=cv2.INTER_CUBIC)
        dy, dx = self.rng.integers(0, int(step) + 1, 2)
        out = big[dy : dy + self.shape[0], dx : dx + self.shape[1]] * np.float32(1.35)
        return np.ascontiguousarray(out, np.float32)

    def raster(self, polygons: list[Array]) -> tuple[NDArray[np.bool_], tuple[slice, slice], int]:
        """Union of world polygons.

        Returns:
            (h, w) bool mask inside the canvas, its window, and the number of samples drawn including those outside.
        """
        pts = [self.samples(p) for p in polygons]
        every = np.concatenate(pts)
        x0, y0 = np.floor(every.min(0)).astype(int) - 1
        x1, y1 = np.ceil(every.max(0)).astype(int) + 2
        local = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for p in pts:
            cv2.fillPoly(local, [_fixed(p - (x0, y0))], (1,), cv2.LINE_8, _SHIFT)
        rows = slice(min(max(y0, 0), self.shape[0]), max(min(y1, self.shape[0]), 0))
        cols = slice(min(max(x0, 0), self.shape[1]), max(min(x1, self.shape[1]), 0))
        if rows.stop <= rows.start or cols.stop <= cols.start:
            return np.zeros((0, 0), np.bool_), (slice(0, 0), slice(0, 0)), 0
        inside = local[rows.start - y0 : rows.stop - y0, cols.start - x0 : cols.stop - x0].astype(np.bool_)
        return inside, (rows, cols), cv2.countNonZero(local)

    def fill(self, points: Array, colour: Colour, z: float | None = None) -> None:
        """Paint a world polygon's albedo (and height) only."""
        corners = [_fixed(self.samples(points))]
        cv2.fillPoly(self.albedo, corners, colour, cv2.LINE_8, _SHIFT)
        if z is not None:
            cv2.fillPoly(self.height, corners, (z,), cv2.LINE_8, _SHIFT)

    def ground(self, points: Array, material: str, colour: Colour | None = None, z: float = 0.0) -> None:
        """Cover a world polygon with a material: albedo, land cover, texture; flattens what stood there."""
        corners = [_fixed(self.samples(points))]
        self.fill(points, colour or self.palette[material], z)
        cv2.fillPoly(self.material, corners, (NAMES[material],), cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.cover, corners, (MATERIALS[material].cover,), cv2.LINE_8, _SHIFT)

    def flood(self, mask: NDArray[np.bool_] | None, material: str, colour: Colour | None = None) -> None:
        """Cover a (2H, 2W) bool mask, or everything, with a material."""
        where = ... if mask is None else mask
        self.albedo[where] = colour or self.palette[material]
        self.material[where] = NAMES[material]
        self.cover[where] = MATERIALS[material].cover

    def wash(self, points: Array, colour: Colour, alpha: float, blur: float, on: int | None = None) -> None:
        """Blend a soft-edged polygon into the ground's albedo (stains, wakes), leaving objects clean.

        Args:
            points: (N, 2) world metres.
            colour: RGB, 0-255.
            alpha: Its share in the middle, 0..1.
            blur: Softness of the edge, metres.
            on: The land cover it keeps to, None = all.
        """
        pad = int(2 * blur / self.gsd * 2) + 2
        lo = np.maximum(np.floor(self.samples(points).min(0)).astype(int) - pad, 0)
        hi = np.minimum(np.ceil(self.samples(points).max(0)).astype(int) + pad, self.shape[::-1])
        if (hi <= lo).any():
            return
        soft = np.zeros((hi[1] - lo[1], hi[0] - lo[0]), np.float32)
        cv2.fillPoly(soft, [_fixed(self.samples(points) - lo)], (alpha,), cv2.LINE_8, _SHIFT)
        soft = cv2.GaussianBlur(soft, (0, 0), max(blur / self.gsd * 2, 0.5))
        soft[self.instances[lo[1] : hi[1], lo[0] : hi[0]] > 0] = 0
        if on is not None:
            soft[self.cover[lo[1] : hi[1], lo[0] : hi[0]] != on] = 0
        view = self.albedo[lo[1] : hi[1], lo[0] : hi[0]]
        view[...] = view + (np.asarray(colour, np.float32) - view) * soft[..., None]

    def free(self, polygon: Array, on: tuple[int, ...] | None = None) -> bool:
        """Whether a world polygon touches the canvas, no object, and only the land covers ``on``."""
        mask, window, _ = self.raster([polygon])
        if not mask.any() or (self.instances[window][mask] > 0).any():
            return False
        return on is None or bool(np.isin(self.cover[window][mask], on).all())

    def put(
        self,
        kind: str,
        shape: Shape,
        pose: Pose,
        on: tuple[int, ...] | None = None,
        margin: float = 0.4,
        force: bool = False,
    ) -> bool:
        """Draw an object unless its place is taken.

        Args:
            kind: A key of ``KINDS``.
            shape: What to draw.
            pose: Where, in the world.
            on: Land covers that must lie under it.
            margin: Free room around it, metres.
            force: Draw it whatever is there.

        Returns:
            Whether it was drawn.
        """
        shape = self.look.build(shape)
        hull = np.concatenate([part.points for part in shape.parts if part.body])
        lo, hi = hull.min(0) - margin, hull.max(0) + margin
        room = np.array([[lo[0], lo[1]], [hi[0], lo[1]], [hi[0], hi[1]], [lo[0], hi[1]]])
        if not force and not self.free(pose(room), on):
            return False
        mask, window, count = self.raster([pose(part.points) for part in shape.parts if part.body])
        if not mask.any():
            return False
        for part in shape.parts:
            if not part.body and part.z is None:
                self.ground(pose(part.points), "paint", part.colour)
        self.objects.append(Drawn(kind, pose.angle, count))
        self.instances[window][mask] = len(self.objects)
        self.material[window][mask] = NAMES["paint"]
        if shape.cover is not None:
            self.cover[window][mask] = shape.cover
        self.decorate(shape, pose)
        return True

    def decorate(self, shape: Shape, pose: Pose) -> None:
        """Paint a shape's albedo and height without registering an object."""
        for part in shape.parts:
            points = pose(part.points)
            flat = part.z if not callable(part.z) else None
            self.fill(points, part.colour, flat)
            if callable(part.z):
                mask, window, _ = self.raster([points])
                if mask.any():
                    z = part.z(*pose.inverse(*self.grid(window)))
                    self.height[window][mask] = z.astype(np.float32)[mask]


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.round(np.clip(points, -1e6, 1e6) * (1 << _SHIFT)).astype(np.int32)
