"""Plain pictures (PNG, JPEG, BMP): their headers, and their pixels as OpenCV decodes them.

OpenCV, Pillow and GDAL give the same pixels of PNG and BMP; of a JPEG with subsampled colours GDAL's differ by up to 16
of 255 (measured, rasterio 1.4), so that all of rsseg reads JPEG by OpenCV.  EXIF orientation is never applied.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.damaged import reading
from rsseg.io.limits import check_pixels

__all__ = ["Picture", "PictureHeader", "decode_picture", "read_header"]

_C = ColorInterp
_PNG_COLOURS = {0: (_C.gray,), 2: (_C.red, _C.green, _C.blue), 3: (_C.palette,), 4: (_C.gray, _C.alpha),
                6: (_C.red, _C.green, _C.blue, _C.alpha)}  # fmt: skip
_JPEG_COLOURS = {1: (_C.gray,), 3: (_C.red, _C.green, _C.blue), 4: (_C.cyan, _C.magenta, _C.yellow, _C.black)}
_BMP_COLOURS = {"1": _PNG_COLOURS[0], "L": _PNG_COLOURS[0], "P": _PNG_COLOURS[3], "RGB": _PNG_COLOURS[2],
                "RGBA": _PNG_COLOURS[6]}  # fmt: skip
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers of a JPEG without anything that belongs to them."""
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_SCANS = 100
"""Passes that a JPEG may have; libjpeg's own progressive files have 10."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that begin a frame, which holds its size."""


