"""Where the five sets of LandDiscover50K keep images and labels.

Source: GSNet paper, section 3, names the sets; which parts of them is ours: 17,480 + 23,463 + 3,500 + 4,191 + 4 x 803
pairs are exactly its 51,846.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsseg.command_list import command
from rsseg.datasets.labels import ReleasedSet
from rsseg.datasets.pairs import find_pairs
from rsseg.datasets.preparation import Layout
from rsseg.datasets.segmentation import ConvertedDataset
from rsseg.errors import DataError
from rsseg.io.rasters import image_size
from rsseg.io.tile_formats import TILE_FORMATS
from rsseg.structures.windows import tile_name

__all__ = ["SOURCES", "Item", "Source", "find_items"]

_log = logging.getLogger("rsseg")
Window = tuple[int, int, int, int]
_QUARTER = Layout(1224, 1224)
"""A quarter of DeepGlobe's 2448 x 2448 images."""


@dataclass(frozen=True)
class Item:
    """One image of a source and the pairs that it becomes.

    Attributes:
        source: Name of the set in ``SOURCES``.
        image: Its image.
        label: Its label, in the values of the source, or in its colours.
        pairs: Names of the pairs, each with its window x1 y1 x2 y2, or None where that is all of the image.
        coloured: Whether the label is a picture in the colours of the source's class table.
    """

    source: str
    image: Path
    label: Path
    pairs: dict[str, Window | None]
    coloured: bool = False


Find = Callable[[Path], Iterator[tuple[str, Path, Path]]]


@dataclass(frozen=True)
class Source:
    """What is fixed about a set.

    Attributes:
        table: Its class table.
        count: The number of pairs that it gives to the published 51,846.
        layout: Where images and labels are below its folder, for errors.
        find: Stem, image and label of everything that is labelled.
    """

    table: str
    count: int
    layout: str
    find: Find


def _by_patterns(*patterns: tuple[str, str]) -> Find:
    """Pairs by the first two patterns, of images and of labels, that find any."""

    def find(root: Path) -> Iterator[tuple[str, Path, Path]]:
        for images, labels in patterns:
            found = find_pairs(root, images, labels)
            if found.pairs or found.orphans:
                if found.alone:  # those of a test part, whose labels are not public
                    _log.info("%d images in %s have no label, such as %s", len(found.alone), root, found.alone[0])
                yield from ((name, *pair) for name, pair in found.pairs.items())
                yield from ((path.stem, root / images, path) for path in found.orphans)
                return

    return find


def _masks(table: str) -> Find:
    """Tiles of a conversion, or of the released SAMRS folders."""

    def find(root: Path) -> Iterator[tuple[str, Path, Path]]:
        if (root / "tiles.csv").is_file():
            for row in ConvertedDataset(table, str(root), split=None, lazy_init=True).list_files():
                yield row["tile"], Path(row["img_path"]), Path(row["seg_map_path"])
            return
        released = ReleasedSet(root, classes=table)
        for name in released.names:
            yield name, released.image_path(name) or root / "images" / f"{name}.png", released.label_path(name)

    return find


_TILED = tuple((f"img_dir/**/*.{suffix}", f"ann_dir/**/*.{suffix}") for suffix in TILE_FORMATS)
_MASKS = "a conversion (tiles.csv, gray/), or the folder of the SAMRS release"
SOURCES = {
    "openearthmap": Source(
        "openearthmap",
        3500,
        "<region>/{images,labels}/*.tif, train and val",
        _by_patterns(("*/images/*.tif", "*/labels/*.tif")),
    ),
    "loveda": Source(
        "loveda",
        4191,
        "{Train,Val}/{Urban,Rural}/{images_png,masks_png}/*.png, or img_dir/ and ann_dir/",
        _by_patterns(("**/images_png/*.png", "**/masks_png/*.png"), *_TILED),
    ),
    "deepglobe": Source(
        "deepglobe",
        4 * 803,
        f"*_sat.jpg and *_mask.png of the training part, or img_dir/ and ann_dir/ of {command('prepare')}",
        _by_patterns(("**/*_sat.jpg", "**/*_mask.png"), *_TILED),
    ),
    "sota": Source("sota", 17480, _MASKS, _masks("sota")),
    "sior": Source("sior", 23463, f"{_MASKS}; trainval and test", _masks("sior")),
}
"""The sets by name, in the order of their classes."""


def find_items(name: str, folders: Sequence[Path | str]) -> tuple[list[Item], list[str]]:
    """What a source's folders hold.

    Args:
        name: One of ``SOURCES``.
        folders: Its folders; SIOR, for example, is converted into two.

    Returns:
        Items by name, and what cannot be used for each label whose image is missing or unreadable.

    Raises:
        FileNotFoundError: A folder is missing or holds no labels.
        UserError: Two images have one name.
    """
    items: dict[str, Item] = {}
    problems: list[str] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FileNotFoundError(f"{name}: no folder {folder}")
        before = len(items) + len(problems)
        for stem, image, label in SOURCES[name].find(folder):
            if not image.is_file():
                problems.append(f"{label}: its image is missing ({image})")
                continue
            if stem in items:
                raise DataError(f"{name}: {items[stem].image} and {image} have one name, {stem}; give one of them")
            try:
                items[stem] = _item(name, stem, image, label)
            except OSError as error:
                problems.append(f"{image}: cannot be read ({error})")
        if len(items) + len(problems) == before:
            raise FileNotFoundError(f"{name}: no labels in {folder}; expected {SOURCES[name].layout}")
    return [items[stem] for stem in sorted(items)], problems


def _item(source: str, stem: str, image: Path, label: Path) -> Item:
    coloured = source == "deepglobe" and label.name.endswith("_mask.png")
    pairs: dict[str, Window | None] = {f"{source}__{stem}": None}
    if coloured:
        windows = [(x1, y1, x2, y2) for x1, y1, x2, y2 in _QUARTER.windows(image_size(image)).tolist()]
        pairs = {tile_name(f"{source}__{stem}", (x1, y1, x2, y2)): (x1, y1, x2, y2) for x1, y1, x2, y2 in windows}
    return Item(source, image, label, pairs, coloured)
