"""IAST: thresholds and both losses by hand and by loops, groups of images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rsseg.models.adaptation.iast import (
    IAST,
    START,
    entropy_loss,
    image_groups,
    kept_divergence,
    pseudo_labels,
    update_thresholds,
)
from tests.models.adaptation.tiny_domains import GivenImages


def test_the_worked_example():
    confidence = torch.tensor([[0.6, 0.7, 0.8, 0.95, 0.99]])
    found = update_thresholds(torch.tensor([START, 0.5], dtype=torch.float64), confidence, torch.zeros(1, 5).long())
    np.testing.assert_allclose(found[0].item(), 0.90728, atol=5e-5)  # 0.95 and 0.99 are float16 there
    np.testing.assert_allclose(found[1].item(), 0.5, rtol=1e-8)  # a class that no pixel has


def test_thresholds_are_those_of_plain_sorting():
    rng = np.random.default_rng(0)
    thresholds = torch.full((3,), START, dtype=torch.float64)
    expected = [START] * 3
    for _ in range(4):
        probs = rng.dirichlet([0.4] * 3, (9, 11)).astype(np.float32)
        confidence, labels = probs.max(-1), probs.argmax(-1)
        thresholds = update_thresholds(thresholds, torch.from_numpy(confidence), torch.from_numpy(labels))
        for c in range(3):
            values = sorted([expected[c], *map(float, confidence[labels == c].astype(np.float16))])
            position = (1 - 0.2 * expected[c] ** 8) * (len(values) - 1)
            below = int(position)
            above = min(below + 1, len(values) - 1)
            t = np.float32(values[below] + (position - below) * (values[above] - values[below]))
            expected[c] = 0.9 * expected[c] + 0.1 * float(t)
        np.testing.assert_allclose(thresholds, expected, rtol=1e-7)


def test_percentiles_relax_with_the_threshold():
    values = torch.linspace(0, 1, 10001).double()[None]
    for threshold, percentile in ((0.9, 91.39), (0.5, 99.92), (0.99, 81.5)):
        new = update_thresholds(torch.tensor([threshold], dtype=torch.float64), values, torch.zeros(1, 10001).long())
        np.testing.assert_allclose((new.item() - 0.9 * threshold) / 0.1, percentile / 100, atol=1e-3)


def test_thresholds_stay_below_1():
    ones = torch.ones(1, 4)
    assert update_thresholds(torch.tensor([1.0]), ones, torch.zeros(1, 4).long()).tolist() == [0.999]


def test_labels_are_kept_from_their_threshold_on():
    confidence, labels = torch.tensor([[[0.5, 0.75, 0.75, 0.8]]]), torch.tensor([[[0, 0, 1, 1]]])
    found = pseudo_labels(confidence, labels, torch.tensor([0.75, 0.76], dtype=torch.float64))
    assert found.tolist() == [[[255, 0, 255, 1]]]


def test_images_are_alone_or_as_in_the_release_in_pairs():
    assert [list(group) for group in image_groups(3)] == [[0], [1], [2]]
    assert [list(group) for group in image_groups(5, release_defects=True)] == [[0, 1], [2, 3]]


def test_the_worked_example_of_the_losses():
    logits = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    loss, count = entropy_loss(logits, torch.tensor([[[255]]]))
    assert (round(loss.item(), 4), count.item()) == (0.1827, 1)
    loss, count = kept_divergence(logits, torch.tensor([[[0]]]))
    assert (round(loss.item(), 4), count.item()) == (0.5635, 1)


def test_losses_and_gradients_are_those_of_loops():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(2, 3, 2, 3)), rng.choice([0, 2, 255], (2, 2, 3))

    def slow(z, kept):
        total, count = 0.0, 0
        for n, y, x in np.ndindex(2, 2, 3):
            if (labels[n, y, x] != 255) == kept:
                p = np.exp(z[n, :, y, x]) / np.exp(z[n, :, y, x]).sum()
                total += sum(-np.log(p)) / 3 if kept else sum(-p * np.log(p))
                count += 1
        return total / (3 * count)

    for function, kept in ((entropy_loss, False), (kept_divergence, True)):
        own = torch.tensor(logits, requires_grad=True)
        loss, count = function(own, torch.from_numpy(labels))
        loss.backward()
        assert count.item() == ((labels != 255) == kept).sum()
        np.testing.assert_allclose(loss.item(), slow(logits, kept), rtol=1e-5)
        for place in np.ndindex(logits.shape):
            step = np.zeros_like(logits)
            step[place] = 1e-6
            expected = (slow(logits + step, kept) - slow(logits - step, kept)) / 2e-6
            np.testing.assert_allclose(own.grad[place].item(), expected, rtol=1e-4, atol=1e-7)


def test_empty_sets_are_0():
    logits = torch.randn(1, 2, 1, 2, requires_grad=True)
    for function, label in ((entropy_loss, 0), (kept_divergence, 255)):
        loss, count = function(logits, torch.full((1, 1, 2), label))
        loss.backward()
        assert (loss.item(), count.item(), logits.grad.abs().max().item()) == (0, 0, 0)


@pytest.mark.parametrize("release_defects", [False, True])
def test_a_round_goes_from_image_to_image(release_defects):
    torch.manual_seed(0)
    given = GivenImages([torch.randn(1, 3, 8, 9 + i) * 4 for i in range(5)])
    method = IAST(release_defects=release_defects)
    method.setup(SimpleNamespace(decode_head=SimpleNamespace(num_classes=3)))
    method.refresh(given)
    thresholds = torch.full((3,), START, dtype=torch.float64)
    for group in image_groups(5, release_defects):
        sure = [given.given[i].softmax(1)[0].max(0) for i in group]
        values, owners = (torch.cat([own[k].flatten() for own in sure]) for k in (0, 1))
        thresholds = update_thresholds(thresholds, values, owners)
        for i, (confidence, labels) in zip(group, sure, strict=True):
            expected = labels.where(confidence.double() >= thresholds[labels], 255)
            assert np.array_equal(given.labels[i], expected)
            assert 0 < (expected != 255).float().mean() < 1
    assert torch.equal(method.thresholds, thresholds)
    assert (given.labels[4] == 255).all() == release_defects  # the odd last one
