"""Own words: what the model's process makes of them, and what the routes refuse."""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.serving.queue import QueueFull
from tests.serving.tiny_words import write_fixed_model, write_ground, write_open_model

pytest.importorskip("mmseg")
pytest.importorskip("open_clip")

WORDS = ["runway", "road, paved", "Straße 路"]
TEXT = 'runway, "road, paved", Straße 路'


@pytest.fixture(scope="module")
def options(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_open_model(tmp_path_factory.mktemp("open"), repo)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    """What the worker keeps between requests."""
    return {}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ground(tmp_path_factory.mktemp("ground") / "ground.tif")


def view_of(path: Path, width: int, height: int) -> dict[str, Any]:
    """A view of a whole raster."""
    from rsseg.serving.places import Place

    west, south, east, north = Place.of(path).bounds
    return {"west": west, "south": south, "east": east, "north": north, "width": width, "height": height}


class Told:
    """Keeps what a work function says on its way."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.shares: list[float] = []
        self.texts: list[str] = []
        self.partial: list[np.ndarray] = []
        self.stop_at = stop_at

    def __call__(self, done: float, message: str, partial: dict[str, Any] | None = None) -> None:
        self.shares.append(done)
        self.texts.append(message)
        if partial is not None:
            self.partial.append(partial["data"]["labels"].copy())
        if done >= self.stop_at:
            raise KeyboardInterrupt


def test_a_view_is_what_rsseg_segment_says_of_its_pixels(
    options: dict[str, Any], models: dict[str, Any], ground: Path, tmp_path: Path
) -> None:
    from rsseg.api import load_model
    from rsseg.serving.views import View, read_view
    from rsseg.serving.word_masks import ViewMask
    from rsseg.serving.word_model import segment_view

    view, told = view_of(ground, 300, 240), Told()
    result = segment_view({"path": str(ground), "view": view, "words": WORDS, "model": options}, models, told)
    mask = ViewMask.of(result)
    pixels, valid = read_view(ground, View(**view))
    grid = View(**view).grid
    seen, form = tmp_path / "view.tif", {"driver": "GTiff", "photometric": "RGB", "count": 3, "dtype": "uint8"}
    with rasterio.open(seen, "w", height=240, width=300, crs=grid.crs, transform=grid.affine, **form) as file:
        file.write(np.moveaxis(pixels, -1, 0))
        file.write_mask(valid)
    model = load_model(
        options["config"], options["checkpoint"], vocabulary='runway, "road, paved", Straße 路', device="cpu"
    )
    expected = model.predict(seen)
    assert 0 < (~valid).sum() < valid.size and len(np.unique(expected)) == 4
    np.testing.assert_array_equal(mask.at(0), expected)
    assert [row["name"] for row in mask.classes] == WORDS
    for threshold in (0.3, 0.5):
        difference = mask.at(threshold) != model.predict(seen, threshold=threshold)
        assert difference.mean() < 0.01  # probabilities are kept to 1/254
    assert told.texts[:3] == ["loading the model", "reading the view", "segmenting"]
    assert told.shares == sorted(told.shares) and len(told.partial) == 2  # three rows of windows of 128 by 96
    assert (told.partial[0][96:] == 255).all() and (told.partial[0][:96] == expected[:96]).all()


def test_the_network_is_loaded_once_for_all_words(
    options: dict[str, Any], models: dict[str, Any], ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rsseg.mapping.model
    from rsseg.serving.word_model import describe_model, segment_view

    about = describe_model({"model": options}, models, Told())
    assert about["is_open"] and len(about["classes"]) == 8  # those of OpenEarthMap
    monkeypatch.setattr(rsseg.mapping.model, "load_model", None)
    request = {"path": str(ground), "view": view_of(ground, 100, 80), "model": options}
    first = segment_view({**request, "words": ["sea"]}, models, Told())
    monkeypatch.setattr(models["words"].features, "encode", None)  # image features of the view are kept
    second = segment_view({**request, "words": ["sea", "land"]}, models, Told())
    assert [len(found["classes"]) for found in (first, second)] == [1, 2]
    own = segment_view({**request, "words": []}, models, Told())
    assert own["classes"] == about["classes"]
    again = segment_view({**request, "words": ["sea"]}, models, Told())
    np.testing.assert_array_equal(again["data"]["best"], first["data"]["best"])


def test_what_cannot_be_asked(options: dict[str, Any], models: dict[str, Any], ground: Path) -> None:
    from rsseg.errors import UserError
    from rsseg.serving.word_model import segment_view

    elsewhere = {"west": 0, "south": 0, "east": 1, "north": 1, "width": 50, "height": 50}
    request = {"path": str(ground), "view": view_of(ground, 50, 50), "words": ["a"], "model": options}
    with pytest.raises(UserError, match="shows nothing of the image"):
        segment_view({**request, "view": elsewhere}, models, Told())
    with pytest.raises(UserError, match="CLIP reads at most 77; shorten the name"):
        segment_view({**request, "words": ["ab " * 90]}, models, Told())
    assert segment_view(request, models, Told())["classes"][0]["name"] == "a"


def test_a_model_of_fixed_classes_shows_them_and_refuses_words(ground: Path, tmp_path: Path) -> None:
    from rsseg.errors import ConfigError
    from rsseg.serving.word_masks import ViewMask
    from rsseg.serving.word_model import describe_model, segment_view

    options, models = write_fixed_model(tmp_path), dict[str, Any]()
    about = describe_model({"model": options}, models, Told())
    assert not about["is_open"] and [row["name"] for row in about["classes"]] == ["road", "roof", "tree"]
    request = {"path": str(ground), "view": view_of(ground, 60, 50), "words": [], "model": options}
    mask = ViewMask.of(segment_view(request, models, Told()))
    assert set(np.unique(mask.at(0))) <= {0, 1, 2, 255}
    plain = write_ground(tmp_path / "plain.tif", 50, 60, crs=None)
    request |= {"path": str(plain), "view": view_of(plain, 60, 50)}
    mask = ViewMask.of(segment_view(request, models, Told()))
    assert [row["square_metres"] for row in mask.shares(0)["classes"]] == [None] * 3  # it has no place on the Earth
    with pytest.raises(ConfigError, match=r"fixed classes \(road, roof, tree\); remove the words"):
        segment_view({**request, "words": ["sea"]}, models, Told())


def test_a_saved_map_is_that_of_rsseg_map_and_goes_on_after_a_stop(
    options: dict[str, Any], models: dict[str, Any], ground: Path, tmp_path: Path
) -> None:
    from rsseg.errors import JobError
    from rsseg.mapping.command import run
    from rsseg.mapping.options import add_arguments
    from rsseg.serving.word_model import save_map

    target = tmp_path / "maps" / "Wörter.tif"
    request: dict[str, Any] = {
        "path": str(ground),
        "target": str(target),
        "words": WORDS,
        "threshold": 0.25,
        "bounds": None,
    }
    request["model"] = options
    with pytest.raises(KeyboardInterrupt):
        save_map(request, models, Told(stop_at=0.4))
    assert not target.exists() and len(list((tmp_path / "maps" / ".Wörter.tif.parts").glob("*.strip"))) == 1
    told = Told()
    assert save_map(request, models, told) == {"name": "Wörter.tif"}
    assert {"mapping"} == set(told.texts)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = ["--config", options["config"], "--checkpoint", options["checkpoint"], "--device", "cpu"]
    asked = ["--vocabulary", TEXT, "--threshold", "0.25", "--probabilities", "top"]
    run(parser.parse_args([str(ground), str(tmp_path / "map.tif"), *given, *asked]))
    assert target.read_bytes() == (tmp_path / "map.tif").read_bytes()
    before = target.read_bytes()
    with pytest.raises(JobError, match=r"there is a map 'Wörter' already, .* choose another name"):
        save_map({**request, "words": ["sea"]}, models, Told())
    assert target.read_bytes() == before


def test_pixels_of_16_bits_need_a_range(options: dict[str, Any], ground: Path, tmp_path: Path) -> None:
    from rsseg.errors import DataError
    from rsseg.serving.word_model import segment_view

    deep = tmp_path / "deep.tif"
    with rasterio.open(ground) as file:
        pixels, profile = file.read().astype(np.uint16) * 10, {**file.profile, "dtype": "uint16"}
    with rasterio.open(deep, "w", **profile) as file:
        file.write(pixels)
    given = {**options, "bands": (1, 2, 3), "range": (0, 2550)}
    request = {"view": view_of(ground, 100, 80), "words": ["sea", "land"], "model": given}
    found = segment_view({**request, "path": str(deep)}, {}, Told())["data"]
    expected = segment_view({**request, "path": str(ground), "model": options}, {}, Told())["data"]
    assert (found["labels"] == expected["labels"]).mean() > 0.99  # one is rounded to 8 bits before, one after the warp
    with pytest.raises(DataError, match="range"):
        segment_view({**request, "path": str(deep), "model": {**options, "bands": (1, 2, 3)}}, {}, Told())


def test_a_part_of_an_image_is_mapped(
    options: dict[str, Any], models: dict[str, Any], ground: Path, tmp_path: Path
) -> None:
    from rsseg.errors import ConfigError
    from rsseg.serving.views import View
    from rsseg.serving.word_model import save_map
    from rsseg.serving.words import _bounds

    view = view_of(ground, 100, 100)
    middle = (view["west"] + view["east"]) / 2
    bounds = _bounds(View(**{**view, "west": middle, "east": view["east"] + 1, "north": view["north"] + 1}))
    target = tmp_path / "part.tif"
    request = {"path": str(ground), "target": str(target), "words": ["sea"], "threshold": 0, "bounds": bounds}
    save_map({**request, "model": options}, models, Told())
    with rasterio.open(target) as part, rasterio.open(ground) as whole:
        assert (part.height, part.bounds.top, part.bounds.right) == (300, whole.bounds.top, whole.bounds.right)
        assert abs(part.width - 200) <= 3
    plain = write_ground(tmp_path / "plain.tif", 50, 60, crs=None)
    with pytest.raises(ConfigError, match="no place on the Earth"):
        save_map({**request, "path": str(plain), "model": options}, models, Told())
    assert _bounds(View(-190, -10, -170, 10, 5, 5)) == [170, -10, -170, 10]
    assert _bounds(View(-200, -85, 200, 85, 5, 5)) == [-180, -85, 180, 85]


@pytest.fixture(scope="module")
def asked(options: dict[str, Any], ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an application with a model, which no request reaches, and the id of its layer."""
    with client(tmp_path_factory.mktemp("served"), ground, text=options) as found:
        yield found, layer_of(ground)
        assert found.app.state.rsseg.queue.workers == {}


@contextmanager
def client(out: Path, *paths: Path, **settings: Any) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    from rsseg.serving.app import create_app
    from rsseg.serving.settings import ServeSettings

    with TestClient(
        create_app(ServeSettings(paths, out=out, request_seconds=3600, **settings)), base_url="http://127.0.0.1"
    ) as found:
        yield found


def layer_of(path: Path) -> str:
    from rsseg.serving.layers import Layers

    return Layers([path]).all()[0].id


def test_without_a_model_the_tool_says_how_to_give_one(ground: Path, tmp_path: Path) -> None:
    with client(tmp_path, ground) as http:
        about = http.get("/api/words").json()
        assert about["model"] is None and about["about"] is None
        assert (
            "Start it with --config CONFIG --checkpoint FILE: with configs/landdiscover/gsnet_vitb16.py"
            in about["advice"]
        )
        body = {"layer": layer_of(ground), "view": view_of(ground, 60, 50), "classes": ["sea"]}
        answer = http.post("/segment/text", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (400, about["advice"])
        answer = http.post("/api/maps", json={"layer": layer_of(ground), "name": "x"})
        assert (answer.status_code, answer.json()["detail"]) == (400, about["advice"])


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"layer": "nothing"}, 404, "no such layer"),
        ({"classes": ["sea", " SEA "]}, 400, "1 to 255 classes, none of them empty or repeated"),
        ({"classes": [" "]}, 422, "a word is empty"),
        ({"classes": ["a\x00b"]}, 422, "control character"),
        ({"classes": ["\u200b"]}, 422, "a word is empty"),
        ({"classes": ["a" * 101]}, 422, "at most 100 characters"),
        ({"classes": [str(n) for n in range(256)]}, 422, "at most 255 items"),
        ({"threshold": 1.5}, 422, "less than or equal to 1"),
        ({"width": 8000, "height": 8000}, 400, "at most 4194304 are segmented at once"),
        ({"north": 5.0}, 400, "south first"),
        ({"west": 1e300}, 422, "less than or equal to 540"),
    ],
)
def test_requests_that_are_refused(
    asked: tuple[Any, str], ground: Path, change: dict[str, Any], status: int, text: str
) -> None:
    http, layer = asked
    view = view_of(ground, 60, 50)
    body = {"layer": layer, "view": view, "classes": ["sea"]}
    for key, value in change.items():
        (view if key in view else body)[key] = value
    answer = http.post("/segment/text", json=body)
    assert (answer.status_code, text in json.dumps(answer.json())) == (status, True)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", ".hidden", "C:x", "a\\b", " ", "x" * 81, "a\x00", ".", ".tif", "a_Probabilities"]
)
def test_names_of_maps_stay_in_the_folder_of_results(asked: tuple[Any, str], name: str) -> None:
    http, layer = asked
    answer = http.post("/api/maps", json={"layer": layer, "name": name, "classes": ["sea"]})
    assert answer.status_code in (400, 422)


