"""Losses of discriminators by hand, and the discriminators' shapes and numbers of parameters."""

import math

import numpy as np
import pytest
import torch

from rsseg.models.adaptation import FCDiscriminator, PixelDiscriminator
from rsseg.models.adaptation.adversarial import (
    SOURCE,
    TARGET,
    adversarial_loss,
    discriminator_accuracy,
    discriminator_loss,
    domain_loss,
)


def softplus(x):
    return math.log1p(math.exp(x))


def test_the_source_is_0_and_the_target_is_1():
    logits = torch.tensor([[[[2.0, -1.0]]]])  # -log(1 - sigmoid(x)) = softplus(x); -log sigmoid(x) = softplus(-x)
    np.testing.assert_allclose(domain_loss(logits, SOURCE).item(), (softplus(2) + softplus(-1)) / 2, rtol=1e-6)
    np.testing.assert_allclose(domain_loss(logits, TARGET).item(), (softplus(-2) + softplus(1)) / 2, rtol=1e-6)
    weights = torch.tensor([[[[3.0, 0.5]]]])
    expected = (3 * softplus(-2) + 0.5 * softplus(1)) / 2  # by the number of logits, not by the weights
    np.testing.assert_allclose(domain_loss(logits, TARGET, weights).item(), expected, rtol=1e-6)


def test_the_network_hides_the_target_with_the_papers_factors():
    main, auxiliary = torch.tensor([[[[0.5]]]]), torch.tensor([[[[-0.5]]]])
    expected = 0.001 * softplus(0.5) + 0.0002 * softplus(-0.5)
    np.testing.assert_allclose(adversarial_loss(main, auxiliary).item(), expected, rtol=1e-6)


def test_the_discriminator_gets_half_of_each_domain():
    source, target = torch.tensor([[[[0.5]]]], requires_grad=True), torch.tensor([[[[-0.25]]]], requires_grad=True)
    loss = discriminator_loss(source, target)
    loss.backward()
    np.testing.assert_allclose(loss.item(), (softplus(0.5) + softplus(0.25)) / 2, rtol=1e-6)
    np.testing.assert_allclose(source.grad.item(), 0.5 / (1 + math.exp(-0.5)), rtol=1e-6)
    np.testing.assert_allclose(target.grad.item(), -0.5 / (1 + math.exp(-0.25)), rtol=1e-6)


def test_accuracy_is_the_mean_of_both_domains():
    source, target = torch.tensor([-1.0, -2.0, 3.0, -1.0]), torch.tensor([1.0, -1.0])
    assert discriminator_accuracy(source, target).item() == (3 / 4 + 1 / 2) / 2


@pytest.mark.parametrize(
    ("build", "expected"),
    [(lambda: FCDiscriminator(8), 2_769_857), (lambda: PixelDiscriminator(1024, 8), 5_935_888)],
)
def test_parameters(build, expected):
    with torch.device("meta"):
        assert sum(p.numel() for p in build().parameters()) == expected


def test_a_logit_for_every_32nd_pixel_and_two_for_every_class():
    assert FCDiscriminator(3, channels=4)(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 2, 3)
    model = PixelDiscriminator(6, 3, channels=(5, 4))
    x = torch.randn(2, 6, 4, 5)
    out = model(x)
    assert out.shape == (2, 6, 4, 5)
    inner = model.layers(x)
    torch.testing.assert_close(out[:, :3], model.source(inner))
    torch.testing.assert_close(out[:, 3:], model.target(inner))
    layers = [*model.layers, *FCDiscriminator(3).layers]
    slopes = [layer.negative_slope for layer in layers if isinstance(layer, torch.nn.LeakyReLU)]
    assert slopes == [0.2] * 6
