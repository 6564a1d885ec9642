"""DAFormer's arithmetic by hand: teacher, pseudo labels, mixing, feature distance; MIC's blocks."""

import numpy as np
import pytest
import torch

from rsseg.models.adaptation.daformer import (
    DAFormer,
    class_mix_masks,
    ema_factor,
    feature_distance,
    majority_labels,
    mean_cross_entropy,
    mix,
    pixel_weights,
    pseudo_labels,
)
from rsseg.models.adaptation.method import copy_network
from rsseg.models.adaptation.mic import block_grid, block_mask
from rsseg.models.dino_pretraining import update_average


def test_the_teachers_factors():
    assert [ema_factor(t) for t in (0, 1, 99)] == pytest.approx([0, 0.5, 0.99])
    assert ema_factor(2) == pytest.approx(2 / 3)
    assert ema_factor(998) < ema_factor(999) == ema_factor(40000) == 0.999


def test_the_teacher_follows_in_parameters_only():
    student, teacher = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    expected = 0.0
    for t, value in enumerate((3.0, 5.0, 1.0)):
        student.weight.data.fill_(value)
        student.running_mean.fill_(7)
        update_average(teacher, student, ema_factor(t))
        expected = value if t == 0 else t / (t + 1) * expected + value / (t + 1)
        assert teacher.weight.item() == pytest.approx(expected)  # 3, 4, 3
    assert teacher.running_mean.item() == 0


@pytest.mark.parametrize("release_defects", [False, True])
def test_a_resumed_run_keeps_its_teacher_but_not_in_the_release(release_defects):
    student = torch.nn.Module()
    student.backbone = torch.nn.Linear(1, 1)
    method = DAFormer(release_defects=release_defects)
    method.teacher = copy_network(student)
    method.teacher["backbone"].weight.data.fill_(8.0)
    found = []
    for iteration, value in ((1, 4.0), (2, 0.0)):  # the checkpoint says that one iteration is done
        student.backbone.weight.data.fill_(value)
        method.iteration = iteration
        method.begin(student)
        found.append(method.teacher["backbone"].weight.item())
    # 1/2 * 8 + 1/2 * 4 and then 2/3 of it, or a copy and then half of it
    assert found == pytest.approx([4.0, 2.0] if release_defects else [6.0, 4.0])


def test_all_pixels_are_in_the_denominator():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]]).T.reshape(1, 2, 1, 3)
    labels = torch.tensor([[[0, 1, 255]]])
    losses = np.log1p(np.exp([-2.0, -1.0]))
    np.testing.assert_allclose(mean_cross_entropy(logits, labels).item(), losses.sum() / 3, rtol=1e-6)
    weights = torch.tensor([[[0.5, 2.0, 9.0]]])
    expected = (0.5 * losses[0] + 2 * losses[1]) / 3
    np.testing.assert_allclose(mean_cross_entropy(logits, labels, weights).item(), expected, rtol=1e-6)


def test_the_quality_is_a_share_of_the_whole_batch():
    probs = torch.tensor([[0.968, 0.97, 0.5, 0.9], [0.2, 0.1, 0.99, 0.3]])
    logits = torch.stack([probs, 1 - probs], 1).log()[:, :, None]
    labels, quality = pseudo_labels(logits, threshold=0.9679)
    assert labels.tolist() == [[[0, 0, 0, 0]], [[1, 1, 0, 1]]]
    assert quality.item() == 3 / 8 and quality.dtype == torch.float32


def test_rows_at_the_border_may_have_no_weight():
    weights = pixel_weights(torch.tensor(0.25), (1, 5, 2), top=1, bottom=2)
    assert weights[0, :, 0].tolist() == [0, 0.25, 0.25, 0, 0]
    assert pixel_weights(torch.tensor(0.25), (1, 5, 2)).unique().tolist() == [0.25]
    assert not pixel_weights(torch.tensor(0.25), (1, 5, 2), bottom=6).any()


