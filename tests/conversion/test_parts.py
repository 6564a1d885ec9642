"""The file of a finished source image: one JSON object, whose rows are copied and not decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rsseg.conversion.parts import decode_part, encode_part, tile_instances, tile_rows


def row(number: int, label: int, empty: bool = False) -> dict[str, Any]:
    text = f'o{number},"instances":[\n'  # what looks like the file's own marks is text here
    return {"label": label, "bbox": [0, 0, 1.5, 2], "empty": empty, "source_object_id": text}


def make_part() -> dict[str, Any]:
    tiles = [
        {"tile": "a", "x": 0, "instances": [row(1, 3), row(2, 0, empty=True)], "dropped": []},
        {"tile": "b", "x": 8, "instances": [], "dropped": [{"reason": "Straße"}]},
        {"tile": "c", "x": 16, "instances": [row(3, 1)], "dropped": []},
    ]
    return {"source": "P1.png", "failed": False, "tiles": tiles, "files": {"gray/a.png": 10}, "inputs": "ab"}


def test_what_is_written_comes_back() -> None:
    part = make_part()
    data = encode_part(part)
    found = decode_part(data)
    assert {key: found[key] for key in ("source", "failed", "files", "inputs")} == {
        "source": "P1.png", "failed": False, "files": {"gray/a.png": 10}, "inputs": "ab",
    }  # fmt: skip
    assert [tile["labels"] for tile in found["tiles"]] == [[3, 0], [], [1]]
    assert [tile["empty_masks"] for tile in found["tiles"]] == [1, 0, 0]
    assert [rows for _, rows in tile_instances(found)] == [tile["instances"] for tile in part["tiles"]]
    assert found["tiles"][1]["dropped"] == [{"reason": "Straße"}]


def test_the_file_is_json_with_a_row_a_line() -> None:
    data = encode_part(make_part())
    whole = json.loads(data)
    assert len(whole["instances"]) == 3 and len(data.splitlines()) == 5
    rows = [json.loads(text) for _, own in tile_rows(decode_part(data)) for text in own]
    assert rows == whole["instances"] and "label" not in rows[0]


@pytest.mark.parametrize("part", [{"failed": True, "tiles": [], "files": {}}, {"failed": False, "labels": [1, 2]}])
def test_parts_without_instances(part: dict[str, Any]) -> None:
    found = decode_part(encode_part(part))
    assert found == {**part, "instances": b""}
    assert "tiles" not in part or not list(tile_instances(found))


def test_damage_is_found_wherever_it_is() -> None:
    data = encode_part(make_part())
    for cut in range(len(data)):
        with pytest.raises(ValueError):
            decode_part(data[:cut])
    for at in (data.index(b"1.5"), data.index(b'"labels":[3') + len(b'"labels":['), data.index(b'"crc32":') + 8):
        with pytest.raises(ValueError, match="not what was written"):
            decode_part(data[:at] + (b"7" if data[at : at + 1] != b"7" else b"8") + data[at + 1 :])
    with pytest.raises(ValueError, match="does not end as a part"):  # as versions before 0.2 wrote them
        decode_part(json.dumps({"failed": False, "tiles": [], "files": {}}).encode())
