"""From FasterSeg's architecture parameters to branches: paths, widths and operators.  Plain arrays.

Shapes: ``alphas[s]`` (layers - s, 5), ``betas[s]`` (layers - s - 1, 2) for s = 1, 2, ``ratios[s]`` (rows, widths);
row r of alphas[s] belongs to layer r + s, of betas[s] to layer r + s + 1.  A path has each cell's scale, 0 for 1/8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError

__all__ = [
    "LEAST_LAYERS",
    "Branch",
    "choose_branches",
    "choose_operators",
    "derive_branches",
    "find_path",
    "find_widths",
    "least_length",
    "objective",
]

Array = NDArray[np.floating]
LEAST_LAYERS = 5
"""Of a supernet from which networks are derived."""
_SCALES = 3


@dataclass(frozen=True)
class Branch:
    """A way through the layers.

    Attributes:
        last: Scale of its end: 0, 1, 2 for 1/8, 1/16, 1/32.
        path: Scale of each cell.
        ops: Operator of each cell.
        widths: Share of the channels between each cell and the next.
    """

    last: int
    path: list[int]
    ops: list[int]
    widths: list[float]


def _softmax(values: Array) -> Array:
    raised = np.exp(values - values.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def find_path(betas: Mapping[int, Array], last: int, layers: int) -> list[int]:
    """Scale of each layer of the most probable path.

    With fewer than 8 layers there is one path to scale 2: it goes down after layers 1 and 3.

    Args:
        betas: Probabilities of coming from the finer scale (column 0) or the same one, by scale.
        last: Scale of its end.
        layers: Number of layers.

    Source: the release.  A path to scale 1 goes down one layer earlier than the row of betas belongs to; published
    weights depend on it, so that it is kept.

    Raises:
        ConfigError: There are too few layers.
    """
    if layers < LEAST_LAYERS:
        raise ConfigError(f"FasterSeg can be derived from {LEAST_LAYERS} layers or more, got {layers}")
    downs: list[int] = []
    if last == 1:
        downs = [int(np.argmax(betas[1][1:-1, 0])) + 1]
    elif last == 2:
        best, pair = 0.0, (0, 1)
        for j in range(layers - 4):
            for i in range(1, j - 1):
                both = betas[1][i, 0] * betas[2][j, 0]
                if both > best:
                    best, pair = both, (i, j)
        downs = [pair[0] + 1, pair[1] + 2]
    return [sum(layer > down for down in downs) for layer in range(layers)]


def find_widths(path: Sequence[int], ratios: Sequence[Array], multipliers: Sequence[float]) -> list[float]:
    """Share of the channels between each cell and the next: the largest ratio of its row.

    Args:
        path: Scale of each cell.
        ratios: By scale.
        multipliers: The shares that there are.
    """
    rows = [ratios[s][layer - max(s, 1)] for layer, s in enumerate(path) if layer]
    return [multipliers[int(np.argmax(row))] for row in rows]


def least_length(layers: int, last: int) -> int:
    """Fewest cells of a branch: a third of the layers, rounded half to even, and two for each time it goes down."""
    return round(layers / 3) + 2 * last


def choose_operators(
    alphas: Sequence[Array], path: Sequence[int], widths: Sequence[float], forbid_skips: bool = False
) -> tuple[list[int], list[int], list[float]]:
    """Operators of a path, without the skips that can go.

    A skip can go where its cell keeps the scale.  Between two downs, and from the last to the end, the least probable
    one becomes its second-best operator where all are skips.  Of the others only so many go, the most probable first,
    that :func:`least_length` cells stay; those that stay become their second-best operators.

    Args:
        alphas: By scale.  **Skips that must not be chosen are set to minus infinity in place**, which the release's
            order of derivation depends on; hand over copies.
        path: Scale of each layer.
        widths: Shares between the layers.
        forbid_skips: There are none at all, as in the teacher.

    Returns:
        Operators, path and widths of the cells that stay.
    """
    length = len(path)
    rows = [alphas[scale][layer - scale] for layer, scale in enumerate(path)]
    if forbid_skips:
        for row in rows:
            row[0] = -np.inf
    keeps = [i == length - 1 or path[i] == path[i + 1] for i in range(length)]
    skips = {i: float(_softmax(row)[0]) for i, row in enumerate(rows) if keeps[i] and not np.argmax(row)}
    downs = [i for i in range(length - 1) if path[i] < path[i + 1]]
    for start, end in pairwise([*downs, length]):
        between = range(start + 1, end)
        if between and all(i in skips for i in between):
            least = min(reversed(between), key=lambda i: float(_softmax(rows[i])[0]))
            rows[least][0] = -np.inf
    most = length - least_length(length, path[-1])
    gone = set(sorted(skips, key=lambda i: -skips[i])[:most])
    ops, short_path, short_widths = [], [], list[float]()
    for i, row in enumerate(rows):
        if not np.argmax(row):
            if i in gone:
                if i == length - 1:
                    short_widths = short_widths[:-1]
                continue
            row[0] = -np.inf
        ops.append(int(np.argmax(row)))
        short_path.append(path[i])
        if i < len(widths):
            short_widths.append(widths[i])
    return ops, short_path, short_widths


def derive_branches(
    parameters: Mapping[str, Any],
    multipliers: Sequence[float],
    index: int = 1,
    forbid_skips: bool = False,
    release_defects: bool = False,
) -> dict[int, Branch]:
    """The branches to each scale.

    Args:
        parameters: ``alpha_<index>_{0,1,2}``, ``beta_<index>_{1,2}``, ``ratio_<index>_{0,1,2}``, arrays or tensors.
        multipliers: Shares of the channels; of ratios with one column the last is taken.
        index: Architecture: 0 the teacher, 1 the student.
        forbid_skips: As in the teacher.
        release_defects: Derive scale 0, 1 and 2 one after the other from the same arrays, as the release does: betas go
            through the softmax once more each time, and skips that one branch excludes stay excluded for the next ones.
            Published weights need it.

    Raises:
        ConfigError: A parameter is missing, or there are too few layers.
    """

    def array(kind: str, scale: int) -> Array:
        name = f"{kind}_{index}_{scale}"
        if name not in parameters:
            raise ConfigError(f"no {name} among the architecture's parameters: {', '.join(sorted(parameters))}")
        value = parameters[name]
        own = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        return np.array(own)

    alphas = [array("alpha", scale) for scale in range(_SCALES)]
    betas = {scale: array("beta", scale) for scale in (1, 2)}
    ratios = [array("ratio", scale) for scale in range(_SCALES)]
    shares = list(multipliers) if ratios[0].shape[1] > 1 else [multipliers[-1]]
    layers = len(alphas[0])
    found: dict[int, Branch] = {}
    probabilities = betas
    for last in range(_SCALES):
        probabilities = {s: _softmax(own) for s, own in (probabilities if release_defects else betas).items()}
        own = alphas if release_defects else [rows.copy() for rows in alphas]
        path = find_path(probabilities, last, layers)
        widths = find_widths(path, ratios, shares)
        ops, path, widths = choose_operators(own, path, widths, forbid_skips)
        found[last] = Branch(last, path, ops, widths)
    return found


def objective(miou: float, latency: float) -> float:
    """What a pair of branches is chosen by: mIoU (0 .. 1) times (milliseconds / 8.3) to the power of -0.07."""
    return float(miou * (latency / 8.3) ** -0.07)


def choose_branches(miou02: float, latency02: float, miou12: float, latency12: float) -> tuple[int, int]:
    """Ends of the two branches: 1/32 and 1/8 where their :func:`objective` is larger, else 1/32 and 1/16."""
    return (2, 0) if objective(miou02, latency02) > objective(miou12, latency12) else (2, 1)
