"""Where the published archives of Potsdam and iSAID keep images and labels, and how the SAMRS paper cuts them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from rsseg.datasets.preparation.tiles import Colour, ColourCode, Layout, Pair, cut_pairs
from rsseg.errors import DataError
from rsseg.io.cutting import CutReport
from rsseg.io.listing import walk_files
from rsseg.io.names import read_names, unique_names

__all__ = ["BANDS", "SETS", "PreparedSet", "isaid_pairs", "potsdam_pairs", "prepare"]

_log = logging.getLogger("rsseg")
_ISAID_LABEL = "_instance_color_RGB.png"


@dataclass(frozen=True)
class PreparedSet:
    """What is fixed about a set.

    Attributes:
        table: Its class table.
        layout: Tiles of the SAMRS paper.
        published: The paper's number of tiles of each part.
        ignored: Colours that the class table has not, with the label values they get.
    """

    table: str
    layout: Layout
    published: dict[str, int]
    ignored: dict[Colour, int]


SETS = {
    "potsdam": PreparedSet(
        "potsdam",
        Layout(512, 320),
        {"train": 8664, "val": 5054},
        {(0, 0, 0): 0, (255, 0, 0): 6},  # boundary in the eroded labels, clutter
    ),
    "isaid": PreparedSet("isaid", Layout(896, 512, Path(_ISAID_LABEL).stem), {"train": 33620, "val": 11533}, {}),
}
"""Source: SAMRS paper, appendix A.6; colours as in ISPRS's labels and iSAID's development kit."""

BANDS = {"RGB": "2_Ortho_RGB", "IRRG": "3_Ortho_IRRG", "RGBIR": "4_Ortho_RGBIR"}
"""Kinds of Potsdam's images and the folders in which they come; the paper uses RGB."""


def potsdam_pairs(root: Path | str, splits: Path | str, eroded: bool = False, bands: str = "RGB") -> list[Pair]:
    """Images ``top_potsdam_<id>_<bands>.tif`` and labels ``..._label.tif``, in any sub-folders.

    Args:
        root: Folder of the unpacked archives.
        splits: Folder with ``train.txt`` and ``val.txt``, one id such as ``2_10`` a line.
        eroded: Take ``..._label_noBoundary.tif``, in which pixels at object borders carry no label.
        bands: One of ``BANDS``; of RGBIR the first three are used.

    Raises:
        FileNotFoundError: A list, image or label is missing.
        ValueError: An id is listed twice, or a file is there twice.
    """
    kind = "label_noBoundary" if eroded else "label"
    hint = (
        f"unpack {BANDS[bands]} and the {'eroded' if eroded else 'full'} labels there (--bands takes other images, "
        "--eroded the eroded labels)"
    )
    pairs, files = [], _Files(Path(root))
    for part in ("train", "val"):
        for name in read_names(Path(splits) / f"{part}.txt", "a list of ids; name the folder of train.txt and val.txt"):
            found = [files.only(f"top_potsdam_{name}_{what}.tif", hint) for what in (bands, kind)]
            pairs.append(Pair(name, part, *found))
    unique_names([pair.stem for pair in pairs], f"{splits}: train.txt and val.txt")
    return pairs


def isaid_pairs(root: Path | str) -> list[Pair]:
    """Labels ``<stem>_instance_color_RGB.png`` below ``train`` and ``val``, each with DOTA's image ``<stem>.png``.

    Args:
        root: Folder with ``train`` and ``val``; how they are divided further does not matter.

    Raises:
        FileNotFoundError: A part has no labels, or a label has no image.
        ValueError: An image or label exists twice in a part.
    """
    pairs = []
    for part in ("train", "val"):
        files = _Files(Path(root) / part)
        labels = sorted(name for name in files.paths if name.endswith(_ISAID_LABEL))
        if not labels:
            raise FileNotFoundError(f"{files.folder}: no *{_ISAID_LABEL} in it; unpack iSAID's semantic masks there")
        for label in labels:
            stem = label.removesuffix(_ISAID_LABEL)
            image = files.only(f"{stem}.png", "put DOTA's images beside the masks")
            pairs.append(Pair(stem, part, image, files.only(label, "")))
    return pairs


class _Files:
    """All files below a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, list[Path]] = {}
        for path in sorted(walk_files(folder)) if folder.is_dir() else ():
            self.paths.setdefault(path.name, []).append(path)

    def only(self, name: str, hint: str) -> Path:
        found = self.paths.get(name, [])
        if not found:
            raise FileNotFoundError(f"{self.folder}: no {name} in it; {hint}")
        if len(found) > 1:
            raise DataError(f"{name} exists more than once: {', '.join(map(str, found))}; keep one")
        return found[0]


def prepare(
    name: str,
    pairs: list[Pair],
    out: Path | str,
    size: int | None = None,
    stride: int | None = None,
    tolerance: int = 0,
    workers: int = 1,
    update: bool = False,
    tile_format: str = "png",
) -> CutReport:
    """Cut a set as the paper does and log the numbers of tiles beside the paper's.

    Args:
        name: ``potsdam`` or ``isaid``.
        pairs: Its images and labels.
        out: Folder of the tiles.
        size: Side of a tile in pixels; the paper's by default.
        stride: From one tile to the next in pixels; the paper's by default.
        tolerance: As for :class:`ColourCode`.
        workers: As for :func:`cut_pairs`.
        update: As for :func:`cut_pairs`.
        tile_format: As for :class:`Layout`.

    Raises:
        ValueError: As for :func:`cut_pairs`.
        OSError: As for :func:`cut_pairs`.
    """
    about = SETS[name]
    layout = replace(
        about.layout, size=size or about.layout.size, stride=stride or about.layout.stride, tile_format=tile_format
    )
    code = ColourCode(about.table, about.ignored, tolerance)
    report = cut_pairs(pairs, out, layout, code, workers, update)
    same = (layout.size, layout.stride) == (about.layout.size, about.layout.stride)
    for part, count in sorted(report.parts.items()):
        beside = f", the paper has {about.published[part]}" if same else ""
        _log.info("%s: %d tiles%s", part, count, beside)
    return report
