"""From SAM's small logits to masks at full size, computed only where a mask can be, with the same bits.

SAM enlarges its logits (256 x 256) twice, to its frame (1024 x 1024) and, without the padding, to the image, and
compares with a threshold.  Both steps are linear, so together they are one matrix per axis: ``rows @ logits @ cols.T``.
A weight is what torch makes of a unit vector, so index and weight rules are torch's own on every device.  SAM 2 and 3
enlarge theirs once, to the image; with the image as frame the second step changes nothing.

Why the masks are the same, bit by bit.  Let u = 2^-24 and M the largest absolute logit.

* All weights are >= 0 and add up to 1, so where all logits that a pixel draws on lie more than 10 u M below the
  threshold, torch's value does too.  The box around the other logits, with the pixels they reach, is all that counts.
* Torch rounds each of a step's four products of two weights and a logit, and their sum, at most 5 times in whatever
  order: 10 u M for both steps.  Ours rounds each weight once and sums at most 3 terms per axis: 8 u M.  A value of ours
  that is further than ``ROUNDING`` M (32 u M) from the threshold is on the same side as torch's.  M may be the largest
  of the few logits that the value draws on.
* Where one value is nearer, that whole mask is computed by SAM's own function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rsseg.structures.masks import MaskCrop, crop_mask, empty_mask

__all__ = ["ROUNDING", "Upsampled", "Upsampler"]

Floats = NDArray[np.float32]

ROUNDING = 32 * 2.0**-24
"""Share of the largest absolute logit by which our upsampled values and torch's can differ, nearly twice over."""

_STABILITY_OFFSET = 1.0
_LARGE = 0.25
"""From this share of the logits on, computing a part is not faster than SAM's own function (measured)."""


class Upsampled(NamedTuple):
    """A mask in image pixels, and the overlap of the masks at threshold + 1 and - 1, in 0..1.

    Source: segment_anything, utils/amg.py, for the stability score; rounded differently by single pixels.
    """

    mask: MaskCrop
    stability: float


class _Axis(NamedTuple):
    """One axis: ``weights`` (out, in) float32; pixel o draws on logits ``first[o]`` .. ``last[o]``, both rising."""

    weights: Floats
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def reach(self, near: NDArray[np.bool_], across: int) -> tuple[slice, slice] | None:
        """Pixels that draw on any logit between the first and the last set of ``near``, and all they draw on.

        ``near`` (h, w) marks logits, ``across`` is the other axis.
        """
        where = np.flatnonzero(near.any(axis=across))
        if not len(where):
            return None
        start = int(np.searchsorted(self.last, where[0]))
        stop = int(np.searchsorted(self.first, where[-1], side="right"))
        if stop <= start:  # an image so small that pixels skip logits
            return None
        return slice(start, stop), slice(int(self.first[start]), int(self.last[stop - 1]) + 1)


def _weights(inner: int, outer: int, device: str) -> NDArray[np.float64]:
    """Weights (outer, inner) of torch's bilinear interpolation along one axis, as torch itself computes them."""
    units = torch.eye(inner, device=device)[None, :, :, None]
    done = torch.nn.functional.interpolate(units, (outer, 1), mode="bilinear", align_corners=False)
    return done[0, :, :, 0].T.cpu().numpy().astype(np.float64)


@lru_cache(maxsize=16)
def _axis(low: int, frame: int, inner: int, outer: int, device: str) -> _Axis:
    """Enlarge ``low`` logits to ``frame``, keep the first ``inner`` and enlarge these to ``outer`` pixels."""
    weights = _weights(inner, outer, device) @ _weights(low, frame, device)[:inner]
    used = weights != 0
    last = low - 1 - np.argmax(used[:, ::-1], axis=1)
    return _Axis(weights.astype(np.float32), np.argmax(used, axis=1), last)


class Upsampler:
    """Masks at full size from small logits; for many masks of one image size.

    Args:
        low: (h, w) of the logits.
        frame: Side of the model's square input in pixels, or (H, W); the image's size, where logits are enlarged once.
        input_size: (H, W) of the image inside the frame, without the padding.
        size: (H, W) of the image.
        threshold: Logits above it belong to the mask.
        device: Where SAM's own function would run.
    """

    def __init__(
        self,
        low: tuple[int, int],
        frame: int | tuple[int, int],
        input_size: tuple[int, int],
        size: tuple[int, int],
        threshold: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self.threshold = threshold
        sides = (frame, frame) if isinstance(frame, int) else frame
        self._rows = _axis(low[0], sides[0], input_size[0], size[0], device)
        self._cols = _axis(low[1], sides[1], input_size[1], size[1], device)

    def find(self, logits: Floats, exact: Callable[[], Floats], margin: float = 0.0) -> Upsampled | None:
        """One mask.

        Args:
            logits: (h, w) float32, the model's small logits.
            exact: Gives all upsampled logits (H, W) float32 by the model's own function; called where needed.
            margin: Share of the largest absolute logit by which ``logits`` may be off.

        Returns:
            The mask, or ``None`` where an error of ``margin`` could change one of its pixels.
        """
        peak = float(np.abs(logits).max())
        slack = (ROUNDING + margin) * peak
        if not np.isfinite(peak):
            return None if margin else self._cut(exact(), 0, 0)
        near: NDArray[np.bool_] = np.greater(logits, self.threshold - _STABILITY_OFFSET - slack)
        rows, cols = self._rows.reach(near, 1), self._cols.reach(near, 0)
        if rows is None or cols is None:
            return Upsampled(empty_mask(), 0.0)
        part, x, y = logits[rows[1], cols[1]], cols[0].start, rows[0].start
        whole = part.size >= _LARGE * logits.size
        if whole:
            values, x, y = exact(), 0, 0
        else:
            values = np.asarray(
                self._rows.weights[rows[0], rows[1]] @ part @ self._cols.weights[cols[0], cols[1]].T, np.float32
            )
        close = np.argwhere(np.abs(values - self.threshold) <= slack).tolist()
        if close and margin:
            return None
        if not whole and any(self._unsure(float(values[i, j]), logits, y + i, x + j) for i, j in close):
            values, x, y = exact(), 0, 0
        return self._cut(values, x, y)

    def _unsure(self, value: float, logits: Floats, row: int, col: int) -> bool:
        """Whether rounding could move the value of a pixel over the threshold, by the logits that it draws on."""
        rows = slice(self._rows.first[row], self._rows.last[row] + 1)
        cols = slice(self._cols.first[col], self._cols.last[col] + 1)
        return abs(value - self.threshold) <= ROUNDING * float(np.abs(logits[rows, cols]).max())

    def _cut(self, values: Floats, x: int, y: int) -> Upsampled:
        """Threshold the part of the upsampled logits whose first pixel is column x, row y; all else is outside."""
        inner = np.count_nonzero(values > self.threshold + _STABILITY_OFFSET)
        outer = np.count_nonzero(values > self.threshold - _STABILITY_OFFSET)
        return Upsampled(crop_mask(values > self.threshold, x, y), inner / outer if outer else 0.0)
