"""Images as 8-bit RGB: what is refused, what is converted and how, and sizes from headers."""

import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from rsseg.datasets.detection import AnnotationError, image_size, read_image

RGB = np.array([[[255, 0, 0], [0, 255, 0], [9, 8, 7]], [[0, 0, 255], [1, 2, 3], [0, 0, 0]]], np.uint8)
GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
SUFFIXES = (".png", ".bmp", ".tif", ".jpg")


@pytest.fixture(autouse=True)
def _no_warnings():
    """Reading must be quiet: any warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # rasterio's own, when it writes
        yield


def geotiff(path, bands, dtype, photometric=None, colormap=None, colorinterp=None):
    """A georeferenced TIFF of (bands, H, W)."""
    data = np.asarray(bands, dtype)
    options = {"photometric": photometric} if photometric else {}
    profile = {"driver": "GTiff", "count": len(data), "height": data.shape[1], "width": data.shape[2]}
    transform = rasterio.transform.from_origin(500000, 5000000, 0.5, 0.5)
    with rasterio.open(path, "w", dtype=dtype, crs="EPSG:32632", transform=transform, **profile, **options) as file:
        file.write(data)
        if colormap:
            file.write_colormap(1, colormap)
        if colorinterp:
            file.colorinterp = colorinterp
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rgb_is_read_as_it_is(tmp_path, suffix):
    path = tmp_path / f"Bild ü 影{suffix}"
    Image.fromarray(RGB).save(path, **({"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}))
    for mode in ("strict", "convert"):
        pixels = read_image(str(path), mode)
        assert pixels.shape == (2, 3, 3) and pixels.dtype == np.uint8 and pixels.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(pixels.astype(int), RGB, atol=60 if suffix == ".jpg" else 0)
    pixels[0, 0] = 0  # the array is ours to change
    assert image_size(path) == (2, 3)


CONVERTED = {
    # name: how to write it, why "strict" refuses it (None: it does not), what "convert" makes of it
    "rgba.png": (lambda p: Image.fromarray(np.dstack([RGB, GREY])).save(p), None, RGB),
    "grey.png": (lambda p: Image.fromarray(GREY).save(p), "does not say", np.dstack([GREY] * 3)),
    "grey.jpg": (lambda p: Image.fromarray(GREY * 0 + 90).save(p), "does not say", np.full((2, 3, 3), 90)),
    "grey alpha.png": (
        lambda p: Image.fromarray(np.dstack([GREY, GREY])).save(p),
        "does not say",
        np.dstack([GREY] * 3),
    ),
    "palette.png": (lambda p: Image.fromarray(RGB).quantize(6).save(p), "palette image", RGB),
    "palette.bmp": (lambda p: Image.fromarray(RGB).quantize(6).save(p), "palette image", RGB),
    "bits.png": (lambda p: Image.fromarray(GREY > 99).save(p), "does not say", np.dstack([(GREY > 99) * 255] * 3)),
    "bits.bmp": (lambda p: Image.fromarray(GREY > 99).save(p), "does not say", np.dstack([(GREY > 99) * 255] * 3)),
    "rgba.tif": (lambda p: geotiff(p, np.dstack([RGB, GREY]).transpose(2, 0, 1), "uint8", "RGB"), None, RGB),
    "grey.tif": (lambda p: geotiff(p, GREY[None], "uint8"), "does not say", np.dstack([GREY] * 3)),
    "palette.tif": (
        lambda p: geotiff(p, [[[0, 1], [1, 2]]], "uint8", colormap={0: (1, 2, 3), 1: (255, 0, 9), 2: (7, 7, 7)}),
        "palette image",
        [[[1, 2, 3], [255, 0, 9]], [[255, 0, 9], [7, 7, 7]]],
    ),
    "plain.tif": (
        lambda p: geotiff(p, np.dstack([RGB, GREY]).transpose(2, 0, 1), "uint8", "MINISBLACK"),
        "does not say",
        RGB,
    ),
    "bgr.tif": (
        lambda p: geotiff(
            p,
            np.dstack([GREY, RGB[..., ::-1]]).transpose(2, 0, 1),
            "uint8",
            colorinterp=[ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red],
        ),
        None,
        RGB,
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_other_images_only_on_request(tmp_path, name):
    write, refused, expected = CONVERTED[name]
    path = tmp_path / name
    write(path)
    if refused is None:
        np.testing.assert_array_equal(read_image(path), expected)
    else:
        with pytest.raises(AnnotationError, match=rf"{refused}.*image_mode='convert' would accept") as caught:
            read_image(path)
        assert (caught.value.path, caught.value.line) == (path, None) and "band(s) of uint8" in caught.value.value
    pixels = read_image(path, "convert")
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.uint8 and pixels.flags["C_CONTIGUOUS"] and pixels.flags["WRITEABLE"]
    assert image_size(path) == pixels.shape[:2]


def test_sixteen_bits_are_stretched(tmp_path):
    # 0, 100 ... 10000: percentiles 2 and 98 are 200 and 9800, so v -> (v - 200) / 9600 * 255
    values = np.arange(0, 10001, 100, dtype=np.uint16)[None]
    expected = np.clip(np.round((np.arange(0, 10001, 100) - 200) / 9600 * 255), 0, 255)
    grey = tmp_path / "grey.png"
    Image.fromarray(values).save(grey)
    deep = geotiff(tmp_path / "deep.tif", np.stack([values] * 5), "uint16")
    for path, kind in ((grey, "1 band(s) of uint16"), (deep, "5 band(s) of uint16")):
        with pytest.raises(AnnotationError) as caught:
            read_image(path)
        assert caught.value.value.startswith(kind)
        pixels = read_image(path, "convert")
        assert pixels.shape == (1, 101, 3)
        for band in range(3):
            np.testing.assert_array_equal(pixels[0, :, band], expected)


def test_sixteen_bit_rgb_png_is_not_cut_to_eight_in_silence(tmp_path):
    path = tmp_path / "deep.png"
    data = np.arange(2 * 3 * 3, dtype=np.uint16).reshape(3, 2, 3) * 3000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="PNG", count=3, height=2, width=3, dtype="uint16") as file:
            file.write(data)
    with pytest.raises(AnnotationError) as caught:
        read_image(path)
    assert caught.value.value.startswith("3 band(s) of uint16") and "holds uint16, not 8 bits" in caught.value.reason
    assert image_size(path) == (2, 3) == read_image(path, "convert").shape[:2]


def test_the_stretch_keeps_colours_and_survives_nan(tmp_path):
    red = np.linspace(0, 1, 101)[None]
    data = np.stack([red, red, red / 2])
    data[0, 0, 50] = np.nan
    pixels = read_image(geotiff(tmp_path / "float.tif", data, "float32"), "convert")
    assert pixels[0, 50, 0] == 0 and abs(int(pixels[0, 80, 1]) - 2 * int(pixels[0, 80, 2])) < 12
    flat = read_image(geotiff(tmp_path / "flat.tif", np.full((1, 4, 4), 7), "uint16"), "convert")
    assert flat.max() == 0


@pytest.mark.parametrize("mode", ["strict", "convert"])
def test_inks_and_complex_numbers_are_refused_by_name(tmp_path, mode):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(AnnotationError, match=r"cyan, magenta|is a CMYK picture"):
        read_image(tmp_path / "a.jpg", mode)
    with pytest.raises(AnnotationError, match=r"holds complex numbers \(complex64\)"):
        read_image(geotiff(tmp_path / "b.tif", np.ones((3, 2, 2)), "complex64"), mode)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
def test_the_stretch_is_over_valid_pixels_and_the_others_are_black(tmp_path, dtype):
    # 0, 100 ... 10000 as above, and as many pixels of nodata again
    values = np.concatenate([np.arange(0, 10001, 100), np.full(101, 32000)])[None]
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 1, "width": 202, "dtype": dtype, "nodata": 32000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(values.astype(dtype), 1)
    expected = np.clip(np.round((np.arange(0, 10001, 100) - 200) / 9600 * 255), 0, 255)
    pixels = read_image(path, "convert")
    np.testing.assert_array_equal(pixels[0, :101, 0], expected)
    assert not pixels[0, 101:].any()


def test_exif_orientation_is_not_applied(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 50, 3), np.uint8)).save(path, exif=exif)
    tif = tmp_path / "turned.tif"
    Image.fromarray(np.zeros((20, 50, 3), np.uint8)).save(tif, tiffinfo={0x0112: 6})
    for file in (path, tif):
        assert image_size(file) == (20, 50) and read_image(file).shape == (20, 50, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_broken_files_are_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AnnotationError, match="broken or cut short") as caught:
        read_image(path)
    assert (caught.value.path, caught.value.value) == (path, path.name)
    path.write_bytes(data[:12])
    for read in (image_size, read_image):
        with pytest.raises(AnnotationError, match="broken or cut short") as caught:
            read(path)
        assert caught.value.path == path


def test_a_header_that_claims_too_much_is_an_error(tmp_path):
    path = tmp_path / "a.bmp"
    Image.fromarray(RGB).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = b"\xff\xff\xff\x7f" * 2  # width and height: 2^31 - 1
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match="broken or cut short"):
        read_image(path)


@pytest.mark.parametrize("data", [b"", b"hello, I am a text", b"GIF89a"])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for read in (image_size, read_image):
        with pytest.raises(AnnotationError, match="not a raster that GDAL can open"):
            read(path)


def test_missing_file_and_unknown_mode(tmp_path):
    for read in (image_size, read_image):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="'strict' or 'convert'"):
        read_image(tmp_path / "a.tif", "loose")


def test_rasters_above_pillows_limit_are_read(tmp_path, monkeypatch):
    path = tmp_path / "big.png"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    assert image_size(path) == (2, 3) and read_image(path).shape == (2, 3, 3)
