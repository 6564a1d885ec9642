"""Masks of what is clicked or boxed in a view."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from rsseg.errors import ConfigError, DataError
from rsseg.serving.masks import BOXES_ONLY, MASK_MODELS, Prompt, check_masks, mask_shape, prompts_in_view, segment_boxes
from rsseg.serving.places import Place
from rsseg.serving.views import View
from rsseg.structures.masks import MaskCrop
from tests.serving.world import write_image

VIEW = View(10, 45, 10.01, 45.01, 500, 400)
SQUARE = 40, 30, 80, 60
"""Columns and rows of the bright ground: 20 x 15 m."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.random.default_rng(0).integers(60, 80, (3, 100, 120), dtype=np.uint8)
    x1, y1, x2, y2 = SQUARE
    pixels[:, y1:y2, x1:x2] += 130
    return write_image(tmp_path_factory.mktemp("images") / "field.tif", pixels)


def _degrees(path: Path, shape: Any) -> Any:
    return Place.of(path).pixels_to_degrees(np.array([shape], object))[0]


def _request(path: Path, boxes: Any = (), points: Any = (), side: int = 480, **more: Any) -> dict[str, Any]:
    view = View(*Place.of(path).bounds, side, side * 100 // 120)
    prompts = [asdict(prompt) for prompt in prompts_in_view(view, boxes, points)]
    return {"path": str(path), "layer": "a", "view": asdict(view), "prompts": prompts, **more}


def _told(done: float, text: str) -> None:
    assert 0 <= done <= 1 and text


def _on(path: Path, x: float, y: float, label: int = 1) -> tuple[float, float, int]:
    place = _degrees(path, shapely.Point(x, y))
    return place.x, place.y, label


# Prompts ----------------------------------------------------------------------------------------------------------


def test_degrees_become_pixels_of_the_view() -> None:
    box, again = [10.001, 45.002, 10.004, 45.008], [10.004, 45.008, 10.001, 45.002]
    found = prompts_in_view(VIEW, [box, again], [(10.002, 45.005, 1), (10.003, 45.005, 0)])
    assert found[0].box is not None and found[0].box == found[1].box  # sides in any order
    x1, y1, x2, y2 = found[0].box
    assert (x1, x2) == pytest.approx((50, 200)) and (y1, y2) == pytest.approx((80, 320), abs=0.1)
    assert found[0].labels == [1, 0] and found[0].points[0] == pytest.approx((100, 200), abs=0.1)
    assert prompts_in_view(VIEW, [], [(10.002, 45.005, 1)])[0].box is None


def test_boxes_are_cut_to_the_view_and_the_world_is_round() -> None:
    assert prompts_in_view(VIEW, [[9, 44, 10.005, 46]], [])[0].box == pytest.approx((0, 0, 250, 400))
    fiji = View(179.99, -17, -179.99, -16.98, 100, 100)
    assert prompts_in_view(fiji, [[179.995, -16.995, -179.995, -16.985]], [])[0].box == pytest.approx(
        (25, 25, 75, 75), abs=0.1
    )


@pytest.mark.parametrize(
    ("boxes", "points", "text"),
    [
        ([], [], "which object"),
        ([], [(10.002, 45.005, 0)], "which object"),
        ([[11, 45, 12, 46]], [], r"box 1 \(11, 45, 12, 46\) lies outside of the view"),
        ([[10.001, 45.001, 10.002, 45.002], [10.005, 45.001, 10.005, 45.002]], [], "box 2 .* empty"),
        ([], [(10.002, 45.005, 1), (10.2, 45.005, 0)], "click 2 .* outside of the view"),
        ([[10.001, 45.001, 10.002, 45.002]] * 2, [(10.009, 45.009, 1)], "none of the boxes"),
    ],
)
def test_prompts_that_make_no_sense(boxes: Any, points: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        prompts_in_view(VIEW, boxes, points)


def test_clicks_on_the_edge_of_the_view_are_in_it() -> None:
    view = View(14.999999999999982, 36.14381652098637, 15.001111572205078, 36.14471809881776, 200, 200)
    corners = [(lon, lat, 1) for lon in (view.west, view.east) for lat in (view.south, view.north)]
    (found,) = prompts_in_view(view, [], corners)
    assert np.array(found.points) == pytest.approx(np.array([(0, 200), (0, 0), (200, 200), (200, 0)]), abs=1e-3)
    assert all(0 <= x <= 200 and 0 <= y <= 200 for x, y in found.points)


def test_clicks_belong_to_the_boxes_that_hold_them() -> None:
    left, right = [10.001, 45.001, 10.004, 45.009], [10.005, 45.001, 10.009, 45.009]
    found = prompts_in_view(VIEW, [left, right], [(10.002, 45.005, 1), (10.007, 45.005, 0)])
    assert [prompt.labels for prompt in found] == [[1], [0]]
    assert prompts_in_view(VIEW, [left], [(10.009, 45.009, 0)])[0].labels == [0]  # beside the only box


# Outlines ---------------------------------------------------------------------------------------------------------


def test_outlines_of_masks() -> None:
    pixels = np.zeros((20, 30), bool)
    pixels[2:12, 3:13] = True
    pixels[5:8, 5:8] = False
    pixels[18, 28] = True  # a speck
    shape = mask_shape(MaskCrop(100, 50, pixels), (200, 200))
    assert shape.equals(
        shapely.Polygon(shapely.box(103, 52, 113, 62).exterior, [shapely.box(105, 55, 108, 58).exterior])
    )
    pixels[12:19, 20:27] = True
    assert mask_shape(MaskCrop(0, 0, pixels), (20, 30)).geom_type == "MultiPolygon"
    assert mask_shape(MaskCrop(0, 0, np.zeros((0, 0), bool)), (20, 30)) is None
    assert mask_shape(MaskCrop(7, 9, np.ones((1, 1), bool)), (20, 30)).equals(shapely.box(7, 9, 8, 10))


# The work function ------------------------------------------------------------------------------------------------


def test_a_box_on_a_known_square(image: Path) -> None:
    square = shapely.box(*SQUARE)
    bounds = _degrees(image, square).bounds
    request = _request(image, [bounds], units="pixels", masks={"predictor": "box", "weights": None}, side=1920)
    found = segment_boxes(request, {}, _told)
    (feature,) = found["features"]
    assert feature["properties"]["area"] == pytest.approx(20 * 15, rel=0.01) and feature["properties"]["unit"] == "m2"
    drawn = shapely.from_geojson(json.dumps(feature["geometry"]))
    assert drawn.bounds == pytest.approx(SQUARE, abs=0.1)
    assert shapely.hausdorff_distance(drawn, square) < 0.1  # pixels of the image; one of the view is a sixteenth


def test_grabcut_finds_the_square_by_box_and_by_click(image: Path) -> None:
    square, models = shapely.box(*SQUARE), dict[str, Any]()
    middle = _on(image, 60, 45)
    around = _degrees(image, shapely.box(35, 25, 85, 65)).bounds
    for request in (_request(image, [around]), _request(image, [], [middle]), _request(image, [around], [middle])):
        (feature,) = segment_boxes(request, models, _told)["features"]
        degrees = np.array([shapely.from_geojson(json.dumps(feature["geometry"]))], object)
        drawn = Place.of(image).degrees_to_pixels(degrees)[0]
        assert drawn.intersection(square).area / drawn.union(square).area > 0.9
        assert feature["properties"]["score"] is None  # GrabCut makes no estimate


def test_a_picture_without_a_place_is_measured_in_pixels(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / "photo.png")
    path = tmp_path / "photo.png"
    view = View(*Place.of(path).bounds, 60, 50)
    box = _degrees(path, shapely.box(10, 20, 30, 25)).bounds
    prompts = [asdict(prompt) for prompt in prompts_in_view(view, [box], [])]
    request = {"path": str(path), "layer": "p", "view": asdict(view), "prompts": prompts, "units": "pixels",
               "masks": {"predictor": "box"}}  # fmt: skip
    (feature,) = segment_boxes(request, {}, _told)["features"]
    assert feature["properties"]["area"] == pytest.approx(100) and feature["properties"]["unit"] == "px"
    drawn = shapely.from_geojson(json.dumps(feature["geometry"]))
    assert drawn.bounds == pytest.approx((10, 20, 30, 25), abs=1e-6)


def test_views_are_encoded_once(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsseg.conversion.predictors import SAMPredictor

    tiny = {"embed_dim": 32, "depth": 1, "num_heads": 2, "global_attn_indexes": (0,), "img_size": 256}
    masks = {"predictor": "sam", "model": tiny, "random_seed": 0}
    encoded = list[int]()
    plain = SAMPredictor.encode

    def counted(self: Any, images: Any) -> Any:
        encoded.append(len(images))
        return plain(self, images)

    monkeypatch.setattr(SAMPredictor, "encode", counted)
    models: dict[str, Any] = {}

    def ask(x: float, y: float, side: int = 240) -> bool:
        request = _request(image, [], [_on(image, x, y)], side, masks=masks)
        found = segment_boxes(request, models, _told)
        properties = found["features"][0]["properties"]
        assert properties["score"] is not None and properties["stability"] is not None
        return bool(found["encoded"])

    assert [ask(60, 45), ask(20, 45), ask(60, 20, side=120), ask(30, 30)] == [True, False, True, False]
    assert encoded == [1, 1]
    for side in range(130, 210, 10):  # eight more views: the first one is forgotten
        assert ask(60, 45, side)
    assert ask(60, 45) and len(models["views"]) == 8
    image.touch()  # another state of the file
    assert ask(60, 45)
    model = models["masks"][1]
    segment_boxes(_request(image, [], [_on(image, 9, 9)], masks=masks), models, _told)
    assert models["masks"][1] is model  # and loaded once


def test_no_mask_where_there_are_no_data(tmp_path: Path) -> None:
    pixels = np.full((3, 40, 40), 90, np.uint8)
    pixels[:, :, 20:] = 0
    path = write_image(tmp_path / "half.tif", pixels, nodata=0)
    box = _degrees(path, shapely.box(10, 10, 30, 30)).bounds
    view = View(*Place.of(path).bounds, 400, 400)
    request = {"path": str(path), "layer": "h", "view": asdict(view), "masks": {"predictor": "box"},
               "prompts": [asdict(prompt) for prompt in prompts_in_view(view, [box], [])]}  # fmt: skip
    (feature,) = segment_boxes(request, {}, _told)["features"]
    assert feature["properties"]["area"] == pytest.approx(10 * 20 * 0.25, rel=0.05)
    box = _degrees(path, shapely.box(25, 10, 35, 30)).bounds
    request["prompts"] = [asdict(prompt) for prompt in prompts_in_view(view, [box], [])]
    (feature,) = segment_boxes(request, {}, _told)["features"]
    assert feature["geometry"] is None and feature["properties"]["area"] == 0


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ({"predictor": "truth"}, "unknown --predictor 'truth'; expected one of: grabcut, sam"),
        ({"predictor": "sam"}, "--predictor sam needs weights: add --predictor-weights FILE"),
        ({"weights": "x.pth"}, "grabcut has no weights"),
        ({"predictor": "box", "colour": 3}, "colour"),
    ],
)
def test_models_that_cannot_be_had(image: Path, masks: dict[str, Any], text: str) -> None:
    around = _degrees(image, shapely.box(35, 25, 85, 65)).bounds
    with pytest.raises(ConfigError, match=text):
        segment_boxes(_request(image, [around], masks=masks), {}, _told)
    if "colour" not in masks:
        with pytest.raises(ConfigError, match=text):  # and before the server starts
            check_masks(masks)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        weights = {"predictor": "mobile_sam", "weights": "nowhere.pt"}
        segment_boxes(_request(image, [around], masks=weights), {}, _told)


def test_models_that_take_boxes_only(image: Path) -> None:
    from mmseg.registry import MODELS

    import rsseg.conversion.predictors  # noqa: F401

    with pytest.raises(ConfigError, match="box takes boxes only"):
        segment_boxes(_request(image, [], [_on(image, 60, 45)], masks={"predictor": "box"}), {}, _told)
    for name, options in MASK_MODELS.items():
        assert getattr(MODELS.get(options["type"]), "reads_points", False) == (name not in BOXES_ONLY)
    assert Prompt(None).points == []
