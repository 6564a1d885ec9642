"""The vocabulary of drawn things: a shape is a list of flat parts in its own frame.

Local frame: metres, x forward (bow, nose, bonnet), y to the right, origin in the middle. Heights are metres above
ground. Colours are RGB albedo 0-255.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Height = float | Callable[[Array, Array], Array]

WHITE: Colour = (232, 232, 228)
DARK: Colour = (38, 42, 48)


@dataclass(frozen=True)
class Part:
    """One filled polygon of a shape.

    Attributes:
        points: (N, 2) float64 corners, metres, local frame.
        colour: RGB albedo, 0-255.
        z: Height in metres, or a function of local x and y (float arrays, metres) giving it; None keeps the ground's.
        body: Whether the polygon belongs to the object's mask.
    """

    points: Array
    colour: Colour
    z: Height | None = None
    body: bool = True


@dataclass
class Shape:
    """A drawable thing.

    Attributes:
        length: Extent along x, metres.
        width: Extent along y, metres.
        parts: Polygons in painting order.
        cover: Land-cover value the body takes (OpenEarthMap raw value), None where the ground shines through.
    """

    length: float
    width: float
    parts: list[Part] = field(default_factory=list)
    cover: int | None = None

    def add(
        self, points: Array | Sequence[Sequence[float]], colour: Colour, z: Height | None = None, body: bool = True
    ) -> None:
        """Append one polygon, (N, 2) metres."""
        self.parts.append(Part(np.asarray(points, np.float64), colour, z, body))


def box(cx: float, cy: float, length: float, width: float) -> Array:
    """Corners of an axis-aligned rectangle, (4, 2) float64 metres."""
    x, y = length / 2, width / 2
    return np.array([[cx - x, cy - y], [cx + x, cy - y], [cx + x, cy + y], [cx - x, cy + y]])


def bar(x0: float, y0: float, x1: float, y1: float, width: float) -> Array:
    """Corners of a straight stroke of the given width, (4, 2) float64 metres."""
    along = np.array([x1 - x0, y1 - y0])
    side = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9) * width / 2
    a, b = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([a + side, b + side, b - side, a - side])


def ellipse(cx: float, cy: float, rx: float, ry: float | None = None, count: int = 28) -> Array:
    """Corners of an ellipse, (count, 2) float64 metres; ``ry`` defaults to ``rx``."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([cx + rx * np.cos(t), cy + (rx if ry is None else ry) * np.sin(t)], 1)


def rounded(cx: float, cy: float, length: float, width: float, radius: float) -> Array:
    """Corners of a rectangle with cut corners, (8, 2) float64 metres."""
    x, y, r = length / 2, width / 2, radius
    pts = [(-x + r, -y), (x - r, -y), (x, -y + r), (x, y - r), (x - r, y), (-x + r, y), (-x, y - r), (-x, -y + r)]
    return np.array(pts) + np.array([cx, cy])


def mirrored(half: Sequence[Sequence[float]]) -> Array:
    """Closed outline from its right half (x falling from nose to tail, y >= 0), (2N, 2) float64 metres."""
    pts = np.asarray(half, np.float64)
    return np.concatenate([pts, pts[::-1] * (1, -1)])


def pick(rng: np.random.Generator, colours: Sequence[Colour], jitter: int = 8) -> Colour:
    """A random colour of a list with a little variation, RGB 0-255."""
    base = np.asarray(colours[int(rng.integers(len(colours)))])
    red, green, blue = np.clip(base + rng.integers(-jitter, jitter + 1), 0, 255)
    return int(red), int(green), int(blue)
