"""The whole report: files, tables, figures, and a page that holds what it should and nothing that runs by itself."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.labels import open_labels
from rsseg.datasets.labels.statistics import Statistics
from rsseg.io.chunks import CHUNKS
from rsseg.io.shards import Shard
from rsseg.metainfo import load_metainfo
from rsseg.reports.labels.figures import FIGURES
from rsseg.reports.labels.page import render_page
from rsseg.reports.labels.report import report_labels

SIZE = (60, 80)
EVIL = '</script><img src=x onerror="alert(1)">'
BOX = (10, 10, 30, 30)


class Page(HTMLParser):
    """Tags with their attributes, and the text of the data script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.data, self.text = [], "", text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][1].get("id") == "data":
            self.data += data


@pytest.fixture(scope="module")
def report(tmp_path_factory, write_set):
    """Folder of a report on three tiles with two classes, one of them named to break the page."""
    tiles = {
        "a": [(0, BOX, BOX, {"predicted_iou": 0.9, "source_object_id": '"><b>'}), (1, (0, 0, 5, 5), BOX, {})],
        "b & <b>": [(1, BOX, BOX, {"predicted_iou": 0.4, "rbox": [20, 20, 20, 20, 0.5]})],
        "c": [(0, (0, 0, 0, 0), BOX, {})],
    }
    root = write_set(tmp_path_factory.mktemp("page") / "set", tiles, ["ship", EVIL], SIZE)
    report_labels(open_labels(root), root / "report", gallery=2)
    return root / "report"


def test_every_file_is_there(report):
    files = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
    assert files == {
        *("report.html", "totals.json", "classes.csv", "mask_sizes.csv", "tiles.csv"),
        *(f"figures/{name}.png" for name in FIGURES),
    }
    for name in FIGURES:
        with Image.open(report / "figures" / f"{name}.png") as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_tables_by_hand(report):
    with (report / "classes.csv").open(newline="") as file:
        ship, evil, every = csv.DictReader(file)
    assert ship["class"] == "ship" and evil["class"] == EVIL
    names = ("label_pixels", "mask_pixels", "instances", "empty_masks", "below_100_pixels", "small")
    assert [ship[name] for name in names] == ["400", "400", "1", "1", "0", "1"]
    assert [evil[name] for name in names] == ["425", "425", "2", "0", "1", "2"]
    assert [every[name] for name in names] == ["825", "825", "3", "1", "1", "3"]
    assert evil["median_stability"] == ""
    with (report / "mask_sizes.csv").open(newline="") as file:
        rows = {row["area_from"]: row for row in csv.DictReader(file)}
    assert rows["256"]["ship"] == rows["256"][EVIL] == "1" and rows["256"]["all"] == "2" and rows["16"]["all"] == "1"
    totals = json.loads((report / "totals.json").read_text())
    assert totals["score"] == "predicted_iou" and totals["tiles"] == 3 and totals["problems"] == []
    assert totals["unlabelled_share"] == 1 - 825 / (3 * 60 * 80)


def test_the_page_is_one_file_and_names_stay_text(report):
    page = Page((report / "report.html").read_text(encoding="utf-8"))
    links = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page.text)
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert json.loads(page.data)["classes"] == ["ship", EVIL]
    cards = [attributes for tag, attributes in page.tags if tag == "figure" and "card" in attributes["class"].split()]
    assert sorted(card["data-kind"] for card in cards) == ["best", "best", "empty", "median"]
    titles = [attributes.get("title", "") for _, attributes in page.tags]
    assert 'tile and object: a · "><b>' in titles and "tile and object: b & <b> · 3" in titles
    images = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert len(images) == len(cards) and "best ship in a, score 0.900" in images


def test_the_same_set_gives_the_same_page(report, tmp_path):
    labels = open_labels(report.parent)
    report_labels(labels, tmp_path / "again", gallery=2)
    for path in report.rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(report)).read_bytes(), path.name


def test_jobs_that_share_a_set_give_the_same_page(report, tmp_path, monkeypatch):
    """Three chunks by two jobs, one of which ran twice, then one of three; and once more for a label that changed."""
    monkeypatch.setattr("rsseg.datasets.labels.shares._CHUNK", 1)
    root, out = shutil.copytree(report.parent, tmp_path / "set"), tmp_path / "out"

    def share(rank, world):
        return report_labels(open_labels(root), out, 2, shard=Shard(rank, world, True))

    for _ in range(2):
        assert share(0, 2) is None and len(list((out / CHUNKS).iterdir())) == 2 and not (out / "tiles.csv").exists()
    before = share(1, 3)  # the second chunk, which no job had done
    for path in report.rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (out / path.relative_to(report)).read_bytes(), path.name
    gray = root / "gray" / "c.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(gray)
    assert share(0, 3) is None and share(2, 3)["unlabelled_share"] < before["unlabelled_share"]
    assert json.loads((out / "totals.json").read_text())["label_pixels"] == 3 * 60 * 80
    assert len(list((out / CHUNKS).iterdir())) == 3  # that of the old label is gone


def test_without_a_gallery(report, tmp_path):
    report_labels(open_labels(report.parent), tmp_path / "plain", gallery=0)
    page = (tmp_path / "plain" / "report.html").read_text()
    assert 'class="card"' not in page and 'id="chart-sizes"' in page


def test_missing_images_are_listed_and_the_rest_goes_on(report, tmp_path):
    root = shutil.copytree(report.parent, tmp_path / "set")
    (root / "images" / "a.png").unlink()
    labels = open_labels(root, images=tmp_path)
    totals = report_labels(labels, tmp_path / "out")
    assert len(totals["problems"]) == 1 and totals["problems"][0].startswith("a: ")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Problems (1)" in page and page.count("picture none") == 2


def test_the_page_is_bounded_however_many_problems_there_are():
    page = render_page(Statistics(load_metainfo("fast").classes), load_metainfo("fast"), [], {}, None, ["x"] * 5000)
    assert "and 4800 more" in page and len(page) < 60_000


@pytest.mark.parametrize("table", ["sota", "fast"])
@pytest.mark.parametrize("figure", list(FIGURES))
def test_figures_of_an_empty_set(table, figure, tmp_path):
    table = load_metainfo(table)
    FIGURES[figure](Statistics(table.classes), table).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