def test_maps_are_made_beside_views(asked: tuple[Any, str], ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of their own, however long they take."""
    http, layer = asked
    given: list[tuple[str, float, str]] = []

    def submit(work: str, _: dict[str, Any], key: str | None, seconds: float, lane: str) -> None:
        given.append((work.partition(":")[2], seconds, lane))
        raise QueueFull(1, 1)

    monkeypatch.setattr(http.app.state.rsseg.queue, "submit", submit)
    http.post("/segment/text", json={"layer": layer, "view": view_of(ground, 60, 50), "classes": ["sea"]})
    answer = http.post("/api/maps", json={"layer": layer, "name": "x", "classes": ["sea"]})
    assert given == [("segment_view", 5 * 3600.0, "models"), ("save_map", math.inf, "maps")]
    assert answer.status_code == 429


def test_requests_that_are_not_there(asked: tuple[Any, str]) -> None:
    for path in ("/work/nothing", "/work/nothing/mask.png", "/work/nothing/mask.json", "/work/nothing/mask.geojson"):
        assert asked[0].get(path).status_code == 404
    assert asked[0].delete("/work/nothing").status_code == 404


@pytest.mark.slow
def test_one_request_gives_a_result_and_thresholds_need_no_other(
    options: dict[str, Any], ground: Path, tmp_path: Path
) -> None:
    """Through the worker process: what one line of curl gets, then masks, polygons, a saved map."""
    with client(tmp_path, ground, text=options) as http:
        layer = layer_of(ground)
        body = {
            "layer": layer,
            "view": view_of(ground, 300, 240),
            "classes": [" Straße  路 ", "sea"],
            "threshold": 0.25,
        }
        answer = http.post("/segment/text?wait=600", json=body)
        found = answer.json()
        assert (answer.status_code, found["state"], found["shares"]["threshold"]) == (200, "done", 0.25)
        assert [row["name"] for row in found["shares"]["classes"]] == ["Straße 路", "sea"]
        assert sum(row["share"] for row in found["shares"]["classes"]) + found["shares"]["unsure"] == pytest.approx(1)
        picture = http.get(found["mask"])
        assert picture.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(picture.content)) as image:
            assert image.size == (300, 240)
        again = http.post("/segment/text?wait=600", json={**body, "threshold": 0}).json()
        assert again["id"] == found["id"] and again["shares"]["unsure"] == 0  # the same mask at another threshold
        shares = http.get(f"/work/{found['id']}/mask.json?threshold=0.25").json()
        assert shares == found["shares"]
        polygons = http.post("/segment/text?wait=600&format=geojson", json={**body, "threshold": 0}).json()
        assert polygons == http.get(f"/work/{found['id']}/mask.geojson").json() and polygons["features"]
        saved = http.post(
            "/api/maps?wait=600", json={"layer": layer, "name": "mine", "classes": ["sea", "land"], "threshold": 0.2}
        ).json()
        while saved["state"] in ("queued", "running"):  # the process of maps loads the model first
            saved = http.get(f"/work/{saved['id']}?wait=100").json()
        assert (saved["state"], saved["result"]) == ("done", {"name": "mine.tif"})
        layers = http.app.state.rsseg.layers.all()
        assert [(one.kind, one.name) for one in layers] == [("map", "mine.tif"), ("image", "ground.tif")]
        assert layers[0].image == layer and layers[0].probabilities is not None
        body["layer"] = layers[0].id  # a map stands for its image
        assert http.post("/segment/text?wait=600", json={**body, "classes": ["a"]}).json()["state"] == "done"
        failed = http.post("/segment/text?wait=600", json={**body, "classes": ["路" * 90]}).json()
        assert failed["state"] == "failed" and "shorten the name" in failed["message"]
