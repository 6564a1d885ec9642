"""DIOR XML (Pascal VOC style), horizontal and oriented."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rsseg.datasets.detection.detections import Detections, Entry
from rsseg.datasets.detection.values import OnError, class_index, parse_flag
from rsseg.datasets.detection.xmltree import Element, read_objects, stated_size
from rsseg.metainfo import ClassTable

__all__ = ["read_dior"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_CORNERS = tuple(
    f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in "xy"
)


def read_dior(path: Path | str, table: ClassTable, on_error: OnError = "raise") -> Detections:
    """Read one DIOR label file, from the horizontal or the oriented release.

    ``object/bndbox`` (``xmin ymin xmax ymax``) gives ``hbox``; ``object/robndbox`` gives ``qbox`` in the
    order top-left, top-right, bottom-right, bottom-left; the missing one of the two is derived.  Class names
    match whatever their case.  Coordinates are kept as written.  A file without objects gives an empty
    record.  The object id is the place of the object in the file, from 1, counting skipped ones.

    Source: DIOR and DIOR-R releases (measured on 205 + 205 files).

    Args:
        path: The ``.xml`` file.
        table: Class table of the labels.
        on_error: ``"raise"`` the first problem, or ``"skip"`` such objects (all of them in a broken file) and
            list them in ``problems``.

    Raises:
        AnnotationError: The file or an object is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: There is no such file.
    """
    return read_objects(path, "annotation", _head, partial(_entry, table), table, on_error)


def _head(root: Element) -> tuple[list[Element], tuple[int, int] | None]:
    for group in root.all("objects"):
        raise group.error("<objects>", "not DIOR, where <object> lies in <annotation>: a FAIR1M file?")
    return root.all("object"), stated_size(root.find("size"), "height", "width")


def _entry(table: ClassTable, place: int, element: Element) -> Entry:
    name = element.one("name")
    label = class_index(table, name.value, element.path, name.line)
    difficult = element.find("difficult")
    flag = difficult is not None and parse_flag(difficult.value, element.path, difficult.line, "<difficult>")
    straight, rotated = element.find("bndbox"), element.find("robndbox")
    holder = straight or rotated
    if holder is None:
        raise element.error("<object>", "an object must contain <bndbox> or <robndbox>")
    hbox = None if straight is None else [straight.number(tag) for tag in _SIDES]
    qbox = None if rotated is None else [rotated.number(tag) for tag in _CORNERS]
    value = " ".join(holder.one(tag).value for tag in (_SIDES if straight else _CORNERS))
    return Entry(holder.line, str(place), label, hbox, qbox, flag, value)
