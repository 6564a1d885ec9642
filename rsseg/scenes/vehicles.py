"""Road vehicles: cars, vans, buses, lorries."""

from __future__ import annotations

import numpy as np

from .shapes import DARK, Colour, Shape, box, pick, rounded

PAINT: tuple[Colour, ...] = (
    (228, 228, 226), (236, 236, 234), (186, 188, 190), (150, 152, 156), (96, 98, 102), (46, 48, 52),
    (32, 33, 36), (150, 40, 36), (44, 68, 118), (88, 104, 126), (170, 160, 132), (60, 84, 66),
)  # fmt: skip
"""Car colours, mostly white, grey and black as on real car parks."""

GLASS: Colour = (34, 40, 48)


def _lighter(colour: Colour, by: int) -> Colour:
    red, green, blue = (min(max(c + by, 0), 255) for c in colour)
    return red, green, blue


def car(rng: np.random.Generator) -> Shape:
    """A passenger car."""
    length, width = float(rng.uniform(4.0, 4.9)), float(rng.uniform(1.75, 2.0))
    paint = pick(rng, PAINT)
    shape = Shape(length, width)
    shape.add(rounded(0, 0, length, width, 0.35), paint, 0.8)
    shape.add(box(0.14 * length, 0, 0.16 * length, width * 0.82), GLASS, 1.2)
    shape.add(box(-0.34 * length, 0, 0.11 * length, width * 0.78), GLASS, 1.2)
    shape.add(rounded(-0.11 * length, 0, 0.36 * length, width * 0.84, 0.2), _lighter(paint, 14), 1.45)
    return shape


def van(rng: np.random.Generator) -> Shape:
    """A delivery van or minibus."""
    length, width = float(rng.uniform(5.2, 6.6)), float(rng.uniform(2.0, 2.2))
    paint = pick(rng, (*PAINT[:4], (224, 200, 70), (70, 96, 140)))
    shape = Shape(length, width)
    shape.add(rounded(0, 0, length, width, 0.3), paint, 1.2)
    shape.add(box(0.3 * length, 0, 0.1 * length, width * 0.85), GLASS, 1.6)
    shape.add(box(-0.12 * length, 0, 0.7 * length, width * 0.92), _lighter(paint, 8), 2.3)
    return shape


def bus(rng: np.random.Generator) -> Shape:
    """A coach with roof hatches."""
    length, width = float(rng.uniform(11.0, 13.5)), 2.6
    paint = pick(rng, [(226, 226, 222), (206, 172, 52), (172, 52, 46), (58, 96, 150), (222, 206, 190)])
    shape = Shape(length, width)
    shape.add(rounded(0, 0, length, width, 0.3), paint, 2.9)
    shape.add(box(length / 2 - 0.35, 0, 0.4, width * 0.85), GLASS, 2.6)
    for x in (-0.3, 0.0, 0.25):
        shape.add(box(x * length, 0, 1.3, 1.2), _lighter(paint, -28), 3.2)
    return shape


def cargo_truck(rng: np.random.Generator) -> Shape:
    """A lorry: cab, gap, long load."""
    length, width = float(rng.uniform(9.0, 16.5)), 2.55
    cab = pick(rng, [(222, 222, 220), (170, 42, 38), (48, 84, 140), (216, 180, 60), (60, 62, 66)])
    load = pick(rng, [(230, 230, 226), (216, 216, 212), (142, 88, 66), (72, 100, 132), (150, 152, 150)])
    shape = Shape(length, width)
    shape.add(box(length / 2 - 1.1, 0, 2.2, width * 0.96), cab, 2.8)
    shape.add(box(length / 2 - 0.45, 0, 0.5, width * 0.8), GLASS, 2.4)
    shape.add(box(length / 2 - 2.5, 0, 0.8, width * 0.5), DARK, 1.2)
    body = length - 2.8
    shape.add(box(-length / 2 + body / 2, 0, body, width), load, 3.7)
    for x in np.arange(-length / 2 + 1.2, -length / 2 + body, 2.4):
        shape.add(box(float(x), 0, 0.25, width * 0.94), _lighter(load, -14), 3.7)
    return shape
