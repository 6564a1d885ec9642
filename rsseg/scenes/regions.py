"""Regions that look different: season, ground, light, sensor, ground resolution and building style of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .materials import BUILDING
from .shapes import Colour, Height, Part, Shape

__all__ = ["DOMAINS", "Look", "Region"]

Range = tuple[float, float]
Factors = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """What images of a region have in common; the default is that of all scenes without a region.

    Attributes:
        dry: Range of the season, 0 (spring green) to 1 (late-summer straw).
        tints: Factors of red, green and blue for the colours of some materials, by their names.
        roof: RGB albedo that roofs tend to, 0-255; None leaves each roof its own.
        roof_share: How far they do, 0..1.
        flat: Whether pitched roofs are flat instead.
        sun: Range of the sun's height, degrees.
        haze: Range of the haze, 0..1.
        blur: Range of the lens' blur, standard deviation in pixels.
        read: Range of the read noise, 8-bit steps.
        shot: Range of the shot noise, 8-bit steps squared for each step of brightness.
        response: Rows of the sensor's red, green and blue, columns of the light's: each row times the light.
        exposure: Range of the brightness, a factor.
        gamma: Range of the exponent of the tone curve.
    """

    dry: Range = (0, 0.75)
    tints: Mapping[str, Factors] = field(default_factory=dict)
    roof: Colour | None = None
    roof_share: float = 0.0
    flat: bool = False
    sun: Range = (28, 62)
    haze: Range = (0, 0.22)
    blur: Range = (0.15, 0.75)
    read: Range = (0.6, 2.2)
    shot: Range = (0.02, 0.12)
    response: tuple[Factors, Factors, Factors] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    exposure: Range = (0.82, 1.12)
    gamma: Range = (0.85, 1.12)

    def build(self, shape: Shape) -> Shape:
        """A building in the region's style; other shapes as they are."""
        if shape.cover != BUILDING or (self.roof is None and not self.flat):
            return shape
        return replace(shape, parts=[self._part(part) for part in shape.parts])

    def _part(self, part: Part) -> Part:
        share = self.roof_share if self.roof is not None else 0.0
        mixed = (1 - share) * np.array(part.colour) + share * np.array(self.roof or part.colour)
        red, green, blue = np.clip(np.round(mixed), 0, 255).astype(int).tolist()
        z: Height | None = part.z
        if self.flat and callable(z):
            z = float(z(part.points[:1, 0], part.points[:1, 1])[0])  # that of a corner, the eaves
        return replace(part, colour=(red, green, blue), z=z)


@dataclass(frozen=True)
class Region:
    """One region of a world with a domain gap.

    Attributes:
        name: Of its files.
        domain: ``source`` or ``target``.
        look: What its images have in common.
        gsd: Range of metres per pixel.
    """

    name: str
    domain: str
    look: Look
    gsd: Range


_RED_SOIL: Mapping[str, Factors] = {
    **dict.fromkeys(("soil", "plough", "track"), (1.25, 0.82, 0.6)),
    **dict.fromkeys(("lawn", "meadow", "scrub"), (1.15, 0.92, 0.7)),
    "gravel": (1.1, 0.9, 0.75),
    "crop": (1.05, 1.0, 0.8),
}
_DUSTY: Mapping[str, Factors] = {
    "asphalt": (1.45, 1.35, 1.2),
    "lot": (1.35, 1.28, 1.15),
    "concrete": (1.1, 1.05, 0.95),
    "canopy": (1.2, 1.12, 1.0),
    "understorey": (1.4, 1.25, 1.0),
    "water": (1.6, 1.35, 1.0),
}
_WARM = ((0.92, 0.14, 0.0), (0.06, 0.86, 0.0), (0.0, 0.12, 0.72))
_PALE = ((0.8, 0.15, 0.05), (0.12, 0.78, 0.1), (0.08, 0.2, 0.72))

DOMAINS: tuple[Region, ...] = (
    Region("greenhill", "source", Look(dry=(0, 0.3), sun=(35, 60)), (0.45, 0.55)),
    Region("redhaven", "target", Look(
        dry=(0.75, 1), tints={**_RED_SOIL, **_DUSTY}, roof=(206, 186, 158), roof_share=0.7, flat=True, sun=(50, 75),
        haze=(0.2, 0.4), blur=(0.9, 1.4), read=(3, 5), response=_WARM, exposure=(1.0, 1.2), gamma=(0.7, 0.85),
    ), (0.6, 0.75)),
    Region("eastmoor", "source", Look(dry=(0.1, 0.5), haze=(0, 0.12), blur=(0.15, 0.5)), (0.4, 0.5)),
    Region("saltcreek", "target", Look(
        dry=(0.65, 0.95), tints=_DUSTY, roof=(94, 116, 138), roof_share=0.6, sun=(18, 30), haze=(0.1, 0.3),
        blur=(0.8, 1.2), read=(4, 7), shot=(0.1, 0.2), response=_PALE, exposure=(0.95, 1.15), gamma=(0.75, 0.9),
    ), (0.55, 0.7)),
    Region("oakford", "source", Look(dry=(0.2, 0.6), sun=(28, 45), exposure=(0.8, 1.0)), (0.45, 0.55)),
    Region("highmesa", "target", Look(
        dry=(0.8, 1), tints={**_RED_SOIL, **_DUSTY}, roof=(176, 150, 128), roof_share=0.8, flat=True, sun=(40, 70),
        haze=(0.15, 0.35), blur=(1.0, 1.5), read=(3, 6), response=_PALE, exposure=(1.0, 1.25), gamma=(0.7, 0.85),
    ), (0.6, 0.8)),
)  # fmt: skip
"""The regions of the layout ``domains``: source regions are green, sharp and built with tiles, target regions are dry,
hazy and blurred, with pale or flat roofs and sensors of another colour response.  Source: ours."""
