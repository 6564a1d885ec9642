"""Images of any number of bands to normalised batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from rsseg.errors import ConfigError

__all__ = ["MultibandPreprocessor"]


@MODELS.register_module()
class MultibandPreprocessor(SegDataPreProcessor):
    """mmseg's ``SegDataPreProcessor``, whose mean and standard deviation may have any number of values.

    Args:
        mean: One for each band, in the order in which :class:`rsseg.datasets.LoadImage` is told them, in the units that
            the model sees: 0..255 with a declared range of values.
        std: The same.
        bgr_to_rgb: Whether three bands come in the reverse order, as ``LoadImage`` gives them; others never do.
        **kwargs: As in ``SegDataPreProcessor``.

    Raises:
        ConfigError: Mean and standard deviation differ in number; later, images have another number of bands.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], bgr_to_rgb: bool = True, **kwargs: Any) -> None:
        if len(mean) != len(std):
            raise ConfigError(f"data_preprocessor has {len(mean)} values of mean and {len(std)} of std; give as many")
        super().__init__(bgr_to_rgb=bgr_to_rgb, **kwargs)  # which takes one or three values only
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self._enable_normalize = True

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """As mmseg's."""
        count = len(data["inputs"][0])
        if count != len(self.mean):
            raise ConfigError(
                f"images have {count} bands, but model.data_preprocessor has {len(self.mean)} means; declare as many "
                "bands (bands=...), or give as many values of mean and of std"
            )
        return super().forward(data, training)
