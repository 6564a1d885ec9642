"""Where in its image a pixel of a training crop lies, whatever crops, flips, turns and scales it went through."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

__all__ = ["LoadPositions"]

_FIRST = 256  # 255 is what labels are padded with


@TRANSFORMS.register_module()
class LoadPositions(BaseTransform):
    """Number the pixels of an image, row by row from 256, in ``positions`` (H, W) int32.

    Behind the transform that loads the image; it is changed like labels (``seg_fields``), so that pixels of padding
    have 255.  With ``positions`` among the ``meta_keys`` of ``PackSegInputs`` it is in the ``metainfo`` of the sample,
    by which methods with pseudo labels find those of a crop.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``positions``."""
        height, width = results["img"].shape[:2]
        results["positions"] = np.arange(_FIRST, _FIRST + height * width, dtype=np.int32).reshape(height, width)
        results.setdefault("seg_fields", []).append("positions")
        return results
