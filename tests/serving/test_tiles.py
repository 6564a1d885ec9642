"""Tiles of maps and images, pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.windows import Window

from rsseg.serving.views import View, read_view
from tests.serving.world import COLOURS, TILE, UTM, ZOOM, client_of, tile_pixels, tile_transform, write_image, write_map

X, Y = TILE
NONE = (0, 0, 0, 0)


def _labels(height: int = 512, width: int = 512) -> np.ndarray:
    """Blotches of three classes and of no data."""
    out = np.random.default_rng(0).integers(0, 4, (height // 4, width // 4)).astype(np.uint8)
    out[out == 3] = 255
    return out.repeat(4, 0).repeat(4, 1)


def _coloured(labels: np.ndarray, hidden: tuple[int, ...] = ()) -> np.ndarray:
    table = np.zeros((256, 4), np.uint8)
    for number, colour in enumerate(COLOURS):
        if number not in hidden:
            table[number] = (*colour, 255)
    return table[labels]


def _aligned(path: Path, labels: np.ndarray, **profile: Any) -> Path:
    return write_map(path, labels, crs="EPSG:3857", transform=tile_transform(X, Y, ZOOM), **profile)


def _only(client: Any) -> dict[str, Any]:
    (layer,) = client.get("/api/layers").json()
    found: dict[str, Any] = client.get(f"/api/layers/{layer['id']}").json()
    return found


def _at(info: dict[str, Any], z: int, x: int, y: int, rest: str = ".png") -> str:
    return f"/api/layers/{info['id']}/tiles/{z}/{x}/{y}{rest}"


def test_an_aligned_map_pixel_for_pixel(tmp_path: Path) -> None:
    labels = _labels()
    client = client_of(tmp_path, _aligned(tmp_path / "a.tif", labels))
    info = _only(client)
    assert [row["color"] for row in info["classes"]] == ["#0000ff", "#008000", "#c8c8c8"]
    assert (info["minzoom"], info["maxzoom"], info["crs"]) == (0, ZOOM, "EPSG:3857")
    seen = tile_pixels(client, _at(info, ZOOM, X, Y))
    expected = _coloured(labels)
    assert np.array_equal(seen[..., 3], expected[..., 3])
    assert np.array_equal(seen[labels != 255], expected[labels != 255])
    lossless = tile_pixels(client, _at(info, ZOOM, X, Y, ".webp"))
    assert np.array_equal(lossless[labels != 255], expected[labels != 255])
    # one zoom further in, each pixel is four; one further out, one of each four is taken
    quarter = tile_pixels(client, _at(info, ZOOM + 1, 2 * X + 1, 2 * Y))
    assert np.array_equal(quarter[..., 3], expected[:256, 256:, 3].repeat(2, 0).repeat(2, 1))
    out = tile_pixels(client, _at(info, ZOOM - 1, X // 2, Y // 2))
    assert np.array_equal(out[:256, :256, 3], expected[::2, ::2, 3]) and not out[256:].any() and not out[:, 256:].any()


def test_hidden_classes_are_transparent(tmp_path: Path) -> None:
    labels = _labels()
    client = client_of(tmp_path, _aligned(tmp_path / "a.tif", labels))
    info = _only(client)
    for shown, hidden in (("0,2", (1,)), ("1", (0, 2)), ("2,7,255", (0, 1)), ("", (0, 1, 2)), ("77", (0, 1, 2))):
        seen = tile_pixels(client, _at(info, ZOOM, X, Y, f".png?classes={shown}"))
        assert np.array_equal(seen[..., 3], _coloured(labels, hidden)[..., 3]), shown
    for wrong in ("a", "-1", "1,,2", "1" * 9, ",", "0," * 300 + "1", "٣"):
        assert client.get(_at(info, ZOOM, X, Y, f".png?classes={wrong}")).status_code == 422, wrong


def test_a_map_in_utm_takes_the_pixel_below_each_centre(tmp_path: Path) -> None:
    """By PROJ and hand: the centre of a tile's pixel to UTM, to a column and row of the map."""
    from rasterio.warp import transform

    labels = _labels(300, 400)
    path = write_map(tmp_path / "a.tif", labels, transform=Affine(0.5, 0.1, 500000, 0.1, -0.5, 4000000))
    client = client_of(tmp_path, path)
    info = _only(client)
    z, (west, south, east, north) = info["maxzoom"], info["bounds"]
    (mx,), (my,) = transform("EPSG:4326", "EPSG:3857", [(west + east) / 2], [(south + north) / 2])
    side = 40075016.685578488 / 2**z
    x, y = int((mx + 20037508.342789244) / side), int((20037508.342789244 - my) / side)
    seen = tile_pixels(client, _at(info, z, x, y))
    transformed = tile_transform(x, y, z)
    rows, columns = np.mgrid[0:512:7, 0:512:7]
    centres = [
        transformed @ (column + 0.5, row + 0.5) for row, column in zip(rows.ravel(), columns.ravel(), strict=True)
    ]
    utm = transform("EPSG:3857", "EPSG:32633", *zip(*centres, strict=True))
    own = ~Affine(0.5, 0.1, 500000, 0.1, -0.5, 4000000)
    exact = [own @ point for point in zip(*utm, strict=True)]
    same = total = 0
    for (column, row), got in zip(exact, seen[rows.ravel(), columns.ravel()], strict=True):
        inside = 0 <= column < 400 and 0 <= row < 300
        near = min(abs(column - round(column)), abs(row - round(row))) < 0.13  # GDAL interpolates positions that far
        if not near:
            want = _coloured(labels)[int(row), int(column)] if inside else np.array(NONE)
            same, total = same + bool(got[3] == want[3] and (got[3] == 0 or (got == want).all())), total + 1
    assert total > 1000 and same == total


