"""Ground-truth instance masks of label sets that have them, in the frame of the source image."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rsseg.datasets.detection import AnnotationError, Detections, SourceItem, image_size, read_image
from rsseg.errors import ConfigError, DataError
from rsseg.io.labels import read_values
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.structures.boxes import hbox_iou
from rsseg.structures.masks import MaskCrop, check_polygons, crop_mask, mask_from_coco
from rsseg.structures.validity import MendedPolygon, mend_polygons, with_lost_ground

__all__ = ["GROUND_TRUTHS", "GroundTruthMasks", "ground_truth_options", "load_ground_truth"]

GroundTruthMasks = list[MaskCrop | None]

_DOTA_NAMES = {"store_tank": "storage-tank"}
"""iSAID's class names that DOTA spells in another way."""


def _coco(item: SourceItem, detections: Detections, table: ClassTable, polygons: str = "coco") -> GroundTruthMasks:
    """Polygons or RLE of a COCO file.

    ``polygons="coco"`` draws polygons as the COCO API does: vertices are points between pixels.
    ``polygons="labelme"`` takes vertices as pixels that belong to the object, border drawn, as labelme does.
    """
    if polygons not in ("coco", "labelme"):
        raise ConfigError(f"truth.polygons must be 'coco' or 'labelme', not {polygons!r}")
    size = detections.size or image_size(item.image)
    out: GroundTruthMasks = []
    for name, shape in zip(detections.object_ids, detections.extra.get("segmentation", []), strict=False):
        try:
            out.append(_coco_mask(shape, size, polygons) if shape else None)
        except (ValueError, TypeError) as error:
            reason = f'annotation {name}: "segmentation" {error}'
            raise AnnotationError(item.annotation, None, str(shape)[:80], reason) from error
    return out


def _coco_mask(shape: Any, size: tuple[int, int], polygons: str) -> MaskCrop:
    if polygons == "coco" or isinstance(shape, dict):
        return mask_from_coco(shape, size)
    parts = [part for part in check_polygons(shape) if len(part) >= 4]  # of two points labelme draws the line
    mask = _draw([MendedPolygon(part) for part in parts], size)
    mended = mend_polygons(parts)
    return crop_mask(with_lost_ground(mask, _draw(mended, size)) if mended else mask)


def _draw(polygons: list[MendedPolygon], size: tuple[int, int]) -> NDArray[np.bool_]:
    out = np.zeros(size, bool)
    for polygon in polygons:
        canvas = Image.new("1", size[::-1])
        for ring, fill in ((polygon.ring, 1), *((hole, 0) for hole in polygon.holes)):
            ImageDraw.Draw(canvas).polygon(list(zip(ring[::2], ring[1::2], strict=True)), fill=fill, outline=1)
        out |= np.asarray(canvas)
    return out


def _isaid(
    item: SourceItem, detections: Detections, table: ClassTable, masks: str | None = None, min_iou: float = 0.5
) -> GroundTruthMasks:
    """iSAID's ``_instance_id_RGB.png``: each box gets the instance of its class whose tight box fits best.

    ``masks`` is their folder (default: the images'); below ``min_iou`` between the boxes there is no match.
    ``table`` may be DOTA's: classes go by name.
    """
    start = Path(masks) / item.stem if masks else item.image.with_suffix("")
    coloured = Path(f"{start}_instance_color_RGB.png")
    colours, ids = read_image(coloured), _joined(read_image(f"{start}_instance_id_RGB.png"))
    labels, boxes, crops = [], [], []
    for index, mask in _instances(ids):
        at = mask.y + np.flatnonzero(mask.pixels.any(1))[0], mask.x
        column = np.flatnonzero(mask.pixels[at[0] - mask.y])[0]
        name = _isaid_class(colours[at[0], at[1] + column], coloured, index)
        labels.append(_index_or_none(table, name))
        boxes.append(mask.bbox)
        crops.append(mask)
    if not crops or not len(detections):
        return [None] * len(detections)
    iou = hbox_iou(detections.hbox, np.array(boxes, np.float64))
    iou[detections.labels[:, None] != np.array(labels)[None]] = 0
    best = iou.argmax(axis=1)
    return [crops[j] if iou[i, j] >= min_iou else None for i, j in enumerate(best)]


