"""The page of a map under a mouse and under fingers: scale bar, class at the pointer, zoom, stripes, legend."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rsseg.reports.maps.page import report_map
from tests.reports.chromium import Chromium, find_chromium

CLASSES = {"water": (0, 0, 250), "<b>road</b> & co": (255, 255, 255), "tree": (0, 250, 0), "forest": (0, 250, 0)}
# columns 0..19 water, 20..39 road (white), 40..59 tree, which has the colour of forest; no data in the last ten rows
LABELS = np.repeat([[0] * 20 + [1] * 20 + [2] * 20], 40, 0).astype(np.uint8)
LABELS[30:] = 255


UTM = Affine(2, 0, 500000, 0, -2, 4000000)


def write_map(folder, crs="EPSG:32633", transform=UTM):
    place = {"crs": crs, "transform": transform} if transform else {}
    path = folder / "map.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=40, width=60, dtype="uint8", nodata=255, **place
    ) as f:
        f.write(LABELS, 1)
        f.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(CLASSES.values())})
        f.update_tags(1, **{f"class_{i}": name for i, name in enumerate(CLASSES)})
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = find_chromium()
    if browser is None:
        pytest.skip("no Chromium on PATH; set $CHROMIUM to one")
    with Chromium(browser, tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture
def tab(chromium, tmp_path):
    """``tab(phone)`` is a tab with the page of the map."""

    def start(phone=False, **where):
        report_map(write_map(tmp_path, **where), tmp_path / "map.html")
        chromium.be((390, 840) if phone else (1000, 900), phone)
        chromium.open(tmp_path / "map.html")
        chromium.value("document.querySelector('.panes').scrollIntoView({ behavior: 'instant' })")
        return chromium

    yield start
    assert not chromium.console, chromium.console


def place_of(tab, column, row):
    """Where a position of the map is on the screen."""
    box = tab.value(
        "(b => [b.x, b.y, b.width, b.height])(document.querySelector('#map .ground').getBoundingClientRect())"
    )
    return box[0] + box[2] * column / 60, box[1] + box[3] * row / 40


def state(tab):
    return json.loads(tab.value("JSON.stringify(document.documentElement.dataset)"))


def test_the_pointer_names_the_class(tab):
    page = tab()
    for column, row, name in ((10, 10, "water"), (30, 10, "<b>road</b> & co"), (50, 10, "tree or forest"),
                              (30, 35, "no data")):  # fmt: skip
        page.mouse("mouseMoved", *place_of(page, column, row))
        assert page.value("document.getElementById('here').textContent") == name
        assert not page.value("document.getElementById('here').hidden")
    page.mouse("mouseMoved", 5, 5)
    assert page.value("document.getElementById('here').hidden")
    page.mouse("mouseMoved", *place_of(page, 10, 10))
    before = state(page)["zoom"]
    page.value("document.getElementById('closer').click()")
    assert (before, state(page)["zoom"]) == ("1.00", "1.50")
    page.mouse("mouseMoved", *place_of(page, 3, 10))  # half a map is seen: 3 of 60 columns lie at (3 - -15) / 1.5
    assert page.value("document.getElementById('here').textContent") == "water"
    page.mouse("mouseMoved", *place_of(page, 17, 10))
    assert page.value("document.getElementById('here').textContent") == "<b>road</b> & co"
    page.value("document.getElementById('farther').click()")
    assert state(page)["zoom"] == "1.00" and page.value("document.getElementById('farther').disabled")


@pytest.mark.parametrize("where, unit", [
    ({}, 2.0), ({"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 10, 0, -1e-5, 0)}, 1.1131949),
    ({"crs": None, "transform": None}, None),
])  # fmt: skip
def test_the_scale_bar_is_as_long_as_it_says(where, unit, tab):
    page = tab(**where)
    for _ in range(3):
        text = page.value("document.querySelector('.scale').textContent").strip()
        number, name = text.split()
        assert name in (("m", "cm") if unit else ("pixel", "pixels"))
        long = float(number) / (100 if name == "cm" else 1) / (unit or 1)  # pixels of the map
        assert number.lstrip("0.").rstrip("0.") in "125"
        shown = page.value("document.querySelector('.scale i').getBoundingClientRect().width")
        width = page.value("document.querySelector('#map .ground').clientWidth")
        zoom = float(state(page)["zoom"])
        assert shown == pytest.approx(long / 60 * width * zoom, rel=0.01) and 20 < shown <= 150
        page.value("document.getElementById('closer').click()")


def test_fingers_zoom_and_move_the_map(tab):
    page = tab(phone=True)
    x, y = place_of(page, 30, 20)
    page.touch("touchStart", (x - 20, y))
    page.touch("touchStart", (x - 20, y), (x + 20, y))
    for half in (30, 40, 50, 60):
        page.touch("touchMove", (x - half, y), (x + half, y))
    page.touch("touchEnd")
    found = state(page)
    assert float(found["zoom"]) == pytest.approx(3, abs=0.1)
    assert page.value("document.documentElement.scrollWidth") == 390, "no view is wider than the screen"
    assert page.value("visualViewport.scale") == 1, "the page itself stays as it is"
    shift = page.value("Number(document.querySelector('.panes').style.getPropertyValue('--x'))")
    assert shift == pytest.approx(0.5 - 0.5 * 3, abs=0.05), "what was between the fingers stays there"
    page.touch("touchStart", (x, y))
    page.touch("touchMove", (x + 30, y))
    page.touch("touchMove", (x + 40, y))
    page.touch("touchEnd")
    assert page.value("Number(document.querySelector('.panes').style.getPropertyValue('--x'))") > shift
    page.value("document.getElementById('fit').click()")
    page.touch("touchStart", place_of(page, 50, 10))
    page.touch("touchEnd")
    assert not page.value("document.getElementById('here').hidden")
    assert page.value("document.getElementById('here').textContent") == "tree or forest"


def test_no_data_is_striped_and_no_class_looks_like_it(tab, tmp_path):
    page = tab()
    page.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))

    def around(column, row):
        x, y = (round(value) for value in place_of(page, column, row))
        return {tuple(colour) for colour in pixels[y - 10 : y + 10, x - 10 : x + 10].reshape(-1, 3).tolist()}

    assert around(10, 10) == {(0, 0, 250)} and around(30, 10) == {(255, 255, 255)}
    assert {(148, 156, 166), (255, 255, 255)} <= around(30, 35)
    assert page.value("document.querySelector('.legend .nodata').textContent") == "no data"
    page.value("document.querySelector('.chip[data-class=\"0\"]').click()")
    page.screenshot(tmp_path / "page.png")  # what is not chosen fades, and is not striped
    with Image.open(tmp_path / "page.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert around(10, 10) == {(0, 0, 250)} and around(50, 10) == {(217, 254, 217)}
    assert {(148, 156, 166), (255, 255, 255)} <= around(30, 35)


def test_over_the_image_only_the_chosen_class_and_stripes_are_drawn(tab, tmp_path):
    with rasterio.open(tmp_path / "image.tif", "w", driver="GTiff", count=3, height=40, width=60, dtype="uint8",
                       photometric="RGB", crs="EPSG:32633", transform=UTM) as file:  # fmt: skip
        file.write(np.full((3, 40, 60), 60, np.uint8))
    page = tab()
    report_map(tmp_path / "map.tif", tmp_path / "both.html", str(tmp_path / "image.tif"))
    page.open(tmp_path / "both.html", "#blend")
    page.value("document.querySelector('.chip[data-class=\"1\"]').click()")
    alphas = "[...document.querySelector('#map canvas').getContext('2d').getImageData(0, 0, 60, 40).data]"
    drawn = np.array(page.value(alphas)).reshape(40, 60, 4)
    assert (drawn[:30, 20:40] == 255).all() and not drawn[:30, :20, 3].any() and not drawn[:30, 40:, 3].any()
    assert {tuple(pixel) for pixel in drawn[30:].reshape(-1, 4).tolist()} == {(0, 0, 0, 0), (148, 156, 166, 255)}
    shown = "getComputedStyle(document.querySelector('#map .ground')).backgroundImage"
    assert page.value(shown) == "none"
    page.value("document.querySelector('.chip[data-view=\"side\"]').click()")
    assert "repeating-linear-gradient" in page.value(shown)
