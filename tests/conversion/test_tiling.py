"""Tiles of a folder of images: same pixels, any band count and depth, resumable, errors by name."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp

from rsseg.conversion import tiling
from rsseg.conversion.tiling import cut_images
from rsseg.errors import ConfigError, JobError
from rsseg.io.bands import PixelSpec
from rsseg.io.description import describe_raster
from rsseg.io.rasters import read_image

# 50 x 70 in tiles of 32 with 8 in common: columns at 0, 24, 38, rows at 0, 18.
RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
NAMES = [f"{x}_{y}" for x in (0, 24, 38) for y in (0, 18)]


def _pixels(shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def _write(path: Path, pixels: np.ndarray, colours: Any = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, count = bands.shape
    driver = {".tif": "GTiff", ".png": "PNG"}[path.suffix]
    profile = {"driver": driver, "height": height, "width": width, "count": count, "dtype": pixels.dtype, **options}
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.moveaxis(bands, -1, 0))
        if driver == "GTiff" and colours is not None:
            raster.colorinterp = colours
        elif driver == "GTiff" and count in (3, 4):
            raster.colorinterp = RGBA[:count]


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def _raw(path: Path) -> np.ndarray:
    """Pixels as stored, colours as RGB."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [(), (3,), (4,)])
def test_tiles_hold_the_pixels_as_they_are(tmp_path: Path, bands: tuple[int, ...], dtype: Any, suffix: str) -> None:
    image = _pixels((50, 70, *bands), dtype)
    _write(tmp_path / f"in/part/a{suffix}", image)
    report = cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    assert (report.images, report.written, report.found, report.error_summary) == (1, 6, 0, None)
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == sorted(f"a__{name}" for name in NAMES)
    for name in NAMES:
        x, y = map(int, name.split("_"))
        tile = _raw(tmp_path / f"out/a__{name}.png")
        assert tile.dtype == dtype and np.array_equal(tile, image[y : y + 32, x : x + 32])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_are_red_green_and_blue_as_the_file_says(tmp_path: Path, dtype: Any) -> None:
    rgb = _pixels((32, 32, 3), dtype)
    five = np.dstack([rgb[..., 1], rgb[..., 2] * 0, rgb[..., 2], rgb[..., 0], rgb[..., 0] * 0 + 255])
    kinds = [ColorInterp.green, ColorInterp.undefined, ColorInterp.blue, ColorInterp.red, ColorInterp.alpha]
    _write(tmp_path / "in/bgr.tif", rgb[..., ::-1], RGBA[2::-1])
    _write(tmp_path / "in/five.tif", five, kinds)
    cut_images(tmp_path / "in", tmp_path / "out", 32)
    assert np.array_equal(_raw(tmp_path / "out/bgr__0_0.png"), rgb)
    assert np.array_equal(_raw(tmp_path / "out/five__0_0.png"), np.dstack([rgb, five[..., 4]]))
    _write(tmp_path / "plain/a.tif", five, [ColorInterp.gray, *[ColorInterp.undefined] * 4])
    report = cut_images(tmp_path / "plain", tmp_path / "none", 32)
    assert report.written == 0 and "does not say which of its bands are red, green and blue" in report.failures[0]
    cut_images(tmp_path / "plain", tmp_path / "declared", 32, spec=PixelSpec((4, 1, 3)))
    assert np.array_equal(_raw(tmp_path / "declared/a__0_0.png"), rgb)
    cut_images(tmp_path / "plain", tmp_path / "one", 32, spec=PixelSpec((3,)))
    assert np.array_equal(_raw(tmp_path / "one/a__0_0.png"), rgb[..., 2])
    with pytest.raises(ValueError, match=r"holds tiles with another config: bands was \[3\], now \[1\]"):
        cut_images(tmp_path / "plain", tmp_path / "one", 32, spec=PixelSpec((1,)))
    with pytest.raises(ConfigError, match="--bands 3,1: a tile has one band, or red, green and blue"):
        cut_images(tmp_path / "plain", tmp_path / "two", 32, spec=PixelSpec((3, 1)))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.float64])
