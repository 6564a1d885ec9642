"""The page of a change: tables by hand, pictures, one file, what is told at a place; the command, and the API."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

import rsseg
from rsseg.errors import DataError
from rsseg.reports.maps.change import report_change
from tests.reports.chromium import Chromium, find_chromium

EVIL = '</script><img src=x onerror="alert(1)"> & co'
NAMES = ("water", EVIL, "road")
COLOURS = ((0, 0, 250), (0, 200, 0), (100, 100, 100))
# 40 x 60 pixels of 100 m2: 20 columns of water, 20 of EVIL, 20 of road; the last ten columns of water become road
BEFORE = np.repeat([[0] * 20 + [1] * 20 + [2] * 20], 40, 0).astype(np.uint8)
AFTER = BEFORE.copy()
AFTER[:, 10:20] = 2
AFTER[30:, 50:] = 255


def write_map(path: Path, labels: np.ndarray) -> Path:
    with rasterio.open(path, "w", driver="GTiff", count=1, height=40, width=60, dtype="uint8", nodata=255,
                       crs="EPSG:32633", transform=Affine(10, 0, 500000, 0, -10, 4000000)) as file:  # fmt: skip
        file.write(labels, 1)
        file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(COLOURS)})
        file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(NAMES)})
    return path


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("maps")
    return write_map(folder / "old.tif", BEFORE), write_map(folder / "new.tif", AFTER)


@pytest.fixture(scope="module")
def page(maps: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("change")
    found = rsseg.compare_maps(*maps, out, vectors="fgb")
    assert found.metres is not None and found.metres.tolist() == [[4e4, 0, 4e4], [0, 8e4, 0], [0, 0, 7e4]]
    return out / "change.html"


def texts_of(page: Path) -> str:
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"[\s|]*\|[\s|]*", "|", re.sub(r"<[^>]*>", "|", text)).replace("\u202f", " ")


def test_tables_by_hand(page: Path) -> None:
    text = texts_of(page)
    evil = "&lt;/script&gt;&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; co"
    assert "|compared|23 ha|2 300 pixels of old.tif|" in text and "|unchanged|82.6 %|" in text
    assert "|largest change|4 ha|water to road|" in text
    assert (
        f"|from \\ to|water|{evil}|road|before|water|4.00|·|4.00|8.00|{evil}|·|8.00|·|8.00|road|·|·|7.00|7.00|" in text
    )
    assert "|after|4.00|8.00|11.00|23.00|" in text
    assert "|road|+4.00|7.00|11.00|0.00|4.00|100 %|" in text and "|water|−4.00|8.00|4.00|4.00|0.00|50 %|" in text
    assert "|without a class in the second map|100 pixels (1 ha)|" in text


def test_one_file_and_names_stay_text(page: Path) -> None:
    source = page.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', source)
    assert len(links) == 4 and all(link.startswith("data:") for link in links)
    assert not re.search(r"https?://|@import|url\(|<img src=x", source)


def test_pictures_of_both_maps_and_of_the_change(page: Path) -> None:
    found = re.findall(r'<img src="data:image/png;base64,([^"]*)"', page.read_text(encoding="utf-8"))
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")) for text in found]
    assert [picture.shape for picture in pictures] == [(40, 60, 4)] * 3
    assert pictures[0][0, 15].tolist() == [0, 0, 250, 255] and pictures[1][0, 15].tolist() == [100, 100, 100, 255]
    assert pictures[2][0, 15].tolist() == [80, 80, 130, 255], "road with a touch of water"
    assert pictures[2][0, 5].tolist() == [196, 196, 246, 255], "pale water"
    assert all(picture[35, 55, 3] == 0 for picture in pictures)


def test_a_folder_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        report_change(tmp_path)
    (tmp_path / "change.json").write_text("{}")
    with pytest.raises(DataError, match=r"change\.json: lacks 'before'"):
        report_change(tmp_path)


def test_nothing_changed_and_no_size(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=2, width=2, dtype="uint8") as file:
        file.write(np.full((1, 2, 2), 2, np.uint8))
    rsseg.compare_maps(path, path, tmp_path / "out", classes="loveda")
    text = texts_of(tmp_path / "out" / "change.html")
    assert "|compared|4 px|" in text and "|unchanged|100 %|" in text and "|Changes|" not in text
    assert "|before: plain.tif|read as it is|after: plain.tif|read as it is|" in text


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = find_chromium()
    if browser is None:
        pytest.skip("no Chromium on PATH; set $CHROMIUM to one")
    with Chromium(browser, tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.mark.parametrize("phone", [False, True])
def test_in_a_browser(phone: bool, page: Path, chromium: Chromium) -> None:
    """It fits the screen, tells what has become of a place in each of the pictures, and filters by a change."""
    chromium.be((390, 840) if phone else (1200, 900), phone)
    chromium.open(page)
    state = chromium.value("({ ...document.documentElement.dataset })")
    assert state["images"] == "3" and state["broken"] == "0" and state["scale"].endswith(" m")
    width, inner = chromium.value("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    for pane in ("before", "map"):
        chromium.value(f"document.getElementById('{pane}').scrollIntoView({{ behavior: 'instant' }})")
        box = chromium.value(f"(({{ x, y, width, height }}) => [x, y, width, height])"
                             f"(document.querySelector('#{pane} .ground').getBoundingClientRect())")  # fmt: skip
        for share, told in ((5 / 60, "water, unchanged"), (15 / 60, "water to road")):
            x, y = box[0] + share * box[2], box[1] + box[3] / 2
            if phone:
                chromium.touch("touchStart", (x, y))
                chromium.touch("touchEnd")
            else:
                chromium.mouse("mouseMoved", x, y)
            assert chromium.value("document.documentElement.dataset.here") == told
    chromium.value("document.querySelector('.legend .chip').click()")
    assert chromium.value("document.documentElement.dataset.kept") == str(10 * 40)
    assert not chromium.console


@pytest.mark.slow
def test_the_command(maps: tuple[Path, Path], tmp_path: Path, run_tool: Callable[..., Any]) -> None:
    result = run_tool("change", *maps, "out", "--json", "--vectors", "gpkg", "--min-area", "5", "--simplify", "1")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "change.json").read_text())
    assert {"change.html", "change.gpkg", "change.tif"} <= {path.name for path in (tmp_path / "out").iterdir()}
    result = run_tool("change", *maps, "out")
    assert result.stdout.startswith("class  ") and "unchanged 82.61 % of 23.00 ha compared" in result.stdout
    result = run_tool("change", maps[0], maps[1].with_name("none.tif"), "out")
    assert result.returncode == 1 and result.stderr.startswith("FileNotFoundError: ")
