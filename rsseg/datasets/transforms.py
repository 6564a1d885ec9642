"""Transforms that mmseg and mmcv lack: first bands of many, labels by the class table, turns, scale, pads, crops."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmseg.registry import TRANSFORMS
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from rsseg.errors import ConfigError, DataError
from rsseg.io.labels import read_labels
from rsseg.metainfo import load_metainfo

__all__ = ["CentreCrop", "LoadFirstBands", "LoadLabels", "PadCentred", "RandomRotate90", "RandomScale"]


def _resize(plane: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """(H, W) or (H, W, C) at the size (H, W), whatever the number of bands."""
    height, width = size
    return cv2.resize(plane, (width, height), interpolation=interpolation).reshape(height, width, *plane.shape[2:])


@TRANSFORMS.register_module()
class LoadFirstBands(LoadImageFromFile):
    """Read an image as mmcv does, and of a TIFF its first three bands, red, green and blue, however many it has.

    Adds ``img`` (H, W, 3) uint8 in OpenCV's order, blue first.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A TIFF cannot be read, has fewer than three bands, or other values than uint8.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add ``img``, ``img_shape`` and ``ori_shape``."""
        path = Path(results["img_path"])
        if path.suffix.lower() not in (".tif", ".tiff"):
            return super().transform(results)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such image")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(path) as raster:
                    if raster.count < 3 or set(raster.dtypes[:3]) != {"uint8"}:
                        found = f"{raster.count} band(s) of {'/'.join(sorted(set(raster.dtypes)))}"
                        raise DataError(f"{path}: expected red, green and blue of uint8, found {found}")
                    bands = raster.read([3, 2, 1])
        except RasterioError as error:
            raise DataError(f"{path}: cannot be read: {error.__cause__ or error}") from error
        results["img"] = np.ascontiguousarray(np.moveaxis(bands, 0, -1))
        results["img_shape"] = results["ori_shape"] = bands.shape[1:]
        return results


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read a label file and turn its raw values into training ids by the dataset's class table.

    Needs ``seg_map_path`` and ``table`` (set by :class:`TableDataset`); adds ``gt_seg_map`` (H, W) uint8 with 255
    where there is no label.  Palette PNGs keep their indices.  A sample of a set that is read without labels (it has no
    ``seg_map_path``) stays without, for tests that only write predictions.

    Raises:
        FileNotFoundError: The label file is absent or unreadable.
        ValueError: It is not single-channel uint8, or holds a value that the table does not allow.
    """

    def __init__(self) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        path = results.get("seg_map_path")
        if path is None:
            return results
        results["gt_seg_map"] = load_metainfo(results["table"]).encode(read_labels(path), str(path))
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results


@TRANSFORMS.register_module()
class RandomRotate90(BaseTransform):
    """Turn image and labels by 90, 180 or 270 degrees (each as likely) with probability ``prob``."""

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn ``img`` (H, W, C) and every map in ``seg_fields`` (H, W) alike."""
        if np.random.rand() >= self.prob:
            return results
        turns = np.random.randint(1, 4)
        for key in ["img", *results.get("seg_fields", [])]:
            results[key] = np.ascontiguousarray(np.rot90(results[key], turns))
        results["img_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class RandomScale(BaseTransform):
    """Resize image (bilinear) and labels (nearest) by one random factor, with probability ``prob``.

    Args:
        low: Smallest factor.
        high: Largest factor; drawn uniformly between the two.
        prob: Probability to resize at all.

    Source: SAMRS release, RandomScale(-0.5, 1.0) with p 0.5.
    """

    def __init__(self, low: float = 0.5, high: float = 2.0, prob: float = 0.5) -> None:
        if not 0 < low <= high:
            raise ConfigError(f"RandomScale needs 0 < low <= high, got {low} and {high}")
        self.low, self.high, self.prob = low, high, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img`` (H, W, C) and every map in ``seg_fields`` (H, W)."""
        if np.random.rand() >= self.prob:
            return results
        factor = np.random.uniform(self.low, self.high)
        height, width = (max(1, round(side * factor)) for side in results["img"].shape[:2])
        results["img"] = _resize(results["img"], (height, width), cv2.INTER_LINEAR)
        for key in results.get("seg_fields", []):
            results[key] = _resize(results[key], (height, width), cv2.INTER_NEAREST)
        results["img_shape"] = height, width
        return results


@TRANSFORMS.register_module()
class PadCentred(BaseTransform):
    """Put a smaller image into the middle of a canvas; larger sides stay as they are.

    Args:
        size: Least size (H, W).
        img_value: Value of the canvas of the image.
        label_value: Value of the canvas of the labels.

    Source: SAMRS release, PadIfNeeded.
    """

    def __init__(self, size: tuple[int, int], img_value: int = 0, label_value: int = 255) -> None:
        self.size, self.img_value, self.label_value = size, img_value, label_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pad ``img`` (H, W, C) and every map in ``seg_fields`` (H, W); an odd row or column goes to the end."""
        height, width = results["img"].shape[:2]
        canvas = max(height, self.size[0]), max(width, self.size[1])
        if canvas != (height, width):
            top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
            values = dict.fromkeys(results.get("seg_fields", []), self.label_value) | {"img": self.img_value}
            for key, value in values.items():
                padded = np.full((*canvas, *results[key].shape[2:]), value, results[key].dtype)
                padded[top : top + height, left : left + width] = results[key]
                results[key] = padded
        results["img_shape"] = results["pad_shape"] = canvas
        return results


@TRANSFORMS.register_module()
class CentreCrop(BaseTransform):
    """Keep the middle of image and labels, and score only that: results have the size of the crop.

    Args:
        size: Size (H, W) of the crop; smaller images stay whole.
        input_size: Size (H, W) to which the cropped image, but not its labels, is resized (bilinear); None leaves it.

    Source: SAMRS paper, section A.5.
    """

    def __init__(self, size: tuple[int, int], input_size: tuple[int, int] | None = None) -> None:
        self.size, self.input_size = size, input_size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``img`` (H, W, C) and every map in ``seg_fields`` (H, W)."""
        height, width = results["img"].shape[:2]
        top, left = max(height - self.size[0], 0) // 2, max(width - self.size[1], 0) // 2
        for key in ["img", *results.get("seg_fields", [])]:
            results[key] = np.ascontiguousarray(results[key][top : top + self.size[0], left : left + self.size[1]])
        results["ori_shape"] = results["img"].shape[:2]
        if self.input_size is not None:
            results["img"] = _resize(results["img"], self.input_size, cv2.INTER_LINEAR)
        results["img_shape"] = results["img"].shape[:2]
        return results
