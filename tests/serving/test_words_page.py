"""The tool "Words" by clicks, with a tiny model in its own process."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.tiny_words import write_fixed_model, write_ground, write_open_model

pytest.importorskip("mmseg")
pytest.importorskip("open_clip")
pytestmark = pytest.mark.slow
LOADING = 900_000  # milliseconds; the worker imports torch and the MM stack first


@pytest.fixture(scope="module")
def address(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from rsseg.serving.queue import ModelQueue
    from rsseg.serving.settings import ServeSettings
    from tests.serving.conftest import LONG, running

    folder = tmp_path_factory.mktemp("page")
    path = write_ground(folder / "ground.tif", 700, 900)
    text = write_open_model(folder, repo)
    settings = ServeSettings((path,), out=folder / "out", port=0, text=text, request_seconds=LONG)
    with pytest.MonkeyPatch.context() as patch:  # a worker that is stopped for a while is not killed
        patch.setattr("rsseg.serving.app.ModelQueue", functools.partial(ModelQueue, grace=LONG))
        with running(settings) as found:
            yield found


def shot(tab: Any, name: str) -> None:
    """A picture to look at, where the variable RSSEG_SHOTS names a folder."""
    if folder := os.environ.get("RSSEG_SHOTS"):
        tab.screenshot(path=f"{folder}/{name}.png")


def open_tool(tab: Any) -> None:
    """Look at the whole image with the tool."""
    tab.evaluate("const { page, map } = window.rsseg; map.fitBounds(page.current().bounds, { animate: false });")
    tab.get_by_role("tab", name="Words").click()
    tab.wait_for_selector("#panel-words[data-model=open]", timeout=LOADING)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_words_by_clicks(address: str, page: Callable[..., Any], size: str) -> None:
    tab = page(address, size)
    panel = tab.locator("#panel-words")
    open_tool(tab)
    field = tab.get_by_label("Classes in your own words")
    field.fill("water, green roof,")
    field.type("Straße 路")
    field.press("Enter")
    assert panel.locator(".chip").count() == 3
    tab.get_by_role("button", name="Remove green roof").click()
    tab.get_by_role("button", name="Run", exact=True).click()
    tab.wait_for_selector("#panel-words[data-state=done]", timeout=LOADING)
    assert sorted(panel.locator("tbody label").all_inner_texts()) == ["Straße 路", "water"]
    tab.wait_for_selector("body[data-idle=true]")
    shot(tab, f"words-{size}")
    slider = tab.get_by_label("Threshold")
    slider.fill("0.9")
    tab.wait_for_selector("#panel-words[data-threshold='0.9']")
    assert "100 % have no class" in panel.locator(".words-unsure").inner_text()
    slider.fill("0.3")
    tab.wait_for_selector("#panel-words[data-threshold='0.3']")
    panel.get_by_label("Opacity").fill("1")
    panel.get_by_role("checkbox").first.uncheck()
    if size == "desktop":  # which loads the model again
        tab.get_by_label("Name").fill("Wörter")
        tab.get_by_role("button", name="Save as map").click()
        tab.wait_for_selector("#panel-words[data-saving=done]", timeout=LOADING)
        assert any("Wörter.tif" in text for text in tab.locator("#layer option").all_inner_texts())
        shot(tab, "words-saved")
    visibility = "() => window.rsseg.map.getLayoutProperty('words', 'visibility')"
    assert tab.evaluate(visibility) == "visible"
    tab.get_by_role("tab", name="Map").click()
    assert tab.evaluate(visibility) == "none"


def test_a_request_is_stopped_by_a_click(address: str, page: Callable[..., Any]) -> None:
    tab = page(address)
    open_tool(tab)
    tab.get_by_label("Classes in your own words").fill("never, seen")
    worker = next(process.pid for process in multiprocessing.active_children() if process.name == "models")
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)  # so that nothing is ready before the click
    try:
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#panel-words[data-state=running]")
        tab.get_by_role("button", name="Stop", exact=True).click()
        tab.get_by_text("being cancelled").wait_for()
    finally:
        os.kill(worker, signal.SIGCONT)
    tab.wait_for_selector("#panel-words[data-state=cancelled]")
    assert tab.get_by_role("button", name="Run", exact=True).is_enabled()


def test_views_go_on_while_a_map_is_made_which_a_page_loaded_again_stops(
    address: str, page: Callable[..., Any]
) -> None:
    tab = page(address, "phone")
    open_tool(tab)
    tab.get_by_label("Classes in your own words").fill("soil")
    tab.get_by_role("button", name="Run", exact=True).click()
    tab.wait_for_selector("#panel-words[data-state=done]", timeout=LOADING)
    tab.get_by_label("Name").fill("never made")
    worker = None
    try:
        tab.get_by_role("button", name="Save as map").click()
        while worker is None:
            tab.wait_for_timeout(10)
            worker = next((own.pid for own in multiprocessing.active_children() if own.name == "maps"), None)
        os.kill(worker, signal.SIGSTOP)  # a map that takes long
        stop = tab.get_by_role("button", name="Stop the map")
        stop.wait_for()
        tab.reload()
        tab.wait_for_selector("body[data-ready='true']")
        tab.get_by_role("tab", name="Words").click()
        stop.wait_for()
        tab.get_by_label("Classes in your own words").fill("sand")
        tab.get_by_role("button", name="Run", exact=True).click()
        tab.wait_for_selector("#panel-words[data-state=done]", timeout=LOADING)
        assert tab.locator("#panel-words tbody label").all_inner_texts() == ["sand"]
        stop.click()
        tab.get_by_text("being cancelled").wait_for()
        shot(tab, "words-saving")
    finally:
        if worker is not None:
            os.kill(worker, signal.SIGCONT)
    tab.wait_for_selector("#panel-words[data-saving=cancelled]")
    assert not stop.is_visible()


def test_without_a_model_the_tool_says_how_to_give_one(
    serve: Callable[..., str], page: Callable[..., Any], tmp_path: Path
) -> None:
    tab = page(serve(write_ground(tmp_path / "ground.tif")), "phone")
    tab.get_by_role("tab", name="Words").click()
    tab.get_by_text("Start it with --config CONFIG --checkpoint FILE").wait_for()
    assert tab.get_by_role("button", name="Run", exact=True).is_disabled()
    shot(tab, "words-none")


def test_a_model_with_fixed_classes_is_asked_for_them(
    serve: Callable[..., str], page: Callable[..., Any], tmp_path: Path
) -> None:
    tab = page(serve(write_ground(tmp_path / "ground.tif"), text=write_fixed_model(tmp_path)))
    tab.get_by_role("tab", name="Words").click()
    tab.wait_for_selector("#panel-words[data-model=fixed]", timeout=LOADING)
    tab.get_by_role("button", name="Run", exact=True).click()
    tab.wait_for_selector("#panel-words[data-state=done], #panel-words[data-state=failed]", timeout=LOADING)
    assert sorted(tab.locator("#panel-words tbody label").all_inner_texts()) == ["road", "roof", "tree"]
