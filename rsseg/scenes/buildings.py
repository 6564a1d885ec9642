"""Buildings: gabled and hipped houses, flat-roofed blocks, sheds with ribbed roofs."""

from __future__ import annotations

import numpy as np

from .materials import BUILDING
from .shapes import Array, Colour, Shape, bar, box, ellipse, pick

TILES: tuple[Colour, ...] = (
    (150, 92, 70),
    (128, 78, 62),
    (116, 106, 98),
    (92, 92, 94),
    (138, 124, 108),
    (166, 114, 86),
)
MEMBRANES: tuple[Colour, ...] = ((206, 204, 198), (172, 170, 164), (140, 136, 130), (222, 220, 214), (120, 116, 112))
METALS: tuple[Colour, ...] = (
    (188, 192, 194),
    (88, 118, 150),
    (164, 96, 80),
    (206, 208, 206),
    (112, 130, 120),
    (150, 154, 158),
)


def _darker(colour: Colour, by: int) -> Colour:
    red, green, blue = (min(max(c - by, 0), 255) for c in colour)
    return red, green, blue


def _pitched(shape: Shape, plan: tuple[float, float, float, float], roof: Colour, eaves: float, hip: float) -> None:
    """Add a pitched roof over a rectangle ``cx, cy, length, width``; ``hip`` 0 = gabled ends, 1 = hipped ends."""
    cx, cy, length, width = plan
    across_x = length < width

    def height(x: Array, y: Array) -> Array:
        u, v = (np.abs(y - cy), np.abs(x - cx)) if across_x else (np.abs(x - cx), np.abs(y - cy))
        span, half = (width, length) if across_x else (length, width)
        slope = 0.55 * (half / 2 - v)
        return eaves + (np.minimum(slope, 0.6 * (span / 2 - u)) if hip else slope)

    shape.add(box(cx, cy, length, width), roof, height)


def house(rng: np.random.Generator, length: float | None = None, width: float | None = None) -> Shape:
    """A dwelling with a tiled pitched roof, often with a wing, chimney or solar panels."""
    length = float(rng.uniform(11, 17)) if length is None else length
    width = float(rng.uniform(8, 11)) if width is None else width
    roof = pick(rng, TILES, 14)
    hip = float(rng.random() < 0.45)
    eaves = float(rng.choice([3.0, 3.2, 5.6]))
    shape = Shape(length, width, cover=BUILDING)
    _pitched(shape, (0, 0, length, width), roof, eaves, hip)
    if rng.random() < 0.5:
        side = float(rng.choice([-1, 1]))
        wing = (side * length * 0.24, width * 0.45, length * 0.42, width * 0.75)
        _pitched(shape, wing, roof, eaves, hip)
    if rng.random() < 0.6:
        shape.add(box(length * float(rng.uniform(-0.3, 0.3)), width * 0.12, 0.9, 0.7), (132, 84, 70), eaves + 3.2)
    if rng.random() < 0.2:
        slope = 0.55
        panel = box(-0.1 * length, -0.24 * width, 0.4 * length, 0.3 * width)
        shape.add(panel, (36, 44, 66), lambda x, y: eaves + 0.1 + slope * (width / 2 - np.abs(y)))
    return shape


def block(rng: np.random.Generator, length: float, width: float) -> Shape:
    """A flat-roofed building with parapet and plant; sometimes L-shaped or with a courtyard step."""
    roof = pick(rng, MEMBRANES, 10)
    z = float(rng.choice([4.5, 7.0, 10.0, 14.0]))
    shape = Shape(length, width, cover=BUILDING)
    plans = [(0.0, 0.0, length, width)]
    if rng.random() < 0.4:
        thick = min(length, width) * 0.5
        plans = [(0.0, (thick - width) / 2, length, thick), ((length - thick) / 2, 0.0, thick, width)]
    for plan in plans:
        shape.add(box(*plan), _darker(roof, -16), z + 0.7)
    for cx, cy, long, wide in plans:
        shape.add(box(cx, cy, long - 1.2, wide - 1.2), roof, z)
        for _ in range(int(rng.integers(2, 7))):
            x = cx + float(rng.uniform(-0.38, 0.38)) * long
            y = cy + float(rng.uniform(-0.36, 0.36)) * wide
            unit = box(x, y, *rng.uniform(1.2, 3.4, 2))
            shape.add(unit, pick(rng, [(196, 198, 198), (120, 122, 124), (90, 92, 96)]), z + 1.6)
    if rng.random() < 0.5:
        cx, cy, long, wide = plans[0]
        stair = box(cx + long * 0.3, cy, 4, 3.4)
        shape.add(stair, _darker(roof, 22), z + 3)
    return shape


def shed(rng: np.random.Generator, length: float, width: float) -> Shape:
    """A warehouse: low pitched metal roof in bays, with ribs, skylights and vents."""
    roof = pick(rng, METALS, 8)
    z = float(rng.uniform(6, 11))
    bays = max(round(width / float(rng.uniform(16, 28))), 1)
    shape = Shape(length, width, cover=BUILDING)
    for i in range(bays):
        cy, wide = ((i + 0.5) / bays - 0.5) * width, width / bays

        def height(x: Array, y: Array, cy: float = cy, wide: float = wide) -> Array:
            return z + 0.16 * (wide / 2 - np.abs(y - cy))

        shape.add(box(0, cy, length, wide), roof, height)
    for x in np.arange(-length / 2 + 3, length / 2 - 1, 6.0):
        shape.add(bar(float(x), -width / 2, float(x), width / 2, 0.35), _darker(roof, 16))
    glass = pick(rng, [(214, 220, 218), (96, 112, 120), (198, 204, 190)])
    if rng.random() < 0.7:
        for x in np.arange(-length / 2 + 6, length / 2 - 3, 12.0):
            for i in range(bays):
                y = ((i + 0.3) / bays - 0.5) * width
                shape.add(box(float(x), y, 1.2, width / bays * 0.3), glass)
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.uniform(-0.4, 0.4, 2) * (length, width)
        shape.add(ellipse(float(x), float(y), 0.8, count=10), (206, 208, 206), z + 3)
    return shape
