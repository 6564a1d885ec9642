"""The first directory of a TIFF, for what GDAL and rasterio do not tell."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TiffTag", "cut_arrays", "orientation", "read_tags", "turned_by_gdal"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by the number of its type."""
_COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 259, 262, 274
_JPEG, _YCBCR = 7, 6
_CONVERTED = {5, 8, 32844, 32845}
"""Photometric interpretations that libtiff converts: CMYK, Lab, logarithms of light."""
_ARRAYS = {273: "strip offsets", 279: "strip sizes", 324: "tile offsets", 325: "tile sizes"}


@dataclass(frozen=True)
class TiffTag:
    """A tag.

    Attributes:
        size: Bytes of its values.
        offset: Where they are in the file.
        first: The first value, for tags of short numbers that are in the directory itself.
    """

    size: int
    offset: int
    first: int


def read_tags(path: str | Path) -> dict[int, TiffTag]:
    """Tags of the first directory by number; none where the file is no TIFF or the directory is cut off."""
    if not Path(path).is_file():
        return {}
    with Path(path).open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16 or struct.unpack(f"{order}H", head[2:4])[0] not in (42, 43):
            return {}
        big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        word, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
        start = struct.unpack_from(f"{order}{word}", head, 8 if big else 4)[0]
        file.seek(start)
        length = struct.calcsize(f"={count}")
        number = int.from_bytes(file.read(length), "little" if order == "<" else "big")
        data = file.read(min(number, 1 << 12) * entry)
    tags, inside = {}, struct.calcsize(f"={word}")
    for at in range(0, len(data) - entry + 1, entry):
        tag, kind, values = struct.unpack_from(f"{order}HH{word}", data, at)
        size, where = _SIZES.get(kind, 1) * values, at + entry - inside
        offset = struct.unpack_from(f"{order}{word}", data, where)[0] if size > inside else start + length + where
        tags[tag] = TiffTag(size, offset, struct.unpack_from(f"{order}H", data, where)[0])
    return tags


def orientation(tags: Mapping[int, TiffTag]) -> int:
    """How a TIFF is to be turned to be upright, 1 to 8 as in EXIF; 1 where it is upright or does not say."""
    found = tags[_ORIENTATION].first if _ORIENTATION in tags else 1
    return found if 1 <= found <= 8 else 1


def turned_by_gdal(tags: Mapping[int, TiffTag]) -> bool:
    """Whether GDAL turns the pixels by the orientation, in part: where libtiff converts them to RGB."""
    kind = tags[_PHOTOMETRIC].first if _PHOTOMETRIC in tags else 0
    jpeg = _COMPRESSION in tags and tags[_COMPRESSION].first == _JPEG
    return orientation(tags) != 1 and (kind in _CONVERTED or (kind == _YCBCR and not jpeg))


def cut_arrays(path: str | Path, tags: Mapping[int, TiffTag]) -> list[str]:
    """Arrays of a TIFF that lie beyond its end, so that GDAL would read zeros without a word."""
    length = os.path.getsize(path) if tags else 0
    return [
        name for number, name in _ARRAYS.items() if number in tags and tags[number].offset + tags[number].size > length
    ]
