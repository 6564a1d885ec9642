"""Rasters as they come: several masks at once, bands of several types, units other than degrees, no pixels to spare."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from rsseg.mapping import MapOptions, RasterSource, SegmentorScorer, map_raster

RGB = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
SMALL = MapOptions(window=(16, 16), batch=2)


def mapped(source, folder, stub, table, options=SMALL):
    map_raster(str(source), folder / "map.tif", stub, table, options, {})
    with rasterio.open(folder / "map.tif") as file:
        return file.read(1)


def test_a_mask_and_alpha_and_nodata_all_count(stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, 40, 50) // 2 + 20
    pixels[:, 20:23] = 7
    pixels[0, 30] = 7  # the nodata value in one band only: a colour
    solid, mask = np.full((1, 40, 50), 255, np.uint8), np.full((40, 50), 255, np.uint8)
    solid[:, :5], mask[-5:] = 0, 0
    expected = pixels.astype(int).argmax(0)
    expected[:5] = expected[-5:] = expected[20:23] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        four = np.concatenate([pixels, solid])
        source = write_raster(four, colorinterp=[*RGB, ColorInterp.alpha], mask=mask, nodata=7)
    np.testing.assert_array_equal(mapped(source, tmp_path, stub, table), expected)


def test_a_float_is_invalid_where_any_band_has_the_nodata_value(stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, 20, 30).astype(np.float32)
    expected = pixels.argmax(0)
    pixels[1, :4], expected[:4] = -9999, 255
    source = write_raster(pixels, colorinterp=RGB, nodata=-9999)
    options = MapOptions(value_range=(0, 255), window=(16, 16))
    np.testing.assert_array_equal(mapped(source, tmp_path, stub, table, options), expected)


def test_bands_of_several_types_are_read_as_one(stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, 20, 30)
    bands = ""
    for i, (kind, name) in enumerate((("Byte", "Red"), ("UInt16", "Green"), ("Byte", "Blue"))):
        part = pixels[i : i + 1]
        write_raster(part.astype(np.uint16) if kind == "UInt16" else part, f"{name}.tif")
        file = f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1</SourceBand>'
        bands += (
            f'<VRTRasterBand dataType="{kind}" band="{i + 1}"><ColorInterp>{name}</ColorInterp>'
            f"<SimpleSource>{file}</SimpleSource></VRTRasterBand>"
        )
    source = tmp_path / "all.vrt"
    source.write_text(f'<VRTDataset rasterXSize="30" rasterYSize="20">{bands}</VRTDataset>')
    options = MapOptions(value_range=(0, 255), window=(16, 16))
    np.testing.assert_array_equal(mapped(source, tmp_path, stub, table, options), pixels.argmax(0))
    (tmp_path / "Green.tif").unlink()
    with pytest.raises(OSError, match=r"^\S*all\.vrt: cannot be read at columns 0\.\.16.*Green\.tif: No such file"):
        map_raster(str(source), tmp_path / "other.tif", stub, table, options, {})


def test_numbers_of_colours_are_no_colours(write_raster):
    source = write_raster(np.zeros((1, 4, 4), np.uint8), photometric="palette", colorinterp=[ColorInterp.palette])
    with pytest.raises(ValueError, match="gdal_translate -expand rgb"):
        RasterSource(str(source))


def test_control_points_are_kept(stub, table, noise, write_raster, tmp_path):
    corners = [(0, 0), (0, 30), (20, 0), (20, 30)]
    points = [GroundControlPoint(row, column, 500000 + column, 4000000 - row) for row, column in corners]
    source = write_raster(noise(3, 20, 30), transform=None, gcps=points)
    mapped(source, tmp_path, stub, table)
    with rasterio.open(tmp_path / "map.tif") as file:
        found, crs = file.gcps
    assert crs.to_epsg() == 32633
    assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (3, 5)])
def test_a_few_pixels_are_a_map_too(size, stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, *size)
    source = write_raster(pixels, "Über die Wälder.tif")
    np.testing.assert_array_equal(mapped(source, tmp_path, stub, table), pixels.argmax(0))


def test_a_model_that_needs_more_pixels_gets_them(plain_model):
    class Needs(torch.nn.Module):
        def forward(self, x):
            if min(x.shape[2:]) < 40:
                raise RuntimeError("kernel size can't be greater than actual input size")
            return (x,)

    plain_model.backbone = Needs()
    predictor = SegmentorScorer(plain_model, 3)
    window = np.arange(3 * 2 * 50, dtype=np.uint8).reshape(3, 2, 50)
    scores = predictor(predictor.prepare([window]))[0]
    # the model is the identity on normalised red, green, blue
    np.testing.assert_allclose(scores.numpy(), (window[::-1].astype(np.float32) - 120) / 60, rtol=1e-6)
    plain_model.cfg = Config({})
    plain_model.backbone.forward = lambda x: (_ for _ in ()).throw(RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        predictor(predictor.prepare([np.zeros((3, 64, 64), np.uint8)]))


@pytest.mark.parametrize("bands", [(1,), (1, 2), (1, 2, 3, 1)])
def test_another_number_of_bands_than_the_models_is_refused(bands, plain_model, table, noise, write_raster, tmp_path):
    options = MapOptions(bands=bands, window=(16, 16))
    with pytest.raises(ValueError, match=f"the model takes 3 bands, not {len(bands)}; .*--bands"):
        mapped(write_raster(noise(3, 20, 20)), tmp_path, SegmentorScorer(plain_model, 3), table, options)


def test_a_map_never_takes_the_place_of_its_source(stub, table, noise, write_raster):
    source = write_raster(noise(3, 20, 20))
    before = source.read_bytes()
    with pytest.raises(ValueError, match=r"source\.tif: is the source"):
        map_raster(str(source), source, stub, table, MapOptions(overwrite=True), {})
    assert source.read_bytes() == before


def test_a_folder_that_may_not_be_written_to(stub, table, noise, write_raster):
    root = Path(tempfile.mkdtemp())
    source = shutil.copy(write_raster(noise(3, 20, 20)), root)
    root.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:  # root may write anywhere
            os.seteuid(65534)
        with pytest.raises(OSError, match=r"map\.tif: cannot be written \(Permission denied"):
            map_raster(str(source), root / "map.tif", stub, table, SMALL, {})
    finally:
        os.seteuid(user)
        root.chmod(0o755)
        shutil.rmtree(root)


@pytest.mark.parametrize("wrong", [dict(batch=-1), dict(gsd=0.0), dict(gsd=-1.0)])
def test_sizes_are_positive(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        MapOptions(**wrong)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif"])
def test_a_map_sees_the_pixels_that_training_sees(name, tmp_path):
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), (70, 50))
    cv2.imwrite(str(tmp_path / name), smooth)
    trained = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
    with closing(RasterSource(str(tmp_path / name))) as source:
        pixels, valid = source.read(10, 20, 40, 50)
    assert valid is None and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.moveaxis(trained[20:50, 10:40], -1, 0))


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint32"])
@pytest.mark.parametrize("gsd", [None, 1.0])
def test_alpha_of_any_type_is_a_mask(dtype, gsd, stub, table, noise, write_raster, tmp_path):
    pixels = np.kron(noise(3, 20, 25), np.ones((1, 2, 2), np.uint8)).astype(dtype)  # 1 m is the mean of equal pixels
    solid = np.ones((1, 40, 50), dtype)
    solid[:, :10] = 0
    source = write_raster(np.concatenate([pixels, solid]), colorinterp=[*RGB, ColorInterp.alpha])
    expected = pixels.argmax(0) if gsd is None else pixels[:, ::2, ::2].argmax(0)
    expected[: 10 if gsd is None else 5] = 255
    options = MapOptions(value_range=(0, 255), window=(16, 16), gsd=gsd)
    np.testing.assert_array_equal(mapped(source, tmp_path, stub, table, options), expected)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_finer_pixels_of_a_raster_whose_alpha_is_0_and_1(dtype, stub, table, write_raster, tmp_path):
    """GDAL takes 1 of 65535 for transparent; two columns of 0.5 m are hidden, four of 0.25 m."""
    pixels = np.stack([np.full((8, 10), value) for value in (10, 90, 20)] + [np.ones((8, 10))]).astype(dtype)
    pixels[3, :, :2] = 0
    source = write_raster(pixels, colorinterp=[*RGB, ColorInterp.alpha])
    found = mapped(source, tmp_path, stub, table, MapOptions(value_range=(0, 255), window=(16, 16), gsd=0.25))
    assert found.shape == (16, 20) and (found[:, 4:] == 1).all() and (found[:, :3] == 255).all()


@pytest.mark.parametrize("kind", ["mask", "alpha"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_nodata_beside_a_mask_or_alpha_counts_at_another_pixel_size(dtype, kind, stub, table, write_raster, tmp_path):
    pixels = np.stack([np.full((8, 12), value) for value in (10, 90, 20)]).astype(dtype)
    pixels[:, :, :4] = 7
    seen = np.ones((8, 12), bool)
    seen[:, 8:] = False
    pixels[:, ~seen] = 200  # which must not be mixed in
    four = np.concatenate([pixels, seen[None].astype(dtype)])
    colours = dict(colorinterp=[*RGB, ColorInterp.alpha][: 3 + (kind == "alpha")], nodata=7)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = None if kind == "alpha" else seen.astype(np.uint8) * 255
        source = write_raster(four if kind == "alpha" else pixels, mask=mask, **colours)
    ends = None if dtype == "uint8" else (0, 255)
    found = mapped(source, tmp_path, stub, table, MapOptions(value_range=ends, window=(16, 16), gsd=1.0))
    assert found.tolist() == [[255, 255, 1, 1, 255, 255]] * 4


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_rasters_are_refused_by_name(dtype, write_raster):
    source = write_raster(np.ones((3, 4, 5), np.complex64), colorinterp=RGB)
    if dtype == "complex_int16":
        with rasterio.open(source, "w", driver="GTiff", count=3, height=4, width=5, dtype=dtype) as file:
            file.write(np.ones((3, 4, 5), np.complex64))
    for options in ({}, {"value_range": (0, 255)}, {"bands": (1, 2, 3), "value_range": (0, 255), "gsd": 1.0}):
        with pytest.raises(ValueError, match=rf"source\.tif: holds complex numbers \({dtype}\)"):
            RasterSource(str(source), **options)
