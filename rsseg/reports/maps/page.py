"""One HTML page for a map: map and image, legend, areas, accuracy, and how the map was made."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import rasterio

from rsseg.io.files import replacing
from rsseg.reports.maps.files import MapFiles, open_map, point_at
from rsseg.reports.maps.pictures import image_picture, map_picture
from rsseg.reports.markup import about_list, colour_code, ground_area, number, page, percent, problem_list, totals

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
    "bf16": "bfloat16",
}
_MEANS = {"OA": "overall accuracy"}
_VIEWS = {"side": "side by side", "swipe": "swipe", "blend": "blend"}


def report_map(path: Path, out: Path, image: str | None = None, bands: Sequence[int] | None = None) -> None:
    """Write the page of a map.

    Args:
        path: The map; ``<map>_areas.csv`` and ``<map>_accuracy.csv`` beside it are shown.
        out: The HTML file.
        image: What to show beside the map; None takes the map's source, where it lies beside the map.
        bands: Bands of the image, from 1, as red, green, blue; None takes those that the map was made from.

    Raises:
        OSError: The map or the image given cannot be read, or the page not be written.
        ValueError: The map is no class map, or the image does not go with it.
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
    """The page, and what is wrong with it."""
    files = open_map(path)
    problems, picture, shown = list(files.problems), None, ""
    source = str(path.parent / Path(files.told.get("source", "")).name) if image is None else image
    try:
        if image is None and not Path(source).is_file():
            raise ValueError(f"{files.told.get('source', 'its source')} does not lie beside the map")
        picture, note = image_picture(files, source, bands)
        shown = ", ".join(filter(None, [Path(source).name, note]))
    except (ValueError, OSError) as error:
        if image is not None:
            raise
        problems.append(f"no image is shown; say which with --image ({error})")
    return render_map_page(files, map_picture(files), picture, shown, problems), problems


def render_map_page(
    files: MapFiles, map_url: str, image_url: str | None, image_name: str, problems: Sequence[str]
) -> str:
    """The page as text.

    Args:
        files: The map.
        map_url: Address of its picture.
        image_url: Address of the image's picture on the same ground; None where there is none.
        image_name: What stands below the image.
        problems: What to list at the end.
    """
    title = files.path.name
    sections = [
        f"<header><h1>{escape(title)}</h1>{about_list(_short_about(files))}</header>",
        f'<section aria-label="Totals" class="totals">{totals(_totals(files))}</section>',
        _viewer(files, map_url, image_url, image_name),
        f"<section><h2>Areas</h2>{_mix(files)}{_area_table(files)}</section>",
        _accuracy(files),
        f"<section><h2>Where it lies</h2>{_facts(_place(files))}</section>",
        f"<section><h2>How it was made</h2>{_facts(_provenance(files))}</section>",
        problem_list(problems),
    ]
    data = json.dumps({"colours": [list(colour) for colour in files.palette]}, separators=(",", ":"))
    return page(title, sections, data, ["page.css", "map_page.css"], ["map_page.js"])


def _crs_name(files: MapFiles) -> str:
    if files.crs is None:
        return "no CRS"
    wkt, code = files.crs.to_wkt(), files.crs.to_epsg()
    name = wkt.split('"')[1] if '"' in wkt else files.crs.to_string()
    return f"{name} (EPSG:{code})" if code else name


def _short_about(files: MapFiles) -> dict[str, str]:
    return {
        "pixels": f"{number(files.size[1])} × {number(files.size[0])}",
        "lies in": _crs_name(files),
        "made from": files.told.get("source", ""),
        "with": " and ".join(filter(None, [files.told.get("config"), files.told.get("checkpoint")])),
    }


