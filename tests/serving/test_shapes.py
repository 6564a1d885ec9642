"""Accepted polygons: kept whatever happens, changed by several pages at once, and exported."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from PIL import Image
from pycocotools.coco import COCO
from rasterio import Affine
from starlette.testclient import TestClient

from rsseg.datasets.detection.coco import read_coco
from rsseg.errors import JobError
from rsseg.metainfo import word_table
from rsseg.serving import shape_log
from rsseg.serving.places import Place
from rsseg.serving.shape_log import Shape, ShapeLog
from tests.serving.world import write_image, write_map

UTM = Affine(2, 0, 499_900, 0, -2, 5_000_100)
"""Pixels of 2 m; (500000, 5000000) lies 50 columns and 50 rows from the corner."""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("layers")
    image = write_image(folder / "Hügel 1.tif", np.zeros((3, 100, 100), np.uint8), transform=UTM)
    labels = write_map(folder / "classes.tif", np.zeros((100, 100)), image, transform=UTM)
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(folder / "photo.png")
    return {"image": image, "map": labels, "photo": folder / "photo.png"}


@pytest.fixture
def client(paths: dict[str, Path], tmp_path: Path) -> Iterator[TestClient]:
    from rsseg.serving.app import create_app
    from rsseg.serving.settings import ServeSettings

    settings = ServeSettings(tuple(paths.values()), tmp_path / "out", reviewer="Ada", masks={"predictor": "box"},
                             request_seconds=3600)  # fmt: skip
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as test_client:
        yield test_client


def _id(client: TestClient, kind: str, name: str = "") -> str:
    layers = client.app.state.rsseg.layers.all()  # type: ignore[attr-defined]
    return str(next(layer.id for layer in layers if layer.kind == kind and name in layer.name))


def _square(path: Path, x: float = 500_000, y: float = 5_000_000, side: float = 20) -> dict[str, Any]:
    """A square in UTM, from its corner to the east and south, as GeoJSON in degrees."""
    box = np.array([shapely.box(x, y - side, x + side, y)], object)
    return dict(json.loads(shapely.to_geojson(Place.of(path).to_degrees(box)[0])))


def _pixels(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]]}


def _add(client: TestClient, layer: str, label: str, geometry: Any, /, **more: Any) -> Any:
    body = {"layer": layer, "shapes": [{"class": label, "geometry": geometry}], **more}
    answer = client.post("/api/shapes", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["features"][0]


def _list(client: TestClient, layer: str, **query: Any) -> Any:
    answer = client.get("/api/shapes", params={"layer": layer, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


# Exports ----------------------------------------------------------------------------------------------------------


def test_a_known_square_in_both_exports(client: TestClient, paths: dict[str, Path], tmp_path: Path) -> None:
    layer = _id(client, "image", "Hügel")
    made = _add(client, layer, "Dächer 屋根", _square(paths["image"]))
    about = made["properties"]
    assert about["area"] == pytest.approx(20 * 20, abs=1e-3) and about["unit"] == "m2" and about["author"] == "Ada"
    package = client.get("/api/shapes/export", params={"layer": layer, "format": "gpkg"})
    assert package.status_code == 200 and "H%C3%BCgel%201_shapes.gpkg" in package.headers["content-disposition"]
    (tmp_path / "a.gpkg").write_bytes(package.content)
    meta, _, geometry, fields = pyogrio.raw.read(tmp_path / "a.gpkg", layer="classes")
    row = {name: values[0] for name, values in zip(meta["fields"], fields, strict=True)}
    assert meta["crs"] == "EPSG:32633" and meta["geometry_type"] == "Polygon"
    assert shapely.from_wkb(geometry[0]).bounds == pytest.approx((500_000, 4_999_980, 500_020, 5_000_000), abs=1e-3)
    assert row["class"] == "Dächer 屋根" and row["class_id"] == 0 and row["author"] == "Ada" and np.isnan(row["score"])
    assert row["area_m2"] == pytest.approx(400, abs=1e-3) and row["time"] == about["time"] and row["time"].endswith("Z")
    assert "layer_styles" in {name for name, _ in pyogrio.list_layers(tmp_path / "a.gpkg")}  # colours for QGIS
    answer = client.get("/api/shapes/export", params={"layer": layer, "format": "coco"})
    (tmp_path / "a.json").write_bytes(answer.content)
    coco = COCO(tmp_path / "a.json")
    (image,), (category,), (annotation,) = (list(part.values()) for part in (coco.imgs, coco.cats, coco.anns))
    assert (image["file_name"], image["width"], image["height"]) == ("Hügel 1.tif", 100, 100)
    assert category["name"] == "Dächer 屋根" and annotation["category_id"] == category["id"]
    # 100 m east and 100 m south of the corner are 50 pixels of 2 m; 20 m are 10
    assert annotation["bbox"] == pytest.approx([50, 50, 10, 10], abs=2e-3)
    assert annotation["area"] == pytest.approx(100, abs=0.01)
    drawn = coco.annToMask(annotation)
    assert drawn.sum() == 100 and drawn[50:60, 50:60].all()
    (record,) = read_coco(tmp_path / "a.json", word_table(["Dächer 屋根"], "test")).values()
    assert record.hbox[0] == pytest.approx([50, 50, 60, 60], abs=2e-3)  # what rsseg convert reads
    assert not list((tmp_path / "out" / "shapes").glob(".export-*"))  # sent and gone


def test_shapes_of_a_map_have_its_classes_and_its_image(client: TestClient, paths: dict[str, Path]) -> None:
    layer = _id(client, "map")
    _add(client, layer, "Forest", _square(paths["map"]))
    _add(client, layer, "pond", _square(paths["map"], y=5_000_040))
    found = _list(client, layer)
    assert [(row["name"], row["count"]) for row in found["classes"]] == [
        ("water", 0), ("forest", 1), ("road", 0), ("pond", 1),
    ]  # fmt: skip
    assert found["classes"][1]["color"] == "#008000" and found["classes"][3]["area"] == pytest.approx(400, abs=1e-3)
    coco = client.get("/api/shapes/export", params={"layer": layer, "format": "coco"}).json()
    assert coco["images"][0]["file_name"] == "Hügel 1.tif" and [row["category_id"] for row in coco["annotations"]] == [
        2,
        4,
    ]


def test_a_picture_without_a_place_is_exported_in_pixels(client: TestClient, tmp_path: Path) -> None:
    layer = _id(client, "image", "photo")
    ring = [[10, 5], [30, 5], [30, 25], [10, 25]]
    hole = [[15, 10], [20, 10], [20, 15], [15, 15]]
    made = _add(client, layer, "pool", {"type": "Polygon", "coordinates": [ring, hole]}, units="pixels")
    assert made["properties"]["area"] == pytest.approx(20 * 20 - 25) and made["properties"]["unit"] == "px"
    (tmp_path / "a.gpkg").write_bytes(client.get("/api/shapes/export", params={"layer": layer}).content)
    meta, _, geometry, _ = pyogrio.raw.read(tmp_path / "a.gpkg", layer="classes")
    assert not meta["crs"] and "area_px" in meta["fields"]
    shape = shapely.from_wkb(geometry[0])
    assert shape.bounds == pytest.approx((10, 5, 30, 25), abs=1e-3) and len(shape.interiors) == 1
    path = tmp_path / "a.json"
    path.write_bytes(client.get("/api/shapes/export", params={"layer": layer, "format": "coco"}).content)
    coco = COCO(path)
    (annotation,) = coco.anns.values()
    drawn = coco.annToMask(annotation)
    assert drawn.sum() == 375 and not drawn[10:15, 15:20].any() and annotation["area"] == pytest.approx(375, abs=0.01)


def test_exports_without_shapes_and_with_parts(client: TestClient, paths: dict[str, Path], tmp_path: Path) -> None:
    layer = _id(client, "image", "Hügel")
    for format in ("gpkg", "coco"):
        assert client.get("/api/shapes/export", params={"layer": layer, "format": format}).status_code == 200
    parts = [_pixels(10, 10, 20, 20)["coordinates"], _pixels(90, 90, 120, 120)["coordinates"]]
    bow = {"type": "Polygon", "coordinates": [[[40, 40], [50, 50], [50, 40], [40, 50]]]}
    for geometry in ({"type": "MultiPolygon", "coordinates": parts}, bow):
        _add(client, layer, "field", geometry, units="pixels")
    coco = client.get("/api/shapes/export", params={"layer": layer, "format": "coco"}).json()
    first, second = coco["annotations"]
    assert len(first["segmentation"]) == 2 and first["area"] == pytest.approx(200, abs=0.01)  # cut at the border
    assert second["area"] == pytest.approx(50, abs=0.01)  # two triangles
    (tmp_path / "a.gpkg").write_bytes(client.get("/api/shapes/export", params={"layer": layer}).content)
    meta, _, geometry, _ = pyogrio.raw.read(tmp_path / "a.gpkg", layer="classes")
    assert meta["geometry_type"] == "MultiPolygon" and shapely.is_valid(shapely.from_wkb(geometry)).all()


# Changes ----------------------------------------------------------------------------------------------------------


def test_change_delete_and_undo_of_two_pages(client: TestClient, tmp_path: Path) -> None:
    layer = _id(client, "image", "photo")
    first = _add(client, layer, "car", _pixels(1, 1, 5, 5), units="pixels", client="one")
    second = _add(client, layer, "CAR", _pixels(6, 6, 9, 9), units="pixels", client="two", author="Bo")
    assert second["properties"]["class"] == "car" and second["properties"]["author"] == "Bo"  # the spelling there is

    def step(method: str, id: str, who: str, **body: Any) -> Any:
        if method == "delete":
            return client.delete(f"/api/shapes/{id}", params={"layer": layer, "client": who})
        return client.patch(f"/api/shapes/{id}", json={"layer": layer, "client": who, **body})

    def undo(who: str) -> Any:
        return client.post("/api/shapes/undo", json={"layer": layer, "client": who})

    def classes() -> list[str]:
        return [row["properties"]["class"] for row in _list(client, layer)["features"]]

    changed = step("patch", first["id"], "one", **{"class": " voie   ferrée "})
    assert changed.json()["properties"]["class"] == "voie ferrée"
    assert step("delete", second["id"], "two").status_code == 204 and classes() == ["voie ferrée"]
    assert undo("one").status_code == 200 and classes() == ["car"]
    assert undo("two").status_code == 200 and classes() == ["car", "car"]
    assert undo("one").json()["undone"] and _list(client, layer)["total"] == 1  # the first one is not there any more
    assert undo("one").json()["undone"] is False
    assert step("delete", first["id"], "one").status_code == 404
    assert step("patch", "nobody", "one", **{"class": "x"}).status_code == 404
    lines = (tmp_path / "out" / "shapes" / f"{layer}.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 2 + 2 + 3  # the head, and a line for each step


def test_shapes_are_there_after_a_restart(client: TestClient, paths: dict[str, Path], tmp_path: Path) -> None:
    from rsseg.serving.app import create_app
    from rsseg.serving.settings import ServeSettings

    layer = _id(client, "image", "photo")
    made = _add(client, layer, "naïve café ☕", _pixels(1, 1, 5, 5), units="pixels", client="one")
    before = _list(client, layer)
    again = create_app(ServeSettings(tuple(paths.values()), tmp_path / "out"))
    with TestClient(again, base_url="http://127.0.0.1:8000") as other:
        assert _list(other, layer) == before
        assert other.post("/api/shapes/undo", json={"layer": layer, "client": "one"}).json()["total"] == 0
    assert _list(client, layer)["total"] == 0 and made["id"]


def test_what_encloses_nothing_is_left_out_of_a_shape(client: TestClient) -> None:
    """Such as an outline that runs back on itself, and has a hole elsewhere."""
    line = [[2, 0], [0, 1], [3, 0], [0, 1], [2, 0]], [[13, 39], [57, 49], [25, 32], [13, 39]]
    both = {"type": "MultiPolygon", "coordinates": [_pixels(1, 1, 5, 5)["coordinates"], line]}
    found = _add(client, _id(client, "image", "photo"), "a", both, units="pixels")
    assert found["geometry"]["type"] == "Polygon" and len(found["geometry"]["coordinates"]) == 1


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"geometry": _pixels(200, 200, 210, 210)}, 400, "outside of the layer"),
        ({"geometry": _pixels(5, 5, 5, 9)}, 400, "encloses nothing"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[1, 1], [2, 2]]]}}, 422, "at least 3"),
        ({"geometry": {"type": "Point", "coordinates": [1, 1]}}, 422, "type"),
        ({"class": "\x07"}, 422, "control"),
        ({"class": "   "}, 422, "empty"),
        ({"class": "x" * 101}, 422, "100"),
        ({"score": 2}, 422, "less than or equal to 1"),
    ],
)
def test_shapes_that_are_refused(client: TestClient, change: dict[str, Any], status: int, text: str) -> None:
    layer = _id(client, "image", "photo")
    draft = {"class": "a", "geometry": _pixels(1, 1, 5, 5), **change}
    answer = client.post("/api/shapes", json={"layer": layer, "units": "pixels", "shapes": [draft]})
    assert answer.status_code == status and text in answer.text, answer.text
    assert _list(client, layer)["total"] == 0
    degrees = client.post(
        "/api/shapes", json={"layer": layer, "shapes": [{"class": "a", "geometry": _pixels(1, 1, 700, 5)}]}
    )
    assert degrees.status_code == 400 and "units=pixels" in degrees.text
    assert client.get("/api/shapes", params={"layer": "nobody"}).status_code == 404


def test_classes_have_a_limit(client: TestClient) -> None:
    layer = _id(client, "image", "photo")
    drafts = [{"class": f"class {i}", "geometry": _pixels(1, 1, 5, 5)} for i in range(256)]
    body = {"layer": layer, "units": "pixels", "shapes": drafts}
    answer = client.post("/api/shapes", json=body)
    assert answer.status_code == 400 and "255" in answer.text and _list(client, layer)["total"] == 0


# The route of the model -------------------------------------------------------------------------------------------


def test_boxes_over_the_interface(client: TestClient) -> None:
    layer = _id(client, "image", "photo")
    assert client.get("/api/masks").json() == {"predictor": "box", "points": False}
    body = {"layer": layer, "boxes": [[30, 25, 10, 20]], "units": "pixels"}  # sides in any order
    answer = client.post("/segment/boxes", json=body, params={"wait": 600})
    assert answer.status_code == 200 and answer.json()["state"] == "done", answer.text
    (feature,) = answer.json()["result"]["features"]
    assert feature["properties"]["area"] == pytest.approx(100)
    drawn = shapely.from_geojson(json.dumps(feature["geometry"]))
    assert drawn.bounds == pytest.approx((10, 20, 30, 25), abs=1e-6)
    ticket = client.post("/segment/boxes", json={**body, "boxes": [], "points": [[20, 22, 1]]}, params={"wait": 600})
    assert ticket.json()["state"] == "failed" and "takes boxes only" in ticket.json()["message"]
    for wrong, text in (
        ({"boxes": [[100, 100, 120, 120]]}, "outside of the view"),
        ({"boxes": []}, "which object"),
        ({"boxes": [], "points": [[1, 1, 7]]}, "must be 1"),
        ({"view": {"west": 0, "south": 0, "east": 1, "north": 1, "width": 8000, "height": 8000}}, "at most"),
    ):
        refused = client.post("/segment/boxes", json={**body, **wrong})
        assert refused.status_code == 400 and text in refused.json()["detail"]


# The file ---------------------------------------------------------------------------------------------------------


def _shape(number: int, label: str = "a") -> Shape:
    return Shape(f"s{number}", label, _pixels(0, 0, 1, 1), 1.0, "px", None, "me", "2026-01-01T00:00:00Z")


def test_ten_thousand_shapes(tmp_path: Path) -> None:
    log = ShapeLog(tmp_path / "a.jsonl")
    for start in range(0, 10_000, 1000):
        log.add([_shape(i, f"class {i % 200}") for i in range(start, start + 1000)], "")
    assert [shape.id for shape in ShapeLog(log.path).all()[0]] == [f"s{i}" for i in range(10_000)]
    log.delete("s5", "x")
    assert len(log.all()[0]) == 9999 and len(ShapeLog(log.path).all()[0]) == 9999


def test_limits_and_lines_that_are_no_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ShapeLog(tmp_path / "a.jsonl")
    log.add([_shape(1)], "")
    with log.path.open("ab") as file:
        file.write(b'\x00\x00\n{"do":"dance"}\n[1]\n{"do":"add","shapes":[{"id":1}]}\n')
    log.add([_shape(2)], "")
    assert [shape.id for shape in log.all()[0]] == ["s1", "s2"] == [shape.id for shape in ShapeLog(log.path).all()[0]]
    monkeypatch.setattr(shape_log, "_MOST_SHAPES", 2)
    with pytest.raises(JobError, match="no more than 2"):
        log.add([_shape(3)], "")
    monkeypatch.setattr(shape_log, "_MOST_BYTES", 10)
    with pytest.raises(JobError, match="export the layer first"):
        log.delete("s1", "")


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_that_a_kill_cut_off(tmp_path: Path, cut: int) -> None:
    log = ShapeLog(tmp_path / "a.jsonl")
    log.add([_shape(1)], "")
    log.add([_shape(2)], "")
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-cut])  # 1: only the line's end is missing
    again = ShapeLog(log.path)
    assert [shape.id for shape in again.all()[0]] == ["s1"]
    again.add([_shape(3)], "")
    assert [shape.id for shape in again.all()[0]] == (["s1", "s2", "s3"] if cut == 1 else ["s1", "s3"])
    assert all(json.loads(line) for line in log.path.read_bytes().splitlines())


def test_a_long_history_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape_log, "_REMEMBERED", 3)
    log, other = ShapeLog(tmp_path / "a.jsonl"), ShapeLog(tmp_path / "a.jsonl")
    log.add([_shape(i) for i in range(4)], "one")
    for i in range(3):
        log.relabel(f"s{i}", "b", "me", "2026-01-02T00:00:00Z", "one")
    other.all()
    log.compact()
    assert len(log.path.read_bytes().splitlines()) == 1 + 4  # one step more than is remembered would do
    for i in range(8):
        log.relabel("s3", f"c{i}", "me", "2026-01-02T00:00:00Z", "one")
    before = log.all()[0]
    log.compact()
    assert len(log.path.read_bytes().splitlines()) == 1 + 4
    assert log.all()[0] == before == other.all()[0] == ShapeLog(log.path).all()[0]
    other.add([_shape(9)], "two")
    assert len(log.all()[0]) == 5


def test_two_servers_and_many_threads_on_one_file(tmp_path: Path) -> None:
    logs = [ShapeLog(tmp_path / "a.jsonl") for _ in range(2)]

    def add(number: int) -> None:
        for i in range(10):
            logs[number % 2].add([_shape(number * 10 + i)], f"client {number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0].all() == logs[1].all() and {shape.id for shape in logs[0].all()[0]} == {f"s{i}" for i in range(80)}


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from rsseg.serving.shape_log import Shape, ShapeLog

log = ShapeLog(Path(sys.argv[1]))
ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
for i in range(1_000_000):
    log.add([Shape(f"s{i}", "a", {"type": "Polygon", "coordinates": [ring]}, 1.0, "px", None, "me", "now")], "")
    print(f"s{i}", flush=True)
"""


@pytest.mark.slow
def test_a_server_that_is_killed_loses_nothing_that_it_has_answered(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for _ in range(2):
        path.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        answered = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        answered += process.stdout.read().split()
        process.wait()
        kept = [shape.id for shape in ShapeLog(path).all()[0]]
        assert answered[0] == "s0" and kept[: len(answered)] == answered and len(kept) <= len(answered) + 1
        ShapeLog(path).add([_shape(-1)], "")
        assert [shape.id for shape in ShapeLog(path).all()[0]][-1] == "s-1"
