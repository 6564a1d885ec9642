"""Aeroplanes and helicopters."""

from __future__ import annotations

import numpy as np

from .shapes import DARK, WHITE, Array, Colour, Shape, bar, box, ellipse, mirrored, pick

LIVERY: tuple[Colour, ...] = ((40, 62, 128), (172, 38, 42), (38, 110, 92), (222, 150, 40), (60, 60, 66), (96, 44, 120))


def _fuselage(length: float, radius: float) -> Array:
    """Outline of a tube with a round nose and a long tail cone."""
    half = length / 2
    nose = [(half - 0.11 * length * t, radius * float(np.sqrt(1 - (1 - t) ** 2))) for t in np.linspace(0.05, 1, 7)]
    return mirrored([*nose, (-0.2 * length, radius), (-0.38 * length, 0.6 * radius), (-half, 0.12 * radius)])


def _wings(root: float, chord: float, span: float, sweep: float, taper: float) -> Array:
    """Both wings as one polygon: leading edge at ``root`` (x), swept back by ``sweep`` metres at the tips."""
    half, tip = span / 2, chord * taper
    right = [(root, 0.0), (root - sweep, half), (root - sweep - tip, half), (root - chord * 0.97, half * 0.33)]
    return mirrored([*right, (root - chord, 0.0)])


def _airliner(rng: np.random.Generator, length: float, span: float, radius: float, engines: int) -> Shape:
    shape = Shape(length, span)
    skin = pick(rng, [WHITE, (226, 228, 230), (204, 208, 212)], 5)
    wing = pick(rng, [(200, 204, 208), (184, 188, 192), (214, 216, 218)], 5)
    sweep, root = 0.27 * span, 0.1 * length
    shape.add(_wings(root, 0.23 * length, span, sweep, 0.24), wing, 3.2)
    for side in (-1, 1):
        for share in (0.33, 0.6)[: engines // 2]:
            x, y = root - 2 * share * sweep / 2 - 0.02 * length, side * share * span / 2
            shape.add(
                box(x + 0.03 * length, y, 0.085 * length, 1.05 * radius), pick(rng, [skin, (150, 154, 160)], 4), 2.9
            )
    shape.add(_wings(-0.385 * length, 0.095 * length, 0.36 * span, 0.09 * span, 0.4), wing, 5.0)
    shape.add(_fuselage(length, radius), skin, lambda x, y: 4.0 + 0.9 * np.sqrt(np.maximum(radius**2 - y**2, 0)))
    tail = pick(rng, LIVERY) if rng.random() < 0.75 else skin
    shape.add(bar(-0.5 * length, 0, -0.36 * length, 0, 0.3 * radius), tail, 9.0)
    shape.add(box(0.455 * length, 0, 0.016 * length, 1.0 * radius), DARK, 5.0)
    if rng.random() < 0.4:
        shape.add(box(0.2 * length, 0, 0.18 * length, 0.5 * radius), pick(rng, LIVERY), 5.5)
    return shape


def regional_jet(rng: np.random.Generator) -> Shape:
    """A short twin jet (A220 size)."""
    return _airliner(rng, float(rng.uniform(32, 36)), float(rng.uniform(31, 35)), 1.8, 2)


def narrow_body(rng: np.random.Generator) -> Shape:
    """A medium twin jet (Boeing 737 size)."""
    return _airliner(rng, float(rng.uniform(37, 43)), float(rng.uniform(34, 37)), 2.1, 2)


def wide_body(rng: np.random.Generator) -> Shape:
    """A large four-engined jet (Boeing 747 size)."""
    return _airliner(rng, float(rng.uniform(66, 72)), float(rng.uniform(60, 66)), 3.4, 4)


def light_plane(rng: np.random.Generator) -> Shape:
    """A propeller plane with straight wings."""
    length, span = float(rng.uniform(8, 12)), float(rng.uniform(10.5, 15))
    shape = Shape(length, span)
    skin = pick(rng, [WHITE, (222, 214, 190), (206, 210, 216)])
    shape.add(_wings(0.24 * length, 0.19 * length, span, 0.02 * span, 0.75), skin, 2.2)
    shape.add(_wings(-0.36 * length, 0.11 * length, 0.34 * span, 0.02 * span, 0.7), skin, 1.6)
    shape.add(_fuselage(length, 0.62), pick(rng, [skin, LIVERY[0], LIVERY[1]]), 1.9)
    shape.add(box(0.24 * length, 0, 0.08 * length, 0.9), DARK, 2.3)
    shape.add(bar(0.5 * length, -1.0, 0.5 * length, 1.0, 0.3), DARK, 1.4)
    return shape


def helicopter(rng: np.random.Generator) -> Shape:
    """A helicopter with four still blades."""
    length, rotor = float(rng.uniform(11, 15)), float(rng.uniform(4.6, 6.2))
    shape = Shape(length, 2.2)
    skin = pick(rng, [(222, 222, 218), (186, 60, 46), (66, 82, 66), (50, 74, 124)])
    shape.add(ellipse(0.2 * length, 0, 0.26 * length, 1.15, 20), skin, 2.6)
    shape.add(bar(0, 0, -0.5 * length, 0, 0.55), skin, 2.4)
    shape.add(bar(-0.46 * length, -1.2, -0.46 * length, 1.2, 0.5), skin, 2.6)
    shape.add(ellipse(0.36 * length, 0, 0.08 * length, 0.75, 12), DARK, 2.6)
    turn = float(rng.uniform(0, np.pi / 2))
    for angle in turn + np.arange(4) * np.pi / 2:
        x, y = rotor * np.cos(angle), rotor * np.sin(angle)
        shape.add(bar(0.2 * length, 0, 0.2 * length + x, y, 0.32), (60, 62, 66), 3.6)
    return shape
