"""FADA by loops: soft labels, the class-wise domain loss, and who gets gradients."""

import numpy as np
import torch

from rsseg.models.adaptation.fada import (
    adversarial_loss,
    discriminator_loss,
    domain_labels,
    soft_cross_entropy,
    soft_labels,
    source_loss,
)


def softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def test_soft_labels_are_cut_and_give_no_gradient():
    logits = torch.tensor([1.8 * 3, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    found = soft_labels(logits)
    total = np.exp(3) + 2
    np.testing.assert_allclose(found.flatten(), [0.9, 1 / total, 1 / total], rtol=1e-6)  # 0.909 before
    assert not found.requires_grad


def test_domains_have_their_own_half():
    soft = torch.tensor([0.7, 0.3]).view(1, 2, 1, 1)
    np.testing.assert_allclose(domain_labels(soft, target=False).flatten(), [0.7, 0.3, 0, 0])
    np.testing.assert_allclose(domain_labels(soft, target=True).flatten(), [0, 0, 0.7, 0.3])


def test_losses_are_those_of_loops():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 2, 6, 3, 4))
    soft_source, soft_target = softmax(rng.normal(size=(2, 2, 3, 3, 4)), 2)

    def slow(logits, soft, first):
        total = 0.0
        for n, y, x in np.ndindex(2, 3, 4):
            log = np.log(softmax(logits[n, :, y, x], 0))
            total -= sum(soft[n, k, y, x] * log[first + k] for k in range(3))
        return total / 24

    tensors = [torch.tensor(x, requires_grad=True) for x in (source, target, soft_source, soft_target)]
    s, t, ss, st = tensors
    np.testing.assert_allclose(soft_cross_entropy(s, domain_labels(ss, False)).item(), slow(source, soft_source, 0))
    np.testing.assert_allclose(adversarial_loss(t, st).item(), 0.001 * slow(target, soft_target, 0), rtol=1e-6)
    expected = (slow(source, soft_source, 0) + slow(target, soft_target, 3)) / 2
    loss = discriminator_loss(s, t, ss.detach(), st.detach())
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)
    loss.backward()
    gradient = (softmax(target, 1) * soft_target.sum(1, keepdims=True)) / 48
    gradient[:, 3:] -= soft_target / 48
    np.testing.assert_allclose(t.grad, gradient, rtol=1e-5, atol=1e-8)


def test_the_source_is_cooled_and_weighed():
    logits = torch.tensor([1.8, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 1, 2)
    labels = torch.tensor([[[0, 255]]])
    np.testing.assert_allclose(source_loss(logits, labels).item(), 0.1 * np.log1p(np.exp(-1)), rtol=1e-6)
    assert source_loss(logits, torch.full_like(labels, 255)).item() == 0
