"""The kinds of scene, each a layout drawn on a canvas, with its usual ground sampling distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .airfield import airport
from .canvas import Canvas
from .towns import farmland, industry, park, suburb
from .waterfront import marina, port, riverside, sea


@dataclass(frozen=True)
class Theme:
    """A kind of scene: how to draw it and the range of its ground sampling distance, metres per pixel."""

    draw: Callable[[Canvas], None]
    gsd: tuple[float, float]


THEMES: dict[str, Theme] = {
    "port": Theme(port, (0.42, 0.6)),
    "airport": Theme(airport, (0.42, 0.6)),
    "suburb": Theme(suburb, (0.24, 0.36)),
    "farmland": Theme(farmland, (0.4, 0.6)),
    "industry": Theme(industry, (0.32, 0.46)),
    "marina": Theme(marina, (0.26, 0.4)),
    "park": Theme(park, (0.3, 0.45)),
    "sea": Theme(sea, (0.4, 0.6)),
    "riverside": Theme(riverside, (0.3, 0.42)),
}
"""Every kind of scene by name."""
