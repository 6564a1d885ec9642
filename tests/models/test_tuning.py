"""Adapters of encoders: what is trained, names, merging, files by plain names, frozen parts, options."""

from __future__ import annotations

import copy
import zlib

import pytest
import torch
from mmseg.registry import MODELS

from rsseg.errors import ConfigError, DataError
from rsseg.models.tuning import AdapterSettings, tune_encoder
from rsseg.structures.keys import plain_key

pytest.importorskip("peft")
pytest.importorskip("timm")
DINO = dict(type="DINOv3", name="vit_small_patch16_dinov3", settings=dict(embed_dim=32, depth=4, num_heads=2))
NEXT = dict(
    type="DINOv3", name="convnext_tiny.dinov3_lvd1689m", settings=dict(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32))
)
SWIN = dict(type="SwinTransformer", embed_dims=16, depths=(2, 2), num_heads=(2, 2), strides=(4, 2), out_indices=(0, 1))
VIT = dict(type="VisionTransformer", img_size=32, patch_size=8, embed_dims=32, num_layers=2, num_heads=2,
           out_indices=(0, 1))  # fmt: skip
ENCODERS = {"dinov3": DINO, "convnext": NEXT, "swin": SWIN, "vit": VIT}
pytestmark = pytest.mark.usefixtures("mmseg_scope")


def build(name, tune, **adapters):
    """An encoder with weights of 0.05 and scales of a half, so that nothing in it is without an effect."""
    config = copy.deepcopy(ENCODERS[name])
    if config["type"] == "DINOv3":
        config |= dict(tune=tune, adapters=adapters or None)
    else:
        config = dict(type="Tuned", encoder=config, tune=tune, **adapters)
    model = MODELS.build(config)
    for key, value in model.named_parameters():
        if "lora_" not in key:
            random = torch.Generator().manual_seed(zlib.crc32(plain_key(key).encode()))
            noise = 0.05 * torch.randn(value.shape, generator=random)
            value.data = 0.5 + noise if "gamma" in key or "norm" in key else noise
    return model


