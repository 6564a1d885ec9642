"""Bands to tensors: mean and standard deviation of the archive, for models of mmpretrain and of mmseg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmpretrain.registry
import mmseg.registry
from mmpretrain.models import ClsDataPreprocessor

from rsseg.datasets.bigearthnet.band_table import band_statistics
from rsseg.datasets.preprocessing import MultibandPreprocessor
from rsseg.errors import ConfigError

__all__ = ["BandPreprocessor", "SegBandPreprocessor"]


def _check(bands: Sequence[str], data: Any) -> None:
    """Refuse a batch with other bands, or with the same in another order where its samples know theirs."""
    count, samples = len(data["inputs"][0]), data.get("data_samples")
    names = samples[0].metainfo.get("band_names") if samples else None
    if count != len(bands) or tuple(names or bands) != tuple(bands):
        found = ", ".join(names) if names else f"{count} bands"
        raise ConfigError(
            f"images have {found}, but data_preprocessor.bands are {', '.join(bands)}; give the data sets of train, "
            "val and test and data_preprocessor the same bands"
        )


@mmpretrain.registry.MODELS.register_module()
class BandPreprocessor(ClsDataPreprocessor):
    """mmpretrain's data preprocessor with mean and standard deviation of BigEarthNet's bands.

    Args:
        bands: Names of the bands, in the order of the data set.
        version: Archive that the statistics are of, ``v1`` or ``v2``.
        **kwargs: As in ``ClsDataPreprocessor``, such as ``to_onehot`` and ``num_classes``.

    Raises:
        ValueError: There is no such band or version; later, images have other bands.
    """

    def __init__(self, bands: Sequence[str], version: str = "v1", **kwargs: Any) -> None:
        mean, std = band_statistics(bands, version)
        super().__init__(mean=mean, std=std, **kwargs)
        self.bands = tuple(bands)

    def forward(self, data: Any, training: bool = False) -> Any:
        """As mmpretrain's."""
        _check(self.bands, data)
        return super().forward(data, training)


@mmseg.registry.MODELS.register_module(name="BandPreprocessor")
class SegBandPreprocessor(MultibandPreprocessor):
    """As :class:`BandPreprocessor`, for segmentation; in configs it has the same name."""

    def __init__(self, bands: Sequence[str], version: str = "v2", **kwargs: Any) -> None:
        super().__init__(*band_statistics(bands, version), **{"bgr_to_rgb": False, **kwargs})
        self.bands = tuple(bands)

    def forward(self, data: Any, training: bool = False) -> Any:
        """As mmseg's."""
        _check(self.bands, data)
        return super().forward(data, training)
