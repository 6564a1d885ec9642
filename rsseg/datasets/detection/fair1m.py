"""FAIR1M XML: rotated boxes as closed rings of points."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rsseg.datasets.detection.detections import Detections, Entry
from rsseg.datasets.detection.values import OnError, class_index, parse_number
from rsseg.datasets.detection.xmltree import Element, read_objects, stated_size
from rsseg.metainfo import ClassTable

__all__ = ["read_fair1m"]


def read_fair1m(path: Path | str, table: ClassTable, on_error: OnError = "raise") -> Detections:
    """Read one FAIR1M label file.

    Of each ``objects/object``, ``possibleresult/name`` gives the class (spaces stand for "-") and
    ``points/point`` ("x,y"; four, or five whose last repeats the first) ``qbox``; ``hbox`` is their hull.
    The object id is the place of the object in the file, from 1, counting skipped ones.

    Source: SAMRS release, ``ann_transform.py:51-77``.

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
    return root.one("objects").all("object"), stated_size(root.find("size"), "height", "width")


def _entry(table: ClassTable, place: int, element: Element) -> Entry:
    name = element.one("possibleresult").one("name")
    label = class_index(table, name.value, element.path, name.line)
    points = element.one("points")
    corners = [_point(point) for point in points.all("point")]
    value = " ".join(point.value for point in points.all("point"))
    closed = corners[:1] == corners[-1:]
    if len(corners) != 4 + closed:
        raise points.error(value, "a box has 4 points, or 5 with the last equal to the first")
    return Entry(points.line, str(place), label, None, [v for point in corners[:4] for v in point], False, value)


def _point(element: Element) -> tuple[float, float]:
    parts = element.value.split(",")
    if len(parts) != 2:
        raise element.error(element.value, 'a point must be "x,y"')
    x, y = (parse_number(part.strip(), element.path, element.line, "coordinate") for part in parts)
    return x, y
