"""Confusion matrices against counts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rsseg.structures.confusion import confusion_matrix, scores

TARGET = torch.tensor([[0, 0, 1], [1, 2, 2]])
PRED = torch.tensor([[0, 1, 1], [1, 2, 0]])
BY_HAND = [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
of_both_kinds = pytest.mark.parametrize("make", [torch.as_tensor, np.asarray], ids=["tensor", "array"])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@of_both_kinds
def test_counts_by_hand(make, dtype):
    out = confusion_matrix(make(PRED.to(dtype)), make(TARGET.to(dtype)), 3)
    assert type(out) is type(make(PRED)) and str(out.dtype).endswith("int64")
    assert out.tolist() == BY_HAND


@pytest.mark.parametrize("ignore", [3, 4, 254, 255, 256, 300, -1, -100])
@of_both_kinds
def test_ignored_pixels_change_nothing(make, ignore):
    """At every ignore value, ``num_classes`` (3) included, whatever is predicted there."""
    target = torch.cat([TARGET.flatten(), torch.full((6,), ignore)])
    pred = torch.cat([PRED.flatten(), torch.tensor([0, 1, 2, 0, 1, 2])])
    assert confusion_matrix(make(pred), make(target), 3, ignore).tolist() == BY_HAND


def test_ignoring_a_class_drops_its_pixels():
    assert confusion_matrix(PRED, TARGET, 3, ignore_index=0).tolist() == [[0, 0, 0], [0, 2, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        ([0, 1], [0, 7], "target contains the value 7"),
        ([0, 7], [0, 1], "prediction contains the value 7"),
        ([0, -1], [0, 1], "prediction contains the value -1"),
        ([0, 300], [0, 1], "prediction contains the value 300"),
        ([0, 1], [0, -3], "target contains the value -3"),
    ],
)
@of_both_kinds
def test_values_out_of_range_are_named(make, pred, target, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(make(pred), make(target), 3)


@of_both_kinds
def test_predictions_under_ignored_pixels_may_be_anything(make):
    counts = confusion_matrix(make([0, 300, -5]), make([0, 255, 255]), 2)
    assert counts.tolist() == [[1, 0], [0, 0]]


@of_both_kinds
def test_more_than_256_classes(make):
    counts = confusion_matrix(make([299, 3, 3]), make([299, 299, 999]), 300, ignore_index=999)
    assert int(counts[299, 299]) == 1
    assert int(counts[299, 3]) == 1
    assert int(counts.sum()) == 2


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must have the same shape"):
        confusion_matrix(torch.zeros(2, 3), torch.zeros(3, 2), 2)


def test_counts_stay_exact_above_float32():
    """mmseg's float32 histogram stops at 16,777,216 per class."""
    n = 2**24 + 5
    zeros = torch.zeros(n, dtype=torch.uint8)
    assert int(confusion_matrix(zeros, zeros, 2)[0, 0]) == n


def test_scores_by_hand():
    out = scores(np.array(BY_HAND))
    np.testing.assert_allclose(out["IoU"], [1 / 3, 2 / 3, 1 / 2])
    np.testing.assert_allclose(out["F1"], [2 / 4, 4 / 5, 2 / 3])
    np.testing.assert_allclose(out["Acc"], [1 / 2, 1, 1 / 2])
    np.testing.assert_allclose([out["OA"], out["mIoU"], out["mF1"]], [4 / 6, 0.5, (0.5 + 0.8 + 2 / 3) / 3])


def test_absent_classes_stay_out_of_the_means():
    out = scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(out["IoU"], [3 / 4, 0, np.nan])
    np.testing.assert_allclose(out["mIoU"], 3 / 8)
    np.testing.assert_allclose(out["Acc"], [3 / 4, np.nan, np.nan])


def test_unscored_classes_are_predicted_but_do_not_count():
    """Class 0 is background: its pixels leave OA, but an object predicted as background is an error."""
    out = scores(np.array([[90, 10, 0], [4, 6, 0], [0, 2, 8]]), unscored=(0,))
    np.testing.assert_allclose(out["IoU"], [90 / 104, 6 / 22, 8 / 10])
    np.testing.assert_allclose(out["mIoU"], (6 / 22 + 8 / 10) / 2)
    np.testing.assert_allclose(out["mF1"], (12 / 28 + 16 / 18) / 2)
    np.testing.assert_allclose([out["OA"], out["mAcc"]], [14 / 20, 0.7])


def test_the_release_defect_is_not_ours():
    """SAMRS's histogram counts ignored clutter (5 of 5 classes) as correct cars (class 4)."""
    target = torch.tensor([4, 4, 5, 5, 5])
    pred = torch.tensor([4, 0, 0, 1, 2])
    out = scores(confusion_matrix(pred, target, 5, ignore_index=5).numpy())
    np.testing.assert_allclose(out["F1"][4], 2 * 1 / (2 + 1))
    np.testing.assert_allclose(out["OA"], 0.5)


def test_classes_without_true_pixels_may_stay_out_of_the_means():
    confusion = np.array([[2, 1, 1], [0, 4, 0], [0, 0, 0]])  # the last is predicted once, but never true
    assert scores(confusion)["mIoU"] == pytest.approx((2 / 4 + 4 / 5 + 0) / 3)
    only = scores(confusion, only_true=True)
    assert only["mIoU"] == pytest.approx((2 / 4 + 4 / 5) / 2)
    assert only["OA"] == pytest.approx(6 / 8)