def test_a_declared_range_makes_eight_bits(tmp_path: Path, run_tool: Callable[..., Any], dtype: Any) -> None:
    values = np.array([[0, 100, 1000], [1500, 3000, 4000]])
    image = np.dstack([values, values * 0 + 300, values[::-1], [[1, 1, 1], [1, 1, 0]]]).astype(dtype)
    _write(tmp_path / "in/a.tif", image, RGBA)
    if dtype != np.uint16:  # which a PNG holds as it is
        report = cut_images(tmp_path / "in", tmp_path / "none", 32)
        assert f"holds {np.dtype(dtype)}, not 8 bits; declare" in report.failures[0]
    result = run_tool("tile_images", tmp_path / "in", tmp_path / "out", "--range", "-1000,3000", "--overlap", 0)
    assert result.returncode == 0, result.stderr
    # (v + 1000) / 4000 * 255: 63.75, 70.125, 127.5, 159.375, 255, 255; 300 is 82.875; halves go to even
    tile = _raw(tmp_path / "out/a__0_0.png")
    assert tile.dtype == np.uint8
    assert tile[..., 0].tolist() == [[64, 70, 128], [159, 255, 0]] and tile[0, 0].tolist() == [64, 83, 159, 255]
    assert tile[1, 2].tolist() == [0, 0, 0, 0]  # transparent


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_tiff_tiles_hold_what_png_tiles_hold(tmp_path: Path, dtype: Any, bands: int) -> None:
    _write(tmp_path / "in/a.tif", _pixels((50, 70, bands), dtype))
    for kind in ("png", "tif"):
        report = cut_images(tmp_path / "in", tmp_path / kind, 32, 8, tile_format=kind)
        assert (report.written, report.failures) == (6, [])
    assert sorted(p.name for p in (tmp_path / "tif").glob("a*")) == sorted(f"a__{name}.tif" for name in NAMES)
    for path in (tmp_path / "png").glob("a*"):
        with rasterio.open(path) as png, rasterio.open(tmp_path / "tif" / f"{path.stem}.tif") as tif:
            assert png.dtypes == tif.dtypes and png.colorinterp == tif.colorinterp
            np.testing.assert_array_equal(png.read(), tif.read())
    assert cut_images(tmp_path / "in", tmp_path / "tif", 32, 8, tile_format="tif").found == 6
    with pytest.raises(JobError, match="tile_format was 'tif', now None"):
        cut_images(tmp_path / "in", tmp_path / "tif", 32, 8)


