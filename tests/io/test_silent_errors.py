"""Files of mosaics that cannot be read are never read as 0 or as no data, whoever has looked at them before."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window

from rsseg.errors import UnreadableFileError
from rsseg.io.bands import PixelSpec
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import Raster, open_dataset, opened

SIDE = 256
Look = Callable[[Path], Any]


def _write(path: Path, number: int, left: int = 0, overviews: bool = False) -> Path:
    pixels = np.full((SIDE, SIDE), number, np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=1, dtype="uint8", crs="EPSG:32633",
        transform=Affine(1, 0, 500000 + left, 0, -1, 4000000),
    ) as file:  # fmt: skip
        file.write(pixels, 1)
        if overviews:
            file.build_overviews([2, 4], Resampling.nearest)
    return path


def _mosaic(path: Path, *tiles: Path) -> Path:
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="0">{tile}</SourceFilename><SourceBand>1</SourceBand><SrcRect '
        f'xOff="0" yOff="0" xSize="{SIDE}" ySize="{SIDE}"/><DstRect xOff="{SIDE * number}" yOff="0" xSize="{SIDE}" '
        f'ySize="{SIDE}"/></SimpleSource>' for number, tile in enumerate(tiles)
    )  # fmt: skip
    path.write_text(
        f'<VRTDataset rasterXSize="{SIDE * len(tiles)}" rasterYSize="{SIDE}"><SRS>EPSG:32633</SRS><GeoTransform>500000,'
        f'1,0,4000000,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )
    return path


def _index(path: Path, *tiles: Path) -> Path:
    boxes = [
        shapely.box(500000 + SIDE * number, 4000000 - SIDE, 500000 + SIDE * (number + 1), 4000000)
        for number in range(len(tiles))
    ]  # fmt: skip
    pyogrio.raw.write(
        path, shapely.to_wkb(boxes), [np.array([str(tile) for tile in tiles], object)], ["location"],
        geometry_type="Polygon", crs="EPSG:32633", driver="GPKG", layer="index",
        layer_metadata={"RESX": "1", "RESY": "1", "BAND_COUNT": "1", "DATA_TYPE": "Byte"},
    )  # fmt: skip
    return path


def _plain(path: Path) -> NDArray[Any]:
    with opened(path) as file:
        out: NDArray[Any] = file.read(1, window=Window(SIDE + 3, 5, 9, 9))
    return out


def _ranges(path: Path) -> NDArray[Any]:
    with opened(path) as file:
        out: NDArray[Any] = file.read(window=((5, 9), (SIDE + 3, SIDE + 9)))[0]
    return out


def _whole(path: Path) -> NDArray[Any]:
    with Raster(path, PixelSpec(repeat_grey=True)) as raster:
        return raster.read()[0][0][:, SIDE:]


def _small(path: Path) -> NDArray[Any]:
    with Raster(path, PixelSpec(repeat_grey=True)) as raster:
        return raster.read(size=(64, 128))[0][0][:, 64:]


def _warped(path: Path) -> NDArray[Any]:
    grid = GeoReference((64, 64), rasterio.CRS.from_epsg(32633), Affine(1, 0, 500000 + SIDE, 0, -1, 4000000))
    with opened(path) as file, grid.view(file) as view:
        out: NDArray[Any] = view.read(1)
    return out


@pytest.fixture
def another(tmp_path: Path) -> Iterator[None]:
    """A mosaic that is open all the time, so that GDAL remembers what it could not open."""
    with open_dataset(_mosaic(tmp_path / "another.vrt", _write(tmp_path / "another.tif", 9))) as file:
        assert file.read().min() == 9
        yield


@pytest.mark.parametrize("look", [_plain, _ranges, _whole, _small, _warped])
@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("form", [_mosaic, _index])
@pytest.mark.parametrize("thread", [False, True])
def test_a_file_that_is_gone_is_told_each_time(
    tmp_path: Path, another: None, look: Look, overviews: bool, form: Callable[..., Path], thread: bool
) -> None:
    """Also in a thread that is not the main one, where GDAL's messages go elsewhere."""
    if not thread:
        _gone(tmp_path, look, overviews, form)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_gone, tmp_path, look, overviews, form).result()


def _gone(tmp_path: Path, look: Look, overviews: bool, form: Callable[..., Path]) -> None:
    tiles = [_write(tmp_path / f"{name}.tif", 7, left, overviews) for name, left in (("a", 0), ("b", SIDE))]
    mosaic = form(tmp_path / ("all.vrt" if form is _mosaic else "all.gti.gpkg"), *tiles)
    assert (look(mosaic) == 7).all()
    mosaic = form(tmp_path / ("two.vrt" if form is _mosaic else "two.gti.gpkg"), tiles[0], tmp_path / "gone.tif")
    with opened(mosaic) as file:
        file.overviews(1)
    for _ in range(3):
        with pytest.raises(UnreadableFileError, match=r"two\..*gone.tif"):
            look(mosaic)
    _write(tmp_path / "gone.tif", 7, SIDE, overviews)
    try:
        assert (look(mosaic) == 7).all()
    except UnreadableFileError as error:
        assert "gone.tif" in str(error) or form is _mosaic, "as GDAL remembers it as long as a mosaic is open"


