"""mmseg's ``MMSegInferencer`` with the loader of this package's configs.

The inferencer looks for ``LoadImageFromFile`` in the test pipeline and puts a loader of its own in that place, which
takes file names and arrays.  Here it does the same for ``LoadImage``, so that files are read as in tests and maps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmseg.apis import MMSegInferencer
from mmseg.registry import TRANSFORMS

from rsseg.datasets.loading import LoadImage
from rsseg.errors import DataError
from rsseg.io.bands import scale_values

__all__ = ["LoadImageOrArray"]

_LABELS = ("LoadLabels", "LoadAnnotations")
_LOOKS_FOR_ITS_OWN = MMSegInferencer._init_pipeline


@TRANSFORMS.register_module()
class LoadImageOrArray(BaseTransform):
    """:class:`LoadImage` for what an inferencer is given: the path of a file, or an array.

    An array is (H, W, C), blue, green, red where there are three bands, else the bands as declared; its numbers are
    those of a file, so a declared range applies to them.

    Args:
        kwargs: As for :class:`LoadImage`.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.from_file = LoadImage(**kwargs)

    def transform(self, results: Any) -> dict[str, Any]:
        """Add what :class:`LoadImage` adds.

        Raises:
            DataError: An array has another number of bands than the model; or as for :class:`LoadImage`.
        """
        if isinstance(results, str):
            results = dict(img_path=results)
        elif isinstance(results, np.ndarray):
            results = dict(img=results)
        if "img" not in results:
            return self.from_file.transform(results)
        pixels, spec = results["img"], self.from_file.spec
        count = 3 if spec.bands is None else len(spec.bands)
        if pixels.ndim != 3 or pixels.shape[2] != count:
            raise DataError(f"an array of shape {pixels.shape} was given; expected (H, W, {count})")
        if isinstance(spec.value_range, tuple):
            pixels = scale_values(pixels, spec.value_range)
        return {
            **results,
            "img": pixels,
            "img_path": None,
            "img_shape": pixels.shape[:2],
            "ori_shape": pixels.shape[:2],
        }


def _init_pipeline(self: Any, cfg: Any) -> Any:
    """The test pipeline of a config without labels, with a loader for files and arrays."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    if not any(step["type"] == "LoadImage" for step in pipeline):
        return _LOOKS_FOR_ITS_OWN(self, cfg)
    kept = [dict(step) for step in pipeline if step["type"] not in _LABELS]
    for step in kept:
        if step["type"] == "LoadImage":
            step["type"] = "LoadImageOrArray"
    return Compose(kept)


MMSegInferencer._init_pipeline = _init_pipeline
