"""MMD of two batches of embeddings, by hand and by loops."""

import numpy as np
import pytest
import torch

from rsseg.models.adaptation.mmd import linear_mmd


def test_the_worked_example():
    difference = torch.tensor([[1.0, 0.0], [0.0, 2.0]])  # d d^T is [[1, 0], [0, 4]]
    assert linear_mmd(difference + 3, torch.full((2, 2), 3.0)).item() == 1.25


def test_value_and_gradients_are_those_of_loops():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 3, 5))
    difference, value = source - target, 0.0
    gradient = np.zeros_like(source)
    for i in range(3):
        for j in range(3):
            value += difference[i] @ difference[j] / 9
            gradient[i] += difference[j] / 9
            gradient[j] += difference[i] / 9
    own = [torch.tensor(x, requires_grad=True) for x in (source, target)]
    loss = linear_mmd(*own)
    loss.backward()
    np.testing.assert_allclose(loss.item(), value, rtol=1e-5)
    np.testing.assert_allclose(own[0].grad, gradient, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(own[1].grad, -gradient, rtol=1e-5, atol=1e-7)


def test_batches_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="3 of the source and 2 of the target"):
        linear_mmd(torch.zeros(3, 4), torch.zeros(2, 4))
