"""The one reader: bands by what files say or what is declared, numbers of every type, and which pixels are valid."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine
from rasterio.enums import ColorInterp as C

from rsseg.errors import ConfigError, DataError, UnreadableFileError
from rsseg.io.bands import PixelSpec
from rsseg.io.description import describe_raster
from rsseg.io.rasters import Raster, image_size, read_image

RGB = [C.red, C.green, C.blue]
REAL = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
# Three bands of 2 x 3 pixels that every type can hold.
PIXELS = np.array([[[0, 1, 2], [3, 4, 5]], [[10, 11, 12], [13, 14, 15]], [[100, 101, 102], [103, 104, 105]]])


def write(path: Path, pixels: Any, colours: Any = RGB, mask: Any = None, **options: Any) -> Path:
    pixels = np.asarray(pixels)
    count, height, width = pixels.shape
    profile = dict(driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype.name)
    profile |= dict(crs="EPSG:32633", transform=Affine(1, 0, 5e5, 0, -1, 5e6)) | options
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
            if colours:
                file.colorinterp = colours
            if mask is not None:
                file.write_mask(np.asarray(mask, np.uint8) * 255)
    return path


def png(path: Path, bits: int, kind: int, size: tuple[int, int], row: bytes, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG of one row, written by hand."""
    header = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    data = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))
    return path


@pytest.mark.parametrize("dtype", REAL)
def test_numbers_of_every_type_go_linearly_to_bytes_where_a_range_is_declared(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "a.tif", PIXELS.astype(dtype))
    pixels, valid = read_image(path, PixelSpec(value_range=(2, 104)))
    assert pixels.shape == (2, 3, 3) and pixels.dtype == np.float32 and pixels.flags["C_CONTIGUOUS"] and valid is None
    # 255 / 102 = 2.5 for each unit above 2; 0, 1 and 105 are cut
    np.testing.assert_allclose(pixels[..., 0], [[0, 0, 0], [2.5, 5, 7.5]], rtol=1e-6)
    np.testing.assert_allclose(pixels[..., 2], [[245, 247.5, 250], [252.5, 255, 255]], rtol=1e-6)


@pytest.mark.parametrize("dtype", REAL)
def test_without_a_range_only_eight_bits_are_read(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "a.tif", PIXELS.astype(dtype))
    if dtype == "uint8":
        pixels = read_image(path)[0]
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, np.moveaxis(PIXELS, 0, -1))
    else:
        with pytest.raises(
            DataError, match=rf"a\.tif: holds {dtype}, not 8 bits; declare .*--range 0,3000.*value_range="
        ):
            read_image(path)
    raw = read_image(path, PixelSpec(value_range="raw"))[0]
    assert raw.dtype == dtype
    np.testing.assert_array_equal(raw, np.moveaxis(PIXELS, 0, -1))


def test_large_integers_keep_their_last_digits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.array([[[2**31, 2**31 + 51]]], np.uint32), None)
    pixels = read_image(path, PixelSpec((1,), (2**31, 2**31 + 255)))[0]
    assert pixels.ravel().tolist() == [0, 51]


@pytest.mark.parametrize("dtype", REAL)
def test_bands_follow_the_files_own_colours(tmp_path: Path, dtype: str) -> None:
    four = np.concatenate([PIXELS[:1] + 7, PIXELS[::-1]]).astype(dtype)  # infrared, then blue, green, red
    path = write(tmp_path / "bgr.tif", four, [C.undefined, C.blue, C.green, C.red])
    with Raster(path, PixelSpec(value_range="raw")) as raster:
        assert raster.bands == (4, 3, 2) and raster.size == (2, 3) and raster.dtypes == (dtype,) * 3
        np.testing.assert_array_equal(raster.read()[0], PIXELS)
        np.testing.assert_array_equal(raster.read(1, 0, 3, 1)[0], PIXELS[:, :1, 1:])
    declared = read_image(path, PixelSpec((1, 4), "raw"))[0]
    np.testing.assert_array_equal(declared, np.stack([PIXELS[0] + 7, PIXELS[0]], -1))


