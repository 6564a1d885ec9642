"""HTML pages from the templates of this package, and how they write numbers, colours and pictures.

A page is one file that needs no server and no network: styles, scripts and pictures lie in it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["colour_code", "data_uri", "ground_area", "number", "percent", "render"]


def render(template: str, **values: Any) -> str:
    """A page as text; every value is escaped for where it stands, so that no name can add markup or script.

    Args:
        template: File in ``rsseg/reports/templates``.
        values: What the template shows; ``data`` goes to the scripts as JSON in ``#data``.

    Raises:
        jinja2.UndefinedError: The template uses a value that was not given.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("rsseg.reports", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"number": number, "percent": percent}
    environment.globals["asset"] = lambda name: loader.get_source(environment, name)[0]
    return environment


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


def data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    """A picture as a ``data:`` URI; ``kind`` and options are Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
