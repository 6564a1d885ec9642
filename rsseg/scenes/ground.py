"""Terrain: patches of vegetation, fields with rows, woods and water."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Pose
from .materials import MATERIALS, WATER
from .shapes import Array, Colour, box

FAR = 2.5
"""How far beyond the scene's reach half-planes are drawn, in multiples of it."""


def tone(canvas: Canvas, material: str, spread: float = 0.07) -> Colour:
    """The material's colour in this scene, lightened or darkened by chance."""
    scale = 1 + canvas.rng.normal(0, spread) + canvas.rng.normal(0, spread / 3, 3)
    red, green, blue = np.clip(np.asarray(canvas.palette[material]) * scale, 5, 250).astype(int).tolist()
    return red, green, blue


def wildland(canvas: Canvas, base: str = "meadow", others: tuple[str, ...] = ("lawn", "scrub", "soil")) -> None:
    """Cover everything with a base material and noise-shaped patches of others."""
    canvas.flood(None, base)
    for other in others:
        if canvas.rng.random() < 0.75:
            field = canvas.noise(float(canvas.rng.uniform(25, 60))) + 0.3 * canvas.noise(5.0)
            level = 0.6 if MATERIALS[other].green else 1.35
            canvas.flood(field > level + canvas.rng.uniform(-0.2, 0.5), other, tone(canvas, other))


def blob(rng: np.random.Generator, x: float, y: float, radius: float, rough: float = 0.25, count: int = 72) -> Array:
    """A smooth closed outline around a point, (count, 2) metres."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    r = np.ones(count)
    for k in range(2, 7):
        r += rough / k * rng.normal() * np.cos(k * t + rng.uniform(0, 2 * np.pi))
    stretch = rng.uniform(0.65, 1.35)
    r = radius * np.clip(r, 0.3, 2)
    return np.stack([x + r * np.cos(t) * stretch, y + r * np.sin(t) / stretch], 1)


def wavy(rng: np.random.Generator, half: float, amplitude: float, count: int = 60) -> Array:
    """A wavy line along local x from -half to half, (count, 2) metres."""
    x = np.linspace(-half, half, count)
    y = np.zeros(count)
    for k in range(1, 6):
        y += amplitude / k * rng.normal() * np.sin(k * np.pi * x / half * rng.uniform(0.7, 1.3) + rng.uniform(0, 6.3))
    return np.stack([x, y], 1)


def half_plane(line: Array, far: float) -> Array:
    """The polygon on the +y side of a line running along x, reaching ``far`` metres."""
    ends = [[line[-1, 0], line[-1, 1] + far], [line[0, 0], line[0, 1] + far]]
    return np.concatenate([line, ends])


def coast(canvas: Canvas, pose: Pose, amplitude: float, beach: float, material: str = "sand") -> None:
    """Water on the +y side of a wavy line through the pose, with a beach of the given width (metres)."""
    far = FAR * canvas.reach
    line = wavy(canvas.rng, far, amplitude)
    wet = float(canvas.rng.uniform(0, beach / 2 + 0.1))
    if beach:
        canvas.ground(pose(half_plane(line - (0.0, beach), far)), material)
    canvas.ground(pose(half_plane(line - (0.0, -wet), far)), "water")


def river(canvas: Canvas, pose: Pose, width: float, amplitude: float) -> None:
    """A winding river along the pose's x axis with muddy banks."""
    far = FAR * canvas.reach
    line = wavy(canvas.rng, far, amplitude, 120)
    for extra, material in ((float(canvas.rng.uniform(1, 5)), "soil"), (0.0, "water")):
        half = width / 2 + extra
        wobble = wavy(canvas.rng, far, width * 0.05, 120)[:, 1:] * (0, 1)
        edge = np.concatenate([line - (0, half) + wobble, (line - (0, -half))[::-1]])
        canvas.ground(pose(edge), material)


def finish_water(canvas: Canvas) -> None:
    """Give all water its colour: lighter over shallow ground, waves, and currents."""
    mask = canvas.cover == WATER
    if not mask.any():
        return
    rng = canvas.rng
    wide = np.pad(mask.astype(np.uint8), 1, mode="edge")
    shore = cv2.distanceTransform(wide, cv2.DIST_L2, 3)[1:-1, 1:-1] * np.float32(canvas.gsd / 2)
    deep = np.asarray(canvas.palette["water"], np.float32) * (rng.normal(1, 0.18) + rng.normal(0, 0.06, 3)).astype(
        np.float32
    )
    murky = np.asarray([96, 106, 84], np.float32) * np.float32(rng.uniform(0.7, 1.15))
    depth = np.exp(-shore / np.float32(rng.uniform(4, 30))) * np.float32(rng.uniform(0.2, 0.8))
    depth = np.clip(depth * (1 + 0.3 * canvas.noise(18.0)), 0, 1)
    waves = 1 + np.float32(rng.uniform(0.02, 0.07)) * _waves(canvas) + 0.04 * canvas.noise(45.0)
    colour = (deep + (murky - deep) * depth[..., None]) * waves[..., None]
    canvas.albedo[mask] = np.clip(colour[mask], 0, 255).astype(np.uint8)