@pytest.mark.parametrize("count", [2, 3, 4, 12])
def test_bands_that_nobody_names_must_be_declared(tmp_path: Path, count: int) -> None:
    many = np.arange(count * 6).reshape(count, 2, 3).astype(np.uint8)
    path = write(tmp_path / "a.tif", many, None, photometric="MINISBLACK")
    with pytest.raises(
        DataError, match=r"a\.tif: does not say which of its bands are red, green and blue \(gray, undef"
    ):
        read_image(path)
    order = tuple(range(count, 0, -1))
    np.testing.assert_array_equal(read_image(path, PixelSpec(order))[0], np.moveaxis(many[::-1], 0, -1))
    with pytest.raises(DataError, match=rf"has {count} bands, --bands asks for band {count + 1}"):
        read_image(path, PixelSpec((1, count + 1)))


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
def test_a_grey_file_is_grey_on_request_only(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"grey{suffix}"
    grey = np.full((8, 8), 90, np.uint8)
    Image.fromarray(grey).save(path)
    with pytest.raises(DataError, match=r"\(gray\); declare them.*bands=\(1, 1, 1\) in a config"):
        read_image(path)
    for spec in (PixelSpec((1, 1, 1)), PixelSpec(repeat_grey=True)):
        np.testing.assert_array_equal(read_image(path, spec)[0], np.dstack([grey] * 3))
    assert image_size(path) == (8, 8)


def test_repeat_grey_leaves_colours_as_they_are_and_guesses_nothing(tmp_path: Path) -> None:
    spec = PixelSpec(repeat_grey=True)
    path = write(tmp_path / "a.tif", PIXELS.astype(np.uint8))
    np.testing.assert_array_equal(read_image(path, spec)[0], np.moveaxis(PIXELS, 0, -1))
    path = write(tmp_path / "b.tif", PIXELS.astype(np.uint8), None, photometric="MINISBLACK")
    with pytest.raises(DataError, match="does not say"):
        read_image(path, spec)


@pytest.mark.parametrize("dtype", REAL)
def test_alpha_is_a_mask_and_changes_nothing_else(tmp_path: Path, dtype: str) -> None:
    alpha = np.array([[[0, 1, 100], [100, 100, 0]]])
    path = write(tmp_path / "a.tif", np.concatenate([PIXELS, alpha]).astype(dtype), [*RGB, C.alpha])
    pixels, valid = read_image(path, PixelSpec(value_range="raw"))
    np.testing.assert_array_equal(pixels, np.moveaxis(PIXELS, 0, -1))
    np.testing.assert_array_equal(valid, [[False, True, True], [True, True, False]])
    pixels, valid = read_image(path, PixelSpec((4, 1), "raw"))  # declared, it is a band as any other
    np.testing.assert_array_equal(pixels[..., 0], alpha[0])
    assert valid is None


@pytest.mark.parametrize("dtype", REAL)
def test_nodata_counts_for_every_type(tmp_path: Path, dtype: str) -> None:
    bands = PIXELS.copy()
    bands[:, 0, 0] = 7
    bands[1, 1, 1] = 7  # in one band only: a colour, but for floats
    path = write(tmp_path / "a.tif", bands.astype(dtype), nodata=7)
    valid = read_image(path, PixelSpec(value_range="raw"))[1]
    np.testing.assert_array_equal(valid, [[False, True, True], [True, dtype[0] != "f", True]])


@pytest.mark.parametrize("dtype", REAL)
def test_a_mask_counts_for_every_type_beside_nodata_and_alpha(tmp_path: Path, dtype: str) -> None:
    mask = [[1, 1, 0], [1, 1, 1]]
    path = write(tmp_path / "mask.tif", PIXELS.astype(dtype), mask=mask)
    np.testing.assert_array_equal(read_image(path, PixelSpec(value_range="raw"))[1], np.array(mask) > 0)
    bands = np.concatenate([PIXELS, [[[1, 0, 1], [1, 1, 1]]]])
    bands[:3, 1, 0] = 9
    path = write(tmp_path / "all.tif", bands.astype(dtype), [*RGB, C.alpha], mask, nodata=9)
    valid = read_image(path, PixelSpec(value_range="raw"))[1]
    np.testing.assert_array_equal(valid, [[True, False, False], [False, True, True]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_valid(tmp_path: Path, dtype: str, odd: float) -> None:
    bands = PIXELS.astype(dtype)
    bands[1, 0, 2] = odd
    pixels, valid = read_image(write(tmp_path / "a.tif", bands), PixelSpec(value_range="raw"))
    np.testing.assert_array_equal(valid, [[True, True, False], [True, True, True]])
    assert pixels.dtype == dtype and pixels[0, 2].tolist() == [2, 0, 102]


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
@pytest.mark.parametrize("spec", [PixelSpec(), PixelSpec((1, 2, 3), (0, 255)), PixelSpec(value_range="raw")])
def test_complex_numbers_are_refused_by_name(tmp_path: Path, dtype: str, spec: PixelSpec) -> None:
    values = PIXELS.astype(np.complex128 if dtype == "complex128" else np.complex64)
    path = write(tmp_path / "a.tif", values, dtype=dtype)
    with pytest.raises(DataError, match=rf"a\.tif: holds complex numbers \({dtype}\)"):
        Raster(path, spec)
    assert image_size(path) == (2, 3)


def test_palettes_are_refused_by_name(tmp_path: Path) -> None:
    indices = np.array([[[0, 1], [1, 2]]], np.uint8)
    tif = write(tmp_path / "a.tif", indices, [C.palette], photometric="palette")
    for name, picture in (("a.png", Image.fromarray(indices[0])), ("a.bmp", Image.fromarray(indices[0]))):
        picture.putpalette([9, 8, 7, 255, 0, 0, 0, 255, 0])
        picture.save(tmp_path / name)
    for path in (tif, tmp_path / "a.png", tmp_path / "a.bmp"):
        for spec in (PixelSpec(), PixelSpec((1, 1, 1))):
            with pytest.raises(DataError, match="is a palette image; expand it first: gdal_translate -expand rgb"):
                read_image(path, spec)
        assert image_size(path) == (2, 2)


def test_fewer_bits_than_eight_need_a_range(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.array([[[0, 3, 15]]], np.uint8), [C.gray], nbits=4)
    with pytest.raises(DataError, match=r"holds 4-bit numbers, 0 to 15; declare that range: --range 0,15"):
        read_image(path, PixelSpec((1, 1, 1)))
    np.testing.assert_allclose(read_image(path, PixelSpec((1,), (0, 15)))[0].ravel(), [0, 51, 255], rtol=1e-6)
    path = write(tmp_path / "b.tif", np.array([[[0, 1, 1]]], np.uint8), None, nbits=1)  # GDAL: indices of two colours
    with pytest.raises(DataError, match=r"b\.tif: is a palette image"):
        read_image(path, PixelSpec((1, 1, 1)))
    # A PNG says itself that its largest number is white: 0, 1, 7, 15 of 4 bits are 0, 17, 119, 255 of 8
    small = png(tmp_path / "a.png", 4, 0, (4, 1), bytes([0x01, 0x7F]))
    assert read_image(small, PixelSpec((1,)))[0].ravel().tolist() == [0, 17, 119, 255]


def test_pictures_of_every_kind(tmp_path: Path) -> None:
    rgb = np.moveaxis(PIXELS, 0, -1).astype(np.uint8)
    alpha = np.array([[0, 255, 1], [9, 9, 9]], np.uint8)
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "rgba.png")
    pixels, valid = read_image(tmp_path / "rgba.png")
    np.testing.assert_array_equal(pixels, rgb)
    np.testing.assert_array_equal(valid, alpha > 0)
    np.testing.assert_array_equal(
        read_image(tmp_path / "rgba.png", PixelSpec((4, 3)))[0], np.dstack([alpha, rgb[..., 2]])
    )
    Image.fromarray(np.dstack([rgb[..., 0], alpha])).save(tmp_path / "la.png")
    pixels, valid = read_image(tmp_path / "la.png", PixelSpec(repeat_grey=True))
    np.testing.assert_array_equal(pixels, np.dstack([rgb[..., 0]] * 3))
    np.testing.assert_array_equal(valid, alpha > 0)
    for name in ("rgb.bmp", "rgb.png"):
        Image.fromarray(rgb).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[0], rgb)
    key = png(tmp_path / "key.png", 8, 2, (2, 1), bytes([1, 2, 3, 4, 5, 6]), (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    pixels, valid = read_image(key)
    assert pixels.tolist() == [[[1, 2, 3], [4, 5, 6]]] and valid is not None and valid.tolist() == [[False, True]]
    for bits, data, expected in ((8, bytes([1, 3]), [1, 3]), (4, bytes([0x13]), [17, 51])):
        grey = png(tmp_path / "grey.png", bits, 0, (2, 1), data, (b"tRNS", struct.pack(">H", 3)))
        pixels, valid = read_image(grey, PixelSpec((1,)))
        assert pixels.ravel().tolist() == expected and valid is not None and valid.tolist() == [[True, False]]
        assert describe_raster(grey).colours == ("gray", "alpha")
    bgr = read_image(tmp_path / "rgb.png", blue_first=True)[0]
    assert bgr.flags["C_CONTIGUOUS"] and np.array_equal(bgr, rgb[..., ::-1])
    with Raster(tmp_path / "rgb.png", blue_first=True) as raster:
        read = raster.read(1, 0, 3, 2)[0]
    assert read.flags["C_CONTIGUOUS"] and np.array_equal(read, np.moveaxis(rgb[:, 1:, ::-1], -1, 0))


def test_a_png_of_sixteen_bits_keeps_them(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 16, 2, (2, 1), struct.pack(">6H", 1, 2, 3, 40000, 50000, 60000))
    with pytest.raises(DataError, match=r"a\.png: holds uint16, not 8 bits"):
        read_image(path)
    assert read_image(path, PixelSpec(value_range="raw"))[0].tolist() == [[[1, 2, 3], [40000, 50000, 60000]]]
    np.testing.assert_allclose(
        read_image(path, PixelSpec((3,), (0, 60000)))[0].ravel(), [3 * 255 / 60000, 255], rtol=1e-6
    )


def test_a_jpeg_is_what_opencv_makes_of_it_whole_or_by_windows(tmp_path: Path) -> None:
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), (70, 50))
    path = tmp_path / "Bild ü.jpg"
    Image.fromarray(smooth).save(path, quality=90, subsampling=2)
    expected = cv2.cvtColor(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read_image(path)[0], expected)
    with Raster(path) as raster:
        np.testing.assert_array_equal(raster.read(10, 20, 40, 50)[0], np.moveaxis(expected[20:50, 10:40], -1, 0))
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(DataError, match=r"print\.jpg: is a CMYK picture"):
        read_image(tmp_path / "print.jpg")


def test_large_pictures_are_read_by_windows_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = np.random.default_rng(0).integers(0, 2, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    whole = read_image(tmp_path / "a.png")
    monkeypatch.setattr("rsseg.io.rasters._WHOLE", 1)
    with Raster(tmp_path / "a.png") as raster:
        assert not raster.decoded
    for one, other in zip(whole, read_image(tmp_path / "a.png"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.98])
def test_broken_files_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableFileError, match=rf"^{path}: "):
        read_image(path)


@pytest.mark.parametrize("cut", [2, 10, 60])
def test_a_tiff_that_lost_its_last_bytes_is_not_read_as_zeros(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), np.full((120, 120), 7, np.uint8), [cv2.IMWRITE_TIFF_COMPRESSION, 1])  # its offsets are last
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UnreadableFileError, match=r"a\.tif: (the file is cut short|not a raster that GDAL can open)"):
        read_image(path, PixelSpec((1, 1, 1)))


