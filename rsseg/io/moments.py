"""When an image was taken, where its file says so."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Any

__all__ = ["taken_at"]

_TAGS = (
    ("IMAGERY", "ACQUISITIONDATETIME"),
    (None, "ACQUISITIONDATETIME"),
    (None, "PRODUCT_START_TIME"),
    (None, "EXIF_DateTimeOriginal"),
    (None, "TIFFTAG_DATETIME"),
)
"""Domain and name of metadata of GDAL, the surest first: the last may be when the file was written."""
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?Z?")


def taken_at(dataset: Any) -> str | None:
    """The time of an open rasterio dataset as ``2024-06-01T10:30:00Z``; None where its metadata name none.

    Times without a zone count as UTC.
    """
    for domain, name in _TAGS:
        text = dataset.tags(ns=domain).get(name) if domain else dataset.tags().get(name)
        found = _TIME.fullmatch(text.strip()) if text else None
        if found is not None:
            with suppress(ValueError):  # such as the 30th of February
                year, month, day, hour, minute, second = map(int, found.groups()[:6])
                return f"{datetime(year, month, day, hour, minute, second).isoformat()}Z"
    return None
