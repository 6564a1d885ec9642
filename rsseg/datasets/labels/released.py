"""Reading the released SAMRS folders.

=============================  ==================  ==================================  ===============================
folder                         images              labels (each with gray/ and ins/)   set
=============================  ==================  ==================================  ===============================
dotav2_1024/trainval           images              hbox_segs_init                      SOTA
dotav2_1024_rbb/trainval       images              rhbox_segs_init                     SOTA-RBB, the classes of SOTA
dior                           JPEGImages-*        hbox_segs_trainvaltest_init         SIOR
fair1m_1024/trainval           images              rhbox_segs_init                     FAST
=============================  ==================  ==================================  ===============================

Lists of stems, ``train.txt`` and ``valid.txt``, lie beside the images; the release leaves them to the user.

Source: SAMRS release, main_pretrain.py and datasets.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np

from rsseg.datasets.labels.pickles import PickledObject, read_objects
from rsseg.datasets.labels.records import Instance, LabelledSet, LabelledTile
from rsseg.errors import ConfigError, DataError
from rsseg.io.limits import check_pixels
from rsseg.io.listing import find_files, one_per_stem
from rsseg.io.names import read_names
from rsseg.io.rasters import image_size
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.structures.boxes import hbox_to_qbox, qbox_area, qbox_to_rbox
from rsseg.structures.runs import rle_to_runs, runs_bbox
from rsseg.structures.windows import qbox_iof

__all__ = ["ReleasedSet", "subset_of"]

_TABLES = {"dotav2*": "sota", "sota": "sota", "dior": "sior", "sior": "sior", "fair1m*": "fast", "fast": "fast"}
_LISTS = {"train.txt": "train", "valid.txt": "val", "val.txt": "val"}
_TILE = re.compile(r"(.+)_\d{4}")
"""Names of tiles: BboxToolkit appends the window's number to the scene's name."""


class ReleasedSet(LabelledSet):
    """One subset of the released folders.

    Args:
        root: The subset's folder, the ``trainval`` in it, or the folder that holds ``gray`` and ``ins``.
        images: Folder of the images; found beside the labels by default.
        classes: Class table (name or path of a ``.json``); told from the folder's name by default.

    Raises:
        FileNotFoundError: There are no labels.
        DataError: There are several kinds of labels to choose from, or the folder's name does not tell the classes.
    """

    def __init__(self, root: Path, images: Path | None = None, classes: str | None = None) -> None:
        self.root, self.manifest = root, None
        self._labels = _find_labels(root)
        base = self._labels.parent
        self.table = _find_table(self._labels, classes)
        folders = [base / "images", self._labels / "images", *sorted(base.glob("JPEGImages*"))]
        self._images = [images] if images else [path for path in folders if path.is_dir()]
        listings = [folder / name for folder in (base, self._labels) for name in _LISTS]
        self._listings = [path for path in listings if path.is_file()]
        self._lists = {path.name: read_names(path, empty=True) for path in self._listings}

    @cached_property
    def names(self) -> list[str]:
        """Stems of all label maps, sorted."""
        found = find_files(self._labels / "gray", [".png"], "label maps", recursive=False, empty=True)
        return sorted(path.stem for path in found)

    def names_of(self, split: str) -> list[str]:
        """Stems of a split, ``train`` or ``val``, in the order of its list.

        Raises:
            FileNotFoundError: There is no such list.
            ConfigError: There is no such split.
        """
        needed = [name for name, meaning in _LISTS.items() if meaning == split]
        if not needed:
            raise ConfigError(f"split must be 'train' or 'val', not {split!r}")
        for name in needed:
            if name in self._lists:
                return self._lists[name]
        raise FileNotFoundError(
            f"{self._labels.parent} has no {' or '.join(needed)}; the release has no split of its own: "
            "write one stem per line, and keep the tiles of one scene together"
        )

    def label_path(self, name: str) -> Path:
        """Where the label map of a tile is or would be."""
        return self._labels / "gray" / f"{name}.png"

    def image_path(self, name: str) -> Path | None:
        """The image of a tile, where there is one."""
        return self._pictures.get(name)

    @cached_property
    def _pictures(self) -> dict[str, Path]:
        """Images by stem; of two folders that hold one, the first counts."""
        found: dict[str, Path] = {}
        for folder in reversed(self._images):
            found |= one_per_stem(find_files(folder, recursive=False, empty=True))
        return found

    def __len__(self) -> int:
        return len(self.names)

    def files(self, number: int) -> list[Path]:
        """The lists of the splits, the label map and the pickle."""
        return [*self._listings, self.label_path(self.names[number]), self._pickle(self.names[number])]

    def _pickle(self, name: str) -> Path:
        return self._labels / "ins" / f"{name}.pkl"

    def __iter__(self) -> Iterator[LabelledTile]:
        found = find_files(self._labels / "ins", [".pkl"], "pickles", recursive=False, empty=True)
        pickles = {path.stem for path in found}
        for name in sorted(pickles.symmetric_difference(self.names)):
            kinds = ("gray", "ins") if name in pickles else ("ins", "gray")
            raise FileNotFoundError(f"{self._labels}: {name} is in {kinds[1]}/ but not in {kinds[0]}/; unpack it again")
        splits = {name: _LISTS[listing] for listing, names in self._lists.items() for name in names}
        for name in self.names:
            yield self._tile(name, splits.get(name))

    def _tile(self, name: str, split: str | None) -> LabelledTile:
        height, width = image_size(self.label_path(name))
        check_pixels((height, width), self.label_path(name))
        path = self._pickle(name)
        items = read_objects(path)
        for number, item in enumerate(items):
            if item.rle["size"] != [height, width]:
                raise DataError(f"{path}: masks of {item.rle['size']}, but its label map has {[height, width]}")
            _check_class(item, self.table, f"{path}, object {number}")
        scene = _TILE.fullmatch(name)
        return LabelledTile(
            name=name,
            source=scene[1] if scene else name,
            image=self.image_path(name),
            labels=self.label_path(name),
            size=(height, width),
            offset=(0, 0),
            split=split,
            instances=_instances(items, (height, width)),
        )


def _find_labels(root: Path) -> Path:
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    found = [path.parent for pattern in ("ins", "*segs*/ins", "trainval/*segs*/ins") for path in root.glob(pattern)]
    found = sorted({path for path in found if (path / "gray").is_dir()})
    if not found:
        raise FileNotFoundError(
            f"{root} holds neither manifest.json (of a conversion) nor gray/ and ins/ in itself or in a folder such as "
            "trainval/hbox_segs_init (of the SAMRS release)"
        )
    if len(found) > 1:
        raise DataError(f"{root} contains several kinds of labels; name one of: {', '.join(map(str, found))}")
    return found[0]


def _find_table(folder: Path, classes: str | None) -> ClassTable:
    return load_metainfo(classes or subset_of(folder))


def subset_of(folder: Path) -> str:
    """Class table of a subset, by the names of the folders.

    Raises:
        DataError: None of them is that of a subset.
    """
    for part in reversed(folder.resolve().parts):
        for pattern, name in _TABLES.items():
            if fnmatch(part.lower(), pattern):
                return name
    raise DataError(
        f"{folder}: the name does not show which classes the labels have; name the class table: sota, sior or fast"
    )


def _check_class(item: PickledObject, table: ClassTable, where: str) -> None:
    if not 0 <= item.label < table.num_classes:
        raise DataError(
            f"{where}: label {item.label} is not a class of {table.name}, which has {table.num_classes} classes"
        )
    if item.category is not None and table.index(item.category) != item.label:
        raise DataError(
            f"{where}: label {item.label} is {table.classes[item.label]} in {table.name}, but it says {item.category}"
        )


def _instances(items: list[PickledObject], size: tuple[int, int]) -> list[Instance]:
    corners = np.array([hbox_to_qbox(item.hbox) if item.qbox is None else item.qbox for item in items])
    corners = corners.reshape(-1, 4, 2)
    inside = (qbox_area(corners) * qbox_iof(corners, [(0, 0, size[1], size[0])])[:, 0]).tolist()
    return [_instance(item, i + 1, inside[i]) for i, item in enumerate(items)]


def _instance(item: PickledObject, number: int, box_area: float) -> Instance:
    height, width = item.rle["size"]
    x1, y1, x2, y2 = bbox = runs_bbox(*rle_to_runs(item.rle), height)
    return Instance(
        label=item.label,
        rle=item.rle,
        area=item.area,
        bbox=bbox,
        predicted_iou=None,
        stability=None,
        mask_to_box=item.area / box_area if box_area > 0 else None,
        touches_border=item.area > 0 and (min(x1, y1) == 0 or x2 == width or y2 == height),
        prompt_box=tuple(item.hbox.tolist()),
        rbox=None if item.qbox is None else tuple(qbox_to_rbox(item.qbox).tolist()),
        qbox=None if item.qbox is None else tuple(item.qbox.ravel().tolist()),
        source_object_id=str(number),
    )
