"""Legends of pictures: names beside the colours of classes, and stripes where there is no label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["STRIPES", "Entry", "add_legend", "class_entries", "draw_swatch", "hatch", "legend_font"]

Pixels = NDArray[np.uint8]
Entry = tuple[str, Sequence[int] | None]
"""Name and RGB of a class; None for stripes."""

STRIPES = (148, 156, 166)
"""RGB of the stripes, on white."""
_PERIOD, _WIDTH = 8, 2
_OVER = 0.6  # of the stripes over an image
_TEXT, _EDGE = "#1c2430", "#8a93a0"
_SIZE, _ROW, _PAD, _SWATCH = 13, 22, 8, 13


def hatch(pixels: Pixels, where: NDArray[np.bool_], over: bool = False) -> Pixels:
    """Pixels (H, W, 3) RGB with diagonal stripes ``where`` (H, W) there is nothing; ``over`` keeps what is between."""
    stripes = np.add.outer(np.arange(where.shape[0]), np.arange(where.shape[1])) % _PERIOD < _WIDTH
    if over:
        mixed = pixels * (1 - _OVER) + np.array(STRIPES) * _OVER
        return np.where((where & stripes)[..., None], mixed, pixels).round().astype(np.uint8)
    drawn = np.where(stripes[..., None], STRIPES, (255, 255, 255))
    return np.where(where[..., None], drawn, pixels).astype(np.uint8)


def class_entries(
    labels: Iterable[NDArray[np.integer]],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    unlabelled: str | None = None,
) -> list[Entry]:
    """Entries of the classes that occur in label maps (H, W), in the order of the table.

    Args:
        labels: The maps; ids without a class have no entry.
        classes: Names.
        palette: RGB of every class.
        unlabelled: Name of the pixels with 255, which come last; None for no entry.
    """
    found = set[int]()
    for values in labels:
        found |= set(np.unique(values).tolist())
    entries: list[Entry] = [(name, palette[i]) for i, name in enumerate(classes) if i in found]
    return entries + ([(unlabelled, None)] if unlabelled is not None and 255 in found else [])


@cache
def legend_font(size: int = _SIZE, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of matplotlib, which has the letters of most European languages."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def draw_swatch(sheet: Image.Image, place: tuple[int, int], side: int, colour: Sequence[int] | None) -> None:
    """Draw a square of ``side`` pixels at x y: a colour, or stripes for None."""
    square = np.full((side, side, 3), colour if colour is not None else 255, np.uint8)
    if colour is None:
        square = hatch(square, np.ones((side, side), bool))
    sheet.paste(Image.fromarray(square), place)
    ImageDraw.Draw(sheet).rectangle((*place, place[0] + side, place[1] + side), outline=_EDGE)


def add_legend(picture: Pixels, entries: Sequence[Entry]) -> Pixels:
    """Picture (H, W, 3) RGB with a legend below, in as many rows as needed; it gets wider for a name that is wider."""
    if not entries:
        return picture
    font = legend_font()
    widths = [_SWATCH + 6 + round(font.getlength(name)) + 2 * _PAD for name, _ in entries]
    width = max(picture.shape[1], *(wide + _PAD for wide in widths))
    places, x, y = [], _PAD, _PAD
    for wide in widths:
        if x > _PAD and x + wide > width:
            x, y = _PAD, y + _ROW
        places.append((x, y))
        x += wide
    sheet = Image.new("RGB", (width, picture.shape[0] + y + _ROW + _PAD // 2), "white")
    sheet.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(sheet)
    for (name, colour), (x, y) in zip(entries, places, strict=True):
        top = picture.shape[0] + y
        draw_swatch(sheet, (x, top), _SWATCH, colour)
        draw.text((x + _SWATCH + 6, top - 1), name, _TEXT, font)
    return np.asarray(sheet)
