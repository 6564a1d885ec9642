"""The reader of rasters and pictures: everything in rsseg that looks at pixels reads them here.

What training sees is therefore what the map sees.  TIFFs and all else that GDAL opens go through rasterio, plain
pictures (:mod:`rsseg.io.pictures`) through OpenCV, but for those too large to be held in memory.  Which bands are read
and what becomes of their numbers is decided in :mod:`rsseg.io.bands`; the orientation that a file states (EXIF, TIFF),
its scale and its offset are not applied: boxes, labels and maps are of the pixels as they are stored.

A pixel is valid where the file's mask, its alpha band, its nodata values and the numbers themselves (no NaN) agree that
it is.  Pixels of integers are invalid where all bands have the nodata value, as black may be a colour; those of floats,
and of several rasters as one, where any has.  A band marked alpha is a mask and never changes the others, unless it is
declared as one to read.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.addresses import Address, hide_secrets, is_text_name, locate, shown_name
from rsseg.io.bands import PixelSpec, alpha_band, check_numbers, choose_bands, refuse_complex, scale_values
from rsseg.io.damaged import reading
from rsseg.io.limits import check_pixels
from rsseg.io.opening import gdal_settings, open_named
from rsseg.io.pictures import Picture, PictureHeader, decode_picture, read_header
from rsseg.io.tiff import cut_arrays, orientation, read_tags, turned_by_gdal

__all__ = [
    "Pixels",
    "Raster",
    "Valid",
    "ignore_missing_georeference",
    "image_size",
    "lacks_mask",
    "open_dataset",
    "opened",
    "read_image",
    "read_stored",
    "stored_in_blocks",
]

Pixels = NDArray[Any]
Valid = NDArray[np.bool_] | None
_NOT_OPENED = "not a raster that GDAL can open"
_ODD_HEADER = "its header cannot be understood"
_WHOLE = 1 << 25
"""Pixels up to which a plain picture is decoded at once; larger ones are read by GDAL, window by window."""
_BANDS = 4096
"""Bands that a file may have; each costs time wherever the file is opened."""


def ignore_missing_georeference() -> None:
    """Let rasterio warn of no file without georeference.

    For good, as catch_warnings is not safe among threads; and once, as each change makes others' warnings new.
    """
    for action, message, category, module, _ in warnings.filters:
        if message is None and module is None and issubclass(NotGeoreferencedWarning, category):
            if action == "ignore":
                return
            break
    warnings.simplefilter("ignore", NotGeoreferencedWarning)


def open_dataset(path: str | Path, level: int | None = None) -> Any:
    """A dataset of rasterio.  A file without georeference is nothing to warn of.

    Args:
        path: Anything that GDAL opens.
        level: Which of its overviews to open, from 0, in place of the full resolution.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: GDAL cannot open it, or it only names other rasters.
        DataError: It is stored in blocks of more pixels than allowed, has thousands of bands, or is turned in part.
    """
    ignore_missing_georeference()
    path = locate(path)
    named = not isinstance(path, Address)  # a file, and no address that GDAL knows
    if named and _is_text(Path(path)):
        raise UnreadableFileError(f"{path}: is a text that refers to other files or addresses, and no image")
    try:
        with reading(path, _NOT_OPENED), rasterio.Env(**gdal_settings(path)):
            file = open_named(path, open_dataset, level)
    except UnreadableFileError as error:
        if named and not os.path.lexists(path):
            raise FileNotFoundError(f"{path}: {_NOT_OPENED} (there is no such file)") from error
        raise
    tags = read_tags(path)
    if missing := cut_arrays(path, tags):
        file.close()
        raise UnreadableFileError(f"{path}: the file is cut short, its {' and '.join(missing)} are missing")
    if file.count > _BANDS:
        file.close()
        raise DataError(f"{path}: claims {file.count} bands; at most {_BANDS} are read")
    for block in set(file.block_shapes):  # GDAL decodes blocks as a whole, however small the window is
        try:
            check_pixels(block, path, "a block of the file")
        except DataError:
            file.close()
            raise
    if turned_by_gdal(tags):
        file.close()
        raise DataError(
            f"{path}: its orientation tag ({orientation(tags)}) says that it is stored turned, and colours of its kind "
            "are turned in part when they are converted to RGB; save it upright, as RGB, first"
        )
    if not file.count:
        tags = file.tags(ns="SUBDATASETS").items()  # file.subdatasets lacks quotes, without which GDAL opens no address
        names = [hide_secrets(name) for key, name in tags if key.endswith("_NAME")]
        file.close()
        raise UnreadableFileError(f"{path}: has no bands of its own; name one of {', '.join(names[:4])}")
    return file


def _is_text(path: Path) -> bool:
    """Whether an image is a text after all, by which GDAL would read other files, or ask servers, without a word."""
    if is_text_name(str(path)) or not path.is_file():
        return False
    with reading(path, _NOT_OPENED), path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"<", b"{")


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """A dataset of rasterio for the length of a block, in which every error of GDAL names the file.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: GDAL cannot open it or what is asked for in the block, or it only names other rasters.
    """
    with open_dataset(path) as file, reading(path, "is damaged"), rasterio.Env(**gdal_settings(path)):
        yield file


def lacks_mask(dataset: Any) -> bool:
    """Whether a warped view of a dataset needs an alpha band of its own for what lies beyond: no nodata, no alpha."""
    flags = {flag for band in dataset.mask_flag_enums for flag in band}
    return not flags & {MaskFlags.nodata, MaskFlags.alpha} and ColorInterp.alpha not in dataset.colorinterp


def stored_in_blocks(dataset: Any) -> bool:
    """Whether the blocks in which a dataset is stored hold a quarter of its pixels or fewer."""
    blocks = dataset.block_shapes
    return bool(blocks) and all(4 * height * width <= dataset.height * dataset.width for height, width in blocks)


def read_stored(file: Any, band: int, window: Window | None = None) -> Pixels:
    """The numbers (H, W) of one band of a dataset, or of a window of it, as they are stored, whatever they mean.

    Raises:
        UnreadableFileError: The file is damaged.
        DataError: There are more numbers than allowed.
    """
    check_pixels(file.shape if window is None else (window.height, window.width), shown_name(file.name))
    with reading(file.name), rasterio.Env(**gdal_settings(file.name)):
        return file.read(band, window=window)


class Raster:
    """An open raster or picture; used by one thread at a time, and as a context manager.

    Args:
        path: A picture, or anything that GDAL opens.
        spec: What is declared about its pixels.
        view: Function of the dataset that gives another dataset to read from, such as a ``WarpedVRT``.
        blue_first: Give three bands in reverse order, as OpenCV has them and mmseg's models get them.

    Attributes:
        size: (H, W) in pixels, of the view where there is one.
        bands: Numbers from 1 of the bands that are read, red, green, blue first.
        dtypes: Types of these bands in the file, as rasterio names them.
        all_valid: The file has no means to say that a pixel is not valid.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: Its bands or the meaning of its numbers are not known, or it is complex or has a palette.
    """

    def __init__(
        self,
        path: str | Path,
        spec: PixelSpec = PixelSpec(),  # noqa: B008
        view: Callable[[Any], Any] | None = None,
        blue_first: bool = False,
    ) -> None:
        path = locate(path)
        self.path, self.spec = path, spec
        self._dataset: Any = None
        self._data: Any = None
        header = None if view is not None else read_header(path)
        try:
            file = self._open(header)
            with reading(path, _ODD_HEADER):
                types, colours = file.dtypes, file.colorinterp
            chosen = range(1, file.count + 1) if spec.bands is None else spec.bands
            refuse_complex([types[band - 1] for band in chosen if band <= file.count], str(path))
            self.bands = choose_bands(colours, spec, str(path))
            self.dtypes = tuple(types[band - 1] for band in self.bands)
            with reading(path, _ODD_HEADER):
                bits = _bits(file, self.bands)
            check_numbers(self.dtypes, bits, spec, str(path))
            if self._data is None:
                with reading(path):
                    self._data = file if view is None else view(file)
        except BaseException:
            self.close()
            raise
        self.size: tuple[int, int] = (self._data.height, self._data.width)
        self._mixed = np.result_type(*self.dtypes) if len(set(self.dtypes)) > 1 else None
        self._alpha = alpha_band(self._data.colorinterp, self.bands)
        self._order = self.bands[::-1] if blue_first and len(self.bands) == 3 else self.bands
        self._masks = [flags for flags in self._data.mask_flag_enums]
        open_flags = all(MaskFlags.all_valid in self._masks[band - 1] for band in self.bands)
        self._opaque = view is None and open_flags and self._alpha is None
        self.all_valid = self._opaque and all(np.dtype(name).kind != "f" for name in self.dtypes)

    def _open(self, header: PictureHeader | None) -> Any:
        if header is not None and (header.size[0] * header.size[1] <= _WHOLE or header.bits < 8):
            self._data = decode_picture(self.path, header)
            return self._data
        return self.dataset

    @property
    def dataset(self) -> Any:
        """The file as rasterio opens it, for its georeference and its tags; closed with the raster."""
        if self._dataset is None:
            self._dataset = open_dataset(self.path)
        return self._dataset

    @property
    def in_blocks(self) -> bool:
        """Whether a part of the image can be read without the whole."""
        return not self.decoded and stored_in_blocks(self._data)

    @property
    def decoded(self) -> bool:
        """Whether all pixels are in memory."""
        return isinstance(self._data, Picture)

    def read(
        self, x1: int = 0, y1: int = 0, x2: int | None = None, y2: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Pixels, Valid]:  # fmt: skip
        """Pixels and validity of a window, by default of all; both contiguous.

        Args:
            x1: First column; x2, y2 are beyond the last.
            y1: First row.
            x2: Column after the last.
            y2: Row after the last.
            size: (h, w) to which the window is resized, pixels by average and validity by the nearest.

        Returns:
            (C, h, w) in the order of ``bands`` (or blue first): float32 in 0..255 with a declared range, else numbers
            of the file's type (the type that holds all where bands have several), 0 where they are not finite.  And
            (h, w) bool, or None where all pixels are valid.

        Raises:
            UnreadableFileError: The file is damaged; the message names it and the pixels.
            DataError: The window has more pixels than allowed.
        """
        pixels, valid = self._read(x1, y1, x2, y2, size)
        return np.ascontiguousarray(pixels), valid

    def _read(
        self, x1: int = 0, y1: int = 0, x2: int | None = None, y2: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Pixels, Valid]:  # fmt: skip
        """As :meth:`read`, where pixels may be a view of a decoded picture."""
        x2, y2 = (self.size[1] if x2 is None else x2), (self.size[0] if y2 is None else y2)
        window = Window(x1, y1, x2 - x1, y2 - y1)
        shape = None if size is None else (int(size[0]), int(size[1]))
        if not self.decoded:
            whole = (x1, y1, x2, y2) == (0, 0, *self.size[::-1])
            check_pixels(shape or (y2 - y1, x2 - x1), self.path, "the image" if whole else "a window of the image")
        where = f"cannot be read at columns {x1}..{x2}, rows {y1}..{y2}"
        with reading(self.path, where), rasterio.Env(**gdal_settings(self.path)):
            pixels = self._numbers(window, shape)
            valid = None if self._opaque else self._validity(pixels, window, shape)
        if pixels.dtype.kind == "f":
            finite: Any = np.isfinite(pixels).all(axis=0)
            if not finite.all():
                valid = finite if valid is None else valid & finite
                pixels = np.where(np.isfinite(pixels), pixels, 0).astype(pixels.dtype, copy=False)
        if isinstance(self.spec.value_range, tuple):
            pixels = scale_values(pixels, self.spec.value_range)
        return pixels, None if valid is None or valid.all() else valid

    def read_whole(self) -> tuple[Pixels, Valid]:
        """The whole image (H, W, C), contiguous, and its validity; see :func:`read_image`."""
        pixels, valid = self._read()
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1)), valid

    def _numbers(self, window: Window, size: tuple[int, int] | None) -> Pixels:
        bands = list(self._order)
        options = {} if size is None else {"resampling": Resampling.average}
        if self._mixed is None:
            shape = None if size is None else (len(bands), *size)
            return self._data.read(bands, window=window, out_shape=shape, **options)
        read = [self._data.read(band, window=window, out_shape=size, **options) for band in bands]
        return np.stack([band.astype(self._mixed) for band in read])

    def _validity(self, pixels: Pixels, window: Window, size: tuple[int, int] | None) -> NDArray[np.bool_]:
        """Validity (h, w) by all that the file has: GDAL itself lets a mask or alpha hide nodata values."""
        valid: Any = np.ones(pixels.shape[1:], bool)
        flags = self._masks[self.bands[0] - 1]
        if not self.decoded and not any(self._data.colorinterp[b - 1] == ColorInterp.alpha for b in self.bands):
            valid &= self._data.dataset_mask(window=window, out_shape=size) > 0
            if MaskFlags.per_dataset in flags:
                valid &= self._data.read_masks(self.bands[0], window=window, out_shape=size) > 0
        elif MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:  # a mask beside alpha that is data
            valid &= self._data.read_masks(self.bands[0], window=window, out_shape=size) > 0
        if self._alpha is not None:
            valid &= self._data.read(self._alpha, window=window, out_shape=size) > 0
        apart = isinstance(self.path, Address) and bool(self.path.parts)
        return valid & ~_empty(pixels, [self._data.nodatavals[band - 1] for band in self._order], apart)

    def close(self) -> None:
        """Close the file."""
        for data in (self._data, self._dataset):
            if data is not None:
                data.close()

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _empty(pixels: Pixels, values: Sequence[float | None], apart: bool) -> NDArray[np.bool_]:
    """(h, w): where numbers (C, h, w) are the nodata values of their bands, which may be rasters apart."""
    known: list[Any] = [band == value for band, value in zip(pixels, values, strict=True) if value is not None]
    if not known:
        return np.zeros(pixels.shape[1:], bool)
    some: Any = np.stack(known)
    if apart or pixels.dtype.kind == "f":
        return some.any(axis=0)
    return some.all(axis=0) & (len(known) == len(values))


def _bits(file: Any, bands: Sequence[int]) -> int | None:
    """Bits of a number where a TIFF says that they are fewer than its type has."""
    if isinstance(file, Picture):
        return None
    found = [file.tags(band, ns="IMAGE_STRUCTURE").get("NBITS") for band in bands]
    return min((int(bits) for bits in found if bits is not None), default=None)


def read_image(
    path: str | Path,
    spec: PixelSpec = PixelSpec(),  # noqa: B008
    blue_first: bool = False,
) -> tuple[Pixels, Valid]:
    """A whole image.

    Args:
        path: A picture, or anything that GDAL opens.
        spec: What is declared about its pixels.
        blue_first: Give three bands in reverse order, as OpenCV has them and mmseg's models get them.

    Returns:
        (H, W, C), contiguous, numbers and order as :meth:`Raster.read` gives them; and (H, W) bool, or None where all
        pixels are valid.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: Its bands or the meaning of its numbers are not known, or it is complex or has a palette.
    """
    with Raster(path, spec, blue_first=blue_first) as raster:
        return raster.read_whole()


def image_size(path: str | Path) -> tuple[int, int]:
    """(H, W) in pixels, from the header alone.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
    """
    header = read_header(path)
    if header is not None:
        return header.size
    with opened(path) as file:
        return int(file.height), int(file.width)