def train(model, steps=2):
    """A few steps by what is trained."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(part.square().sum() for part in model(torch.randn(2, 3, 32, 32))).backward()
        optimizer.step()


@pytest.mark.parametrize("name", ENCODERS)
def test_adapters_are_trained_alone_and_merged_exactly(name):
    images = torch.randn(2, 3, 32, 32)
    plain, model = build(name, "full").eval(), build(name, "lora", rank=4, alpha=8)
    with torch.no_grad():
        for own, other in zip(model.eval()(images), plain(images), strict=True):
            # merged or apart, products are rounded differently on some processors
            assert (own - other).abs().max() <= 2e-6 * own.abs().max(), "adapters begin without an effect"
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model.train())
    after = model.state_dict()
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    adapters = {key for key in after if "lora_" in key}
    assert changed == adapters and [key for key in adapters if "lora_B" in key]
    with torch.no_grad():
        adapted = model.eval()(images)
        model.tuning.merge(model)
        assert model.state_dict().keys() == plain.state_dict().keys() and not model.tuning.adapts
        for own, merged, other in zip(adapted, model(images), plain(images), strict=True):
            error, effect = (own - merged).abs().max(), (own - other).abs().max()
            assert error <= 2e-6 * own.abs().max() and error < 1e-3 * effect
    assert all(
        value.requires_grad == dict(plain.named_parameters())[k].requires_grad for k, value in model.named_parameters()
    )


def test_one_merged_weight_by_hand():
    model = build("swin", "lora", rank=2, alpha=6)
    layer = model.stages[0].blocks[0].attn.w_msa.qkv
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    base, a, b = layer.base_layer.weight.clone(), layer.lora_A["default"].weight, layer.lora_B["default"].weight
    model.tuning.merge(model)
    merged = model.stages[0].blocks[0].attn.w_msa.qkv.weight
    torch.testing.assert_close(merged, base + 6 / 2 * b @ a, rtol=2e-7, atol=2e-7)


@pytest.mark.parametrize("name", ENCODERS)
def test_weights_of_a_plain_encoder_load_by_their_names(name):
    plain, model = build(name, "full"), build(name, "lora")
    for value in plain.parameters():
        torch.nn.init.normal_(value)
    own = model.state_dict()
    model.load_state_dict({**{key: value for key, value in own.items() if "lora_" in key}, **plain.state_dict()})
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for one, other in zip(model.eval()(images), plain.eval()(images), strict=True):
            assert torch.equal(one, other)
    adapters = {key: value for key, value in own.items() if "lora_" in key}
    with pytest.raises(DataError, match=r"adapters alone \(\d+ other weights are missing.*--to merged"):
        model.load_state_dict(adapters, strict=False)


def test_some_layers_and_other_parameters():
    model = build("swin", "lora", targets=r".*\.qkv", also=r"norm\d\..*")
    trained = {key for key, value in model.named_parameters() if value.requires_grad}
    assert {key.partition(".")[0] for key in trained} == {"stages", "norm0", "norm1"}
    assert {key.split(".lora_")[0].rpartition(".")[2] for key in trained if "lora_" in key} == {"qkv"}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model.train())
    assert {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])} == trained


def attention():
    return torch.nn.ModuleDict({"a": torch.nn.MultiheadAttention(8, 2)})


def test_weights_of_attention_are_trained_beside_their_adapters():
    model = attention()
    tune_encoder(model, "lora", dict(also=r"a\.(in_proj_weight|out_proj\.weight)"))
    before = list(model.parameters())
    x = torch.randn(3, 1, 8)
    model["a"](x, x, x)[0].square().sum().backward()
    model.state_dict()
    assert all(one is other for one, other in zip(before, model.parameters(), strict=True)), "what an optimizer has"
    trained = {plain_key(key): value for key, value in model.named_parameters() if value.requires_grad}
    assert {"a.in_proj_weight", "a.out_proj.weight"} < trained.keys()
    assert not [key for key, value in trained.items() if value.grad is None]


def test_frozen_encoders_stay_in_evaluation():
    norm = dict(type="ResNet", depth=18, base_channels=4, norm_cfg=dict(type="BN"))
    model = MODELS.build(dict(type="Tuned", encoder=norm, tune="frozen")).train()
    mean = model.bn1.running_mean.clone()
    assert not any(value.requires_grad for value in model.parameters())
    assert not any(module.training for module in model.modules())
    model(torch.randn(2, 3, 32, 32))
    assert torch.equal(model.bn1.running_mean, mean)
    assert type(model).__name__ == "ResNet" and isinstance(model, MODELS.get("ResNet"))


def test_new_weights_of_an_encoder_leave_adapters_without_effect():
    """mmseg's Swin begins every linear layer anew, those of the adapters among them."""
    model = build("swin", "lora")
    model.init_weights()
    ups = [value for key, value in model.named_parameters() if "lora_B" in key]
    assert ups and all(not value.any() for value in ups)
    assert model.tuning.base is None, "there is no file"


def test_options_are_checked():
    with pytest.raises(ConfigError, match=r"targets='head' names no layer of SwinTransformer; it has stages\.0"):
        build("swin", "lora", targets="head")
    with pytest.raises(ConfigError, match="also='head' names no parameter of DINOv3"):
        build("dinov3", "lora", also="head")
    with pytest.raises(ConfigError, match=r"adapters: .*'size'.*; expected: rank, alpha, dropout, targets, also"):
        build("dinov3", "lora", size=3)
    with pytest.raises(ConfigError, match=r'belong to tune="lora"'):
        build("dinov3", "frozen", rank=3)
    with pytest.raises(ConfigError, match="rank=0, alpha"):
        AdapterSettings(rank=0)
    with pytest.raises(ConfigError, match=r"DINOv3 has adapters already: .*not at both"):
        MODELS.build(dict(type="Tuned", encoder={**DINO, "tune": "lora"}, tune="lora"))
    with pytest.raises(ConfigError, match=r"targets='\*qkv' is no regular expression: nothing to repeat"):
        AdapterSettings(targets="*qkv")
    with pytest.raises(ConfigError, match=r"dropout=0.1 has no effect beside a of ModuleDict.*set it to 0"):
        tune_encoder(attention(), "lora", dict(dropout=0.1))
    with pytest.raises(ConfigError, match=r"attn.qkv of DINOv3 is never called.*name without _qkvb"):
        MODELS.build({**DINO, "name": "vit_small_patch16_dinov3_qkvb", "tune": "lora"})
