"""InternImage-T: the published names and shapes, sizes, recomputation, and DCNv3 against sums by hand."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.models.backbones import InternImage
from rsseg.models.backbones.dcnv3 import DCNv3, deform_conv

pytestmark = pytest.mark.usefixtures("mmseg_scope")


def layer(name, *shape, bias=True):
    return {f"{name}.weight": shape, **({f"{name}.bias": shape[:1]} if bias else {})}


def published():
    """Names and shapes of the encoder in the released files (without ``encoder.``)."""
    out = layer("patch_embed.conv1", 32, 3, 3, 3) | layer("patch_embed.norm1.1", 32)
    out |= layer("patch_embed.conv2", 64, 32, 3, 3) | layer("patch_embed.norm2.1", 64)
    for i, (width, blocks, groups) in enumerate([(64, 4, 4), (128, 4, 8), (256, 18, 16), (512, 4, 32)]):
        for k in range(blocks):
            block = f"levels.{i}.blocks.{k}"
            out |= {f"{block}.gamma1": (width,), f"{block}.gamma2": (width,)}
            out |= layer(f"{block}.norm1.0", width) | layer(f"{block}.norm2.0", width)
            out |= layer(f"{block}.dcn.dw_conv.0", width, 1, 3, 3) | layer(f"{block}.dcn.dw_conv.1.1", width)
            out |= layer(f"{block}.dcn.offset", groups * 18, width) | layer(f"{block}.dcn.mask", groups * 9, width)
            out |= layer(f"{block}.dcn.input_proj", width, width) | layer(f"{block}.dcn.output_proj", width, width)
            out |= layer(f"{block}.mlp.fc1", 4 * width, width) | layer(f"{block}.mlp.fc2", width, 4 * width)
        out |= layer(f"levels.{i}.norm.0", width)
        if i < 3:
            out |= layer(f"levels.{i}.downsample.conv", 2 * width, width, 3, 3, bias=False)
            out |= layer(f"levels.{i}.downsample.norm.1", 2 * width)
    return out


def tiny(**changes):
    torch.manual_seed(0)
    return InternImage(**{**dict(channels=8, depths=(1, 1, 2, 1), groups=(1, 2, 2, 4)), **changes})


def test_names_and_shapes_are_the_published_ones():
    model = InternImage()
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert own == published()
    assert len(own) == 685
    assert sum(p.numel() for p in model.parameters()) == 28_769_520


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((64, 64), [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ((32, 96), [(8, 24), (4, 12), (2, 6), (1, 3)]),
        ((50, 37), [(13, 10), (7, 5), (4, 3), (2, 2)]),
        ((1, 1), [(1, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_any_size_gives_four_maps(size, sizes):
    with torch.no_grad():
        out = tiny().eval()(torch.randn(2, 3, *size))
    assert [tuple(x.shape) for x in out] == [(2, c, *s) for c, s in zip((8, 16, 32, 64), sizes, strict=True)]
    assert all(torch.isfinite(x).all() for x in out)


def test_recomputing_changes_neither_outputs_nor_gradients():
    def run(with_cp):
        model = tiny(with_cp=with_cp).train()
        torch.manual_seed(1)
        out = model(torch.randn(2, 3, 32, 48))
        sum(x.square().mean() for x in out).backward()
        return out, {name: p.grad for name, p in model.named_parameters()}

    for plain, again in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(plain, again, rtol=0, atol=0)


def test_every_parameter_gets_a_gradient():
    model = tiny()
    sum(x.square().sum() for x in model(torch.randn(1, 3, 64, 64))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_rates_of_stochastic_depth_rise_over_all_blocks():
    rates = [block.drop_path.drop_prob for level in tiny(drop_path_rate=0.4).levels for block in level.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_a_level_gives_its_normed_map_and_goes_on_from_it():
    level = tiny().levels[0]
    x = torch.randn(1, 4, 6, 8)
    feature, then = level(x, False)
    torch.testing.assert_close(feature, level.norm(level.blocks[0](x)).permute(0, 3, 1, 2))
    torch.testing.assert_close(then, level.downsample(feature.permute(0, 2, 3, 1)))


def plain(values, groups=1):
    """Offsets 0 and weights 0 for these values."""
    shape = (*values.shape[:3], groups, 9)
    return torch.zeros(*shape, 2), torch.zeros(shape)


def test_equal_weights_without_offsets_are_the_mean_with_zeros_around():
    values = torch.randn(2, 5, 4, 6)
    offsets, weights = plain(values, groups=3)
    out = deform_conv(values, offsets, weights + 1 / 9)
    torch.testing.assert_close(out, functional.avg_pool2d(values.permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("point", "x", "y"),
    [(0, -1, -1), (1, -1, 0), (2, -1, 1), (3, 0, -1), (4, 0, 0), (5, 0, 1), (6, 1, -1), (7, 1, 0), (8, 1, 1)],
)
def test_points_are_numbered_column_by_column(point, x, y):
    values = torch.arange(1.0, 21).reshape(1, 4, 5, 1)
    offsets, weights = plain(values)
    weights[..., point] = 1
    out = deform_conv(values, offsets, weights)[0, :, :, 0]
    padded = functional.pad(values[0, :, :, 0], (1, 1, 1, 1))
    torch.testing.assert_close(out, padded[1 + y : 5 + y, 1 + x : 6 + x])


def test_offsets_are_x_then_y_in_pixels_and_groups_move_alone():
    values = torch.arange(12.0).reshape(1, 3, 4, 1).repeat(1, 1, 1, 2)
    offsets, weights = plain(values, groups=2)
    weights[..., 4] = 1
    offsets[..., 1, 4, :] = torch.tensor([0.25, 1.0])  # the second group: a quarter to the right, one down
    out = deform_conv(values, offsets, weights)
    torch.testing.assert_close(out[..., 0], values[..., 0])
    torch.testing.assert_close(out[0, :2, :3, 1], torch.tensor([[4.25, 5.25, 6.25], [8.25, 9.25, 10.25]]))
    torch.testing.assert_close(out[0, :2, 3, 1], torch.tensor([7 * 0.75, 11 * 0.75]))  # a quarter lies outside
    assert out[0, 2, :, 1].tolist() == [0, 0, 0, 0]


def test_the_scale_stretches_kernel_and_offsets():
    values = torch.arange(7.0).reshape(1, 1, 7, 1)
    offsets, weights = plain(values)
    weights[..., 7] = 1  # one to the right
    offsets[..., 7, 0] = 0.5
    assert deform_conv(values, offsets, weights, scale=2.0).flatten().tolist() == [3, 4, 5, 6, 0, 0, 0]


def test_gradients_are_those_of_differences():
    torch.manual_seed(0)
    values = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    offsets = (
        torch.rand(1, 3, 4, 2, 9, 2, dtype=torch.float64) * 0.8 + 0.1
    ).requires_grad_()  # off the pixels' centres
    weights = torch.rand(1, 3, 4, 2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(deform_conv, (values, offsets, weights))


def test_coordinates_stay_exact_in_bfloat16():
    values = torch.zeros(1, 1, 400, 1, dtype=torch.bfloat16)
    values[0, 0, 301] = 1
    offsets, weights = (x.bfloat16() for x in plain(values))
    weights[..., 4] = 1
    out = deform_conv(values, offsets, weights)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, values, rtol=0, atol=1e-4)


def test_a_new_layer_takes_the_mean_of_its_projected_input():
    torch.manual_seed(0)
    dcn = DCNv3(4, 2)
    x = torch.randn(1, 5, 5, 4)
    mean = functional.avg_pool2d(dcn.input_proj(x).permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(dcn(x), dcn.output_proj(mean))


def test_weights_of_a_group_add_up_to_one():
    dcn = DCNv3(4, 2)
    dcn.mask.weight.data.normal_()
    dcn.input_proj.weight.data.zero_()
    dcn.input_proj.bias.data.fill_(3)
    dcn.output_proj.weight.data = torch.eye(4)
    out = dcn(torch.randn(1, 6, 6, 4))
    torch.testing.assert_close(out[:, 1:-1, 1:-1], torch.full((1, 4, 4, 4), 3.0))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="64 channels must be divisible by 3 groups"):
        DCNv3(64, 3)


def test_autocast_agrees_with_float32():
    model, image = tiny().eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        exact = model(image)
        with torch.autocast("cpu", torch.bfloat16):
            near = model(image)
    for a, b in zip(exact, near, strict=True):
        assert (a - b).abs().mean() < 0.05 * a.abs().mean()


def test_config_builds_and_reads_pretrained_files(repo, tmp_path):
    weights = InternImage().state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    config = Config.fromfile(repo / "configs/_base_/models/upernet_internimage.py").model
    config.decode_head.norm_cfg = dict(type="BN")
    config.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth"))
    config.decode_head.num_classes = 3
    built = MODELS.build(config).eval()
    built.init_weights()
    assert built.decode_head.channels == 128
    torch.testing.assert_close(dict(built.backbone.state_dict()), dict(weights), rtol=0, atol=0)
    with torch.no_grad():
        assert built(torch.randn(1, 3, 40, 56), mode="tensor").shape == (1, 3, 10, 14)
