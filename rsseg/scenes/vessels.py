"""Boats and ships."""

from __future__ import annotations

import numpy as np

from .shapes import DARK, WHITE, Array, Colour, Shape, bar, box, ellipse, mirrored, pick, rounded

CONTAINERS: tuple[Colour, ...] = (
    (150, 62, 48), (58, 88, 134), (66, 112, 86), (196, 196, 190), (186, 128, 52), (96, 100, 106), (128, 50, 60),
)  # fmt: skip


def hull(length: float, width: float, bow: float = 0.25, stern: float = 0.8) -> Array:
    """A hull's outline: pointed over the ``bow`` share of its length, ``stern`` times its width at the back."""
    half = length / 2
    nose = [(half - bow * length * t, width / 2 * float(np.sin(t * np.pi / 2)) ** 0.8) for t in np.linspace(0, 1, 8)]
    return mirrored([*nose, (-half + 0.12 * length, width / 2), (-half, width / 2 * stern)])


def motorboat(rng: np.random.Generator) -> Shape:
    """A small pleasure boat."""
    length = float(rng.uniform(6.0, 14.0))
    width = length * float(rng.uniform(0.27, 0.34))
    shape = Shape(length, width)
    shape.add(hull(length, width, 0.45, 0.85), pick(rng, [WHITE, WHITE, (214, 210, 200), (52, 66, 96)]), 1.0)
    shape.add(hull(length * 0.86, width * 0.74, 0.45, 0.9), pick(rng, [(214, 206, 190), (226, 224, 218)]), 1.1)
    shape.add(
        box(-0.2 * length, 0, 0.36 * length, width * 0.62), pick(rng, [(150, 112, 76), (84, 98, 120), WHITE]), 0.9
    )
    shape.add(box(0.06 * length, 0, 0.12 * length, width * 0.6), DARK, 1.7)
    if rng.random() < 0.5:
        roof = pick(rng, [WHITE, (60, 82, 130), (222, 218, 206)])
        shape.add(rounded(-0.08 * length, 0, 0.2 * length, width * 0.6, 0.2), roof, 2.3)
    return shape


def fishing_boat(rng: np.random.Generator) -> Shape:
    """A working boat with a wheelhouse aft and gear on deck."""
    length = float(rng.uniform(15.0, 28.0))
    width = length * float(rng.uniform(0.23, 0.28))
    shape = Shape(length, width)
    paint = pick(rng, [(64, 96, 140), (150, 58, 48), (60, 108, 92), (196, 190, 178)])
    shape.add(hull(length, width, 0.32, 0.75), paint, 1.6)
    shape.add(
        hull(length * 0.9, width * 0.78, 0.32, 0.8), pick(rng, [(150, 128, 102), (128, 130, 126), (110, 84, 66)]), 1.5
    )
    shape.add(box(-0.24 * length, 0, 0.24 * length, width * 0.66), WHITE, 4.2)
    shape.add(box(-0.1 * length, 0, 0.04 * length, width * 0.6), DARK, 3.5)
    for x in (0.05, 0.18):
        net = pick(rng, [(70, 110, 80), (190, 150, 70), (60, 64, 70)])
        shape.add(box(x * length, rng.uniform(-0.1, 0.1) * width, 0.09 * length, width * 0.4), net, 2.2)
    shape.add(bar(-0.1 * length, 0, 0.3 * length, 0, 0.35), (206, 204, 196), 5.0)
    return shape


def _bridge_house(shape: Shape, rng: np.random.Generator, length: float, width: float) -> None:
    """Superstructure and funnel at the stern."""
    shape.add(box(-0.385 * length, 0, 0.09 * length, width * 0.86), pick(rng, [WHITE, (222, 214, 196)]), 0.14 * length)
    shape.add(box(-0.35 * length, 0, 0.022 * length, width * 1.0), WHITE, 0.15 * length)
    shape.add(
        box(-0.44 * length, 0, 0.03 * length, width * 0.3),
        pick(rng, [(150, 50, 44), (50, 70, 110), DARK]),
        0.14 * length,
    )


