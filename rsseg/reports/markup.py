"""HTML that all pages share: the frame of a page that is one file, and its numbers, colours and pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from PIL import Image

__all__ = [
    "about_list",
    "colour_code",
    "data_uri",
    "ground_area",
    "number",
    "page",
    "percent",
    "problem_list",
    "totals",
]

_PROBLEMS = 200


def page(title: str, sections: Sequence[str], data: str, styles: Sequence[str], scripts: Sequence[str]) -> str:
    """A whole page that needs no server and no network.

    Args:
        title: Plain text.
        sections: HTML; empty ones are left out.
        data: JSON for the scripts, in ``#data``; any ``<`` in it is escaped here.
        styles: CSS files of this package.
        scripts: JavaScript files of this package.
    """
    css, js = ("".join(map(_asset, names)) for names in (styles, scripts))
    data = data.replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f'<link rel="icon" href="data:,">\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n'
        + "\n".join(filter(None, sections))
        + f'\n</main>\n<script type="application/json" id="data">{data}</script>\n'
        f"<script>\n{js}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return files("rsseg.reports").joinpath(name).read_text(encoding="utf-8")


def number(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def ground_area(metres: float) -> str:
    """An area in square metres with a unit that suits it."""
    for limit, unit in ((1e6, "km²"), (1e4, "ha")):
        if metres >= limit:
            return f"{_brief(metres / limit)}\u202f{unit}"
    return f"{_brief(metres)}\u202fm²"


def _brief(value: float) -> str:
    return number(value) if value >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share in 0..1 in per cent."""
    return f"{100 * share:.3g}\u202f%"


def colour_code(colour: Sequence[int]) -> str:
    """RGB as in CSS."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def about_list(about: Mapping[str, str]) -> str:
    """Names and texts in a line; empty texts are left out."""
    rows = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(text)}</dd></div>" for key, text in about.items() if text)
    return f'<dl class="about">{rows}</dl>' if rows else ""


def totals(rows: Sequence[tuple[str, str, str]]) -> str:
    """Large numbers in boxes: name, number, note."""
    return "".join(
        f'<div class="total"><span class="name">{name}</span><b>{value}</b><span class="note">{note}</span></div>'
        for name, value, note in rows
    )


def problem_list(problems: Sequence[str]) -> str:
    """A section with the problems, the first 200 of them."""
    if not problems:
        return ""
    rows = "".join(f"<li>{escape(problem)}</li>" for problem in problems[:_PROBLEMS])
    more = len(problems) - _PROBLEMS
    rows += f"<li>and {more} more</li>" if more > 0 else ""
    return f'<section id="problems"><h2>Problems ({len(problems)})</h2><ul>{rows}</ul></section>'


def data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    """A picture as a ``data:`` address; ``kind`` and options are Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
