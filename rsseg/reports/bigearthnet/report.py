"""Statistics of a BigEarthNet archive as a folder of CSV files and figures.

Source: BigEarthNet paper, table 2, fig. 2 and the text of section 3.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rsseg.datasets.bigearthnet.archive import (
    PatchInfo,
    archive_folder,
    find_patches,
    read_countries,
    read_parquet,
    season_of,
)
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.datasets.bigearthnet.counts import SEASONS, ArchiveCounts, count_archive
from rsseg.datasets.bigearthnet.shares import read_share
from rsseg.errors import ConfigError
from rsseg.io.chunks import CHUNKS
from rsseg.io.shards import Shard
from rsseg.io.tables import aligned, write_csv, write_json
from rsseg.metainfo import table_path
from rsseg.reports.bigearthnet.figures import FIGURES
from rsseg.reports.figures import save_figure

__all__ = ["report_archive"]

_log = logging.getLogger("rsseg")


def report_archive(
    root: Path,
    out: Path,
    version: str = "v1",
    metadata: Path | None = None,
    shard: Shard = Shard(),  # noqa: B008, it is a tuple
) -> ArchiveCounts:
    """Write ``classes.csv``, ``labels_per_image.csv``, ``dates.csv``, ``seasons.csv``, ``countries.csv``,
    ``totals.json`` and ``figures/``.

    Args:
        root: Where the archive was unpacked.
        out: Folder of the report; made where it is missing.
        version: ``v1`` (one JSON file per patch is read) or ``v2`` (its tables are).
        metadata: What knows the countries of v1's patches, see :func:`read_countries`.
        shard: Which share of v1's patches this job reads, of several that share the folder; the last one writes.

    Returns:
        The counts; of nothing while other jobs have not done their share.

    Raises:
        ConfigError: v2's tables are to be shared.
        FileNotFoundError: There is no such archive or table.
        OSError: Writing failed; the message names the file.
        ValueError: A table is broken.
    """
    problems: list[str] = []
    if shard.world > 1 and version != "v1":
        raise ConfigError(f"--shard is for v1, whose labels are a file for each patch; {version} has tables; remove it")
    if version == "v2":
        extra = root / "metadata_for_patches_with_snow_cloud_or_shadow.parquet"
        patches: Iterable[PatchInfo] = read_parquet(root / "metadata.parquet")
        patches = [*patches, *(read_parquet(extra) if extra.is_file() else ())]
        counts = count_archive(patches, ["nineteen"])
    else:
        base, names = archive_folder(root, version), find_patches(root, version)
        infos = read_share(base, names, out / CHUNKS, shard, problems)
        if infos is None:
            return count_archive([])
        counts = count_archive(infos, countries=read_countries(metadata) if metadata else None)
    counts.problems = problems = [*problems, *counts.problems]
    out.mkdir(parents=True, exist_ok=True)
    for name, (columns, rows) in tables(counts).items():
        write_csv(out / f"{name}.csv", columns, rows)
    for name, draw in FIGURES.items():
        save_figure(draw(tables(counts)), out / "figures" / f"{name}.png")
    totals = summary(counts, version)
    write_json(out / "totals.json", {**totals, "problems": problems})
    lines = [(key.replace("_", " "), value) for key, value in totals.items()]
    _log.info("\n%s\nwritten to %s", aligned(lines, left=2), out)
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
