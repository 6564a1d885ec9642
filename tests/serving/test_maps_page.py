"""The tool "Map" by clicks, at the width of a desktop and of a phone; colours are looked up in the picture."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rsseg.io.georeference import GeoReference
from rsseg.mapping.mosaic import plan_mosaic, write_mosaic
from rsseg.mapping.products import Products, make_products
from rsseg.metainfo import load_metainfo
from rsseg.serving.places import Place
from tests.serving.world import COLOURS, write_image, write_map, write_table

pytestmark = pytest.mark.slow
SIDE = 512
RED = (200, 40, 40)
WATER, FOREST, ROAD = COLOURS
PLACE = dict(crs="EPSG:32633", transform=Affine(2, 0, 500000, 0, -2, 5000000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Water on the left, forest on the right, a road across the middle; the image is all red."""
    root = tmp_path_factory.mktemp("served")
    pixels = np.empty((3, SIDE, SIDE), np.uint8)
    pixels[:] = np.array(RED)[:, None, None]
    image = write_image(root / "scene.tif", pixels, **PLACE)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:, SIDE // 2 :], labels[SIDE // 2 - 32 : SIDE // 2 + 32] = 1, 2
    made = write_map(root / "map.tif", labels, image, **PLACE)
    make_products(made, load_metainfo(str(write_table(root / ".table.json"))), Products(vectors="gpkg"))
    shares = np.full((1, SIDE, SIDE), 75, np.uint8)
    write_image(root / "map_probabilities.tif", shares, nodata=255, scales=(0.01,), **PLACE)
    write_image(root / "other.png", pixels[:, :64, :64], driver="PNG", crs=None, transform=None)
    return root


class _Tab:
    """A page, and where things are on its map."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def rest(self, swipe: str = "") -> None:
        """Wait until all that was begun is there, at one moment."""
        other = f"[data-swipe='{swipe}']" if swipe else ""
        done = "#panel-maps:not([data-areas='busy'], [data-layer='busy'])"
        self.page.wait_for_selector(f"body[data-idle='true']{other} {done}", state="attached")

    def at(self, across: float, down: float) -> tuple[float, float]:
        """Position in the window of a share of the map's width and height."""
        box = self.page.locator("#map").bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def colour(self, across: float, down: float) -> tuple[int, ...]:
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        found = picture.getpixel([round(value) for value in self.at(across, down)])
        assert isinstance(found, tuple)
        return tuple(found)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())


def _near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 6


Open = Callable[..., Any]
BOTH = pytest.mark.parametrize("size", ["desktop", "phone"])


@BOTH
def test_legend_areas_opacity_and_readout(folder: Path, serve: Open, page: Open, size: str) -> None:
    tab = _Tab(page(serve(folder), size))
    tab.rest()
    rows = [tab.text(f"#map-legend li[data-class='{i}'] .amount") for i in range(3)]
    shadow = tab.page.locator(".bar > i").first.evaluate("bar => getComputedStyle(bar).boxShadow")
    assert shadow != "none", "the bar of a white class has an outline"
    assert rows == ["43.8 % · 45.9 ha", "43.8 % · 45.9 ha", "12.5 % · 13.1 ha"], "448 * 256, 64 * 512 pixels of 4 m2"
    assert "projected CRS" in tab.text("#map-areas-note")
    left, right, middle = (0.4, 0.35), (0.6, 0.35), (0.5, 0.5)
    mixed = tuple(round(0.7 * a + 0.3 * b) for a, b in zip(FOREST, RED, strict=True))
    assert _near(tab.colour(*right), mixed), "70 % of the map over the image"
    tab.page.locator("#map-opacity").press("End")
    tab.rest()
    assert _near(tab.colour(*left), WATER) and _near(tab.colour(*right), FOREST) and _near(tab.colour(*middle), ROAD)
    tab.page.locator("#map-legend li[data-class='0'] input").click()
    tab.rest()
    assert _near(tab.colour(*left), RED) and _near(tab.colour(*right), FOREST)
    tab.page.get_by_role("button", name="Only road").click()
    tab.rest()
    assert _near(tab.colour(*right), RED) and _near(tab.colour(*middle), ROAD)
    tab.page.get_by_role("button", name="None").click()
    tab.rest()
    assert _near(tab.colour(*middle), RED)
    tab.page.get_by_role("button", name="All", exact=True).click()
    tab.rest()
    assert _near(tab.colour(*left), WATER)
    if size == "phone":
        tab.page.touchscreen.tap(*tab.at(*right))
    else:
        tab.page.mouse.move(*tab.at(*right))
    tab.page.wait_for_selector("#readout[data-class='forest']")
    assert "forest, 75 %" in tab.text("#readout") and "° N" in tab.text("#readout")
    tab.page.locator("#map canvas").first.press("Enter")
    tab.page.wait_for_selector("#readout[data-class='road']")
    tab.page.select_option("#map-image", "")
    tab.rest()
    tab.page.get_by_role("button", name="None").click()
    tab.rest()
    assert _near(tab.colour(*left), (233, 236, 239)), "no image, no class: the ground"


