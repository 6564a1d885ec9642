"""Which images of OpenEarthMap belong together: regions and continents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsseg.datasets.openearthmap.regions import CONTINENTS, OPEN_DATA, load_regions, region_of

__all__ = ["Group", "groups_of", "images_by_origin"]


@dataclass(frozen=True)
class Group:
    """Images that belong together.

    Attributes:
        kind: ``region`` or ``continent``.
        name: Its name, for example ``aachen`` or ``EU``.
        continent: Code of the continent.
        rows: Places of its images.
    """

    kind: str
    name: str
    continent: str
    rows: list[int]


def groups_of(images: Sequence[Path]) -> list[Group]:
    """Regions by continent and name, then continents; empty unless all images are called as OpenEarthMap's.

    Args:
        images: Image files.
    """
    regions: dict[str, list[int]] = {}
    known = load_regions()
    for place, path in enumerate(images):
        try:
            region = region_of(path.name)
        except ValueError:
            return []
        if region not in known:
            return []
        regions.setdefault(region, []).append(place)
    return list(_grouped(regions))


def _grouped(regions: Mapping[str, list[int]]) -> Iterator[Group]:
    known = load_regions()
    for name in sorted(regions, key=lambda name: (known[name].continent, name)):
        yield Group("region", name, known[name].continent, regions[name])
    for code in CONTINENTS:
        rows = [row for name, rows in regions.items() if known[name].continent == code for row in rows]
        if rows:
            yield Group("continent", code, code, sorted(rows))


def images_by_origin(groups: Sequence[Group]) -> dict[str, dict[str, list[int]]]:
    """Places of the images by the data set that they come from, then by code of the continent.

    The data set of most images comes first, open data last.

    Args:
        groups: From :func:`groups_of`.
    """
    known = load_regions()
    found: dict[str, dict[str, list[int]]] = {}
    for group in groups:
        if group.kind == "region":
            found.setdefault(known[group.name].origin, {}).setdefault(group.continent, []).extend(group.rows)
    sizes = {origin: sum(map(len, rows.values())) for origin, rows in found.items()}
    return {origin: found[origin] for origin in sorted(found, key=lambda name: (name == OPEN_DATA, -sizes[name], name))}
