"""From the parts of all source images to instances.json, tiles.csv, the split and manifest.json.

The merge reads the parts in the order of their stems and depends on nothing else, so it can be repeated, and by
any process.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rsseg.conversion.parts import tile_rows
from rsseg.conversion.review import Outcome, Review, review_summary
from rsseg.conversion.settings import Settings
from rsseg.conversion.source_image import problem_row, source_name
from rsseg.conversion.splits import split_tiles, write_splits
from rsseg.conversion.storage import Store
from rsseg.datasets.detection import DetectionSource
from rsseg.datasets.labels.decisions import Key, state_of
from rsseg.io.coco import CocoWriter
from rsseg.io.tables import csv_bytes, parse_json

__all__ = ["merge_parts"]

_COLUMNS = ("tile", "source", "x", "y", "width", "height", "split")
_PACKAGES = (
    "rsseg", "numpy", "opencv-python", "opencv-python-headless", "pillow", "pycocotools", "torch", "segment-anything",
    "transformers",
)  # fmt: skip


@dataclass
class _Totals:
    counts: dict[str, int] = field(default_factory=dict)
    per_class: dict[str, int] = field(default_factory=dict)
    rows: list[list[Any]] = field(default_factory=list)
    lists: dict[str, list[Any]] = field(default_factory=dict)
    omitted: Counter[str] = field(default_factory=Counter)
    right: set[Key] = field(default_factory=set)

    def add(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    def note(self, name: str, values: list[Any]) -> None:
        if values:
            self.lists.setdefault(name, []).extend(values)


def merge_parts(
    store: Store, source: DetectionSource, settings: Settings, about: dict[str, Any], review: Review | None = None
) -> dict[str, Any]:
    """Write ``instances.json`` (COCO), ``tiles.csv``, the split's lists and, last, ``manifest.json``.

    COCO ids: category = class id + 1, images and annotations from 1 in file order.

    Args:
        store: The output folder; every source image must have its part.
        source: The images and labels.
        settings: The config.
        about: The predictor's description.
        review: What reviewers decided, where that was applied.

    Returns:
        The manifest.
    """
    totals = _Totals(per_class=dict.fromkeys(settings.table.classes, 0))
    with store.replacing("instances.json") as file:
        writer = CocoWriter(file, f"{settings.table.name}, converted by rsseg", settings.table.classes)
        _write_instances(writer, store, source, settings, totals, {} if review is None else review.accepted)
        writer.close()
    tiles, sources = [row[0] for row in totals.rows], [row[1] for row in totals.rows]
    splits = split_tiles(tiles, sources, **asdict(settings.split))
    rows = ([*row, split] for row, split in zip(totals.rows, splits, strict=True))
    store.write("tiles.csv", csv_bytes(_COLUMNS, rows))
    manifest = _manifest(source, settings, about, totals) | {"splits": write_splits(store, tiles, splits)}
    if review is not None:
        known = {source_name(item, settings) for item in source.items}
        manifest["review"] = review_summary(review, totals.lists, known, totals.right)
    store.write_json("manifest.json", manifest, indent=1)
    return manifest


def _write_instances(
    writer: CocoWriter,
    store: Store,
    source: DetectionSource,
    settings: Settings,
    totals: _Totals,
    accepted: Mapping[str, Mapping[Key, Outcome]],
) -> None:
    """Write images and annotations of all parts; counts and collects everything else on the way."""
    classes = settings.table.classes
    for item in source.items:
        part = store.read_part(item.stem)
        if part is None:
            raise FileNotFoundError(
                f"{store.part_path(item.stem)}: part is missing or damaged; run the conversion again"
            )
        _count(part, item.stem, totals)
        kept: set[str] = set()
        looked_at = {key[1] for key in accepted.get(part["source"], ())}
        for tile, rows in tile_rows(part):
            totals.rows.append([tile["tile"], part["source"], *(tile[k] for k in _COLUMNS[2:6])])
            name = f"{tile['tile']}.{settings.tile_format}" if settings.cuts_tiles else part["source"]
            origin = {"source_image": part["source"], "tile_offset": [tile["x"], tile["y"]]}
            size = {"width": tile["width"], "height": tile["height"]}
            writer.add_image({"file_name": name, **size, **origin})
            writer.add_encoded(tile["labels"], rows, origin)
            kept.update(tile["object_ids"])
            for label in tile["labels"]:
                totals.per_class[classes[label]] += 1
            if tile["tile"] in looked_at:
                totals.right.update(accepted[part["source"]].keys() & _keys(part["source"], tile, rows, classes))
            totals.add("empty_masks", tile["empty_masks"])
            totals.add("instances", len(rows))
        totals.add("kept_objects", len(kept))
        totals.add("dropped_objects", len({row["source_object_id"] for row in _dropped(part)} - kept))


def _dropped(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Objects that policies and reviewers took out, with their tiles; of tiles that are left out, too."""
    own = [{"tile": tile["tile"], **row} for tile in part["tiles"] for row in tile.get("dropped", [])]
    return own + part.get("dropped", [])


