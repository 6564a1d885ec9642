"""Encoders of U-Nets: which maps they give, and that nothing in them stays untrained."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS

import rsseg.models.unet_encoders  # noqa: F401  (registers them)

pytestmark = pytest.mark.usefixtures("mmseg_scope")
ENCODERS = [
    (dict(type="UNetVGG", depth=11), [128, 256, 512, 512, 512]),
    (dict(type="UNetResNet", depth=34), [64, 64, 128, 256, 512]),
    (dict(type="UNetEfficientNet", arch="b0"), [32, 24, 40, 112, 320]),
]


def build(**config):
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(config))


def still(**config):
    model = build(**config)
    model.eval()  # theirs return nothing
    return model


@pytest.mark.parametrize(("config", "channels"), ENCODERS, ids=lambda value: isinstance(value, dict) and value["type"])
def test_maps_have_strides_2_to_32_and_every_parameter_learns(config, channels):
    model = build(**config)
    maps = model(torch.randn(2, 3, 64, 96))
    assert [x.shape[1] for x in maps] == channels
    assert [tuple(x.shape[2:]) for x in maps] == [(64 // s, 96 // s) for s in (2, 4, 8, 16, 32)]
    sum(x.sum() for x in maps).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_vgg_gives_what_goes_into_its_poolings():
    model, plain = still(type="UNetVGG", depth=11), still(type="mmpretrain.VGG", depth=11)
    plain.load_state_dict(model.state_dict())
    seen = []
    for layer in plain.features:
        if isinstance(layer, torch.nn.MaxPool2d):
            layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 3, 64, 64)
    (last,) = plain(x)
    for own, theirs in zip(model(x), [*seen[1:], last], strict=True):
        torch.testing.assert_close(own, theirs)


@torch.no_grad()
def test_resnet_gives_its_stem_before_the_pooling_and_its_stages():
    model, plain = still(type="UNetResNet", depth=18), still(type="ResNet", depth=18)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    stem, *stages = model(x)
    torch.testing.assert_close(stem, plain.norm1(plain.conv1(x)).relu())
    for own, theirs in zip(stages, plain(x), strict=True):
        torch.testing.assert_close(own, theirs)


def test_the_config_normalises_as_the_weights_were_trained(repo):
    norm = Config.fromfile(repo / "configs" / "openearthmap" / "unet_effb4_openearthmap.py").model.backbone.norm_cfg
    layers = [layer for layer in build(type="mmpretrain.EfficientNet", arch="b0").modules() if hasattr(layer, "eps")]
    assert {layer.eps for layer in layers} == {norm.eps}


@torch.no_grad()
def test_efficientnet_is_mmpretrains_without_the_last_convolution():
    model, plain = (still(type=name, arch="b0") for name in ("UNetEfficientNet", "mmpretrain.EfficientNet"))
    assert len(model.layers) == len(plain.layers) - 1
    plain.load_state_dict({**plain.state_dict(), **model.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    plain.out_indices = (5,)
    torch.testing.assert_close(model(x)[-1], plain(x)[0])