def _totals(files: MapFiles) -> list[tuple[str, str, str]]:
    pixels = sum(area.pixels for area in files.areas)
    metres = [area.metres for area in files.areas if area.metres is not None]
    whole = files.size[0] * files.size[1]
    used = [i for i, area in enumerate(files.areas) if area.pixels]
    below = " or below the threshold" if "threshold" in files.told else ""
    rows = [("mapped", ground_area(sum(metres)), f"{number(pixels)} pixels")] if metres else []
    rows += [
        ("mapped pixels", percent(pixels / whole), f"{number(whole - pixels)} pixels without data{below}"),
        ("classes", str(len(used)), f"of {len(files.classes)} in the map"),
    ]
    if used:
        most = max(used, key=lambda i: files.areas[i].share)
        rows.append(("most of it", percent(files.areas[most].share), escape(files.classes[most])))
    for score in files.accuracy[-1:]:
        iou, f1, _ = map(_score, files.accuracy[-2].values)
        rows.append(("overall accuracy", _score(score.values[2]), f"mIoU {iou}, mF1 {f1}"))
    return rows


def _viewer(files: MapFiles, map_url: str, image_url: str | None, image_name: str) -> str:
    height, width = files.size
    views = "".join(
        f'<button type="button" class="chip" data-view="{key}" aria-pressed="false">{text}</button>'
        for key, text in _VIEWS.items()
    )
    tools = (
        f'<span role="group" aria-label="View" class="chips">{views}</span>'
        '<label id="mixer" hidden>image <input type="range" id="cut" min="0" max="100" value="50"> map</label>'
    )
    panes = ""
    if image_url is not None:
        panes = (
            f'<figure class="pane" id="image"><div class="ground"><img src="{image_url}" alt="The image" '
            f'draggable="false"></div><figcaption>{escape(image_name)}</figcaption></figure>'
        )
    panes += (
        f'<figure class="pane" id="map"><div class="ground"><img src="{map_url}" alt="The map in its colours" '
        f'draggable="false"></div><figcaption>{escape(files.path.name)}</figcaption></figure>'
    )
    chips = "".join(
        f'<button type="button" class="chip{"" if files.areas[i].pixels else " absent"}" data-class="{i}" '
        f'aria-pressed="false"><i class="dot" style="--c:{colour_code(files.palette[i])}"></i>{escape(name)}</button>'
        for i, name in enumerate(files.classes)
    )
    return (
        '<section id="viewer"><h2>Map</h2><noscript><p>The views, zoom and filter need JavaScript.</p></noscript>'
        f'<div class="tools">{tools if image_url is not None else ""}'
        '<button type="button" class="chip" id="fit">whole map</button>'
        '<span class="note">Wheel or + and −: zoom; drag: move.</span></div>'
        f'<div class="panes{"" if image_url is not None else " alone"}" data-view="side" tabindex="0" '
        f'style="--ratio:{width}/{height};--r:{width / height:.5g}">{panes}<i class="line"></i></div>'
        f'<h3>Legend <span class="note">click a class to see only it</span></h3>'
        f'<div class="chips legend" role="group" aria-label="Legend">{chips}</div></section>'
    )


def _mix(files: MapFiles) -> str:
    """All classes as one bar."""
    parts = "".join(
        f'<i style="--c:{colour_code(files.palette[i])};--w:{100 * area.share:.4f}%" '
        f'title="{escape(files.classes[i])}: {percent(area.share)}"></i>'
        for i, area in enumerate(files.areas)
        if area.share
    )
    return f'<div class="mix" role="img" aria-label="Shares of the classes">{parts}</div>' if parts else ""


def _area_table(files: MapFiles) -> str:
    known = any(area.metres is not None for area in files.areas)
    head = ["class", "share", *(["km²", "m²"] if known else []), "pixels"]
    order = sorted(range(len(files.areas)), key=lambda i: -files.areas[i].share)
    most = max((area.share for area in files.areas), default=0) or 1
    rows = []
    for i in order:
        area, colour = files.areas[i], colour_code(files.palette[i])
        wide, share = 100 * area.share / most, f"{100 * area.share:.2f}\u202f%"
        cells = [
            f'<th scope="row"><i class="dot" style="--c:{colour}"></i>{escape(files.classes[i])}</th>',
            f'<td class="bar" style="--c:{colour};--w:{wide:.2f}%"><span>{share}</span></td>',
        ]
        if known:
            metres = area.metres or 0.0
            cells += [f"<td>{metres / 1e6:.6f}</td>", f"<td>{number(metres)}</td>"]
        rows.append(f"<tr>{''.join(cells)}<td>{number(area.pixels)}</td></tr>")
    return _table(head, rows, "areas", "Area of every class")


