"""CBST: thresholds against sorting, pseudo labels by hand, and the release's second softmax."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rsseg.models.adaptation.cbst import (
    BINS,
    CBST,
    add_confidences,
    class_thresholds,
    confidence_histogram,
    probabilities,
    pseudo_labels,
)
from tests.models.adaptation.tiny_domains import GivenImages


def sorted_thresholds(images, classes, portion, step=4):
    """The rule with all confidences in one list."""
    out = []
    for c in range(classes):
        values = [v for conf, label in images for v in conf[label == c][::step]]
        n = math.floor(len(values) * portion)
        out.append(sorted(values, reverse=True)[n - 1] if n else 1.0)
    return np.array(out)


def images(count=3, classes=4):
    rng = np.random.default_rng(0)
    for i in range(count):
        probs = rng.dirichlet([0.3] * (classes - 1), (20, 30 + i)).astype(np.float32)  # the last class is never seen
        yield probs.max(-1), probs.argmax(-1)


def test_thresholds_are_those_of_sorting_to_a_bin():
    own = list(images())
    for portion in (0.1, 0.5, 0.001):
        histogram = confidence_histogram(4)
        for confidence, labels in own:
            add_confidences(histogram, torch.from_numpy(confidence), torch.from_numpy(labels))
        expected = sorted_thresholds(own, 4, portion)
        missing = expected - class_thresholds(histogram, portion).numpy()
        assert (missing >= 0).all() and (missing < 1 / BINS).all()
    assert expected.tolist() == [1.0] * 4  # 0.001 of about 150 pixels is none


def test_histograms_of_processes_add():
    parts = [confidence_histogram(4) for _ in range(3)]
    whole = confidence_histogram(4)
    for part, (confidence, labels) in zip(parts, images(), strict=True):
        for histogram in (part, whole):
            add_confidences(histogram, torch.from_numpy(confidence), torch.from_numpy(labels), step=1)
    assert torch.equal(sum(parts), whole)
    assert whole.sum() == 20 * (30 + 31 + 32)


def test_every_fourth_pixel_of_a_class_counts_from_its_first():
    confidence = torch.tensor([[0.9, 0.25, 0.8, 0.75], [0.625, 0.5, 0.125, 0.375]])
    labels = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]])  # of class 0 .25 .75 .625 .5 .125, of class 1 .9 .8 .375
    histogram = confidence_histogram(2)
    add_confidences(histogram, confidence, labels)
    bins = [torch.nonzero(row).flatten().tolist() for row in histogram]
    assert bins == [[BINS // 8, BINS // 4], [int(torch.tensor(0.9) * BINS)]]


def test_the_worked_examples():
    probs = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.45, 0.05], [0.2, 0.7, 0.1], [0.8, 0.2, 0.0]])
    found = pseudo_labels(probs.T.reshape(1, 3, 1, 4), torch.tensor([0.8, 0.5, 0.9]))
    assert found.tolist() == [[[255, 255, 1, 0]]]
    # .45 / .44 is more than .5 / .8: the label need not be the largest probability
    assert pseudo_labels(probs[1].view(1, 3, 1, 1), torch.tensor([0.8, 0.44, 0.9])).tolist() == [[[1]]]


def test_the_release_applies_the_softmax_twice():
    logits = torch.tensor([0.6, 0.3, 0.1]).log().view(1, 3, 1, 1)
    np.testing.assert_allclose(probabilities(logits).flatten(), [0.6, 0.3, 0.1], rtol=1e-6)
    release = probabilities(logits, release_defects=True).flatten()
    np.testing.assert_allclose(release, [0.426, 0.316, 0.258], atol=5e-4)
    sure = torch.tensor([99.0] + [0.0] * 7).view(1, 8, 1, 1)
    assert round(probabilities(sure, release_defects=True).max().item(), 4) == 0.2797


@pytest.mark.parametrize("release_defects", [False, True])
def test_a_round_is_that_of_sorting_all_confidences(release_defects):
    rng = np.random.default_rng(1)
    logits = [rng.normal(0, 2, (4, 20, 30 + i)).astype(np.float32) for i in range(3)]
    probs = [np.exp(z) / np.exp(z).sum(0) for z in logits]
    if release_defects:
        probs = [np.exp(p) / np.exp(p).sum(0) for p in probs]
    method = CBST(portion=0.3, release_defects=release_defects)
    method.setup(SimpleNamespace(decode_head=SimpleNamespace(num_classes=4)))
    given = GivenImages([torch.from_numpy(z)[None] for z in logits])
    method.refresh(given)
    expected = sorted_thresholds([(p.max(0), p.argmax(0)) for p in probs], 4, 0.3)
    np.testing.assert_allclose(method.thresholds, expected, atol=1.1 / BINS)
    assert (method.thresholds.numpy() < 0.5).all() == release_defects
    kept = 0
    for i, p in enumerate(probs):
        relative = p / expected.reshape(4, 1, 1)
        wanted = np.where(relative.max(0) >= 1, relative.argmax(0), 255)
        assert (given.labels[i] != wanted).mean() < 0.005  # what lies within a bin of its threshold
        kept += (wanted != 255).sum()
    assert given.kept.sum().item() == pytest.approx(kept, abs=3) and given.predicted.sum() == 20 * (30 + 31 + 32)
