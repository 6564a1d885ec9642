"""Images and their colour-coded labels, cut into tiles that training reads.

``img_dir/<part>/<stem>__<x>_<y>.png`` (or ``.tif``) is RGB, ``ann_dir/<part>/`` holds the label values of the class
table with its palette embedded, and 255 where an image has no data.  Windows follow
:func:`rsseg.structures.windows.tile_windows`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError, UserError
from rsseg.io.bands import PixelSpec
from rsseg.io.cutting import CutReport, cut_all
from rsseg.io.files import remove_abandoned, replacing
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.output_names import TILE, make_folder, outputs_by_item
from rsseg.io.rasters import image_size, read_image
from rsseg.io.tile_files import encode_image, encode_indices
from rsseg.io.tile_formats import format_record
from rsseg.metainfo import IGNORE, load_metainfo
from rsseg.structures.windows import cut_window, tile_name, tile_windows

__all__ = ["Colour", "ColourCode", "Layout", "Pair", "cut_pairs", "tile_names"]

Colour = tuple[int, int, int]
_log = logging.getLogger("rsseg")


class ColourCode:
    """Colours of label pictures as label values.

    Args:
        table: Name of the class table, whose colours and stored values count.
        ignored: Colours of values that the table ignores, for which it has no colour.
        tolerance: Largest difference per channel at which a colour still counts as a known one.

    Attributes:
        palette: (256, 3) uint8 RGB of the label values.
    """

    def __init__(self, table: str, ignored: Mapping[Colour, int] | None = None, tolerance: int = 0) -> None:
        info = load_metainfo(table)
        values = dict(zip(info.palette, info.raw.tolist(), strict=True)) | dict(ignored or {})
        self.colours = np.array(list(values), np.int32)
        self.values = np.array(list(values.values()), np.uint8)
        self.tolerance = tolerance
        self.palette = np.zeros((256, 3), np.uint8)
        self.palette[self.values] = self.colours
        self._lut = np.full(1 << 24, IGNORE, np.uint8)
        self._lut[self._pack(self.colours)] = self.values

    def encode(self, picture: NDArray[np.uint8], where: str) -> tuple[NDArray[np.uint8], dict[Colour, int]]:
        """Label values of a picture.

        Args:
            picture: (H, W, 3) uint8 RGB.
            where: What to name in an error, usually the file.

        Returns:
            (H, W) uint8 label values, and the number of pixels of each colour that only nearly is a known one.

        Raises:
            DataError: A colour is none of the known ones.
        """
        packed = self._pack(picture)
        values = self._lut[packed]
        odd = values == IGNORE
        near: dict[Colour, int] = {}
        if odd.any():
            for code, count in zip(*np.unique(packed[odd], return_counts=True), strict=True):
                colour = (int(code) >> 16, int(code) >> 8 & 255, int(code) & 255)
                distance = np.abs(self.colours - np.array(colour)).max(axis=1)
                if distance.min() > self.tolerance:
                    raise DataError(
                        f"{where}: {count} pixels have the colour {colour}, which no class has; the nearest one "
                        f"is {tuple(self.colours[distance.argmin()].tolist())}, {distance.min()} away. Fix the file, "
                        "or raise the tolerance if that class is meant"
                    )
                values[packed == code] = self.values[distance.argmin()]
                near[colour] = int(count)
        return values, near

    @staticmethod
    def _pack(colours: NDArray[Any]) -> NDArray[np.int32]:
        red, green, blue = (colours[..., i].astype(np.int32) for i in range(3))
        return red << 16 | green << 8 | blue


@dataclass(frozen=True)
class Pair:
    """A source image and its label picture.

    Attributes:
        stem: What its tiles are called.
        part: Sub-folder, for example ``train``.
        image: Image whose red, green and blue are used, of 8 bits; a single grey band is repeated.
        label: Picture of class colours, of the same size.
    """

    stem: str
    part: str
    image: Path
    label: Path


@dataclass(frozen=True)
class Layout:
    """How tiles are cut and called.

    Attributes:
        size: Side of a tile in pixels.
        stride: From one tile to the next, in pixels.
        label_end: What follows ``<stem>__<x>_<y>`` in the name of a label tile, before the suffix.
        tile_format: One of :data:`~rsseg.io.tile_formats.TILE_FORMATS`.
    """

    size: int
    stride: int
    label_end: str = ""
    tile_format: str = "png"

    def windows(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """Windows (N, 4) of an image of ``size`` (H, W)."""
        return tile_windows(size, self.size, self.size - self.stride)


def tile_names(stem: str, size: tuple[int, int], layout: Layout) -> list[str]:
    """Names, without suffix, of the tiles of an image of ``size`` (H, W)."""
    return [tile_name(stem, window) for window in layout.windows(size)]


def cut_pairs(
    pairs: Sequence[Pair], out: Path | str, layout: Layout, code: ColourCode, workers: int = 1, update: bool = False
) -> CutReport:
    """Cut images and labels into tiles; tiles that exist are whole and are not written again.

    Args:
        pairs: What to cut.
        out: Folder of the tiles; made where it is missing.
        layout: How to cut.
        code: What the labels' colours mean.
        workers: Images that are prepared at the same time, each by a thread (decoding and encoding let others run).
        update: Cut anew what has changed since, and delete the tiles of images that are gone.

    Raises:
        ValueError: The layout is not possible.
        DataError: Two images of a part have one name.
        JobError: ``out`` holds tiles of another layout or format, of other kinds of files, or of files that have
            changed since.
        OSError: A tile cannot be written; the message names it.
    """
    out = Path(out)
    job = _claim(out, layout, code, pairs, update)
    cut = partial(_cut, out=out, layout=layout, code=code)
    return cut_all(cut, pairs, workers, "prepare", job, _item, lambda pair: pair.part)


def _item(pair: Pair) -> str:
    return f"{pair.part}/{pair.stem}"


def _claim(out: Path, layout: Layout, code: ColourCode, pairs: Sequence[Pair], update: bool) -> Job:
    tile_windows((1, 1), layout.size, layout.size - layout.stride)  # fails here for sizes that are not allowed
    kinds: dict[str, Any] = {}
    for kind in ("image", "label"):  # tiles of RGB and IRRG, or of full and eroded labels, must not mix
        files = {(pair.stem, getattr(pair, kind).name) for pair in pairs}
        kinds[kind] = sorted({name.replace(stem, "*") for stem, name in files if stem in name})
    colours = ["{} #{:02X}{:02X}{:02X}".format(v, *c) for v, c in zip(code.values, code.colours.tolist(), strict=True)]
    options = {"size": layout.size, "stride": layout.stride, "tolerance": code.tolerance, "colours": colours}
    options |= format_record(layout.tile_format)
    items = {
        _item(pair): {
            "image": Input(pair.image, pair.image.name, hashed=False),
            "labels": Input(pair.label, pair.label.name, always=True),
        }
        for pair in pairs
    }
    twice = [name for name, count in Counter(_item(pair).casefold() for pair in pairs).items() if count > 1]
    if twice:
        raise DataError(
            f"two images are named {twice[0]}, so their tiles would have the same names; rename or remove one"
        )
    folders = {part: [out / kind / part for kind in ("img_dir", "ann_dir")] for part in {pair.part for pair in pairs}}
    for path in (path for own in folders.values() for path in own):
        make_folder(out, *path.relative_to(out).parts)
        remove_abandoned(path)

    def outputs() -> dict[str, list[Path]]:
        tail = f"{TILE}({re.escape(layout.label_end)})?"
        parts = {path.name for path in out.glob("*_dir/*")}
        return {
            f"{part}/{stem}": files
            for part in parts
            for stem, files in outputs_by_item((out / kind / part for kind in ("img_dir", "ann_dir")), tail).items()
        }

    job = Job(out, "tiles", hint="choose another folder, or remove it")
    job.claim({**options, **kinds}, items, Outputs.existing(outputs), update)
    return job


def _cut(pair: Pair, out: Path, layout: Layout, code: ColourCode) -> tuple[int, int, str | None]:
    """Numbers of tiles written and found, and why the image could not be prepared."""
    try:
        sizes = [image_size(pair.image), image_size(pair.label)]
        if sizes[0] != sizes[1]:
            raise DataError(f"{pair.label}: is {sizes[1]} high and wide, its image {pair.image} {sizes[0]}")
        names = tile_names(pair.stem, sizes[0], layout)
        images = [out / "img_dir" / pair.part / f"{name}.{layout.tile_format}" for name in names]
        end = f"{layout.label_end}.{layout.tile_format}"
        labels = [out / "ann_dir" / pair.part / f"{name}{end}" for name in names]
        todo = [i for i in range(len(names)) if not (images[i].exists() and labels[i].exists())]
        if not todo:
            return 0, len(names), None
        pixels, valid = read_image(pair.image, PixelSpec(repeat_grey=True))
        values, near = code.encode(read_image(pair.label)[0], str(pair.label))
        if valid is not None:  # tiles keep no mask, so that labels say it
            values[~valid] = IGNORE
    except UserError as error:
        return 0, 0, str(error)
    for colour, count in near.items():
        _log.warning("%s: %d pixels of the colour %s are assigned to the nearest class", pair.label, count, colour)
    windows = layout.windows(sizes[0])
    for i in todo:  # the label first: an image tile is what a dataset finds
        with replacing(labels[i]) as file:
            tile = np.ascontiguousarray(cut_window(values, windows[i]))
            file.write(encode_indices(tile, code.palette, layout.tile_format))
        with replacing(images[i]) as file:
            tile = np.ascontiguousarray(cut_window(pixels, windows[i]))
            file.write(encode_image(tile, layout.tile_format))
    return len(todo), len(names) - len(todo), None
