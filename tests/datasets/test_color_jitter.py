"""Tones by hand: curves, saturation, hue, which kind is drawn, and any number of bands."""

from __future__ import annotations

import numpy as np
import pytest

from rsseg.datasets import RandomColorJitter
from rsseg.datasets.color_jitter import change_levels, saturate, shift_hue

JITTER = (0.07, 0.07, 0.1, 0.1)
RED = np.array([[[0, 0, 255]]], np.uint8)  # blue, green, red


@pytest.fixture
def draws(monkeypatch):
    """Fixes what a transform draws: rand() is 0, uniform() and the kind are as given."""

    def fix(change, kind):
        monkeypatch.setattr(np.random, "rand", lambda: 0.0)
        monkeypatch.setattr(np.random, "uniform", lambda low, high: change)
        monkeypatch.setattr(np.random, "randint", lambda high: kind)
        monkeypatch.setattr(np.random, "choice", lambda count, p: kind)

    return fix


@pytest.mark.parametrize(
    ("kind", "around", "expected"),
    [
        (0, "mean", [0, 95, 255]),  # (x - 125) * 1.2 + 125
        (0, "black", [0, 120, 255]),  # x * 1.2
        (1, "mean", [0, 83, 255]),  # 255 * (100 / 255) ** 1.2 = 82.9
        (2, "mean", [51, 151, 255]),  # x + 0.2 * 255
    ],
)
def test_levels_by_hand(draws, kind, around, expected):
    draws(0.2, kind)
    image = np.array([[[0, 100, 255], [145, 0, 250]]], np.uint8)
    out = RandomColorJitter(around=around)({"img": image})["img"]
    assert out.dtype == np.uint8
    assert out[0, 0].tolist() == expected


def test_other_types_are_relative_to_their_largest_value():
    image = np.array([[[0, 100, 4000]]], np.uint16)
    assert change_levels(image, lambda x: x + 25.5).tolist() == [[[400, 500, 4000]]]  # a tenth of 4000 more
    halved = change_levels(np.array([[[0.0, 0.5, -1.0]]], np.float32), lambda x: x / 2)
    assert halved.dtype == np.float32
    np.testing.assert_allclose(halved, [[[0, 0.25, 0]]])


def test_saturation_by_hand():
    # red's grey is 0.299 * 255 = 76.245
    assert saturate(RED, 0.0).tolist() == [[[76, 76, 76]]]
    assert saturate(RED, 0.5).tolist() == [[[38, 38, 166]]]
    assert saturate(RED, 1.0).tolist() == RED.tolist()
    assert saturate(RED, 1.2).tolist() == RED.tolist()


@pytest.mark.parametrize(("shift", "bgr"), [(0, [0, 0, 255]), (1 / 3, [0, 255, 0]), (-1 / 3, [255, 0, 0])])
def test_hues_by_hand(shift, bgr):
    assert shift_hue(RED, shift).tolist() == [[bgr]]
    grey = np.full((1, 1, 3), 77, np.uint8)
    assert shift_hue(grey, shift).tolist() == grey.tolist()


def test_jitter_is_one_kind_in_six_and_leaves_other_bands_their_colours():
    np.random.seed(0)
    image = np.zeros((1, 1, 3), np.uint8)
    image[...] = 40, 80, 120
    ratios = set()
    for _ in range(900):
        out = RandomColorJitter(prob=1.0, jitter=JITTER, around="black")({"img": image})["img"][0, 0].astype(float)
        ratios.add(tuple(out))
    coloured = [x for x in ratios if abs((x[0] - x[1]) - (x[1] - x[2])) > 2]  # the others keep equal steps
    assert coloured
    one_band = RandomColorJitter(prob=1.0, jitter=JITTER)
    for _ in range(50):
        assert one_band({"img": image[..., :1]})["img"].shape == (1, 1, 1)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shape_and_type_stay(monkeypatch, bands, kind, dtype):
    np.random.seed(kind)
    monkeypatch.setattr(np.random, "choice", lambda count, p: kind)
    image = np.random.randint(0, 200, (6, 5, bands)).astype(dtype)
    out = RandomColorJitter(prob=1.0, jitter=JITTER)({"img": image})["img"]
    assert out.shape == image.shape
    assert out.dtype == dtype
    assert np.isfinite(out).all()


def test_kinds_are_drawn_as_the_release_does(monkeypatch):
    shares = []
    monkeypatch.setattr(np.random, "choice", lambda count, p: shares.append(p) or 2)
    RandomColorJitter(prob=1.0, jitter=JITTER)({"img": RED})
    np.testing.assert_allclose(shares, [[5 / 18, 5 / 18, 5 / 18, 3 / 18]])


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="not 'grey'"):
        RandomColorJitter(around="grey")
    with pytest.raises(ValueError, match=r"got \(0\.1,\)"):
        RandomColorJitter(jitter=(0.1,))
