"""Writers of label files in the real layouts, and what the readers should say about each line of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rsseg.datasets.detection import READERS, Detections
from rsseg.metainfo import ClassTable, load_metainfo

Line = tuple[str, str]
SIZE = (100, 200)


@dataclass
class Row:
    """One object to write: texts, so that nonsense can be written too; ``box`` is x1 y1 x2 y2."""

    name: str = "ship"
    box: Sequence[str] = ("10", "20", "30", "60")
    difficult: str = "0"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def corners(self) -> list[tuple[str, str]]:
        x1, y1, x2, y2 = self.box
        return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def dota(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    lines = [("", "imagesource:GoogleEarth"), ("", "gsd:0.25")]
    for i, row in enumerate(rows):
        numbers = " ".join(f"{x} {y}" for x, y in row.corners)
        lines.append((f"{i}", f"{numbers} {row.name} {row.difficult}"))
    return lines


def _voc(rows: Sequence[Row], size: tuple[int, int], box: Callable[[int, Row], list[Line]]) -> list[Line]:
    lines = [("root", "<annotation>"), ("", "<size>"), ("", f"<width>{size[1]}</width>")]
    lines += [("", f"<height>{size[0]}</height>"), ("", "</size>")]
    for i, row in enumerate(rows):
        lines += [(f"{i} object", "<object>"), (f"{i} name", f"<name>{row.name}</name>")]
        lines += [(f"{i} difficult", f"<difficult>{row.difficult}</difficult>")]
        lines += [*box(i, row), ("", "</object>")]
    return [*lines, ("", "</annotation>")]


def dior(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    def box(i: int, row: Row) -> list[Line]:
        tags = zip(("xmin", "ymin", "xmax", "ymax"), row.box, strict=True)
        values = [(f"{i} {tag}", f"<{tag}>{value}</{tag}>") for tag, value in tags]
        return [(f"{i} box", "<bndbox>"), *values, ("", "</bndbox>")]

    return _voc(rows, size, box)


def dior_oriented(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    def box(i: int, row: Row) -> list[Line]:
        names = ("left_top", "right_top", "right_bottom", "left_bottom")
        values = []
        for name, (x, y) in zip(names, row.corners, strict=True):
            values += [(f"{i} x_{name}", f"<x_{name}>{x}</x_{name}>"), ("", f"<y_{name}>{y}</y_{name}>")]
        return [(f"{i} box", "<robndbox>"), *values, ("", "</robndbox>"), ("", "<angle>0</angle>")]

    return _voc(rows, size, box)


def fair1m(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    lines = [("root", "<annotation>"), ("", "<size>"), ("", f"<width>{size[1]}</width>")]
    lines += [("", f"<height>{size[0]}</height>"), ("", "</size>"), ("", "<objects>")]
    for i, row in enumerate(rows):
        lines += [(f"{i} object", "<object>"), ("", "<possibleresult>")]
        lines += [(f"{i} name", f"<name>{row.name}</name>"), ("", "</possibleresult>"), (f"{i} box", "<points>")]
        corners = row.extra.get("points", [*row.corners, row.corners[0]])
        lines += [(f"{i} point{k}", f"<point>{x},{y}</point>") for k, (x, y) in enumerate(corners)]
        lines += [("", "</points>"), ("", "</object>")]
    return [*lines, ("", "</objects>"), ("", "</annotation>")]


def hrsc(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    lines = [("root", "<HRSC_Image>"), ("", f"<Img_SizeWidth>{size[1]}</Img_SizeWidth>")]
    lines += [("", f"<Img_SizeHeight>{size[0]}</Img_SizeHeight>"), ("", "<HRSC_Objects>")]
    for i, row in enumerate(rows):
        values = dict(zip(("box_xmin", "box_ymin", "box_xmax", "box_ymax"), row.box, strict=True))
        values |= {"mbox_cx": "20", "mbox_cy": "40", "mbox_w": "20", "mbox_h": "40", "mbox_ang": "0"}
        values |= {"seg_color": "", "difficult": row.difficult} | row.extra
        lines += [(f"{i} object", "<HRSC_Object>"), ("", f"<Object_ID>{1000 + i}</Object_ID>")]
        lines += [(f"{i} {tag}", f"<{tag}>{value}</{tag}>") for tag, value in values.items()]
        lines += [("", "</HRSC_Object>")]
    return [*lines, ("", "</HRSC_Objects>"), ("", "</HRSC_Image>")]


def coco(rows: Sequence[Row], size: tuple[int, int]) -> list[Line]:
    names = list(dict.fromkeys(row.name for row in rows))
    annotations = []
    for i, row in enumerate(rows):
        x1, y1, x2, y2 = (float(v) for v in row.box)
        annotation = {"id": 50 + i, "image_id": 7, "category_id": 3 + names.index(row.name), "iscrowd": 0}
        annotation |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": [[1, 2, 3, 4, 5, 6]]} | row.extra
        annotations.append(annotation)
    images = [{"id": 7, "file_name": "a.png", "height": size[0], "width": size[1]}]
    categories = [{"id": 3 + i, "name": name} for i, name in enumerate(names)]
    data = {"images": images, "annotations": annotations, "categories": categories}
    return [("", line) for line in json.dumps(data, indent=1).splitlines()]


@dataclass
class Format:
    """A format to test: its writer, its reader, and which line a row's parts are written to."""

    key: str
    table: ClassTable
    ids: tuple[str, str, str]
    rotated: bool
    writer: Callable[[Sequence[Row], tuple[int, int]], list[Line]]
    lines: list[Line] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.key.split()[0]

    def write(self, folder: Path, rows: Sequence[Row], size: tuple[int, int] = SIZE, stem: str = "a") -> Path:
        suffix = {"dota": ".txt", "coco": ".json"}.get(self.name, ".xml")
        folder.mkdir(parents=True, exist_ok=True)
        self.lines = self.writer(rows, size)
        path = folder / f"{stem}{suffix}"
        path.write_text("\n".join(text for _, text in self.lines) + "\n", encoding="utf-8")
        return path

    def read(self, path: Path, on_error: str = "raise") -> Detections:
        record = READERS[self.name](path, self.table, on_error)
        return record["a.png"] if self.name == "coco" else record

    def line(self, row: int, *parts: str) -> int | None:
        """Line of the first of ``parts`` that this format writes; DOTA has one line per row, COCO none."""
        if self.name == "coco":
            return None
        keys = [key for key, _ in self.lines]
        wanted = [f"{row}"] if self.name == "dota" else [f"{row} {part}" for part in parts]
        return 1 + next(keys.index(key) for key in wanted if key in keys)


def _formats() -> dict[str, Format]:
    places = ("1", "2", "3")
    rows = [
        ("dota", "sota", places, True, dota),
        ("dior", "sior", places, False, dior),
        ("dior oriented", "sior", places, True, dior_oriented),
        ("fair1m", "fast", places, True, fair1m),
        ("hrsc", "hrsc", ("1000", "1001", "1002"), False, hrsc),
        ("coco", "nwpu_vhr10", ("50", "51", "52"), False, coco),
    ]
    return {key: Format(key, load_metainfo(table), ids, rot, writer) for key, table, ids, rot, writer in rows}


@pytest.fixture(params=list(_formats()))
def label_format(request: pytest.FixtureRequest) -> Format:
    """Each format in turn."""
    return _formats()[request.param]


@pytest.fixture
def formats() -> dict[str, Format]:
    """All formats by name."""
    return _formats()


@pytest.fixture
def row() -> Callable[..., Row]:
    """Make a row to write: ``row(name=..., box=..., difficult=..., extra=...)``."""
    return Row