@pytest.mark.parametrize("text", [b"", b"hello, I am a text", b"GIF89a"])
def test_what_is_no_image_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.png").write_bytes(text)
    for read in (image_size, read_image):
        with pytest.raises(UnreadableFileError, match=r"a\.png: not a raster that GDAL can open"):
            read(tmp_path / "a.png")
        with pytest.raises(FileNotFoundError, match=r"b\.png: .*there is no such file"):
            read(tmp_path / "b.png")


@pytest.mark.parametrize(
    "wrong",
    [dict(bands=()), dict(bands=(0, 1)), dict(bands=("1",)), dict(value_range=(3, 3)), dict(value_range=(0, np.nan)),
     dict(value_range="auto"), dict(value_range=(0, 1, 2)), dict(value_range=5)],
)  # fmt: skip
def test_declarations_that_mean_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        PixelSpec(**wrong)
    assert PixelSpec([3, 2, 1], [0, 9]) == PixelSpec((3, 2, 1), (0, 9))  # type: ignore[arg-type]


def test_a_smaller_size_is_averaged(tmp_path: Path) -> None:
    pixels = np.stack([np.kron([[8, 20], [40, 60]], [[1, 1], [1, 1]])] * 3).astype(np.uint8)
    pixels[:, 0, 0], pixels[:, 1, 1] = 4, 12  # mean of the corner: 8
    write(tmp_path / "a.tif", pixels)
    Image.fromarray(np.moveaxis(pixels, 0, -1).copy()).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        with Raster(tmp_path / name) as raster:
            assert raster.read(size=(2, 2))[0][0].tolist() == [[8, 20], [40, 60]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "complex64", "complex_int16"])
