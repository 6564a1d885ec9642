"""UNetFormer's decoder: attention and averages by plain loops, the fusion by hand, its loss, any size of maps."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.models.unetformer import GlobalLocalAttention

pytestmark = pytest.mark.usefixtures("mmseg_scope")
MAPS = [8, 12, 16, 24]


def head(**changes):
    torch.manual_seed(0)
    config = dict(type="UNetFormerHead", in_channels=MAPS, channels=32, num_heads=4, num_classes=5)
    config["loss_decode"] = dict(type="CrossEntropyLoss", avg_non_ignore=True)
    return MODELS.build(ConfigDict({**config, **changes}))


def maps(height, width):
    """What a backbone gives for an image of this size: each side halved and rounded up."""
    torch.manual_seed(1)
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    return [torch.randn(2, channels, *size) for channels, size in zip(MAPS, sizes, strict=True)]


def samples(height, width):
    out = [SegDataSample() for _ in range(2)]
    for sample in out:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 5, (1, height, width)))
        sample.gt_sem_seg.data[:, :3] = 255
    return out


def attend(module, x, window, heads):
    """Attention inside of windows, place by place."""
    channels, height, width = x.shape
    q, k, v = torch.einsum("oc,chw->ohw", module.qkv.weight[:, :, 0, 0], x).chunk(3)
    out, size = torch.zeros(channels, height, width), channels // heads
    for y in range(height):
        for x_ in range(width):
            top, left = y // window * window, x_ // window * window
            places = [(top + i, left + j) for i in range(window) for j in range(window)]
            for h in range(heads):
                own = slice(h * size, (h + 1) * size)
                row = [(y - b + window - 1) * (2 * window - 1) + x_ - a + window - 1 for b, a in places]
                bias = module.relative_position_bias_table[row, h]
                dots = torch.stack([q[own, y, x_] @ k[own, b, a] for b, a in places]) / math.sqrt(size) + bias
                out[own, y, x_] = sum(p * v[own, b, a] for p, (b, a) in zip(dots.softmax(0), places, strict=True))
    return out


@torch.no_grad()
def test_attention_is_that_of_plain_loops():
    torch.manual_seed(0)
    module = GlobalLocalAttention(4, 2, 4, dict(type="BN"), norm_last=False)
    module.relative_position_bias_table.normal_()
    x = torch.randn(1, 4, 8, 4)
    torch.testing.assert_close(module._windows(x)[0], attend(module, x[0], 4, 2), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_averages_mirrored_edges_and_the_last_convolution_are_those_of_plain_loops():
    module = GlobalLocalAttention(2, 1, 4, dict(type="BN"), norm_last=True).eval()
    for own in (module.local1.conv, module.local2.conv, module.proj[0]):
        own.weight.zero_()
    module.proj[0].weight[:, 0, 1, 1] = 1.0  # a window of 4 reaches one place back
    module.proj[1].weight.copy_(torch.eye(2)[..., None, None])
    x = torch.randn(1, 2, 5, 6)
    mirrored = x[:, :, [0, 1, 2, 3, 4, 3, 2, 1]][..., [0, 1, 2, 3, 4, 5, 4, 3]]
    inner = module._windows(mirrored)[0, :, :5, :6]
    expected = torch.zeros(2, 5, 6)
    for y in range(5):
        for x_ in range(6):
            for step in (-1, 0, 1, 2):  # outside is 0, but for one mirrored row and column at the end
                if 0 <= y + step <= 5:
                    expected[:, y, x_] += inner[:, 3 if y + step == 5 else y + step, x_] / 4
                if 0 <= x_ + step <= 6:
                    expected[:, y, x_] += inner[:, y, 4 if x_ + step == 6 else x_ + step] / 4
    torch.testing.assert_close(module(x)[0], expected / math.sqrt(1 + 1e-5), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("weights", "own", "below"), [((3.0, 1.0), 0.75, 0.25), ((-1.0, 2.0), 0.0, 1.0)])
def test_a_fusion_weighs_both_maps_and_doubles_the_coarser(weights, own, below):
    fusion = head().eval().fusions[0]
    fusion.weights.copy_(torch.tensor(weights))
    fusion.smooth = torch.nn.Identity()
    x, skip = torch.randn(1, 32, 3, 4), torch.randn(1, 16, 6, 8)
    lateral = functional.conv2d(skip, fusion.lateral.conv.weight)
    double = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(fusion(x, skip), own * lateral + below * double, rtol=1e-4, atol=1e-5)


def test_the_variants_differ_as_in_the_release():
    plain, full = head(), head(full=True)
    for fusion, other in zip(plain.fusions, full.fusions, strict=True):
        assert fusion.lateral.conv.kernel_size == (1, 1) and not fusion.lateral.with_norm
        assert other.lateral.conv.kernel_size == (3, 3) and other.lateral.with_norm
        assert fusion.lateral.conv.bias is None and other.lateral.conv.bias is None
    order = [[type(layer).__name__ for layer in model.refinement.proj] for model in (plain, full)]
    assert order == [["Conv2d", "BatchNorm2d", "Conv2d"], ["Conv2d", "Conv2d", "BatchNorm2d"]]
    assert [len(head(auxiliary=None).blocks), plain.conv_seg.bias] == [3, None]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("size", [(256, 320), (100, 33), (32, 32)])
def test_logits_have_the_size_of_the_finest_map(size, full):
    logits = head(full=full).eval()(maps(*size))
    assert tuple(logits.shape) == (2, 5, -(-size[0] // 4), -(-size[1] // 4))
    assert logits.isfinite().all()


def test_the_auxiliary_loss_is_cross_entropy_of_the_sum_of_the_blocks():
    model = head(auxiliary=0.25, dropout_ratio=0.0)
    model.auxiliary[1].p = 0.0
    inputs, labels = maps(64, 96), samples(64, 96)
    losses = model.loss(inputs, labels, None)
    middle = model._features(inputs)[1]
    total = sum(functional.interpolate(x, size=(8, 12), mode="bilinear", align_corners=True) for x in middle)
    logits = functional.interpolate(model.auxiliary(total), size=(64, 96), mode="bilinear", align_corners=False)
    target = torch.cat([sample.gt_sem_seg.data for sample in labels])
    expected = 0.25 * functional.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(losses["loss_aux"], expected, rtol=1e-4, atol=1e-5)
    assert "loss_aux" not in head(auxiliary=None).loss(inputs, labels, None)


@pytest.mark.parametrize("options", [{}, dict(full=True, auxiliary=None)])
def test_every_parameter_learns(options):
    model = head(**options)
    losses = model.loss(maps(64, 64), samples(64, 64), None)
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(in_channels=[8, 16]), "four maps"),
        (dict(channels=30), "must be a multiple of num_heads=4"),
        (dict(window_size=7), "window_size=7 must be even"),
    ],
)
def test_what_it_cannot_build_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        head(**changes)
