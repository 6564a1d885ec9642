"""Names and colours of the classes of a map, from the metadata that maps of rsseg have."""

from __future__ import annotations

from typing import Any

from rsseg.errors import ConfigError
from rsseg.io.tables import parse_json
from rsseg.metainfo.words import word_table

__all__ = ["MapClasses", "classes_of"]

MapClasses = tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]
"""Names and RGB colours; class ``i`` is the value ``i`` of the map."""
_UNKNOWN = (128, 128, 128)


def classes_of(file: Any) -> MapClasses | None:
    """Classes of an open dataset of rasterio; None where it is no class map with names.

    A TIFF has a name for each value in the metadata of its band (``class_0``), a PNG a list in its own.  Of a map
    without a palette, as programs leave it that drop them, colours are chosen by the names.
    """
    names = {int(k[6:]): v for k, v in file.tags(1).items() if k.startswith("class_") and k[6:].isdecimal()}
    names = names or dict(enumerate(_listed(file.tags().get("RSSEG_CLASSES", "[]"))))
    if file.count != 1 or file.dtypes[0] != "uint8" or sorted(names) != list(range(len(names))) or not names:
        return None
    classes = tuple(names[i] for i in range(len(names)))
    colours = file.colormap(1) if file.colorinterp[0].name == "palette" else _chosen_colours(classes)
    palette = ((int(r), int(g), int(b)) for r, g, b, *_ in (colours.get(i, _UNKNOWN) for i in range(len(names))))
    return classes, tuple(palette)


def _chosen_colours(classes: tuple[str, ...]) -> dict[int, tuple[int, ...]]:
    try:
        return dict(enumerate(word_table(classes, "a map").palette))
    except ConfigError:  # a name is empty or repeated
        return {}


def _listed(text: str) -> list[str]:
    """Names of classes in a PNG's metadata; none where they are damaged."""
    try:
        names = parse_json(text)
    except ValueError:
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