def _joined(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    return rgb.astype(np.int64) @ np.array([1, 256, 65536])


def _instances(ids: NDArray[np.int64]) -> list[tuple[int, MaskCrop]]:
    """Value and mask of each instance in (H, W) ids, 0 = none."""
    rows, columns = np.nonzero(ids)
    if not len(rows):
        return []
    values = ids[rows, columns]
    order = np.argsort(values, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    unique, starts = np.unique(values, return_index=True)
    out = []
    for value, y, x in zip(unique, np.split(rows, starts[1:]), np.split(columns, starts[1:]), strict=True):
        pixels = np.zeros((y.max() - y.min() + 1, x.max() - x.min() + 1), bool)
        pixels[y - y.min(), x - x.min()] = True
        out.append((int(value), MaskCrop(int(x.min()), int(y.min()), pixels)))
    return out


def _isaid_class(colour: NDArray[np.uint8], path: Path, index: int) -> str:
    isaid = load_metainfo("isaid")
    found = tuple(int(v) for v in colour)
    if found not in isaid.palette:
        raise AnnotationError(path, None, found, f"colour of instance {index} is not a class of {isaid.name}")
    return isaid.classes[isaid.palette.index(found)]


def _index_or_none(table: ClassTable, name: str) -> int:
    """Id in ``table`` of an iSAID class; -1 where it has none."""
    for spelling in (name, _DOTA_NAMES.get(name, name)):
        try:
            return table.index(spelling)
        except ValueError:
            continue
    return -1


def _hrsc(item: SourceItem, detections: Detections, table: ClassTable, masks: str = "") -> GroundTruthMasks:
    """HRSC2016's ``LandMask/<stem>.png``: the pixels of an object's ``seg_color``; ``masks`` is that folder."""
    ids = _joined(read_image(Path(masks) / f"{item.stem}.png", mode="convert"))
    out: GroundTruthMasks = []
    for colour in detections.extra.get("seg_color", []):
        value = None if colour is None else int(np.dot(colour, [1, 256, 65536]))
        out.append(None if value is None else crop_mask(ids == value))
    return out


def _instance_png(item: SourceItem, detections: Detections, table: ClassTable, masks: str = "") -> GroundTruthMasks:
    """``masks/<stem>.png``, 8 or 16 bits: a pixel is the place of its object in the label file, from 1; 0 = none."""
    path = Path(masks) / f"{item.stem}.png"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the instance masks of {item.image}")
    try:
        ids = read_values(path)
    except DataError as error:
        raise AnnotationError(path, None, path.name, f"instance masks must be a PNG with one band ({error})") from error
    found = dict(_instances(ids.astype(np.int64)))
    return [found.get(int(object_id)) for object_id in detections.object_ids]


GROUND_TRUTHS: dict[str, Callable[..., GroundTruthMasks]] = {
    "coco": _coco,
    "isaid": _isaid,
    "hrsc": _hrsc,
    "instance_png": _instance_png,
}
"""Kind -> function of (item, detections, class table, **options)."""


def ground_truth_options(truth: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind of ground truth and the options of that kind, from a config's ``truth``.

    Raises:
        ConfigError: There is no such kind or option.
    """
    options = {name: value for name, value in truth.items() if name != "samrs_compat_union"}
    kind = options.pop("kind", None)
    if kind not in GROUND_TRUTHS:
        raise ConfigError(f"unknown truth kind {kind!r}; expected one of: {', '.join(GROUND_TRUTHS)}")
    allowed = list(inspect.signature(GROUND_TRUTHS[kind]).parameters)[3:]
    for name in options:
        if name not in allowed:
            raise ConfigError(f"unknown key 'truth.{name}' for kind {kind!r}; expected one of: {', '.join(allowed)}")
    return kind, options


def load_ground_truth(
    item: SourceItem, detections: Detections, table: ClassTable, truth: dict[str, Any]
) -> GroundTruthMasks:
    """Ground-truth masks of the objects of one source image, in their order; ``None`` where there is none.

    Args:
        item: The image and its label file.
        detections: Its N objects.
        table: Class table of the labels.
        truth: ``kind``, a key of ``GROUND_TRUTHS``, and options of that kind; ``samrs_compat_union`` is for
            :func:`~rsseg.conversion.evaluation.evaluate`.

    Raises:
        UserError: There is no such kind or option, or the masks do not fit the image.
        AnnotationError: A mask file is unusable.
        FileNotFoundError: A mask file is missing.
    """
    kind, options = ground_truth_options(truth)
    masks = GROUND_TRUTHS[kind](item, dataclasses.replace(detections), table, **options)
    if len(masks) != len(detections):
        raise DataError(f"{item.annotation}: {len(masks)} masks for {len(detections)} objects of {item.image.stem}")
    return masks
