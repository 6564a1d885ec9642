"""Names that come from files stay text on every page: whatever they are, the markup around them is the same."""

import json
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from PIL import Image
from rasterio import Affine

from rsseg.datasets.labels import open_labels
from rsseg.datasets.labels.measure import measure
from rsseg.io.georeference import GeoReference
from rsseg.reports.labels.cards import make_cards
from rsseg.reports.labels.page import render_page
from rsseg.reports.maps.files import ClassArea, MapFiles, Score
from rsseg.reports.maps.page import render_map_page
from rsseg.reports.markup import data_uri, ground_area, number, percent, render

HOSTILE = [
    '</script><img src=x onerror="alert(1)">',
    "</style><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "' autofocus onfocus='alert(1)",
    "<!-- <script>",
    "--> ]]> <![CDATA[",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "&lt;b&gt; &amp; &#60;",
    "javascript:alert(1)",
    "海 \u202eabc\u2028 \N{SNOWMAN} é",
]
PLAIN = [f"name {i}" for i in range(len(HOSTILE))]
BOX = (10, 10, 30, 30)


class Page(HTMLParser):
    """Every tag with the names of its attributes, all texts and attribute values, and the text of the data script."""

    def __init__(self, text):
        super().__init__()
        self.structure, self.shown, self.data, self.inside = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.structure.append((tag, [key for key, _ in attrs]))
        self.shown += [value for _, value in attrs if value]
        self.inside = tag == "script" and ("id", "data") in attrs

    def handle_data(self, data):
        self.shown.append(data)
        self.data += data if self.inside else ""


def labels_page(write_set, root, names):
    """The page of a labelled set whose classes, objects, folder and problems have these names."""
    objects = [(i, BOX, BOX, {"predicted_iou": 0.5, "source_object_id": name}) for i, name in enumerate(names)]
    labels = open_labels(write_set(root, {names[6].replace("/", ""): objects}, names, (60, 80)))
    found = measure(labels, keep=1)
    cards, _ = make_cards(list(found.selection.choices()))
    about = {"folder": names[0], names[1]: names[2]}
    return render_page(found.statistics, labels.table, cards, about, names[3], problems=names)


def map_page(names):
    """The page of a map whose classes, file, metadata and problems have these names."""
    count = len(names)
    files = MapFiles(
        path=Path(names[2]), georeference=GeoReference((20, 30), None, Affine(2, 0, 0, 0, -2, 0)), classes=tuple(names),
        palette=((1, 2, 3),) * count, settings={"source": names[0], "config": names[1], "plugin": names[4]},
        areas=[ClassArea(60, 240.0, 1 / count)] * count, others=names, problems=[],
        accuracy=[Score(name, (50.0, 60.0, 70.0), 9) for name in (*names, "mean", "OA")],
    )  # fmt: skip
    picture = data_uri(Image.new("RGB", (3, 2)), "PNG")
    return render_map_page(files, picture, picture, names[5], problems=names)


@pytest.mark.parametrize("page", ["labels", "map"])
def test_names_never_change_the_markup(page, tmp_path, write_set):
    def made(names, folder):
        return Page(labels_page(write_set, tmp_path / folder, names) if page == "labels" else map_page(names))

    hostile, plain = made(HOSTILE, "hostile"), made(PLAIN, "plain")
    assert len(plain.structure) > 100 and hostile.structure == plain.structure
    for name in HOSTILE:
        assert hostile.shown.count(name) >= 3, "in a table, a legend or filter, and the problems, as it is"
    data = json.loads(hostile.data)
    assert (data["classes"] == HOSTILE) if page == "labels" else (data["colours"] == [[1, 2, 3]] * len(HOSTILE))


def test_a_value_that_is_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        render("map.html", title="x")


def test_numbers_by_hand():
    assert number(1234567.4) == "1\u202f234\u202f567" and number(0) == "0"
    assert percent(0.12345) == "12.3\u202f%" and percent(1) == "100\u202f%"
    assert [ground_area(m) for m in (0.25, 9999, 10000, 2_500_000)] == [
        *("0.25\u202fm²", "9\u202f999\u202fm²", "1\u202fha", "2.5\u202fkm²"),
    ]
