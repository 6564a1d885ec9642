"""One HTML page for a map: map and image, legend, areas, accuracy, and how the map was made."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rasterio

from rsseg.errors import DataError, UserError
from rsseg.io.addresses import shown_name
from rsseg.io.files import replacing
from rsseg.reports.maps.files import MapFiles, open_map
from rsseg.reports.maps.pictures import image_picture, map_picture
from rsseg.reports.markup import colour_code, ground_area, number, percent, render

__all__ = ["render_map_page", "report_map"]

_log = logging.getLogger("rsseg")

_CACHE = 64 << 20  # bytes: rasterio hands this number to GDALSetCacheMax64
_HIDDEN = {"plan", "classes", "size", "source"}
_NAMES = {
    "config_sha256": "SHA-256 of the config",
    "checkpoint_sha256": "SHA-256 of the checkpoint",
    "gsd": "resampled to (m)",
    "tta": "test-time augmentation",
    "version": "rsseg",
}
_MEANS = {"OA": "overall accuracy"}
_VIEWS = {"side": "side by side", "swipe": "swipe", "blend": "blend"}


def report_map(path: Path, out: Path, image: str | None = None, bands: Sequence[int] | None = None) -> None:
    """Write the page of a map.

    Args:
        path: The map; ``<map>_areas.csv`` and ``<map>_accuracy.csv`` beside it are shown.
        out: The HTML file.
        image: What to show beside the map; None takes the map's source, if it is in the map's folder.
        bands: Bands of the image, from 1, as red, green, blue; None takes those that the map was made from.

    Raises:
        OSError: The map or the given image cannot be read, or the page cannot be written.
        DataError: The map is not a class map, or the image does not show its ground.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_PAM_ENABLED="NO"):
        text, problems = _page_of(path, image, bands)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        file.write(text.encode("utf-8"))
    for problem in problems:
        _log.warning("%s", problem)
    _log.info("%s: %.1f MB", out, len(text) / 1e6)


def _page_of(path: Path, image: str | None, bands: Sequence[int] | None) -> tuple[str, list[str]]:
    """The page, and its problems."""
    files = open_map(path)
    problems, picture, caption = list(files.problems), None, ""
    source = str(path.parent / Path(files.settings.get("source", "")).name) if image is None else image
    try:
        if image is None and (not Path(source).is_file() or path.samefile(source)):  # a map may have its image's name
            raise DataError(f"{files.settings.get('source', 'its source')} is not in the folder of the map")
        picture, note = image_picture(files, source, bands)
        caption = ", ".join(filter(None, [Path(shown_name(source)).name, note]))
    except (UserError, OSError) as error:
        if image is not None:
            raise
        problems.append(f"no image is shown: {error}; name the image with --image")
    return render_map_page(files, map_picture(files), picture, caption, problems), problems


def render_map_page(
    files: MapFiles, map_url: str, image_url: str | None, image_name: str, problems: Sequence[str]
) -> str:
    """The page as text.

    Args:
        files: The map.
        map_url: URL of its picture.
        image_url: URL of the image's picture on the same ground; None where there is none.
        image_name: Caption of the image.
        problems: Listed at the end of the page.
    """
    classes = _class_rows(files)
    has_metres = any(area.metres is not None for area in files.areas)
    return render(
        "map.html",
        title=files.path.name,
        about={key: text for key, text in _short_about(files).items() if text},
        total_rows=_totals(files),
        size=files.size,
        views=_VIEWS,
        map_url=map_url,
        image_url=image_url,
        image_caption=image_name,
        classes=classes,
        mix=[row for row in classes if row["share"]],
        areas=sorted(classes, key=lambda row: -row["share"]),
        area_columns=["class", "share", *(["km²", "m²"] if has_metres else []), "pixels"],
        has_metres=has_metres,
        accuracy=_accuracy_rows(files),
        georeference=_georeference(files),
        provenance=_provenance(files),
        problems=problems,
        no_data=_no_data(files),
        data={
            "colours": [list(colour) for colour in files.palette],
            "names": list(files.classes),
            "size": list(files.size),
            "metres": files.georeference.pixel_size[0] if files.georeference.no_metres is None else None,
        },
    )


def _crs_name(files: MapFiles) -> str:
    if files.georeference.crs is None:
        return "no CRS"
    wkt, code = files.georeference.crs.to_wkt(), files.georeference.crs.to_epsg()
    name = wkt.split('"')[1] if '"' in wkt else files.georeference.crs.to_string()
    return f"{name} (EPSG:{code})" if code else name


def _short_about(files: MapFiles) -> dict[str, str]:
    return {
        "pixels": f"{number(files.size[1])} × {number(files.size[0])}",
        "CRS": _crs_name(files),
        "made from": files.settings.get("source", ""),
        "with": " and ".join(filter(None, [files.settings.get("config"), files.settings.get("checkpoint")])),
    }


def _no_data(files: MapFiles) -> str:
    """What the pixels without a class are called; empty where there are none."""
    if sum(area.pixels for area in files.areas) == files.size[0] * files.size[1]:
        return ""
    return f"no data{_reasons(files)}"


