"""Reading what ``tools/convert_labels.py`` wrote."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from rsseg.datasets.labels.records import Instance, LabelledSet, LabelledTile
from rsseg.errors import DataError
from rsseg.metainfo import IGNORE, ClassTable, load_metainfo

__all__ = ["ConvertedSet", "check_classes", "converted_classes"]

_START, _END = b'"annotations":[', b"]"


class ConvertedSet(LabelledSet):
    """A converted set: ``manifest.json``, ``tiles.csv``, ``instances.json``, ``gray/`` and maybe ``images/``.

    Args:
        root: Output folder of the conversion.
        images: Folder of the source images where no tiles were cut; the one in the manifest by default.
        classes: Class table (name or path of a ``.json``); the one in the manifest by default.

    Raises:
        FileNotFoundError: The conversion has not finished.
        DataError: The set has other classes than the table, or in another order.
    """

    def __init__(self, root: Path, images: Path | None = None, classes: str | None = None) -> None:
        self.root = root
        for name in ("manifest.json", "tiles.csv", "instances.json"):
            if not (root / name).is_file():
                raise FileNotFoundError(f"{root / name} is missing; run tools/convert_labels.py to its end first")
        self.manifest = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
        source = self.manifest["config"]["source"]
        self.table = load_metainfo(classes or source["classes"])
        check_classes(root, self.table)
        self._images = images or Path(source["images"])
        with (root / "tiles.csv").open(encoding="utf-8", newline="") as file:
            self._rows = list(csv.DictReader(file))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[LabelledTile]:
        path = self.root / "instances.json"
        groups = groupby(_annotations(path), key=lambda row: int(row["image_id"]))
        number, group = next(groups, (0, iter(())))
        for i, row in enumerate(self._rows, start=1):
            instances = []
            if number == i:
                instances = [self._instance(annotation) for annotation in group]
                number, group = next(groups, (0, iter(())))
            yield self._tile(row, instances)
        if number:
            raise DataError(f"{path}: image id {number} is not in the order of tiles.csv; merge the conversion again")

    def _tile(self, row: dict[str, str], instances: list[Instance]) -> LabelledTile:
        name = row["tile"]
        places = (self.root / "images" / f"{name}.png", self._images / row["source"])
        return LabelledTile(
            name=name,
            source=row["source"],
            image=next((path for path in places if path.is_file()), None),
            labels=self.root / "gray" / f"{name}.png",
            size=(int(row["height"]), int(row["width"])),
            offset=(int(row["x"]), int(row["y"])),
            split=row["split"],
            instances=instances,
        )

    def _instance(self, row: dict[str, Any]) -> Instance:
        x, y, w, h = row["bbox"]
        height, width = row["segmentation"]["size"]
        at_border = bool(w) and (min(x, y) == 0 or x + w == width or y + h == height)
        return Instance(
            label=row["category_id"] - 1,
            rle=row["segmentation"],
            area=row["area"],
            bbox=(x, y, x + w, y + h),
            predicted_iou=row["predicted_iou"],
            stability=row["stability"],
            mask_to_box=row.get("mask_to_box"),
            touches_border=row.get("touches_border", at_border),
            prompt_box=_tuple(row["prompt_box"]),
            rbox=_tuple(row.get("rbox")),
            qbox=_tuple(row.get("qbox")),
            source_object_id=row["source_object_id"],
        )


def converted_classes(root: Path) -> tuple[str, ...] | None:
    """Class names of a converted set, by the ids in its label maps; None where nothing in the folder says so.

    They stand in ``manifest.json``; sets of earlier versions have them in the categories of ``instances.json`` only.

    Raises:
        DataError: A file is damaged.
    """
    manifest, instances = root / "manifest.json", root / "instances.json"
    try:
        known = json.loads(manifest.read_bytes()).get("classes") if manifest.is_file() else None
        if known is None and instances.is_file():
            rows = _categories(instances)
            known = [row["name"] for row in sorted(rows, key=lambda row: row["id"])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{root}: manifest.json or instances.json is damaged ({error}); convert again") from error
    return tuple(known) if known else None


def _categories(path: Path) -> list[dict[str, Any]]:
    """The categories of a COCO file, without reading all of one that the conversion wrote."""
    start = b'"categories":'
    with path.open("rb") as file:
        for line in (file.readline() for _ in range(2)):
            if line.startswith(start):
                return list(json.loads(line[len(start) :].rstrip(b",\r\n")))
    return list(json.loads(path.read_bytes())["categories"])


def check_classes(root: Path, table: ClassTable) -> None:
    """See that the ids in a converted set's label maps mean the classes of a table.

    Classes of the table that stand for unlabelled pixels (255) or for none may come on top.

    Raises:
        DataError: They mean others, or in another order; the message has both lists.
    """
    known = converted_classes(root)
    if known is None:
        return
    own = {name: values for name, values in zip(table.classes, table.raw_values, strict=True) if set(values) - {IGNORE}}
    if own != {name: (i,) for i, name in enumerate(known)}:
        given = sorted(own, key=lambda name: own[name])
        raise DataError(
            f"{root} was converted with the classes {', '.join(known)}; the class table {table.name} has "
            f"{', '.join(given)}. Names and order must be the same: load it with the table that it was converted with, "
            "or convert again with this one"
        )


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _annotations(path: Path) -> Iterator[dict[str, Any]]:
    """The annotations of ``instances.json``, one line at a time.

    Raises:
        ValueError: The file is not laid out as the conversion writes it.
    """
    inside = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not inside:
                inside = line.startswith(_START)
            elif line.startswith(_END):
                return
            else:
                try:
                    yield json.loads(line.rstrip(b",\r\n"))
                except ValueError as error:
                    raise DataError(f"{path}, line {number}: not one annotation ({error}); convert again") from error
    raise DataError(f"{path} does not hold one annotation a line to its end; run the conversion again")
