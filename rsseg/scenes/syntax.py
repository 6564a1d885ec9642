"""Annotation texts in the syntax of the real sets: DOTA, DIOR, FAIR1M, HRSC2016."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from rsseg.structures.boxes import qbox_to_rbox

from .shapes import Array, Colour

HRSC_CLASS = {"warship": 100000003, "dry-cargo-ship": 100000004, "liquid-cargo-ship": 100000004}
"""HRSC2016 Class_ID by kind; every other ship is the general 100000001. Source: HRSC2016's class tree."""

DIFFICULT = 48.0
"""Objects whose box has fewer square pixels are flagged difficult where the syntax has a flag."""


@dataclass(frozen=True)
class Label:
    """One annotated object: class name in the label set, kind, boxes (see ``SceneObject``), 1-based position."""

    name: str
    kind: str
    hbox: Array
    qbox: Array
    number: int

    @property
    def difficult(self) -> int:
        """1 where the object is tiny, else 0."""
        x1, y1, x2, y2 = self.hbox
        return int((x2 - x1) * (y2 - y1) < DIFFICULT)

    @property
    def colour(self) -> Colour:
        """Its colour in HRSC2016's mask image: never black, different for every number."""
        value = self.number * 0x9E3779 & 0xFFFFFF
        return value >> 16, value >> 8 & 255, value & 255


def dota(labels: list[Label], gsd: float, decimals: int) -> str:
    """DOTA labelTxt: two header lines, then eight coordinates, class and difficult flag.

    Args:
        labels: What to write.
        gsd: Metres per pixel.
        decimals: 0 for integer coordinates, 1 for one decimal; real files have both.
    """
    lines = ["imagesource:GoogleEarth", f"gsd:{gsd:.12g}"]
    for label in labels:
        numbers = " ".join(f"{value:.{decimals}f}" for value in label.qbox.ravel())
        lines.append(f"{numbers} {label.name} {label.difficult}")
    return "\r\n".join(lines) + "\r\n"


def dior_horizontal(labels: list[Label], name: str, size: tuple[int, int]) -> str:
    """DIOR horizontal boxes, Pascal VOC XML with integer corners."""
    objects = "".join(
        f"\t<object>\r\n\t\t<name>{escape(label.name)}</name>\r\n\t\t<pose>Unspecified</pose>\r\n\t\t<bndbox>\r\n"
        + "".join(
            f"\t\t\t<{tag}>{int(value)}</{tag}>\r\n"
            for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), label.hbox, strict=True)
        )
        + "\t\t</bndbox>\r\n\t</object>\r\n"
        for label in labels
    )
    return (
        f"<annotation>\r\n\t<filename>{name}</filename>\r\n\t<source>\r\n\t\t<database>DIOR</database>\r\n\t</source>\r\n"
        f"\t<size>\r\n\t\t<width>{size[1]}</width>\r\n\t\t<height>{size[0]}</height>\r\n\t\t<depth>3</depth>\r\n"
        f"\t</size>\r\n\t<segmented>0</segmented>\r\n{objects}</annotation>\r\n"
    )


def dior_oriented(labels: list[Label], name: str, size: tuple[int, int]) -> str:
    """DIOR oriented boxes (DIOR-R): four integer corners and an angle in degrees."""
    corners = ("left_top", "right_top", "right_bottom", "left_bottom")
    parts = []
    for label in labels:
        points = np.round(label.qbox).astype(int)
        tags = "".join(
            f"            <{axis}_{corner}>{value}</{axis}_{corner}>\n"
            for corner, point in zip(corners, points, strict=True)
            for axis, value in zip("xy", point, strict=True)
        )
        angle = round(float(np.degrees(qbox_to_rbox(label.qbox)[4])))
        parts.append(
            f"    <object>\n        <type>robndbox</type>\n        <name>{escape(label.name)}</name>\n"
            "        <pose>Unspecified</pose>\n        <truncated>0</truncated>\n"
            f"        <difficult>{label.difficult}</difficult>\n        <robndbox>\n{tags}        </robndbox>\n"
            f"        <angle>{angle}</angle>\n    </object>\n"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<annotation>\n    <folder>JPEGImages-trainval</folder>\n'
        f"    <filename>{name}</filename>\n    <path>JPEGImages-trainval/{name}</path>\n    <source>\n"
        "        <database>Unknown</database>\n    </source>\n    <size>\n"
        f"        <width>{size[1]}</width>\n        <height>{size[0]}</height>\n        <depth>3</depth>\n"
        f"    </size>\n    <segmented>0</segmented>\n{''.join(parts)}</annotation>\n"
    )


