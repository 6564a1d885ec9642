"""Mean features of regions, and their projection to the plane.

Source: OpenEarthMap paper, section 2.1: for each region the average of the features of a trained encoder,
projected by t-SNE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.openearthmap.groups import Group
from rsseg.errors import ConfigError, MissingPackageError

__all__ = ["project_features", "region_means"]

Floats = NDArray[np.float64]


def region_means(features: Floats, groups: Sequence[Group]) -> tuple[list[Group], Floats]:
    """Regions and the mean (G, D) of their images' features (N, D)."""
    regions = [group for group in groups if group.kind == "region"]
    return regions, np.array([features[group.rows].mean(0) for group in regions])


def project_features(features: Floats) -> Floats:
    """Project feature vectors to the plane by scikit-learn's t-SNE, so that similar ones lie close together.

    Args:
        features: (N, D), N >= 4. The perplexity is 30, or (N - 1) / 3 where that is less.

    Returns:
        (N, 2) float64, the same for the same input.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        ConfigError: There are fewer than 4 vectors, or a value is not finite.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingPackageError('t-SNE needs scikit-learn: pip install "rsseg[optional]"') from error
    count = len(features)
    if count < 4 or not np.isfinite(features).all():
        raise ConfigError(f"t-SNE needs at least 4 vectors of finite features; it was given an array {features.shape}")
    spread = min(features.shape) > 1 and bool(np.ptp(features, axis=0).any())
    model = TSNE(
        perplexity=min(30.0, (count - 1) / 3),
        init="pca" if spread else "random",  # principal components of equal vectors are undefined
        method="exact",  # OpenEarthMap has 97 regions; the approximation depends on the number of threads
        random_state=0,
    )
    return np.asarray(model.fit_transform(features), np.float64)
