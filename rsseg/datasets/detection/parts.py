"""One source made of several folders, as archives come that keep train and validation apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rsseg.datasets.detection.source import DetectionSource, open_source
from rsseg.datasets.detection.values import OnError
from rsseg.errors import DataError
from rsseg.io.listing import IMAGE_SUFFIXES, find_files
from rsseg.metainfo import ClassTable

__all__ = ["image_stems", "open_parts"]


def open_parts(
    format: str,
    images: Path | str,
    annotations: Path | str,
    table: ClassTable,
    parts: Sequence[Mapping[str, str]],
    on_error: OnError = "raise",
    shared_labels: bool = False,
) -> DetectionSource:
    """Open several pairs of folders as one source.

    Args:
        format: As for :func:`open_source`.
        images: Folder that the parts' ``images`` start from.
        annotations: Folder that the parts' ``annotations`` start from.
        table: Class table of the labels.
        parts: For each part ``images`` and ``annotations``, and ``prefix``, which is put before its stems (nothing
            by default), so that equal file names of two parts stay apart.
        on_error: As for :func:`open_source`.
        shared_labels: Leave label files alone that belong to no image of their part.

    Raises:
        AnnotationError: As for :func:`open_source`.
        FileNotFoundError: A folder is missing.
        UserError: Two parts have the same stem; the message names it.
    """
    whole = DetectionSource(format, table, on_error, [], [], [])
    owners: dict[str, Path] = {}
    for part in parts:
        folder, prefix = Path(images) / part["images"], part.get("prefix", "")
        stems = image_stems(folder) if shared_labels else None
        one = open_source(
            format, folder, Path(annotations) / part["annotations"], table, IMAGE_SUFFIXES, on_error, stems
        )
        for item in one.items:
            stem = prefix + item.stem
            if stem in owners:
                raise DataError(
                    f"{owners[stem]} and {item.image} would both be {stem!r}; give their parts a prefix each"
                )
            owners[stem] = item.image
            whole.items.append(replace(item, stem=stem))
            if item.stem in one._records:
                whole._records[stem] = one._records[item.stem]
                whole._digests[stem] = one._digests[item.stem]
        whole.problems += one.problems
        whole.collisions += one.collisions
        whole.without_annotation += one.without_annotation
    whole.items.sort(key=lambda item: item.stem)
    return whole


def image_stems(folder: Path | str) -> list[str]:
    """Stems of all images in a folder and its sub-folders, sorted.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    return sorted(path.stem for path in find_files(folder, empty=True))
