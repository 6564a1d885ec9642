"""Reading labelled sets back: converted ones and the released SAMRS folders."""

from __future__ import annotations

from pathlib import Path

from rsseg.datasets.labels.converted import ConvertedSet
from rsseg.datasets.labels.records import Instance, LabelledSet, LabelledTile

__all__ = ["ConvertedSet", "Instance", "LabelledSet", "LabelledTile", "open_labels"]


def open_labels(root: Path | str, images: Path | str | None = None, classes: str | None = None) -> LabelledSet:
    """Open a labelled set.

    Args:
        root: Output folder of ``tools/convert_labels.py``.
        images: Folder of the images, where the set does not say or they have moved.
        classes: Class table (name or path of a ``.json``), where the set does not say.

    Raises:
        FileNotFoundError: There is no such set, or it is not complete.
        ValueError: The class table is not there.
    """
    return ConvertedSet(Path(root), None if images is None else Path(images), classes)