def test_rio_tilers_reader_agrees(tmp_path: Path) -> None:
    io = pytest.importorskip("rio_tiler.io")
    labels = _labels()
    path = write_map(tmp_path / "a.tif", labels)
    client = client_of(tmp_path, path)
    info = _only(client)
    z = info["maxzoom"] + 2  # where one pixel of the map is many of the tile, both take the nearest
    with io.Reader(str(path)) as reader:
        west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
        tile = reader.tms.tile((west + east) / 2, (south + north) / 2, z)
        theirs = reader.tile(tile.x, tile.y, tile.z, tilesize=512)
    ours = tile_pixels(client, _at(info, z, tile.x, tile.y))
    assert (np.where(ours[..., 3] > 0, 255, 0) == theirs.mask).mean() > 0.995
    both = (ours[..., 3] > 0) & (theirs.mask > 0)
    assert (ours[both] == _coloured(theirs.array.data[0])[both]).all(axis=-1).mean() > 0.99


def test_pictures_and_images_of_more_than_8_bits(tmp_path: Path) -> None:
    ramp = np.zeros((3, 512, 512), np.uint8)
    ramp[0], ramp[1] = np.arange(512) // 2, np.arange(512)[:, None] // 2
    transform = tile_transform(X, Y, ZOOM)
    write_image(tmp_path / "8.tif", ramp, crs="EPSG:3857", transform=transform)
    write_image(tmp_path / "p.png", ramp, driver="PNG", crs=None, transform=None)
    deep = (np.arange(512 * 512, dtype=np.uint16).reshape(1, 512, 512) % 999 + 1).repeat(4, 0)
    deep[:, :100] = 0
    write_image(tmp_path / "16.tif", deep, crs="EPSG:3857", transform=transform, nodata=0)
    client = client_of(tmp_path, tmp_path)
    infos = {
        layer["name"]: client.get(f"/api/layers/{layer['id']}").json() for layer in client.get("/api/layers").json()
    }
    seen = tile_pixels(client, _at(infos["8.tif"], ZOOM, X, Y))
    assert np.array_equal(seen[..., :3], ramp.transpose(1, 2, 0)) and (seen[..., 3] == 255).all()
    assert infos["8.tif"]["display"] == "" and infos["8.tif"]["bands"] == [1, 2, 3]
    assert infos["p.png"]["crs"] is None and infos["p.png"]["bounds"][0] == 0
    zoom = infos["p.png"]["maxzoom"]
    assert zoom == 17, "512 pixels of a tile are 40075016.7 / 2^17 = 305.7 m, the first with pixels below a metre"
    corner = tile_pixels(client, _at(infos["p.png"], zoom, 2**16, 2**16))
    assert abs(corner[..., 0] - np.arange(512) * 0.5972 / 2).max() <= 1.5, "red is half of the column"
    deep_info = infos["16.tif"]
    assert "stretched from" in deep_info["display"] and "does not say which bands" in deep_info["display"]
    low, high = deep_info["value_range"]
    assert 10 <= low <= 30 and 970 <= high <= 990, "of 1 to 999, the 2nd and 98th percentile without the zeros"
    seen = tile_pixels(client, _at(deep_info, ZOOM, X, Y))
    assert not seen[:100, :, 3].any() and seen[200:, :, 3].all()
    want = np.clip((deep[0, 200:] - low) * 255 / (high - low), 0, 255)
    assert abs(seen[200:, :, 0] - want).max() <= 0.51


