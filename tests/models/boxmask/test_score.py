"""Expected overlaps by hand, and their calibration."""

import numpy as np
import pytest
import torch

from rsseg.models.boxmask.score import calibrate, expected_iou, fit_calibration, stability


def test_expected_overlap_by_hand() -> None:
    chances = torch.tensor([0.9, 0.8, 0.3, 0.9])
    inside = torch.tensor([True, True, True, False]).view(1, 1, 1, 4)
    logits = torch.logit(chances).view(1, 1, 1, 4)
    # mask: the first two; (0.9 + 0.8) / (2 + 0.3)
    assert float(expected_iou(logits, inside)) == pytest.approx(1.7 / 2.3)
    assert float(expected_iou(logits - 20, inside)) == pytest.approx(0, abs=1e-6)
    # above 1: the first two (2.2, 1.4); above -1: these and the third (-0.85)
    assert float(stability(logits, inside)) == pytest.approx(2 / 3)


def test_calibration_rises_and_corrects() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.3, 0.99, 600)
    ious = np.clip(scores**2 + rng.normal(0, 0.05, 600), 0, 1)
    curve = fit_calibration(scores, ious)
    assert all(np.diff(curve[0]) > 0) and all(np.diff(curve[1]) >= 0)
    fresh = rng.uniform(0.3, 0.99, 2000)
    assert np.abs(calibrate(fresh, curve) - fresh**2).max() < 0.06
    assert calibrate([0.0], curve).tolist() == [0.0]


def test_pools_that_fall_are_joined() -> None:
    scores = np.repeat([0.2, 0.4, 0.6], 10)
    ious = np.repeat([0.1, 0.7, 0.5], 10)
    assert fit_calibration(scores, ious) == ([0.0, 0.2, 0.4, 0.6, 1.0], [0.0, 0.1, 0.6, 0.6, 0.6])


def test_too_few_masks() -> None:
    with pytest.raises(ValueError, match="held_out"):
        fit_calibration([0.5] * 29, [0.5] * 29)
