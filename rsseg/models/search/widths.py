"""Channel numbers: rounding to multiples, shared by the networks that are searched."""

from __future__ import annotations

__all__ = ["round_channels"]


def round_channels(value: float, least: int = 1, divisor: int = 8) -> int:
    """The multiple of ``divisor`` next to ``value``, at most 10 % below it.

    Args:
        value: Wanted number of channels.
        least: Smallest result.
        divisor: The result is a multiple of it, unless ``least`` is larger.

    Source: the rule of MobileNetV2's release, which slimmable networks and FasterSeg use as well.
    """
    rounded = max(least, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