def test_the_range_of_a_map_holds_for_its_image(tmp_path: Path) -> None:
    deep = np.full((4, 512, 512), 500, np.uint16)
    transform = tile_transform(X, Y, ZOOM)
    image = write_image(tmp_path / "scene.tif", deep, crs="EPSG:3857", transform=transform)
    made = _aligned(tmp_path / "map.tif", _labels())
    with rasterio.open(made, "r+") as file:
        file.update_tags(RSSEG_SOURCE="scene.tif", RSSEG_BANDS="[4, 3, 2]", RSSEG_RANGE="[0, 1000]")
    client = client_of(tmp_path, tmp_path)
    first, second = client.get("/api/layers").json()
    assert first["image"] == second["id"] and first["kind"] == "map" and image.exists()
    info = client.get(f"/api/layers/{second['id']}").json()
    assert info["value_range"] == [0, 1000] and info["bands"] == [4, 3, 2] and info["display"] == ""
    assert (tile_pixels(client, _at(info, ZOOM, X, Y))[..., :3] == 128).all(), "500 of 1000 is 127.5, rounded to even"


def test_far_zooms_read_overviews_only(tmp_path: Path) -> None:
    """The full resolution is overwritten with nonsense that cannot be decoded; tiles from overviews are as before."""
    labels = np.zeros((2048, 2048), np.uint8)
    labels[:, 1024:] = 1
    path = write_map(tmp_path / "a.tif", labels, cog=True, crs="EPSG:3857",
                     transform=tile_transform(X, Y, ZOOM, 2048))  # fmt: skip
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
        places = [(int(file.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1)), file.block_size(1, y, x))
                  for x in range(4) for y in range(4)]  # fmt: skip
    before = path.stat()
    content = bytearray(path.read_bytes())
    for offset, size in places:
        content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    assert path.stat().st_size == before.st_size
    client = client_of(tmp_path, path)
    info = _only(client)
    assert info["minzoom"] == 0 and info["maxzoom"] == ZOOM + 2
    for zoom in (ZOOM, ZOOM - 1, ZOOM - 3, 3, 0):
        shift = ZOOM - zoom
        seen = tile_pixels(client, _at(info, zoom, X >> shift, Y >> shift))
        if zoom == ZOOM:
            assert (seen[:, :256, 2] == 255).all() and (seen[:, 256:, 1] == 128).all() and seen[..., 3].all()
    broken = client.get(_at(info, ZOOM + 2, 4 * X, 4 * Y))
    assert broken.status_code == 400 and "a.tif" in broken.json()["detail"]
    assert str(tmp_path) not in broken.json()["detail"], "where files lie is nobody's business"


def test_large_rasters_without_overviews_are_shown_from_a_zoom_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsseg.serving.facts.BUDGET", 512 * 512)
    monkeypatch.setattr("rsseg.serving.tiles.BUDGET", 512 * 512)
    labels = np.zeros((2048, 2048), np.uint8)
    client = client_of(tmp_path, write_map(tmp_path / "a.tif", labels, crs="EPSG:3857",
                                           transform=tile_transform(X, Y, ZOOM, 2048)))  # fmt: skip
    info = _only(client)
    assert (info["minzoom"], info["maxzoom"]) == (ZOOM + 2, ZOOM + 2)
    assert not tile_pixels(client, _at(info, ZOOM + 1, 2 * X, 2 * Y)).any()
    assert tile_pixels(client, _at(info, ZOOM + 2, 4 * X, 4 * Y))[..., 3].all()


def test_tags_and_copies_that_are_kept(tmp_path: Path) -> None:
    path = _aligned(tmp_path / "a.tif", _labels())
    client = client_of(tmp_path, path)
    info = _only(client)
    first = client.get(_at(info, ZOOM, X, Y))
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get(_at(info, ZOOM, X, Y), headers={"if-none-match": f'"other", {first.headers["etag"]}'})
    assert again.status_code == 304 and not again.content
    kept = client.get(_at(info, ZOOM, X, Y, f".png?v={info['version']}"))
    assert "immutable" in kept.headers["cache-control"]
    assert client.get(_at(info, ZOOM, X, Y, ".png?classes=0")).headers["etag"] != first.headers["etag"]
    labels = np.zeros((512, 512), np.uint8)
    with rasterio.open(path, "r+") as file:
        file.write(labels, 1, window=Window(0, 0, 512, 512))
    seen = client.get(_at(info, ZOOM, X, Y), headers={"if-none-match": first.headers["etag"]})
    assert seen.status_code == 200 and (tile_pixels(client, _at(info, ZOOM, X, Y))[..., 2] == 255).all()
    path.unlink()
    assert client.get(_at(info, ZOOM, X, Y)).status_code == 404


