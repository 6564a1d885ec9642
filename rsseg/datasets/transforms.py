"""Transforms that mmseg and mmcv lack: labels through the class table, quarter turns, scale and tone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

from rsseg.metainfo import load_metainfo

__all__ = ["LoadLabels", "RandomRotate90", "RandomScale", "ShiftTones"]


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read a label file and turn its raw values into training ids by the dataset's class table.

    Needs ``seg_map_path`` and ``table`` (set by :class:`TableDataset`); adds ``gt_seg_map`` (H, W) uint8 with 255
    where there is no label.  Palette PNGs keep their indices.

    Raises:
        FileNotFoundError: The label file is absent or unreadable.
        ValueError: It is not single-channel uint8, or holds a value that the table does not allow.
    """

    def __init__(self) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        path = results["seg_map_path"]
        results["gt_seg_map"] = load_metainfo(results["table"]).encode(self.read(path), str(path))
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    @staticmethod
    def read(path: str) -> np.ndarray:
        """Values (H, W) uint8 of a label file, as they are stored; raises as the transform does."""
        if Path(path).suffix.lower() == ".png":  # OpenCV would expand a palette to colours
            with Image.open(path) as image:
                labels = np.asarray(image)
        else:
            read: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if read is None:
                raise FileNotFoundError(f"{path}: no readable label file")
            labels = read
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise ValueError(f"{path}: labels must be one uint8 channel, found {labels.dtype} of shape {labels.shape}")
        return labels


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
            raise ValueError(f"RandomScale needs 0 < low <= high, got {low} and {high}")
        self.low, self.high, self.prob = low, high, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img`` (H, W, C) and every map in ``seg_fields`` (H, W)."""
        if np.random.rand() >= self.prob:
            return results
        factor = np.random.uniform(self.low, self.high)
        height, width = (max(1, round(side * factor)) for side in results["img"].shape[:2])
        results["img"] = cv2.resize(results["img"], (width, height), interpolation=cv2.INTER_LINEAR)
        for key in results.get("seg_fields", []):
            results[key] = cv2.resize(results[key], (width, height), interpolation=cv2.INTER_NEAREST)
        results["img_shape"] = height, width
        return results


@TRANSFORMS.register_module()
class ShiftTones(BaseTransform):
    """Change contrast, gamma or brightness (one of them) with probability ``prob``.

    Args:
        amount: Largest relative change of contrast and brightness; gamma is drawn from [1 - amount, 1 + amount].
        prob: Probability to change anything.

    Source: SAMRS release, one of contrast, gamma, brightness and a weak colour jitter with p 0.3; the jitter
    (0.07 / 0.1) is left out.
    """

    def __init__(self, amount: float = 0.2, prob: float = 0.3) -> None:
        self.amount, self.prob = amount, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img`` (H, W, C) uint8 through a look-up table."""
        if np.random.rand() >= self.prob:
            return results
        change = np.random.uniform(-self.amount, self.amount)
        levels = np.arange(256.0)
        kind = np.random.randint(3)
        if kind == 0:
            mean = float(results["img"].mean())
            levels = (levels - mean) * (1 + change) + mean
        elif kind == 1:
            levels = 255 * (levels / 255) ** (1 + change)
        else:
            levels = levels + 255 * change
        results["img"] = cv2.LUT(results["img"], np.clip(levels + 0.5, 0, 255).astype(np.uint8))
        return results