def test_tiff_tiles_of_a_palette_image_keep_the_palette(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image = Image.fromarray(_pixels((50, 70)) % 4)
    image.putpalette([9, 8, 7, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "in/a.png")
    cut_images(tmp_path / "in", tmp_path / "out", 32, 8, tile_format="tif")
    with Image.open(tmp_path / "out/a__24_18.tif") as tile:
        np.testing.assert_array_equal(np.asarray(tile), np.asarray(image)[18:50, 24:56])
        np.testing.assert_array_equal(tile.convert("RGB"), np.asarray(image.convert("RGB"))[18:50, 24:56])


def test_tiled_rasters_and_small_images(tmp_path: Path) -> None:
    big, small = _pixels((50, 70, 3)), _pixels((20, 30, 3))
    _write(tmp_path / "in/big.tif", big, tiled=True, blockxsize=16, blockysize=16)
    _write(tmp_path / "in/small.png", small)
    assert cut_images(tmp_path / "in", tmp_path / "out", 32, 8, workers=2).written == 7
    assert np.array_equal(_raw(tmp_path / "out/big__38_18.png"), big[18:, 38:])
    assert np.array_equal(_raw(tmp_path / "out/small__0_0.png"), small)
    cut_images(tmp_path / "in", tmp_path / "padded", 32, 8, pad=True)
    padded = _raw(tmp_path / "padded/small__0_0.png")
    assert padded.shape == (32, 32, 3) and np.array_equal(padded[:20, :30], small) and not padded[20:].any()


def test_jpeg_and_palette(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    smooth = cv2.resize(_pixels((5, 7, 3)), (70, 50))
    Image.fromarray(smooth).save(tmp_path / "in/photo.jpg", quality=95)
    labels = Image.fromarray(_pixels((50, 70)) % 4)
    labels.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    labels.save(tmp_path / "in/labels.png")
    cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    decoded = np.asarray(Image.open(tmp_path / "in/photo.jpg"))
    assert np.array_equal(_raw(tmp_path / "out/photo__24_18.png"), decoded[18:50, 24:56])
    tile = Image.open(tmp_path / "out/labels__24_18.png")
    assert tile.mode == "P" and np.array_equal(np.asarray(tile), np.asarray(labels)[18:50, 24:56])
    assert np.array_equal(np.asarray(tile.convert("RGB")), np.asarray(labels.convert("RGB"))[18:50, 24:56])


def test_no_row_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "in/a.tif", _pixels((200, 40, 3)))
    rows: list[int] = []
    read = tiling.TileSource.read

    def watched(source: Any, top: int, bottom: int) -> Any:
        rows.extend(range(top, bottom))
        return read(source, top, bottom)

    monkeypatch.setattr(tiling.TileSource, "read", watched)
    cut_images(tmp_path / "in", tmp_path / "out", 32, 16)
    assert rows == list(range(200))


def test_unreadable_images_are_named_and_the_rest_goes_on(
    tmp_path: Path, run_tool: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        _write(tmp_path / f"in/{name}.png", _pixels((50, 70, 3)))
    _write(tmp_path / "in/float.tif", np.zeros((50, 70), np.float32))
    good = (tmp_path / "in/b.png").read_bytes()
    (tmp_path / "in/b.png").write_bytes(good[: len(good) // 2])
    Image.fromarray(_pixels((50, 70, 3))).save(tmp_path / "in/d.jpg")
    (tmp_path / "in/d.jpg").write_bytes((tmp_path / "in/d.jpg").read_bytes()[:900])
    result = run_tool("tile_images", tmp_path / "in", tmp_path / "out", "--size", 32, "--overlap", 8)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    for name in ("b.png", "d.jpg", "float.tif"):
        assert f"{tmp_path / 'in' / name}: " in result.stderr
    assert f"{tmp_path / 'in/b.png'}: image is broken or cut short, replace the file (" in result.stderr
    assert "See previous exception" not in result.stderr
    assert "3 image(s) could not be cut" in result.stderr and "holds float32, not 8 bits" in result.stderr
    assert len(list((tmp_path / "out").glob("[ac]__*.png"))) == 12
    (tmp_path / "in/b.png").write_bytes(good)
    for name in ("float.tif", "d.jpg"):
        (tmp_path / "in" / name).unlink()
    report = cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    assert report.error_summary is None and report.written + report.found == 18
    assert np.array_equal(_raw(tmp_path / "out/b__38_18.png"), _raw(tmp_path / "in/b.png")[18:, 38:])


def _cut_until(source: Path, out: Path, moment: int) -> None:
    replace, seen = os.replace, [0]

    def deadly(old: Any, new: Any) -> None:
        seen[0] += 1
        if seen[0] == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(old, new)

    os.replace = deadly
    cut_images(source, out, 32, 8)


def test_killed_and_run_again(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _write(tmp_path / f"in/{name}.png", _pixels((50, 70, 3)))
    cut_images(tmp_path / "in", tmp_path / "whole", 32, 8)
    expected = _digests(tmp_path / "whole")
    for moment in (1, 2, 7, 12, 19):
        process = multiprocessing.get_context("fork").Process(
            target=_cut_until, args=(tmp_path / "in", tmp_path / "out", moment)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL and _digests(tmp_path / "out") != expected
        report = cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
        assert report.written + report.found == 18 and report.written > 0
        assert _digests(tmp_path / "out") == expected
        assert cut_images(tmp_path / "in", tmp_path / "out", 32, 8).written == 0
        shutil.rmtree(tmp_path / "out")


def test_a_full_disk_names_the_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "in/a.png", _pixels((50, 70, 3)))
    replace = os.replace

    def full(old: Any, new: Any) -> None:
        if Path(new).name == "a__24_18.png":
            raise OSError(28, "No space left on device")
        replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"cannot write .*a__24_18\.png: No space left"):
        cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    assert (tmp_path / "out/a__0_0.png").exists() and not list((tmp_path / "out").glob(".tmp-*"))


def test_what_cannot_work_is_refused_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        cut_images(tmp_path / "in", tmp_path / "out", 32)
    (tmp_path / "in").mkdir()
    with pytest.raises(FileNotFoundError, match="no images"):
        cut_images(tmp_path / "in", tmp_path / "out", 32)
    _write(tmp_path / "in/a.png", _pixels((50, 70, 3)))
    with pytest.raises(ValueError, match="overlap 32 must be"):
        cut_images(tmp_path / "in", tmp_path / "out", 32, 32)
    with pytest.raises(ValueError, match="is inside the folder of the images"):
        cut_images(tmp_path / "in", tmp_path / "in/tiles", 32)
    cut_images(tmp_path / "in", tmp_path / "out", 32)
    with pytest.raises(ValueError, match=r"holds tiles with another config: size was 32, now 48\. Choose"):
        cut_images(tmp_path / "in", tmp_path / "out", 48)
    _write(tmp_path / "in/a.tif", _pixels((50, 70, 3)))
    with pytest.raises(ValueError, match=r"a\.png and .*a\.tif have one stem"):
        cut_images(tmp_path / "in", tmp_path / "out", 32)


def test_changed_images_are_an_error_and_an_update_is_a_fresh_run(tmp_path: Path, run_tool: Callable[..., Any]) -> None:
    for i, name in enumerate(("a", "b", "c")):
        _write(tmp_path / f"in/{name}.png", _pixels((50, 70, 3)) // (i + 1))
    cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("a__*.png")}
    _write(tmp_path / "in/b.png", _pixels((30, 40, 3)))  # with fewer tiles
    (tmp_path / "in/c.png").unlink()
    with pytest.raises(JobError, match=r"1 image changed \(b\.png\); 1 image is gone \(c\)\. Use --update"):
        cut_images(tmp_path / "in", tmp_path / "out", 32, 8)
    result = run_tool("tile_images", tmp_path / "in", tmp_path / "out", "--size", 32, "--overlap", 8, "--update")
    assert result.returncode == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    cut_images(tmp_path / "in", tmp_path / "fresh", 32, 8)
    assert _digests(tmp_path / "out") == _digests(tmp_path / "fresh")
    with pytest.raises(JobError, match="--update cannot help"):
        cut_images(tmp_path / "in", tmp_path / "out", 48, 8, update=True)


def test_images_of_one_name_in_two_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        _write(tmp_path / "in" / folder / "0001.png", _pixels((30, 30, 3)))
    cut_images(tmp_path / "in", tmp_path / "out", 32)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a__0001__0_0.png", "b__0001__0_0.png"]


def test_tiles_keep_which_pixels_are_valid(tmp_path: Path) -> None:
    """Nodata, a mask and NaN become an alpha band of the tiles that have such pixels, and of no others."""
    rgb = _pixels((32, 64, 3)) // 2 + 1
    hole = rgb.copy()
    hole[:4, :8] = 0
    _write(tmp_path / "in/nodata.tif", hole, nodata=0)
    _write(tmp_path / "in/mask.tif", rgb)
    with rasterio.open(tmp_path / "in/mask.tif", "r+") as raster:
        raster.write_mask(hole.any(-1))
    _write(tmp_path / "in/deep.tif", hole.astype(np.uint16) * 100, nodata=0)
    _write(tmp_path / "in/grey.tif", hole[..., 0], nodata=0)
    _write(tmp_path / "in/grey16.tif", hole[..., 0].astype(np.uint16) * 100, nodata=0)
    _write(tmp_path / "in/la.png", np.dstack([rgb[..., 0], hole[..., 0]]))
    holes = np.where(hole.any(-1, keepdims=True), hole, np.nan).astype(np.float32)
    _write(tmp_path / "floats/nan.tif", holes)
    assert cut_images(tmp_path / "in", tmp_path / "out", 32, spec=PixelSpec()).failures == [
        f"{tmp_path / 'in/la.png'}: does not say which of its bands are red, green and blue (gray, alpha); declare "
        "them, for a grey file --bands 1,1,1 of a tool, bands=(1, 1, 1) in a config"
    ]
    cut_images(tmp_path / "floats", tmp_path / "ranged", 32, spec=PixelSpec(None, (0, 255)))
    (tmp_path / "la").mkdir()
    shutil.move(tmp_path / "in/la.png", tmp_path / "la")
    cut_images(tmp_path / "la", tmp_path / "one", 32, spec=PixelSpec((1,)))
    valid = np.ones((32, 32), bool)
    valid[:4, :8] = False  # 32 pixels
    colours = {"out/nodata": hole, "out/mask": rgb, "out/deep": hole * 100.0, "ranged/nan": hole, "out/grey": hole,
               "out/grey16": hole * 100.0, "one/la": rgb}  # fmt: skip
    for name, pixels in colours.items():
        bands, count = ((1,), 1) if "/g" in name or "/l" in name else (None, 3)
        spec = PixelSpec(bands, "raw")
        found, known = read_image(tmp_path / f"{name}__0_0.png", spec)
        assert np.array_equal(found, pixels[:, :32, :count]), name
        assert known is not None and np.array_equal(known, valid), name
        found, known = read_image(tmp_path / f"{name}__32_0.png", spec)
        assert np.array_equal(found, pixels[:, 32:, :count]) and known is None, name
        bands_of = len(describe_raster(tmp_path / f"{name}__32_0.png").colours)
        assert bands_of == (2 if name == "one/la" else count), name  # its own alpha stays


def test_numbers_of_less_than_8_bits_need_a_range(tmp_path: Path) -> None:
    _write(tmp_path / "in/a.tif", _pixels((32, 32, 3)) // 16, nbits=4)
    failure = cut_images(tmp_path / "in", tmp_path / "none", 32).failures[0]
    assert "a.tif: holds 4-bit numbers, 0 to 15; declare that range: --range 0,15" in failure
    cut_images(tmp_path / "in", tmp_path / "out", 32, spec=PixelSpec(None, (0, 15)))
    assert np.array_equal(_raw(tmp_path / "out/a__0_0.png"), _pixels((32, 32, 3)) // 16 * 17)
