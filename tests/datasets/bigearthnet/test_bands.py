"""Bands from GeoTIFFs: order, interpolation, and errors that name patch and band."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rsseg.datasets.bigearthnet import read_bands, read_tif, stack_bands
from rsseg.datasets.bigearthnet.bands import check_bands

NAME = "S2A_MSIL2A_20170617T113321_36_85"


@pytest.fixture
def folder(tmp_path, writers):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    writers.bands(tmp_path, NAME, 0)
    return tmp_path / NAME


@pytest.mark.parametrize("names", [("B02", "B03", "B04"), ("B12", "B01", "B8A", "B08")])
def test_any_bands_in_any_order(folder, writers, names):
    planes = read_bands(folder, NAME, check_bands(names))
    image = stack_bands(planes)
    assert image.shape == (120, 120, len(names)) and image.dtype == np.float32
    for i, (name, plane) in enumerate(zip(names, planes, strict=True)):
        assert plane.shape == (writers.sides[name], writers.sides[name]) and plane.dtype == np.uint16
        if writers.sides[name] == 120:
            assert np.array_equal(image[..., i], plane)
        else:
            expected = cv2.resize(plane.astype(np.float64), (120, 120), interpolation=cv2.INTER_CUBIC)
            assert np.allclose(image[..., i], expected, atol=0.01)


def test_cubic_interpolation_by_hand():
    plane = np.zeros((60, 60), np.uint16)
    plane[:, 30:] = 1000
    row = stack_bands([plane])[0, :, 0]
    # a = -0.75: the weights at distances 0.25, 0.75, 1.25 and 1.75 are 0.87891, 0.26172, -0.10547 and -0.03516
    assert row[57:61] == pytest.approx([-35.16, -105.47, 261.72 - 35.16, 1000 - 226.56], abs=0.02)
    rounded = stack_bands([plane], np.uint16)[0, :, 0]
    assert rounded.dtype == np.uint16
    assert (rounded[58], rounded[59], rounded[60]) == (0, 227, 773)


def test_a_missing_or_misnamed_band(folder):
    (folder / f"{NAME}_B03.tif").rename(folder / f"{NAME}_B3.tif")
    message = rf"patch {NAME}, band B03: no file .*_B03\.tif; the folder has B01, B02, B04, .*B3"
    with pytest.raises(FileNotFoundError, match=message):
        read_bands(folder, NAME, check_bands(["B02", "B03"]))
    with pytest.raises(FileNotFoundError, match=r"band B02: no file .* the folder has no band of this patch"):
        read_bands(folder.parent / "nowhere", NAME, check_bands(["B02"]))


@pytest.mark.parametrize(
    ("band", "values", "found"),
    [
        ("B05", np.zeros((120, 120), np.uint16), r"uint16 of shape \(120, 120\), but must be 60 x 60 uint16"),
        ("B02", np.zeros((119, 120), np.uint16), r"uint16 of shape"),
        ("B02", np.zeros((120, 120), np.uint8), r"uint8 of shape \(120, 120\), but must be 120 x 120 uint16"),
        ("VV", np.zeros((120, 120), np.uint16), r"uint16 of shape \(120, 120\), but must be 120 x 120 float32"),
    ],
)
def test_another_size_or_type(folder, writers, band, values, found):
    writers.tif(folder / f"{NAME}_{band}.tif", values)
    with pytest.raises(ValueError, match=rf"patch {NAME}, band {band}: {found}"):
        read_tif(folder, NAME, *check_bands([band]))


@pytest.mark.parametrize("size", [0, 100, 20000, -10])
def test_a_cut_or_broken_file(folder, size):
    path = folder / f"{NAME}_B02.tif"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=rf"patch {NAME}, band B02: .*B02\.tif cannot be read as TIFF; unpack"):
        read_tif(folder, NAME, *check_bands(["B02"]))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["B02", "B10"], "unknown band 'B10' in BigEarthNet; expected one of: B01"),
        ([], "at least one"),
        (["B02"] * 2, "only once"),
        ("B02", r"bands='B02': expected a list of names, such as \['B02'\]"),
    ],
)
def test_wrong_names_of_bands(names, message):
    with pytest.raises(ValueError, match=message):
        check_bands(names)
