"""Reading labelled sets back: converted ones and the released SAMRS folders."""

from __future__ import annotations

from pathlib import Path

from rsseg.datasets.labels.converted import ConvertedSet
from rsseg.datasets.labels.pickles import PickledObject, pack_objects, read_objects
from rsseg.datasets.labels.records import Instance, LabelledSet, LabelledTile
from rsseg.datasets.labels.released import ReleasedSet

__all__ = [
    "ConvertedSet",
    "Instance",
    "LabelledSet",
    "LabelledTile",
    "PickledObject",
    "ReleasedSet",
    "open_labels",
    "pack_objects",
    "read_objects",
]


def open_labels(root: Path | str, images: Path | str | None = None, classes: str | None = None) -> LabelledSet:
    """Open a labelled set: what ``rsseg convert`` wrote, or one subset of the released SAMRS folders.

    Args:
        root: Output folder of the conversion, or the subset's folder, for example ``dotav2_1024/trainval``.
        images: Folder of the images, where the set does not say or they have moved.
        classes: Class table (name or path of a ``.json``), where the set does not say.

    Raises:
        FileNotFoundError: There is no such set, or it is not complete.
        ValueError: It is not clear which labels or classes are meant; the message lists what is possible.
    """
    folder, pictures = Path(root), None if images is None else Path(images)
    converted = any((folder / name).is_file() for name in ("manifest.json", ".job.json", "tiles.csv"))
    return (ConvertedSet if converted else ReleasedSet)(folder, pictures, classes)
