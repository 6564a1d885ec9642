"""Pictures of network architectures that were searched: edges of SparseMask, branches of FasterSeg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rsseg.structures.legends import legend_font

__all__ = ["RETRAIN", "TEACHER", "draw_architecture"]

RETRAIN, TEACHER = "retrain.py", "retrain_teacher.py"
"""Names of the configs that train what a search has found; the second only where there is a teacher."""

Pixels = NDArray[np.uint8]
_CELL, _PAD, _LABEL, _SIZE = 34, 12, 96, 13
_INK, _EDGE, _KEPT, _PALE = "#1c2430", "#c9ced6", "#2f6db5", "#8a93a0"
_COLOURS = ("#dfe3e8", "#8fb8de", "#a8d5ba", "#2f6db5", "#3c8d53")
"""Of FasterSeg's operators: skip, conv, conv_downup, conv_2x, conv_2x_downup."""
_SCALE = 36
"""Height of a scale of FasterSeg."""


def draw_architecture(architecture: Mapping[str, Any]) -> Pixels:
    """A picture (H, W, 3) RGB of what an architecture's JSON file holds.

    Args:
        architecture: Of SparseMask or FasterSeg, see ``rsseg.models.search``; a search need not be finished.

    Raises:
        ValueError: It is of another method.
    """
    methods = {"SparseMask": _draw_edges, "FasterSeg": _draw_branches}
    method = architecture.get("method")
    if method not in methods:
        raise ValueError(f"no picture of method {method!r}; expected one of: {', '.join(methods)}")
    return methods[method](architecture)


def _canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def _draw_edges(architecture: Mapping[str, Any]) -> Pixels:
    """A row for each node: what it could read, darker the larger the weight, with a frame where it is kept."""
    count, nodes = int(architecture["count"]), architecture["nodes"]
    weights: Sequence[Any] = architecture.get("weights") or ()
    width = _LABEL + 2 * count * _CELL + 3 * _PAD
    image, draw = _canvas(width, _PAD * 2 + _CELL * (count + 1))
    font = legend_font(_SIZE)
    for column, title in enumerate(("map", "node output")):
        left = _LABEL + column * (count * _CELL + _PAD)
        draw.text((left, _PAD), f"reads {title} 0 .. {count - 1}", fill=_PALE, font=font)
        for node in range(count):
            top = _PAD + (node + 1) * _CELL
            if column == 0:
                draw.text((_PAD, top + 8), f"node {node}", fill=_INK, font=font)
            kept = nodes.get(str(node), {}).get(("taps", "ups")[column], ())
            for j in range(node + 1):
                weight = float(weights[node][j][column]) / 2 if weights else float(j in kept)
                shade = round(255 - 150 * min(max(weight, 0.0), 1.0))
                box = (left + j * _CELL, top, left + (j + 1) * _CELL - 4, top + _CELL - 4)
                framed = j in kept
                draw.rectangle(box, (shade, shade, 255), _KEPT if framed else _EDGE, 3 if framed else 1)
    return np.asarray(image)


def _draw_branches(architecture: Mapping[str, Any]) -> Pixels:
    """For each branch its cells from left to right, lower the coarser, with operator and channels."""
    operators, branches = architecture["operators"], architecture["branches"]
    longest = max((len(branch["path"]) for branch in branches), default=1)
    column, tall = 84, 3 * _SCALE + 2 * _PAD + _SIZE
    image, draw = _canvas(_LABEL + longest * column + _PAD, len(branches) * tall + 2 * _PAD)
    font = legend_font(_SIZE)
    for row, branch in enumerate(branches):
        top = _PAD + row * tall
        draw.text((_PAD, top), f"branch {row + 1}, to 1/{8 << branch['last']}", fill=_INK, font=font)
        for scale in range(3):
            draw.text((_PAD, top + _SIZE + 14 + scale * _SCALE), f"1/{8 << scale}", fill=_PALE, font=font)
        for i, (op, scale) in enumerate(zip(branch["ops"], branch["path"], strict=True)):
            left, upper = _LABEL + i * column, top + _SIZE + 8 + scale * _SCALE
            dark = op in (3, 4)
            draw.rectangle((left, upper, left + column - 6, upper + _SCALE - 6), _COLOURS[op], _EDGE)
            width = branch["widths"][i] if i < len(branch["widths"]) else None
            text = operators[op].replace("conv_", "c_") + ("" if width is None else f" {width:.2f}")
            draw.text((left + 4, upper + 7), text, fill="white" if dark else _INK, font=legend_font(11))
    return np.asarray(image)
