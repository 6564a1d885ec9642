"""One HTML page for the change between two maps: pictures, transition matrix, flows, gains and losses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.io.georeference import GeoReference
from rsseg.io.tables import read_json
from rsseg.reports.maps.flows import flow_figure
from rsseg.reports.maps.pictures import bounded_uri, read_small
from rsseg.reports.markup import ground_area, number, percent, render
from rsseg.structures.pictures import indexed

__all__ = ["report_change"]

_log = logging.getLogger("rsseg")
_CACHE = 64 << 20
_CHIPS, _NODATA = 12, 255
_UNITS = ((1e7, 1e6, "km²"), (1e4, 1e4, "ha"), (0, 1, "m²"))
"""Square metres in total from which a table is in a unit, square metres of the unit, and its name."""
_KEYS = ("before", "after", "grid_of", "samples", "crs", "size", "classes", "colours", "unit", "areas", "compared",
         "unchanged", "pixels", "m2", "per_class", "transitions", "left_out")  # fmt: skip

Pixels = NDArray[np.uint8]


def report_change(folder: Path) -> Path:
    """Write ``change.html`` for the result of ``rsseg change`` in a folder; returns the page.

    Raises:
        OSError: A file cannot be read or written.
        DataError: ``change.json`` is not a result of that command.
    """
    found = read_json(folder / "change.json")
    if missing := [key for key in _KEYS if key not in found]:
        raise DataError(f"{folder / 'change.json'}: lacks {missing[0]!r}; run rsseg change again")
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_PAM_ENABLED="NO"):
        codes = read_small(folder / "change.tif")
        place = GeoReference.of(folder / "change.tif")
    out = folder / "change.html"
    with replacing(out) as file:
        file.write(_page(found, _pictures(found, codes), place).encode("utf-8"))
    _log.info("%s: %.1f MB", out, out.stat().st_size / 1e6)
    return out


def _colours(codes: list[str]) -> NDArray[np.uint8]:
    return np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes], np.uint8).reshape(-1, 3)


def _pictures(found: dict[str, Any], codes: NDArray[np.integer]) -> list[str]:
    """URIs of pictures of the map before, the one after, and the change; transparent where nothing is compared."""
    count = len(found["classes"])
    none, colours = codes >= count * count, np.zeros((256, 3), np.uint8)
    colours[:count] = _colours(found["colours"])
    out = []
    for ids in (codes // count, codes % count):
        picture = indexed(np.where(none, _NODATA, ids).astype(np.uint8), colours)
        out.append(bounded_uri(picture, Image.Resampling.NEAREST, "PNG", optimize=True, transparency=_NODATA))
    pairs = np.zeros((65536, 4), np.uint8)
    pairs[[row["code"] for row in found["transitions"]], :3] = _colours([row["colour"] for row in found["transitions"]])
    pairs[[row["code"] for row in found["transitions"]], 3] = 255
    picture = Image.fromarray(pairs[np.where(none, 65535, codes)])
    return [*out, bounded_uri(picture, Image.Resampling.NEAREST, "PNG", optimize=True)]


def _amount(found: dict[str, Any], value: float) -> str:
    return ground_area(value) if found["unit"] == "m2" else f"{number(value)}\u202fpx"


def _unit(found: dict[str, Any]) -> tuple[float, str]:
    """Size of the unit in which all cells of the tables are, and its name."""
    if found["unit"] != "m2":
        return 1, "pixels"
    return next((size, name) for limit, size, name in _UNITS if found["compared"]["m2"] >= limit)


def _cell(found: dict[str, Any], value: float) -> str:
    """An amount in the unit of the tables."""
    size, unit = _unit(found)
    if unit == "pixels":
        return number(value)
    return "< 0.01" if 0 < value < 0.005 * size else f"{value / size:,.2f}".replace(",", "\u202f")


def _page(found: dict[str, Any], pictures: list[str], place: GeoReference) -> str:
    amounts = np.array(found["pixels"] if found["m2"] is None else found["m2"], float)
    used = [i for i, row in enumerate(found["per_class"]) if row["before"] or row["after"]]
    key = "pixels" if found["m2"] is None else "m2"
    changes = sorted((row for row in found["transitions"] if row["from"] != row["to"]), key=lambda row: -row[key])
    places = {row["code"]: i for i, row in enumerate(found["transitions"])}
    classes = [{"name": found["classes"][i], "colour": found["colours"][i]} for i in used]
    return render(
        "change.html",
        title=f"{found['before']} to {found['after']}",
        about={"before": found["before"], "after": found["after"], "CRS": found["crs"] or "none"},
        total_rows=_totals(found, changes, key),
        size=found["size"],
        pictures=pictures,
        captions=[
            f"before: {found['before']}",
            f"after: {found['after']}",
            "change: in the colour of the new class; unchanged is pale",
        ],
        unit=_unit(found)[1],
        classes=classes,
        chips=[{**row, "index": places[row["code"]]} for row in changes[:_CHIPS]],
        more=max(len(changes) - _CHIPS, 0),
        matrix=_matrix(found, amounts, used),
        flows=flow_figure(amounts, classes, used),
        rows=_class_rows(found, used),
        left_out=_left_out(found),
        facts_rows=_facts(found),
        data={
            "colours": _colours([row["colour"] for row in found["transitions"]]).tolist(),
            "names": [
                row["name"] if row["from"] != row["to"] else f"{row['name']}, unchanged" for row in found["transitions"]
            ],
            "size": found["size"],
            "metres": place.pixel_size[0] if place.no_metres is None else None,
        },
    )


def _totals(found: dict[str, Any], changes: list[dict[str, Any]], key: str) -> list[tuple[str, str, str]]:
    total = found["compared"][key]
    changed = sum(row[key] for row in changes)
    left = sum(row["pixels"] for row in found["left_out"])
    rows = [
        ("compared", _amount(found, total), f"{number(found['compared']['pixels'])} pixels of {found['grid_of']}"),
        ("unchanged", percent(found["unchanged"]), f"{_amount(found, total - changed)} of the same class"),
        ("changed", _amount(found, changed), f"{percent(changed / total)} of what is compared"),
    ]
    if changes:
        rows.append(("largest change", _amount(found, changes[0][key]), changes[0]["name"]))
    return [*rows, ("not compared", number(left), "pixels; see below")]


def _matrix(found: dict[str, Any], amounts: NDArray[np.float64], used: list[int]) -> dict[str, Any]:
    """Rows of the transition matrix: name, colour, cells with text, share of the row and a note; and the totals."""
    names, rows = found["classes"], []
    for i in used:
        whole = amounts[i].sum()
        cells = []
        for j in used:
            share = amounts[i, j] / whole if whole else 0.0
            note = f"{names[i]} to {names[j]}: {percent(share)} of {names[i]}" if i != j else f"{percent(share)} kept"
            cells.append({"text": _cell(found, amounts[i, j]) if amounts[i, j] else "", "share": share, "note": note,
                          "kept": i == j})  # fmt: skip
        rows.append({"name": names[i], "colour": found["colours"][i], "cells": cells, "total": _cell(found, whole)})
    return {"rows": rows, "totals": [_cell(found, amounts[:, j].sum()) for j in used],
            "total": _cell(found, amounts.sum())}  # fmt: skip


def _class_rows(found: dict[str, Any], used: list[int]) -> list[dict[str, Any]]:
    """One per class, the largest net change first; bars are shares of the largest gain or loss."""
    rows = [{**found["per_class"][i], "colour": found["colours"][i]} for i in used]
    most = max((max(row["gain"], row["loss"]) for row in rows), default=0) or 1
    return [
        {
            "name": row["class"],
            "colour": row["colour"],
            "loss": 100 * row["loss"] / most,
            "gain": 100 * row["gain"] / most,
            "texts": [_cell(found, row[key]) for key in ("before", "after", "loss", "gain")],
            "net": f"{'+' if row['net'] > 0 else '−' if row['net'] < 0 else ''}{_cell(found, abs(row['net']))}",
            "kept": "–" if row["persistence"] is None else percent(row["persistence"]),
        }
        for row in sorted(rows, key=lambda row: -abs(row["net"]))
    ]


def _left_out(found: dict[str, Any]) -> dict[str, str]:
    rows = {}
    for row in found["left_out"]:
        if row["pixels"]:
            area = "" if row["m2"] is None else f" ({ground_area(row['m2'])})"
            rows[row["reason"]] = f"{number(row['pixels'])} pixels{area}"
    return rows or {"nothing": "both maps have a class everywhere"}


def _facts(found: dict[str, Any]) -> dict[str, str]:
    height, width = found["size"]
    rows = {"compared on the pixels of": found["grid_of"], "size": f"{number(width)} × {number(height)} pixels"}
    for side, count in zip(("before", "after"), found["samples"], strict=True):
        where = "" if count is None else f" at {count} × {count} samples in each pixel"
        rows[f"{side}: {found[side]}"] = "read as it is" if count == 1 else f"class that covers most of a pixel{where}"
    return {**rows, "areas": found["areas"]}
