"""A folder of maps as one layer: the mosaic's pixels are the maps', the collection is valid, areas are summed."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from rsseg.errors import ConfigError, DataError
from rsseg.io.storage import Storage
from rsseg.mapping import Products
from rsseg.mapping.collection import collect, collect_finished, read_crs
from rsseg.mapping.products import make_products
from rsseg.metainfo import ClassTable, load_metainfo
from tests.mapping.stac import check_schema
from tests.range_server import serve_folder

FILES = ("areas.csv", "mosaic.gti.gpkg", "mosaic.vrt", "collection.json")
H, W, STEP = 40, 50, 0.5
Write = Callable[..., np.ndarray]


@pytest.fixture
def write_map(tmp_path: Path, table: ClassTable) -> Write:
    """``write_map("sub/a.tif", column, row)`` writes a finished map that begins at a pixel of a grid; its class ids."""

    def write(
        name: str, column: int = 0, row: float = 0, crs: str | None = "EPSG:32633", turn: bool = False,
        classes: ClassTable | None = None, **tags: str,
    ) -> np.ndarray:  # fmt: skip
        path = tmp_path / "maps" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = np.random.default_rng(sum(name.encode())).integers(0, 3, (H, W)).astype(np.uint8)
        labels[:5, :5] = 255
        x, y = (500000 + STEP * column, 4000000 - STEP * row) if crs != "EPSG:4326" else (15 + column, 36 - row)
        step = STEP if crs != "EPSG:4326" else 1e-5
        transform = Affine(step, 0, x, 0, step if turn else -step, y)
        where = {} if crs is None else {"crs": crs, "transform": transform}
        with rasterio.open(
            path, "w", driver="COG", count=1, height=H, width=W, dtype="uint8", nodata=255, **where
        ) as f:
            f.write(labels, 1)
            f.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(table.palette)})
            f.update_tags(RSSEG_PLAN="code", RSSEG_CONFIG="c.py", **tags)
        make_products(path, classes or table, Products())
        return labels

    return write


def read(path: Path) -> tuple[np.ndarray, rasterio.DatasetReader]:
    with rasterio.open(path) as file:
        return file.read(1), file


def test_the_mosaic_has_the_pixels_of_the_maps(
    write_map: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two maps side by side, one below after a gap, one that overlaps and has no data in its corner."""
    expected = np.full((H + 70, 2 * W), 255, np.uint8)
    places = ("a.tif", 0, 0), ("b.tif", W, 0), ("sub/c.tif", 10, 60), ("sub/d.tif", 20, 70)
    for name, column, row in places:
        labels = write_map(name, column, row)
        part = expected[row : row + H, column : column + W]
        part[labels != 255] = labels[labels != 255]
    found = collect(tmp_path / "maps")
    assert (found.maps, found.files, found.overlaps) == (4, ("areas.csv", "mosaic.gti.gpkg", "mosaic.vrt",
                                                             "collection.json"), 1)  # fmt: skip
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "maps", moved)
    monkeypatch.chdir(tmp_path)
    for name, driver in (("mosaic.gti.gpkg", "GTI"), ("mosaic.vrt", "VRT")):
        with rasterio.open(moved / name) as file:
            assert (file.driver, file.nodata, file.crs.to_epsg()) == (driver, 255, 32633)
            assert file.transform == Affine(STEP, 0, 500000, 0, -STEP, 4000000)
            np.testing.assert_array_equal(file.read(1), expected)
            np.testing.assert_array_equal(file.read(1, window=Window(45, 0, 10, 40)), expected[:40, 45:55])  # the seam
            for _, column, row in places:  # of exactly a map, which touches others
                shown = file.read(1, window=Window(column, row, W, H))
                np.testing.assert_array_equal(shown, expected[row : row + H, column : column + W])
            assert file.colormap(1) == {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (0, 0, 255, 255)}


@pytest.mark.parametrize("name", ["mosaic.gti.gpkg", "mosaic.vrt"])
def test_a_mosaic_is_read_at_a_server(name: str, write_map: Write, tmp_path: Path) -> None:
    labels = [write_map("a.tif"), write_map("sub/b.tif", W)]
    collect(tmp_path / "maps")
    with serve_folder(tmp_path / "maps") as server, rasterio.open(f"/vsicurl/{server.url}/{name}") as file:
        np.testing.assert_array_equal(file.read(1), np.hstack(labels))


