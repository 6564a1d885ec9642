"""A folder of images and their labels, paired by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rsseg.datasets.detection.coco import CocoDetections, read_coco
from rsseg.datasets.detection.detections import Detections, check_inside
from rsseg.datasets.detection.dior import read_dior
from rsseg.datasets.detection.dota import read_dota
from rsseg.datasets.detection.fair1m import read_fair1m
from rsseg.datasets.detection.hrsc import read_hrsc
from rsseg.datasets.detection.image import image_size
from rsseg.datasets.detection.values import AnnotationError, OnError, check_on_error, settle
from rsseg.errors import ConfigError, DataError
from rsseg.io.listing import IMAGE_SUFFIXES, find_files, group_by_stem
from rsseg.io.names import read_names
from rsseg.io.output_names import output_names
from rsseg.metainfo import ClassTable

__all__ = ["READERS", "DetectionSource", "SourceItem", "open_source"]

READERS: dict[str, Callable[..., Any]] = {
    "dota": read_dota,
    "dior": read_dior,
    "fair1m": read_fair1m,
    "hrsc": read_hrsc,
    "coco": read_coco,
}
"""Format -> reader ``(path, table, on_error)``; ``coco`` gives a record per image, the others one record."""

IMAGES = "images"
"""Format of a folder of images without labels: every record is empty."""
_LABEL_SUFFIX = {"dota": ".txt", "dior": ".xml", "fair1m": ".xml", "hrsc": ".xml"}


@dataclass(frozen=True)
class SourceItem:
    """One image and its label file.

    Attributes:
        stem: Image name without folder and suffix, unique in the source; with its folders where several images have
            that name, see :func:`rsseg.io.output_names.output_names`.
        image: Image file.
        annotation: Label file; the same JSON for every item of a COCO source; the image itself where there are none.
    """

    stem: str
    image: Path
    annotation: Path


@dataclass
class DetectionSource:
    """Images with labels, made by :func:`open_source`.

    Attributes:
        format: Key of ``READERS``, or ``images``.
        table: Class table of the labels.
        on_error: What ``read`` does with problems.
        items: The pairs, sorted by stem.
        problems: What was wrong with the folders: duplicate stems, missing images, stems that do not exist.
            Problems inside a label file are in the record that ``read`` returns.
        without_annotation: Images no label file belongs to, sorted by stem.
        collisions: Those of the problems that are about several images or label files of one name.
    """

    format: str
    table: ClassTable
    on_error: OnError
    items: list[SourceItem]
    problems: list[AnnotationError]
    without_annotation: list[Path]
    collisions: list[AnnotationError] = field(default_factory=list)
    _records: dict[str, Detections] = field(default_factory=dict, repr=False)
    _digests: dict[str, str] = field(default_factory=dict, repr=False)
    _seen: set[str] = field(default_factory=set, repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def digest(self, item: SourceItem) -> str | None:
        """Hash of what a COCO file says about an image; None where an image has a label file of its own."""
        return self._digests.get(item.stem)

    def read(self, item: SourceItem) -> Detections:
        """The labels of one image, their boxes compared with the size of the image file.

        Where the image cannot be read, ``problems`` ends with an error about it and the boxes are not compared.

        Raises:
            AnnotationError: A label or the image is unusable and ``on_error`` is ``"raise"``.
        """
        if self.format == "coco":
            record = self._records[item.stem]
        elif self.format == IMAGES:
            record = Detections(item.image, item.stem)
        else:
            record = READERS[self.format](item.annotation, self.table, self.on_error)
        try:
            size = image_size(item.image)
        except (AnnotationError, OSError) as error:
            if not isinstance(error, AnnotationError):
                error = AnnotationError(item.image, None, item.stem, f"cannot be read ({error.strerror or error})")
            settle([error], self.on_error)
            return replace(record, problems=[*record.problems, error.with_traceback(None)])
        return check_inside(record, size, self.on_error)


def open_source(
    format: str,
    images: Path | str,
    annotations: Path | str,
    table: ClassTable,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    on_error: OnError = "raise",
    stems: Sequence[str] | Path | str | None = None,
) -> DetectionSource:
    """Pair the images of a folder with their labels; sub-folders are searched too.

    Args:
        format: ``dota``, ``dior``, ``fair1m``, ``hrsc`` or ``coco``; ``images`` where there are no labels.
        images: Folder of images; for ``coco`` the folder that ``file_name`` starts from.
        annotations: Folder of label files named like their images; for ``coco`` the JSON file; not used for ``images``.
        table: Class table of the labels.
        suffixes: Image suffixes, compared without case.
        on_error: ``"raise"`` the first problem (here, and later in ``read``), or ``"skip"`` what it concerns
            and list it.
        stems: Use only these: a list of stems, or a text file with one per line.

    Raises:
        AnnotationError: Two images or two label files have one stem, a label file has no image, or a stem of
            ``stems`` does not exist; only with ``on_error="raise"``.
        FileNotFoundError: ``images``, ``annotations`` or the file ``stems`` does not exist.
        UserError: There is no such format.
    """
    check_on_error(on_error)
    if format not in (*READERS, IMAGES):
        raise ConfigError(f"unknown annotation format {format!r}; expected one of: {', '.join((*READERS, IMAGES))}")
    images, annotations = Path(images), Path(annotations)
    _exists(format, images, annotations)
    source = DetectionSource(format, table, on_error, [], [], [])
    requested = _requested(stems)
    pictures = _by_stem(find_files(images, suffixes, empty=True), requested)
    if format == IMAGES:
        found = [path for same in pictures.values() for path in same]
        source.items += [SourceItem(name, path, path) for path, name in _names(source, found, images, images).items()]
        annotations = images
    elif format == "coco":
        _pair_coco(source, read_coco(annotations, table, on_error), images, requested)
    else:
        labels = _by_stem(find_files(annotations, [_LABEL_SUFFIX[format]], "label files", empty=True), requested)
        _pair(source, labels, pictures, (images, annotations), f"STEM({'|'.join(suffixes)})")
    source.items.sort(key=lambda item: item.stem)
    source.without_annotation = _unlabelled(source, pictures)
    listing = Path(stems) if isinstance(stems, Path | str) else annotations
    for stem in sorted((requested or set()) - source._seen - pictures.keys()):
        reason = f"no image and no label file has this stem in {images} and {annotations}"
        source.problems.append(AnnotationError(listing, None, stem, reason))
    settle(source.problems, on_error)
    return source


def _exists(format: str, images: Path, annotations: Path) -> None:
    if not images.is_dir():
        raise FileNotFoundError(f"{images}: no such folder; expected the images there")
    if format == IMAGES:
        return
    if format == "coco":
        if not annotations.is_file():
            raise FileNotFoundError(f"{annotations}: no such file; expected a COCO instances JSON")
    elif not annotations.is_dir():
        expected = f"{format} label files (*{_LABEL_SUFFIX[format]})"
        raise FileNotFoundError(f"{annotations}: no such folder; expected {expected} there")


def _requested(stems: Sequence[str] | Path | str | None) -> set[str] | None:
    if stems is None:
        return None
    if not isinstance(stems, Path | str):
        return set(stems)
    return set(read_names(stems, "a text file with one image stem per line"))


def _by_stem(paths: Iterable[Path], requested: set[str] | None) -> dict[str, list[Path]]:
    return {stem: own for stem, own in group_by_stem(paths).items() if requested is None or stem in requested}


def _pair(
    source: DetectionSource,
    labels: dict[str, list[Path]],
    pictures: dict[str, list[Path]],
    roots: tuple[Path, Path],
    expected: str,
) -> None:
    apart = {stem: _by_folder(pictures.get(stem, []), files, roots) for stem, files in labels.items()}
    for stem, same in [*pictures.items(), *labels.items()]:
        if len(same) > 1 and not apart.get(stem):
            reason = (
                f"stem occurs more than once, also in {', '.join(map(str, same[1:]))}; rename or remove all but one"
            )
            error = AnnotationError(same[0], None, stem, reason)
            source.problems.append(error)
            if stem in labels and stem in pictures:
                source.collisions.append(error)
    for stem, files in labels.items():
        if not pictures.get(stem):
            reason = f"no image for this label file, expected {roots[0] / expected}"
            source.problems.append(AnnotationError(files[0], None, stem, reason))
    pairs = {image: label for found in apart.values() for image, label in found.items()}
    names = _names(source, pairs, roots[0], roots[1])
    source.items += [SourceItem(name, image, pairs[image]) for image, name in names.items()]
    source._seen.update(labels)


def _by_folder(images: list[Path], labels: list[Path], roots: tuple[Path, Path]) -> dict[Path, Path]:
    """Images and labels of one stem: one of each, or as many that lie in the same sub-folders; else none."""
    if len(images) == len(labels) == 1:
        return {images[0]: labels[0]}
    own = {path.relative_to(roots[1]).parent: path for path in labels}
    found = {image: own.get(image.relative_to(roots[0]).parent) for image in images}
    pairs = {image: label for image, label in found.items() if label is not None}
    whole = len(set(pairs.values())) == len(images) == len(labels)
    return pairs if whole else {}


def _names(source: DetectionSource, images: Iterable[Path], root: Path, labels: Path) -> dict[Path, str]:
    """A name for each image; none where two would have one, which is a problem of the source."""
    images = list(images)
    try:
        return output_names(images, root)
    except DataError as error:
        problem = AnnotationError(labels, None, str(images[0]), str(error))
        source.problems.append(problem)
        source.collisions.append(problem)
        return {}


def _pair_coco(source: DetectionSource, records: CocoDetections, images: Path, requested: set[str] | None) -> None:
    source.problems.extend(records.problems)
    chosen = {images / name: name for name, record in records.items() if requested is None or record.stem in requested}
    found = {path: name for path, name in chosen.items() if path.is_file()}
    for path, name in chosen.items():
        if path in found:
            continue
        reason = f'no image for this entry of "images", expected {path}'
        source.problems.append(AnnotationError(records[name].path, None, name, reason))
    stems = _names(source, found, images, records[next(iter(records))].path) if found else {}
    for path, stem in stems.items():
        name = found[path]
        source._records[stem] = replace(records[name], stem=stem)
        source._digests[stem] = records.digests[name]
        source.items.append(SourceItem(stem, path, records[name].path))
    source._seen.update(record.stem for record in records.values())


def _unlabelled(source: DetectionSource, pictures: dict[str, list[Path]]) -> list[Path]:
    """Images that no label file (of a COCO source: no entry) goes with, by stem."""
    used = {item.image for item in source.items}
    coco = source.format == "coco"
    return [
        path
        for stem in sorted(pictures)
        for path in pictures[stem]
        if path not in used and (coco or stem not in source._seen)
    ]
