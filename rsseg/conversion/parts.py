"""What a conversion keeps of a finished source image, as a file: a head that says what was done, and the instances.

The file is one JSON object whose key ``instances`` comes last and has one row a line, so that the merge copies a
million rows as they stand, and whoever asks only whether an image is finished decodes none.  Each tile in the head has
the ``labels`` and ``object_ids`` of its rows and the number of its ``empty_masks``; ``crc32``, last of all before the
rows, is that of the head and the rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from rsseg.io.tables import json_text, parse_json

__all__ = ["decode_part", "encode_part", "tile_instances", "tile_rows"]

_SUM, _START, _BETWEEN, _END = b',"crc32":', b',"instances":[\n', b",\n", b"\n]}\n"
"""A line ends nowhere else: JSON escapes line feeds in texts."""


def encode_part(part: Mapping[str, Any]) -> bytes:
    """The file of a part whose tiles have ``instances``, as :class:`~rsseg.conversion.transforms.PackInstances` gives.

    Args:
        part: JSON values; ``tiles`` may be missing.
    """
    head, rows = dict(part), list[bytes]()
    if "tiles" in part:
        head["tiles"] = [_head_of(tile) for tile in part["tiles"]]
        rows = [_row(row) for tile in part["tiles"] for row in tile["instances"]]
    body, text = _BETWEEN.join(rows), json_text(head).encode()[:-1]
    return text + _SUM + b"%d" % zlib.crc32(body, zlib.crc32(text)) + _START + body + _END


def _head_of(tile: Mapping[str, Any]) -> dict[str, Any]:
    rows = tile["instances"]
    head = {key: value for key, value in tile.items() if key != "instances"}
    labels, ids = [row["label"] for row in rows], [row["source_object_id"] for row in rows]
    return {**head, "labels": labels, "object_ids": ids, "empty_masks": sum(row["empty"] for row in rows)}


def _row(row: Mapping[str, Any]) -> bytes:
    return json_text({key: value for key, value in row.items() if key != "label"}).encode()


def decode_part(data: bytes) -> dict[str, Any]:
    """The head of a part; ``instances`` are its rows as bytes, for :func:`tile_rows` and :func:`tile_instances`.

    Raises:
        ValueError: The file is cut short or damaged, or another version of rsseg wrote it.
    """
    head, found, rest = data.partition(_START)
    if not found or not rest.endswith(_END):
        raise ValueError("it does not end as a part does")
    text, _, written = head.rpartition(_SUM)
    body = rest[: -len(_END)]
    if written != b"%d" % zlib.crc32(body, zlib.crc32(text)):
        raise ValueError("it is not what was written")
    return {**parse_json(text + b"}"), "instances": body}


def tile_rows(part: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Each tile of a decoded part with its instances, each the text of a JSON object without ``label``."""
    rows = part["instances"].split(_BETWEEN) if part["instances"] else []
    start = 0
    for tile in part["tiles"]:
        end = start + len(tile["labels"])
        yield tile, rows[start:end]
        start = end


def tile_instances(part: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each tile of a decoded part with its instances, as they were before they were written."""
    for tile, rows in tile_rows(part):
        yield tile, [{"label": label, **parse_json(row)} for label, row in zip(tile["labels"], rows, strict=True)]
