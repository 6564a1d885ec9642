"""The page of a map: pictures that show what the files hold, tables by hand, nothing that needs a network."""

import base64
import csv
import io
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rsseg.reports.maps.files import open_map
from rsseg.reports.maps.page import report_map
from rsseg.reports.maps.pictures import image_picture, map_picture

EVIL = '</script><img src=x onerror="alert(1)"> & co'
CLASSES = ["water", EVIL, "tree"]
COLOURS = [(0, 0, 250), (250, 0, 0), (0, 250, 0)]
NORTH_UP = Affine(0.5, 0, 500000, 0, -0.5, 4000000)
UTM = "EPSG:32633"
LABELS = np.zeros((20, 30), np.uint8)
LABELS[:, 10:] = 1
LABELS[:5, 25:] = 255


class Page(HTMLParser):
    """Tags with their attributes, and the texts of all elements."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.source = [], [], path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.replace("\u202f", " "))


def write_raster(path, pixels, crs=UTM, transform=NORTH_UP, **options):
    """Write (C, H, W), or (H, W), with GDAL."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    place = {"crs": crs} if crs else {}
    place |= {} if transform.is_identity else {"transform": transform}
    count, height, width = pixels.shape
    size = {"count": count, "height": height, "width": width}
    with rasterio.open(path, "w", driver="GTiff", dtype=pixels.dtype, **size, **place, **options) as file:
        file.write(pixels)
    return path


