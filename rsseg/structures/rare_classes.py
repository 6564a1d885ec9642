"""Rare-class sampling: how often each class is drawn, by its share of the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.errors import ConfigError

__all__ = ["RELEASE_TEMPERATURE", "TEMPERATURE", "draw_class", "rare_class_probabilities"]

TEMPERATURE = 0.1
"""Of land-cover sets with few classes: all eight of OpenEarthMap are drawn."""
RELEASE_TEMPERATURE = 0.01
"""DAFormer's for Cityscapes, where 19 classes differ more; of OpenEarthMap it draws two classes in 99.5 %."""


def rare_class_probabilities(pixels: ArrayLike, temperature: float = TEMPERATURE) -> NDArray[np.float64]:
    """Probability of each class to be drawn: softmax of (1 - share) / temperature.

    Args:
        pixels: (C,) counted pixels of each class in the source; classes without any are never drawn.
        temperature: The lower, the more often the rarest class is drawn.

    Returns:
        (C,) with sum 1.

    Raises:
        ConfigError: No class has pixels, a count is negative, or the temperature is not positive.

    Source: Hoyer et al., "DAFormer", 2022, equation 5 and section 3.3.
    """
    counts = np.asarray(pixels, np.float64)
    if temperature <= 0:
        raise ConfigError(f"temperature={temperature}: rare-class sampling needs a temperature above 0")
    if not counts.any() or (counts < 0).any():
        raise ConfigError(f"rare-class sampling needs counted pixels, got {counts.tolist()}")
    logits = np.where(counts > 0, (1 - counts / counts.sum()) / temperature, -np.inf)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def draw_class(probabilities: NDArray[np.float64], rng: Any = np.random) -> int:
    """A class by its probability.

    Args:
        probabilities: (C,) with sum 1.
        rng: NumPy's random generator, random state, or its module.
    """
    return int(rng.choice(len(probabilities), p=probabilities))
