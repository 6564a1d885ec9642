"""ViT and BEiT: published names, any image size, positions by hand, and the same numbers as other implementations."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.models.backbones import BEiT
from mmseg.registry import MODELS
from torch import nn

from rsseg.models.backbones import ViT
from rsseg.models.backbones.attention import RelativeAttention, position_index, resize_positions, stretch_table

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(img_size=64, embed_dims=16, depth=2, num_heads=2)
RELATIVE = dict(positions="relative", layer_scale=0.1)


def small(**changes):
    torch.manual_seed(0)
    model = ViT(**{**SMALL, **changes})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def both_norms(name, dim):
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def published_keys():
    """Names and shapes of the encoder in the published ViT-B + UPerNet files."""
    dim = 768
    keys = {"pos_embed": (1, 196, dim), "patch_embed.proj.weight": (dim, 3, 16, 16), "patch_embed.proj.bias": (dim,)}
    for i in range(12):
        block = f"blocks.{i}"
        keys |= both_norms(f"{block}.norm1", dim) | both_norms(f"{block}.norm2", dim)
        keys |= linear(f"{block}.attn.qkv", dim, 3 * dim) | linear(f"{block}.attn.proj", dim, dim)
        keys |= linear(f"{block}.mlp.fc1", dim, 4 * dim) | linear(f"{block}.mlp.fc2", 4 * dim, dim)
    keys |= both_norms("norm", dim) | both_norms("fpn1.1.ln", dim)
    for name in ("fpn1.0", "fpn1.3", "fpn2.0"):
        keys |= {f"{name}.weight": (dim, dim, 2, 2), f"{name}.bias": (dim,)}
    return keys


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def test_names_and_shapes_are_those_of_the_published_files():
    with torch.device("meta"):
        model = ViT()
    assert shapes(model) == published_keys()
    assert sum(parameter.numel() for parameter in model.parameters()) == 92_878_848


def test_beit_has_the_names_of_the_public_files():
    with torch.device("meta"):
        model = ViT(**RELATIVE)
    expected = published_keys()
    del expected["pos_embed"]
    expected["cls_token"] = (1, 1, 768)
    for i in range(12):
        attention = f"blocks.{i}.attn"
        del expected[f"{attention}.qkv.bias"]
        expected |= {f"{attention}.q_bias": (768,), f"{attention}.v_bias": (768,)}
        expected |= {f"blocks.{i}.gamma_1": (768,), f"blocks.{i}.gamma_2": (768,)}
        expected[f"{attention}.relative_position_bias_table"] = (27 * 27 + 3, 12)
        expected[f"{attention}.relative_position_index"] = (197, 197)
    assert shapes(model) == expected


@pytest.mark.parametrize("name", ["vit", "beit"])
def test_model_bases_build(repo, name):
    config = Config.fromfile(repo / "configs" / "_base_" / "models" / f"upernet_{name}.py")
    config.model.decode_head.num_classes = 5
    with torch.device("meta"):
        model = MODELS.build(config.model)
    assert hasattr(model.backbone.blocks[0].attn, "q_bias") == (name == "beit")
    assert model.decode_head.channels == 768


@pytest.mark.parametrize("options", [{}, RELATIVE], ids=["vit", "beit"])
@pytest.mark.parametrize("size", [(64, 64), (32, 96), (70, 45), (10, 20), (112, 16)])
def test_maps_of_images_of_any_size(options, size):
    with torch.no_grad():
        maps = small(**options).eval()(torch.randn(2, 3, *size))
    tokens = [-(-side // 16) for side in size]
    expected = [[-(-side // stride) for side in size] for stride in (4, 8, 16)]
    expected.append([max(side // 2, 1) for side in tokens])
    assert [list(x.shape) for x in maps] == [[2, 16, *sides] for sides in expected]
    assert all(torch.isfinite(x).all() for x in maps)


def test_blocks_are_those_of_torch():
    model = small().eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        tokens = model.patch_embed.proj(x).flatten(2).transpose(1, 2) + model.pos_embed
        for block in model.blocks:
            reference = nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True)
            names = {"attn.qkv.": "self_attn.in_proj_", "attn.proj.": "self_attn.out_proj."}
            names |= {"mlp.fc1": "linear1", "mlp.fc2": "linear2"}
            state = block.state_dict()
            for old, new in names.items():
                state = {key.replace(old, new): value for key, value in state.items()}
            reference.load_state_dict(state)
            tokens = reference.eval()(tokens)
        expected = model.norm(tokens).transpose(1, 2).reshape(2, 16, 4, 4)
        maps = model(x)
    torch.testing.assert_close(maps[2], expected)
    torch.testing.assert_close(maps[3], nn.MaxPool2d(2)(expected))
    torch.testing.assert_close(maps[1], model.fpn2(expected))
    torch.testing.assert_close(maps[0], model.fpn1(expected))


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_beit_is_that_of_mmseg():
    model = small(**RELATIVE).eval()
    reference = BEiT(
        img_size=64, embed_dims=16, num_layers=2, num_heads=2, norm_cfg=dict(type="LN", eps=1e-6), final_norm=True
    )
    reference.eval()
    names = {"blocks.": "layers.", "norm1.": "ln1.", "norm2.": "ln2.", "mlp.fc1": "ffn.layers.0.0"}
    names |= {"mlp.fc2": "ffn.layers.1", "patch_embed.proj": "patch_embed.projection"}
    state = {key: value for key, value in model.state_dict().items() if not key.startswith("fpn")}
    for old, new in names.items():
        state = {key.replace(old, new): value for key, value in state.items()}
    state |= {f"ln1.{key}": state.pop(f"norm.{key}") for key in ("weight", "bias")}
    reference.load_state_dict(state)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[2], reference(x)[0])


def test_positions_for_other_grids():
    ramp = torch.arange(4.0).expand(4, 4).reshape(1, 16, 1)  # the column
    assert resize_positions(ramp, (4, 4), (4, 4)) is ramp
    wide = resize_positions(ramp, (4, 4), (2, 8)).view(2, 8)
    torch.testing.assert_close(wide[0], wide[1])  # the same in each row, which the order of the release would not be
    assert (wide[0].diff() > 0).all()


def test_position_index_by_hand():
    expected = [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    assert position_index(2, 2).tolist() == expected


def test_biases_of_the_own_grid_are_those_the_index_names():
    torch.manual_seed(0)
    attention = RelativeAttention(8, 2, window=3)
    table = attention.relative_position_bias_table
    expected = table[attention.relative_position_index].permute(2, 0, 1)[None]
    assert torch.equal(attention._bias((3, 3)), expected)


def test_a_smaller_grid_takes_the_middle_of_the_table():
    table = torch.randn(2, 7, 9)
    torch.testing.assert_close(stretch_table(table, (2, 4)), table[:, 2:5, 1:8])


def test_a_larger_grid_spaces_the_table_in_a_geometric_series():
    # Offsets 1 and 1 + q of the table are 1 and 4 of the new grid, so q = 3.
    table = torch.randn(1, 5, 5)
    out = stretch_table(table, (5, 3))
    assert out.shape == (1, 9, 5)
    torch.testing.assert_close(out[:, [0, 3, 4, 5, 8]], table)


def test_recomputing_changes_nothing():
    outs, grads = [], []
    x = torch.randn(2, 3, 64, 48)
    for with_cp in (False, True):
        model = small(with_cp=with_cp, drop_path_rate=0.5, **RELATIVE).train()
        torch.manual_seed(1)
        maps = model(x)
        sum(y.square().mean() for y in maps).backward()
        outs.append(maps)
        grads.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*outs)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("options", [{}, RELATIVE], ids=["vit", "beit"])
def test_every_parameter_gets_a_gradient(options):
    model = small(**options)
    sum(y.sum() for y in model(torch.randn(1, 3, 80, 64))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bfloat16_autocast_gives_nearly_the_same():
    model, x = small(**RELATIVE).eval(), torch.randn(1, 3, 80, 64)
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
    model = ViT(**SMALL, init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth")))
    model.init_weights()
    torch.testing.assert_close(model.pos_embed, resize_positions(state["pos_embed"][:, extra:], (8, 8), (4, 4)))
    assert torch.equal(model.norm.weight, state["norm.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(positions="rotary"), "rotary"),
        (dict(img_size=100), "100"),
        (dict(img_size=32, positions="relative"), "48"),
        (dict(num_heads=3), "3 attention heads"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ViT(**{**SMALL, **options})
