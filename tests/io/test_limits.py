"""Files that claim more than they hold: refused from their headers, in bounded time and memory."""

from __future__ import annotations

import io
import json
import pickle
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.commands import error_line, make_parser
from rsseg.conversion.tile_source import TileSource
from rsseg.conversion.tiling import cut_images
from rsseg.datasets.detection.coco import read_coco
from rsseg.datasets.detection.dior import read_dior
from rsseg.datasets.labels import open_labels
from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.bands import PixelSpec
from rsseg.io.labels import read_labels, read_values
from rsseg.io.limits import MAX_PIXELS
from rsseg.io.rasters import Raster, image_size, open_dataset, read_image
from rsseg.io.rgb import convert_to_rgb
from rsseg.metainfo import load_metainfo

SIDE = 60000


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(bits: int, colour: int, side: int = SIDE) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    palette = _chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    packed = zlib.compressobj()
    data = packed.compress(bytes(1 << 20)) + packed.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + palette + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _jpeg(scans: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, "JPEG", progressive=bool(scans))
    data = file.getvalue()
    if scans:
        at = data.rfind(b"\xff\xda")
        return data[:at] + data[at:-2] * scans + data[-2:]
    at = data.find(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", SIDE, SIDE) + data[at + 9 :]


def _bmp(bits: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1 << 20, 0, 0, 54 + (8 if bits == 1 else 0)) + head + bytes(1 << 12)


def _tiff(path: Path, **options: Any) -> None:
    profile = dict(driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="uint8", SPARSE_OK=True, compress="deflate")
    with rasterio.open(path, "w", **(profile | options)):
        pass


def _animation() -> bytes:
    """A PNG of 4 x 4 pixels with a frame of many more."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    frames = _chunk(b"acTL", struct.pack(">II", 1, 0))
    frames += _chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 1, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(20)))
    return b"\x89PNG\r\n\x1a\n" + head + frames + pixels + _chunk(b"IEND", b"")


BOMBS: dict[str, Callable[[Path], object]] = {
    "png": lambda path: path.write_bytes(_png(8, 2)),
    "bits": lambda path: path.write_bytes(_png(1, 0)),
    "palette": lambda path: path.write_bytes(_png(1, 3)),
    "jpeg": lambda path: path.write_bytes(_jpeg()),
    "scans": lambda path: path.write_bytes(_jpeg(500)),
    "bmp": lambda path: path.write_bytes(_bmp(24)),
    "bmp of bits": lambda path: path.write_bytes(_bmp(1)),
    "tiff": lambda path: _tiff(path, tiled=True),
    "bands": lambda path: _tiff(path, tiled=True, count=3, photometric="RGB"),
    "block": lambda path: _tiff(path, blockysize=SIDE),
}
READERS: dict[str, Callable[[Path], Any]] = {
    "image": lambda path: read_image(path, PixelSpec(repeat_grey=True)),
    "labels": read_labels,
    "values": read_values,
    "rgb": convert_to_rgb,
    "rows": lambda path: TileSource(path, PixelSpec()).read(0, SIDE),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.img"
    BOMBS[name](path)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    messages = []
    for read in READERS.values():
        with pytest.raises(UserError, match=r"bomb\.img") as error:
            read(path)
        messages.append(str(error.value))
    assert time.process_time() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB
    limit = "more than 100 scans" if name == "scans" else f"more than {MAX_PIXELS}; it was not decoded"
    assert any(limit in text for text in messages), messages


def test_parts_of_pictures_that_claim_more(tmp_path: Path) -> None:
    good = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(good, "PNG")
    data = good.getvalue()
    at = data.index(b"IDAT") - 4
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(jpeg, "JPEG")
    large = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", SIDE, SIDE) + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    hidden = b"\xff\xd8\xe0\x00" + bytes([len(large) + 2]) + large + jpeg.getvalue()[2:]
    files = {
        "length.png": data[:at] + struct.pack(">I", 2**32 - 256) + data[at + 4 :],
        "size.png": data[:8] + _chunk(b"gAMA", struct.pack(">I", 1)) + data[8:],
        "hidden.jpg": hidden,
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            read_image(tmp_path / name, PixelSpec(repeat_grey=True))
    (tmp_path / "animation.png").write_bytes(_animation())
    assert read_labels(tmp_path / "animation.png").tolist() == [[0] * 4] * 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_windows_of_large_rasters_are_read(tmp_path: Path) -> None:
    _tiff(tmp_path / "large.tif", tiled=True, count=3, photometric="RGB")
    assert image_size(tmp_path / "large.tif") == (SIDE, SIDE)
    with Raster(tmp_path / "large.tif") as raster:
        assert raster.read(SIDE - 4, SIDE - 4, SIDE, SIDE)[0].shape == (3, 4, 4)
        with pytest.raises(DataError, match="a window of the image has"):
            raster.read(0, 0, SIDE, SIDE - 1)


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setenv("RSSEG_MAX_PIXELS", "19")
    with pytest.raises(DataError, match=r"a\.png: .* 4 x 5 = 20 pixels, more than 19; .*--max-pixels 20"):
        read_labels(tmp_path / "a.png")
    for text in ("20", "0"):
        monkeypatch.setenv("RSSEG_MAX_PIXELS", text)
        assert read_labels(tmp_path / "a.png").shape == (4, 5)
    monkeypatch.setenv("RSSEG_MAX_PIXELS", "many")
    with pytest.raises(ConfigError, match="RSSEG_MAX_PIXELS=many: must be a whole number"):
        read_labels(tmp_path / "a.png")
    make_parser("").parse_args(["--max-pixels", "7"])
    with pytest.raises(DataError, match="more than 7"):
        read_labels(tmp_path / "a.png")


CLAIMS = struct.Struct("<HHII")


def _directory(*tags: tuple[int, int, int, int], tail: bytes = b"") -> bytes:
    rows = b"".join(CLAIMS.pack(*tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + bytes(4) + tail


BASE = ((256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1))
HEADERS = {
    "strips": _directory(*BASE, (273, 4, 2**31 - 1, 8), (278, 4, 1, 1), (279, 4, 2**31 - 1, 8)),
    "size": _directory(
        (256, 4, 1, 2**32 - 1), (257, 4, 1, 2**32 - 1), *BASE[2:], (273, 4, 1, 8), (279, 4, 1, 2**32 - 1)
    ),
    "bands": _directory(*BASE[:5], (277, 3, 1, 65535), (273, 4, 1, 8), (279, 4, 1, 64)),
    "bits": _directory(*BASE[:2], (258, 3, 1, 65535), *BASE[3:], (273, 4, 1, 8), (279, 4, 1, 64)),
    "itself": b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8),
    "tags": b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + bytes(1000),
    "tiles": _directory(*BASE, (322, 4, 1, 2**31), (323, 4, 1, 2**31), (324, 4, 1, 8), (325, 4, 1, 8)),
    "no tiles": _directory(*BASE, (322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 8), (325, 4, 1, 8)),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_tiffs(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(HEADERS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (*READERS.values(), image_size, lambda path: open_dataset(path).close()):
        try:
            read(path)
        except UserError as error:
            assert "a.tif" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


DEEP = "[" * 100_000
COCO = {"images": [], "categories": [], "annotations": []}


TEXTS = [DEEP, DEEP + "]" * 100_000, '{"images": ' + DEEP, json.dumps(COCO)[:-1] + ',"x":' + DEEP, "9" * 100_000]


@pytest.mark.parametrize("text", [*TEXTS, '{"a":' * 100_000])
def test_deep_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    for read in (lambda path: read_coco(path, load_metainfo("sior")), lambda path: load_metainfo(str(path))):
        with pytest.raises(UserError, match=r"a\.json"):
            read(tmp_path / "a.json")


LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
XML = {
    "laughs": f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><annotation>&l9;</annotation>',
    "external": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
    "deep": "<annotation>" + "<a>" * 300_000,
    "deep and closed": "<annotation>" + "<a>" * 300_000 + "</a>" * 300_000 + "</annotation>",
    "text between": "<annotation>" + "x<b/>" * 200_000,
    "wide": "<annotation>" + "<a/>" * (1 << 19),
    "attributes": "<annotation " + " ".join(f"a{i}=''" for i in range(100_000)) + ">",
    "one attribute": f"<annotation a='{'x' * (1 << 24)}'>",
}


@pytest.mark.parametrize("name", XML)
def test_large_xml(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.xml").write_text(XML[name])
    start = time.process_time()
    with pytest.raises(UserError, match=r"a\.xml"):
        read_dior(tmp_path / "a.xml", load_metainfo("sior"))
    assert time.process_time() - start < 60


CRASH = """
import sys
from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file
try:
    load_file(sys.argv[1])
except DataError as error:
    print("refused:", "numpy.dtype of O8" in str(error))
"""


@pytest.mark.stack
@pytest.mark.slow
def test_an_address_in_a_checkpoint_is_not_followed(tmp_path: Path, fork_python: Callable[..., Any]) -> None:
    """A number of NumPy whose type is "object": the eight bytes would be the address of one."""
    import torch

    class Number:
        def __reduce__(self) -> Any:
            return np.float64(1).__reduce__()[0], (np.dtype("O"), b"AAAAAAAA")

    torch.save({"a": Number()}, tmp_path / "evil.pth")
    assert pickle.dumps(Number())
    done = fork_python("-c", CRASH, tmp_path / "evil.pth")
    assert (done.returncode, done.stdout.strip()) == (0, "refused: True"), done.stderr


def test_texts_are_no_images(tmp_path: Path) -> None:
    """GDAL looks at the content: a text called image.tif may have it read other files, or ask a server."""
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "secret.tif")
    band = '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">secret.tif'
    band += "</SourceFilename></SimpleSource></VRTRasterBand>"
    text = f'<VRTDataset rasterXSize="5" rasterYSize="4">{band}</VRTDataset>'
    service = '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service></GDAL_WMS>'
    texts = {"a.tif": text, "b.png": f"\n {text}", "c.jpg": service, "d.tif": '{"type": "STACIT"}'}
    for name, content in texts.items():
        (tmp_path / name).write_text(content)
        for read in (*READERS.values(), image_size):
            with pytest.raises(UserError, match=rf"{name}: is a text"):
                read(tmp_path / name)
    (tmp_path / "a.vrt").write_text(text)
    assert (read_labels(tmp_path / "a.vrt") == 7).all()


@pytest.mark.parametrize("side", [10**6, 300_000])
def test_tiles_of_an_image_that_claims_too_much(tmp_path: Path, side: int) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(_png(8, 2, side))
    start = time.process_time()
    (failure,) = cut_images(tmp_path / "in", tmp_path / "out", 512 if side > 500_000 else 128).failures
    assert "a.png: " in failure and ("a row of tiles has" in failure or "tiles, more than" in failure)
    assert time.process_time() - start < 30


def test_label_maps_of_a_released_set(tmp_path: Path) -> None:
    """The size of a label map is that of the masks: both may be the same, and too large."""
    (tmp_path / "sota" / "gray").mkdir(parents=True)
    (tmp_path / "sota" / "ins").mkdir()
    (tmp_path / "sota" / "gray" / "a.png").write_bytes(_png(8, 0))
    mask = {"size": [SIDE, SIDE], "counts": ""}
    (tmp_path / "sota" / "ins" / "a.pkl").write_bytes(pickle.dumps([{"mask": mask}], protocol=3))
    with pytest.raises(UserError, match=r"a\.png: the image has 60000 x 60000"):
        list(open_labels(tmp_path / "sota", classes="sota"))


def test_errors_do_not_speak_to_the_terminal() -> None:
    assert error_line(DataError("a\x1b[2Jb\x00\x9b\tc\nd")) == "DataError: a\\x1b[2Jb\\x00\\x9b\tc\nd"
