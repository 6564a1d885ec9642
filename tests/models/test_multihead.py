"""The multi-head segmentor: losses by hand, routing, and windows that add up."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.models import set_loss, slide_logits

pytestmark = pytest.mark.usefixtures("mmseg_scope")
HEADS = {"a": 3, "b": 5, "ship": 1}


def build(**changes):
    norm = dict(type="BN")
    config = dict(
        type="MultiHeadSegmentor",
        heads=HEADS,
        backbone=dict(type="ResNet", depth=18, stem_channels=8, base_channels=8, style="pytorch", norm_cfg=norm),
        decode_head=dict(
            type="LowResUPerHead", in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3], channels=8, norm_cfg=norm
        ),
        test_cfg=dict(mode="whole"),
    )
    torch.manual_seed(0)
    return MODELS.build(ConfigDict({**config, **changes}))


def sample(name, labels=None, size=(32, 32)):
    out = SegDataSample(metainfo=dict(dataset_name=name, ori_shape=size, img_shape=size, pad_shape=size))
    if labels is not None:
        out.gt_sem_seg = PixelData(data=torch.as_tensor(labels)[None])
    return out


def test_set_loss_is_the_mean_over_labelled_pixels():
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 1.0]]]])
    target = torch.tensor([[[0, 255]]])
    by_hand = torch.log1p(torch.exp(torch.tensor(-2.0)))
    torch.testing.assert_close(set_loss(logits, target), by_hand)


def test_a_batch_of_only_ignored_pixels_costs_nothing():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = set_loss(logits, torch.full((2, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_losses_are_those_of_each_sets_own_samples():
    model = build().eval()
    torch.manual_seed(1)
    inputs, labels = torch.randn(3, 3, 32, 32), torch.randint(0, 3, (3, 32, 32))
    with torch.no_grad():
        out = model.loss(inputs, [sample(n, x) for n, x in zip("aba", labels, strict=True)])
        logits = model._resize(model._forward(inputs)["a"], (32, 32))
    expected = functional.cross_entropy(logits[[0, 2]], labels[[0, 2]])
    torch.testing.assert_close(out["a.loss"], expected)
    assert set(out) == {"a.loss", "a.acc", "b.loss", "b.acc", "ship.loss"}
    assert out["ship.loss"] == 0


def test_one_pass_and_a_pass_for_each_set_agree_without_batch_statistics():
    together, apart = build().eval(), build(forward_per_dataset=True).eval()
    samples = [sample(name, torch.randint(0, 3, (32, 32))) for name in "abab"]
    inputs = torch.randn(4, 3, 32, 32)
    losses = [model.loss(inputs, samples) for model in (together, apart)]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=1e-4, atol=1e-5)
    for out in losses:
        sum(value for key, value in out.items() if key.endswith("loss")).backward()
    for first, second in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(second.grad, first.grad, rtol=1e-3, atol=1e-5)


def test_a_pass_for_each_set_has_that_sets_batch_statistics():
    inputs = torch.randn(4, 3, 32, 32)
    samples = [sample(name, torch.randint(0, 3, (32, 32))) for name in "aabb"]
    apart, alone = build(forward_per_dataset=True), build()
    apart.decode_head.dropout = alone.decode_head.dropout = None
    losses = apart.loss(inputs, samples)
    assert losses["ship.loss"] == 0
    assert int(apart.decode_head.bottleneck.bn.num_batches_tracked) == 2
    torch.testing.assert_close(losses["a.loss"], alone.loss(inputs[:2], samples[:2])["a.loss"])


@pytest.mark.parametrize("apart", [False, True])
def test_every_parameter_gets_a_gradient_even_without_samples(apart):
    model = build(forward_per_dataset=apart)
    losses = model.loss(torch.randn(2, 3, 32, 32), [sample("a", torch.full((32, 32), 255)) for _ in range(2)])
    sum(value for key, value in losses.items() if key.endswith("loss")).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_pass_for_each_set_needs_every_set_on_every_process(monkeypatch):
    monkeypatch.setattr("rsseg.models.multihead.get_world_size", lambda: 2)
    samples = [sample(name, torch.zeros(32, 32)) for name in "aab"]
    with pytest.raises(ValueError, match=r"has none of: ship; set train_dataloader\.sampler\.per_process=True"):
        build(forward_per_dataset=True).loss(torch.randn(3, 3, 32, 32), samples)
    build().loss(torch.randn(3, 3, 32, 32), samples)


def test_predictions_go_through_the_samples_own_head():
    model = build().eval()
    inputs = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        mixed = model.predict(inputs, [sample(n) for n in ("b", "ship", "a")])
        alone = model.predict(inputs[:1], [sample("b")])[0]
    assert [tuple(s.seg_logits.data.shape) for s in mixed] == [(5, 32, 32), (1, 32, 32), (3, 32, 32)]
    torch.testing.assert_close(mixed[0].seg_logits.data, alone.seg_logits.data, rtol=1e-4, atol=1e-5)
    assert int(mixed[1].pred_sem_seg.data.max()) == 0


def test_unknown_sets_are_named():
    with pytest.raises(ValueError, match="no head for dataset 'c'; the model has heads for: a, b, ship"):
        build().eval().predict(torch.randn(1, 3, 32, 32), [sample("c")])


def test_parameter_names_are_the_contract():
    names = {name.split(".")[0] for name in build().state_dict()}
    assert names == {"backbone", "decode_head", "heads"}
    assert build().heads["b"].weight.shape == (5, 8, 1, 1)


def test_windows_average_where_they_overlap():
    image = torch.arange(5.0).reshape(1, 1, 1, 5).repeat(1, 3, 1, 1)
    seen = []

    def predict(window):
        seen.append(window[0, 0, 0].tolist())
        return window[:, :1] * 0 + float(len(seen))

    out = slide_logits(image, predict, (1, 3), (1, 2))
    assert seen == [[0, 1, 2], [2, 3, 4]]
    assert out.flatten().tolist() == [1, 1, 1.5, 2, 2]


def test_windows_must_not_leave_gaps():
    with pytest.raises(ValueError, match="overlap"):
        slide_logits(torch.zeros(1, 3, 8, 8), lambda window: window, (2, 2), (3, 3))


@pytest.mark.parametrize("size", [(32, 32), (40, 56), (20, 70)])
def test_slide_equals_mmseg(size):
    from mmseg.models.segmentors import EncoderDecoder

    model = build(test_cfg=dict(mode="slide", crop_size=(32, 32), stride=(20, 20))).eval()
    model.out_channels = 3
    inputs, metas = torch.randn(1, 3, *size), [dict(dataset_name="a", ori_shape=size, img_shape=size)]
    with torch.no_grad():
        ours = model.slide_inference(inputs, metas)
        reference = EncoderDecoder.slide_inference(model, inputs, metas)
    torch.testing.assert_close(ours, reference)