@pytest.mark.parametrize("big", ["YES", "NO"])
def test_what_a_tiff_says_of_itself(tmp_path: Path, dtype: str, big: str) -> None:
    pixels = np.zeros((3, 4, 5), np.complex64 if "complex" in dtype else dtype)
    pixels[:, 1:] = 3
    path = write(tmp_path / "a.tif", pixels, RGB, photometric="RGB", nodata=0, dtype=dtype, BIGTIFF=big)
    found = describe_raster(path, share=True)
    assert (found.size, found.dtypes, found.colours) == ((4, 5), (dtype,) * 3, ("red", "green", "blue"))
    assert (found.photometric, found.nodata, found.masked) == ("rgb", (0, 0, 0), ("nodata",))
    assert found.nodata_share == (None if "complex" in dtype else 0.25)
    shown = f"3 band(s) of {dtype} (red, green, blue), photometric rgb, nodata 0"
    assert str(found) == shown + ("" if "complex" in dtype else ", 25.00 % of the pixels not valid")


def test_a_description_of_bands_without_colours_a_mask_and_alpha(tmp_path: Path) -> None:
    pixels = np.ones((5, 2, 2), np.uint16)
    mask = [[1, 0], [1, 1]]
    found = describe_raster(write(tmp_path / "a.tif", pixels, None, mask, photometric="MINISBLACK"), share=True)
    assert (found.colours, found.photometric) == (("gray", *["undefined"] * 4), "minisblack")
    assert (found.nodata, found.masked, found.nodata_share) == ((None,) * 5, ("mask",), 0.25)
    pixels[4, 0] = 0
    found = describe_raster(write(tmp_path / "b.tif", pixels, [*RGB, C.undefined, C.alpha]), share=True)
    assert (found.masked, found.nodata_share) == (("alpha",), 0.5)
    assert str(found).endswith("alpha band, 50.00 % of the pixels not valid")


def test_a_description_of_pictures(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3, 4), np.uint8)).save(tmp_path / "a.png")
    found = describe_raster(tmp_path / "a.png", share=True)
    assert (found.size, found.colours) == ((2, 3), ("red", "green", "blue", "alpha"))
    assert (found.photometric, found.masked, found.nodata_share) == (None, ("alpha",), 1.0)
    Image.fromarray(np.zeros((2, 3), np.uint8)).convert("P").save(tmp_path / "p.png")
    assert describe_raster(tmp_path / "p.png", share=True).colours == ("palette",)
