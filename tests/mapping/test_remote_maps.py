"""Maps of rasters at a server, in archives, mosaics and stores: the bytes of local ones, and no secret anywhere."""

from __future__ import annotations

import json
import os
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import rasterio.shutil
import shapely
from PIL import Image

from rsseg.errors import ConfigError, DataError, JobError, UnreadableFileError
from rsseg.io.addresses import Address
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened
from rsseg.io.remote import _below, network_settings, source_state
from rsseg.mapping import MapOptions, map_raster
from rsseg.mapping.area import Area
from rsseg.mapping.reference import ReferenceLabels
from rsseg.mapping.results import Reference
from rsseg.mapping.sources import sources_of
from rsseg.mapping.stac import StacRequest
from rsseg.metainfo import ClassTable
from tests.mapping.conftest import Stub
from tests.range_server import RangeServer, serve_folder

SMALL = MapOptions(window=(64, 64))
TILED = dict(tiled=True, blockxsize=64, blockysize=64, compress="deflate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RangeServer, Path]]:
    folder = tmp_path_factory.mktemp("served")
    with serve_folder(folder) as running:
        yield running, folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")


def make(path: Path, pixels: np.ndarray, **profile: Any) -> Path:
    from tests.mapping.conftest import UTM

    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    options = {"driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, "dtype": pixels.dtype, **profile}
    with rasterio.open(path, "w", count=count, height=height, width=width, **options) as file:
        file.write(pixels)
    return path


def classes(source: str, target: Path, table: ClassTable, options: MapOptions = SMALL) -> np.ndarray:
    map_raster(source, target, Stub(), table, options, {})
    with rasterio.open(target) as file:
        return np.asarray(file.read(1))


def single(source: str, target: Path) -> str:
    ((found, made),) = sources_of(source, target)
    assert made == target
    return found


def test_a_raster_at_a_server_and_what_fails_on_the_way(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path
) -> None:
    running, folder = server
    local = make(folder / "a.tif", noise(3, 256, 256), **TILED)
    expected = classes(str(local), tmp_path / "local.tif", table)
    running.order(fail={"/a.tif": [503, 503]})
    source = single(f"{running.url}/a.tif", tmp_path / "m.tif")
    assert (classes(source, tmp_path / "m.tif", table) == expected).all()
    running.order(fail={}, cut={"/a.tif": 2})
    assert (classes(source, tmp_path / "cut.tif", table) == expected).all()
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags()["RSSEG_SOURCE"] == f"{running.url}/a.tif"
    assert not [row for row in running.requests() if row[1].endswith((".tfw", ".aux.xml", ".msk"))]  # one request each


def test_half_a_map_goes_on_when_the_server_does(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, folder = server
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    local = make(folder / "long.tif", noise(3, 640, 256), tiled=True, blockxsize=128, blockysize=64)
    expected = classes(str(local), tmp_path / "local.tif", table)

    class Breaking(Stub):
        def __call__(self, batch: Any) -> Any:
            if len(self.batches) == 14:
                running.order(fail={"/long.tif": [500] * 99})
            return super().__call__(batch)

    source = single(f"{running.url}/long.tif?sig=secret", tmp_path / "m.tif")
    with pytest.raises(UnreadableFileError) as error:
        map_raster(source, tmp_path / "m.tif", Breaking(), table, SMALL, {})
    assert str(error.value).startswith(f"{running.url}/long.tif: ")
    assert "the same command continues where it stopped" in str(error.value) and "secret" not in str(error.value)
    running.order(fail={})
    again = Stub()
    map_raster(source, tmp_path / "m.tif", again, table, SMALL, {})
    with rasterio.open(tmp_path / "m.tif") as file:
        assert (file.read(1) == expected).all()
    assert sum(again.batches) < 60


def test_a_changed_raster_at_a_server_is_noticed(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path
) -> None:
    running, folder = server
    local = make(folder / "changing.tif", noise(3, 64, 64))
    source = single(f"{running.url}/changing.tif", tmp_path / "m.tif")
    classes(source, tmp_path / "m.tif", table)
    classes(source, tmp_path / "m.tif", table)  # exists already
    state = source_state(source)
    assert state is not None and state[0] == local.stat().st_size and state[1].startswith('"')
    make(local, noise(3, 64, 64, seed=1))
    os.utime(local, (1, 1))
    with pytest.raises(JobError, match="the raster has changed"):
        classes(source, tmp_path / "m.tif", table)
    classes(source, tmp_path / "m.tif", table, MapOptions(window=(64, 64), update=True))


def test_signatures_reach_the_server_and_nothing_else(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running, folder = server
    make(folder / "signed.tif", noise(3, 64, 64))
    running.order(query="sig=s3cret&se=2027")
    address = running.url.replace("http://", "http://me:passw0rd@")
    try:
        source = single(f"{address}/signed.tif?sig=s3cret&se=2027", tmp_path / "m.tif")
        classes(source, tmp_path / "m.tif", table)
        with pytest.raises(UnreadableFileError) as error:
            classes(single(f"{address}/signed.tif?sig=wr0ng", tmp_path / "n.tif"), tmp_path / "n.tif", table)
    finally:
        running.order(query=None)
    print(caplog.text, [path for path in tmp_path.rglob("*.*") if b"me:" in path.read_bytes()])
    shown = "".join(traceback.format_exception(error.value))  # as --debug shows it
    texts = [
        shown.replace("wr0ng" + chr(34), ""),
        caplog.text,
        *(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*.*")),
    ]
    assert not [word for word in ("s3cret", "passw0rd", "wr0ng", "me:") for text in texts if word in text]
    assert source_state(Address("shown", f"/vsicurl/{running.url}/none.tif")) is None


def test_prefixes_lists_and_object_storage(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, folder = server
    for name in ("many/b.tif", "many/deep/c.tif"):
        make(folder / name, noise(3, 40, 40))
    (folder / "many" / "readme.txt").write_text("no raster")
    local = make(tmp_path / "own" / "d.tif", noise(3, 40, 40))
    target = tmp_path / "maps"
    target.mkdir()
    found = sources_of(f"{running.url}/many/", target)
    assert [(str(source), made.relative_to(target).as_posix()) for source, made in found] == [
        (f"{running.url}/many/b.tif", "b.tif"), (f"{running.url}/many/deep/c.tif", "deep/c.tif")
    ]  # fmt: skip
    (tmp_path / "own" / "list.txt").write_text(f"d.tif\n{running.url}/many/b.tif?sig=1\n/vsis3/bucket/e.tif\n")
    listed = sources_of(str(tmp_path / "own" / "list.txt"), target)
    assert [str(source) for source, _ in listed] == [str(local), f"{running.url}/many/b.tif", "/vsis3/bucket/e.tif"]
    assert [made.name for _, made in listed] == ["d.tif", "b.tif", "e.tif"]
    (tmp_path / "own" / "twice.txt").write_text(f"{running.url}/x/b.tif\n{running.url}/y/b.tif\n")
    with pytest.raises(DataError, match=r"maps of the same name, b"):
        sources_of(str(tmp_path / "own" / "twice.txt"), target)
    with pytest.raises(FileNotFoundError, match="GDAL lists no rasters"):
        sources_of(f"{running.url}/nothing/", target)
    with pytest.raises(DataError, match=r"a prefix of rasters ends in a slash: s3://bucket/scenes/$"):
        sources_of("s3://bucket/scenes", tmp_path / "new")
    make(folder / "bucket" / "key.tif", noise(3, 40, 40))
    for name, value in {"AWS_S3_ENDPOINT": running.url.removeprefix("http://"), "AWS_HTTPS": "NO",
                        "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    expected = classes(str(folder / "bucket" / "key.tif"), tmp_path / "local.tif", table)
    assert (classes("s3://bucket/key.tif", tmp_path / "s3.tif", table) == expected).all()


def test_names_with_blanks_and_other_letters(server: Any, noise: Callable[..., np.ndarray], tmp_path: Path) -> None:
    running, folder = server
    names = ["a b.tif", "h#1.tif", "p%20.tif", "q?.tif", "\u00fc.tif"]
    for name in names:
        make(folder / "odd" / name, noise(3, 4, 4))
    (folder / "odd" / "..%2Fescaped.tif").write_bytes(b"leads out of the target where it is decoded twice")
    found = sources_of(f"{running.url}/odd/", tmp_path)
    assert sorted(made.name for _, made in found if "escaped" not in made.name) == names
    assert all(made.parent == tmp_path for _, made in found)
    for source, made in found:
        if "escaped" not in made.name:
            assert source_state(source)
            with opened(source) as file:
                assert file.shape == (4, 4)
    for source in (single(f"{running.url}/odd/a b.tif?k=s c", tmp_path / "m.tif"),
                   single(f"{running.url}/odd/\u00fc.tif", tmp_path / "m.tif")):  # fmt: skip
        assert source_state(source) and "s c" not in source
    pairs = _below("/vsicurl/http://h/", "..%2Fa.tif"), _below("/vsicurl/http://h/", "%2Fetc/a.tif")
    assert pairs == (None, None)


def test_lines_of_a_list(server: Any, noise: Callable[..., np.ndarray], tmp_path: Path) -> None:
    running, _ = server
    folder, maps, item = tmp_path / "list", tmp_path / "maps", tmp_path / "list" / "item.json"
    maps.mkdir()
    for name in ("S2A:x.tif", "own.tif", "sub/z.tif"):
        make(folder / name, noise(3, 4, 4))
    asset = {"href": f"file://{folder}/own.tif", "type": "image/tiff"}
    item.write_text(json.dumps({"type": "Feature", "stac_version": "1.0.0", "id": "it", "properties": {},
                                "geometry": None, "links": [], "assets": {"visual": asset}}))  # fmt: skip
    lines = f"S2A:x.tif\r\nsub/\r\n own.tif \r\n\r\n{running.url}/a%20b.tif\r\nstac:item.json"
    (folder / "l.TXT").write_bytes(lines.encode("utf-8-sig"))
    expected = ["S2A:x.tif", "z.tif", "own.tif", "a b.tif", "it.tif"]
    for source in (str(folder / "l.TXT"), f"file://{folder}/l.TXT"):
        found = sources_of(source, maps)
        assert [made.name for _, made in found] == expected
    assert source_state(found[-1][0]) == source_state(folder / "own.tif")
    assert [made.name for _, made in sources_of(f"file://{folder}/sub/", maps)] == ["z.tif"]
    (folder / "two.txt").write_text(f"{running.url}/get?id=1\n{running.url}/get?id=2\n")
    with pytest.raises(DataError, match="two rasters would become maps of the same name, get"):
        sources_of(str(folder / "two.txt"), maps)
    with pytest.raises(DataError, match="must be a local file"):
        sources_of(f"{running.url}/list.txt", maps)
    with pytest.raises(ConfigError, match=r"--assets red: .*is no item"):
        sources_of(str(folder / "own.tif"), maps, StacRequest(("red",)))
    with pytest.raises(ConfigError, match="is no STAC"):
        sources_of(str(folder), maps, StacRequest(max_items=1))


def test_archives_mosaics_and_stores(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path
) -> None:
    running, folder = server
    pixels = noise(3, 80, 120)
    whole = make(folder / "whole.tif", pixels, photometric="RGB")
    expected = classes(str(whole), tmp_path / "local.tif", table)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(whole, "in/scene.tif")
    tiles = []
    for number, left in enumerate((0, 60)):
        place = rasterio.windows.transform(rasterio.windows.Window(left, 0, 60, 80), rasterio.open(whole).transform)
        tiles.append(make(folder / f"tile{number}.tif", pixels[:, :, left : left + 60], transform=place))
    boxes = [shapely.box(*rasterio.open(tile).bounds) for tile in tiles]
    for name, start in (("tiles.gti.gpkg", str(folder)), ("net.gti.gpkg", f"/vsicurl/{running.url}")):
        places = np.array([f"{start}/{tile.name}" for tile in tiles], object)
        pyogrio.raw.write(folder / name, shapely.to_wkb(np.array(boxes)), [places], ["location"], crs="EPSG:32633",
                          geometry_type="Polygon", layer="index")  # fmt: skip
    with rasterio.open(whole) as file:
        rasterio.shutil.copy(file, folder / "scene.vrt", driver="VRT")
        rasterio.shutil.copy(file, folder / "scene.zarr", driver="Zarr")
    bands = MapOptions(bands=(1, 2, 3), window=(64, 64))
    for source in (
        f"/vsizip/{folder}/a.zip/in/scene.tif",
        f"/vsizip//vsicurl/{running.url}/a.zip/in/scene.tif",
        str(folder / "tiles.gti.gpkg"),
        f"GTI:{folder}/tiles.gti.gpkg",
        str(folder / "net.gti.gpkg"),
        str(folder / "scene.vrt"),
        str(folder / "scene.zarr"),
        f'ZARR:"{folder}/scene.zarr"',
    ):
        target = tmp_path / f"{abs(hash(source))}.tif"
        assert (classes(single(source, target), target, table, bands) == expected).all(), source
    (folder / "evil.tif").write_text((folder / "scene.vrt").read_text())
    with pytest.raises(UnreadableFileError, match="not a raster"):
        classes(f"{running.url}/evil.tif", tmp_path / "evil.tif", table)


WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/tiles/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service><DataWindow>
<UpperLeftX>1000</UpperLeftX><UpperLeftY>5256</UpperLeftY><LowerRightX>1512</LowerRightX><LowerRightY>5000</LowerRightY>
<TileLevel>0</TileLevel><TileCountX>2</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow>
<Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount>
</GDAL_WMS>"""
WMTS = """<?xml version="1.0"?><Capabilities xmlns="http://www.opengis.net/wmts/1.0" version="1.0.0"
xmlns:ows="http://www.opengis.net/ows/1.1"><Contents><Layer><ows:Title>Ortho</ows:Title>
<ows:Identifier>ortho</ows:Identifier><Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style>
<Format>image/png</Format><TileMatrixSetLink><TileMatrixSet>grid</TileMatrixSet></TileMatrixSetLink>
<ResourceURL format="image/png" resourceType="tile" template="{url}/tiles/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png"/>
</Layer><TileMatrixSet><ows:Identifier>grid</ows:Identifier>
<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS><TileMatrix><ows:Identifier>0</ows:Identifier>
<ScaleDenominator>3571.4285714285716</ScaleDenominator><TopLeftCorner>1000 5256</TopLeftCorner>
<TileWidth>256</TileWidth><TileHeight>256</TileHeight><MatrixWidth>2</MatrixWidth><MatrixHeight>1</MatrixHeight>
</TileMatrix></TileMatrixSet></Contents></Capabilities>"""


def test_web_maps_and_subdatasets(
    server: Any, noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, folder = server
    monkeypatch.setenv("GDAL_DEFAULT_WMS_CACHE_PATH", str(tmp_path / "cache"))
    pixels, place = noise(3, 256, 512), rasterio.Affine(1, 0, 1000, 0, -1, 5256)
    whole = make(folder / "web.tif", pixels, crs="EPSG:3857", transform=place, photometric="RGB")
    for column in (0, 1):
        tile = folder / "tiles" / "0" / str(column) / "0.png"
        tile.parent.mkdir(parents=True)
        Image.fromarray(np.moveaxis(pixels[:, :, 256 * column : 256 * column + 256], 0, -1)).save(tile)
    (folder / "wms.xml").write_text(WMS.format(url=running.url))
    (folder / "caps.xml").write_text(WMTS.format(url=running.url))
    with rasterio.open(whole) as file:
        rasterio.shutil.copy(file, folder / "web.zarr", driver="Zarr", BLOCKSIZE="3,256,256")
        rasterio.shutil.copy(file, folder / "web.nc", driver="netCDF")
    box = Area.of("a box", [shapely.box(1200, 5100, 1300, 5200)], rasterio.CRS.from_epsg(3857))
    expected = classes(str(whole), tmp_path / "local.tif", table, MapOptions(window=(64, 64), area=box))
    for number, source in enumerate((str(folder / "wms.xml"), f"WMTS:{running.url}/caps.xml,layer=ortho")):
        target = tmp_path / f"{number}.tif"
        running.order(fail={"/tiles/0/0/0.png": [503, 503]})
        found = classes(single(source, target), target, table, MapOptions(window=(64, 64), area=box))
        assert (found == expected).all() and found.shape == (100, 100)
    plain = classes(str(whole), tmp_path / "whole.tif", table)
    store = classes(single(f"{running.url}/web.zarr", tmp_path / "z.tif"), tmp_path / "z.tif", table)
    assert (store == plain).all()
    grey = MapOptions(bands=(1, 1, 1), window=(64, 64))
    one = classes(f'NETCDF:"{folder}/web.nc":Band2', tmp_path / "n.tif", table, grey)
    assert one.shape == (256, 512)
    with pytest.raises(UnreadableFileError, match=r"name one of NETCDF:\".*web.nc\":Band1"):
        classes(str(folder / "web.nc"), tmp_path / "x.tif", table)
    array = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "|u1", "compressor": None, "fill_value": 0,
             "order": "C", "filters": None}  # fmt: skip
    rows = {".zgroup": {"zarr_format": 2}, "a/.zarray": array, "b/.zarray": array}
    (folder / "two.zarr").mkdir()
    (folder / "two.zarr" / ".zgroup").write_text(json.dumps(rows[".zgroup"]))
    (folder / "two.zarr" / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": rows}))
    with pytest.raises(UnreadableFileError, match=r'name one of ZARR:"/vsicurl/[^"?]*two.zarr":/a, ZARR:"[^"?]*":/b$'):
        classes(f'ZARR:"/vsicurl/{running.url}/two.zarr?sig=secret"', tmp_path / "x.tif", table)


def test_settings_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
    found = network_settings(Address("x", "/vsicurl/https://h/x"))
    assert "GDAL_HTTP_MAX_RETRY" not in found and found["GDAL_HTTP_CONNECTTIMEOUT"] == "20"
    assert found["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    with rasterio.Env(GDAL_HTTP_CONNECTTIMEOUT="3", GDAL_DISABLE_READDIR_ON_OPEN="FALSE"):
        assert not {"GDAL_HTTP_CONNECTTIMEOUT", "GDAL_DISABLE_READDIR_ON_OPEN"} & set(
            network_settings(Address("x", "/vsicurl/https://h/x"))
        )


def test_labels_at_a_server_tell_no_secrets(server: Any, noise: Callable[..., np.ndarray]) -> None:
    running, folder = server
    make(folder / "labels.tif", noise(3, 40, 40))
    address = f"{running.url}/labels.tif"
    assert str(Reference(f"{address}?sig=secret").path) == address
    with pytest.raises(DataError, match=rf"^{address}: has 3 bands; expected one"):
        ReferenceLabels(f"{address}?sig=secret", GeoReference.of(folder / "labels.tif"))
