"""PyCDA: self-labels of pixels and boxes by loops, the class balance, and the release's prior without effect."""

import numpy as np
import torch

from rsseg.models.adaptation.pycda import class_balance_loss, self_label_loss


def softmax(x, axis=0):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def slow(logits, threshold, boxes=(1, 2, 4, 8)):
    """Losses of all that counts, place by place."""
    found = []
    for n in range(len(logits)):
        for side in boxes:
            for y in range(logits.shape[2] // side):
                for x in range(logits.shape[3] // side):
                    box = logits[n, :, y * side : (y + 1) * side, x * side : (x + 1) * side].mean((1, 2))
                    largest = softmax(box).max()
                    if largest > threshold:
                        found.append(-np.log(largest))
    return found


def test_pixels_and_boxes_are_averaged_together():
    logits = np.random.default_rng(0).normal(0, 2, (2, 3, 9, 16)) + np.array([1.0, 0, 0]).reshape(3, 1, 1)
    expected = slow(logits, 0.7)
    assert len(expected) > len(slow(logits, 0.7, (1,))) > 50
    loss, count = self_label_loss(torch.tensor(logits))
    assert count.item() == len(expected)
    np.testing.assert_allclose(loss.item(), np.mean(expected), rtol=1e-5)


def test_gradients_are_those_of_differences():
    logits = np.random.default_rng(1).normal(0, 2, (1, 2, 2, 2))
    own = torch.tensor(logits, requires_grad=True)
    self_label_loss(own, boxes=(2,))[0].backward()
    expected = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-6
        high, low = (np.mean(slow(logits + e, 0.7, (1, 2))) for e in (step, -step))
        expected[place] = (high - low) / 2e-6
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(own.grad, expected, rtol=1e-4, atol=1e-6)


def test_nothing_sure_is_0_with_a_gradient_of_0():
    logits = torch.zeros(1, 3, 8, 8, requires_grad=True)
    loss, count = self_label_loss(logits)
    loss.backward()
    assert (loss.item(), count.item(), logits.grad.abs().max().item()) == (0, 0, 0)


def test_a_loss_of_exactly_0_does_not_count():
    logits = torch.tensor([[200.0, 0.0], [3.0, 0.0]]).T.reshape(1, 2, 1, 2)
    loss, count = self_label_loss(logits, boxes=())
    assert count.item() == 1
    np.testing.assert_allclose(loss.item(), np.log1p(np.exp(-3)), rtol=1e-5)


def balance(mean, prior):
    return np.mean(-(prior * np.log(mean + 1e-6) + (1 - prior) * np.log(1 - mean + 1e-6)))


def test_the_prior_has_an_effect_but_not_in_the_release():
    logits = np.random.default_rng(2).normal(size=(2, 4, 3, 5))
    mean = softmax(logits, 1).mean((0, 2, 3))
    prior = np.array([0.6, 0.2, 0.15, 0.05])
    found = class_balance_loss(torch.tensor(logits), torch.tensor(prior)).item()
    np.testing.assert_allclose(found, balance(mean, prior), rtol=1e-5)
    release = class_balance_loss(torch.tensor(logits), torch.tensor(prior), release_defects=True).item()
    np.testing.assert_allclose(release, balance(mean, np.full(4, 0.25)), rtol=1e-5)
    assert abs(found - release) > 1e-3


def test_the_balance_gives_gradients():
    logits = np.random.default_rng(3).normal(size=(1, 2, 1, 2))
    prior = np.array([0.9, 0.1])
    own = torch.tensor(logits, requires_grad=True)
    class_balance_loss(own, torch.tensor(prior)).backward()
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-6
        high, low = (balance(softmax(logits + e, 1).mean((0, 2, 3)), prior) for e in (step, -step))
        np.testing.assert_allclose(own.grad[place].item(), (high - low) / 2e-6, rtol=1e-4, atol=1e-7)
