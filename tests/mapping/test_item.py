"""The STAC item of a map: valid, complete, the same again, and without what is secret."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from rasterio import Affine
from rasterio.crs import CRS

from rsseg.errors import DataError
from rsseg.io.footprints import footprint
from rsseg.io.georeference import GeoReference
from rsseg.io.moments import taken_at
from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.collection import _document, _sum_areas
from rsseg.mapping.item import MapItem, item_path
from rsseg.mapping.item_writer import links_of
from rsseg.metainfo import ClassTable, load_metainfo
from tests.mapping.stac import check_schema

Make = Callable[..., Path]
SMALL = MapOptions(window=(32, 32), batch=4, probabilities="top")
OWN = "+proj=laea +lat_0=40.5 +lon_0=14.5 +ellps=GRS80 +units=m"


@pytest.fixture
def mapped(stub: Any, table: ClassTable, noise: Any, write_raster: Make, tmp_path: Path) -> Callable[..., MapItem]:
    """``mapped(name, raster=..., products=..., about=...)`` maps and gives the item."""

    def make(
        name: str = "out/map.tif", raster: Path | None = None, products: Products | None = None, **about: Any
    ) -> MapItem:
        source = raster or (tmp_path / "source.tif")
        if not source.exists():
            write_raster(noise(3, 40, 50))
            os.utime(source, ns=(0, 1_700_000_000_500_000_000))
        map_raster(str(source), tmp_path / name, stub, table, SMALL, about, products=products or Products())
        return MapItem.read(item_path(tmp_path / name))

    return make


def test_an_item_says_where_what_and_by_which_model(mapped: Callable[..., MapItem], tmp_path: Path) -> None:
    item = mapped(
        products=Products(vectors="fgb", min_area=2), config="c.py", checkpoint="x.pth", checkpoint_sha256="ab"
    )
    check_schema(item.document)
    read = pystac.Item.from_file(str(tmp_path / "out" / "map.stac.json"))
    assert read.id == "map" and read.bbox == footprint(GeoReference.of(tmp_path / "source.tif"))[1]  # type: ignore[index]
    assert (item.properties["proj:code"], item.properties["proj:shape"]) == ("EPSG:32633", [40, 50])
    assert item.properties["proj:transform"] == [0.5, 0, 500000, 0, -0.5, 4000000]
    assert item.properties["processing:software"].keys() == {"rsseg"}
    told = {key: item.settings[key] for key in ("config", "checkpoint", "checkpoint_sha256", "source")}
    assert told == {"config": "c.py", "checkpoint": "x.pth", "checkpoint_sha256": "ab", "source": "source.tif"}
    assert set(item.assets) == {"map", "probabilities", "areas", "polygons", "names", "style"}  # the style is for both
    for asset in item.assets.values():
        path = tmp_path / "out" / asset["href"]
        assert asset["href"].startswith("./") and asset["file:size"] == path.stat().st_size
        assert asset["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert FileExtension.ext(read.assets["map"]).checksum == item.assets["map"]["file:checksum"]
    assert item.assets["polygons"]["rsseg:min_area"] == 2 and item.assets["map"]["raster:spatial_resolution"] == 0.5
    assert item.assets["probabilities"]["bands"] == [{"name": "confidence"}]
    classes = ClassificationExtension.ext(read.assets["map"]).classes
    assert classes is not None
    assert [(c.value, c.name, c.color_hint) for c in classes] == [
        (0, "red", "FF0000"), (1, "green", "00FF00"), (2, "blue", "0000FF")
    ]  # fmt: skip
    with rasterio.open(tmp_path / "out" / "map.tif") as file:
        assert [c.count for c in classes] == np.bincount(file.read(1).ravel(), minlength=3).tolist()
        assert {k.removeprefix("RSSEG_").lower(): v for k, v in file.tags().items() if k.startswith("RSSEG_")} == {
            **item.settings, "plan": item.code
        }  # fmt: skip


def test_the_same_map_gives_the_same_item(mapped: Callable[..., MapItem], tmp_path: Path) -> None:
    mapped(products=Products(vectors="gpkg"))
    data = (tmp_path / "out" / "map.stac.json").read_bytes()
    mapped("again/map.tif", products=Products(vectors="gpkg"))
    assert (tmp_path / "again" / "map.stac.json").read_bytes() == data
    # a later call without polygons keeps those that are there, as long as they are what they were
    mapped("again/map.tif")
    assert MapItem.read(tmp_path / "again" / "map.stac.json").files.keys() == MapItem.parse(data, "x").files.keys()
    (tmp_path / "again" / "map.gpkg").write_bytes(b"another")
    assert "polygons" not in mapped("again/map.tif").assets


def test_when_the_image_was_taken(
    mapped: Callable[..., MapItem], tmp_path: Path, noise: Any, write_raster: Make
) -> None:
    """Its own word, or else honest bounds: a raster is not younger than its file."""
    unknown = mapped().properties
    assert unknown["datetime"] is None
    assert (unknown["start_datetime"], unknown["end_datetime"]) == ("1900-01-01T00:00:00Z", "2023-11-14T22:13:20Z")
    raster = write_raster(noise(3, 40, 50), "dated.tif")
    with rasterio.open(raster, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:06:01 10:30:00")
    assert mapped("out/dated.tif", raster).properties["datetime"] == "2024-06-01T10:30:00Z"
    item = mapped(
        "out/span.tif", datetime="2024-01-01T00:00:00Z/2024-02-01T00:00:00Z", stac_item="https://u:p@h/i.json"
    )
    assert item.properties["datetime"] is None and item.properties["end_datetime"] == "2024-02-01T00:00:00Z"
    assert item.document["links"] == [
        {"rel": "derived_from", "href": "https://h/i.json", "type": "application/geo+json"}
    ]
    check_schema(item.document)


@pytest.mark.parametrize(
    "tags, expected",
    [
        ({"TIFFTAG_DATETIME": "2024:06:01 10:30:00"}, "2024-06-01T10:30:00Z"),
        ({"TIFFTAG_DATETIME": "2024:06:01 10:30:00", "EXIF_DateTimeOriginal": "2020:01:02 03:04:05"},
         "2020-01-02T03:04:05Z"),
        ({"PRODUCT_START_TIME": "2019-05-04T10:00:31.024Z"}, "2019-05-04T10:00:31Z"),
        ({"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, None),
        ({"TIFFTAG_DATETIME": "2023:02:30 10:00:00"}, None),
        ({"TIFFTAG_DATETIME": "yesterday"}, None),
    ],
)  # fmt: skip
def test_times_in_metadata(tags: dict[str, str], expected: str | None) -> None:
    class Dataset:
        def tags(self, ns: str | None = None) -> dict[str, str]:
            return {} if ns else tags

    assert taken_at(Dataset()) == expected


@pytest.mark.parametrize("crs", [None, OWN])
def test_a_crs_without_a_code_and_no_crs(
    crs: str | None, mapped: Callable[..., MapItem], noise: Any, write_raster: Make
) -> None:
    raster = write_raster(noise(3, 40, 50), "own.tif", crs=crs, transform=Affine(0.5, 0, 100, 0, -0.5, 200))
    item = mapped("out/own.tif", raster)
    check_schema(item.document)
    assert item.properties["proj:code"] is None and item.properties["proj:transform"] == [0.5, 0, 100, 0, -0.5, 200]
    assert (item.document["geometry"] is None) == ("bbox" not in item.document) == (crs is None)
    if crs is not None:
        assert CRS.from_wkt(item.properties["proj:wkt2"]) == CRS.from_proj4(crs)


def test_a_transform_without_numbers_is_left_out(
    mapped: Callable[..., MapItem], noise: Any, write_raster: Make
) -> None:
    raster = write_raster(noise(3, 40, 50), "odd.tif", transform=Affine(0.5, 0, float("nan"), 0, -0.5, 200))
    item = mapped("out/odd.tif", raster)
    assert "proj:transform" not in item.properties and item.document["geometry"] is None


def test_names_of_classes_are_plain_and_unique(stub: Any, noise: Any, write_raster: Make, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    rows = [{"id": i, "name": name, "color": "#0000FF"} for i, name in enumerate(["Straße, naß", "a b", "a,b"])]
    path.write_text(json.dumps({"name": "Odd", "source": "test", "categories": rows}), encoding="utf-8")
    target = tmp_path / "map.tif"
    map_raster(str(write_raster(noise(3, 40, 50))), target, stub, load_metainfo(str(path)), SMALL, {})
    classes = MapItem.read(item_path(target)).classes
    assert [c["name"] for c in classes] == ["Stra_e_na", "a_b", "a_b_2"]
    assert [c["title"] for c in classes] == ["Straße, naß", "a b", "a,b"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"type": "Feature", "properties": {}, "assets": {}}'])
def test_what_is_no_item_is_said(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bad.stac.json: is no STAC item of a map of rsseg"):
        MapItem.parse(text.encode(), "bad.stac.json")


def _damaged(value: Any) -> Iterator[Any]:
    """Copies of a JSON value in each of which one thing is missing, or another one than expected."""
    yield from (None, "x", [], {})
    keys = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    for key in keys:
        yield (
            [v for i, v in enumerate(value) if i != key]
            if isinstance(value, list)
            else {k: v for k, v in value.items() if k != key}
        )
        for other in _damaged(value[key]):
            copy = value.copy()
            copy[key] = other
            yield copy


def test_a_damaged_item_is_said_at_once(mapped: Callable[..., MapItem]) -> None:
    """Whatever is wrong in it: it is no item of a map, or all can be read from it that a collection takes."""
    good, refused = mapped(), 0
    damaged = list(_damaged(good.document))
    for document in damaged:
        try:
            item = MapItem.parse(json.dumps(document).encode(), "bad.stac.json")
        except DataError:
            refused += 1
        else:
            _document("maps", {"bad.stac.json": item, "good.stac.json": good}, [])
            _sum_areas([item])
    assert 100 < refused < len(damaged)


def test_files_that_others_have_added_are_not_those_of_the_map(mapped: Callable[..., MapItem]) -> None:
    item = mapped()
    files, added = item.files, {**item.assets, "thumbnail": {"href": "./map.jpg"}}
    assert MapItem.parse(json.dumps({**item.document, "assets": added}).encode(), "x").files == files


def test_outlines_on_the_globe() -> None:
    """Bent sides are followed; what crosses the antimeridian is cut there; the whole Earth is one piece."""
    utm = footprint(GeoReference((100, 200), CRS.from_epsg(32633), Affine(500, 0, 400000, 0, -500, 6000000)))
    assert utm is not None and len(utm[0]["coordinates"][0]) == 33 and utm[0]["type"] == "Polygon"
    crossing = footprint(GeoReference((10, 20), CRS.from_epsg(4326), Affine(0.1, 0, 179, 0, -0.1, 10)))
    assert crossing is not None and crossing[1] == [179, 9, -179, 10] and crossing[0]["type"] == "MultiPolygon"
    earth = footprint(GeoReference((10, 20), CRS.from_epsg(4326), Affine(18, 0, -180, 0, -18, 90)))
    assert earth is not None and earth[1] == [-180, -90, 180, 90] and earth[0]["type"] == "Polygon"
    assert footprint(GeoReference((10, 20))) is None


@pytest.mark.parametrize(
    "crs, transform, bounds, area",
    [
        # a square of 1000 km round the pole: all longitudes, from the latitude of its corners (83.4987)
        ("EPSG:3031", Affine(10000, 0, -500000, 0, -10000, 500000), [-180, -90, 180, -83.4987328], (1850, 1870)),
        ("EPSG:3031", Affine(10000, 0, -1000000, 0, -10000, 0), [-180, -90, -90, -77.0374006], (900, 950)),
        ("EPSG:3031", Affine(10000, 0, -500000, 0, -10000, 1000000), [-90, -90, 90, -79.7364209], (1200, 1300)),
        ("EPSG:3857", Affine(400750.16686, 0, -20037508.343, 0, -400750.16686, 20037508.343),
         [-180, -85.0511288, 180, 85.0511288], (61236, 61237)),
        ("EPSG:4326", Affine(3.6, 0, 0, 0, -1.8, 90), [-180, -90, 180, 90], (64800, 64800)),  # 0..360
        ("EPSG:4326", Affine(0.1, 0.1, 175, 0.1, -0.1, 10), [175, 0, -165, 20], (200, 200)),  # rotated
    ],
)  # fmt: skip
def test_outlines_at_the_poles_and_the_antimeridian(
    crs: str, transform: Affine, bounds: list[float], area: tuple[float, float]
) -> None:
    found = footprint(GeoReference((100, 100), CRS.from_user_input(crs), transform))
    assert found is not None and found[1] == pytest.approx(bounds, abs=1e-7)
    shape = shapely.geometry.shape(found[0])
    assert shape.is_valid and area[0] - 1e-6 <= shape.area <= area[1] + 1e-6
    assert np.abs(shapely.get_coordinates(shape)).max(axis=0).tolist() <= [180, 90]


def test_a_bent_side_may_cross_the_antimeridian_twice() -> None:
    """The western side of a raster of zone 1, 500 km to either side of the equator where it bulges to the west."""
    for x in range(166000, 168000, 100):
        utm = GeoReference((1000, 1), CRS.from_epsg(32601), Affine(500, 0, x, 0, -1000, 500000))
        found = footprint(utm)
        assert found is not None and shapely.geometry.shape(found[0]).is_valid
        assert found[1][2] < -179 and (found[0]["type"] == "MultiPolygon") == (found[1][0] > found[1][2])


@pytest.mark.parametrize(
    "source, href",
    [
        ("/vsicurl/https://me:pw@host/a.tif?sig=x", "https://host/a.tif"),
        ("/vsis3/bucket/a.tif", "s3://bucket/a.tif"),
        ("a.tif", None),
    ],
)
def test_links_to_sources_have_no_credentials(source: str, href: str | None) -> None:
    assert links_of({"source": source}) == ([] if href is None else [{"rel": "source", "href": href}])
