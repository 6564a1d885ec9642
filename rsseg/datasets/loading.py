"""Transforms that read files: images by the one reader of :mod:`rsseg.io.rasters`, labels by the class table.

Whatever reads labels compares their size with the image's: labels of another size would be cropped elsewhere than the
image, and train wrong classes without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from rsseg.command_list import command
from rsseg.datasets.windowed import WindowedArray, windowed_image, windowed_labels
from rsseg.errors import DataError
from rsseg.io.labels import read_labels
from rsseg.io.pixel_settings import spec_of
from rsseg.io.rasters import Raster
from rsseg.io.tiff import orientation, read_tags
from rsseg.metainfo import IGNORE, load_metainfo

__all__ = ["CheckedAnnotations", "LoadImage", "LoadLabels"]

_WHITE = 255.0


def _fit_labels(results: dict[str, Any]) -> None:
    """Refuse labels of another size than their image; pixels without data carry no label."""
    labels, size = results.get("gt_seg_map"), results.get("ori_shape")
    if labels is None or size is None:  # one of the two is read later
        return
    if tuple(labels.shape[:2]) != tuple(size[:2]):
        raise DataError(
            f"{results.get('seg_map_path')}: the labels have {labels.shape[0]} rows and {labels.shape[1]} columns, but "
            f"their image {results.get('img_path')} has {size[0]} and {size[1]}; both must have the same size. "
            f"{command('check')} names all such files"
        )
    valid = results.get("valid")
    if valid is None and "valid_window" in results and not isinstance(labels, WindowedArray):
        valid = results["valid_window"](0, size[0], 0, size[1])
    if valid is not None:
        results["gt_seg_map"] = np.where(valid, labels, np.array(IGNORE, labels.dtype))


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image as maps do, by :func:`rsseg.io.rasters.read_image`; nothing is guessed, nothing is cut to 8 bits.

    Adds ``img`` (H, W, C): blue, green, red where there are three bands (what mmseg's models expect), else the bands as
    declared; uint8 as stored, else float32.  ``img_shape`` and ``ori_shape``.  ``white``, the value of full brightness:
    255, or None where the range of values is not known.  And where pixels are not valid (nodata, alpha, masks, NaN)
    ``valid`` (H, W) bool, of the image as stored: maps have no class there, and the labels of these pixels become 255,
    so that they are neither trained on nor scored.

    Args:
        bands: Numbers from 1, red, green, blue first; None takes the bands that a file calls red, green and blue.
        value_range: ``(low, high)`` values that become 0 and 255; ``"raw"`` leaves numbers as they are, for models that
            normalise them; None: files must hold 8 bits.
        repeat_grey: A file whose only band is grey gives that band three times.
        windows: Read only what a crop takes of files that are stored in blocks, such as tiled TIFFs, image and labels
            alike: ``img`` and ``gt_seg_map`` are then :class:`rsseg.datasets.windowed.WindowedArray`, and only
            ``RandomScale``, ``PadCentred`` and a crop may follow, whose result is the same.  ``valid`` is left out.

    Raises:
        ConfigError: An argument is not allowed.
        FileNotFoundError: There is no such file.
        DataError: It is damaged, its bands or the meaning of its numbers are not known, or it has another size than
            its labels.
    """

    def __init__(
        self,
        bands: Sequence[int] | None = None,
        value_range: Sequence[float] | str | None = None,
        repeat_grey: bool = False,
        windows: bool = False,
    ) -> None:
        self.windows = windows
        self.spec = spec_of(dict(bands=bands, value_range=value_range, repeat_grey=repeat_grey))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img``, ``img_shape``, ``ori_shape``, ``white`` and perhaps ``valid``."""
        raster = Raster(results["img_path"], self.spec, blue_first=True)
        results["white"] = None if self.spec.value_range == "raw" else _WHITE
        found = windowed_image(raster) if self.windows else None
        if found is not None:
            results["img"], results["valid_window"] = found
            results["img_shape"] = results["ori_shape"] = raster.size
            return results
        with raster:
            pixels, valid = raster.read_whole()
        results["img"] = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32, copy=False)
        results["img_shape"] = results["ori_shape"] = pixels.shape[:2]
        if valid is not None:
            results["valid"] = valid
        _fit_labels(results)
        return results

    def __repr__(self) -> str:
        return f"LoadImage({self.spec})"


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read a label file and turn its raw values into training ids by the dataset's class table.

    Needs ``seg_map_path`` and ``table`` (set by :class:`TableDataset`); adds ``gt_seg_map`` (H, W) uint8 with 255
    where there is no label, or no data in an image that :class:`LoadImage` has read.  Palette PNGs keep their indices.
    A sample of a set that is read without labels (it has no ``seg_map_path``) stays without, for tests that only write
    predictions.  For datasets of mmseg, which have no class table, labels are read by mmseg's ``LoadAnnotations``.

    Raises:
        FileNotFoundError: The label file is absent or unreadable.
        ValueError: It is not single-channel uint8, or holds a value that the table does not allow.
        DataError: It has another size than its image.
    """

    def __init__(self) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        path = results.get("seg_map_path")
        if path is None:
            return results
        if results.get("table") is None:
            results = CheckedAnnotations()(results)
        else:
            results["gt_seg_map"] = _load_ids(results, str(path))
            results.setdefault("seg_fields", []).append("gt_seg_map")
        _fit_labels(results)
        return results


def _load_ids(results: dict[str, Any], path: str) -> Any:
    """Training ids of a label file; a window of them when it is taken, where the image is read like that."""
    encode = partial(load_metainfo(results["table"]).encode, where=path)
    valid = results.get("valid_window")
    labels = None if valid is None else windowed_labels(path, encode, valid)
    return encode(read_labels(path)) if labels is None else labels


@TRANSFORMS.register_module(name="LoadAnnotations", force=True)
class CheckedAnnotations(LoadAnnotations):
    """mmseg's ``LoadAnnotations``, in whose place it is registered, with the check of the labels' size.

    A TIFF that states an orientation is read as it is stored, as images and maps are; Pillow would turn it.

    Raises:
        DataError: A label file has another size than its image.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map`` as mmseg does."""
        results = super().transform(results)
        _fit_labels(results)
        return results

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        path = results["seg_map_path"]
        if orientation(read_tags(path)) == 1:
            super()._load_seg_map(results)
            return
        ids = np.arange(256)
        if results["reduce_zero_label"] if self.reduce_zero_label is None else self.reduce_zero_label:
            ids = np.where((ids == 0) | (ids == IGNORE), IGNORE, ids - 1)
        renamed = {int(old): int(new) for old, new in (results.get("label_map") or {}).items()}
        table = np.array([renamed.get(i, i) for i in ids.tolist()], np.uint8)
        results["gt_seg_map"] = table[read_labels(path)]
        results["seg_fields"].append("gt_seg_map")
