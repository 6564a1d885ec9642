"""Shapes of odd images and odd files: many bits, the antimeridian, lines that somebody has edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine

from rsseg.serving.shape_exports import class_table
from rsseg.serving.tickets import Ticket
from tests.serving.world import client_of, write_image

SHAPE: dict[str, Any] = {
    "id": "new", "label": "roof", "area": 4.0, "unit": "m2", "score": None, "author": "Ada", "time": "",
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
}  # fmt: skip
WRONG: list[dict[str, Any]] = [
    {"label": 3}, {"label": " "}, {"id": ["a"]}, {"area": "12"}, {"area": float("nan")}, {"unit": "ha"},
    {"score": "high"}, {"time": None}, {"geometry": None}, {"geometry": {"type": "Point", "coordinates": [1, 2]}},
    {"geometry": {"type": "Polygon", "coordinates": []}},
    {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [1, 1], [0, 0]]]}},
]  # fmt: skip


def _layer(client: Any) -> str:
    return str(client.app.state.rsseg.layers.all()[0].id)


def test_pixels_of_16_bits_are_seen_as_the_page_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsseg.serving.masks import segment_boxes

    pixels = np.random.default_rng(0).integers(300, 360, (4, 100, 120), dtype=np.uint16)
    pixels[:, 30:60, 40:80] += 2500
    asked = list[Ticket]()

    def submit(work: str, request: dict[str, Any], *_: Any) -> Ticket:
        result = segment_boxes(request, {}, lambda *_: None)
        asked.append(Ticket("a", work, request, None, "models", 1.0, 1.0, "done", result=result))
        return asked[-1]

    with client_of(tmp_path, write_image(tmp_path / "scene.tif", pixels)) as client:
        queue = client.app.state.rsseg.queue
        monkeypatch.setattr(queue, "submit", submit)
        monkeypatch.setattr(queue, "get", lambda id: asked[-1])
        body = {"layer": _layer(client), "boxes": [[35, 25, 85, 65]], "units": "pixels"}
        answer = client.post("/segment/boxes", json=body)
    assert answer.status_code == 200, answer.text
    (feature,) = answer.json()["result"]["features"]
    assert feature["properties"]["area"] == pytest.approx(40 * 30 / 4, rel=0.1)


def test_lines_that_were_edited_into_no_shape_are_ignored(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", np.zeros((3, 50, 50), np.uint8))
    with client_of(tmp_path, image) as client:
        layer = _layer(client)
        path = tmp_path / "served" / "shapes" / f"{layer}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines: list[dict[str, Any]] = [
            {"do": "add", "shapes": [{**SHAPE, **wrong}]} for wrong in ({"id": "first"}, *WRONG, {})
        ]
        lines.append({"do": "class", "id": "new", "label": 7, "author": "Eve", "time": ""})
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = client.get("/api/shapes", params={"layer": layer}).json()
        assert [feature["properties"]["class"] for feature in found["features"]] == ["roof", "roof"]
        assert client.post("/api/shapes/undo", json={"layer": layer}).json()["total"] == 1
        for format in ("gpkg", "coco"):
            answer = client.get("/api/shapes/export", params={"layer": layer, "format": format})
            assert answer.status_code == 200


def test_classes_of_a_map_that_differ_by_a_dash_only() -> None:
    own = ("bare soil", "bare-soil"), ((1, 2, 3), (4, 5, 6))
    table = class_table(own, ["roof", "Bare_Soil", "ROOF"])
    assert table.classes == ("bare soil", "bare-soil", "roof") and table.palette[:2] == own[1]
    assert table.index("Roof") == 2


def test_a_map_without_palette_gets_a_colour_for_each_class(tmp_path: Path) -> None:
    path = write_image(tmp_path / "map.tif", np.zeros((1, 8, 8), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, class_0="water", class_1="roof", class_2="field")
    with client_of(tmp_path, path) as client:
        found = client.get(f"/api/layers/{_layer(client)}").json()["classes"]
    assert [own["name"] for own in found] == ["water", "roof", "field"]
    assert len({own["color"] for own in found}) == 3


@pytest.mark.parametrize("turn", [-360, 0])
def test_a_shape_is_kept_in_the_copy_of_the_world_where_its_layer_is(tmp_path: Path, turn: int) -> None:
    place = Affine(1e-4, 0, 179.995, 0, -1e-4, 10)  # across the antimeridian
    image = write_image(tmp_path / "taveuni.tif", np.zeros((3, 100, 100), np.uint8), crs="EPSG:4326", transform=place)
    with client_of(tmp_path, image) as client:
        box, layer = shapely.box(179.999 + turn, 9.995, 180.001 + turn, 9.997), _layer(client)
        shapes = [{"class": "roof", "geometry": json.loads(shapely.to_geojson(box))}]
        answer = client.post("/api/shapes", json={"layer": layer, "shapes": shapes})
        assert answer.status_code == 201, answer.text
        kept = shapely.from_geojson(json.dumps(answer.json()["features"][0]["geometry"]))
        assert kept.bounds == pytest.approx((179.999, 9.995, 180.001, 9.997))
        found = client.get("/api/shapes/export", params={"layer": layer, "format": "coco"}).json()
    assert found["annotations"][0]["bbox"] == pytest.approx([40, 30, 20, 20], abs=1e-3)