def test_a_wide_map_is_fitted_at_first_and_a_layer_that_fails_is_not_named(
    tmp_path: Path, serve: Open, page: Open
) -> None:
    wide = dict(crs="EPSG:4326", transform=Affine(0.1, 0, 10, 0, -0.1, 50))
    write_map(tmp_path / "a.tif", np.zeros((50, 100), np.uint8), **wide)
    write_map(tmp_path / "b.tif", np.zeros((50, 100), np.uint8), crs="EPSG:3995", transform=Affine(1, 0, 0, 0, -1, 0))
    tab = _Tab(page(serve(tmp_path), "desktop"))
    tab.rest()
    west, east = tab.page.evaluate(
        "(() => { const b = window.rsseg.map.getBounds(); return [b.getWest(), b.getEast()]; })()"
    )
    assert 0 < west < 10 and 20 < east < 30
    tab.page.select_option("#layer", label="b.tif (map)")
    tab.page.get_by_text("nearer to a pole than the map reaches").wait_for()
    tab.page.route("**/api/layers/*", lambda route: route.fulfill(content_type="application/json", body="{"))
    tab.page.select_option("#layer", label="a.tif (map)")
    tab.page.locator(".toast.error").wait_for()
    assert tab.page.locator("#layer option:checked").inner_text() == "b.tif (map)"


@BOTH
def test_swipe_by_mouse_touch_and_keyboard(folder: Path, serve: Open, page: Open, size: str) -> None:
    tab = _Tab(page(serve(folder), size))
    tab.rest()
    tab.page.locator("#map-opacity").press("End")
    tab.page.get_by_text("Swipe", exact=True).click()
    tab.rest("idle")
    assert _near(tab.colour(0.4, 0.35), RED) and _near(tab.colour(0.6, 0.35), FOREST)
    divider = tab.page.get_by_role("slider", name="Divider between image and map")
    (x, y), (to, _) = tab.at(0.5, 0.5), tab.at(0.3, 0.5)
    if size == "phone":
        session = tab.page.context.new_cdp_session(tab.page)
        for kind, points in (("touchStart", [x]), ("touchMove", [(x + to) / 2]), ("touchMove", [to]), ("touchEnd", [])):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": p, "y": y} for p in points]})
    else:
        tab.page.mouse.move(x, y)
        tab.page.mouse.down()
        tab.page.mouse.move(to, y, steps=4)
        tab.page.mouse.up()
    tab.rest("idle")
    assert divider.get_attribute("aria-valuenow") == "30"
    assert _near(tab.colour(0.4, 0.35), WATER), "dragging the divider does not drag the map"
    for _ in range(3):
        divider.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "45"
    assert _near(tab.colour(0.4, 0.35), RED)
    divider.press("Home")
    assert _near(tab.colour(0.25, 0.35) if size == "phone" else tab.colour(0.4, 0.35), WATER)
    tab.page.locator("#map-legend li[data-class='0'] input").click()
    tab.rest("idle")
    assert _near(tab.colour(0.4, 0.35), RED), "the legend holds for the second map, too"
    tab.page.get_by_role("tab", name="Draw").click()
    tab.page.wait_for_selector("body[data-swipe='off']")
    tab.rest()
    assert tab.page.locator("#divider").count() == 0 and _near(tab.colour(0.6, 0.35), FOREST)
    tab.page.get_by_role("tab", name="Map").click()
    tab.rest("idle")
    assert tab.page.locator("#divider").count() == 1


@BOTH
def test_polygons_popups_and_a_link_that_restores_the_view(folder: Path, serve: Open, page: Open, size: str) -> None:
    address = serve(folder)
    tab = _Tab(page(address, size))
    tab.rest()
    tab.page.check("#map-polygons")
    tab.page.wait_for_selector("#panel-maps[data-polygons='5']", state="attached")
    tab.rest()
    assert "5 in view" in tab.text("#map-polygons-note")
    tab.page.mouse.click(*tab.at(0.6, 0.35))
    tab.page.wait_for_selector(".maplibregl-popup")
    assert tab.text(".maplibregl-popup-content").split("\n")[:2] == ["forest", "22.9 ha"]
    tab.page.locator("#map-legend li[data-class='2'] input").click()
    tab.page.locator(".maplibregl-ctrl-zoom-in").click()
    tab.rest()
    tab.page.get_by_text("Swipe", exact=True).click()
    tab.rest("idle")
    link = tab.page.url
    assert "classes=0,1" in link and "swipe=0.500" in link and "polygons=1" in link
    centre = tab.page.evaluate("[rsseg.map.getCenter().lng, rsseg.map.getCenter().lat, rsseg.map.getZoom()]")
    again = _Tab(page(link, size))
    again.rest("idle")
    found = again.page.evaluate("[rsseg.map.getCenter().lng, rsseg.map.getCenter().lat, rsseg.map.getZoom()]")
    assert found == pytest.approx(centre, abs=0.01)
    assert not again.page.locator("#map-legend li[data-class='2'] input").is_checked()
    assert again.page.locator("#map-polygons").is_checked() and again.page.locator("#divider").count() == 1
    assert again.page.url == link


