"""Bands to tensors: mean and standard deviation of the archive, for models of mmpretrain and of mmseg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmpretrain.registry
import mmseg.registry
import torch
from mmpretrain.models import ClsDataPreprocessor
from mmseg.models import SegDataPreProcessor

from rsseg.metainfo import band_statistics

__all__ = ["BandPreprocessor", "SegBandPreprocessor"]


@mmpretrain.registry.MODELS.register_module()
class BandPreprocessor(ClsDataPreprocessor):
    """mmpretrain's data preprocessor with mean and standard deviation of BigEarthNet's bands.

    Args:
        bands: Names of the bands, in the order of the data set.
        version: Archive that the statistics are of, ``v1`` or ``v2``.
        **kwargs: As in ``ClsDataPreprocessor``, such as ``to_onehot`` and ``num_classes``.

    Raises:
        ValueError: There is no such band or version.
    """

    def __init__(self, bands: Sequence[str], version: str = "v1", **kwargs: Any) -> None:
        mean, std = band_statistics(bands, version)
        super().__init__(mean=mean, std=std, **kwargs)


@mmseg.registry.MODELS.register_module(name="BandPreprocessor")
class SegBandPreprocessor(SegDataPreProcessor):
    """As :class:`BandPreprocessor`, for segmentation; in configs it has the same name."""

    def __init__(self, bands: Sequence[str], version: str = "v2", **kwargs: Any) -> None:
        mean, std = band_statistics(bands, version)
        super().__init__(**kwargs)  # which takes one or three values only
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
        self._enable_normalize = True