def test_parts_of_a_mosaic_that_are_there_can_be_read(tmp_path: Path, another: None) -> None:
    for mosaic in (
        _mosaic(tmp_path / "two.vrt", _write(tmp_path / "a.tif", 7), tmp_path / "gone.tif"),
        _index(tmp_path / "two.gti.gpkg", tmp_path / "a.tif", tmp_path / "gone.tif"),
    ):
        with opened(mosaic) as file:
            for _ in range(2):
                assert (file.read(window=Window(0, 0, SIDE - 8, SIDE)) == 7).all()


@pytest.mark.parametrize("form", [_mosaic, _index])
def test_a_tile_that_is_no_raster_is_told_whatever_the_log_says(
    tmp_path: Path, another: None, form: Callable[..., Path]
) -> None:
    """The log quotes a message with an apostrophe otherwise; GDAL itself puts one around some names."""
    folder = tmp_path / "Cote d'Ivoire"
    folder.mkdir()
    (tmp_path / "text.tif").write_text("no raster")
    os.truncate(_write(tmp_path / "half.tif", 7, SIDE), 100)
    for name in (str(folder / "gone.tif"), str(tmp_path / "text.tif"), str(tmp_path / "half.tif")):
        mosaic = form(
            tmp_path / ("two.vrt" if form is _mosaic else "two.gti.gpkg"), _write(tmp_path / "a.tif", 7), name
        )
        for _ in range(2):
            with pytest.raises(UnreadableFileError, match=Path(name).name):
                _plain(mosaic)
        mosaic.unlink()


def test_a_mosaic_of_an_index_tells_of_its_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = _index(tmp_path / "in.gti.gpkg", _write(tmp_path / "a.tif", 7), tmp_path / "gone.tif")
    monkeypatch.setattr("tests.io.test_silent_errors.SIDE", 2 * SIDE)
    outer = _mosaic(tmp_path / "out.vrt", index)
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(UnreadableFileError, match=r"gone\.tif"):
            _plain(outer)


@pytest.mark.parametrize(
    "window",
    [
        (slice(3, 9), slice(2, 9)), ((3, None), (None, 9)), ((0, -3), (0, 9)), Window(0, 0, 0, 0),
        Window(5000, 0, 9, 9), Window(511.6, 255.6, 0.4, 0.4), Window(-5, -5, 9, 9),
    ],
)  # fmt: skip
def test_all_windows_of_rasterio_can_be_read(tmp_path: Path, window: Any) -> None:
    mosaic = _mosaic(tmp_path / "two.vrt", _write(tmp_path / "a.tif", 7), _write(tmp_path / "b.tif", 7))
    with opened(mosaic) as file, rasterio.open(mosaic) as plain:
        assert np.array_equal(file.read(window=window), plain.read(window=window))
        if isinstance(window, Window) and window.width:
            assert file.read(window=window, boundless=True).shape == plain.read(window=window, boundless=True).shape


def test_a_small_picture_of_a_mosaic_is_made_of_overviews(tmp_path: Path) -> None:
    """Of those of its tiles, as GDAL does: full resolution, which cannot be read here, is not asked for."""
    tiles = [_write(tmp_path / f"{name}.tif", 7) for name in "ab"]
    for tile in tiles:
        with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(tile, "r+") as file:
            file.build_overviews([4], Resampling.nearest)
        os.truncate(tile, 1000)
    with opened(_mosaic(tmp_path / "two.vrt", *tiles)) as file:
        assert (file.read(1, out_shape=(SIDE // 4, SIDE // 2)) == 7).all()
        with pytest.raises(rasterio.errors.RasterioIOError):
            file.read(1)


@pytest.mark.parametrize("change", [{"disabled": True}, {"level": logging.NOTSET}])
def test_what_a_program_makes_of_the_log_silences_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """``logging.config`` turns off the logs that it does not name, or takes back their levels."""
    for name in ("rasterio._env", "rasterio._err"):
        for key, value in change.items():
            monkeypatch.setattr(logging.getLogger(name), key, value)
    logging.getLogger("rasterio").manager._clear_cache()  # type: ignore[attr-defined]
    with pytest.raises(UnreadableFileError, match=r"gone\.tif"):
        _plain(_index(tmp_path / "two.gti.gpkg", _write(tmp_path / "a.tif", 7), tmp_path / "gone.tif"))


def test_a_damaged_raster_is_not_looked_at_as_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view of a raster fails as the raster does; only a VRT is read for the names in it."""
    looked: list[str] = []
    monkeypatch.setattr("rsseg.io.silent_errors._missing_file", looked.append)
    path = _write(tmp_path / "a.tif", 7, SIDE)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableFileError, match=r"a\.tif: is damaged"):
        _warped(path)
    assert looked == []
