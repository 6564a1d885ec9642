"""The tool "Draw" by clicks, taps and keys, with the mask model that needs no weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from rsseg.serving.places import Place
from tests.serving.world import write_image

pytest.importorskip("mmseg")
pytestmark = pytest.mark.slow
LOADING = 900_000  # milliseconds; the worker imports the MM stack first
ROOFS = {"left": (60, 60, 140, 120), "right": (220, 80, 300, 180)}
"""Columns and rows of bright ground; pixels of 0.5 m."""
POOL = 220, 260, 40


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    pixels = np.array([70, 95, 60])[:, None, None] + rng.integers(0, 14, (3, 360, 400))
    for x1, y1, x2, y2 in ROOFS.values():
        pixels[:, y1:y2, x1:x2] = np.array([190, 90, 70])[:, None, None] + rng.integers(0, 14, (3, y2 - y1, x2 - x1))
    y, x = np.mgrid[:360, :400]
    pixels[:, (x - POOL[0]) ** 2 + (y - POOL[1]) ** 2 < POOL[2] ** 2] = np.array([40, 150, 200])[:, None]
    return write_image(tmp_path_factory.mktemp("draw") / "village.tif", pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def address(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from rsseg.serving.settings import ServeSettings
    from tests.serving.conftest import LONG, running

    out = tmp_path_factory.mktemp("drawn")
    with running(ServeSettings((image,), out=out, port=0, request_seconds=LONG)) as found:
        yield found


class Pencil:
    """A page with the tool open."""

    def __init__(self, tab: Any, image: Path, touch: bool) -> None:
        self.tab, self.touch = tab, touch
        self.place = Place.of(image)
        tab.evaluate("const { page, map } = window.rsseg; map.fitBounds(page.current().bounds, { animate: false });")
        tab.get_by_role("tab", name="Draw").click()
        tab.wait_for_selector("#panel-shapes[data-count]")
        tab.wait_for_selector("body[data-idle=true]")

    def at(self, column: float, row: float) -> tuple[float, float]:
        """Where a pixel of the image is in the window."""
        point = self.place.pixels_to_degrees(np.array([shapely.Point(column, row)], object))[0]
        x, y = self.tab.evaluate(
            "([lng, lat]) => { const { map } = window.rsseg; const at = map.project([lng, lat]);"
            " const box = map.getCanvas().getBoundingClientRect(); return [at.x + box.left, at.y + box.top]; }",
            [point.x, point.y],
        )
        return x, y

    def click(self, column: float, row: float, *keys: str) -> None:
        if self.touch:
            self.tab.touchscreen.tap(*self.at(column, row))
            return
        for key in keys:
            self.tab.keyboard.down(key)
        self.tab.mouse.click(*self.at(column, row))
        for key in keys:
            self.tab.keyboard.up(key)

    def drag(self, box: tuple[float, float, float, float]) -> None:
        self.tab.mouse.move(*self.at(box[0], box[1]))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.at((box[0] + box[2]) / 2, box[3]))
        self.tab.mouse.move(*self.at(box[2], box[3]))
        self.tab.mouse.up()

    def mode(self, name: str) -> None:
        self.tab.locator("#panel-shapes").get_by_text(name, exact=True).click()

    def proposed(self) -> float:
        """Wait for a proposal; its area in square metres."""
        self.tab.wait_for_selector("#panel-shapes[data-state=proposed]", timeout=LOADING)
        return float(self.tab.locator(".shapes-status").inner_text().split(" m²")[0].replace(",", ""))

    def accepted(self, count: int) -> None:
        self.tab.wait_for_selector(f"#panel-shapes[data-count='{count}'][data-state=idle]")

    def shot(self, name: str) -> None:
        """A picture to look at, where the variable RSSEG_SHOTS names a folder."""
        self.tab.wait_for_selector("body[data-idle=true]")
        if folder := os.environ.get("RSSEG_SHOTS"):
            self.tab.screenshot(path=f"{folder}/{name}.png")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_click_box_accept_change_and_undo(address: str, image: Path, page: Callable[..., Any], size: str) -> None:
    pencil = Pencil(page(address, size), image, size == "phone")
    tab = pencil.tab
    before = int(tab.locator("#panel-shapes").get_attribute("data-count"))
    pencil.click(100, 90)  # a roof of 80 x 60 pixels, 40 x 30 m
    assert pencil.proposed() == pytest.approx(1200, rel=0.1)
    pencil.shot(f"draw-proposal-{size}")
    tab.locator("#shapes-class").fill("Dach 屋根")
    tab.locator("#shapes-class").press("Enter")
    pencil.accepted(before + 1)
    pencil.mode("Box")
    pencil.drag((210, 70, 310, 190))  # a roof of 40 x 50 m
    assert pencil.proposed() == pytest.approx(2000, rel=0.1)
    tab.get_by_role("button", name="Accept").click()
    pencil.accepted(before + 2)
    pencil.mode("+ Point")
    pencil.click(POOL[0], POOL[1])
    pencil.proposed()
    tab.locator("#shapes-class").fill("pool")
    tab.get_by_role("button", name="Accept").click()
    pencil.accepted(before + 3)
    pencil.shot(f"draw-accepted-{size}")
    tab.get_by_role("button", name="Change the class pool").first.click()
    rename = tab.get_by_label("Class of this pool")
    rename.fill("pond")
    rename.press("Enter")
    tab.get_by_role("button", name="Delete this pond").click()
    pencil.accepted(before + 2)
    tab.get_by_role("button", name="Undo").click()
    pencil.accepted(before + 3)
    tab.get_by_role("button", name="Undo").click()
    tab.get_by_role("button", name="Delete this pool").first.wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="COCO").click()
    coco = json.loads(Path(download.value.path()).read_text())
    assert download.value.suggested_filename == "village_shapes.json" and len(coco["annotations"]) == before + 3
    assert {category["name"] for category in coco["categories"]} == {"Dach 屋根", "pool"}
    with tab.expect_download() as download:
        tab.get_by_role("link", name="GeoPackage").click()
    assert download.value.suggested_filename == "village_shapes.gpkg"


def test_a_box_by_a_finger(address: str, image: Path, page: Callable[..., Any]) -> None:
    pencil = Pencil(page(address, "phone"), image, True)
    pencil.mode("Box")
    session = pencil.tab.context.new_cdp_session(pencil.tab)
    corners = [pencil.at(210, 70), pencil.at(260, 120), pencil.at(310, 190)]
    for kind, places in (("Start", corners[:1]), ("Move", corners[1:2]), ("Move", corners[2:]), ("End", [])):
        points = [{"x": x, "y": y} for x, y in places]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    assert pencil.proposed() == pytest.approx(2000, rel=0.1)


def test_clicks_that_take_away_and_keys(address: str, image: Path, page: Callable[..., Any]) -> None:
    pencil = Pencil(page(address), image, False)
    tab = pencil.tab
    before = int(tab.locator("#panel-shapes").get_attribute("data-count"))
    pencil.click(260, 130, "Shift")
    tab.get_by_text("First click the object itself").wait_for()
    pencil.click(260, 130)
    pencil.proposed()
    pencil.click(100, 90)  # both roofs are one object
    tab.locator(".shapes-status", has_text="3,").wait_for(timeout=LOADING)  # 1200 and 2000 m2
    pencil.click(100, 70, "Shift")
    pencil.proposed()
    pencil.shot("draw-refined")
    tab.keyboard.press("Escape")
    tab.wait_for_selector("#panel-shapes[data-state=idle]")
    pencil.click(100, 90)
    pencil.proposed()
    tab.locator("#shapes-class").fill("")
    tab.locator("#map canvas").first.focus()
    tab.keyboard.press("Enter")
    tab.get_by_text("Name the class of the object first").wait_for()
    tab.locator("#shapes-class").fill("shed")
    tab.keyboard.press("Enter")
    pencil.accepted(before + 1)
    tab.locator("#map canvas").first.focus()
    tab.keyboard.press("Control+z")
    pencil.accepted(before)
    pencil.mode("Box")
    pencil.drag((401.5, 200, 407, 240))  # beside the image
    tab.get_by_text("Nothing was found here").wait_for()


def test_two_pages_see_each_other(address: str, image: Path, page: Callable[..., Any]) -> None:
    one, two = (Pencil(page(address), image, False) for _ in range(2))
    before = int(one.tab.locator("#panel-shapes").get_attribute("data-count"))
    one.click(POOL[0], POOL[1])
    one.proposed()
    one.tab.locator("#shapes-class").fill("pool")
    one.tab.keyboard.press("Enter")
    one.accepted(before + 1)
    two.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    two.accepted(before + 1)
    two.tab.get_by_role("button", name="Undo").click()  # another page's step is not taken back
    two.tab.get_by_text("Nothing to undo").wait_for()
    two.tab.get_by_role("button", name="Delete this pool").first.click()
    two.accepted(before)
    one.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    one.accepted(before)


def test_ten_thousand_shapes_on_the_page(
    serve: Callable[..., str], image: Path, page: Callable[..., Any], tmp_path: Path
) -> None:
    from rsseg.serving.layers import Layers
    from rsseg.serving.shape_log import Shape, ShapeLog

    place, (layer,) = Place.of(image), Layers([image]).all()
    boxes = [shapely.box(x, y, x + 2, y + 2) for y in range(5, 305, 3) for x in range(5, 305, 3)]
    shapes = [
        Shape(f"s{i}", f"class {i % 7}", json.loads(text), 1.0, "m2", None, "me", "2026-01-01T00:00:00Z")
        for i, text in enumerate(shapely.to_geojson(place.pixels_to_degrees(np.array(boxes, object))).tolist())
    ]
    ShapeLog(tmp_path / "served" / "shapes" / f"{layer.id}.jsonl").add(shapes, "")
    pencil = Pencil(page(serve(image)), image, False)
    tab = pencil.tab
    tab.get_by_text("Accepted (10,000)").wait_for()
    assert tab.locator(".shapes-rows li").count() == 100 and "9,900 older" in tab.locator(".shapes-list").inner_text()
    pencil.shot("draw-many")
    tab.get_by_role("button", name="Delete this").first.click()
    tab.get_by_text("Accepted (9,999)").wait_for()
