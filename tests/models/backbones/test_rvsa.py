"""RVSA: published names, windows that move, scale and turn as worked out by hand, any image size."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.models.backbones import RVSA
from rsseg.models.backbones.rvsa import RVSAttention

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(embed_dims=16, depth=4, num_heads=2, interval=2, out_indices=(0, 1, 2, 3))


def small(**changes):
    torch.manual_seed(0)
    return RVSA(**{**SMALL, **changes})


def published_keys():
    """Names and shapes of the encoder in the published ViT-B + RVSA + UPerNet files."""
    dim = 768
    keys = {"patch_embed.proj.weight": (dim, 3, 16, 16), "norm.weight": (dim,), "fpn1.1.ln.weight": (dim,)}
    for i in range(12):
        for name, shape in {
            "norm1": (dim,),
            "attn.qkv": (3 * dim, dim),
            "attn.proj": (dim, dim),
            "norm2": (dim,),
            "mlp.fc1": (4 * dim, dim),
            "mlp.fc2": (dim, 4 * dim),
        }.items():
            keys[f"blocks.{i}.{name}.weight"] = shape
        if i not in (2, 5, 8, 11):
            for name, outputs in {"offsets": 24, "scales": 24, "angles": 12}.items():
                keys[f"blocks.{i}.attn.sampling_{name}.2.weight"] = (outputs, dim, 1, 1)
    for name in ("fpn1.0", "fpn1.3", "fpn2.0"):
        keys[f"{name}.weight"] = (dim, dim, 2, 2)
    outputs = {key: shape[1] if key.startswith("fpn") and len(shape) > 1 else shape[0] for key, shape in keys.items()}
    keys |= {key.replace("weight", "bias"): (count,) for key, count in outputs.items()}
    for i in set(range(12)) - {2, 5, 8, 11}:
        attention = f"blocks.{i}.attn"
        keys |= {f"{attention}.rel_pos_h": (13, 64), f"{attention}.rel_pos_w": (13, 64)}
        keys[f"{attention}.relative_position_bias_table"] = (169, 12)
        keys[f"{attention}.relative_position_index"] = (49, 49)
    return keys


def test_names_and_shapes_are_those_of_the_published_files():
    with torch.device("meta"):
        model = RVSA()
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == published_keys()
    assert sum(parameter.numel() for parameter in model.parameters()) == 93_126_976


def test_model_base_builds(repo):
    config = Config.fromfile(repo / "configs" / "_base_" / "models" / "upernet_rvsa.py")
    config.model.decode_head.num_classes = 5
    with torch.device("meta"):
        model = MODELS.build(config.model)
    assert isinstance(model.backbone, RVSA)
    assert model.decode_head.channels == 768


@pytest.mark.parametrize("size", [(112, 112), (224, 96), (70, 45), (10, 20), (256, 320)])
def test_maps_of_images_of_any_size(size):
    with torch.no_grad():
        maps = small().eval()(torch.randn(2, 3, *size))
    expected = [[-(-side // stride) for side in size] for stride in (4, 8, 16)]
    expected.append([max(-(-side // 16) // 2, 1) for side in size])
    assert [list(x.shape) for x in maps] == [[2, 16, *sides] for sides in expected]
    assert all(torch.isfinite(x).all() for x in maps)


def still(attention):
    """Windows that stay where they are."""
    for net in (attention.sampling_offsets, attention.sampling_scales, attention.sampling_angles):
        torch.nn.init.zeros_(net[2].weight)
        torch.nn.init.zeros_(net[2].bias)
    return attention


def window_attention(attention, x, size):
    """Attention in 7 x 7 windows that do not move, pair by pair; half of the padding (rounded down) is top and left."""
    (height, width), heads, dim = size, attention.heads, x.shape[2] // attention.heads
    down, right = -height % 7, -width % 7
    padded = torch.zeros(len(x), height + down, width + right, 3 * x.shape[2])
    place = (slice(None), slice(down // 2, down // 2 + height), slice(right // 2, right // 2 + width))
    padded[place] = attention.qkv(x).unflatten(1, size)
    out = torch.zeros(len(x), height + down, width + right, x.shape[2])
    where = [(y, x) for y in range(7) for x in range(7)]
    for top in range(0, height + down, 7):
        for left in range(0, width + right, 7):
            tokens = padded[:, top : top + 7, left : left + 7].flatten(1, 2)
            for head in range(heads):
                q, k, v = (tokens[..., i * x.shape[2] + head * dim :][..., :dim] for i in range(3))
                scores = q @ k.transpose(1, 2) * dim**-0.5
                for i, (y1, x1) in enumerate(where):
                    for j, (y2, x2) in enumerate(where):
                        row, column = y1 - y2 + 6, x1 - x2 + 6
                        scores[:, i, j] += q[:, i] @ (attention.rel_pos_h[row] + attention.rel_pos_w[column])
                        scores[:, i, j] += attention.relative_position_bias_table[row * 13 + column, head]
                result = (scores.softmax(2) @ v).unflatten(1, (7, 7))
                out[:, top : top + 7, left : left + 7, head * dim : (head + 1) * dim] = result
    return attention.proj(out[place].flatten(1, 2))


@pytest.mark.parametrize("size", [(7, 14), (9, 5)])
def test_windows_that_stay_are_window_attention_with_padding(size):
    torch.manual_seed(0)
    attention = still(RVSAttention(8, 2))
    x = torch.randn(2, size[0] * size[1], 8)
    with torch.no_grad():
        for table in (attention.rel_pos_h, attention.rel_pos_w, attention.relative_position_bias_table):
            table.copy_(torch.randn_like(table))
        torch.testing.assert_close(attention(x, size), window_attention(attention, x, size))


def mean_of_what_is_seen(values, offset=(0.0, 0.0), scale=(0.0, 0.0), angle=0.0):
    """Output (H, W) of an attention that weighs all keys alike and hands values (H, W) through."""
    attention = still(RVSAttention(1, 1))
    with torch.no_grad():
        attention.relative_position_bias_table.zero_()
        attention.qkv.weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        attention.proj.weight.fill_(1)
        attention.proj.bias.zero_()
        attention.qkv.bias.zero_()
        attention.sampling_offsets[2].bias.copy_(torch.tensor(offset))
        attention.sampling_scales[2].bias.copy_(torch.tensor(scale))
        attention.sampling_angles[2].bias.fill_(angle)
        return attention(values.reshape(1, -1, 1), tuple(values.shape)).view_as(values)


def test_a_window_moves():
    values = torch.arange(98.0).view(7, 14)
    # 7 tokens to the right are 14/13 of the coordinates; x is divided by the number of windows in y, which is 1.
    out = mean_of_what_is_seen(values, offset=(14 / 13, 0.0))
    torch.testing.assert_close(out[:, :7], values[:, 7:].mean().expand(7, 7))
    torch.testing.assert_close(out[:, 7:], torch.zeros(7, 7))  # outside of the map
    # One token down is 2/6; y is divided by the number of windows in x, which is 2.
    out = mean_of_what_is_seen(values, offset=(0.0, 2 * 2 / 6))
    torch.testing.assert_close(out[:, :7], (values[1:, :7].sum() / 49).expand(7, 7))


def test_a_window_scales():
    values = torch.rand(7, 14)
    out = mean_of_what_is_seen(values, scale=(-1.0, -1.0))  # to a point, its middle
    torch.testing.assert_close(out[:, :7], values[3, 3].expand(7, 7))
    torch.testing.assert_close(out[:, 7:], values[3, 10].expand(7, 7))


def test_a_window_turns():
    steps = torch.arange(7.0) - 3
    values = steps[:, None] * steps  # x times y from the middle: bilinear, so it can be read between tokens
    # The column through the middle, turned by 45 degrees: x = -t / sqrt(2), y = t / sqrt(2) for t = -3 ... 3.
    out = mean_of_what_is_seen(values, scale=(-1.0, 0.0), angle=math.pi / 4)
    torch.testing.assert_close(out, torch.full((7, 7), -2.0))


def test_recomputing_changes_nothing():
    outs, grads = [], []
    x = torch.randn(1, 3, 128, 112)
    for with_cp in (False, True):
        model = small(with_cp=with_cp, drop_path_rate=0.5).train()
        torch.manual_seed(1)
        maps = model(x)
        sum(y.square().mean() for y in maps).backward()
        outs.append(maps)
        grads.append([parameter.grad for parameter in model.parameters() if parameter.requires_grad])
    torch.testing.assert_close(*outs)
    torch.testing.assert_close(*grads)


def test_every_parameter_but_the_dead_norm_gets_a_gradient():
    model = small()
    torch.manual_seed(1)
    sum(y.square().sum() for y in model(torch.randn(1, 3, 128, 144))).backward()
    dead = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert dead == {"norm.weight", "norm.bias"}
    assert {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()} == dead


def test_maps_are_those_of_the_chosen_blocks():
    model = small(depth=5, out_indices=(0, 2, 3, 4)).eval()
    seen = []
    for i in (0, 2, 3, 4):
        model.blocks[i].register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.no_grad():
        maps = model(torch.randn(1, 3, 112, 112))
    tokens = [out.transpose(1, 2).unflatten(2, (7, 7)) for out in seen]
    torch.testing.assert_close(maps[0], model.fpn1(tokens[0]))
    torch.testing.assert_close(maps[1], model.fpn2(tokens[1]))
    torch.testing.assert_close(maps[2], tokens[2])
    torch.testing.assert_close(maps[3], functional.max_pool2d(tokens[3], 2))


def test_bfloat16_autocast_gives_nearly_the_same():
    model, x = small().eval(), torch.randn(1, 3, 128, 112)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            maps = model(x)
    for got, want in zip(maps, expected, strict=True):
        assert (got.float() - want).abs().max() < 0.05 * want.abs().max()


@pytest.mark.parametrize(
    ("options", "message"), [(dict(out_indices=(0, 1, 2, 9)), "9"), (dict(num_heads=3), "3 attention heads")]
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
