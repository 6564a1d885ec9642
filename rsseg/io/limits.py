"""How large an image may be that is decoded as a whole.

A file of some kilobytes can claim a picture of terabytes.  Before pixels are made of it, its size is compared with a
limit: Pillow's own, twice its ``MAX_IMAGE_PIXELS``, beyond which Pillow takes a picture for an attack; that is 0.5 GiB
of 24-bit colours.  Rasters that are read window by window may have any size, their windows and blocks may not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rsseg.commands import PIXELS_VARIABLE
from rsseg.errors import ConfigError, DataError

__all__ = ["MAX_PIXELS", "check_pixels", "max_pixels"]

MAX_PIXELS = 178_956_970
"""Pixels of an image that is decoded as a whole, by default."""


def max_pixels() -> int:
    """The limit that holds for this process; 0 where there is none.

    Raises:
        ConfigError: The environment's ``RSSEG_MAX_PIXELS`` is no whole number.
    """
    text = os.environ.get(PIXELS_VARIABLE, str(MAX_PIXELS))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ConfigError(f"{PIXELS_VARIABLE}={text}: must be a whole number of pixels; 0 allows any")
    return int(text)


def check_pixels(size: Sequence[int], path: Path | str, what: str = "the image") -> None:
    """See that something of ``size`` (H, W) may be decoded.

    Args:
        size: Height and width in pixels.
        path: The file, for the message.
        what: What has that size.

    Raises:
        DataError: It has more pixels than the limit.
    """
    height, width = (int(side) for side in size)
    limit = max_pixels()
    if limit and height * width > limit:
        raise DataError(
            f"{path}: {what} has {height} x {width} = {height * width} pixels, more than {limit}; it was not decoded. "
            f"If it is meant to be so large, allow it with --max-pixels {height * width} ({PIXELS_VARIABLE})"
        )
