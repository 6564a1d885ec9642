"""Patches of a tile of one's own: pixels, places and labels by hand, with CORINE as raster and as polygons."""

from __future__ import annotations

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.warp import transform as transform_points

from rsseg.datasets.bigearthnet import find_patches, read_bands
from rsseg.datasets.bigearthnet.archive import read_json
from rsseg.datasets.bigearthnet.band_table import load_bands
from rsseg.datasets.bigearthnet.bands import check_bands
from rsseg.datasets.bigearthnet.corine_files import open_corine
from rsseg.datasets.bigearthnet.cutting import cut_patches
from rsseg.datasets.bigearthnet.tiles import find_tile
from rsseg.errors import JobError

NAME = "S2A_MSIL2A_20220617T113321"
LEFT, TOP = 600000, 5900040
ARABLE, PINES, LAKES, GLACIER = 12, 24, 41, 34  # the raster's own numbers of 211, 312, 512 and 335


def _write(path, values, size, crs="EPSG:32629", left=LEFT, top=TOP, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    profile = dict(driver="GTiff", height=height, width=width, count=1, dtype=values.dtype, crs=crs, **more)
    with rasterio.open(path, "w", transform=from_origin(left, top, size, size), **profile) as file:
        file.write(values, 1)
    return path


def _pixels(side):
    """Two rows of two patches and a rest: row of patches * 10 + column + 1001, everywhere alike in a patch."""
    number = np.arange(side * 25 // 12) // side
    return (1001 + 10 * number[:, None] + number).astype(np.uint16)


@pytest.fixture
def safe(tmp_path):
    folder = tmp_path / f"{NAME}_N0400_R080_T29UPU_20220617T150000.SAFE"
    for band in load_bands().values():
        if not band.radar:
            metres = 1200 // band.side
            inside = folder / "GRANULE" / "L2A_T29UPU" / "IMG_DATA" / f"R{metres}m"
            _write(inside / f"T29UPU_20220617T113321_{band.name}_{metres}m.tif", _pixels(band.side), metres)
    _write(inside.parent / "R60m" / "T29UPU_20220617T113321_B02_60m.tif", _pixels(20), 60)  # not the native one
    _write(folder / "GRANULE" / "L2A_T29UPU" / "QI_DATA" / "MSK_DETFOO_B02.tif", _pixels(120), 10)
    offset = '<BOA_ADD_OFFSET band_id="0">-1000</BOA_ADD_OFFSET>'
    (folder / "MTD_MSIL2A.xml").write_text(f"<a>{offset}{offset}</a>")
    return folder


@pytest.fixture
def raster(tmp_path):
    """Arable land on the left, pines on the right; the last patch has one pixel of 100 m of lakes and glacier below."""
    values = np.full((25, 25), ARABLE, np.int8)
    values[:, 12:] = PINES
    values[12:, 12:] = GLACIER
    values[12, 12] = LAKES
    return _write(tmp_path / "U2018_CLC2018.tif", values, 100, nodata=-128)


def test_patches_with_labels(safe, raster, tmp_path):
    tile = find_tile(safe)
    assert (tile.name, tile.offset, tile.patches) == (NAME, -1000, (2, 2))
    found = cut_patches(tile, tmp_path / "out", open_corine(raster, tile.ground))
    assert len(found.written) == 4 and find_patches(tmp_path / "out", "v1") == sorted(found.written)
    folder = tmp_path / "out" / "BigEarthNet-v1.0"
    labels = {name[-3:]: read_json(f"{folder}/{name}", name).labels for name in found.written}
    assert labels == {
        "0_0": ("Non-irrigated arable land",), "1_0": ("Coniferous forest",), "0_1": ("Non-irrigated arable land",),
        "1_1": ("Water bodies",),
    }  # fmt: skip
    planes = read_bands(folder / f"{NAME}_1_0", f"{NAME}_1_0", check_bands(["B02", "B05", "B01"]))
    assert [np.unique(plane).tolist() for plane in planes] == [[2]] * 3  # 1001 + 1 - 1000
    about = json.loads((folder / f"{NAME}_1_0" / f"{NAME}_1_0_labels_metadata.json").read_text())
    assert about["coordinates"] == {"ulx": LEFT + 1200, "uly": TOP, "lrx": LEFT + 2400, "lry": TOP - 1200}
    assert about["acquisition_date"] == "2022-06-17 11:33:21" and about["tile_source"] == safe.name
    with rasterio.open(folder / f"{NAME}_1_1" / f"{NAME}_1_1_B01.tif") as file:
        assert file.bounds == (LEFT + 1200, TOP - 2400, LEFT + 2400, TOP - 1200) and file.crs.to_epsg() == 32629
    again = cut_patches(tile, tmp_path / "out", open_corine(raster, tile.ground))
    assert sorted(again.present) == sorted(found.written) and not again.written


def test_patches_do_not_outlive_the_labels_that_they_were_made_of(safe, raster, tmp_path):
    tile, out = find_tile(safe), tmp_path / "out"
    cut_patches(tile, out, open_corine(raster, tile.ground))
    other = tmp_path / "other.tif"
    with rasterio.open(raster) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(other, "w", **profile) as file:
        file.write(np.where(values == values.flat[0], values.flat[-1], values))
    with pytest.raises(JobError, match="corine"):
        cut_patches(tile, out, open_corine(other, tile.ground))
    with pytest.raises(JobError, match="labels"):
        cut_patches(tile, out)
    assert not cut_patches(tile, out, open_corine(raster, tile.ground)).written
    band = next(iter(tile.files.values()))
    with rasterio.open(band, "r+") as file:
        file.write(file.read() + 1)
    with pytest.raises(JobError, match=band.name):
        cut_patches(find_tile(safe), out, open_corine(raster, tile.ground))


def test_polygons_in_another_system(safe, tmp_path):
    """Pasture west of a line 1300 m from the left edge, north of 1200 m; nothing elsewhere."""
    x, y = [LEFT - 50, LEFT + 1300, LEFT + 1300, LEFT - 50], [TOP + 50, TOP + 50, TOP - 1200, TOP - 1200]
    ring = np.column_stack(transform_points("EPSG:32629", "EPSG:3035", x, y)[:2])
    shapes = shapely.to_wkb([shapely.polygons(ring)])
    path, codes = tmp_path / "clc.gpkg", np.array(["231"], object)
    pyogrio.raw.write(path, shapes, [codes], ["Code_18"], crs="EPSG:3035", geometry_type="Polygon", driver="GPKG")
    tile = find_tile(safe)
    found = cut_patches(tile, tmp_path / "out", open_corine(path, tile.ground))
    assert [name[-3:] for name in found.written] == ["0_0", "1_0"]
    assert [name[-3:] for name in found.unlabelled] == ["0_1", "1_1"]
    with pytest.raises(ValueError, match="its fields are Code_18"):
        open_corine(path, tile.ground, "CODE")


def test_missing_pixels_and_no_labels(safe, tmp_path):
    path = next(safe.rglob("*_B8A_20m.tif"))
    with rasterio.open(path, "r+") as file:
        values = file.read(1)
        values[0, 60] = 0
        file.write(values, 1)
    found = cut_patches(find_tile(safe), tmp_path / "out")
    assert [name[-3:] for name in found.incomplete] == ["1_0"] and len(found.written) == 3
    assert not list((tmp_path / "out").rglob("*_labels_metadata.json"))


def test_what_is_refused(safe, raster, tmp_path):
    tile = find_tile(safe)
    values = np.full((25, 25), 700, np.uint16)
    with pytest.raises(ValueError, match="700 is no CLC code"):
        cut_patches(tile, tmp_path / "out", open_corine(_write(tmp_path / "bad.tif", values, 100), tile.ground))
    with pytest.raises(FileNotFoundError, match="no such file of CORINE"):
        open_corine(tmp_path / "none.tif", tile.ground)
    (tmp_path / "bad.gpkg").write_bytes(b"abc")
    with pytest.raises(ValueError, match="cannot be read as polygons of CORINE"):
        open_corine(tmp_path / "bad.gpkg", tile.ground)
    with pytest.raises(ValueError, match="give --name"):
        find_tile(safe, "tile")
    _write(next(safe.rglob("*_B11_20m.tif")), _pixels(60), 20, left=LEFT + 20)
    with pytest.raises(ValueError, match=r"B11_20m.tif: lies elsewhere than .*B02_10m.tif"):
        find_tile(safe)
    next(safe.rglob("*_B11_20m.tif")).unlink()
    with pytest.raises(FileNotFoundError, match=r"no file of B11 \(20 m\)"):
        find_tile(safe)


def test_command(run_tool, safe, raster, tmp_path):
    done = run_tool("cut_bigearthnet", safe, tmp_path / "out", "--corine", raster)
    assert done.returncode == 0, done.stderr
    assert "4 patches written, 0 were there, 0 lack pixels, 0 have no class" in done.stdout
