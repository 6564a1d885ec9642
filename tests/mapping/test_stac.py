"""STAC as a source of maps: items, collections of items, catalogues, and searches of an API."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import Address
from rsseg.io.bands import PixelSpec
from rsseg.io.rasters import Raster, open_dataset
from rsseg.mapping import MapOptions, map_raster
from rsseg.mapping.sources import sources_of
from rsseg.mapping.stac import StacRequest, items_of
from rsseg.metainfo import ClassTable
from tests.mapping.conftest import Stub
from tests.mapping.test_remote_maps import make
from tests.range_server import RangeServer, serve_folder

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def item(name: str, assets: dict[str, str], link: str | None = None, **more: Any) -> dict[str, Any]:
    bbox = more.pop("bbox", [15.0, 36.1, 15.1, 36.2])
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "bbox": bbox,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": more.pop("datetime", "2024-06-01T10:00:00Z")},
        "assets": {key: {"href": href, "type": COG, "roles": ["data"]} for key, href in assets.items()},
        "links": [{"rel": "self", "href": link}] if link else [], **more,
    }  # fmt: skip


def write(path: Path, value: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return str(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RangeServer, Path]]:
    folder = tmp_path_factory.mktemp("stac")
    rng = np.random.default_rng(0)
    for band in ("red", "green", "blue"):
        make(folder / "data" / f"{band}.tif", rng.integers(1, 255, (1, 40, 60)).astype(np.uint8), nodata=0)
    with serve_folder(folder) as running:
        yield running, folder


def names(found: list[Address] | None) -> list[str]:
    return [] if found is None else [one.name for one in found]


def test_the_assets_of_an_item_are_the_bands(server: Any, table: ClassTable, tmp_path: Path) -> None:
    running, folder = server
    bands = {key: f"../data/{key}.tif" for key in ("blue", "green", "red")}
    write(folder / "items" / "one.json", item("S2A_33TWN", bands))
    stacked = np.concatenate([rasterio.open(folder / "data" / f"{key}.tif").read() for key in ("red", "green", "blue")])
    local = make(tmp_path / "local.tif", stacked, nodata=0, photometric="RGB")
    map_raster(str(local), tmp_path / "expected.tif", Stub(), table, MapOptions(window=(32, 32)), {})
    request = StacRequest(("red", "green", "blue"))
    for number, source in enumerate((str(folder / "items" / "one.json"), f"{running.url}/items/one.json")):
        target = tmp_path / f"{number}.tif"
        ((raster, _),) = sources_of(source, target, request)
        map_raster(raster, target, Stub(), table, MapOptions(window=(32, 32)), {})
        with rasterio.open(target) as file, rasterio.open(tmp_path / "expected.tif") as expected:
            assert (file.read(1) == expected.read(1)).all() and file.transform == expected.transform
            tags = file.tags()
        assert tags["RSSEG_DATETIME"] == "2024-06-01T10:00:00Z"
        assert tags["RSSEG_SOURCE"] == f"{source}[red,green,blue]" or tags["RSSEG_SOURCE"].endswith("[red,green,blue]")
        assert tags.get("RSSEG_STAC_ITEM") == (source if number else None)
    (tmp_path / "maps").mkdir()
    ((_, target),) = sources_of(f"{running.url}/items/one.json", tmp_path / "maps", request)
    assert target == tmp_path / "maps" / "S2A_33TWN.tif"
    with pytest.raises(DataError, match=r"has no asset 'nir'; it has blue, green, red"):
        items_of(str(folder / "items" / "one.json"), StacRequest(("nir",)))
    with pytest.raises(ConfigError, match="name the assets to map, such as --assets blue,green,red"):
        items_of(str(folder / "items" / "one.json"), StacRequest())


def test_coarser_bands_come_onto_the_finest_grid(tmp_path: Path) -> None:
    fine = make(tmp_path / "fine.tif", np.full((1, 40, 60), 7, np.uint8))
    with rasterio.open(fine) as file:
        coarse = make(tmp_path / "coarse.tif", np.full((1, 20, 30), 9, np.uint8),
                      transform=file.transform * rasterio.Affine.scale(2))  # fmt: skip
        other = make(tmp_path / "other.tif", np.full((1, 40, 60), 9, np.uint8),
                     transform=file.transform * rasterio.Affine.translation(30, 0))  # fmt: skip
    with open_dataset(Address("both", "", [str(coarse), str(fine)])) as file:
        assert file.shape == (40, 60) and file.count == 2
        assert (file.read(1) == 9).all() and (file.read(2) == 7).all()
    with pytest.raises(DataError, match="lies on other ground"):
        open_dataset(Address("both", "", [str(fine), str(other)]))


def test_pixels_that_one_asset_lacks_are_invalid(tmp_path: Path) -> None:
    """Half of the fine one is missing; bilinear pixels of the coarse one reach a pixel into what it lacks, too."""
    half = np.full((1, 8, 8), 7, np.uint16)
    half[..., :4] = 0
    fine = make(tmp_path / "fine.tif", half, nodata=0)
    with rasterio.open(fine) as file:
        coarse = make(tmp_path / "coarse.tif", half[:, ::2, ::2], nodata=0,
                      transform=file.transform * rasterio.Affine.scale(2))  # fmt: skip
    with Raster(Address("both", "", [str(fine), str(coarse)]), PixelSpec(bands=(1, 2), value_range=(0, 10))) as raster:
        _, valid = raster.read()
    assert valid is not None and not valid[:, :4].any() and valid[:, 4:].all()


def test_item_collections_and_catalogues(server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running, folder = server
    one = {"data": "../data/red.tif"}
    features = [item("a", one), item("b", one, datetime="2024-07-01T10:00:00Z"), item("c", one, bbox=[1, 1, 2, 2])]
    collection = write(folder / "items" / "all.json", {"type": "FeatureCollection", "features": features})
    assert names(items_of(collection, StacRequest())) == ["a", "b", "c"]
    assert names(items_of(f"{running.url}/items/all.json", StacRequest(datetime="2024-06"))) == ["a", "c"]
    assert names(items_of(collection, StacRequest(datetime="2024-06-15/.."))) == ["b"]
    assert names(items_of(collection, StacRequest(boxes=((0.5, 0.5, 1.5, 1.5),)))) == ["c"]
    assert names(items_of(collection, StacRequest(max_items=2))) == ["a", "b"]
    for span, expected in (("2024-06-15/", ["b"]), ("/2024-06-30", ["a", "c"]), ("2024-06/2024-07", ["a", "b", "c"])):
        assert names(items_of(collection, StacRequest(datetime=span))) == expected
    for number, link in enumerate(("page1.json", "page2.json", "page0.json")):  # the last one leads back
        page = {"type": "FeatureCollection", "features": [features[number]], "links": [{"rel": "next", "href": link}]}
        write(folder / "items" / f"page{number}.json", page)
    assert names(items_of(f"{running.url}/items/page0.json", StacRequest())) == ["a", "b", "c"]
    assert names(items_of(f"{running.url}/items/page0.json", StacRequest(max_items=2))) == ["a", "b"]
    assert names(items_of(str(folder / "items" / "page0.json"), StacRequest())) == ["a"]
    assert "is one page of several" in caplog.text
    with pytest.raises(DataError, match="no item meets the request"):
        items_of(collection, StacRequest(collections=("other",)))
    with pytest.raises(ConfigError, match="only an API tests conditions"):
        items_of(collection, StacRequest(query=("eo:cloud_cover<20",)))
    for name in ("a", "b"):
        write(folder / "catalogue" / "sub" / f"{name}.json", item(name, {"data": "../../data/red.tif"}))
    links = [{"rel": "item", "href": f"./{name}.json"} for name in ("a", "b")]
    base = {"stac_version": "1.0.0", "description": "a catalogue"}
    write(folder / "catalogue" / "sub" / "catalog.json", {**base, "type": "Catalog", "id": "sub", "links": links})
    children = [{"rel": "child", "href": "./sub/catalog.json"}]
    top = write(folder / "catalogue" / "catalog.json", {**base, "type": "Catalog", "id": "top", "links": children})
    for source in (top, f"{running.url}/catalogue/catalog.json"):
        found = items_of(source, StacRequest())
        assert names(found) == ["a", "b"] and found is not None
        with open_dataset(found[0]) as file:
            assert file.shape == (40, 60)
    (tmp_path / "list.txt").write_text(f"{running.url}/items/all.json\n{folder}/data/green.tif\n")
    assert [target.name for _, target in sources_of(str(tmp_path / "list.txt"), tmp_path)] == [
        "a.tif", "b.tif", "c.tif", "green.tif"
    ]  # fmt: skip
    assert items_of(write(tmp_path / "no.json", {"a": 1}), StacRequest()) is None


def test_a_search_of_an_api(server: Any) -> None:
    running, folder = server
    conformance = [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "item-search", "item-search#query")]
    links = [{"rel": "search", "href": f"{running.url}/search", "type": "application/geo+json", "method": "POST"},
             {"rel": "root", "href": f"{running.url}/api/v1", "type": "application/json"}]  # fmt: skip
    (folder / "api").mkdir()
    write(folder / "api" / "v1", {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "an API",
                                  "conformsTo": conformance, "links": links})  # fmt: skip
    found = item("hit", {"visual": f"{running.url}/data/red.tif?sig=secret", "B04": f"{running.url}/data/green.tif"},
                 f"{running.url}/items/hit", collection="s2")  # fmt: skip
    write(folder / "search", {"type": "FeatureCollection", "features": [found], "links": []})
    request = StacRequest(
        collections=("s2",), datetime="2024-06", query=("eo:cloud_cover<20",), boxes=((15, 36, 16, 37),)
    )
    running.order(fail={"/api/v1": [503]})
    rasters = items_of(f"{running.url}/api/v1", request)
    assert names(rasters) == ["hit"] and rasters is not None
    assert rasters[0] == f"{running.url}/items/hit[visual]" and rasters[0].gdal.endswith("red.tif?sig=secret")
    assert rasters[0].item == f"{running.url}/items/hit"
    (asked,) = [
        json.loads(text) for method, path, _, text in running.requests() if method == "POST" and path == "/search"
    ]
    assert asked["collections"] == ["s2"] and asked["bbox"] == [15, 36, 16, 37]
    assert asked["query"] == {"eo:cloud_cover": {"lt": 20}} and asked["datetime"].startswith(
        "2024-06-01T00:00:00Z/2024-06-30"
    )
    top = json.loads((folder / "api" / "v1").read_text())
    write(folder / "api" / "v1", {**top, "links": [{**links[0], "method": "GET"}, links[1]]})
    asked_before = len(running.requests())
    jobs = sources_of(f"{running.url}/api/v1", folder / "new", StacRequest(collections=("s2",), query=("a<1",)))
    assert [made for _, made in jobs] == [folder / "new" / "hit.tif"]  # a folder, however many there are
    assert all(request[0] == "GET" for request in running.requests()[asked_before:])
    with pytest.raises(ConfigError, match="is the root of a STAC API; say which of its items"):
        items_of(f"stac:{running.url}/api/v1", StacRequest())
    with pytest.raises(ConfigError, match="--query clouds: expected PROPERTY, one of"):
        items_of(f"{running.url}/api/v1", StacRequest(query=("clouds",)))


@pytest.mark.parametrize(
    "href", ["/vsicurl/http://127.0.0.1/a.tif", "/etc/passwd", "file:///etc/passwd", "NETCDF:/a:b"]
)
def test_an_item_at_a_server_names_no_files_of_this_machine(server: Any, href: str) -> None:
    running, folder = server
    write(folder / "items" / "evil.json", item("evil", {"data": href}))
    if href == "/etc/passwd":  # a path of the server
        found = items_of(f"{running.url}/items/evil.json", StacRequest())
        assert found is not None and found[0].gdal == f"/vsicurl/{running.url}/etc/passwd"
        return
    with pytest.raises(DataError, match="which is no address that an item may name"):
        items_of(f"{running.url}/items/evil.json", StacRequest())


def test_what_an_item_names_is_an_image(server: Any, tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
    _, folder = server
    source = write(folder / "items" / "text.json", item("text", {"data": "https://h.org/a.vrt?sig=x"}))
    with pytest.raises(DataError, match=r"names 'https://h.org/a.vrt', a text that refers to other rasters"):
        items_of(source, StacRequest())
    links = [{"rel": "item", "href": "/etc/passwd.json"}]
    base = {"type": "Catalog", "stac_version": "1.0.0", "id": "top", "description": "a catalogue", "links": links}
    write(folder / "evil" / "catalog.json", base)
    running = server[0]
    with pytest.raises(DataError):
        items_of(f"{running.url}/evil/catalog.json", StacRequest())
    assert not [row for row in running.requests() if "root" in row[1]]


def test_a_server_that_is_gone_tells_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsseg.mapping.stac._RETRIES", 0)
    with socket.socket() as deaf:  # whose port nobody else gets, and at which nobody listens
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        for source in (
            f"stac:http://me:s3cret@127.0.0.1:{port}/v1?token=s3cret",
            f"http://127.0.0.1:{port}/i.json?sig=s3cret",
        ):
            with pytest.raises(DataError, match="cannot be read as STAC") as error:
                items_of(source, StacRequest())
            told = "".join(traceback.format_exception(error.value))
            assert "127.0.0.1" in str(error.value) and "s3cret" not in told.replace(repr(source)[1:-1], "")


def test_a_folder_of_catalogues_is_a_folder_and_signed_assets_are_not_recorded(
    server: Any, table: ClassTable, tmp_path: Path
) -> None:
    running, folder = server
    (tmp_path / "empty").mkdir()
    assert items_of(str(tmp_path / "empty"), StacRequest(max_items=1)) is None
    assets = {key: f"{running.url}/data/{key}.tif?sig=s3cret" for key in ("red", "green", "blue")}
    source = write(folder / "items" / "signed.json", item("signed", assets))
    ((raster, _),) = sources_of(source, tmp_path / "m.tif", StacRequest(("red", "green", "blue")))
    map_raster(raster, tmp_path / "m.tif", Stub(), table, MapOptions(window=(32, 32)), {})
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    (folder / "data" / "green.tif").rename(folder / "data" / "gone.tif")
    try:
        with pytest.raises(DataError) as error:
            map_raster(raster, tmp_path / "n.tif", Stub(), table, MapOptions(window=(32, 32)), {})
        assert f"{running.url}/data/green.tif" in str(error.value) and "s3cret" not in str(error.value)
    finally:
        (folder / "data" / "gone.tif").rename(folder / "data" / "green.tif")
