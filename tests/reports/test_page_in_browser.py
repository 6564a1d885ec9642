"""The page in headless Chromium: no errors on the console, pictures load, filters work from the address."""

import os
import re
import shutil
import subprocess
from urllib.parse import urlencode

import pytest

from rsseg.datasets.labels import open_labels
from rsseg.reports.labels.report import report_labels

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--virtual-time-budget=10000",
    "--enable-logging=stderr", "--dump-dom",
)  # fmt: skip
EVIL = '</script><img src=x onerror="alert(1)"> & co'
BOX = (10, 10, 30, 30)


@pytest.fixture(scope="module")
def browser():
    """Path of a Chromium."""
    told = os.environ.get("CHROMIUM")
    found = told or next(filter(None, map(shutil.which, NAMES)), None)
    if not found or not shutil.which(found):
        pytest.skip(f"no Chromium: {told or 'none of ' + ', '.join(NAMES)} on PATH; set $CHROMIUM to one")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory, write_set):
    """Report on 12 ships scored 0.05..0.6 and 3 of another class."""
    ships = [(0, BOX, BOX, {"predicted_iou": i / 20, "touches_border": i == 1}) for i in range(1, 13)]
    others = [(1, BOX, (0, 0, 60, 60), {"predicted_iou": 0.9}) for _ in range(2)] + [(1, (0, 0, 0, 0), BOX, {})]
    root = write_set(
        tmp_path_factory.mktemp("report") / "a set", {"t 1#": ships, "t2": others}, ["ship", EVIL], (60, 80)
    )
    report_labels(open_labels(root), root / "report", gallery=3)
    return root / "report" / "report.html"


@pytest.fixture
def look(browser, page, tmp_path):
    """``look(hash)`` -> (data attributes of the root, DOM); no line on the console is allowed."""

    def load(fragment="", path=page):
        command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri() + fragment]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        assert not console, "\n".join(console)
        head = re.search(r"<html[^>]*>", result.stdout)
        assert head, result.stdout[:500] + result.stderr
        return dict(re.findall(r'data-(\w+)="([^"]*)"', head[0])), result.stdout

    return load


def visible(dom):
    """Scores of the cards that are shown, in their order on the page."""
    cards = re.findall(r'<figure class="card"[^>]*>', dom)
    return [re.search(r'data-score="([^"]*)"', card)[1] for card in cards if not re.search(r"\shidden", card)]


def test_it_opens_and_every_picture_loads(look):
    state, dom = look()
    assert state == {"shown": "12", "images": "12", "broken": "0"}
    assert len(visible(dom)) == 12
    assert "12 of 12 masks" in dom
    assert dom.count('<svg viewBox="0 0 300 150"') == 4, "four charts are drawn"


@pytest.mark.parametrize(
    ("fragment", "scores"),
    [
        ({"class": "ship", "kind": "best"}, ["0.600", "0.550", "0.500"]),
        ({"class": "ship", "sort": "low", "kind": "suspicious"}, ["0.050", "0.100", "0.150"]),
        ({"class": EVIL}, ["0.900", "0.900", ""]),
        ({"class": ["ship", EVIL], "min": "0.55"}, ["0.600", "0.550", "0.900", "0.900"]),
        ({"max": "0.1", "sort": "high"}, ["0.100", "0.050"]),
        ({"flag": "border"}, ["0.050"]),
        ({"kind": "empty"}, [""]),
        ({"class": "no such class", "kind": "best", "min": "x", "flag": "odd"}, ["0.600", "0.550", "0.500", "0.900"]),
    ],
)
def test_filters_follow_the_address(look, fragment, scores):
    state, dom = look("#" + urlencode(fragment, doseq=True))
    assert visible(dom) == scores
    assert state["shown"] == str(len(scores)) and state["broken"] == "0"


def test_clicks_do_what_the_address_does(look, page, tmp_path):
    clicks = """
    <script>addEventListener("load", () => {
      const click = (selector) => document.querySelector(selector).click();
      click('.chip[data-class="0"]');
      click('.chip[data-kind="best"]');
      const slider = document.getElementById("min");
      slider.value = 0.55;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      document.documentElement.dataset.address = location.hash;
      document.documentElement.dataset.filtered = document.documentElement.dataset.shown;
      click("#classes thead th:nth-child(3) button");
      document.documentElement.dataset.first = document.querySelector("#classes tbody th").dataset.v.slice(0, 4);
      click("#reset");
    });</script>"""
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page.read_text().replace("</body>", clicks + "</body>"))
    state, dom = look(path=clicked)
    assert state["filtered"] == "2" and state["first"] == "ship"
    assert state["address"] == "#class=ship&amp;kind=best&amp;min=0.55"
    assert state["shown"] == "12" and len(visible(dom)) == 12
