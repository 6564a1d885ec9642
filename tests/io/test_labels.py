"""Label files of every kind: the stored values, or an error that names what is wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.enums import ColorInterp as C

from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.labels import read_labels, read_values
from tests.io.test_rasters import REAL, png, write

LABELS = np.array([[0, 1, 7], [100, 3, 127]])


@pytest.mark.parametrize("dtype", [*REAL, "int64", "uint64"])
def test_whole_numbers_of_every_type_are_labels(tmp_path: Path, dtype: str) -> None:
    labels = read_labels(write(tmp_path / "a.tif", LABELS[None].astype(dtype), None))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("dtype", "value", "found"),
    [("int8", -1, "int8 values from -1 to 127"), ("uint16", 256, "uint16 values from 1 to 256"),
     ("int32", -9999, "int32 values from -9999 to 127"), ("float32", 0.5, "float32 values from 0.5 to 127"),
     ("float64", np.nan, "float64 values from nan to nan")],
)  # fmt: skip
def test_what_is_no_label_is_refused_by_name(tmp_path: Path, dtype: str, value: float, found: str) -> None:
    labels = LABELS[None].astype(dtype)
    labels[0, 0, 0] = value
    with pytest.raises(DataError, match=rf"a\.tif: holds {found}; labels must be whole numbers from 0 to 255"):
        read_labels(write(tmp_path / "a.tif", labels, None))


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused_by_name(tmp_path: Path, dtype: str) -> None:
    values = LABELS[None].astype("complex64" if dtype == "complex_int16" else dtype)
    with pytest.raises(DataError, match=rf"holds complex numbers \({dtype}\)"):
        read_labels(write(tmp_path / "a.tif", values, None, dtype=dtype))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_palettes_keep_their_indices(tmp_path: Path, name: str) -> None:
    picture = Image.fromarray(LABELS.astype(np.uint8))
    picture.putpalette(bytes(range(255, -1, -1)) * 3)
    picture.save(tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_grey_pictures_hold_labels(tmp_path: Path, name: str) -> None:
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)


def test_few_bits_keep_their_values(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "a.tif"):
        Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1").save(tmp_path / name)
        assert read_labels(tmp_path / name).tolist() == [[0, 1, 1]]
    assert read_labels(png(tmp_path / "2.png", 2, 0, (4, 1), bytes([0b00011011]))).tolist() == [[0, 1, 2, 3]]
    assert read_labels(png(tmp_path / "4.png", 4, 0, (4, 1), bytes([0x01, 0x7F]))).tolist() == [[0, 1, 7, 15]]
    transparent = (b"tRNS", struct.pack(">H", 3))
    assert read_labels(png(tmp_path / "t.png", 2, 0, (4, 1), bytes([0b00011011]), transparent)).tolist() == [
        [0, 1, 2, 3]
    ]
    palette = (b"PLTE", bytes([9, 9, 9, 255, 0, 0, 0, 255, 0]))
    assert read_labels(png(tmp_path / "p.png", 4, 3, (4, 1), bytes([0x01, 0x20]), palette)).tolist() == [[0, 1, 2, 0]]
    assert read_labels(write(tmp_path / "4.tif", np.array([[[0, 5]]], np.uint8), [C.gray], nbits=4)).tolist() == [
        [0, 5]
    ]


def test_sixteen_bits(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 16, 0, (3, 1), struct.pack(">3H", 0, 7, 255))
    assert read_labels(path).tolist() == [[0, 7, 255]]
    path = png(tmp_path / "b.png", 16, 0, (3, 1), struct.pack(">3H", 0, 7, 3000))
    with pytest.raises(DataError, match=r"b\.png: holds uint16 values from 0 to 3000"):
        read_labels(path)
    assert read_values(path).tolist() == [[0, 7, 3000]]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_colours_are_no_labels(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    with pytest.raises(DataError, match=r"has 3 bands \(red, green, blue\); labels must be one band"):
        read_labels(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "p.png", "p.bmp"])
def test_broken_and_missing_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=name):
        read_labels(tmp_path / name)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    if name.startswith("p"):
        picture.putpalette(bytes(range(256)) * 3)
    picture.save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for share in (0, 0.01, 0.5, 0.98):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnreadableFileError, match=rf"^{tmp_path / name}: "):
            read_labels(tmp_path / name)
