"""When an image was taken, where its file says so."""

from __future__ import annotations

import re
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
        if found is not None and int(found[1]) > 0 and 1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31:
            year, month, day, hour, minute, second = found.groups()[:6]
            if int(hour) < 24 and int(minute) < 60 and int(second) < 60:
                return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"
    return None
