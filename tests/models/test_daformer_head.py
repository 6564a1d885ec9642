"""DAFormer's head: parameters, names, and logits by plain layers."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.models.daformer_head import DAFormerHead

pytestmark = pytest.mark.usefixtures("mmseg_scope")
MIT_B5 = dict(type="MixVisionTransformer", num_layers=[3, 6, 40, 3], num_heads=[1, 2, 5, 8])
LOSS = dict(type="CrossEntropyLoss", avg_non_ignore=True)
WIDTHS, SIZES = (4, 6, 8, 10), ((9, 12), (5, 6), (3, 3), (2, 2))


def head(**changes):
    torch.manual_seed(0)
    config = dict(type="DAFormerHead", num_classes=3, in_channels=WIDTHS, channels=5, loss_decode=LOSS, **changes)
    return MODELS.build(ConfigDict(config)).eval()


def maps():
    torch.manual_seed(1)
    return [torch.randn(2, width, *size) for width, size in zip(WIDTHS, SIZES, strict=True)]


def test_parameters(monkeypatch):
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))  # MiT reads its values
    with torch.device("meta"):
        built = DAFormerHead(8), DAFormerHead(8, fusion="conv"), MODELS.build(MIT_B5)
    assert [sum(p.numel() for p in own.parameters()) for own in built] == [3_709_448, 527_880, 81_443_008]


def test_names_are_the_releases():
    names = {key.rpartition(".")[0] for key in head().state_dict()}
    separable = [f"fuse_layer.aspp_modules.{i}.{part}_conv" for i in (1, 2, 3) for part in ("depthwise", "pointwise")]
    blocks = ["fuse_layer.aspp_modules.0", "fuse_layer.bottleneck", *separable]
    assert names == {
        "conv_seg",
        *(f"embed_layers.{i}.proj" for i in range(4)),
        *(f"{block}.{part}" for block in blocks for part in ("conv", "bn")),
    }


def block(module, x, **options):
    x = functional.conv2d(x, module.conv.weight, **options)
    return functional.batch_norm(
        x, module.bn.running_mean, module.bn.running_var, module.bn.weight, module.bn.bias
    ).relu()


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["aspp", "conv"])
def test_logits_are_those_of_plain_layers(fusion):
    own = head(fusion=fusion)
    for module in own.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.running_var, module.weight, module.bias):
                values.uniform_(0.5, 1.5)
    parts = []
    for x, embed in zip(maps(), own.embed_layers.values(), strict=True):
        x = torch.einsum("oc,nchw->nohw", embed.proj.weight, x) + embed.proj.bias.view(-1, 1, 1)
        parts.append(functional.interpolate(x, size=SIZES[0], mode="bilinear", align_corners=False))
    x, fuse = torch.cat(parts, 1), own.fuse_layer
    if fusion == "conv":
        x = block(fuse, x)
    else:
        first, *others = fuse.aspp_modules
        seen = [block(first, x)]
        for module, d in zip(others, (6, 12, 18), strict=True):
            deep = block(module.depthwise_conv, x, padding=d, dilation=d, groups=20)
            seen.append(block(module.pointwise_conv, deep))
        x = block(fuse.bottleneck, torch.cat(seen, 1), padding=1)
    expected = functional.conv2d(x, own.conv_seg.weight, own.conv_seg.bias)
    torch.testing.assert_close(own(maps()), expected)
    assert own.dropout.p == 0.1


def test_weights_begin_as_in_mmseg():
    own = MODELS.build(ConfigDict(type="DAFormerHead", num_classes=3, in_channels=WIDTHS, channels=200))
    own.init_weights()
    assert abs(own.conv_seg.weight.std().item() - 0.01) < 2e-3 and own.conv_seg.bias.abs().max() == 0


def test_an_unknown_fusion_is_named():
    with pytest.raises(ValueError, match="fusion='sum'"):
        head(fusion="sum")
