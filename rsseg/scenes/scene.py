"""One procedural aerial scene with its exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError

from .canvas import Canvas, Drawn
from .light import grow_trees, photograph
from .regions import Region
from .shapes import Array
from .themes import THEMES

MIN_PIXELS = 12
"""Objects with fewer visible pixels are not part of a scene."""

MIN_VISIBLE = 0.35
"""Objects of which a smaller share is visible (cut by the border, under trees) are not part of a scene."""


@dataclass(frozen=True)
class SceneObject:
    """A visible object.

    Attributes:
        kind: A key of ``KINDS``.
        hbox: (4,) float64 tight box x1 y1 x2 y2 of its visible mask, pixels, x2 and y2 exclusive.
        qbox: (4, 2) float64 tight rotated box of its visible mask in its own direction, pixels, clockwise on
            screen from its rear left corner; the second and third corners are its front.
        angle: Direction of its front, radians clockwise from +x.
    """

    kind: str
    hbox: Array
    qbox: Array
    angle: float


@dataclass(frozen=True)
class Scene:
    """An image and everything that is in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        landcover: (H, W) uint8 OpenEarthMap raw values 0..8, 0 = unlabelled.
        instances: (H, W) uint16, ``k`` = ``objects[k - 1]``, 0 = none.
        objects: What is visible, in drawing order.
        theme: The kind of scene.
        gsd: Ground sampling distance, metres per pixel.
    """

    image: NDArray[np.uint8]
    landcover: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    objects: list[SceneObject]
    theme: str
    gsd: float


def make_scene(
    seed: int | Sequence[int],
    size: int | tuple[int, int] = 512,
    theme: str | Sequence[str] | None = None,
    gsd: float | None = None,
    nodata: float = 0.08,
    region: Region | None = None,
) -> Scene:
    """Draw a scene; the same arguments give the same bytes.

    Args:
        seed: Seed of ``numpy.random.default_rng``.
        size: Pixels, one number or (H, W), each 32..8192.
        theme: A key of ``THEMES`` or several to draw from; None draws from all.
        gsd: Metres per pixel, 0.05..5; None draws from the region's range, or the theme's.
        nodata: Probability of a black unlabelled wedge at one edge, 0..1.
        region: Where it lies, which decides how it looks; None is nowhere in particular.

    Raises:
        ConfigError: A value is outside what is listed above.
    """
    height, width = check_size(size)
    choices = check_themes(theme)
    check_ranges(gsd, nodata)
    rng = np.random.default_rng(seed)
    name = choices[int(rng.integers(len(choices)))]
    low, high = THEMES[name].gsd if region is None else region.gsd
    drawn = float(rng.uniform(low, high))
    canvas = Canvas((height, width), drawn if gsd is None else float(gsd), rng, None if region is None else region.look)
    THEMES[name].draw(canvas)
    grow_trees(canvas)
    image = photograph(canvas, rng)
    landcover = np.ascontiguousarray(canvas.cover[::2, ::2])
    instances = np.ascontiguousarray(canvas.instances[::2, ::2])
    if rng.random() < nodata:
        wedge = _wedge((height, width), rng)
        image[wedge], landcover[wedge], instances[wedge] = 0, 0, 0
    instances, objects = _visible(instances, canvas.objects)
    return Scene(image, landcover, instances, objects, name, canvas.gsd)


def check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W) from one number or two.

    Raises:
        ConfigError: A side isn't an integer of 32..8192.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int) and 32 <= n <= 8192 for n in pair):
        raise ConfigError(f"size must be one or two integers from 32 to 8192 (pixels), got {size!r}")
    return pair[0], pair[1]


def check_ranges(gsd: float | None, nodata: float) -> None:
    """Check ground sampling distance (metres per pixel, or None) and nodata probability.

    Raises:
        ConfigError: One is outside its range.
    """
    if gsd is not None and not 0.05 <= gsd <= 5:
        raise ConfigError(f"gsd must be 0.05 to 5 (metres per pixel), got {gsd!r}")
    if not 0 <= nodata <= 1:
        raise ConfigError(f"nodata must be a probability from 0 to 1, got {nodata!r}")


def check_themes(theme: str | Sequence[str] | None) -> list[str]:
    """Theme names to draw from.

    Raises:
        ConfigError: A name is no theme, or there is none.
    """
    names = list(THEMES) if theme is None else [theme] if isinstance(theme, str) else list(theme)
    unknown = [name for name in names if name not in THEMES]
    if unknown or not names:
        raise ConfigError(f"unknown theme {unknown[0] if unknown else theme!r}; expected one of: {', '.join(THEMES)}")
    return names


def _wedge(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The part of an image beyond the edge of a slanted swath, (H, W) bool, at most a quarter of it."""
    angle = float(rng.uniform(0, 2 * np.pi))
    y, x = np.mgrid[: size[0], : size[1]]
    along = x * np.cos(angle) + y * np.sin(angle)
    return along > np.quantile(along[::8, ::8], float(rng.uniform(0.75, 0.95)))


def _visible(instances: NDArray[np.uint16], drawn: list[Drawn]) -> tuple[NDArray[np.uint16], list[SceneObject]]:
    """Drop what can hardly be seen, renumber the rest, and box it."""
    counts = np.bincount(instances.ravel(), minlength=len(drawn) + 1)
    lut = np.zeros(len(drawn) + 1, np.uint16)
    objects: list[SceneObject] = []
    ys, xs = np.nonzero(instances)
    owner = instances[ys, xs]
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=len(drawn) + 1))
    for k, item in enumerate(drawn, 1):
        if counts[k] < max(MIN_PIXELS, MIN_VISIBLE * item.samples / 4):
            continue
        mine = order[ends[k - 1] : ends[k]]
        x, y = xs[mine] + 0.5, ys[mine] + 0.5
        hbox = np.array([x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5])
        objects.append(SceneObject(item.kind, hbox, _rotated(x, y, item.angle), item.angle))
        lut[k] = len(objects)
    return lut[instances], objects


def _rotated(x: NDArray[np.floating], y: NDArray[np.floating], angle: float) -> Array:
    """Box in a direction around pixel centres widened by half a pixel, (4, 2) float64."""
    c, s = np.cos(angle), np.sin(angle)
    u, v = x * c + y * s, y * c - x * s
    u0, u1, v0, v1 = u.min() - 0.5, u.max() + 0.5, v.min() - 0.5, v.max() + 0.5
    corners = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
    return corners @ np.array([[c, s], [-s, c]])


def outlines(scene: Scene) -> NDArray[np.uint8]:
    """The image with every object's rotated box drawn on it, (H, W, 3) uint8 RGB."""
    out = scene.image.copy()
    for item in scene.objects:
        cv2.polylines(out, [np.round(item.qbox * 8 - 4).astype(np.int32)], True, (255, 220, 0), 1, cv2.LINE_AA, 3)
    return out
