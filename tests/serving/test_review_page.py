"""The tool "Review" in a browser: by clicks, keys and touch, at both widths; then a conversion by its decisions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.conversion import convert_labels
from rsseg.datasets.labels.decision_files import read_decisions
from tests.serving.review_world import review_config, write_set

COUNT = "#review-count:text-is('{}')"
READY = "#review-stage[data-state='ready'][data-number='{}']"


def open_review(tab: Any) -> None:
    tab.click("#tab-review")
    tab.wait_for_selector("#review-stage[data-state='ready']")


def shot(tab: Any, name: str) -> None:
    """A picture to look at, where a folder for it is named."""
    if folder := os.environ.get("RSSEG_SHOTS"):
        tab.wait_for_timeout(300)
        tab.screenshot(path=f"{folder}/{name}.png")


def draw_box(tab: Any, x1: float, y1: float, x2: float, y2: float) -> None:
    """Drag over the picture, from and to shares of its side; the picture is square and in the middle."""
    area = tab.locator(".review-view svg").bounding_box()
    side = min(area["width"], area["height"])
    left, top = area["x"] + (area["width"] - side) / 2, area["y"] + (area["height"] - side) / 2
    tab.mouse.move(left + x1 * side, top + y1 * side)
    tab.mouse.down()
    tab.mouse.move(left + (x1 + x2) / 2 * side, top + y2 * side)
    tab.mouse.move(left + x2 * side, top + y2 * side)
    tab.mouse.up()


@pytest.mark.slow
def test_a_review_by_clicks_and_keys(tmp_path: Path, serve: Callable[..., str], page: Callable[..., Any]) -> None:
    out = write_set(tmp_path / "world")
    address = serve(out)
    tab = page(address)
    open_review(tab)
    tab.select_option("#review-order", "file")
    tab.wait_for_selector(READY.format(0))
    shot(tab, "desktop-object")
    assert tab.locator(".review-strip button").count() == 5
    tab.click("#review-accept")
    tab.wait_for_selector(READY.format(1))
    tab.keyboard.press("b")
    draw_box(tab, 0.25, 0.25, 0.5, 0.75)
    shot(tab, "desktop-box")
    tab.click("text=Use this box")
    tab.wait_for_selector(READY.format(2))
    tab.keyboard.press("r")
    tab.wait_for_selector(READY.format(3))
    tab.keyboard.press("u")
    tab.wait_for_selector(READY.format(2))
    assert tab.inner_text("#review-count") == "2 of 5 decided"
    tab.fill("#review-comment", "not there")
    with tab.expect_response("**/decisions"):
        tab.click("#review-reject")
    tab.wait_for_selector(READY.format(3))

    phone = page(address, "phone")  # goes on where the first one stopped
    open_review(phone)
    phone.select_option("#review-order", "file")
    phone.wait_for_selector(READY.format(3))
    assert phone.inner_text("#review-count") == "3 of 5 decided"
    shot(phone, "phone-object")
    phone.select_option("#review-class", "bridge")
    phone.wait_for_selector(READY.format(4))
    phone.tap("#review-click")
    phone.locator(".review-view svg").click()
    phone.wait_for_selector("text=Use this mask", timeout=900_000)
    shot(phone, "phone-mask")
    phone.tap("text=Use this mask")
    phone.wait_for_selector(COUNT.format("5 of 5 decided"))
    phone.tap("#review-finish")
    phone.wait_for_selector("#review-finish:has-text('Reopen my review')")
    shot(phone, "phone-end")

    (path,) = (tmp_path / "served").glob("*/reviews/me.jsonl")
    found = [(own.label, own.verdict, own.comment) for own in read_decisions(path)]
    assert found == [
        ("ship", "accept", None), ("plane", "redraw", None), ("ship", "reject", None), ("ship", "undo", None),
        ("ship", "reject", "not there"), ("harbor", "class: bridge", None), ("ship", "redraw", None),
        ("", "finished", None),
    ]  # fmt: skip
    assert read_decisions(path)[6].mask is not None
    box = read_decisions(path)[1].box
    assert box is not None  # the window of the plane is 42 pixels wide, from 54 and 14 on
    assert box == pytest.approx((64.5, 24.5, 75, 45.5), abs=0.5)
    convert_labels(review_config(tmp_path / "world", out), review=[path])
    review = json.loads((out / "manifest.json").read_text())["review"]
    assert review["counts"] == {
        "accepted": 1, "rejected": 1, "reclassified": 1, "redrawn": 2, "conflicts": 0, "stale": 0,
    }  # fmt: skip


@pytest.mark.slow
def test_two_reviewers_and_other_layers(tmp_path: Path, serve: Callable[..., str], page: Callable[..., Any]) -> None:
    out = write_set(tmp_path / "world")
    tab = page(serve(tmp_path / "world/images/P1.png", out))
    tab.click("#tab-review")
    tab.click("text=Review set")
    tab.wait_for_selector("#review-stage[data-state='ready']")
    tab.select_option("#review-label", "ship")
    tab.wait_for_selector(".review-strip:not(:has(button:nth-child(4))) button:nth-child(3)")
    tab.keyboard.press("a")
    tab.wait_for_selector(COUNT.format("1 of 5 decided"))
    tab.fill("#review-reviewer", "ben")
    tab.keyboard.press("Tab")
    tab.wait_for_selector(COUNT.format("0 of 5 decided"))
    assert "Others" not in tab.inner_text(".review-facts")
    tab.wait_for_selector("#review-stage[data-state='ready']")
    tab.click("#review-reject")
    tab.wait_for_selector(COUNT.format("1 of 5 decided"))
    tab.click("#review-finish")
    tab.wait_for_selector("#review-agreement table")
    assert "ben, me" in tab.inner_text("#review-agreement")
    tab.select_option("#review-shown", "reject")
    tab.wait_for_selector(".review-facts:has-text('me: accept')")
    shot(tab, "desktop-agreement")
    assert tab.is_disabled("#review-accept") and tab.is_disabled("#review-class")
    tab.keyboard.press("a")
    tab.wait_for_selector("text=Your review is finished. Reopen it to decide again.")
    tab.click("#review-finish")
    tab.wait_for_selector("#review-after:has-text('does not count for the agreement')")
    tab.wait_for_selector("#review-accept:enabled")
    shot(tab, "desktop-reopened")
    tab.reload()
    tab.wait_for_selector("body[data-ready='true']")
    tab.click("#tab-review")
    tab.click("text=Review set")
    tab.wait_for_selector("#review-agreement table")
    assert tab.input_value("#review-reviewer") == "ben" and tab.input_value("#review-shown") == "reject"
    tab.click("#tab-maps, #tabs button:first-child")
    assert not tab.is_visible("#review-stage")


@pytest.mark.slow
def test_keys_decide_only_what_is_meant(tmp_path: Path, serve: Callable[..., str], page: Callable[..., Any]) -> None:
    """Keys that lead through the classes take none; after that, and while objects load, none goes astray."""
    out = write_set(tmp_path / "world")
    tab = page(serve(out))
    open_review(tab)
    tab.select_option("#review-order", "file")
    tab.wait_for_selector(READY.format(0))
    for keys in ("c", "ArrowDown", "s", "Escape"):
        tab.keyboard.press(keys)
    tab.fill("#review-comment", "far")
    tab.press("#review-comment", "Escape")
    for keys in ("c", "b", "Enter"):
        tab.keyboard.press(keys)
    tab.wait_for_selector(READY.format(1))
    tab.keyboard.press("r")
    tab.wait_for_selector(READY.format(2))
    tab.focus("#review-class")
    tab.select_option("#review-class", "bridge")
    tab.wait_for_selector(READY.format(3))
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector(READY.format(4))

    def press_and_go_on(route: Any) -> None:
        tab.keyboard.press("r")  # the objects that are left are on their way
        route.continue_()

    tab.route("**/items?**", press_and_go_on)
    for _ in range(3):
        tab.keyboard.down("a")
    tab.keyboard.up("a")
    tab.wait_for_selector(READY.format(3))
    (path,) = (tmp_path / "served").glob("*/reviews/me.jsonl")
    assert [(own.label, own.verdict, own.comment) for own in read_decisions(path)] == [
        ("ship", "class: bridge", "far"), ("plane", "reject", None), ("ship", "class: bridge", None),
        ("ship", "accept", None),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_decision_goes_to_the_set_it_was_made_for(
    tmp_path: Path, serve: Callable[..., str], page: Callable[..., Any]
) -> None:
    """Another set is chosen while decisions wait; keys decide nothing until its objects are there."""
    sets = [write_set(tmp_path / name) for name in ("one", "two")]
    sets[0] = sets[0].rename(tmp_path / "first")
    tab = page(serve(*sets))
    tab.select_option("#layer", label="first (set)")
    open_review(tab)

    waiting: list[Any] = []
    tab.route("**/decisions", lambda route: route.continue_() if waiting else waiting.append(route))
    with tab.expect_request("**/decisions"):
        tab.click("#review-accept")
    tab.wait_for_selector(COUNT.format("1 of 5 decided"))
    tab.keyboard.press("a")
    tab.wait_for_selector(COUNT.format("2 of 5 decided"))
    tab.select_option("#layer", label="set (set)")
    while tab.title() != "set - rsseg":
        tab.wait_for_timeout(10)
    for key in ("Escape", "a", "u"):
        tab.keyboard.press(key)
    while not waiting:
        tab.wait_for_timeout(10)
    waiting[0].continue_()
    tab.wait_for_selector(COUNT.format("0 of 5 decided"))
    tab.wait_for_selector("#review-stage[data-state='ready']")
    found = {path.parts[-3][:5]: path for path in (tmp_path / "served").glob("*/reviews/me.jsonl")}
    assert list(found) == ["first"] and len(read_decisions(found["first"])) == 2
