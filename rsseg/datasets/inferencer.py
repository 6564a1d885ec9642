"""Loaders for what mmseg's ``inference_model`` and ``MMSegInferencer`` are given: the path of a file, or an array.

The inferencer looks for mmseg's own loader in the pipeline of the config's test set, by its name, and knows no other;
so its ``_init_pipeline`` is replaced here, for configs with a loader of this package.  Files are read as in tests and
maps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmseg.apis import MMSegInferencer
from mmseg.registry import TRANSFORMS

from rsseg.datasets.loading import LoadImage
from rsseg.errors import ConfigError, DataError
from rsseg.io.bands import scale_values
from rsseg.io.pipelines import inference_pipeline
from rsseg.io.pixel_settings import share_pixels

__all__ = ["FileOrArray", "LoadImageOrArray"]

_LOOKS_FOR_ITS_OWN = MMSegInferencer._init_pipeline


@TRANSFORMS.register_module()
class FileOrArray(BaseTransform):
    """Nothing: the step whose place mmseg's ``inference_model`` takes for arrays, see ``inference_config``."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The same."""
        return results


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
    """The test pipeline of a config without labels, with a loader for files and arrays.

    Raises:
        ConfigError: The config has neither a test set nor a ``test_pipeline``.
    """
    share_pixels(getattr(cfg, "_cfg_dict", cfg))
    steps = inference_pipeline(cfg)
    if steps is None and not cfg.get("test_dataloader"):
        raise ConfigError(
            "MMSegInferencer needs to know how images are loaded, but the config has neither test_dataloader nor "
            "test_pipeline; add test_pipeline=[dict(type='LoadImage'), dict(type='PackSegInputs')], or a test set"
        )
    return _LOOKS_FOR_ITS_OWN(self, cfg) if steps is None else Compose(steps)


MMSegInferencer._init_pipeline = _init_pipeline
