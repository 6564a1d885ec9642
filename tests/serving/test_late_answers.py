"""Answers of the server that come late, or in another order: what was chosen last is shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio import Affine

from tests.serving.review_world import write_set
from tests.serving.world import COLOURS, write_image, write_map

pytestmark = pytest.mark.slow
Open = Callable[..., Any]
PLACE = dict(crs="EPSG:32633", transform=Affine(8, 0, 500000, 0, -8, 5000000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of forest over an image, and two more images."""
    root = tmp_path_factory.mktemp("late")
    image = write_image(root / "scene.tif", np.full((3, 128, 128), 200, np.uint8), **PLACE)
    write_map(root / "map.tif", np.ones((128, 128), np.uint8), image, **PLACE)
    for name in ("one.tif", "two.tif"):
        write_image(root / name, np.full((3, 64, 64), 90, np.uint8), **PLACE)
    return root


class Held:
    """Requests of a page that are not answered before a test says so.

    Attributes:
        routes: Those that wait.
    """

    def __init__(self, tab: Any, pattern: str) -> None:
        self.tab, self.routes, self._holds = tab, list[Any](), True
        tab.route(pattern, lambda route: self.routes.append(route) if self._holds else route.continue_())

    def wait(self, only: bool = False) -> None:
        """Until one waits; ``only``: hold no others."""
        while not self.routes:
            self.tab.wait_for_timeout(10)
        self._holds = not only

    def release(self, answer: Any = None) -> None:
        """Answer all, and hold no others; the page has seen the answers then."""
        self._holds = False
        for route in self.routes:
            route.fulfill(json=answer) if answer is not None else route.fulfill(response=route.fetch())
        self.tab.evaluate("fetch('/api/layers').then((answer) => answer.json())")
        self.tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def opened(page: Open, address: str) -> tuple[Any, dict[str, str]]:
    """A page that rests, and the ids of its layers by name."""
    tab = page(address)
    tab.wait_for_selector("#panel-maps[data-areas='done']:not([data-layer='busy'])")
    return tab, tab.evaluate("Object.fromEntries(rsseg.page.layers.map((layer) => [layer.name, layer.id]))")


def test_the_layer_and_the_image_that_were_chosen_last(folder: Path, serve: Open, page: Open) -> None:
    tab, ids = opened(page, serve(folder))
    one = Held(tab, f"**/api/layers/{ids['one.tif']}")
    tab.select_option("#map-image", ids["one.tif"])
    one.wait()
    tab.select_option("#map-image", "")
    one.release()
    assert tab.input_value("#map-image") == "" and tab.evaluate("rsseg.map.getLayer('rsseg-image') === undefined")
    two = Held(tab, f"**/api/layers/{ids['two.tif']}")
    tab.select_option("#layer", ids["two.tif"])
    two.wait()
    tab.select_option("#layer", ids["scene.tif"])
    tab.wait_for_selector(f"#panel-maps[data-layer='{ids['scene.tif']}']")
    two.release()
    assert tab.input_value("#layer") == ids["scene.tif"] == tab.evaluate("rsseg.page.current().id")


def test_areas_and_the_readout_are_of_what_is_in_view(folder: Path, serve: Open, page: Open) -> None:
    tab, _ = opened(page, serve(folder))
    areas = Held(tab, "**/areas?**")
    tab.evaluate("rsseg.map.jumpTo({ zoom: rsseg.map.getZoom() + 1 })")
    areas.wait()
    tab.evaluate(
        "() => { const later = window.setTimeout; window.setTimeout = () => 0;"  # the next view is not asked for yet
        " rsseg.map.jumpTo({ zoom: rsseg.map.getZoom() + 1 }); window.setTimeout = later; }"
    )
    areas.release()
    assert tab.get_attribute("#panel-maps", "data-areas") == "busy"
    tab.evaluate("rsseg.map.jumpTo({ zoom: rsseg.map.getZoom() - 1 })")
    tab.wait_for_selector("#panel-maps[data-areas='done']")
    point = Held(tab, "**/point?**")
    box = tab.locator("#map").bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    point.wait()
    tab.get_by_role("tab", name="Draw").click()
    point.release()
    assert not tab.is_visible("#readout")


