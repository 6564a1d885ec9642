"""Objects with a box and a mask, from whatever label sets there are, as small patches to train mask models on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.detection import image_stems, open_source, read_image
from rsseg.datasets.ground_truth import load_ground_truth
from rsseg.datasets.labels import open_labels
from rsseg.errors import ConfigError
from rsseg.io.names import read_names
from rsseg.metainfo import load_metainfo
from rsseg.structures.box_frames import box_frames, cut_frame, to_frame
from rsseg.structures.boxes import hbox_iou
from rsseg.structures.masks import MaskCrop, rle_to_crop

__all__ = ["HULL", "MaskedImage", "ObjectPatch", "cut_patch", "read_masked_images"]

_log = logging.getLogger("rsseg")
HULL = 32
"""Corners of a patch's convex hull."""
_LEAST_IOU = 0.3
"""Overlap of an object's box and its mask's tight box below which they are taken for two objects."""
_SOURCE_KEYS = ("format", "images", "annotations", "classes", "truth", "stems", "omit")
_LABEL_KEYS = ("labels", "images", "classes", "stems", "omit")


@dataclass(frozen=True)
class MaskedImage:
    """One image and its N objects that have masks.

    Attributes:
        image: The file.
        scene: What it shows a part of: the source image of a tile, else the stem.
        hbox: (N, 4) float64 x1 y1 x2 y2 in pixels.
        qbox: (N, 4, 2) float64 corners; of an object without a rotated box those of its mask's least rectangle.
        masks: N masks.
        labels: N class names.
    """

    image: Path
    scene: str
    hbox: NDArray[np.float64]
    qbox: NDArray[np.float64]
    masks: list[MaskCrop]
    labels: list[str]