def write_map(folder, labels=LABELS, crs=UTM, transform=NORTH_UP, tables=True, **told):
    """A map as tools/map_raster.py leaves it, with tables that say a pixel has 0.25 square metres."""
    path = write_raster(folder / "place_map.tif", labels, crs, transform, nodata=255)
    told = {"source": "place.tif", "bands": "[1, 2, 3]", "config": "tiny.py", "window": "[64, 64]", **told}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(COLOURS)})
        file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(CLASSES)})
        file.update_tags(**{f"RSSEG_{key.upper()}": text for key, text in told.items()})
    if tables:
        areas = [["water", 200, "50.00", "0.000050", "34.783"], [EVIL, 375, "93.75", "0.000094", "65.217"]]
        areas = [["class", "pixels", "m2", "km2", "percent"], *areas, ["tree", 0, "0.00", "0.000000", "0.000"]]
        scores = [["water", 81.25, 89.66, 90, 120], [EVIL, 40, 57.14, 70, 80], ["tree", "nan", "nan", "nan", 0]]
        scores = [["class", "IoU", "F1", "Acc", "pixels"], *scores]
        scores += [["mean", 60.63, 73.4, 80, 200], ["OA", "", "", 82.5, 200]]
        for name, rows in {"areas": areas, "accuracy": scores}.items():
            with (folder / f"place_map_{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows)
    return path


def colour_image(shape=LABELS.shape):
    """(3, H, W): red left of the middle, blue right of it."""
    pixels = np.zeros((3, *shape), np.uint8)
    pixels[0, :, : shape[1] // 2] = 200
    pixels[2, :, shape[1] // 2 :] = 200
    return pixels


def decode(address):
    """The picture in a ``data:`` address as RGBA (H, W, 4)."""
    kind, text = address.split(",", 1)
    assert kind in ("data:image/png;base64", "data:image/webp;base64")
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        return np.asarray(picture.convert("RGBA")).astype(int)


def is_red_then_blue(picture, height, width):
    """Whether the left half is red and the right half blue."""
    assert picture.shape[:2] == (height, width)
    left, right = picture[:, : width // 2 - 2], picture[:, width // 2 + 2 :]
    red = (left[..., 0] > 150).all() and (left[..., 2] < 60).all()
    return red and (right[..., 2] > 150).all() and (right[..., 0] < 60).all()


@pytest.fixture
def reported(tmp_path):
    """A map with its image and tables, and its page."""
    write_raster(tmp_path / "place.tif", colour_image(), photometric="RGB")
    report_map(write_map(tmp_path), tmp_path / "sub" / "map.html")
    return Page(tmp_path / "sub" / "map.html")


def test_one_file_and_names_stay_text(reported):
    links = [value for _, attributes in reported.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(links) == 3 and all(link.startswith("data:") for link in links)
    assert not re.search(r"https?://|@import|url\(", reported.source)
    assert not [key for _, attributes in reported.tags for key in attributes if key.startswith("on")]
    assert [tag for tag, _ in reported.tags].count("script") == 2
    assert reported.texts.count(EVIL) >= 3, "in the legend and both tables"
    assert "Problems" not in reported.source


def test_tables_by_hand(reported):
    text = "|".join(filter(str.strip, reported.texts))
    assert f"{EVIL}|65.22 %|0.000094|94|375|water|34.78 %|0.000050|50|200|tree|0.00 %" in text
    assert f"water|81.25 %|89.66 %|90.00 %|120|{EVIL}|40.00 %|57.14 %|70.00 %|80|tree|–|–|–|0|" in text
    assert "overall accuracy|82.50 %|200" in text
    assert "mapped area|144 m²|575 pixels" in text and "mapped pixels|95.8 %|25 pixels without data" in text
    assert "overall accuracy|82.50 %|mIoU 60.63 %, mF1 73.40 %" in text
    assert (
        "WGS 84 / UTM zone 33N (EPSG:32633)" in text
        and "pixel size|0.5 × 0.5 m on the ground" in text
        and "pixel in the CRS|0.5 × 0.5 metre|" in text
    )
    assert "500000 to 500015" in text and "3999990 to 4000000" in text
    assert "config|tiny.py" in text and "window|64 × 64" in text and "bands|1, 2, 3" in text
    assert "place_map_accuracy.csv, place_map_areas.csv" in text


def test_pictures_show_what_the_files_hold(tmp_path):
    write_raster(tmp_path / "place.tif", colour_image()[::-1])
    files = open_map(write_map(tmp_path, bands="[3, 2, 1]"))
    shown = decode(map_picture(files))
    for value, colour in enumerate(COLOURS[:2]):
        assert (shown[value == LABELS] == [*colour, 255]).all()
    assert (shown[LABELS == 255][:, 3] == 0).all()
    source = str(tmp_path / "place.tif")
    assert is_red_then_blue(decode(image_picture(files, source, None)[0]), 20, 30), "the map's bands"
    assert is_red_then_blue(decode(image_picture(files, source, (3, 2, 1))[0]), 20, 30)
    assert not is_red_then_blue(decode(image_picture(files, source, (1, 2, 3))[0]), 20, 30)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000)),
        ("EPSG:4326", Affine(1e-5, 0, 10, 0, -1e-5, 50)),
        (None, Affine.identity()),
        (None, NORTH_UP),
    ],
    ids=["rotated", "geographic", "no place", "no CRS"],
)
def test_any_place(tmp_path, crs, transform):
    write_raster(tmp_path / "place.tif", colour_image(), crs, transform, photometric="RGB")
    path = write_map(tmp_path, crs=crs, transform=transform)
    assert is_red_then_blue(decode(image_picture(open_map(path), str(tmp_path / "place.tif"), None)[0]), 20, 30)
    report_map(path, tmp_path / "map.html")
    text = "|".join(Page(tmp_path / "map.html").texts)
    assert "Problems" not in text
    assert ("not north-up" in text) == (transform.b != 0)


def test_an_image_on_another_grid_is_put_where_the_map_lies(tmp_path):
    files = open_map(write_map(tmp_path))
    wide = np.zeros((3, 60, 90), np.uint8)
    wide[:, 20:40, 30:60] = colour_image()
    around = write_raster(tmp_path / "around.tif", wide, transform=Affine(0.5, 0, 499985, 0, -0.5, 4000010))
    assert is_red_then_blue(decode(image_picture(files, str(around), (1, 2, 3))[0]), 20, 30)
    fine = colour_image().repeat(4, 1).repeat(4, 2)
    fine = write_raster(tmp_path / "fine.tif", fine, transform=Affine(0.125, 0, 500000, 0, -0.125, 4000000))
    assert is_red_then_blue(decode(image_picture(files, str(fine), (1, 2, 3))[0]), 20, 30)
    far = write_raster(tmp_path / "far.tif", colour_image(), transform=Affine(0.5, 0, 500450, 0, -0.5, 4000000))
    with pytest.raises(ValueError, match=r"far\.tif: has no data where the map lies"):
        image_picture(files, str(far), (1, 2, 3))
    same = write_raster(tmp_path / "same.tif", colour_image(), None, Affine.identity())
    assert is_red_then_blue(decode(image_picture(files, str(same), (1, 2, 3))[0]), 20, 30), "as many rows and columns"
    other = write_raster(tmp_path / "other.tif", colour_image((20, 31)), None, Affine.identity())
    with pytest.raises(ValueError, match=r"other\.tif: has 20 x 31 pixels, the map 20 x 30, and no CRS relates them"):
        image_picture(files, str(other), (1, 2, 3))


def test_values_of_16_bits_and_float(tmp_path):
    source = write_raster(tmp_path / "place.tif", colour_image().astype(np.uint16) * 15)
    shown, note = image_picture(open_map(write_map(tmp_path, range="[0, 3000]")), str(source), None)
    assert is_red_then_blue(decode(shown), 20, 30) and note == "values 0 to 3000"
    values = colour_image().astype(np.float32) / 200
    values[:, 3, 4] = np.nan
    source = write_raster(tmp_path / "float.tif", values)
    shown, note = image_picture(open_map(write_map(tmp_path)), str(source), None)
    assert note.startswith("stretched from 0 to 1")
    assert [tuple(place) for place in np.argwhere(decode(shown)[..., 3] == 0)] == [(3, 4)]


def test_without_tables_pixels_are_counted(tmp_path):
    path = write_map(tmp_path, tables=False)
    files = open_map(path)
    assert [(area.pixels, area.metres) for area in files.areas] == [(200, 50), (375, 93.75), (0, 0)]
    assert files.areas[1].share == pytest.approx(375 / 575) and not files.accuracy
    assert files.problems == ["place_map_areas.csv was not found; areas were measured from the map"]
    (tmp_path / "place_map_areas.csv").write_text("class,pixels,m2,km2,percent\nship,1,,,100\n")
    (tmp_path / "place_map_accuracy.csv").write_text("odd\n")
    files = open_map(path)
    assert files.areas[0].pixels == 200 and [problem.split(":")[0] for problem in files.problems] == [
        "place_map_areas.csv cannot be used",
        "place_map_accuracy.csv cannot be used",
    ]
    report_map(path, tmp_path / "map.html")
    text = "|".join(Page(tmp_path / "map.html").texts)
    assert (
        "Problems (3)" in text and "place.tif is not in the folder of the map" in text and "mapped area|144 m²" in text
    )


def test_a_map_with_the_name_of_its_image_is_not_its_image(tmp_path):
    path = write_map(tmp_path, tables=False, source="place_map.tif")
    report_map(path, tmp_path / "page.html")
    text = " ".join(Page(tmp_path / "page.html").texts)
    assert "no image is shown: place_map.tif is not in the folder of the map; name the image with --image" in text


def test_a_map_without_data(tmp_path):
    path = write_map(tmp_path, np.full((20, 30), 255, np.uint8), tables=False)
    report_map(path, tmp_path / "map.html")
    text = "|".join(Page(tmp_path / "map.html").texts).replace("\u202f", " ")
    assert "mapped pixels|0 %|600 pixels without data" in text
    assert not decode(map_picture(open_map(path)))[..., 3].any()


def test_what_is_no_map_is_refused(tmp_path):
    other = write_raster(tmp_path / "other.tif", LABELS)
    with pytest.raises(ValueError, match=r"other\.tif: is not a class map"):
        report_map(other, tmp_path / "map.html")
    with pytest.raises(OSError, match=r"nothing\.tif"):
        report_map(tmp_path / "nothing.tif", tmp_path / "map.html")
    with pytest.raises(OSError, match=r"gone\.tif"):
        report_map(write_map(tmp_path), tmp_path / "map.html", str(tmp_path / "gone.tif"))
    two = write_raster(tmp_path / "two.tif", colour_image()[:2])
    with pytest.raises(ValueError, match="does not say which of its bands are red, green and blue"):
        report_map(write_map(tmp_path), tmp_path / "map.html", str(two))
    assert not (tmp_path / "map.html").exists()


def test_the_page_is_bounded_for_noise(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (2400, 4000)).astype(np.uint8)
    write_raster(tmp_path / "place.tif", rng.integers(0, 256, (3, 2400, 4000)).astype(np.uint8))
    report_map(write_map(tmp_path, labels, tables=False), tmp_path / "map.html")
    assert (tmp_path / "map.html").stat().st_size < 5_000_000
    page = Page(tmp_path / "map.html")
    sizes = [decode(a["src"]).shape[:2] for tag, a in page.tags if tag == "img"]
    assert len(sizes) == 2 and all(500 <= max(size) <= 1600 for size in sizes)
    assert all(size[0] / size[1] == pytest.approx(0.6, abs=0.002) for size in sizes)


@pytest.fixture
def look(tmp_path):
    """``look(path, fragment)`` -> (data attributes of the root, DOM) in Chromium; nothing on the console is allowed."""
    told = os.environ.get("CHROMIUM")
    names = [told] if told else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip(f"no Chromium: none of {', '.join(names)} on PATH; set $CHROMIUM to one")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", "--disable-dev-shm-usage", "--no-first-run", "--virtual-time-budget=5000"]
    flags += ["--enable-logging=stderr", "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}"]

    def load(path, fragment=""):
        command = [browser, *flags, path.as_uri() + fragment]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path)
        console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        assert result.returncode == 0 and not console, result.stderr
        head = re.search(r"<html[^>]*>", result.stdout)
        assert head, result.stdout[:500] + result.stderr
        return dict(re.findall(r'data-(\w+)="([^"]*)"', head[0])), result.stdout

    return load


