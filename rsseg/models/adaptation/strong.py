"""Strong augmentation of normalised images, as DAFormer and MIC change mixed and masked ones: colours and blur."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

__all__ = ["blur", "blur_kernel", "color_jitter", "strong_augmentation"]

_AMOUNT = 0.2
_JITTER_ABOVE, _BLUR_ABOVE = 0.2, 0.5
_SIGMA = (0.15, 1.15)


def blur_kernel(side: int) -> int:
    """Odd width of the blur's kernel near a tenth of an image's side: 51 of 512, 25 of 256, 103 of 1024."""
    tenth = -(-side // 10)
    return tenth if tenth % 2 else max(tenth - 1, 1)


def color_jitter(image: Tensor, factors: tuple[float, float, float, float], order: Any) -> Tensor:
    """Change brightness, contrast, saturation and hue of an image.

    Args:
        image: (3, H, W) red, green, blue in 0 .. 1.
        factors: Of brightness, contrast and saturation, around 1, and the hue's part of the circle, around 0.
        order: The four numbers 0 .. 3 in the order in which they are applied.
    """
    steps = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    for i in order:
        image = steps[int(i)](image, factors[int(i)])
    return image


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C, H, W) with the kernel of :func:`blur_kernel`, mirrored at the border."""
    height, width = image.shape[-2:]
    return functional.gaussian_blur(image, [blur_kernel(width), blur_kernel(height)], [sigma, sigma])


@torch.no_grad()
def strong_augmentation(
    images: Tensor, mean: Tensor, std: Tensor, coins: tuple[float, float], rng: Any = np.random, amount: float = _AMOUNT
) -> Tensor:
    """Change colours where the first coin is above 0.2, and blur where the second is above 0.5.

    Args:
        images: (N, C, H, W) normalised; red, green, blue where C is 3.  Other images are only blurred.
        mean: (C,) of the normalisation, for values 0 .. 255.
        std: (C,) of the normalisation.
        coins: Two draws from 0 .. 1, for the whole batch.
        rng: NumPy's random generator, random state, or its module; every image has its own draws.
        amount: Largest change of brightness, contrast, saturation and hue.

    Returns:
        (N, C, H, W) normalised.

    Source: Hoyer et al. 2022, section 4.1 and the release: "probability 0.2" is a threshold there, so colours change in
    80 % of the iterations.
    """
    mean, std = mean.view(-1, 1, 1).to(images), std.view(-1, 1, 1).to(images)
    out = []
    for image in images:
        if coins[0] > _JITTER_ABOVE and len(image) == 3:
            levels = ((image * std + mean) / 255).clamp(0, 1)
            factors = [rng.uniform(1 - amount, 1 + amount) for _ in range(3)]
            shift = rng.uniform(-amount, amount)
            changed = color_jitter(levels, (*factors, shift), rng.permutation(4))
            image = (changed * 255 - mean) / std
        if coins[1] > _BLUR_ABOVE:
            image = blur(image, rng.uniform(*_SIGMA))
        out.append(image)
    return torch.stack(out)
