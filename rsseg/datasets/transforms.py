"""Transforms that mmseg and mmcv lack, for images of any number of bands: turns, scale, pads, crops."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from rsseg.datasets.windowed import WindowedArray
from rsseg.errors import ConfigError

__all__ = ["CentreCrop", "PadCentred", "RandomRotate90", "RandomScale", "RareClassCrop"]


def _resize(plane: Any, size: tuple[int, int], interpolation: int) -> Any:
    """(H, W) or (H, W, C) at the size (H, W), whatever the number of bands."""
    if isinstance(plane, WindowedArray):
        return plane.resized(size, interpolation)
    height, width = size
    return cv2.resize(plane, (width, height), interpolation=interpolation).reshape(height, width, *plane.shape[2:])


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
                if isinstance(results[key], WindowedArray):
                    results[key] = results[key].padded(canvas, top, left, value)
                    continue
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
        """Crop ``img`` (H, W, C), every map in ``seg_fields`` and ``valid`` (H, W)."""
        height, width = results["img"].shape[:2]
        top, left = max(height - self.size[0], 0) // 2, max(width - self.size[1], 0) // 2
        for key in ["img", *results.get("seg_fields", []), *({"valid"} & results.keys())]:
            results[key] = np.ascontiguousarray(results[key][top : top + self.size[0], left : left + self.size[1]])
        results["ori_shape"] = results["img"].shape[:2]
        if self.input_size is not None:
            results["img"] = _resize(results["img"], self.input_size, cv2.INTER_LINEAR)
        results["img_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class RareClassCrop(RandomCrop):
    """mmseg's ``RandomCrop``; samples drawn for a class (``rare_class``) are cropped where enough of it is.

    Up to ``tries`` crops are drawn until one has more than half of ``min_share``; the last one is used anyway.  Samples
    without a class are cropped as by ``RandomCrop``.

    Args:
        crop_size: Side of the crop, or its (H, W), pixels.
        min_share: Share of the crop's pixels that an image must have of a class to be drawn for it.
        tries: Crops to draw at most.
        cat_max_ratio: As in ``RandomCrop``: no class above this share of the labelled pixels, if possible.

    Attributes:
        min_pixels: ``min_share`` of the crop, in pixels.

    Raises:
        ConfigError: ``min_share`` is not from 0 to 1, or ``tries`` less than 1.

    Source: DAFormer's release: 3000 pixels of crops of 512 x 512, half of them in the crop, 10 crops, 0.75.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        min_share: float = 3000 / 512**2,
        tries: int = 10,
        cat_max_ratio: float = 0.75,
    ) -> None:
        super().__init__(crop_size, cat_max_ratio)
        if not 0 <= min_share <= 1 or tries < 1:
            raise ConfigError(
                f"RareClassCrop needs min_share from 0 to 1 and tries of at least 1, got {min_share}, {tries}"
            )
        self.min_share, self.tries = min_share, tries
        self.min_pixels = min_share * self.crop_size[0] * self.crop_size[1]

    @cache_randomness
    def crop_bbox(self, results: dict[str, Any]) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of the crop."""
        rare = results.get("rare_class")
        for _ in range(1 if rare is None else self.tries):
            place = super().crop_bbox(results)
            if rare is None or (self.crop(results["gt_seg_map"], place) == rare).sum() > 0.5 * self.min_pixels:
                break
        return place