@dataclass(frozen=True)
class ObjectPatch:
    """The surroundings of one object at P x P pixels; coordinates are patch pixels.

    Attributes:
        pixels: (P, P, 3) uint8 RGB.
        mask: (P, P) uint8, 255 on the object.
        box: (4,) float32 x1 y1 x2 y2.
        rbox: (4, 2) float32 corners of the rotated box.
        hull: (HULL, 2) float32 corners of the mask's convex hull, the last repeated.
        least: Length below which a box is cut out as if its longer side had it.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    box: NDArray[np.float32]
    rbox: NDArray[np.float32]
    hull: NDArray[np.float32]
    least: float


def read_masked_images(spec: Mapping[str, Any]) -> Iterator[MaskedImage]:
    """Images of one label set whose objects have masks; one image in memory at a time.

    Args:
        spec: Either what a conversion's ``source`` says (``format``, ``images``, ``annotations``, ``classes``) and its
            ``truth``, or ``labels``, the folder of a converted (or released) set.  ``stems`` (list or file of names)
            takes only these images, ``omit`` leaves classes out.

    Raises:
        ConfigError: A key is unknown or missing.
        AnnotationError: Labels are unusable.
        FileNotFoundError: A file is missing.
    """
    keys = _LABEL_KEYS if "labels" in spec else _SOURCE_KEYS
    for key in spec:
        if key not in keys:
            raise ConfigError(f"unknown key {key!r} of a set with masks; expected one of: {', '.join(keys)}")
    missing = [key for key in _SOURCE_KEYS[:5] if key not in spec and "labels" not in spec]
    if missing:
        raise ConfigError(
            f"a set with masks lacks {missing[0]!r}; give {', '.join(_SOURCE_KEYS[:5])}, or labels= of a converted set"
        )
    if "labels" in spec:
        yield from _converted(spec)
    else:
        yield from _labelled(spec)


def _labelled(spec: Mapping[str, Any]) -> Iterator[MaskedImage]:
    table = load_metainfo(spec["classes"])
    stems = spec.get("stems")
    source = open_source(
        spec["format"],
        spec["images"],
        spec["annotations"],
        table,
        on_error="skip",
        stems=image_stems(spec["images"]) if stems is None else stems,
    )
    _warn(source.problems)
    omitted = _omitted(spec, table.classes)
    for item in source.items:
        detections = source.read(item)
        _warn(detections.problems)
        if not len(detections):
            continue
        found = load_ground_truth(item, detections, table, dict(spec["truth"]))
        rows = [i for i, mask in enumerate(found) if mask is not None and detections.names[i] not in omitted]
        yield _kept(
            MaskedImage(
                item.image,
                item.stem,
                detections.hbox[rows],
                detections.qbox[rows],
                [mask for i in rows if (mask := found[i]) is not None],
                [detections.names[i] for i in rows],
            ),
            detections.oriented[rows],
        )


def _converted(spec: Mapping[str, Any]) -> Iterator[MaskedImage]:
    labels = open_labels(spec["labels"], spec.get("images"), spec.get("classes"))
    omitted, stems = _omitted(spec, labels.table.classes), spec.get("stems")
    if isinstance(stems, str | Path):
        stems = read_names(stems, "a text file with one tile name per line")
    wanted = None if stems is None else set(stems)
    unknown = set(wanted or ())
    for tile in labels:
        unknown.discard(tile.name)
        if tile.image is None or (wanted is not None and tile.name not in wanted):
            continue
        own = [row for row in tile.instances if row.area and labels.table.classes[row.label] not in omitted]
        masks = [rle_to_crop(row.rle) for row in own]
        boxes = [row.bbox if row.prompt_box is None else row.prompt_box for row in own]
        corners = [np.zeros((4, 2)) if row.qbox is None else np.reshape(row.qbox, (4, 2)) for row in own]
        yield _kept(
            MaskedImage(
                tile.image,
                tile.source,
                np.array(boxes, np.float64).reshape(-1, 4),
                np.array(corners, np.float64).reshape(-1, 4, 2),
                masks,
                [labels.table.classes[row.label] for row in own],
            ),
            np.array([row.qbox is not None for row in own], bool),
        )
    if unknown:
        _log.warning("%s: %d of stems are no tiles of it (first: %r)", spec["labels"], len(unknown), min(unknown))


def _warn(problems: Sequence[Exception]) -> None:
    for problem in problems:
        _log.warning("left out: %s", problem)


def _omitted(spec: Mapping[str, Any], classes: Sequence[str]) -> set[str]:
    omitted = set(spec.get("omit") or ())
    unknown = sorted(omitted - set(classes))
    if unknown:
        raise ConfigError(f"omit names {unknown[0]!r}, which is no class; expected some of: {', '.join(classes)}")
    return omitted


def _kept(found: MaskedImage, oriented: NDArray[np.bool_]) -> MaskedImage:
    """Without objects whose mask is empty or elsewhere; every object with a rotated box."""
    rows = []
    for i, mask in enumerate(found.masks):
        tight = np.array([mask.bbox], np.float64)
        if mask.area and hbox_iou(found.hbox[i : i + 1], tight)[0, 0] >= _LEAST_IOU:
            rows.append(i)
    if len(rows) < len(found.masks):
        _log.warning(
            "%s: %d of %d objects left out, since their mask is empty or does not fit their box",
            found.image, len(found.masks) - len(rows), len(found.masks),
        )  # fmt: skip
    corners = [found.qbox[i] if oriented[i] else _least_rectangle(found.masks[i]) for i in rows]
    return MaskedImage(
        found.image,
        found.scene,
        found.hbox[rows],
        np.array(corners).reshape(-1, 4, 2),
        [found.masks[i] for i in rows],
        [found.labels[i] for i in rows],
    )


def _outline(mask: MaskCrop) -> NDArray[np.float32]:
    """Corners (K, 2) of the convex hull of a mask's pixels, each a square, in image pixels."""
    rows, columns = np.nonzero(mask.pixels)
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(first[1:], len(rows)) - 1
    left, right, at = columns[first], columns[ends] + 1, rows[first]
    points = np.concatenate([np.stack([x, y], 1) for x in (left, right) for y in (at, at + 1)])
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2)
    return np.asarray(hull + np.array([mask.x, mask.y], np.float32), np.float32)


def _least_rectangle(mask: MaskCrop) -> NDArray[np.float64]:
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(_outline(mask))), np.float64)


def cut_patch(
    image: NDArray[np.uint8], found: MaskedImage, i: int, size: int, context: float, least: int
) -> ObjectPatch:
    """The patch of object ``i``.

    Args:
        image: (H, W, 3) uint8 RGB, the pixels of ``found``.
        found: The image's objects.
        i: Which.
        size: P.
        context: Side of the patch as a multiple of the box's longer side.
        least: Least side of a patch in image pixels.
    """
    box, mask = found.hbox[i], found.masks[i]
    frames = box_frames(box[None], context, least)
    x, y, side = (int(v) for v in frames[0])

    def inside(points: NDArray[Any]) -> NDArray[np.float32]:
        return to_frame(np.asarray(points, np.float64)[None], frames, size)[0].astype(np.float32)

    hull = inside(_outline(mask))
    if len(hull) > HULL:
        hull = hull[np.linspace(0, len(hull) - 1, HULL).astype(int)]
    hull = np.concatenate([hull, np.repeat(hull[-1:], HULL - len(hull), axis=0)])
    return ObjectPatch(
        pixels=cut_frame(image, frames[0], size),
        mask=cut_frame(mask.pixels * np.uint8(255), (x - mask.x, y - mask.y, side), size, fill=0),
        box=inside(box.reshape(2, 2)).ravel(),
        rbox=inside(found.qbox[i]),
        hull=hull,
        least=size * least / context / side,
    )


def read_pixels(found: MaskedImage) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 RGB."""
    return read_image(found.image, mode="convert")
