"""Ground materials: land cover, colour and texture of each, and the season that tints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .shapes import Colour

BARELAND, RANGELAND, DEVELOPED, ROAD, TREE, WATER, AGRICULTURE, BUILDING = range(1, 9)
"""Raw values of OpenEarthMap's label files; 0 is unlabelled. Source: OpenEarthMap, table 2."""


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        cover: Land-cover value, OpenEarthMap raw.
        colour: RGB albedo, 0-255.
        grain: Amplitudes of fine, middle and coarse texture, relative to the colour.
        green: 0 mineral to 1 living green: how far the season and hue noise change it.
    """

    cover: int
    colour: Colour
    grain: tuple[float, float, float]
    green: float = 0.0


MATERIALS: dict[str, Material] = {
    "paint": Material(DEVELOPED, (200, 200, 200), (0.015, 0.015, 0.0)),
    "lawn": Material(RANGELAND, (92, 112, 62), (0.06, 0.06, 0.07), 1.0),
    "meadow": Material(RANGELAND, (118, 120, 74), (0.08, 0.09, 0.1), 0.8),
    "scrub": Material(RANGELAND, (104, 104, 72), (0.13, 0.13, 0.1), 0.6),
    "soil": Material(BARELAND, (150, 122, 92), (0.05, 0.07, 0.1)),
    "sand": Material(BARELAND, (202, 184, 148), (0.03, 0.04, 0.06)),
    "gravel": Material(BARELAND, (158, 150, 138), (0.07, 0.05, 0.07)),
    "crop": Material(AGRICULTURE, (98, 120, 58), (0.05, 0.05, 0.06), 1.0),
    "stubble": Material(AGRICULTURE, (172, 152, 104), (0.05, 0.05, 0.07), 0.2),
    "plough": Material(AGRICULTURE, (124, 98, 74), (0.06, 0.05, 0.09)),
    "understorey": Material(TREE, (54, 66, 38), (0.12, 0.12, 0.08), 1.0),
    "canopy": Material(TREE, (64, 84, 44), (0.14, 0.1, 0.05), 1.0),
    "water": Material(WATER, (46, 74, 84), (0.02, 0.02, 0.03)),
    "asphalt": Material(ROAD, (96, 97, 98), (0.025, 0.03, 0.06)),
    "lot": Material(DEVELOPED, (106, 105, 104), (0.03, 0.04, 0.08)),
    "concrete": Material(DEVELOPED, (166, 163, 155), (0.025, 0.035, 0.06)),
    "paving": Material(DEVELOPED, (172, 160, 146), (0.04, 0.03, 0.04)),
    "track": Material(ROAD, (176, 158, 130), (0.05, 0.05, 0.06)),
    "roof": Material(BUILDING, (150, 140, 132), (0.03, 0.03, 0.04)),
}
"""What the ground can be made of, in the order of the canvas' material map."""

NAMES: dict[str, int] = {name: i for i, name in enumerate(MATERIALS)}


def palette(
    rng: np.random.Generator,
    season: tuple[float, float] = (0, 0.75),
    tints: Mapping[str, tuple[float, float, float]] | None = None,
) -> dict[str, Colour]:
    """Colours of every material in one scene: season (spring green to late-summer straw) and a little chance.

    Args:
        rng: Source of all randomness.
        season: Range to draw the season from, 0 (spring) to 1 (late summer).
        tints: Factors of red, green and blue for the colours of some materials, by their names.
    """
    dry = float(rng.uniform(*season)) ** 1.5
    straw = np.array([164, 144, 96])
    out: dict[str, Colour] = {}
    for name, material in MATERIALS.items():
        base = np.asarray(material.colour, np.float64)
        share = dry * material.green * (0.35 if material.cover == TREE else 1.0)
        base = base * (1 - share) + straw * (base.mean() / straw.mean()) * share * 1.1
        base = base * (tints or {}).get(name, 1.0) * rng.uniform(0.9, 1.1) + rng.normal(0, 3.5, 3)
        red, green, blue = np.clip(base, 8, 245).astype(int).tolist()
        out[name] = (red, green, blue)
    return out
