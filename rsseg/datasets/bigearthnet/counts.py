"""What is in a BigEarthNet archive: images per class, labels per image, seasons, dates and countries.

Source: BigEarthNet paper, table 2, fig. 2 and the text of section 3.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from rasterio.errors import CRSError
from rasterio.warp import transform

from rsseg.datasets.bigearthnet.archive import PatchInfo, season_of
from rsseg.datasets.bigearthnet.corine import LABEL_SETS, load_label_set
from rsseg.datasets.bigearthnet.countries import countries_at
from rsseg.errors import UserError

__all__ = ["SEASONS", "ArchiveCounts", "count_archive"]

SEASONS = {"autumn": 154943, "winter": 117156, "spring": 189276, "summer": 128951}
"""Images of v1 in each season. Source: BigEarthNet paper, section 3."""
_ZONE = re.compile(r"UTM zone (\d+)([NS])")
_TO_MIDDLE = np.array([600.0, -600.0])


@dataclass
class ArchiveCounts:
    """Counts of an archive.

    Attributes:
        images: Number of patches.
        classes: By label set, the images of each of its classes.
        unlabelled: By label set, the images without a class of it.
        labels: Images by their number of labels.
        dates: Images by day.
        countries: Images by country; ``unknown`` where nothing tells.
        problems: What could not be read, a line each.
    """

    images: int = 0
    classes: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in LABEL_SETS})
    unlabelled: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    dates: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def seasons(self) -> dict[str, int]:
        """Images by season."""
        out = dict.fromkeys(SEASONS, 0)
        for date, count in self.dates.items():
            if date:
                out[season_of(date)] += count
        return out


def count_archive(
    patches: Iterable[PatchInfo], sets: Iterable[str] = LABEL_SETS, countries: Mapping[str, str] | None = None
) -> ArchiveCounts:
    """Count in one pass, without keeping the patches.

    Args:
        patches: The archive.
        sets: Label sets to count in.
        countries: Country of patches by name, where it is known better than from their place.

    Returns:
        The counts; a patch with a label of no such set is not counted, but among the problems.
    """
    counts, known = ArchiveCounts(), countries or {}
    label_sets = [load_label_set(name) for name in sets]
    places: dict[str, list[tuple[float, float]]] = {}
    for info in patches:
        try:
            found = [one.ids(info.labels, f"patch {info.name}") for one in label_sets]
        except UserError as error:
            counts.problems.append(str(error))
            continue
        counts.images += 1
        counts.labels[len(info.labels)] += 1
        counts.dates[info.date] += 1
        for one, ids in zip(label_sets, found, strict=True):
            counts.classes[one.name].update(ids)
            counts.unlabelled[one.name] += not ids
        country = info.country or known.get(info.name)
        if country:
            counts.countries[country] += 1
        elif info.corner is None or not info.projection:
            counts.countries["unknown"] += 1
        else:
            places.setdefault(info.projection, []).append(info.corner)
    for projection, corners in places.items():
        counts.countries.update(_countries(projection, corners))
    return counts


def _countries(projection: str, corners: list[tuple[float, float]]) -> Counter[str]:
    """Countries of the middles of patches whose upper left corners are given in metres; unknown in no known system."""
    zone = _ZONE.search(projection)
    system = f"EPSG:{326 if zone[2] == 'N' else 327}{int(zone[1]):02d}" if zone else projection
    found: Counter[str] = Counter()
    for start in range(0, len(corners), 8192):
        middles = np.array(corners[start : start + 8192]) + _TO_MIDDLE
        try:
            places = np.stack(transform(system, "EPSG:4326", middles[:, 0], middles[:, 1])[:2], 1)
        except CRSError:
            return Counter(unknown=len(corners))
        found.update(countries_at(places))
    return found