def _reasons(files: MapFiles) -> str:
    """Why else pixels of a map may have no class."""
    reasons = {"area": " or outside of the area", "threshold": " or below the threshold"}
    return "".join(text for key, text in reasons.items() if key in files.settings)


def _totals(files: MapFiles) -> list[tuple[str, str, str]]:
    pixels = sum(area.pixels for area in files.areas)
    metres = [area.metres for area in files.areas if area.metres is not None]
    whole = files.size[0] * files.size[1]
    used = [i for i, area in enumerate(files.areas) if area.pixels]
    rows = [("mapped area", ground_area(sum(metres)), f"{number(pixels)} pixels")] if metres else []
    rows += [
        ("mapped pixels", percent(pixels / whole), f"{number(whole - pixels)} pixels without data{_reasons(files)}"),
        ("classes", str(len(used)), f"of {len(files.classes)} in the map"),
    ]
    if used:
        most = max(used, key=lambda i: files.areas[i].share)
        rows.append(("largest class", percent(files.areas[most].share), files.classes[most]))
    for score in files.accuracy[-1:]:
        iou, f1, _ = map(_score, files.accuracy[-2].values)
        rows.append(("overall accuracy", _score(score.values[2]), f"mIoU {iou}, mF1 {f1}"))
    return rows


def _class_rows(files: MapFiles) -> list[dict[str, Any]]:
    """One per class, in the order of the map."""
    most = max((area.share for area in files.areas), default=0) or 1
    return [
        {
            "name": name,
            "colour": colour_code(colour),
            "pixels": area.pixels,
            "metres": area.metres or 0.0,
            "share": area.share,
            "text": f"{100 * area.share:.2f}\u202f%",
            "width": 100 * area.share / most,
        }
        for name, colour, area in zip(files.classes, files.palette, files.areas, strict=True)
    ]


def _score(value: float | None) -> str:
    return "" if value is None else "–" if math.isnan(value) else f"{value:.2f}\u202f%"


def _accuracy_rows(files: MapFiles) -> list[dict[str, Any]]:
    """One per class of the accuracy, which may be classes common with the reference, then the means."""
    rows, palette = [], dict(zip(files.classes, files.palette, strict=True))
    for score in files.accuracy:
        iou, f1, recall = score.values
        rows.append({
            "name": _MEANS.get(score.name, score.name),
            "colour": colour_code(palette[score.name]) if score.name in palette else None,
            "width": 0.0 if iou is None or math.isnan(iou) else iou,
            "iou": _score(iou),
            "f1": _score(f1),
            "recall": _score(recall),
            "pixels": score.pixels,
        })  # fmt: skip
    return rows


def _georeference(files: MapFiles) -> dict[str, str]:
    place, (height, width) = files.georeference, files.size
    if place.is_empty:
        return {"CRS": "none; the map is not georeferenced"}
    rows = {"CRS": _crs_name(files)}
    if place.rpcs is not None:
        rows["RPC"] = "rational polynomial coefficients, kept from the image"
    if place.gcps:
        rows["ground control points"] = number(len(place.gcps))
    if place.no_metres is None:
        across, down = place.pixel_size
        rows["pixel size"] = f"{across:.6g} × {down:.6g} m on the ground, in the middle of the map"
    rows["areas"] = place.area_method
    transform = place.affine
    if transform is None:
        return rows
    if abs(transform.b) + abs(transform.d) > 1e-9 * (abs(transform.a) + abs(transform.e)):
        rows["orientation"] = "not north-up; the pictures show rows and columns"
    corners = place.coordinates([0, 0, width, width], [0, height, 0, height])
    unit = "" if place.crs is None else "°" if place.crs.is_geographic else f" {place.crs.linear_units}"
    step = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    rows["pixel in the CRS"] = f"{step[0]:.6g} × {step[1]:.6g}{unit}"
    return rows | {n: f"{v.min():.10g} to {v.max():.10g}" for n, v in zip("xy", corners, strict=True)}


def _provenance(files: MapFiles) -> dict[str, str]:
    rows = {"image": files.settings.get("source", "")}
    for key, text in files.settings.items():
        if key not in _HIDDEN and text not in ("", "null", "false"):
            rows[_NAMES.get(key, key.replace("_", " "))] = _plain(files, key)
    rows["other files"] = ", ".join(files.others)
    return rows


def _plain(files: MapFiles, key: str) -> str:
    value = files.setting(key)
    if key == "views":
        return "unchanged" if value in ([[]], None) else ", ".join(" and ".join(view) or "unchanged" for view in value)
    if key == "area":
        x1, y1, x2, y2 = value["window"]
        return f"{value['name']}: columns {x1} to {x2} and rows {y1} to {y2} of the image"
    if isinstance(value, list):
        return " × ".join(map(str, value)) if key in ("window", "overlap") else ", ".join(map(str, value))
    return "yes" if value is True else files.settings[key]
