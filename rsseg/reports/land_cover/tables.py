"""Land-cover counts as CSV files and as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsseg.datasets.checking.counts import LabelCounts
from rsseg.datasets.openearthmap.groups import Group, images_by_origin
from rsseg.datasets.openearthmap.regions import CONTINENTS, load_regions
from rsseg.io.tables import boxed, csv_writer

__all__ = ["class_text", "write_classes", "write_groups", "write_images", "write_origins"]


def write_classes(sets: Sequence[LabelCounts], path: Path) -> None:
    """Write one row per set and class; percentages are of labelled pixels, as in the paper's table 2."""
    columns = ("set", "class", "pixels", "percent", "images", "segments", "holes", "pixels_per_segment")
    with csv_writer(path, columns) as write:
        for counts in sets:
            for i, name in enumerate(counts.classes):
                pixels, segments = int(counts.pixels[:, i].sum()), int(counts.segments[:, i].sum())
                images = int((counts.pixels[:, i] > 0).sum())
                size = round(pixels / segments, 1) if segments else None
                percent = round(100 * float(counts.shares[i]), 4)
                row = (counts.name, name, pixels, percent, images, segments, int(counts.holes[:, i].sum()), size)
                write([row])


def write_images(counts: LabelCounts, groups: Sequence[Group], path: Path) -> None:
    """Write one row per image: place, origin, ground, unlabelled, and pixels and segments, also of each class."""
    where = {row: group for group in groups if group.kind == "region" for row in group.rows}
    known = load_regions()
    columns = ["image", "region", "continent", "origin", "km2", "unlabelled", "segments"]
    columns += [f"{name} {what}" for what in ("pixels", "segments") for name in counts.classes]
    with csv_writer(path, columns) as write:
        for i, file in enumerate(counts.images):
            group = where.get(i)
            place = (group.name, group.continent, known[group.name].origin) if group else (None, None, None)
            ground = _rounded(counts.square_kilometres([i]))
            numbers = [*counts.pixels[i, :-1].tolist(), *counts.segments[i].tolist()]
            write([(file.name, *place, ground, int(counts.pixels[i, -1]), int(counts.segments[i].sum()), *numbers)])


def write_groups(counts: LabelCounts, groups: Sequence[Group], path: Path) -> None:
    """Write one row per region and continent: images, ground, class mix in per cent of labelled pixels, segments."""
    known = load_regions()
    columns = ["kind", "name", "continent", "certain", "images", "images_of_xbd", "km2", "segments_per_image"]
    with csv_writer(path, [*columns, *(f"{name} %" for name in counts.classes)]) as write:
        for group in groups:
            names = [known[file.stem.rpartition("_")[0]] for file in (counts.images[row] for row in group.rows)]
            xbd, certain = sum(region.images_from_xbd for region in names), all(region.certain for region in names)
            per_image = round(float(counts.segments[group.rows].sum(1).mean()), 2)
            mix = (round(100 * float(share), 4) for share in counts.shares_of(group.rows))
            ground = _rounded(counts.square_kilometres(group.rows))
            about = (CONTINENTS[group.continent], "yes" if certain else "no", len(group.rows), xbd, ground, per_image)
            write([(group.kind, group.name, *about, *mix)])


def write_origins(counts: LabelCounts, groups: Sequence[Group], path: Path) -> None:
    """Write one row per data set that images come from: regions, images, ground, images of each continent."""
    origins = images_by_origin(groups)
    regions = {group.name for group in groups if group.kind == "region"}
    columns = ["origin", "regions", "images", "km2", *CONTINENTS.values()]
    with csv_writer(path, columns) as write:
        for origin, rows in origins.items():
            of_origin = sum(load_regions()[name].origin == origin for name in regions)
            images = [row for code in CONTINENTS for row in rows.get(code, [])]
            numbers = (len(rows.get(code, [])) for code in CONTINENTS)
            write([(origin, of_origin, len(images), _rounded(counts.square_kilometres(images)), *numbers)])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def class_text(counts: LabelCounts) -> str:
    """The paper's table 2 of a set, as text: pixels, per cent and segments of each class; and the area of table 1."""
    rows = []
    for i, name in enumerate(counts.classes):
        pixels, segments = counts.pixels[:, i].sum() / 1e6, counts.segments[:, i].sum() / 1e3
        images = int((counts.pixels[:, i] > 0).sum())
        rows.append([name, f"{pixels:.2f}", f"{100 * counts.shares[i]:.1f}", f"{segments:.1f}", images])
    total = counts.segments.sum()
    last = f"{len(counts.files)} images, {total} segments, {total / max(len(counts.files), 1):.1f} per image"
    ground = counts.square_kilometres()
    last += f", {ground:.4g} km2" if ground else ""
    table = boxed(["class", "pixels (M)", "%", "segments (K)", "images"], rows)
    return f"{counts.name}\n{table}\n{last}"
