"""Fixed objects: tanks, courts and pitches, pools, piers, cranes, windmills."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from .materials import BUILDING, DEVELOPED, RANGELAND, WATER
from .shapes import DARK, WHITE, Array, Colour, Shape, bar, box, ellipse, pick, rounded

LINE: Colour = (236, 236, 232)


def storage_tank(rng: np.random.Generator, radius: float | None = None) -> Shape:
    """A round tank: coned or floating roof, rim and stair."""
    r = float(rng.uniform(5, 14)) if radius is None else radius
    wall = float(np.clip(r * rng.uniform(0.5, 0.9), 3, 11))
    paint = pick(rng, [WHITE, (216, 214, 204), (186, 188, 186), (170, 128, 98), (206, 198, 176)])
    shape = Shape(2 * r, 2 * r, cover=BUILDING)
    shape.add(ellipse(0, 0, r, count=44), paint, wall)
    if rng.random() < 0.35:
        deck = pick(rng, [(150, 146, 138), (126, 122, 116), (172, 164, 150)])
        shape.add(ellipse(0, 0, r * 0.93, count=40), deck, wall * float(rng.uniform(0.4, 0.85)))
        shape.add(bar(0, 0, r * 0.9, 0, 0.7), (96, 96, 96), wall * 0.9)
    else:
        shape.add(ellipse(0, 0, r * 0.97, count=40), paint, lambda x, y: wall + 0.22 * (r - np.hypot(x, y)))
        shape.add(ellipse(0, 0, r * 0.07, count=10), (130, 130, 128), wall + 0.25 * r)
        for angle in rng.uniform(0, 2 * np.pi, 2):
            x, y = np.cos(angle), np.sin(angle)
            shape.add(bar(x * r * 0.97, y * r * 0.97, x * r * 0.2, y * r * 0.2, 0.35), (150, 150, 146))
    return shape


def _lines(shape: Shape, strokes: Sequence[tuple[float, float, float, float]], width: float = 0.22) -> None:
    for x0, y0, x1, y1 in strokes:
        shape.add(bar(x0, y0, x1, y1, width), LINE)


def _frame(length: float, width: float) -> list[tuple[float, float, float, float]]:
    x, y = length / 2, width / 2
    return [(-x, -y, x, -y), (-x, y, x, y), (-x, -y, -x, y), (x, -y, x, y)]


def _ring(
    x: float, y: float, r: float, start: float = 0, stop: float = 2 * np.pi
) -> list[tuple[float, float, float, float]]:
    t = np.linspace(start, stop, 18)
    xs, ys = x + r * np.cos(t), y + r * np.sin(t)
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
    return [(*start, *end) for start, end in itertools.pairwise(points)]


def tennis_court(rng: np.random.Generator) -> Shape:
    """A doubles court, 23.77 m by 10.97 m, on a wider apron that is not part of the object."""
    length, width = 23.77, 10.97
    inner = pick(rng, [(64, 96, 142), (70, 120, 84), (168, 98, 70), (84, 110, 150)])
    outer = inner if inner[0] > 140 else pick(rng, [(76, 116, 88), (150, 84, 68), (70, 98, 120)])
    shape = Shape(length, width, cover=DEVELOPED)
    shape.add(box(0, 0, length + 9, width + 5.4), outer, body=False)
    shape.add(box(0, 0, length + 0.3, width + 0.3), inner)
    single = width / 2 - 1.37
    strokes = [
        *_frame(length, width),
        (-length / 2, -single, length / 2, -single),
        (-length / 2, single, length / 2, single),
    ]
    _lines(shape, [*strokes, (-6.4, -single, -6.4, single), (6.4, -single, 6.4, single), (-6.4, 0, 6.4, 0)])
    shape.add(bar(0, -width / 2 - 0.6, 0, width / 2 + 0.6, 0.3), (40, 44, 46), 1.0, body=False)
    return shape


def basketball_court(rng: np.random.Generator) -> Shape:
    """A court of 28 m by 15 m with painted keys."""
    length, width = 28.0, 15.0
    floor = pick(rng, [(150, 90, 72), (88, 116, 92), (120, 122, 124), (74, 100, 140)])
    key = pick(rng, [(150, 62, 54), (70, 92, 140), (84, 120, 90), (196, 150, 90)])
    shape = Shape(length, width, cover=DEVELOPED)
    shape.add(box(0, 0, length + 3, width + 3), pick(rng, [(120, 120, 118), floor]), body=False)
    shape.add(box(0, 0, length + 0.3, width + 0.3), floor)
    for side in (-1, 1):
        shape.add(box(side * 11.1, 0, 5.8, 4.9), key)
        shape.add(ellipse(side * 8.2, 0, 1.8, count=18), key)
        hoop = side * 12.4
        _lines(shape, _ring(hoop, 0, 6.75, np.pi / 2 * (1 if side > 0 else -1), np.pi / 2 * (3 if side > 0 else 1)))
        _lines(shape, [(side * 14, -2.45, side * 8.2, -2.45), (side * 14, 2.45, side * 8.2, 2.45)])
        shape.add(box(side * 12.9, 0, 0.5, 1.8), WHITE, 3.2)
    _lines(shape, [*_frame(length, width), (0, -width / 2, 0, width / 2), *_ring(0, 0, 1.8)])
    return shape


def soccer_field(rng: np.random.Generator) -> Shape:
    """A grass pitch mown in bands."""
    length, width = float(rng.uniform(64, 100)), float(rng.uniform(42, 62))
    grass = np.array(pick(rng, [(84, 122, 60), (96, 128, 72), (70, 118, 70)]))
    shape = Shape(length, width, cover=RANGELAND)
    bands = int(rng.integers(8, 15))
    for i in range(bands):
        red, green, blue = (grass * (1.0 if i % 2 else 0.92)).astype(int).tolist()
        shape.add(box(((i + 0.5) / bands - 0.5) * length, 0, length / bands + 0.1, width), (red, green, blue))
    strokes = [*_frame(length - 1, width - 1), (0, -width / 2, 0, width / 2), *_ring(0, 0, 0.14 * width)]
    for side in (-1, 1):
        x0, x1 = side * (length / 2 - 0.5), side * (length / 2 - 0.16 * length)
        y = 0.3 * width
        strokes += [(x0, -y, x1, -y), (x0, y, x1, y), (x1, -y, x1, y)]
        shape.add(box(side * length / 2, 0, 0.8, 5.5), WHITE, 2.0)
    _lines(shape, strokes, 0.4)
    return shape


def baseball_diamond(rng: np.random.Generator) -> Shape:
    """A fan of grass around a clay infield; home plate at the back."""
    radius = float(rng.uniform(42, 58))
    shape = Shape(radius, 1.4 * radius, cover=RANGELAND)
    t = np.linspace(-np.pi / 4, np.pi / 4, 24)
    home = -0.5 * radius

    def fan(r: float, back: float = 0.0) -> Array:
        arc = np.stack([home + r * np.cos(t), r * np.sin(t)], 1)
        return np.concatenate([arc, [[home - back, 0.0]]])

    clay = pick(rng, [(176, 128, 92), (164, 112, 80), (188, 146, 108)])
    grass = pick(rng, [(86, 122, 62), (100, 128, 74)])
    shape.add(fan(radius, 2), grass)
    shape.add(fan(0.5 * radius, 2), clay)
    base = 0.34 * radius
    shape.add(
        np.array(
            [
                [home + 3, 0],
                [home + base / 1.41, base / 1.41],
                [home + base * 1.41 - 3, 0],
                [home + base / 1.41, -base / 1.41],
            ]
        ),
        grass,
    )
    shape.add(ellipse(home + base * 0.7, 0, 2.2, count=14), clay)
    shape.add(ellipse(home + 1, 0, 3.0, count=14), clay)
    edge = radius / np.sqrt(2)
    _lines(shape, [(home, 0, home + edge, edge), (home, 0, home + edge, -edge)], 0.4)
    return shape


def swimming_pool(rng: np.random.Generator, large: bool = False) -> Shape:
    """A pool: rectangle, oval, or (``large``) a lap pool with lanes; the deck around it is not part of the object."""
    length = float(rng.uniform(25, 50) if large else rng.uniform(7, 12))
    width = length * float(rng.uniform(0.4, 0.55))
    water = pick(rng, [(78, 178, 196), (96, 190, 206), (60, 156, 190), (112, 196, 198)])
    shape = Shape(length, width, cover=WATER)
    shape.add(
        box(0, 0, length + 3, width + 3), pick(rng, [(198, 192, 180), (180, 172, 160), (206, 198, 188)]), body=False
    )
    if large or rng.random() < 0.5:
        shape.add(box(0, 0, length, width), water)
    else:
        shape.add(ellipse(0, 0, length / 2, width / 2), water)
    if large:
        for y in np.linspace(-0.5, 0.5, 7)[1:-1] * width:
            shape.add(bar(-length / 2, float(y), length / 2, float(y), 0.25), (44, 92, 128))
    else:
        shape.add(bar(-0.3 * length, -0.2 * width, 0.28 * length, -0.24 * width, 0.5), (140, 214, 222))
    return shape


def pier(rng: np.random.Generator, length: float = 60.0, fingers: float = 8.0) -> Shape:
    """A jetty along x with finger piers to both sides every ``fingers`` metres (0 = none)."""
    deck = pick(rng, [(164, 148, 126), (150, 150, 146), (138, 104, 80), (178, 172, 160)])
    width = float(rng.uniform(2.4, 3.6)) if fingers else float(rng.uniform(5, 9))
    shape = Shape(length, width, cover=DEVELOPED)
    if fingers:
        reach = 9.0
        for x in np.arange(-length / 2 + fingers / 2, length / 2, fingers):
            shape.add(bar(float(x), -reach, float(x), reach, 0.8), deck, 0.7)
        shape.width = 2 * reach
    shape.add(box(0, 0, length, width), deck, 0.9)
    for x in np.arange(-length / 2 + 3, length / 2, 9.0):
        shape.add(box(float(x), width * 0.35, 0.8, 0.6), (96, 92, 88), 1.4)
    return shape


def container_crane(rng: np.random.Generator) -> Shape:
    """A quay crane: portal legs and a boom along x over the water; kept low, as a lattice casts little shadow."""
    length, gauge = float(rng.uniform(52, 66)), 16.0
    paint = pick(rng, [(196, 74, 52), (64, 98, 150), (206, 168, 62), (176, 180, 182)])
    shape = Shape(length, gauge)
    for y in (-gauge / 2, gauge / 2):
        shape.add(bar(-0.28 * length, y, 0.02 * length, y, 1.6), paint, 2.5)
    for x in (-0.28, 0.02):
        shape.add(bar(x * length, -gauge / 2, x * length, gauge / 2, 1.6), paint, 3.5)
    for y in (-2.6, 2.6):
        shape.add(bar(-0.5 * length, y, 0.5 * length, y, 1.3), paint, 4.5)
    for x in np.linspace(-0.48, 0.48, 12):
        shape.add(bar(x * length, -2.6, x * length, 2.6, 0.7), paint, 4.5)
    shape.add(box(-0.2 * length, 0, 8, 7), WHITE, 6.0)
    shape.add(box(float(rng.uniform(0.1, 0.4)) * length, 0, 4, 4), DARK, 5.0)
    return shape


def helipad(rng: np.random.Generator) -> Shape:
    """A marked landing place."""
    side = float(rng.uniform(16, 22))
    shape = Shape(side, side, cover=DEVELOPED)
    shape.add(rounded(0, 0, side, side, 2.0), pick(rng, [(128, 128, 126), (110, 116, 120), (150, 96, 84)]))
    shape.add(ellipse(0, 0, 0.42 * side), LINE)
    shape.add(ellipse(0, 0, 0.37 * side), pick(rng, [(112, 112, 112), (96, 116, 104)]))
    h = 0.17 * side
    for y in (-h * 0.8, h * 0.8):
        shape.add(bar(-h, y, h, y, 1.1), LINE)
    shape.add(bar(0, -h * 0.8, 0, h * 0.8, 1.1), LINE)
    return shape


def windmill(rng: np.random.Generator) -> Shape:
    """A wind turbine seen from above: three blades, nacelle, footing."""
    blade = float(rng.uniform(14, 22))
    shape = Shape(2 * blade, 2 * blade)
    turn = float(rng.uniform(0, 2 * np.pi))
    for angle in turn + np.arange(3) * 2 * np.pi / 3:
        tip = (blade * np.cos(angle), blade * np.sin(angle))
        shape.add(bar(0, 0, tip[0] * 0.5, tip[1] * 0.5, 1.7), WHITE, 5.0)
        shape.add(bar(0, 0, *tip, 1.0), WHITE, 5.0)
    shape.add(bar(-3.5, 0, 3.5, 0, 2.6), WHITE, 6.0)
    return shape