def test_other_layers(folder: Path, serve: Open, page: Open) -> None:
    tab = _Tab(page(serve(folder)))
    tab.rest()
    names = tab.page.locator("#layer option").all_inner_texts()
    assert names == ["map.tif (map)", "other.png (image)", "scene.tif (image)"]
    tab.page.select_option("#layer", label="other.png (image)")
    tab.page.wait_for_selector(f"#panel-maps[data-layer='{tab.page.locator('#layer').input_value()}']")
    tab.rest()
    assert not tab.page.locator("#map-legend").is_visible()
    assert "no place on the Earth" in tab.text("#map-note")
    assert _near(tab.colour(0.5, 0.5), RED)
    tab.page.mouse.move(*tab.at(0.5, 0.5))
    tab.page.wait_for_selector("#readout:not([hidden])")
    assert "200, 40, 40" in tab.text("#readout") and "pixel 3" in tab.text("#readout")


def test_a_mosaic_of_small_maps_far_apart(tmp_path: Path, serve: Callable[..., str], page: Open) -> None:
    """Seen as a whole, it says the areas of all pixels, and the probability of the map that is pointed at."""
    table, places = load_metainfo(str(write_table(tmp_path / ".table.json"))), {}
    for number, name in enumerate(("a.tif", "b.tif")):
        move = PLACE["transform"] @ Affine.translation(4000 * number, 4000 * number)
        labels = np.full((SIDE, SIDE), number, np.uint8)
        labels[:, ::2] = 2
        write_map(tmp_path / name, labels, crs=PLACE["crs"], transform=move)
        shares = np.full((1, SIDE, SIDE), 60 + number, np.uint8)
        write_image(tmp_path / f"{name[0]}_probabilities.tif", shares, nodata=255, scales=(0.01,), transform=move)
        places[name] = GeoReference.of(tmp_path / name)
    mosaic = plan_mosaic(places)
    assert mosaic is not None
    write_mosaic(tmp_path, mosaic, table)
    tab = _Tab(page(serve(tmp_path)))
    tab.rest()
    assert tab.page.locator("#layer option:checked").inner_text() == "mosaic.gti.gpkg (map)"
    rows = [tab.text(f"#map-legend li[data-class='{i}'] .amount") for i in range(3)]
    assert rows == ["25.0 % · 52.4 ha", "25.0 % · 52.4 ha", "50.0 % · 1.05 km²"]
    assert "estimated" not in tab.text("#map-areas-note")
    for name, share in (("a.tif", "60 %"), ("b.tif", "61 %")):
        lon, lat = Place.of(tmp_path / name).bounds[0] + 0.006, Place.of(tmp_path / name).bounds[1] + 0.004
        x, y = tab.page.evaluate(f"(() => {{ const p = rsseg.map.project([{lon}, {lat}]); return [p.x, p.y]; }})()")
        box = tab.page.locator("#map").bounding_box()
        tab.page.mouse.move(box["x"] + x, box["y"] + y)
        tab.page.locator("#readout", has_text=share).wait_for()


def test_names_are_text(tmp_path: Path, serve: Callable[..., str], page: Open) -> None:
    """Names of files and classes that are HTML are shown as they are, in every tool; the page of the interface, too."""
    odd = '<img src=x onerror="document.title=1"><script id="in">{{7*7}}'
    name = odd.replace("/", "").replace("script", "b")
    labels = np.zeros((64, 64), np.uint8)
    made = write_map(tmp_path / f"{name}.tif", labels, **PLACE)
    with rasterio.open(made, "r+") as file:
        file.update_tags(1, class_0=odd)
    table = write_table(tmp_path / ".table.json")
    table.write_text(table.read_text().replace('"water"', json.dumps(odd)))
    make_products(made, load_metainfo(str(table)), Products(vectors="gpkg"))
    address = serve(made, write_image(tmp_path / f"{name}.png", np.zeros((3, 8, 8), np.uint8), driver="PNG"))
    tab = _Tab(page(address))
    tab.rest()
    tab.page.check("#map-polygons")
    tab.rest()
    tab.page.mouse.click(*tab.at(0.6, 0.5))
    tab.page.wait_for_selector(f"#readout[data-class={json.dumps(odd)}]")
    assert odd in tab.text("#map-legend") and odd in tab.text("#readout")
    for tool in ("words", "shapes", "review"):
        tab.page.click(f"#tab-{tool}")
    assert not tab.page.locator("img[src='x'], #in, b").count()
    assert tab.page.title() == f"{name}.tif - rsseg"
    tab.page.goto(f"{address}/docs")
    assert "/api/layers" in tab.page.inner_text("main")
    assert tab.page.locator("td").first.evaluate("cell => getComputedStyle(cell).textAlign") == "left"