def _table(head: Sequence[str], rows: Sequence[str], name: str, label: str) -> str:
    columns = "".join(f'<th scope="col">{text}</th>' for text in head)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table id="{name}"><thead><tr>{columns}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _score(value: float | None) -> str:
    return "" if value is None else "–" if math.isnan(value) else f"{value:.2f}\u202f%"


def _accuracy(files: MapFiles) -> str:
    if not files.accuracy:
        return ""
    rows, palette = [], dict(zip(files.classes, files.palette, strict=True))
    for score in files.accuracy:
        own = palette.get(score.name)
        iou, colour = score.values[0], "var(--accent)" if own is None else colour_code(own)
        dot = "" if own is None else f'<i class="dot" style="--c:{colour}"></i>'
        wide = 0.0 if iou is None or math.isnan(iou) else iou
        rows.append(
            f'<tr><th scope="row">{dot}{escape(_MEANS.get(score.name, score.name))}</th>'
            f'<td class="bar" style="--c:{colour};--w:{wide:.2f}%"><span>{_score(iou)}</span></td>'
            f"<td>{_score(score.values[1])}</td><td>{_score(score.values[2])}</td><td>{number(score.pixels)}</td></tr>"
        )
    head = ["class", "IoU", "F1", "recall", "reference pixels"]
    return (
        '<section><h2>Accuracy</h2><p class="note">Against the reference labels that were given with the map.</p>'
        + _table(head, rows, "accuracy", "Accuracy")
        + "</section>"
    )


def _place(files: MapFiles) -> dict[str, str]:
    t, (height, width) = files.transform, files.size
    corners = [point_at(t, x, y) for x in (0, width) for y in (0, height)]
    unit = "" if files.crs is None else "°" if files.crs.is_geographic else f" {files.crs.linear_units}"
    across, down = math.hypot(t.a, t.d), math.hypot(t.b, t.e)
    turned = abs(t.b) > 1e-9 * across or abs(t.d) > 1e-9 * across
    metres = sum(area.metres for area in files.areas if area.metres is not None)
    pixels = sum(area.pixels for area in files.areas)
    if t.is_identity and files.crs is None:
        return {"CRS": "none: the map has no place on the ground"}
    return {
        "CRS": _crs_name(files),
        "pixel": f"{across:.6g} × {down:.6g}{unit}",
        "area of a pixel": f"{metres / pixels:.4g} m² on average" if metres and pixels else "",
        "turned": "pixels do not lie north up; the pictures show rows and columns" if turned else "",
        "x": " to ".join(f"{bound(x for x, _ in corners):.10g}" for bound in (min, max)),
        "y": " to ".join(f"{bound(y for _, y in corners):.10g}" for bound in (min, max)),
    }


def _provenance(files: MapFiles) -> dict[str, str]:
    rows = {"image": files.told.get("source", "")}
    for key, text in files.told.items():
        if key not in _HIDDEN and text not in ("", "null", "false"):
            rows[_NAMES.get(key, key.replace("_", " "))] = _plain(files, key)
    rows["other files"] = ", ".join(files.others)
    return rows


def _plain(files: MapFiles, key: str) -> str:
    value = files.setting(key)
    if key == "views":
        return "as it is" if value in ([[]], None) else ", ".join(" and ".join(view) or "as it is" for view in value)
    if isinstance(value, list):
        return " × ".join(map(str, value)) if key in ("window", "overlap") else ", ".join(map(str, value))
    return "yes" if value is True else files.told[key]


def _facts(rows: dict[str, str]) -> str:
    body = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in rows.items() if text)
    return f'<dl class="facts">{body}</dl>'
