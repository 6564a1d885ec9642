"""A map over its image as one picture with a legend, to look at and to pass on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.errors import NotGeoreferencedWarning

from rsseg.io.files import replacing
from rsseg.reports.maps.files import MapFiles, open_map
from rsseg.reports.maps.pictures import image_pixels, map_labels
from rsseg.reports.markup import ground_area, percent
from rsseg.structures.legends import draw_swatch, hatch, legend_font
from rsseg.structures.pictures import colourise

__all__ = ["overlay", "stack_overlays", "write_overlay"]

_CACHE = 64 << 20
_NODATA = 255
_SMALLEST = 800
_TINT, _OUTLINE = 0.45, 0.95
_TEXT, _FAINT = "#1c2430", "#5d6672"
_SIZE, _ROW, _PAD, _SWATCH = 15, 25, 16, 15
_ALL = 24
_LONGEST = 36


def write_overlay(path: Path, image: str, out: Path, bands: Sequence[int] | None = None) -> None:
    """Write a map over its image, with a legend, as a PNG.

    Args:
        path: The map; ``<map>_areas.csv`` beside it is read.
        image: The image that it was made from.
        out: The picture.
        bands: Bands of the image, from 1, as red, green, blue; None takes those that the map was made from.

    Raises:
        OSError: A file cannot be read or written.
        DataError: The map is not a class map, or the image does not show its ground.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_PAM_ENABLED="NO"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        files = open_map(path)
        pixels, valid, _ = image_pixels(files, image, bands)
        picture = overlay(pixels, valid, map_labels(files), files.palette)
    with replacing(out) as file:
        _with_legend(picture, files).save(file, "PNG", optimize=True)


def stack_overlays(pictures: Mapping[str, Path], out: Path) -> None:
    """Put pictures of one image one below the other, each with its name above it.

    Args:
        pictures: Name -> picture, such as the overlay of a model's head.
        out: The picture, a PNG.

    Raises:
        OSError: A file cannot be read or written.
    """
    parts = {}
    for name, path in pictures.items():
        with Image.open(path) as picture:
            parts[name] = picture.convert("RGB")
    height = sum(part.height + _ROW for part in parts.values())
    whole = Image.new("RGB", (max(part.width for part in parts.values()), height), "white")
    draw, y = ImageDraw.Draw(whole), 0
    for name, part in parts.items():
        draw.text((_PAD, y + (_ROW - _SIZE) // 2), name, fill=_TEXT, font=legend_font(_SIZE))
        whole.paste(part, (0, y + _ROW))
        y += part.height + _ROW
    with replacing(out) as file:
        whole.save(file, "PNG", optimize=True)


def overlay(
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    labels: NDArray[np.uint8],
    palette: Sequence[Sequence[int]],
) -> NDArray[np.uint8]:
    """An image tinted by its classes, with their outlines; striped where there is no class.

    Args:
        pixels: (1 or 3, h, w) values of the image.
        valid: (h, w) where it has data; the rest is white between the stripes.
        labels: (h, w) class ids, 255 for none: there the image is seen between the stripes.
        palette: RGB of every class.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    image = np.moveaxis(np.broadcast_to(pixels, (3, *labels.shape)), 0, 2).astype(np.float32)
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        change = np.diff(labels, axis=axis) != 0
        first, second = (np.moveaxis(edge, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        first |= np.moveaxis(change, axis, 0)
        second |= np.moveaxis(change, axis, 0)
    share = np.where(edge, _OUTLINE, _TINT)[..., None] * (labels != _NODATA)[..., None]
    mixed = image * (1 - share) + colourise(labels, palette) * share
    drawn = np.where((valid | (labels != _NODATA))[..., None], mixed, 255).round().astype(np.uint8)
    return hatch(drawn, labels == _NODATA, over=True)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True)
class _Row:
    colour: tuple[int, int, int] | None  # None for stripes
    name: str
    share: str
    area: str


def _rows(files: MapFiles) -> tuple[list[_Row], list[str]]:
    """Rows of the legend, and notes below them."""
    few = len(files.classes) <= _ALL
    rows = [
        _Row(colour, _short(name), percent(area.share), "" if area.metres is None else ground_area(area.metres))
        for colour, name, area in zip(files.palette, files.classes, files.areas, strict=True)
        if few or area.pixels
    ]
    left = 1 - sum(area.pixels for area in files.areas) / (files.size[0] * files.size[1])
    notes = []
    if left > 0:
        threshold = files.setting("threshold")
        below = "" if threshold is None else f" or below {threshold:g}"
        rows.append(_Row(None, f"no data{below}", percent(left), ""))
        notes.append("no data: share of all pixels")
    absent = len(files.classes) - sum(row.colour is not None for row in rows)
    if absent:
        notes.append(f"{absent} other classes do not occur")
    return rows, notes


def _with_legend(picture: NDArray[np.uint8], files: MapFiles) -> Image.Image:
    """The picture (small ones enlarged), and the legend at its right in as many columns as its height needs."""
    factor = max(1, _SMALLEST // max(picture.shape[:2]))
    image = Image.fromarray(picture.repeat(factor, 0).repeat(factor, 1))
    rows, notes = _rows(files)
    plain, bold = legend_font(_SIZE), legend_font(_SIZE, bold=True)
    title = _short(files.settings.get("source", files.path.name))

    def width(texts: Sequence[str]) -> int:
        return round(max((plain.getlength(text) for text in texts), default=0))

    ends = list(accumulate((2 * _SWATCH + width([row.name for row in rows]),
                            _PAD + width([row.share for row in rows]),
                            _PAD + width([row.area for row in rows]))))  # fmt: skip
    around = 3 * _PAD + _ROW * (1 + len(notes))
    height = max(image.height, around + _ROW * min(len(rows), 8))
    deep = (height - around) // _ROW
    columns = max(1, -(-len(rows) // deep))
    wide = max(columns * (ends[-1] + 2 * _PAD) - 2 * _PAD, width(notes), round(bold.getlength(title)))
    sheet = Image.new("RGB", (image.width + wide + 2 * _PAD, height), "white")
    sheet.paste(image, (0, 0))
    draw, left = ImageDraw.Draw(sheet), image.width + _PAD
    draw.text((left, _PAD), title, _TEXT, bold)
    for i, row in enumerate(rows):
        x, y = left + (i // deep) * (ends[-1] + 2 * _PAD), _PAD + _ROW * (1 + i % deep) + _PAD // 2
        draw_swatch(sheet, (x, y + 2), _SWATCH, row.colour)
        draw.text((x + 2 * _SWATCH, y), row.name, _TEXT, plain)
        draw.text((x + ends[1], y), row.share, _FAINT, plain, anchor="ra")
        draw.text((x + ends[2], y), row.area, _FAINT, plain, anchor="ra")
    for i, note in enumerate(notes):
        draw.text((left, 2 * _PAD + _ROW * (1 + min(len(rows), deep) + i)), note, _FAINT, plain)
    return sheet
