"""Probabilities of rare-class sampling: those of OpenEarthMap's pixels at three temperatures."""

import numpy as np
import pytest

from rsseg.structures.rare_classes import RELEASE_TEMPERATURE, draw_class, rare_class_probabilities

PIXELS = np.array([74, 1130, 798, 331, 996, 161, 680, 770])
"""Millions of bareland, rangeland, developed, road, tree, water, agriculture, building; table 2 of the paper."""


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (RELEASE_TEMPERATURE, {0: 0.849, 5: 0.146, 3: 0.005}),
        (0.05, {0: 0.436, 5: 0.307, 3: 0.154}),
        (0.1, {0: 0.288, 5: 0.241, 3: 0.171, 6: 0.084, 7: 0.070, 2: 0.066, 4: 0.045, 1: 0.034}),
    ],
)
def test_openearthmap(temperature, expected):
    found = rare_class_probabilities(PIXELS, temperature)
    for c, probability in expected.items():
        np.testing.assert_allclose(found[c], probability, atol=6e-4)
    np.testing.assert_allclose(found.sum(), 1)


def test_all_eight_classes_are_drawn_by_default():
    np.testing.assert_allclose(rare_class_probabilities(PIXELS), rare_class_probabilities(PIXELS, 0.1))


def test_two_classes_by_hand():
    found = rare_class_probabilities([3, 0, 1], 0.5)  # (1 - 3/4) / 0.5 = 0.5 and (1 - 1/4) / 0.5 = 1.5
    powers = np.exp([0.5, 1.5])
    np.testing.assert_allclose(found, [powers[0] / powers.sum(), 0, powers[1] / powers.sum()])
    rng = np.random.default_rng(0)
    draws = [draw_class(found, rng) for _ in range(200)]
    assert set(draws) == {0, 2} and draws.count(2) > 120


@pytest.mark.parametrize(("pixels", "temperature"), [([0, 0], 0.1), ([1, -1], 0.1), ([1, 2], 0.0)])
def test_what_it_refuses(pixels, temperature):
    with pytest.raises(ValueError, match="rare-class sampling needs"):
        rare_class_probabilities(pixels, temperature)