def test_the_collection_is_valid_and_the_same_again(write_map: Write, tmp_path: Path) -> None:
    write_map("a.tif", 0, 0, RSSEG_DATETIME="2024-06-01T00:00:00Z")
    write_map("sub/b.tif", W, 0)
    folder = tmp_path / "maps"
    collect(folder)
    files = {name: (folder / name).read_bytes() for name in FILES}
    assert sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("a.")) == sorted(
        {*FILES, "a_areas.csv"}
    )
    check_schema(json.loads(files["collection.json"]))
    read = pystac.Collection.from_file(str(folder / "collection.json"))
    assert [item.id for item in read.get_items()] == ["a", "b"] and read.id == "maps"
    boxes = np.array([item.bbox for item in read.get_items()])
    assert read.extent.spatial.bboxes == [[*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]]
    interval = json.loads(files["collection.json"])["extent"]["temporal"]["interval"]
    assert interval == [["2024-06-01T00:00:00Z"] * 2]
    assert read.summaries.to_dict() == {"proj:code": ["EPSG:32633"], "rsseg:config": ["c.py"]}
    assert set(read.assets) == {"areas", "mosaic", "mosaic_vrt"}
    collect(folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == files


def test_areas_are_the_sum_of_the_maps(write_map: Write, tmp_path: Path) -> None:
    labels = [write_map("a.tif"), write_map("b.tif", 3 * W)]
    found = collect(tmp_path / "maps")
    pixels = [sum(int((one == i).sum()) for one in labels) for i in range(3)]
    with (tmp_path / "maps" / "areas.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["pixels"], row["m2"]) for row in rows] == [
        (name, str(count), f"{count / 4:.2f}") for name, count in zip(("red", "green", "blue"), pixels, strict=True)
    ]
    assert found.overlaps == 0 and "overlap" not in str(found) and "50 pixels without data" in str(found)


def test_maps_of_several_crs_are_warped_into_one(
    write_map: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The CRS of most maps, or the one that is named; nothing is resampled where no map has to be."""
    caplog.set_level("INFO")
    first = write_map("a.tif")
    write_map("b.tif", W)
    far = write_map("c.tif", 0, -0.15, "EPSG:4326")
    write_map("turned.tif", 0, 300, turn=True)
    folder = tmp_path / "maps"
    assert collect(folder).files == ("areas.csv", "mosaic.gti.gpkg", "collection.json")
    assert "1 maps have another CRS than the mosaic, EPSG:32633" in caplog.text
    assert "1 of 4 maps are not part of the mosaic" in caplog.text and "turned.tif" in caplog.text
    with rasterio.open(folder / "mosaic.gti.gpkg") as file:
        column, row = ~file.transform * (500000, 4000000)
        assert (file.res, column % 1, row % 1) == ((STEP, STEP), 0, 0)  # whole pixels of the maps of that CRS
        shown = file.read(1, window=Window(column, row, W, H))
        np.testing.assert_array_equal(shown[first != 255], first[first != 255])
        rows, columns = np.mgrid[2:H:7, 8:W:7]
        for labels, crs, transform in (
            (first, "EPSG:32633", Affine(STEP, 0, 500000, 0, -STEP, 4000000)),
            (far, "EPSG:4326", Affine(1e-5, 0, 15, 0, -1e-5, 36.15)),
        ):
            x, y = transform * (columns.ravel() + 0.5, rows.ravel() + 0.5)
            x, y = transform_points(crs, file.crs, x.tolist(), y.tolist())
            values = [value[0] for value in file.sample(zip(x, y, strict=True))]
            assert values == labels[rows, columns].ravel().tolist()
    collect(folder, read_crs("EPSG:3035"))
    with rasterio.open(folder / "mosaic.gti.gpkg") as file:
        assert file.crs == CRS.from_epsg(3035)
    with pytest.raises(ConfigError, match="--crs EPSG:1: no CRS of that name"):
        read_crs("EPSG:1")
    for code in ("EPSG:4978", "EPSG:5773"):  # geocentric, heights
        with pytest.raises(ConfigError, match=f"--crs {code}: is no CRS of maps"):
            read_crs(code)


def test_a_country_in_a_storage(write_map: Write, tmp_path: Path, table: ClassTable) -> None:
    """The files of the storage are those of a local folder; an earlier VRT that no longer fits goes."""
    write_map("a.tif")
    write_map("sub/b.tif", W)
    collect(tmp_path / "maps")
    local = {name: (tmp_path / "maps" / name).read_bytes() for name in FILES}
    place = Storage(f"memory://{tmp_path.name}/maps")
    for path in sorted((tmp_path / "maps").rglob("*")):
        if path.is_file() and path.name not in FILES:
            place.put(path, path.relative_to(tmp_path / "maps").as_posix())
    assert collect(place).files == FILES
    assert {name: place.read(name) for name in FILES} == local
    place.put(tmp_path / "maps" / "a.tif", "b.tif")
    write_map("c.tif", 0, 0, "EPSG:4326")
    for name in ("c.tif", "c.stac.json"):
        place.put(tmp_path / "maps" / name, name)
    assert "mosaic.vrt" not in collect(place).files and place.read("mosaic.vrt") is None


def test_two_jobs_that_collect_at_once(write_map: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one adds a map and collects while this one is about to upload its files, which do not have that map."""
    folder, place, put = tmp_path / "maps", Storage(f"memory://{tmp_path.name}/twice"), Storage.put
    for column, name in enumerate(("a", "b")):
        write_map(f"{name}.tif", W * column)
        for path in (folder / f"{name}.tif", folder / f"{name}.stac.json"):
            if name == "a":
                place.put(path, path.name)

    def meanwhile(self: Storage, path: Path, name: str) -> None:
        monkeypatch.setattr(Storage, "put", put)
        for other in ("b.tif", "b.stac.json"):
            place.put(folder / other, other)
        assert collect(place).maps == 2
        put(self, path, name)

    monkeypatch.setattr(Storage, "put", meanwhile)
    assert collect(place).maps == 2
    collect(folder)
    assert all(place.read(name) == (folder / name).read_bytes() for name in FILES if name != "collection.json")


def test_what_makes_no_common_layer_is_said(write_map: Write, tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    with pytest.raises(FileNotFoundError, match="maps: no such folder"):
        collect(folder)
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"contains no maps with items .NAME.stac.json"):
        collect(folder)
    write_map("nowhere.tif", crs=None)
    with pytest.raises(DataError, match="none of its 1 maps has a place on Earth"):
        collect(folder)
    write_map("a.tif")
    write_map("b.tif", classes=load_metainfo("loveda"))
    with pytest.raises(DataError, match=r"a.stac.json and b.stac.json have different classes.*a folder each"):
        collect(folder)
    (folder / "b.tif").unlink()
    with pytest.raises(DataError, match=r"1 maps are missing or not those of their items.*\n  b.stac.json"):
        collect(folder)
    assert not [path for path in folder.iterdir() if path.name in FILES or path.name.startswith(".")]


def test_a_killed_collection_is_made_good(write_map: Write, tmp_path: Path) -> None:
    """What it leaves is in a hidden folder, which the next call removes."""
    write_map("a.tif")
    left = tmp_path / "maps" / ".mosaic.gti.gpkg.tmp"
    left.mkdir()
    (left / "mosaic.gti.gpkg").write_bytes(b"half")
    (tmp_path / "maps" / "mosaic.gti.gpkg").write_bytes(b"of an earlier run, made by rsseg")
    collect(tmp_path / "maps")
    assert not left.exists()
    with sqlite3.connect(tmp_path / "maps" / "mosaic.gti.gpkg") as base:
        assert base.execute("SELECT location FROM maps").fetchall() == [("a.tif",)]


def test_links_to_folders_are_followed_once(write_map: Write, tmp_path: Path) -> None:
    """Maps of another disk count; a loop does not end in itself; what is hidden, or gone behind its link, is no map."""
    write_map("a.tif")
    write_map("far/b.tif", W)
    write_map(".trash/c.tif", W)
    folder, far = tmp_path / "maps", tmp_path / "disk"
    shutil.move(folder / "far", far)
    for name, to in (("far", far), ("again", far), ("loop", folder)):
        (folder / name).symlink_to(to)
    assert collect(folder).maps == 2
    with sqlite3.connect(folder / "mosaic.gti.gpkg") as base:
        (first, second) = base.execute("SELECT location FROM maps ORDER BY location").fetchall()
    assert first == ("a.tif",) and (folder / second[0]).samefile(far / "b.tif")
    place = Storage(f"memory://{tmp_path.name}/hidden")
    for name in ("a.tif", "a.stac.json", ".trash/c.tif", ".trash/c.stac.json"):
        place.put(folder / name, name)
    assert collect(place).maps == 1
    (folder / "gone.stac.json").symlink_to(tmp_path / "nowhere.stac.json")
    with pytest.raises(DataError, match=r"1 maps are missing or not those of their items.*\n  gone.stac.json$"):
        collect(folder)


def test_files_of_the_user_are_neither_replaced_nor_removed(write_map: Write, tmp_path: Path) -> None:
    """Names such as mosaic.vrt are taken in many folders of rasters; their items and catalogues are not maps'."""
    folder = tmp_path / "maps"
    write_map("a.tif")
    write_map("far.tif", 0, 0, "EPSG:4326")  # so there is no VRT, and an earlier one would go
    item = b'{"type": "Feature", "properties": {"datetime": null}, "assets": {}}'
    (folder / "scene.stac.json").write_bytes(item)
    place = Storage(f"memory://{tmp_path.name}/own")
    for path in sorted(folder.iterdir()):
        place.put(path, path.name)
    for name in FILES:
        (folder / name).write_bytes(b"of the user")
        place.put(folder / name, name)
        for where in (folder, place):
            with pytest.raises(DataError, match=rf"{name}: was not written by rsseg collect, and is not replaced"):
                collect(where)
        assert place.read(name) == (folder / name).read_bytes() == b"of the user"
        (folder / name).unlink()
        place.remove(name)
        assert not [path for path in folder.iterdir() if path.name in FILES]
    for where in (folder, place):
        assert collect(where).maps == collect(where).maps == 2  # its own files are replaced
    assert (folder / "scene.stac.json").read_bytes() == item


def test_names_with_signs_of_addresses(write_map: Write, tmp_path: Path) -> None:
    names = ["50%.tif", "a b.tif", "a#1.tif", "a[1].tif", "q?x=1.tif", "st*r/é.tif", "x%20y.tif"]
    for column, name in enumerate(names):
        write_map(name, W * column)
    folder = tmp_path / "maps"
    collect(folder)
    for name in ("mosaic.gti.gpkg", "mosaic.vrt"):
        assert (read(folder / name)[0] != 255).sum() == len(names) * (H * W - 25)
    links = json.loads((folder / "collection.json").read_text())["links"][1:]
    assert [link["href"] for link in links] == [
        "./50%.stac.json", "./a b.stac.json", "./a%231.stac.json", "./a[1].stac.json", "./q%3Fx=1.stac.json",
        "./st*r/é.stac.json", "./x%2520y.stac.json",
    ]  # fmt: skip
    for scheme in ("memory", "file"):
        place = Storage(f"{scheme}://{tmp_path}/there")
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in FILES:
                place.put(path, path.relative_to(folder).as_posix())
        assert collect(place).maps == len(names)
        assert {name: place.read(name) for name in FILES[:3]} == {
            name: (folder / name).read_bytes() for name in FILES[:3]
        }


def test_maps_that_a_crs_does_not_hold_are_left_out(
    write_map: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A map across the antimeridian is torn apart in degrees, and one of another body has no place; no crash."""
    write_map("a.tif")
    write_map("mars.tif", crs="+proj=tmerc +lon_0=15 +R=3396190")
    write_map("torn.tif", column=-2 * 333990, row=2 * 4000000, crs="EPSG:32601")  # 166010 E, at the equator
    folder = tmp_path / "maps"
    for crs in ("EPSG:4326", "EPSG:3857"):
        caplog.clear()
        found = collect(folder, read_crs(crs))
        assert "2 of 3 maps are not part of the mosaic" in caplog.text and "torn.tif" in caplog.text
        assert found.maps == 3 and "mosaic.gti.gpkg" in found.files
        with rasterio.open(folder / "mosaic.gti.gpkg") as file:
            assert file.crs == CRS.from_user_input(crs) and max(file.shape) < 100
    assert collect(folder).maps == 3
    caplog.clear()
    for name in ("a.tif", "a.stac.json", "mars.tif", "mars.stac.json"):
        (folder / name).unlink()
    assert collect(folder, read_crs("EPSG:4326")).files == ("areas.csv", "collection.json")


def test_a_command_for_plain_pictures_warns_of_nothing(
    write_map: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "maps"
    collect_finished(folder, [], True)  # no raster could be mapped
    write_map("a.tif", crs=None)
    write_map("b.tif", crs=None)
    collect_finished(folder, [Path("a.tif"), Path("b.tif")], True)
    assert not caplog.records and not (folder / "collection.json").exists()


def test_a_process_that_is_not_the_last_says_so(
    write_map: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write_map("a.tif")
    collect_finished(tmp_path / "maps", [Path("a.tif"), Path("b.tif")], False)
    assert "maps: still without 1 of 2 maps" in caplog.text
    assert not (tmp_path / "maps" / "collection.json").exists()
