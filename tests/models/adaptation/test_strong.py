"""Strong augmentation: kernels, coins, and what stays as it is."""

import numpy as np
import pytest
import torch

from rsseg.models.adaptation.strong import blur, blur_kernel, color_jitter, strong_augmentation

MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])


def normalised(levels):
    return (levels * 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def test_kernels_are_odd_and_near_a_tenth():
    assert {side: blur_kernel(side) for side in (512, 256, 1024, 10, 8, 15)} == {
        512: 51,
        256: 25,
        1024: 103,
        10: 1,
        8: 1,
        15: 1,
    }


def test_each_change_of_colour():
    image = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1).repeat(1, 2, 2)
    grey = 0.2989 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    none = (1.0, 1.0, 1.0, 0.0)
    torch.testing.assert_close(color_jitter(image, none, range(4)), image, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(color_jitter(image, (1.1, *none[1:]), range(4)), image * 1.1, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(color_jitter(image, (1.0, 0.9, 1.0, 0.0), [1]), 0.9 * image + 0.1 * grey)
    torch.testing.assert_close(color_jitter(image, (1.0, 1.0, 1.2, 0.0), [2]), 1.2 * image - 0.2 * grey)
    turned = color_jitter(image, (1.0, 1.0, 1.0, 1 / 3), [3])  # a third of the circle: red, green, blue move on
    torch.testing.assert_close(turned[:, 0, 0], torch.tensor([0.6, 0.2, 0.4]), rtol=1e-4, atol=1e-5)


def test_blur_is_a_gaussian_with_a_mirrored_border():
    image = torch.zeros(1, 31, 31)
    image[0, 15, 15] = 1
    weights = np.exp(-(np.arange(-1, 2) ** 2) / (2 * 0.6**2))  # 31 has a kernel of 3
    weights /= weights.sum()
    np.testing.assert_allclose(blur(image, 0.6)[0, 14:17, 14:17], np.outer(weights, weights), rtol=1e-5)
    torch.testing.assert_close(blur(torch.ones(1, 40, 40), 1.0), torch.ones(1, 40, 40))


@pytest.mark.parametrize("coins", [(0.2, 0.5), (0.21, 0.5), (0.2, 0.51), (1.0, 1.0)])
def test_coins_are_thresholds(coins):
    torch.manual_seed(0)
    images = torch.stack([normalised(torch.rand(3, 32, 32)) for _ in range(2)])
    out = strong_augmentation(images, MEAN, STD, coins, np.random.default_rng(0))
    assert torch.equal(out, images) == (coins == (0.2, 0.5)) and out.shape == images.shape
    assert torch.equal(out, strong_augmentation(images, MEAN, STD, coins, np.random.default_rng(0)))


def test_images_have_their_own_draws_and_other_bands_are_only_blurred():
    levels = torch.rand(3, 32, 32)
    images = torch.stack([normalised(levels)] * 2)
    first, second = strong_augmentation(images, MEAN, STD, (1.0, 0.0), np.random.default_rng(0))
    assert not torch.equal(first, second)
    four = torch.rand(1, 4, 32, 32)
    assert torch.equal(strong_augmentation(four, torch.zeros(4), torch.ones(4), (1.0, 0.0)), four)
