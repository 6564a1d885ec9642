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

__all__ = ["Picture", "PictureHeader", "decode_picture", "read_header"]

_C = ColorInterp
_PNG_COLOURS = {0: (_C.gray,), 2: (_C.red, _C.green, _C.blue), 3: (_C.palette,), 4: (_C.gray, _C.alpha),
                6: (_C.red, _C.green, _C.blue, _C.alpha)}  # fmt: skip
_JPEG_COLOURS = {1: (_C.gray,), 3: (_C.red, _C.green, _C.blue), 4: (_C.cyan, _C.magenta, _C.yellow, _C.black)}
_BMP_COLOURS = {"1": _PNG_COLOURS[0], "L": _PNG_COLOURS[0], "P": _PNG_COLOURS[3], "RGB": _PNG_COLOURS[2],
                "RGBA": _PNG_COLOURS[6]}  # fmt: skip
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that begin a frame, which holds its size."""


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        kind: ``PNG``, ``JPEG`` or ``BMP``.
        size: (H, W) in pixels.
        bits: Bits of a number: 1, 2, 4, 8 or 16.
        colours: What each band is, in the order in which they are given out.
        frame: Where the frame of a JPEG begins in the file, in bytes.
    """

    kind: str
    size: tuple[int, int]
    bits: int
    colours: tuple[ColorInterp, ...]
    frame: int = 0

    @property
    def dtype(self) -> str:
        """Type of the decoded numbers; those of fewer than 8 bits are scaled to 0..255, as the formats say."""
        return "uint16" if self.bits == 16 else "uint8"


def read_header(path: Path | str) -> PictureHeader | None:
    """The header of a PNG, JPEG or BMP file; None for everything else, also for what is no file.

    Raises:
        UnreadableFileError: It is cut short or broken.
        OSError: The file cannot be read.
    """
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        magic = file.read(8)
        file.seek(0)
        try:
            if magic.startswith(b"\x89PNG"):
                return _png_header(file)
            if magic.startswith(b"\xff\xd8"):
                return _jpeg_header(file)
            return _bmp_header(file) if magic.startswith(b"BM") else None
        except (struct.error, KeyError, ValueError, SyntaxError, EOFError) as error:
            raise UnreadableFileError(f"{path}: the header of the picture is broken or cut short ({error})") from error


def _png_header(file: BinaryIO) -> PictureHeader:
    file.seek(16)
    width, height, bits, kind = struct.unpack(">IIBB", file.read(10))
    colours = _PNG_COLOURS[kind]
    if kind in (0, 2):  # one colour may be declared transparent, which decodes as alpha
        file.seek(33)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            if name == b"tRNS":
                colours = (*colours, _C.alpha)
            file.seek(length + 4, 1)
    return PictureHeader("PNG", (height, width), bits, colours)


def _jpeg_header(file: BinaryIO) -> PictureHeader:
    file.seek(2)
    while True:
        marker = file.read(1)
        if marker == b"\xff":
            continue
        if not marker:
            raise EOFError("it ends before the image begins")
        length, bits, height, width, count = struct.unpack(">HBHHB", file.read(8))
        if marker[0] in _FRAMES:
            return PictureHeader("JPEG", (height, width), bits, _JPEG_COLOURS[count], file.tell())
        file.seek(length - 8, 1)


def _bmp_header(file: BinaryIO) -> PictureHeader:
    from PIL import BmpImagePlugin  # OpenCV does not tell whether there was a palette

    try:
        image = BmpImagePlugin.BmpImageFile(file)
    except OSError as error:  # what Pillow says of a file that is cut short
        raise ValueError(error) from error
    with image:
        bits = 1 if image.mode == "1" else 8
        return PictureHeader("BMP", (image.height, image.width), bits, _BMP_COLOURS[image.mode])


class Picture:
    """A decoded picture, with as much of a rasterio dataset's interface as the reader needs.

    Args:
        header: What its header says.
        pixels: (H, W, C) in the order of the header's colours.
    """

    def __init__(self, header: PictureHeader, pixels: NDArray[Any]) -> None:
        self.pixels = pixels
        self.height, self.width, self.count = pixels.shape
        self.colorinterp, self.dtypes = header.colours, (header.dtype,) * self.count
        self.nodatavals = (None,) * self.count
        masked = ColorInterp.alpha in header.colours
        self.mask_flag_enums = [
            [MaskFlags.per_dataset, MaskFlags.alpha] if masked else [MaskFlags.all_valid]
        ] * self.count

    def read(
        self, bands: int | Sequence[int], window: Window, out_shape: tuple[int, ...] | None = None, **_: Any
    ) -> NDArray[Any]:
        """Bands (C, h, w), or (h, w) of a single number; a view of the pixels where they are not resized by average."""
        part = self.pixels[window.toslices()]
        if out_shape is not None and out_shape[-2:] != part.shape[:2]:
            size = out_shape[:-3:-1]
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], self.count)
        if isinstance(bands, int):
            return part[..., bands - 1]
        first, last = bands[0], bands[-1]
        if list(bands) == list(range(first, last + 1)):
            part = part[..., first - 1 : last]
        elif list(bands) == list(range(first, last - 1, -1)):
            part = part[..., last - 1 : first][..., ::-1]
        else:
            part = part[..., [band - 1 for band in bands]]
        return np.moveaxis(part, -1, 0)

    def close(self) -> None:
        """Let the pixels go."""
        self.pixels = self.pixels[:0]


def decode_picture(path: Path | str, header: PictureHeader) -> Picture:
    """Decode a picture.

    Raises:
        UnreadableFileError: It is cut short or broken.
        DataError: It has no colours of light: a palette, or the inks of print.
        OSError: The file cannot be read.
    """
    if _C.cyan in header.colours:
        raise DataError(f"{path}: is a CMYK picture, made for print; convert it to RGB first")
    if _C.palette in header.colours:
        raise DataError(f"{path}: is a palette image; expand it first: gdal_translate -expand rgb")
    if header.bits not in (1, 2, 4, 8, 16):
        raise DataError(
            f"{path}: is a {header.kind} of {header.bits} bits, which OpenCV would cut to 8; convert it to TIFF"
        )
    data = Path(path).read_bytes()
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableFileError(f"{path}: OpenCV cannot decode it ({error})") from error
    whole = pixels is not None and (header.kind != "JPEG" or _ends(data, header.frame))
    if not whole or pixels.shape[:2] != header.size:
        raise UnreadableFileError(f"{path}: OpenCV cannot decode it, the data of the picture are cut short or broken")
    count = len(header.colours)
    pixels = pixels.reshape(*header.size, -1)
    if pixels.shape[2] == 4:  # OpenCV gives blue first, and grey with alpha as four bands
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
        pixels = {2: pixels[..., [0, 3]], 3: pixels[..., :3], 4: pixels}[count]
    elif pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    if pixels.shape[2] != count or pixels.dtype != header.dtype:
        raise UnreadableFileError(
            f"{path}: OpenCV gives {pixels.shape[2]} bands of {pixels.dtype}, the header says {count}"
        )
    return Picture(header, pixels)


def _ends(data: bytes, frame: int) -> bool:
    """Whether a JPEG has its end; OpenCV 4 fills up what is missing, in silence."""
    scan = data.find(b"\xff\xda", frame)
    return scan >= 0 and data.find(b"\xff\xd9", scan) >= 0
