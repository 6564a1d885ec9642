"""Class tables of words, with colours that are easily told apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from rsseg.errors import ConfigError
from rsseg.metainfo.table import IGNORE, ClassTable, load_metainfo

__all__ = ["word_table"]

_KNOWN = ("openearthmap", "landdiscover")
_CLOSE = 60.0
_LEVELS = {80: (0, 60, 120, 180, 240), 255: (0, 40, 80, 120, 160, 200, 240)}
"""Red, green and blue to choose from, for up to that many classes."""

# black, white and what is never told apart from them; the eye sees green best and blue worst
_TAKEN = [(0, 0, 0), (255, 255, 255)]
_EYE = np.array([0.9, 1.2, 0.7])


def word_table(words: Sequence[str], source: str) -> ClassTable:
    """A class table of words, each with a colour that is easily told from the others'.

    Words that OpenEarthMap or LandDiscover50K have as classes get the colours that they have there.

    Raises:
        ConfigError: There are no words, one is empty or twice, or there are more than 255.
    """
    names = tuple(word.strip() for word in words)
    small = [name.lower() for name in names]
    twice = sorted({name for name in small if small.count(name) > 1})
    if not all(names) or twice or not 0 < len(names) <= IGNORE:
        repeated = f", repeated: {', '.join(twice)}" if twice else ""
        raise ConfigError(
            f"the vocabulary of {source}: expected 1 to {IGNORE} classes, none of them empty or repeated; it has "
            f"{len(names)}{repeated}"
        )
    return ClassTable(
        name="vocabulary",
        source=source,
        classes=names,
        palette=_colours(names),
        raw_values=tuple((i,) for i in range(len(names))),
    )


def _colours(names: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    chosen: dict[int, tuple[int, int, int]] = {}

    def distance(colours: Any) -> Any:
        """Smallest distance of each colour (K, 3) to those that are taken."""
        taken = np.array([*_TAKEN, *chosen.values()], float)
        return np.linalg.norm((np.array(colours, float)[:, None] - taken) * _EYE, axis=2).min(axis=1)

    for table in map(load_metainfo, _KNOWN):
        own = {key.lower(): colour for key, colour in zip(table.classes, table.palette, strict=True)}
        for i, name in enumerate(names):
            colour = own.get(name.lower())
            if i not in chosen and colour is not None and distance([colour])[0] >= _CLOSE:
                chosen[i] = colour
    # greys say nothing on a photograph
    levels = next(levels for most, levels in _LEVELS.items() if len(names) <= most)
    free = [colour for colour in product(levels, repeat=3) if max(colour) - min(colour) >= 80]
    nearest = distance(free)
    for i in range(len(names)):
        if i not in chosen:
            r, g, b = free[int(nearest.argmax())]
            chosen[i] = (r, g, b)
            to_this = np.linalg.norm((np.array(free, float) - chosen[i]) * _EYE, axis=1)
            nearest = np.minimum(nearest, to_this)
    return tuple(chosen[i] for i in range(len(names)))