def _waves(canvas: Canvas) -> NDArray[np.float32]:
    """Wind waves of about unit amplitude, (2H, 2W) float32."""
    h, w = canvas.shape
    angle, length = canvas.rng.uniform(0, np.pi), canvas.rng.uniform(3.0, 9.0) / canvas.gsd * 2
    y = np.arange(h, dtype=np.float32)[:, None] * np.float32(np.sin(angle) * 2 * np.pi / length)
    x = np.arange(w, dtype=np.float32)[None] * np.float32(np.cos(angle) * 2 * np.pi / length)
    phase = 2.2 * canvas.noise(9.0) + canvas.noise(3.0)
    return np.sin(x + y + phase) * np.float32(0.7) + 0.5 * canvas.noise(1.5)


def farm_fields(canvas: Canvas, pose: Pose, cell: tuple[float, float] = (90.0, 60.0)) -> None:
    """Divide the scene into fields of a slanted grid, each with its own crop and rows."""
    rng, reach = canvas.rng, canvas.reach
    v = -reach
    while v < reach:
        depth = float(rng.uniform(0.6, 1.5)) * cell[1]
        u = -reach + float(rng.uniform(-cell[0], 0))
        while u < reach:
            length = float(rng.uniform(0.5, 1.6)) * cell[0]
            gap = float(rng.choice([0.6, 1.2, 3.0]))
            plot = box(u + length / 2, v + depth / 2, length - gap, depth - gap)
            _field(canvas, pose, plot)
            u += length
        v += depth


def _field(canvas: Canvas, pose: Pose, plot: Array) -> None:
    rng = canvas.rng
    world = pose(plot + rng.normal(0, 0.8, plot.shape))
    material = str(rng.choice(["crop", "crop", "stubble", "plough", "crop", "meadow", "crop"]))
    colour = tone(canvas, material, 0.16)
    canvas.ground(world, material, colour)
    mask, window, _ = canvas.raster([world])
    if material == "meadow" or not mask.any():
        return
    x, y = canvas.grid(window)
    along, across = pose.at(0, 0, float(rng.choice([0, 0, np.pi / 2]) + rng.normal(0, 0.03))).inverse(x, y)
    pitch = max(float(rng.uniform(1.4, 4.0)), 3.2 * canvas.gsd)
    rows = np.sin(across * (2 * np.pi / pitch)) * rng.uniform(0.02, 0.11)
    tram = (np.abs((across / (pitch * 7)) % 1 - 0.5) < 0.03) * rng.uniform(0.0, 0.14)
    patchy = canvas_patches(canvas, x, y) * rng.uniform(0.02, 0.1)
    factor = 1 + rows - tram + patchy + along * rng.normal(0, 0.0008)
    area = canvas.albedo[window]
    area[mask] = np.clip(area[mask] * factor[mask][:, None], 0, 255).astype(np.uint8)


def canvas_patches(canvas: Canvas, x: Array, y: Array) -> Array:
    """A cheap smooth pattern over world coordinates (any shape, metres), about -1..1."""
    a, b, c = canvas.rng.uniform(0.05, 0.16, 3)
    return np.sin(a * x + 1.7 * np.sin(b * y)) * np.cos(c * y + 1.3 * np.sin(a * 0.7 * x))


def woods(canvas: Canvas, outline: Array, spacing: float = 5.0, material: str | None = "understorey") -> None:
    """Fill a world polygon with trees on a jittered grid, over forest floor."""
    rng = canvas.rng
    if material:
        canvas.ground(outline, material)
    lo, hi = outline.min(0), outline.max(0)
    lo, hi = np.maximum(lo, -spacing), np.minimum(hi, (canvas.width + spacing, canvas.depth + spacing))
    if (hi <= lo).any():
        return
    gx, gy = np.meshgrid(np.arange(lo[0], hi[0], spacing), np.arange(lo[1], hi[1], spacing))
    points = np.stack([gx.ravel(), gy.ravel()], 1) + rng.normal(0, spacing * 0.27, (gx.size, 2))
    hull = outline.astype(np.float32)
    shade = int(rng.integers(0, 4))
    for x, y in points:
        if cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0:
            radius = spacing * float(rng.uniform(0.42, 0.85))
            canvas.trees.append((float(x), float(y), radius, shade + int(rng.integers(0, 5))))


def scatter_trees(canvas: Canvas, count: int, radius: tuple[float, float] = (1.5, 4.0)) -> None:
    """Single trees anywhere, in loose groups."""
    rng = canvas.rng
    for _ in range(count):
        x, y = canvas.anywhere()
        for _ in range(int(rng.integers(1, 4))):
            dx, dy = rng.normal(0, 6, 2)
            canvas.trees.append((x + dx, y + dy, float(rng.uniform(*radius)), int(rng.integers(0, 8))))


def tree_row(canvas: Canvas, start: Array, end: Array, spacing: float, radius: tuple[float, float]) -> None:
    """Trees along a world line, (2,) metres each end."""
    rng = canvas.rng
    count = max(int(np.hypot(*(end - start)) / spacing), 1)
    shade = int(rng.integers(1, 6))
    for t in (np.arange(count) + 0.5) / count:
        x, y = start + (end - start) * t + rng.normal(0, 0.5, 2)
        if rng.random() < 0.88:
            tint = shade + int(rng.integers(-1, 2))
            canvas.trees.append((float(x), float(y), float(rng.uniform(*radius)), tint))
