"""Flows between the classes of two maps: two stacked bars, and bands from what was to what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["flow_figure"]

_HEIGHT, _GAP = 300.0, 5.0
_LEFT, _RIGHT, _BAR = 130.0, 350.0, 12.0
_LEAST, _LABEL, _LONGEST = 0.25, 9.0, 17
"""Heights from which a band is drawn and a bar has its name; characters of a name."""


def flow_figure(
    amounts: NDArray[np.float64], classes: Sequence[Mapping[str, str]], used: Sequence[int]
) -> dict[str, Any]:
    """Bars, bands and labels of the figure, in the units of its view box (480 x 300).

    Args:
        amounts: (C, C) what has become of what.
        classes: Name and colour of the classes that are drawn.
        used: Their ids.

    Returns:
        ``bars`` and ``bands`` with their places, colours and titles, ``labels``; a band has the colour of what was, and
        one of what stays is fainter.
    """
    found = amounts[np.ix_(used, used)]
    scale = (_HEIGHT - _GAP * (len(used) - 1)) / max(found.sum(), 1e-300)
    tops = [np.cumsum([0.0, *(part * scale + _GAP)[:-1]]) for part in (found.sum(axis=1), found.sum(axis=0))]
    bars, labels, bands = [], [], []
    for side, (top, part) in enumerate(zip(tops, (found.sum(axis=1), found.sum(axis=0)), strict=True)):
        for i, (y, height) in enumerate(zip(top.tolist(), (part * scale).tolist(), strict=True)):
            name = classes[i]["name"]
            bars.append({"x": (_LEFT, _RIGHT - _BAR)[side], "y": y, "height": height, "width": _BAR,
                         "colour": classes[i]["colour"], "title": name})  # fmt: skip
            if height >= _LABEL:
                text = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
                labels.append({"x": (_LEFT - 6, _RIGHT + 6)[side], "y": y + height / 2, "text": text,
                               "anchor": ("end", "start")[side]})  # fmt: skip
    at = [tops[0].copy(), tops[1].copy()]
    for i, j in np.ndindex(found.shape):
        height = float(found[i, j] * scale)
        if height >= _LEAST:
            bands.append({"d": _band(float(at[0][i]), float(at[1][j]), height), "colour": classes[i]["colour"],
                          "kept": i == j, "title": f"{classes[i]['name']} to {classes[j]['name']}"})  # fmt: skip
        at[0][i] += height
        at[1][j] += height
    return {"bars": bars, "bands": sorted(bands, key=lambda band: not band["kept"]), "labels": labels}


def _band(left: float, right: float, height: float) -> str:
    """Path of a band between two heights."""
    start, end = _LEFT + _BAR, _RIGHT - _BAR
    middle = (start + end) / 2
    return (f"M{start:.1f} {left:.2f}C{middle:.1f} {left:.2f} {middle:.1f} {right:.2f} {end:.1f} {right:.2f}"
            f"V{right + height:.2f}C{middle:.1f} {right + height:.2f} {middle:.1f} {left + height:.2f} "
            f"{start:.1f} {left + height:.2f}Z")  # fmt: skip