def fair1m(labels: list[Label], name: str, size: tuple[int, int]) -> str:
    """FAIR1M: five points per object (closed), class names with spaces."""
    parts = []
    for label in labels:
        ring = np.concatenate([label.qbox, label.qbox[:1]])
        points = "".join(f"\t\t\t\t<point>{x:.6f},{y:.6f}</point>\n" for x, y in ring)
        parts.append(
            "\t\t<object>\n\t\t\t<coordinate>pixel</coordinate>\n\t\t\t<type>rectangle</type>\n"
            "\t\t\t<description>None</description>\n\t\t\t<possibleresult>\n"
            f"\t\t\t\t<name>{escape(fair1m_name(label.name))}</name>\n\t\t\t</possibleresult>\n"
            f"\t\t\t<points>\n{points}\t\t\t</points>\n\t\t</object>\n"
        )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotation>\n\t<source>\n\t\t<filename>{name}</filename>\n'
        "\t\t<origin>GF2/GF3</origin>\n\t</source>\n\t<size>\n"
        f"\t\t<width>{size[1]}</width>\n\t\t<height>{size[0]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<objects>\n{''.join(parts)}\t</objects>\n</annotation>\n"
    )


def fair1m_name(name: str) -> str:
    """A FAST class name as FAIR1M's XML spells it: spaces, except in the ``other-`` classes."""
    return name if name.startswith("other-") else name.replace("-", " ")


def hrsc(labels: list[Label], stem: str, size: tuple[int, int], gsd: float) -> str:
    """HRSC2016: horizontal and rotated box (``mbox_ang`` in radians), mask colour and bow of every ship."""
    head = {
        "Img_ID": stem, "Place_ID": 100000001, "Source_ID": 100000001, "Img_NO": stem, "Img_FileName": stem,
        "Img_FileFmt": "bmp", "Img_Date": "1900-01-01", "Img_CusType": "sealand", "Img_Des": "",
        "Img_Location": "0.000000,0.000000", "Img_SizeWidth": size[1], "Img_SizeHeight": size[0], "Img_SizeDepth": 3,
        "Img_Resolution": f"{gsd:.2f}", "Img_Resolution_Layer": 18, "Img_Scale": 100, "Img_SclPxlNum": "",
        "segmented": 1, "Img_Havemask": 1, "Img_MaskFileName": stem, "Img_MaskFileFmt": "png", "Img_MaskType": "",
        "Img_SegFileName": stem, "Img_SegFileFmt": "png", "Img_Rotation": "000d", "Annotated": 1,
    }  # fmt: skip
    objects = "".join(f"    <HRSC_Object>\n{_tags(_ship(label), 6)}    </HRSC_Object>\n" for label in labels)
    body = f"{_tags(head, 2)}  <HRSC_Objects>\n{objects}  </HRSC_Objects>\n"
    return f"<HRSC_Image>\n{body}</HRSC_Image>\n"


def _tags(values: dict[str, object], indent: int) -> str:
    return "".join(f"{' ' * indent}<{tag}>{escape(str(value))}</{tag}>\n" for tag, value in values.items())


def _ship(label: Label) -> dict[str, object]:
    x1, y1, x2, y2 = label.hbox.astype(int).tolist()
    cx, cy, w, h, angle = qbox_to_rbox(label.qbox)
    bow = np.round(label.qbox[1:3].mean(0)).astype(int)
    red, green, blue = label.colour
    return {
        "Object_ID": 100000000 + label.number, "Class_ID": HRSC_CLASS.get(label.kind, 100000001),
        "Object_NO": 100000000 + label.number, "truncated": 0, "difficult": label.difficult,
        "box_xmin": x1, "box_ymin": y1, "box_xmax": x2, "box_ymax": y2,
        "mbox_cx": f"{cx:.4f}", "mbox_cy": f"{cy:.4f}", "mbox_w": f"{w:.4f}", "mbox_h": f"{h:.4f}",
        "mbox_ang": f"{angle:.6f}", "segmented": 1, "seg_color": f"{red},{green},{blue}",
        "header_x": bow[0], "header_y": bow[1],
    }  # fmt: skip