# Number of bands of a file: numbers that OpenCV may give, and where the bands are in them: blue comes first, and grey
# with alpha as four; a fourth band of a BMP without alpha means nothing.
_DECODED = {1: ((1,), (0,)), 2: ((4,), (0, 3)), 3: ((3, 4), (2, 1, 0)), 4: ((4,), (2, 1, 0, 3))}


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        kind: ``PNG``, ``JPEG`` or ``BMP``.
        size: (H, W) in pixels.
        bits: Bits of a number: 1, 2, 4, 8 or 16.
        colours: What each band is, in the order in which they are given out.
        frame: Where the frame of a JPEG begins in the file, in bytes.
        transparent: Decoded value of a grey PNG that is declared transparent; its alpha band is made of it.
    """

    kind: str
    size: tuple[int, int]
    bits: int
    colours: tuple[ColorInterp, ...]
    frame: int = 0
    transparent: int | None = None

    @property
    def dtype(self) -> str:
        """Type of the decoded numbers; those of fewer than 8 bits are scaled to 0..255, as the formats say."""
        return "uint16" if self.bits == 16 else "uint8"


def read_header(path: Path | str) -> PictureHeader | None:
    """The header of a PNG, JPEG or BMP file; None for everything else, also for what is no file.

    Raises:
        UnreadableFileError: It is cut short or broken, or cannot be read.
    """
    if not Path(path).is_file():
        return None
    with reading(path):
        file = Path(path).open("rb")  # noqa: SIM115
    with file, reading(path, "the header of the picture is broken or cut short"):
        magic = file.read(8)
        file.seek(0)
        if magic.startswith(b"\x89PNG"):
            return _png_header(file)
        if magic.startswith(b"\xff\xd8"):
            return _jpeg_header(file)
        return _bmp_header(file) if magic.startswith(b"BM") else None


def _png_header(file: BinaryIO) -> PictureHeader:
    if file.read(16)[8:] != b"\0\0\0\rIHDR":
        raise ValueError("a PNG begins with its size")
    width, height, bits, kind = struct.unpack(">IIBB", file.read(10))
    if bits not in (1, 2, 4, 8, 16):
        raise ValueError(f"numbers of {bits} bits")
    colours = _PNG_COLOURS[kind]
    transparent = None
    if kind in (0, 2):  # one colour may be declared transparent; OpenCV gives alpha then, but not for grey
        file.seek(33)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            data = file.read(length) if name == b"tRNS" else None
            file.seek(4 if data is not None else length + 4, 1)
            if data is not None:
                colours = (*colours, _C.alpha)
                if kind == 0:
                    transparent = struct.unpack(">H", data)[0] * (255 // (2**bits - 1) if bits < 8 else 1)
    return PictureHeader("PNG", (height, width), bits, colours, transparent=transparent)


def _jpeg_header(file: BinaryIO) -> PictureHeader:
    file.seek(2)
    while True:
        marker = _next_marker(file)
        if marker in _ALONE:
            continue
        length, bits, height, width, count = struct.unpack(">HBHHB", file.read(8))
        if marker in _FRAMES:
            return PictureHeader("JPEG", (height, width), bits, _JPEG_COLOURS[count], file.tell())
        if length < 2:
            raise ValueError(f"a segment of {length} bytes")
        file.seek(length - 8, 1)


def _next_marker(file: BinaryIO) -> int:
    """The next marker of a JPEG, found as libjpeg does, which passes over what is none."""
    byte = file.read(1)
    while byte:
        while byte not in (b"\xff", b""):
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if byte not in (b"\0", b""):
            return byte[0]
    raise EOFError("it ends before the image begins")


def _bmp_header(file: BinaryIO) -> PictureHeader:
    from PIL import BmpImagePlugin  # OpenCV does not tell whether there was a palette

    with BmpImagePlugin.BmpImageFile(file) as image:
        bits = 1 if image.mode == "1" else 8
        return PictureHeader("BMP", (image.height, image.width), bits, _BMP_COLOURS[image.mode])


class Picture:
    """A decoded picture, with as much of a rasterio dataset's interface as the reader needs.

    Args:
        header: What its header says.
        pixels: (H, W, K) as decoded.
        channels: Where in K the bands of the header are.
    """

    def __init__(self, header: PictureHeader, pixels: NDArray[Any], channels: Sequence[int]) -> None:
        self.pixels, self.channels = pixels, channels
        self.height, self.width = header.size
        self.count = len(channels)
        self.colorinterp, self.dtypes = header.colours, (header.dtype,) * self.count
        self.nodatavals = (None,) * self.count
        masked = ColorInterp.alpha in header.colours
        flags = [MaskFlags.per_dataset, MaskFlags.alpha] if masked else [MaskFlags.all_valid]
        self.mask_flag_enums = [flags] * self.count

    def read(
        self, bands: int | Sequence[int], window: Window, out_shape: tuple[int, ...] | None = None, **_: Any
    ) -> NDArray[Any]:
        """Bands (C, h, w), or (h, w) of a single number; a view of the pixels where that is possible."""
        part = self.pixels[window.toslices()]
        if out_shape is not None and out_shape[-2:] != part.shape[:2]:
            size = out_shape[:-3:-1]
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
        if isinstance(bands, int):
            return part[..., self.channels[bands - 1]]
        chosen = [self.channels[band - 1] for band in bands]
        if chosen == [2, 1, 0] and part.shape[2] == 3:
            part = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_BGR2RGB)  # ten times as fast as indexing
        elif chosen != list(range(part.shape[2])):
            part = part[..., chosen]
        return np.moveaxis(part, -1, 0)

    def close(self) -> None:
        """Let the pixels go."""
        self.pixels = self.pixels[:0]


def decode_picture(path: Path | str, header: PictureHeader) -> Picture:
    """Decode a picture.

    Raises:
        UnreadableFileError: It is cut short or broken.
        DataError: It has no colours of light: a palette, or the inks of print; or more pixels than allowed.
        OSError: The file cannot be read.
    """
    check_pixels(header.size, path)
    if _C.cyan in header.colours:
        raise DataError(f"{path}: is a CMYK picture, made for print; convert it to RGB first")
    if _C.palette in header.colours:
        raise DataError(f"{path}: is a palette image; expand it first: gdal_translate -expand rgb")
    if header.bits not in (1, 2, 4, 8, 16):
        raise DataError(
            f"{path}: is a {header.kind} of {header.bits} bits, which OpenCV would cut to 8; convert it to TIFF"
        )
    with reading(path):
        data = Path(path).read_bytes()
    if header.kind == "PNG":
        data = _still(data, path)
    if header.kind == "JPEG" and data.count(b"\xff\xda") > _SCANS:
        raise DataError(f"{path}: has more than {_SCANS} scans, each of which would be decoded as a whole image")
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise UnreadableFileError(f"{path}: OpenCV cannot decode it ({error})") from error
    whole = pixels is not None and (header.kind != "JPEG" or _ends(data, header.frame))
    if not whole or pixels.shape[:2] != header.size:
        raise UnreadableFileError(f"{path}: OpenCV cannot decode it, the data of the picture are cut short or broken")
    count, pixels = len(header.colours), pixels.reshape(*header.size, -1)
    if header.transparent is not None:
        pixels = np.concatenate([pixels, np.where(pixels == header.transparent, 0, 255).astype(pixels.dtype)], 2)
    allowed, channels = _DECODED[count] if header.transparent is None else ((2,), (0, 1))
    if pixels.shape[2] not in allowed or pixels.dtype != header.dtype:
        found = f"{pixels.shape[2]} bands of {pixels.dtype}"
        raise UnreadableFileError(f"{path}: OpenCV gives {found}, the header says {count} of {header.dtype}")
    return Picture(header, pixels, channels)


def _still(data: bytes, path: Path | str) -> bytes:
    """A PNG whose parts all lie in the file, as OpenCV reserves what they claim; without the frames of an animation."""
    at, parts = 8, [data[:8]]
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise UnreadableFileError(f"{path}: the picture is broken or cut short (at its part {kind!r})")
        parts.append(data[at:end] if kind not in _ANIMATION else b"")
        if kind == b"IEND":
            break
        at = end
    return b"".join(parts) if b"acTL" in data else data


def _ends(data: bytes, frame: int) -> bool:
    """Whether a JPEG has its end; OpenCV 4 fills up what is missing, in silence."""
    scan = data.find(b"\xff\xda", frame)
    return scan >= 0 and data.find(b"\xff\xd9", scan) >= 0
