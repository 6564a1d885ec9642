"""MMD (deep domain confusion; "MCD" in OpenEarthMap): the two domains' image embeddings get the same mean."""

from __future__ import annotations

from torch import Tensor

from rsseg.errors import ConfigError

__all__ = ["linear_mmd"]


def linear_mmd(source: Tensor, target: Tensor) -> Tensor:
    """Mean over all N * N entries of d d^T, where d is the difference of the embeddings, row by row.

    Args:
        source: (N, D) embeddings of source images.
        target: (N, D) embeddings of target images.

    Returns:
        Scalar, |sum of d over the images|^2 / N^2, so the order of the images does not matter; both get gradients.

    Raises:
        ConfigError: The numbers of images differ.

    Source: Tzeng et al., "Deep domain confusion", 2014, with a linear kernel; LoveDA's release.
    """
    if source.shape != target.shape:
        raise ConfigError(
            f"MMD compares images in pairs, but a batch has {len(source)} of the source and {len(target)} of the "
            "target; use the same number of both in every batch"
        )
    return (source.float() - target.float()).mean(0).square().sum()
