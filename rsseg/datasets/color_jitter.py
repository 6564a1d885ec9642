"""Random changes of contrast, gamma, brightness and colour, for images of any number of bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from rsseg.errors import ConfigError

__all__ = ["RandomColorJitter", "change_levels", "saturate", "shift_hue"]

_BYTE = 255
_COLOURS = 3
_SHARES = np.array([0.5, 0.5, 0.5, 0.3]) / 1.8  # the release's p of contrast, gamma, brightness and jitter


def _top(image: NDArray, white: float | None) -> float:
    """What counts as full brightness: 255 in uint8, else ``white``, else the image's own largest value."""
    return _BYTE if image.dtype == np.uint8 else white or float(image.max()) or 1.0


def _like(values: NDArray, image: NDArray, top: float) -> NDArray:
    """``values`` clipped to 0..top and, for integers, rounded, in the image's type."""
    values = np.clip(values, 0, top)
    return (np.floor(values + 0.5) if np.issubdtype(image.dtype, np.integer) else values).astype(image.dtype)


def change_levels(image: NDArray, curve: Callable[[NDArray], NDArray], white: float | None = None) -> NDArray:
    """The image with every value replaced by what ``curve`` makes of it.

    Args:
        image: (H, W, C); uint8, or another type, whose levels are relative to ``white``; not negative.
        curve: Maps an array of levels in 0..255 to levels; results outside are clipped.
        white: Value of full brightness in other types than uint8; None takes the image's largest value.

    Returns:
        Same shape and type.
    """
    if image.dtype == np.uint8:
        table = np.clip(curve(np.arange(256.0)) + 0.5, 0, _BYTE).astype(np.uint8)
        return cv2.LUT(image, table).reshape(image.shape)
    top = _top(image, white)
    return _like(curve(np.maximum(image, 0) * (_BYTE / top)) * (top / _BYTE), image, top)


def _grey(image: NDArray) -> NDArray[np.float32]:
    """(H, W, 1) luminance of (H, W, 3) blue, green, red."""
    return (image @ np.array([0.114, 0.587, 0.299], np.float32))[..., None]


def saturate(image: NDArray, factor: float, white: float | None = None) -> NDArray:
    """Colours of (H, W, 3) blue, green, red moved away from grey (factor above 1) or towards it (below 1)."""
    grey = _grey(image)
    return _like(grey + factor * (image - grey), image, _top(image, white))


def shift_hue(image: NDArray, shift: float, white: float | None = None) -> NDArray:
    """Hues of (H, W, 3) blue, green, red turned by ``shift`` of the full circle."""
    top = _top(image, white)
    hsv = cv2.cvtColor((np.maximum(image, 0) / top).astype(np.float32), cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * shift) % 360
    return _like(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR) * top, image, top)


def _contrast(image: NDArray, factor: float, fixed: NDArray, white: float | None = None) -> NDArray:
    """Levels moved away from the mean of ``fixed`` (factor above 1) or towards it (below 1)."""
    mean = float(fixed.mean()) * _BYTE / _top(image, white)
    return change_levels(image, lambda x: (x - mean) * factor + mean, white)


def _jitter(image: NDArray, limits: Sequence[float], white: float | None = None) -> NDArray:
    """Brightness, contrast and, with three bands, saturation and hue, in random order."""
    brightness, contrast, saturation = (np.random.uniform(1 - limit, 1 + limit) for limit in limits[:3])
    hue = np.random.uniform(-limits[3], limits[3])
    for step in np.random.permutation(4):
        if step == 0:
            image = _contrast(image, brightness, np.zeros(1), white)
        elif step == 1:
            image = _contrast(image, contrast, _grey(image) if image.shape[2] == _COLOURS else image, white)
        elif image.shape[2] == _COLOURS:
            image = saturate(image, saturation, white) if step == 2 else shift_hue(image, hue, white)
    return image


@TRANSFORMS.register_module()
class RandomColorJitter(BaseTransform):
    """Change contrast, gamma, brightness or colour (one of them) with probability ``prob``.

    Args:
        amount: Largest relative change of contrast and brightness; gamma is drawn from [1 - amount, 1 + amount].
        prob: Probability to change anything.
        around: The level that a change of contrast leaves alone: ``"mean"`` of the image, or ``"black"``.
        jitter: Largest change of brightness, contrast, saturation and hue (of the circle) where all four are changed
            a little, the last two only in images of three bands; None leaves this kind of change out.

    Raises:
        ConfigError: ``around`` is neither, or ``jitter`` does not have four values.

    Source: SAMRS release: ``around="black"`` and ``jitter=(0.07, 0.07, 0.1, 0.1)``, which it draws less often than the
    others.  Hues are turned in float there where the release rounds them to two degrees.
    """

    def __init__(
        self,
        amount: float = 0.2,
        prob: float = 0.3,
        around: str = "mean",
        jitter: Sequence[float] | None = None,
    ) -> None:
        if around not in ("mean", "black"):
            raise ConfigError(f"around must be 'mean' or 'black', not {around!r}")
        if jitter is not None and len(jitter) != 4:
            raise ConfigError(f"jitter needs brightness, contrast, saturation and hue, got {jitter}")
        self.amount, self.prob, self.around, self.jitter = amount, prob, around, jitter

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img`` (H, W, C)."""
        if np.random.rand() >= self.prob:
            return results
        image, white = results["img"], results.get("white")  # LoadImage knows what is white
        change = np.random.uniform(-self.amount, self.amount)
        kind = np.random.randint(3) if self.jitter is None else np.random.choice(4, p=_SHARES)
        if kind == 0:
            results["img"] = _contrast(image, 1 + change, image if self.around == "mean" else np.zeros(1), white)
        elif kind == 1:
            results["img"] = change_levels(image, lambda x: _BYTE * (x / _BYTE) ** (1 + change), white)
        elif kind == 2:
            results["img"] = change_levels(image, lambda x: x + _BYTE * change, white)
        else:
            results["img"] = _jitter(image, self.jitter or (), white)
        return results