def test_tiles_that_do_not_exist(tmp_path: Path) -> None:
    client = client_of(tmp_path, write_map(tmp_path / "a.tif", _labels(), transform=UTM))
    info = _only(client)
    assert not tile_pixels(client, _at(info, 5, 0, 0)).any(), "far away"
    assert not tile_pixels(client, _at(info, 24, 2**24 - 1, 2**24 - 1)).any()
    west, south, east, north = info["bounds"]
    x, y = ((west + east) / 2 + 180) / 360, (1 - np.arcsinh(np.tan(np.radians((south + north) / 2))) / np.pi) / 2
    deep = tile_pixels(client, _at(info, 24, int(x * 2**24), int(y * 2**24)))
    assert len(np.unique(deep.reshape(-1, 4), axis=0)) <= 4, "a tile of 2.4 m has some pixels of half a metre"
    assert client.get(_at(info, 1, 2, 0)).status_code == 404
    for wrong in ((25, 0, 0), (-1, 0, 0), (1, -1, 0), (1, 10**30, 0)):
        assert client.get(_at(info, *wrong)).status_code == 422
    assert client.get(_at(info, 0, 0, 0, ".jpg")).status_code == 422
    assert client.get("/api/layers/unknown/tiles/0/0/0.png").status_code == 404


@pytest.mark.parametrize(("suffix", "driver", "bits"), [("png", "PNG", 1), ("tif", "GTiff", 4)])
def test_images_of_few_bits(tmp_path: Path, suffix: str, driver: str, bits: int) -> None:
    """Scans of one bit, and TIFFs that say how many of a number's bits they use."""
    top = 2**bits - 1
    pixels = np.full((1, 64, 64), top, np.uint8)
    pixels[:, :, :32] = 0
    client = client_of(
        tmp_path,
        write_image(tmp_path / f"a.{suffix}", pixels, driver=driver, nbits=bits, crs=None, transform=None),
    )
    info = _only(client)
    assert f"white is {top}," in info["display"] and info["value_range"] == [0, top]
    seen = tile_pixels(client, _at(info, 18, 2**17, 2**17))  # 153 m
    assert (seen[20, 20:80] == [0, 0, 0, 255]).all() and (seen[20, 120:200] == 255).all()


@pytest.mark.parametrize("west", [0, -90, 100, 350])
def test_longitudes_beyond_180(tmp_path: Path, west: int) -> None:
    """The same world from another longitude on: the columns of its west half come last."""
    labels = np.random.default_rng(0).integers(0, 3, (32, 72)).astype(np.uint8)
    for name, start in (("usual.tif", -180), ("other.tif", west)):
        turned = np.roll(labels, -(start + 180) // 5, axis=1)
        write_map(tmp_path / name, turned, crs="EPSG:4326", transform=Affine(5, 0, start, 0, -5, 80))
        pixels = np.stack([turned * 100] * 3)
        write_image(tmp_path / f"image_{name}", pixels, crs="EPSG:4326", transform=Affine(5, 0, start, 0, -5, 80))
    client = client_of(tmp_path, *(tmp_path / name for name in ("usual.tif", "other.tif")))
    usual, other = (client.get(f"/api/layers/{row['id']}").json() for row in reversed(client.get("/api/layers").json()))
    assert (usual["bounds"][0], other["bounds"][0]) == (-180, west)
    for z, x, y in ((0, 0, 0), (1, 0, 0), (1, 1, 1), (2, 0, 1), (2, 1, 1), (2, 2, 1), (2, 3, 1)):
        same = tile_pixels(client, _at(usual, z, x, y)) == tile_pixels(client, _at(other, z, x, y))
        assert same.mean() > 0.99, (z, x, y)
    images = [
        read_view(tmp_path / f"image_{name}", View(-170, -60, -20, 60, 200, 200)) for name in ("usual.tif", "other.tif")
    ]
    (one, _), (two, seen) = images
    assert (np.abs(one.astype(int) - two) <= 5).mean() > 0.95 and seen.all(), "but for where one of them has its end"


def test_a_map_across_the_antimeridian(tmp_path: Path) -> None:
    """Columns left of the middle lie west of 180° and are class 0, the others east of it and class 1."""
    labels = np.zeros((256, 256), np.uint8)
    labels[:, 128:] = 1
    path = write_map(
        tmp_path / "a.tif", labels, crs="EPSG:32601", transform=Affine(10, 0, 166021.443 - 1280, 0, -10, 1280)
    )
    client = client_of(tmp_path, path)
    info = _only(client)
    z = 14  # tiles of 2446 m; the map has 1280 m on each side
    left = tile_pixels(client, _at(info, z, 2**z - 1, 2**13))
    right = tile_pixels(client, _at(info, z, 0, 2**13))
    assert left[100, -20:, 2].all() and not left[..., 1].any() and not left[100, :100].any()
    assert right[100, :20, 1].all() and not right[100, :20, 2].any() and not right[100, -100:].any()