def test_in_a_browser(look, reported, tmp_path):
    state, dom = look(tmp_path / "sub" / "map.html", "#swipe")
    assert state.pop("scale").endswith(" m") and state.pop("chosen") == "0"
    assert state == {"view": "swipe", "zoom": "1.00", "images": "2", "broken": "0"}
    assert 'id="mixer">' in dom and 'data-view="swipe" tabindex' in dom
    clicks = """
    <script>addEventListener("load", () => {
      const root = document.documentElement.dataset, panes = document.querySelector(".panes");
      const chip = (number) => document.querySelector(`.chip[data-class="${number}"]`).click();
      chip(0);
      root.water = root.kept;
      chip(1);
      root.both = root.kept;
      chip(0); chip(1);
      root.canvases = document.querySelectorAll("canvas").length;
      for (let i = 0; i < 2; i++) panes.dispatchEvent(new KeyboardEvent("keydown", { key: "+" }));
      root.place = panes.style.getPropertyValue("--x");
      document.querySelector('.chip[data-view="blend"]').click();
      const cut = document.getElementById("cut");
      cut.value = 25;
      cut.dispatchEvent(new Event("input"));
      root.cut = panes.style.getPropertyValue("--cut");
      root.address = location.hash;
    });</script>"""
    (tmp_path / "clicked.html").write_text(reported.source.replace("</body>", clicks + "</body>"), encoding="utf-8")
    state, _ = look(tmp_path / "clicked.html")
    assert (state["water"], state["both"], state["canvases"]) == ("200", "575", "0")
    assert state["zoom"] == "2.25" and state["place"] == "-0.625", "0.5 - 0.5 * 2.25"
    assert (state["view"], state["cut"], state["address"]) == ("blend", "25%", "#blend")


def test_in_a_browser_without_an_image(look, tmp_path):
    report_map(write_map(tmp_path, tables=False), tmp_path / "map.html")
    state, _ = look(tmp_path / "map.html", "#swipe")
    assert state.pop("scale").endswith(" m") and state == {"zoom": "1.00", "images": "1", "broken": "0"}


def test_accuracy_in_classes_common_with_the_reference(tmp_path):
    path = write_map(tmp_path)
    rows = [["water", 50, 66.67, 50, 4], ["land", 25, 40, 100, 1], ["mean", 37.5, 53.33, 75, 5]]
    rows = [["class", "IoU", "F1", "Acc", "pixels"], *rows, ["OA", "", "", 60, 5]]
    with (tmp_path / "place_map_accuracy.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert not open_map(path).problems
    report_map(path, tmp_path / "map.html")
    html = (tmp_path / "map.html").read_text(encoding="utf-8")
    table = html[html.index('id="accuracy"') :]
    assert table.count('class="dot"') == 1  # only water is a class of the map and has its colour
    assert "land</th>" in table and "60.00" in table
