"""The kinds of object, how each is drawn, and what each label set calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import aircraft, buildings, facilities, vehicles, vessels
from .shapes import Shape, bar, box, ellipse


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes:
        draw: Makes a random example of its shape; further keyword arguments fix some of its sizes.
        names: Class name by label set (``sota``, ``sior``, ``fast``, ``hrsc``); a set not listed doesn't annotate it.
    """

    draw: Callable[..., Shape]
    names: dict[str, str] = field(default_factory=dict)


def _bridge(rng: np.random.Generator, length: float = 80.0, width: float = 12.0) -> Shape:
    shape = Shape(length, width, cover=4)
    shape.add(box(0, 0, length, width), (150, 148, 142), 3.5)
    shape.add(box(0, 0, length, width - 2.2), (104, 104, 104), 3.5)
    for x in np.arange(-length / 2 + 2, length / 2 - 2, 7.0):
        shape.add(bar(float(x), 0, float(x) + 3, 0, 0.3), facilities.LINE)
    for y in (-width / 2 + 0.3, width / 2 - 0.3):
        shape.add(bar(-length / 2, y, length / 2, y, 0.6), (186, 184, 178), 4.5)
    return shape


def _roundabout(rng: np.random.Generator, radius: float = 18.0, lane: float = 7.0) -> Shape:
    shape = Shape(2 * radius, 2 * radius, cover=4)
    shape.add(ellipse(0, 0, radius, count=44), (102, 102, 103))
    shape.add(ellipse(0, 0, radius - lane, count=36), (188, 184, 174))
    shape.add(ellipse(0, 0, radius - lane - 0.8, count=36), (92, 116, 62), 0.3)
    shape.add(ellipse(0, 0, (radius - lane) * 0.4, count=20), (166, 128, 96), 0.5)
    return shape


def _name(sota: str = "", sior: str = "", fast: str = "", hrsc: str = "") -> dict[str, str]:
    pairs = {"sota": sota, "sior": sior, "fast": fast, "hrsc": hrsc}
    return {label_set: name for label_set, name in pairs.items() if name}


def _plane(fast: str) -> dict[str, str]:
    return _name("plane", "airplane", fast)


def _ship(fast: str) -> dict[str, str]:
    return _name("ship", "ship", fast, "ship")


KINDS: dict[str, Kind] = {
    "regional-jet": Kind(aircraft.regional_jet, _plane("A220")),
    "narrow-body": Kind(aircraft.narrow_body, _plane("Boeing737")),
    "wide-body": Kind(aircraft.wide_body, _plane("Boeing747")),
    "light-plane": Kind(aircraft.light_plane, _plane("other-airplane")),
    "helicopter": Kind(aircraft.helicopter, _name("helicopter")),
    "helipad": Kind(facilities.helipad, _name("helipad")),
    "motorboat": Kind(vessels.motorboat, _ship("Motorboat")),
    "fishing-boat": Kind(vessels.fishing_boat, _ship("Fishing-Boat")),
    "dry-cargo-ship": Kind(vessels.dry_cargo_ship, _ship("Dry-Cargo-Ship")),
    "liquid-cargo-ship": Kind(vessels.liquid_cargo_ship, _ship("Liquid-Cargo-Ship")),
    "warship": Kind(vessels.warship, _ship("Warship")),
    "car": Kind(vehicles.car, _name("small-vehicle", "vehicle", "Small-Car")),
    "van": Kind(vehicles.van, _name("small-vehicle", "vehicle", "Van")),
    "bus": Kind(vehicles.bus, _name("large-vehicle", "vehicle", "Bus")),
    "cargo-truck": Kind(vehicles.cargo_truck, _name("large-vehicle", "vehicle", "Cargo-Truck")),
    "storage-tank": Kind(facilities.storage_tank, _name("storage-tank", "storagetank")),
    "tennis-court": Kind(facilities.tennis_court, _name("tennis-court", "tenniscourt", "Tennis-Court")),
    "basketball-court": Kind(
        facilities.basketball_court, _name("basketball-court", "basketballcourt", "Basketball-Court")
    ),
    "soccer-field": Kind(facilities.soccer_field, _name("soccer-ball-field", "", "Football-Field")),
    "baseball-diamond": Kind(facilities.baseball_diamond, _name("baseball-diamond", "baseballfield", "Baseball-Field")),
    "swimming-pool": Kind(facilities.swimming_pool, _name("swimming-pool")),
    "harbor": Kind(facilities.pier, _name("harbor", "harbor")),
    "container-crane": Kind(facilities.container_crane, _name("container-crane")),
    "windmill": Kind(facilities.windmill, _name("", "windmill")),
    "bridge": Kind(_bridge, _name("bridge", "bridge", "Bridge")),
    "roundabout": Kind(_roundabout, _name("roundabout", "", "Roundabout")),
    "house": Kind(buildings.house),
    "block": Kind(buildings.block),
    "shed": Kind(buildings.shed),
}
"""Kind name -> how to draw it and its class name in each label set (names as in ``rsseg.metainfo``)."""


def class_name(kind: str, label_set: str) -> str | None:
    """What a label set calls a kind, or None where it has no such class."""
    return KINDS[kind].names.get(label_set)
