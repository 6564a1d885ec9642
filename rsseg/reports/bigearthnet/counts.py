"""What is in a BigEarthNet archive: images per class, labels per image, seasons, dates and countries.

Source: BigEarthNet paper, table 2, fig. 2 and the text of section 3.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import CRSError
from rasterio.warp import transform

from rsseg.datasets.bigearthnet.archive import (
    PatchInfo,
    archive_folder,
    find_patches,
    read_countries,
    read_jsons,
    read_parquet,
    season_of,
)
from rsseg.datasets.bigearthnet.corine import LABEL_SETS, load_label_set
from rsseg.datasets.bigearthnet.countries import countries_at
from rsseg.io.files import replacing
from rsseg.metainfo import table_path
from rsseg.reports.bigearthnet.figures import FIGURES
from rsseg.reports.tables import csv_writer, write_json

__all__ = ["ArchiveCounts", "count_archive", "report_archive"]

_log = logging.getLogger("rsseg")

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
        except ValueError as error:
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


def report_archive(root: Path, out: Path, version: str = "v1", metadata: Path | None = None) -> ArchiveCounts:
    """Write ``classes.csv``, ``labels_per_image.csv``, ``dates.csv``, ``seasons.csv``, ``countries.csv``,
    ``totals.json`` and ``figures/``.

    Args:
        root: Where the archive was unpacked.
        out: Folder of the report; made where it is missing.
        version: ``v1`` (one JSON file per patch is read) or ``v2`` (its tables are).
        metadata: What knows the countries of v1's patches, see :func:`read_countries`.

    Raises:
        FileNotFoundError: There is no such archive or table.
        OSError: Writing failed; the message names the file.
        ValueError: A table is broken.
    """
    problems: list[str] = []
    if version == "v2":
        extra = root / "metadata_for_patches_with_snow_cloud_or_shadow.parquet"
        patches: Iterable[PatchInfo] = read_parquet(root / "metadata.parquet")
        patches = [*patches, *(read_parquet(extra) if extra.is_file() else ())]
        counts = count_archive(patches, ["nineteen"])
    else:
        base, names = archive_folder(root, version), find_patches(root, version)
        known = read_countries(metadata) if metadata else None
        counts = count_archive(read_jsons(base, names, "count", problems), countries=known)
    counts.problems = problems = [*problems, *counts.problems]
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for name, (columns, rows) in tables(counts).items():
        with csv_writer(out / f"{name}.csv", columns) as add_rows:
            add_rows(rows)
    for name, draw in FIGURES.items():
        figure = draw(tables(counts))
        with replacing(out / "figures" / f"{name}.png") as file:
            figure.savefig(file, format="png", metadata={"Software": None})
    totals = summary(counts, version)
    write_json(out / "totals.json", {**totals, "problems": problems})
    _log.info(
        "\n%s\nwritten to %s", "\n".join(f"{key.replace('_', ' '):24} {value}" for key, value in totals.items()), out
    )
    return counts


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def tables(counts: ArchiveCounts) -> dict[str, tuple[list[str], list[list[Any]]]]:
    """Columns and rows of every table; ``paper`` is what the paper counts in the whole of v1."""
    rows = json.loads(table_path("bigearthnet").read_text(encoding="utf-8"))["categories"]
    codes, paper = {row["name"]: row["code"] for row in rows}, {row["name"]: row["images"] for row in rows}
    classes = []
    for name in (name for name, found in counts.classes.items() if found):
        for i, label in enumerate(load_label_set(name).classes):
            code, n = (
                (codes.get(label), counts.classes[name][i]) if name == "level3" else (None, counts.classes[name][i])
            )
            classes.append([name, code, label, n, _share(n, counts.images), paper.get(label) if code else None])
    longest = max(counts.labels, default=0)
    labels = [[n, counts.labels[n], _share(counts.labels[n], counts.images)] for n in range(longest + 1)]
    by_date = [[date, season_of(date), count] for date, count in sorted(counts.dates.items())]
    by_season = [[season, n, _share(n, counts.images), SEASONS[season]] for season, n in counts.seasons.items()]
    by_country = [[country, n, _share(n, counts.images)] for country, n in sorted(counts.countries.items())]
    return {
        "classes": (["labels", "code", "class", "images", "share", "paper"], classes),
        "labels_per_image": (["labels", "images", "share"], labels),
        "dates": (["date", "season", "images"], by_date),
        "seasons": (["season", "images", "share", "paper"], by_season),
        "countries": (["country", "images", "share"], by_country),
    }


def summary(counts: ArchiveCounts, version: str) -> dict[str, Any]:
    """The numbers that the paper's text gives."""
    labels = sum(n * count for n, count in counts.labels.items())
    few = sum(count for n, count in counts.labels.items() if n <= 5)
    return {
        "version": version,
        "images": counts.images,
        "labels_per_image": _share(labels, counts.images),
        "most_labels": max(counts.labels, default=0),
        "share_with_at_most_5": _share(few, counts.images),
        "images_with_more_than_9": sum(count for n, count in counts.labels.items() if n > 9),
        "images_without_the_19": counts.unlabelled["nineteen"],
        "first_date": min(counts.dates, default=""),
        "last_date": max(counts.dates, default=""),
        "countries": len(counts.countries),
    }
