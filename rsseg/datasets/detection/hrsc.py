"""HRSC2016 XML: ships with a horizontal and a rotated box each."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from rsseg.datasets.detection.detections import Detections, Entry
from rsseg.datasets.detection.values import OnError, parse_flag
from rsseg.datasets.detection.xmltree import Element, read_objects, stated_size
from rsseg.metainfo import ClassTable
from rsseg.structures.boxes import rbox_to_qbox

__all__ = ["read_hrsc"]

_SIDES = ("box_xmin", "box_ymin", "box_xmax", "box_ymax")
_COLOR = re.compile(r"(\d{1,3}) *, *(\d{1,3}) *, *(\d{1,3})")


def read_hrsc(path: Path | str, table: ClassTable, on_error: OnError = "raise") -> Detections:
    """Read one HRSC2016 label file.

    ``box_xmin .. box_ymax`` give ``hbox``; ``mbox_cx mbox_cy mbox_w mbox_h mbox_ang`` (pixels, radians,
    clockwise on screen) give ``qbox``.  Every object is a ship whatever its ``Class_ID``: its label is the
    table's ``ship``.  ``extra["seg_color"]`` holds the (r, g, b) the object has in its mask image, 0-255
    each, or ``None`` where the file leaves it empty.  The object id is ``Object_ID``.

    Source: HRSC2016 release (measured); the single class as in the SAMRS paper.

    Args:
        path: The ``.xml`` file.
        table: Class table with a class ``ship``.
        on_error: ``"raise"`` the first problem, or ``"skip"`` such objects (all of them in a broken file) and
            list them in ``problems``.

    Raises:
        AnnotationError: The file or an object is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: There is no such file.
        ValueError: ``table`` has no class ``ship``.
    """
    return read_objects(path, "HRSC_Image", _head, partial(_entry, table.index("ship")), table, on_error)


def _head(root: Element) -> tuple[list[Element], tuple[int, int] | None]:
    objects = root.one("HRSC_Objects").all("HRSC_Object")
    return objects, stated_size(root, "Img_SizeHeight", "Img_SizeWidth")


def _entry(label: int, _: int, element: Element) -> Entry:
    object_id = element.one("Object_ID").value
    hbox = [element.number(tag) for tag in _SIDES]
    centre = [element.number(tag) for tag in ("mbox_cx", "mbox_cy")]
    sides = [element.number(tag, positive=True) for tag in ("mbox_w", "mbox_h")]
    qbox = rbox_to_qbox([*centre, *sides, element.number("mbox_ang")]).ravel().tolist()
    difficult = element.find("difficult")
    flag = difficult is not None and parse_flag(difficult.value, element.path, difficult.line, "<difficult>")
    value = " ".join(element.one(tag).value for tag in _SIDES)
    line = element.one("box_xmin").line
    return Entry(line, object_id, label, hbox, qbox, flag, value, {"seg_color": _seg_color(element)})


def _seg_color(element: Element) -> tuple[int, int, int] | None:
    child = element.find("seg_color")
    if child is None or not child.value:
        return None
    match = _COLOR.fullmatch(child.value)
    color = [int(part) for part in match.groups()] if match else []
    if len(color) != 3 or max(color) > 255:
        raise child.error(child.value, '<seg_color> must be "r,g,b" with whole numbers in 0..255, or empty')
    return color[0], color[1], color[2]
