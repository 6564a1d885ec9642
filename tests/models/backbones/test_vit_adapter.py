"""ViT-Adapter: published names, any image size, what reads from what, recomputation."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.models.backbones import ViTAdapter
from rsseg.models.backbones.attention import resize_positions

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(img_size=64, embed_dims=16, depth=4, num_heads=2, conv_channels=4, deform_heads=2, deform_points=2)


def small(**changes):
    torch.manual_seed(0)
    model = ViTAdapter(**{**SMALL, **changes})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def pair(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def batch_norm(name, width):
    statistics = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,), f"{name}.num_batches_tracked": ()}
    return pair(name, width) | statistics


def deformable(name, levels):
    """Two norms and the attention: 12 heads, 4 points, values of 384 channels."""
    keys = pair(f"{name}.query_norm", 768) | pair(f"{name}.feat_norm", 768)
    keys |= pair(f"{name}.attn.sampling_offsets", levels * 96, 768)
    keys |= pair(f"{name}.attn.attention_weights", levels * 48, 768)
    return keys | pair(f"{name}.attn.value_proj", 384, 768) | pair(f"{name}.attn.output_proj", 768, 384)


def extractor(name):
    keys = deformable(name, 1) | pair(f"{name}.ffn_norm", 768)
    keys |= pair(f"{name}.ffn.fc1", 192, 768) | pair(f"{name}.ffn.fc2", 768, 192)
    return keys | pair(f"{name}.ffn.dwconv.dwconv", 192, 1, 3, 3)


def published():
    """Names and shapes of the encoder in the published ViT-Adapter-B + UPerNet files."""
    dim = 768
    keys = {"pos_embed": (1, 197, dim), "level_embed": (3, dim)} | pair("patch_embed.proj", dim, 3, 16, 16)
    for i in range(12):
        block = f"blocks.{i}"
        keys |= {f"{block}.gamma1": (dim,), f"{block}.gamma2": (dim,)}
        keys |= pair(f"{block}.norm1", dim) | pair(f"{block}.norm2", dim)
        keys |= pair(f"{block}.attn.qkv", 3 * dim, dim) | pair(f"{block}.attn.proj", dim, dim)
        keys |= pair(f"{block}.mlp.fc1", 4 * dim, dim) | pair(f"{block}.mlp.fc2", dim, 4 * dim)
    convolutions = {"stem.0": (64, 3), "stem.3": (64, 64), "stem.6": (64, 64)}
    convolutions |= {"conv2.0": (128, 64), "conv3.0": (256, 128), "conv4.0": (256, 256)}
    for name, (out, into) in convolutions.items():
        layer, index = name.split(".")
        keys |= {f"spm.{name}.weight": (out, into, 3, 3)} | batch_norm(f"spm.{layer}.{int(index) + 1}", out)
    for i, width in enumerate((64, 128, 256, 256), 1):
        keys |= pair(f"spm.fc{i}", dim, width, 1, 1) | batch_norm(f"norm{i}", dim)
    for i in range(4):
        part = f"interactions.{i}"
        keys |= {f"{part}.injector.gamma": (dim,)} | deformable(f"{part}.injector", 3) | extractor(f"{part}.extractor")
    for i in range(2):
        keys |= extractor(f"interactions.3.extra_extractors.{i}")
    return keys | pair("up", dim, dim, 2, 2)


def test_names_and_shapes_are_those_of_the_published_files():
    with torch.device("meta"):
        model = ViTAdapter()
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert own == published()
    assert len(own) == 410
    assert sum(parameter.numel() for parameter in model.parameters()) == 99_495_392


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((64, 64), [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ((96, 32), [(24, 8), (12, 4), (6, 2), (3, 1)]),
        ((50, 37), [(13, 10), (7, 5), (4, 3), (2, 2)]),
        ((1, 1), [(1, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_any_size_gives_four_maps(size, sizes):
    with torch.no_grad():
        out = small().eval()(torch.randn(2, 3, *size))
    assert [tuple(x.shape) for x in out] == [(2, 16, *s) for s in sizes]
    assert all(torch.isfinite(x).all() for x in out)


def test_other_sizes_are_padded_with_zeros():
    model, image = small().eval(), torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        out, padded = model(image), model(functional.pad(image, (0, 8, 0, 24)))
    for a, b in zip(out, padded, strict=True):
        torch.testing.assert_close(a, b[..., : a.shape[2], : a.shape[3]])


def test_without_interaction_the_two_branches_are_added():
    """Nothing is injected or extracted: taps after each quarter of the blocks, the maps of the convolutions."""
    model, image = small().eval(), torch.randn(1, 3, 64, 96)
    silent = [part.injector for part in model.interactions]
    for part in model.interactions:
        for extractor_ in (part.extractor, *part.extra_extractors):
            silent += [extractor_.attn.output_proj, extractor_.ffn.fc2]
    with torch.no_grad():
        for part in silent:
            for parameter in [part.gamma] if hasattr(part, "gamma") else part.parameters():
                parameter.zero_()
        tokens = model.patch_embed["proj"](image).flatten(2).transpose(1, 2)
        tokens = tokens + resize_positions(model.pos_embed[:, 1:], (4, 4), (4, 6))
        taps = []
        for block in model.blocks:
            tokens = block(tokens, (4, 6))
            taps.append(tokens.transpose(1, 2).reshape(1, 16, 4, 6))
        first, *others = model.spm(image)
        others = [x + level.view(1, -1, 1, 1) for x, level in zip(others, model.level_embed, strict=True)]
        expected = [first + model.up(others[0]), *others]
        for i, factor in enumerate((4, 2, 1, 0.5)):
            tap = functional.interpolate(taps[i], scale_factor=factor, mode="bilinear", align_corners=False)
            expected[i] = model.get_submodule(f"norm{i + 1}")(expected[i] + tap)
        out = model(image)
    for a, b in zip(out, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_the_place_of_the_class_token_has_no_effect():
    model, image = small().eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = model(image)
        model.pos_embed[:, 0] += 1
        after = model(image)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_recomputing_changes_neither_outputs_nor_gradients_nor_statistics():
    def run(with_cp):
        model = small(with_cp=with_cp, drop_path_rate=0.5).train()
        torch.manual_seed(1)
        out = model(torch.randn(2, 3, 64, 32))
        sum(x.square().mean() for x in out).backward()
        return out, [p.grad for p in model.parameters()], dict(model.named_buffers())

    for plain, again in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(plain, again)


def test_every_parameter_gets_a_gradient():
    model = small()
    sum((x * torch.randn_like(x)).sum() for x in model(torch.randn(2, 3, 80, 64))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_injectors_start_silent_and_stochastic_depth_rises():
    model = ViTAdapter(**SMALL, drop_path_rate=0.3)
    assert not any(part.injector.gamma.any() for part in model.interactions)
    assert [round(block.drop_path.drop_prob, 6) for block in model.blocks] == [0, 0.1, 0.2, 0.3]
    assert {part.extractor.drop_path.drop_prob for part in model.interactions} == {0.3}
    bias = model.interactions[0].extractor.attn.sampling_offsets.bias
    torch.testing.assert_close(bias, torch.tensor([1.0, 0, 2, 0, -1, 0, -2, 0]), atol=1e-6, rtol=0)


def test_bfloat16_autocast_gives_nearly_the_same():
    model, x = small().eval(), torch.randn(1, 3, 80, 64)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            maps = model(x)
    for got, want in zip(maps, expected, strict=True):
        assert (got.float() - want).abs().max() < 0.05 * want.abs().max()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_files_positions_are_fitted(tmp_path, extra):
    state = small().state_dict()
    state["pos_embed"] = torch.randn(1, extra + 64, 16)  # 8 x 8, after a class token
    torch.save(state, tmp_path / "weights.pth")
    model = ViTAdapter(**SMALL, init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth")))
    model.init_weights()
    expected = resize_positions(state["pos_embed"][:, extra:], (8, 8), (4, 4))
    torch.testing.assert_close(model.pos_embed[:, 1:], expected)
    assert torch.equal(model.up.weight, state["up.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(img_size=100), "img_size=100"),
        (dict(depth=6), "depth=6"),
        (dict(num_heads=3), "3 attention heads"),
        (dict(deform_heads=3), "3 heads"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ViTAdapter(**{**SMALL, **options})


def test_config_builds(repo):
    config = Config.fromfile(repo / "configs/_base_/models/upernet_vit_adapter.py").model
    config.backbone.update(SMALL, norm_cfg=dict(type="BN"))
    config.decode_head.update(in_channels=[16] * 4, channels=8, num_classes=3, norm_cfg=dict(type="BN"))
    model = MODELS.build(config).eval()
    assert isinstance(model.backbone.norm1, nn.BatchNorm2d)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 40, 56), mode="tensor").shape == (1, 3, 10, 14)