def dry_cargo_ship(rng: np.random.Generator) -> Shape:
    """A container ship or bulk carrier."""
    length = float(rng.uniform(60.0, 150.0))
    width = length * float(rng.uniform(0.14, 0.18))
    shape = Shape(length, width)
    shape.add(hull(length, width, 0.16), pick(rng, [(86, 44, 40), (48, 58, 76), (70, 72, 74), (58, 84, 70)]), 6.0)
    shape.add(hull(length * 0.97, width * 0.88, 0.16), pick(rng, [(120, 72, 58), (112, 116, 112), (92, 106, 98)]), 6.0)
    if rng.random() < 0.55:
        pitch = max(length * 0.06, 6.4)
        for x in np.arange(-0.28 * length, 0.34 * length, pitch):
            for y in np.arange(-0.38, 0.39, 0.19) * width:
                if rng.random() < 0.88:
                    stack = box(float(x) + pitch / 2, float(y), pitch * 0.9, width * 0.18)
                    shape.add(stack, pick(rng, CONTAINERS), 6.0 + 2.5 * float(rng.integers(1, 4)))
    else:
        hatch = pick(rng, [(168, 152, 128), (142, 90, 70), (130, 140, 138)])
        for x in np.linspace(-0.22, 0.3, 5) * length:
            shape.add(box(float(x), 0, 0.1 * length, width * 0.62), hatch, 7.5)
            shape.add(box(float(x), 0, 0.008 * length, width * 0.62), DARK, 7.6)
        for x in (-0.09, 0.17):
            shape.add(bar(x * length, 0, (x + 0.1) * length, width * 0.2, 0.9), (214, 180, 72), 14.0)
    _bridge_house(shape, rng, length, width)
    return shape


def liquid_cargo_ship(rng: np.random.Generator) -> Shape:
    """A tanker: clear deck, pipes along the middle, manifold amidships."""
    length = float(rng.uniform(60.0, 150.0))
    width = length * float(rng.uniform(0.15, 0.18))
    shape = Shape(length, width)
    shape.add(hull(length, width, 0.15), pick(rng, [(70, 40, 38), (44, 48, 54), (52, 66, 92)]), 5.0)
    deck = pick(rng, [(142, 74, 58), (104, 122, 104), (128, 64, 52), (120, 118, 112)])
    shape.add(hull(length * 0.975, width * 0.9, 0.15), deck, 5.0)
    for y in (-0.08, 0.0, 0.08):
        shape.add(bar(-0.3 * length, y * width, 0.4 * length, y * width, max(0.03 * width, 0.5)), (196, 190, 178), 6.2)
    shape.add(bar(0.04 * length, -0.42 * width, 0.04 * length, 0.42 * width, 0.022 * length), (190, 186, 176), 6.4)
    for x in np.linspace(-0.24, 0.34, 7) * length:
        for y in (-0.27, 0.27):
            shape.add(ellipse(float(x), y * width, 0.012 * length, count=10), (82, 84, 86), 6.6)
    _bridge_house(shape, rng, length, width)
    return shape


def warship(rng: np.random.Generator) -> Shape:
    """A grey slender hull with stepped superstructure, gun forward, helicopter deck aft."""
    length = float(rng.uniform(70.0, 140.0))
    width = length * float(rng.uniform(0.115, 0.13))
    grey = pick(rng, [(140, 145, 148), (122, 130, 136)])
    light = pick(rng, [(164, 168, 170), (152, 158, 162)])
    shape = Shape(length, width)
    shape.add(hull(length, width, 0.38, 0.72), grey, 4.0)
    shape.add(hull(length * 0.97, width * 0.84, 0.38, 0.75), pick(rng, [(104, 106, 108), (118, 104, 96)]), 4.0)
    for x, long, wide, z in (
        (0.1, 0.14, 0.72, 9.0),
        (0.09, 0.07, 0.5, 15.0),
        (-0.1, 0.12, 0.66, 9.0),
        (-0.26, 0.1, 0.7, 8.0),
    ):
        shape.add(rounded(x * length, 0, long * length, wide * width, 1.0), light, z)
    shape.add(ellipse(0.25 * length, 0, 0.022 * length, count=12), light, 6.5)
    shape.add(bar(0.25 * length, 0, 0.31 * length, 0, 0.9), grey, 6.0)
    shape.add(ellipse(-0.42 * length, 0, 0.05 * length, 0.3 * width, 20), (150, 150, 148), 4.0)
    shape.add(ellipse(-0.42 * length, 0, 0.042 * length, 0.24 * width, 20), (100, 103, 106), 4.0)
    return shape
