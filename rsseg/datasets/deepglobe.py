"""DeepGlobe's land-cover archive to the tiles that training reads.

Only its training part has public labels, so images are divided here, by a seeded hash of their numbers.
"""

from __future__ import annotations

import logging
from pathlib import Path

from rsseg.datasets.preparation import ColourCode, Layout, Pair, cut_pairs
from rsseg.io.cutting import CutReport
from rsseg.io.listing import find_files, one_per_stem
from rsseg.structures.draws import seeded_ranking

__all__ = ["deepglobe_pairs", "prepare_deepglobe"]

_log = logging.getLogger("rsseg")
_LAYOUT = Layout(1224, 1224)
"""A quarter of DeepGlobe's 2448 x 2448 images."""
_HALF = 127
"""Labels are not pure: the release says to cut every channel at 128, which is this far from 0 and from 255."""


def deepglobe_pairs(root: Path | str, val_percent: float = 20, seed: int = 0) -> list[Pair]:
    """Images ``<number>_sat.jpg`` with labels ``<number>_mask.png``, in any sub-folders.

    Args:
        root: Folder of the unpacked archive.
        val_percent: Share of the images that validate; rounded, at least one.
        seed: Another seed divides otherwise.

    Raises:
        FileNotFoundError: There are no labels, or a label has no image.
        DataError: Two labels have one name.
    """
    labels = find_files(root, ["_mask.png"], "labels of DeepGlobe's land-cover training part")
    found = {stem.removesuffix("_mask"): path for stem, path in one_per_stem(labels).items()}
    ranked = seeded_ranking(found, seed)
    val = set(ranked[: max(1, round(len(ranked) * val_percent / 100))])
    pairs = []
    for name, label in found.items():
        image = label.with_name(f"{name}_sat.jpg")
        if not image.is_file():
            raise FileNotFoundError(f"{image} is missing, the image of {label}")
        pairs.append(Pair(name, "val" if name in val else "train", image, label))
    return pairs


def prepare_deepglobe(
    pairs: list[Pair],
    out: Path | str,
    size: int | None = None,
    stride: int | None = None,
    workers: int = 1,
    update: bool = False,
    tile_format: str = "png",
) -> CutReport:
    """Cut the set into tiles whose labels hold the values of the class table.

    Args:
        pairs: Its images and labels.
        out: Folder of the tiles.
        size: Side of a tile in pixels; 1224 by default.
        stride: From one tile to the next in pixels; 1224 by default.
        workers: Threads.
        update: As for :func:`rsseg.datasets.preparation.cut_pairs`.
        tile_format: Format of the tiles, ``png`` or ``tif``.

    Raises:
        ValueError: As for :func:`rsseg.datasets.preparation.cut_pairs`.
        OSError: As for :func:`rsseg.datasets.preparation.cut_pairs`.

    Source: DeepGlobe land cover release (colours, threshold of 128); tiles and division are ours.
    """
    layout = Layout(size or _LAYOUT.size, stride or size or _LAYOUT.stride, tile_format=tile_format)
    report = cut_pairs(pairs, out, layout, ColourCode("deepglobe", {(0, 0, 0): 0}, _HALF), workers, update)
    for part, count in sorted(report.parts.items()):
        _log.info("%s: %d tiles", part, count)
    return report