def test_half_of_an_images_own_classes_are_mixed():
    labels = torch.tensor([[[0, 1, 2, 2]], [[3, 3, 255, 255]]])
    masks = class_mix_masks(labels, np.random.default_rng(0))
    assert masks.shape == (2, 1, 1, 4)
    for own, mask, count in zip(labels, masks[:, 0], (2, 1), strict=True):
        chosen = own[mask].unique()
        assert len(chosen) == count and torch.equal(mask, torch.isin(own, chosen))


def test_the_release_draws_from_the_classes_of_the_batch():
    labels = torch.tensor([[[0, 1, 2, 2]], [[3, 3, 255, 255]]])
    masks = class_mix_masks(labels, np.random.RandomState(3), release_defects=True)
    rng = np.random.RandomState(3)
    for own, mask in zip(labels, masks[:, 0], strict=True):
        chosen = np.array([0, 1, 2, 3, 255])[rng.choice(5, 3, replace=False)]
        assert np.array_equal(mask, np.isin(own, chosen))


def test_mixing():
    masks = torch.tensor([[[[True, False]]]])
    source, target = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), torch.zeros(1, 2, 1, 2)
    assert mix(masks, source, target).tolist() == [[[[1, 0]], [[3, 0]]]]
    assert mix(masks, torch.tensor([[[5, 6]]]), torch.tensor([[[7, 8]]])).tolist() == [[[5, 8]]]


def test_cells_have_the_class_of_three_quarters():
    labels = torch.tensor([[0, 0, 1, 1], [0, 2, 1, 255], [255, 255, 2, 2], [255, 255, 3, 3]])[None]
    found = majority_labels(labels, (2, 2), 4)
    assert found.tolist() == [[[0, 1], [255, 255]]]  # 3 of 4; 3 of 4 with 255 as a class; ignored; 2 of 4
    assert majority_labels(labels[:, :3, :3], (1, 1), 4, least_share=0.3).tolist() == [[[0]]]  # 3 of 9
    with pytest.raises(ValueError, match="square cells"):
        majority_labels(labels, (2, 1), 4)


def test_distance_of_features_by_loops():
    rng = np.random.default_rng(0)
    student, reference = rng.normal(size=(2, 2, 5, 2, 2))
    labels = rng.choice([0, 1, 2], (2, 2, 2))
    labels[0, 0, 0], labels[0, 0, 1] = 1, 2
    own = torch.tensor(student, requires_grad=True)
    fixed = torch.tensor(reference, requires_grad=True)
    full = torch.from_numpy(labels).repeat_interleave(4, 1).repeat_interleave(4, 2)
    loss, count = feature_distance(own, fixed, full, [1, 2], 3)
    distances = np.sqrt(((student - reference) ** 2).sum(1))
    mask = np.isin(labels, [1, 2])
    assert count.item() == mask.sum()
    np.testing.assert_allclose(loss.item(), 0.005 * distances[mask].mean(), rtol=1e-6)
    loss.backward()
    gradient = 0.005 * (student - reference) * (mask / distances / mask.sum())[:, None]
    np.testing.assert_allclose(own.grad, gradient, rtol=1e-5, atol=1e-9)
    assert fixed.grad is None


def test_no_position_and_no_distance_give_gradients_of_0():
    features = torch.randn(1, 3, 2, 2, requires_grad=True)
    for classes, reference in (([2], torch.zeros_like(features)), ([0], features.detach().clone())):
        loss, count = feature_distance(features, reference, torch.zeros(1, 8, 8).long(), classes, 3)
        loss.backward()
        assert (loss.item(), count.item()) == (0, 0 if classes == [2] else 4)
        assert features.grad.abs().max().item() == 0


def test_blocks_stay_visible_above_the_ratio():
    assert [block_grid(size) for size in ((512, 512), (1024, 500), (20, 90))] == [(8, 8), (16, 8), (1, 1)]
    draws = torch.tensor([[[[0.7, 0.71], [0.9, 0.1]]]])
    mask = block_mask(draws, (4, 6))
    assert mask[0, 0].tolist() == [[0] * 3 + [1] * 3] * 2 + [[1] * 3 + [0] * 3] * 2
