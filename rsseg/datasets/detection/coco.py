"""COCO instances JSON: one file for many images."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from rsseg.datasets.detection.detections import Detections, Entry, collect
from rsseg.datasets.detection.values import (
    AnnotationError,
    OnError,
    check_on_error,
    class_index,
    parse_flag,
    parse_number,
    settle,
)
from rsseg.io.coco import read_sections
from rsseg.io.sums import sum_of
from rsseg.metainfo import ClassTable

__all__ = ["CocoDetections", "read_coco"]

Row = dict[str, Any]


class CocoDetections(dict[str, Detections]):
    """Image file name, as written in the JSON -> record.

    Attributes:
        problems: What belongs to no record: bad entries of ``images`` and ``categories``, annotations of no
            image.
        digests: Image file name -> hash of all that the file says about this image, classes by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[AnnotationError] = []
        self.digests: dict[str, str] = {}


class _Image(NamedTuple):
    file_name: str
    size: tuple[int, int] | None


def read_coco(path: Path | str, table: ClassTable, on_error: OnError = "raise") -> CocoDetections:
    """Read a COCO instances file.

    ``bbox`` (x y width height) gives ``hbox``.  Classes go by category *name*, never by id.  ``difficult`` is
    ``iscrowd``; ``extra["segmentation"]`` (polygons or RLE) and ``extra["iscrowd"]`` are kept as in the file.
    The object id is the annotation id; ``lines`` are ``None`` and messages name the annotation id instead.
    Images without annotations have an empty record.

    Source: COCO data format; NWPU VHR-10 instances (measured).

    Args:
        path: The ``.json`` file, UTF-8.
        table: Class table of the labels.
        on_error: ``"raise"`` the first problem, or ``"skip"`` such objects and images (in a broken file all)
            and list them: in the record of their image, or in the ``problems`` of the result.

    Raises:
        AnnotationError: The file or an object is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: There is no such file.
    """
    check_on_error(on_error)
    path = Path(path)
    result = CocoDetections()
    try:
        sections = read_sections(path)
    except AnnotationError as error:
        settle([error], on_error)
        result.problems.append(error.with_traceback(None))
        return result
    checks = result.problems
    images = _gather(sections["images"], partial(_image, path), checks, path, "image", unique_names=True)
    categories = _gather(sections["categories"], partial(_category, path), checks, path, "category")
    rows = _gather(sections["annotations"], partial(_owner, path, images), checks, path, "annotation")
    settle(checks, on_error)
    grouped: dict[Any, list[Row]] = defaultdict(list)
    for row in rows.values():
        grouped[row["image_id"]].append(row)
    for image_id, image in images.items():
        result.digests[image.file_name] = _digest(image, grouped[image_id], categories)
        result[image.file_name] = collect(
            path,
            grouped[image_id],
            partial(_entry, path, table, categories),
            table,
            size=image.size,
            on_error=on_error,
            stem=PurePosixPath(image.file_name).stem,
        )
    return result


def _digest(image: _Image, rows: list[Row], categories: dict[Any, str]) -> str:
    """Hash of an image's entry and annotations; ids of images and categories do not count, names do."""
    own = [
        {**row, "image_id": None, "category_id": categories.get(row.get("category_id"), row.get("category_id"))}
        if isinstance(row.get("category_id"), int | str)
        else row
        for row in rows
    ]
    return sum_of(json.dumps([image, own], sort_keys=True).encode())[:32]


def _gather(
    rows: list[Any],
    parse: Callable[[Row], Any],
    problems: list[AnnotationError],
    path: Path,
    what: str,
    *,
    unique_names: bool = False,
) -> dict[Any, Any]:
    """Id -> parsed row; rows that fail, and later rows with an id (or name) already used, become problems."""
    found: dict[Any, Any] = {}
    names: set[str] = set()
    for row in rows:
        try:
            row_id = _id(row, "id", path, what)
            if row_id in found:
                raise AnnotationError(path, None, row_id, f"{what} {row_id}: id used twice, ids must be unique")
            parsed = parse(row)
            if unique_names and parsed.file_name in names:
                reason = f"{what} {row_id}: file name used twice, every image must have its own"
                raise AnnotationError(path, None, parsed.file_name, reason)
        except AnnotationError as error:
            problems.append(error.with_traceback(None))
            continue
        found[row_id] = parsed
        if unique_names:
            names.add(parsed.file_name)
    return found


def _id(row: object, key: str, path: Path, what: str) -> int | str:
    if not isinstance(row, dict):
        raise AnnotationError(path, None, row, f"{what}: must be an object")
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        named = f"{what} {row['id']}" if key != "id" else what
        raise AnnotationError(path, None, value, f'{named}: "{key}" must be a whole number or text')
    return value


def _image(path: Path, row: Row) -> _Image:
    where = f"image {row['id']}"
    name = row.get("file_name")
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not isinstance(name, str) or not parts or parts[0] == "/" or ".." in parts:
        raise AnnotationError(path, None, name, f'{where}: "file_name" must lie inside the image folder')
    sides = [row.get(key) for key in ("height", "width")]
    if sides == [None, None]:
        return _Image(name, None)
    for side in sides:
        if isinstance(side, bool) or not isinstance(side, int) or side <= 0:
            reason = f'{where}: "height" and "width" must be whole numbers above 0'
            raise AnnotationError(path, None, side, reason)
    return _Image(name, (row["height"], row["width"]))


def _category(path: Path, row: Row) -> str:
    name = row.get("name")
    if not isinstance(name, str):
        raise AnnotationError(path, None, name, f'category {row["id"]}: "name" must be text')
    return name


def _owner(path: Path, images: dict[Any, _Image], row: Row) -> Row:
    image_id = _id(row, "image_id", path, "annotation")
    if image_id not in images:
        reason = f'annotation {row["id"]}: "image_id" is the id of no usable entry in "images"'
        raise AnnotationError(path, None, image_id, reason)
    return row


def _entry(path: Path, table: ClassTable, categories: dict[Any, str], _: int, row: Row) -> Entry:
    where = f"annotation {row['id']}: "
    category = _id(row, "category_id", path, "annotation")
    if category not in categories:
        reason = f'{where}"category_id" is the id of no entry in "categories", allowed are {list(categories)}'
        raise AnnotationError(path, None, category, reason)
    label = class_index(table, categories[category], path, None, where)
    bbox = row.get("bbox")
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise AnnotationError(path, None, bbox, f'{where}"bbox" must be [x, y, width, height]')
    if any(isinstance(v, str) for v in bbox):
        raise AnnotationError(path, None, bbox, f'{where}"bbox" must hold numbers, not text')
    x, y, width, height = (parse_number(v, path, None, f'{where}"bbox"') for v in bbox)
    crowd = parse_flag(row.get("iscrowd"), path, None, f'{where}"iscrowd"')
    extra = {"segmentation": row.get("segmentation"), "iscrowd": int(crowd)}
    return Entry(None, str(row["id"]), label, [x, y, x + width, y + height], None, crowd, str(bbox), extra)
