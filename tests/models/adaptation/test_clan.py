"""CLAN by hand: discrepancy, local weights, damping, the cosine of two classifiers, and who gets gradients."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rsseg.models.adaptation.clan import (
    adversarial_loss,
    damping,
    discrepancy_map,
    discriminator_loss,
    local_domain_loss,
    scale_to_pixels,
    weight_discrepancy,
)

FIRST = torch.tensor([0.7, 0.2, 0.1]).log().view(1, 3, 1, 1)
SECOND = torch.tensor([0.1, 0.2, 0.7]).log().view(1, 3, 1, 1)
SOFTPLUS = math.log1p(math.exp(0.3))


def test_the_worked_example():
    weights = discrepancy_map(FIRST, SECOND)  # cosine (.07 + .04 + .07) / (.49 + .04 + .01) = 1/3
    assert weights.shape == (1, 1, 1, 1)
    np.testing.assert_allclose(weights.item(), 2 / 3, rtol=1e-6)
    logits = torch.tensor([[[[0.3]]]])
    expected = (0.4 + 20 / 3) * SOFTPLUS
    np.testing.assert_allclose(local_domain_loss(logits, 0.0, weights, 751).item(), expected, rtol=1e-6)
    assert round(0.4 + 10 * weights.item(), 3) == 7.067


def test_damping_ends_at_the_stop():
    assert [damping(i) for i in (0, 2500, 10000)] == [1, 0.75, 0]


@pytest.mark.parametrize(("iteration", "factor"), [(0, 1), (750, 1), (751, 0.4 + 20 / 3)])
def test_plain_up_to_and_including_750(iteration, factor):
    logits, weights = torch.tensor([[[[0.3]]]]), discrepancy_map(FIRST, SECOND)
    expected = 0.001 * (1 - iteration / 10000) * factor * SOFTPLUS
    np.testing.assert_allclose(adversarial_loss(logits, weights, iteration).item(), expected, rtol=1e-6)


def test_gradients_flow_through_the_weights_of_the_network_only():
    first, second = FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()
    logits = torch.tensor([[[[0.3]]]], requires_grad=True)
    adversarial_loss(logits, discrepancy_map(first, second), 1000).backward()
    # d(1 - cos)/dz by finite differences in float64
    outer = 0.001 * 0.9 * 10 * SOFTPLUS
    for own, sign in ((first, 1), (second, -1)):
        found, z = [], [FIRST.flatten().double().numpy(), SECOND.flatten().double().numpy()]
        for k in range(3):
            step = np.zeros(3)
            step[k] = 1e-6
            high, low = ((z[0] + e, z[1]) if sign == 1 else (z[0], z[1] + e) for e in (step, -step))
            found.append((_discrepancy(*high) - _discrepancy(*low)) / 2e-6)
        np.testing.assert_allclose(own.grad.flatten(), outer * np.array(found), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(logits.grad.item(), 0.001 * 0.9 * (0.4 + 20 / 3) / (1 + math.exp(-0.3)), rtol=1e-5)

    first.grad = second.grad = None
    loss = discriminator_loss(torch.tensor([[[[-1.0]]]]), logits, discrepancy_map(first, second), 1000)
    loss.backward()
    assert first.grad is None and second.grad is None
    expected = (math.log1p(math.exp(-1)) + (0.4 + 20 / 3) * math.log1p(math.exp(-0.3))) / 2  # not damped
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)


def _discrepancy(first, second):
    p, q = (np.exp(z) / np.exp(z).sum() for z in (first, second))
    return 1 - p @ q / np.sqrt((p @ p) * (q @ q))


def test_logits_are_scaled_with_aligned_corners():
    scaled = scale_to_pixels(torch.tensor([[[[0.0, 3.0]]]]), (1, 4))
    assert scaled.flatten().tolist() == [0, 1, 2, 3]


def test_all_parameters_of_the_classifiers_meet_with_their_biases():
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    for layer, values in ((first, (1.0, 0.0, 2.0)), (second, (2.0, 1.0, -2.0))):
        layer.weight.data = torch.tensor([values[:2]])
        layer.bias.data = torch.tensor(values[2:])
    loss = weight_discrepancy(first.parameters(), second.parameters(), 2500)
    cosine = -2 / (math.sqrt(5) * 3)
    np.testing.assert_allclose(loss.item(), 0.01 * 2 * 0.75 * (cosine + 1), rtol=1e-6)
    loss.backward()
    one, other = np.array([1.0, 0, 2]), np.array([2.0, 1, -2])
    expected = 0.015 * (other / (math.sqrt(5) * 3) - cosine * one / 5)
    np.testing.assert_allclose([*first.weight.grad[0], first.bias.grad.item()], expected, rtol=1e-5)