def _keys(source: str, tile: Mapping[str, Any], rows: Sequence[bytes], classes: Sequence[str]) -> set[Key]:
    """What reviewers call the instances of a tile."""
    own = zip(tile["object_ids"], tile["labels"], rows, strict=True)
    return {(source, tile["tile"], name, state_of(classes[label], parse_json(row))) for name, label, row in own}


def _count(part: dict[str, Any], stem: str, totals: _Totals) -> None:
    totals.add("source_images", 1)
    totals.add("source_objects", part["objects"])
    totals.add("unassigned_objects", len(part["unassigned"]))
    totals.add("objects_in_failed_images", part["objects"] if part["failed"] else 0)
    totals.add("tiles", len(part["tiles"]))
    totals.add("images_without_tiles", int(not part["tiles"]))
    totals.add("tiles_without_objects", len(part["empty_tiles"]))
    totals.add("problems", len(part["problems"]))
    mended = part.get("mended", [])  # parts of earlier versions have none
    totals.add("mended_boxes", sum(row["what"] == "box" for row in mended))
    totals.add("mended_polygons", sum(row["what"] == "polygon" for row in mended))
    totals.omitted.update(part.get("omitted", {}))
    totals.note("mended", [{"source": part["source"], **row} for row in mended])
    dropped = _dropped(part)
    totals.add("dropped_instances", len(dropped))
    totals.note("dropped", dropped)
    for name in ("reviewed", "stale"):
        totals.note(name, [{"source": part["source"], **row} for row in part.get(name, ())])
    totals.note("unassigned", [{"source": part["source"], "object_id": name} for name in part["unassigned"]])
    totals.note("problems", part["problems"])
    totals.note("tiles_without_objects", part["empty_tiles"])
    totals.note("failed_images", [part["source"]] if part["failed"] else [])
    totals.note("images_without_objects", [part["source"]] if not part["objects"] and not part["failed"] else [])


def _manifest(source: DetectionSource, settings: Settings, about: dict[str, Any], totals: _Totals) -> dict[str, Any]:
    for error in source.problems:
        totals.add("problems", 1)
        totals.note("problems", [problem_row(error)])
    names = ("unassigned", "problems", "failed_images", "images_without_objects", "tiles_without_objects",
             "dropped", "mended")  # fmt: skip
    totals.counts["omitted_objects"] = sum(totals.omitted.values())
    for name in ("failed_images", "images_without_objects"):
        totals.counts[name] = len(totals.lists.get(name, []))
    totals.counts["images_without_labels"] = len(source.without_annotation)
    counts = ("source_images", "failed_images", "images_without_objects", "images_without_tiles",
              "images_without_labels", "source_objects", "omitted_objects", "kept_objects",
              "unassigned_objects", "dropped_objects",
              "objects_in_failed_images", "tiles", "tiles_without_objects", "instances", "empty_masks",
              "dropped_instances", "mended_boxes", "mended_polygons", "problems")  # fmt: skip
    return {
        "label_set": settings.table.name,
        "classes": list(settings.table.classes),
        "config": {**settings.as_dict(), "split": asdict(settings.split), "preset": settings.preset},
        "prompt": settings.prompt,
        "predictor": about,
        "versions": _versions(),
        "counts": {name: totals.counts.get(name, 0) for name in counts},
        "instances_per_class": totals.per_class,
        "omitted": dict(sorted(totals.omitted.items())),
        "finished_shards": len(source.items),
        "images_without_annotation": [path.name for path in source.without_annotation],
        **{name: totals.lists.get(name, []) for name in names},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