def test_what_is_set_while_the_second_map_loads_holds_for_it(folder: Path, serve: Open, page: Open) -> None:
    tab, _ = opened(page, serve(folder))
    tab.wait_for_selector("body[data-idle='true']")
    tiles = Held(tab, "**/tiles/**")
    tab.get_by_text("Swipe", exact=True).click()
    tiles.wait()
    tab.locator("#map-opacity").press("End")
    tiles.release()
    tab.wait_for_selector("body[data-idle='true'][data-swipe='idle']")
    box = tab.locator("#map").bounding_box()
    picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    found = picture.getpixel((round(box["x"] + 0.6 * box["width"]), round(box["y"] + 0.4 * box["height"])))
    assert np.abs(np.subtract(found, COLOURS[1])).max() <= 6, "forest, through which no image is seen"


TICKET = {"id": "t", "state": "queued", "position": 0, "progress": 0, "message": "", "partial": None, "result": None}
DONE = {**TICKET, "state": "done", "progress": 1}


def test_words_of_another_layer_are_not_shown(folder: Path, serve: Open, page: Open) -> None:
    tab, ids = opened(page, serve(folder))
    about = {**DONE, "result": {"is_open": True, "classes": []}}
    tab.route("**/api/words", lambda route: route.fulfill(json={"model": "made up", "about": about}))
    tab.route("**/mask.json?**", lambda route: route.fulfill(json={"classes": [], "unsure": 0}))
    tab.get_by_role("tab", name="Words").click()
    tab.wait_for_selector("#panel-words[data-model=open]")
    asked, work = Held(tab, "**/segment/text"), Held(tab, "**/work/t")
    tab.get_by_role("button", name="Run", exact=True).click()
    asked.wait()
    assert tab.get_by_role("button", name="Stop", exact=True).is_disabled(), "there is nothing to stop yet"
    asked.release(TICKET)
    work.wait()
    assert tab.get_by_role("button", name="Stop", exact=True).is_enabled()
    tab.select_option("#layer", ids["two.tif"])
    tab.wait_for_selector(f"#panel-maps[data-layer='{ids['two.tif']}']", state="attached")
    work.release(DONE)
    tab.wait_for_selector("#panel-words[data-state=done]")
    assert not tab.is_visible(".words-result") and tab.evaluate("rsseg.map.getSource('words') === undefined")


def test_a_list_from_before_does_not_hide_what_was_accepted(folder: Path, serve: Open, page: Open) -> None:
    tab, _ = opened(page, serve(folder))
    ring = tab.evaluate(
        "(() => { const { lng, lat } = rsseg.map.getCenter(); return [[lng, lat], [lng + 1e-3, lat],"
        " [lng + 1e-3, lat + 1e-3], [lng, lat]]; })()"
    )
    properties = {"area": 7, "unit": "m2", "score": None}
    found = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
    boxes = {**DONE, "result": {"features": [found]}}
    tab.route("**/segment/boxes?**", lambda route: route.fulfill(json=boxes))
    tab.route("**/api/masks", lambda route: route.fulfill(json={"predictor": "made up", "points": True}))
    shapes = Held(tab, "**/api/shapes?layer=**")
    tab.get_by_role("tab", name="Draw").click()
    shapes.wait(only=True)
    before = shapes.routes[0].fetch().json()
    box = tab.locator("#map").bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.wait_for_selector("#panel-shapes[data-state=proposed]")
    tab.locator("#shapes-class").fill("roof")
    tab.get_by_role("button", name="Accept").click()
    tab.wait_for_selector("#panel-shapes[data-state=idle][data-count='1']")
    shapes.release(before)
    assert tab.get_attribute("#panel-shapes", "data-count") == "1"


def test_a_mask_of_earlier_clicks_is_not_taken(tmp_path: Path, serve: Open, page: Open) -> None:
    tab = page(serve(write_set(tmp_path / "world")))
    tab.click("#tab-review")
    tab.wait_for_selector("#review-stage[data-state='ready']")
    tab.keyboard.press("k")
    first = Held(tab, "**/segment?wait=1")
    picture = tab.locator(".review-view svg")
    picture.click()
    first.wait()
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2 + 20, "y": box["height"] / 2})
    ring = [[0, 0], [9, 0], [9, 9], [0, 0]]
    mask = {"features": [{"geometry": {"type": "Polygon", "coordinates": [ring]}}]}
    route, first.routes[:] = first.routes[0], []
    route.fulfill(json={**DONE, "result": mask})
    first.wait()  # for the mask of both clicks
    tab.keyboard.press("Enter")
    assert tab.inner_text("#review-count") == "0 of 5 decided"
    first.release({**DONE, "result": mask})
    tab.click("text=Use this mask")
    tab.wait_for_selector("#review-count:text-is('1 of 5 decided')")
