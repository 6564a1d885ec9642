"""Panels to look at: one image beside its truth and what several runs made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsseg.io.files import replacing
from rsseg.io.labels import read_labels
from rsseg.io.rgb import convert_to_rgb
from rsseg.io.tile_formats import tile_suffix
from rsseg.metainfo import IGNORE, ClassTable
from rsseg.structures.legends import add_legend, class_entries, hatch
from rsseg.structures.pictures import blend, colourise, panel

__all__ = ["comparison_panels", "label_panels"]

Pixels = NDArray[np.uint8]
_COLUMNS = 4


def _labels(path: Path, table: ClassTable) -> Pixels:
    return table.encode(read_labels(path), str(path))


def _save(picture: Pixels, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        Image.fromarray(picture).save(file, "PNG")
    return path


def _rows(images: Sequence[Pixels], titles: Sequence[str]) -> Pixels:
    """Panels of at most four images below each other, (H, W, 3)."""
    starts = range(0, len(images), _COLUMNS)
    rows = [panel(images[i : i + _COLUMNS], titles[i : i + _COLUMNS], len(images[0])) for i in starts]
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    )


def comparison_panels(
    samples: Sequence[tuple[Path, Path]], predictions: Mapping[str, Path], table: ClassTable, out_dir: Path
) -> list[Path]:
    """Write image, truth and one prediction per run, in the class colours and four in a row, over a legend.

    Pixels without a label are hatched.

    Args:
        samples: Image and label file of each sample; labels in the raw values of ``table``.
        predictions: Title of a run -> folder of its ``<image stem>.png`` in raw values (``rsseg test --out``).
        table: Class table of the labels.
        out_dir: Folder of the panels, ``<image stem>.png``.

    Returns:
        The files written.
    """
    written = []
    for image, labels in samples:
        maps = {"ground truth": _labels(labels, table)}
        for title, folder in predictions.items():
            maps[title] = _labels(folder / f"{image.stem}.png", table)
        coloured = [hatch(colourise(value, table.palette), value == IGNORE) for value in maps.values()]
        picture = _rows([convert_to_rgb(image), *coloured], ["image", *maps])
        entries = class_entries(maps.values(), table.classes, table.palette, "no label")
        written.append(_save(add_legend(picture, entries), out_dir / f"{image.stem}.png"))
    return written


def label_panels(images: Sequence[Path], folders: Mapping[str, Path], table: ClassTable, out_dir: Path) -> list[Path]:
    """Write image and converted labels of several conversions of it, tinted over the image, over a legend.

    Args:
        images: Image files; whole images or tiles.
        folders: Title of a conversion -> its ``gray`` folder, with a label map for every image.
        table: Class table of the labels.
        out_dir: Folder of the panels, ``<image stem>.png``.

    Returns:
        The files written.
    """
    written = []
    for path in images:
        image = convert_to_rgb(path)
        names = [folder / f"{path.stem}{tile_suffix(folder, path.stem)}" for folder in folders.values()]
        maps = [_labels(name, table) for name in names]
        picture = panel([image, *(blend(image, labels, table.palette, 0.6) for labels in maps)], ["image", *folders])
        entries = class_entries(maps, table.classes, table.palette)
        written.append(_save(add_legend(picture, entries), out_dir / f"{path.stem}.png"))
    return written
