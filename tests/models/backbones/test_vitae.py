"""ViTAEv2-S: the published names and shapes, sizes, recomputation, and what each part does."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rsseg.models.backbones import ViTAEv2, vitae

pytestmark = pytest.mark.usefixtures("mmseg_scope")


def linear(name, out, into, bias=True):
    return {f"{name}.weight": (out, into), **({f"{name}.bias": (out,)} if bias else {})}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def convolutions(name, widths, groups):
    out = {}
    for index, a, b in zip((0, 3, 6), widths, widths[1:], strict=False):
        out |= {f"{name}.{index}.weight": (b, a // groups, 3, 3), f"{name}.{index}.bias": (b,)}
        if index < 6:
            out |= norm(f"{name}.{index + 1}", b)
            out |= {f"{name}.{index + 1}.running_mean": (b,), f"{name}.{index + 1}.running_var": (b,)}
            out |= {f"{name}.{index + 1}.num_batches_tracked": ()}
    return out


def attention(name, into, width, heads, windows, bias):
    out = linear(f"{name}.qkv", 3 * width, into, bias) | linear(f"{name}.proj", width, width)
    if windows:
        out |= {f"{name}.relative_position_bias_table": (169, heads), f"{name}.relative_position_index": (49, 49)}
    return out


def mlp(name, width, hidden):
    return linear(f"{name}.fc1", hidden, width) | linear(f"{name}.fc2", width, hidden)


def published():
    """Names and shapes of the encoder in the released files (without ``encoder.``)."""
    rows = [  # input, embedding, width, kernel, dilations, cells, heads and groups of both kinds of cells
        (3, 64, 64, 7, 4, 2, (1, 1), (1, 1)),
        (64, 64, 128, 3, 3, 2, (1, 2), (16, 32)),
        (128, 128, 256, 3, 2, 8, (2, 4), (32, 64)),
        (256, 256, 512, 3, 2, 2, (4, 8), (64, 128)),
    ]
    out = {}
    for i, (into, embed, width, kernel, dilations, cells, heads, groups) in enumerate(rows):
        windows, cell = i < 2, f"layers.{i}.RC"
        out |= convolutions(f"{cell}.PCM", (into, embed, embed, width), groups[0])
        for k in range(dilations):
            name = f"{cell}.PRM.convs.{k}.0"
            out |= {f"{name}.weight": (embed, into, kernel, kernel), f"{name}.bias": (embed,)}
        out |= norm(f"{cell}.attn.norm1", dilations * embed) | norm(f"{cell}.attn.norm2", width)
        out |= attention(f"{cell}.attn.attn", dilations * embed, width, heads[0], windows, windows)
        out |= mlp(f"{cell}.attn.mlp", width, width)
        for k in range(cells):
            cell = f"layers.{i}.NC.{k}"
            out |= norm(f"{cell}.norm1", width) | norm(f"{cell}.norm2", width)
            out |= attention(f"{cell}.attn", width, width, heads[1], windows, True)
            out |= mlp(f"{cell}.mlp", width, 4 * width)
            out |= convolutions(f"{cell}.PCM", (width, 4 * width, width, width), groups[1])
        out |= norm(f"norm{i}", width)
    return out


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ViTAEv2().eval()


def test_names_and_shapes_are_the_published_ones(model):
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert own == published()
    assert len(own) == 544
    assert sum(p.numel() for p in model.parameters()) == 18_845_960


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((64, 64), [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ((32, 96), [(8, 24), (4, 12), (2, 6), (1, 3)]),
        ((50, 37), [(13, 10), (7, 5), (4, 3), (2, 2)]),
        ((1, 1), [(1, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_any_size_gives_four_maps(model, size, sizes):
    with torch.no_grad():
        out = model(torch.randn(1, 3, *size))
    assert [tuple(x.shape) for x in out] == [(1, c, *s) for c, s in zip((64, 128, 256, 512), sizes, strict=True)]
    assert all(torch.isfinite(x).all() for x in out)


def test_a_map_that_is_not_square_keeps_its_places():
    """Turning the image by a transposition transposes the maps, when every kernel is its own transposition."""
    torch.manual_seed(0)
    model = ViTAEv2().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = (module.weight + module.weight.mT) / 2
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        out, turned = model(image), model(image.mT)
    for a, b in zip(out, turned, strict=True):
        torch.testing.assert_close(a, b.mT, rtol=1e-4, atol=1e-4)


def test_what_has_no_effect_needs_no_gradient():
    torch.manual_seed(0)
    model = ViTAEv2()
    sum(x.sum() for x in model(torch.randn(2, 3, 32, 32))).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {name for name, p in model.named_parameters() if not p.requires_grad}
    assert len(without) == 14  # 4 norms of 2, 6 tables


def test_recomputing_changes_neither_outputs_nor_gradients_nor_statistics():
    def run(with_cp):
        torch.manual_seed(0)
        model = ViTAEv2(with_cp=with_cp).train()
        torch.manual_seed(1)
        out = model(torch.randn(2, 3, 32, 32))
        sum(x.square().mean() for x in out).backward()
        return out, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, dict(model.named_buffers())

    for plain, again in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(plain, again, rtol=0, atol=0)


def test_rates_of_stochastic_depth_overlap_as_in_the_release():
    model = ViTAEv2(drop_path_rate=1.3)
    rates = [[round(cell.drop_path.drop_prob, 6) for cell in stage.NC] for stage in model.layers]
    assert rates == [[0, 0.1], [0.2, 0.3], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [0.8, 0.9]]


def test_padding_takes_part_in_a_window():
    """One token among 48 padded ones; all values are the bias, so that the output is known."""
    layer = vitae._WindowAttention(2, 2, 1, 7)
    nn.init.zeros_(layer.qkv.weight)
    layer.qkv.weight.data[4:] = torch.eye(2)  # values are the tokens plus the bias
    layer.qkv.bias.data = torch.tensor([0, 0, 0, 0, 1.0, 2.0])
    layer.proj.weight.data = torch.eye(2)
    nn.init.zeros_(layer.proj.bias)
    out = layer(torch.tensor([[[[49.0, 98.0]]]]))
    torch.testing.assert_close(out, torch.tensor([[[[2.0, 4.0]]]]))


def test_windows_do_not_see_each_other():
    torch.manual_seed(0)
    layer = vitae._WindowAttention(4, 4, 2, 7)
    x = torch.randn(1, 7, 21, 4)
    changed = x.clone()
    changed[:, :, 7:14] += 1
    moved = (layer(x) - layer(changed)).abs().amax((0, 1, 3)) > 0
    assert moved.tolist() == [False] * 7 + [True] * 7 + [False] * 7
    torch.testing.assert_close(layer(x)[:, :, 14:], layer(x[:, :, 14:]))


def test_reduction_attention_adds_the_values_after_the_projection():
    layer = vitae._GlobalAttention(1, 1, 1, keep_values=True)
    assert layer.qkv.bias is None
    layer.qkv.weight.data = torch.tensor([[0.0], [0.0], [1.0]])
    layer.proj.weight.data, layer.proj.bias.data = torch.tensor([[10.0]]), torch.tensor([0.5])
    out = layer(torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1))
    assert out.flatten().tolist() == [10 * 2 + 0.5 + 1, 10 * 2 + 0.5 + 3]


def test_dilated_convolutions_divide_the_size():
    for ratio, kernel, dilations in ((4, 7, 4), (2, 3, 3)):
        stage = vitae._Settings(ratio, kernel, dilations, 1, 1, 1, (1, 1), (1, 1), None)
        out = vitae._Dilated(1, stage)(torch.randn(1, 1, 16, 32))
        assert out.shape == (1, dilations, 16 // ratio, 32 // ratio)


def test_normal_cells_add_convolutions_of_the_tokens_without_norm():
    cell = ViTAEv2().eval().layers[2].NC[0]
    for layer in (cell.attn.proj, cell.mlp.fc2):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(1, 5, 6, 256)
    torch.testing.assert_close(cell(x), x + cell.PCM(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def test_config_builds_and_reads_pretrained_files(repo, tmp_path, model):
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    config = Config.fromfile(repo / "configs/_base_/models/upernet_vitae.py").model
    config.backbone.norm_cfg = config.decode_head.norm_cfg = dict(type="BN")
    config.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth"))
    config.decode_head.num_classes = 3
    built = MODELS.build(config).eval()
    built.init_weights()
    assert built.decode_head.channels == 128
    torch.testing.assert_close(dict(built.backbone.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    with torch.no_grad():
        assert built(torch.randn(1, 3, 40, 56), mode="tensor").shape == (1, 3, 10, 14)
