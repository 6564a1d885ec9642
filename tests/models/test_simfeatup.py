"""SimFeatUp: the release's names, its formulas by unfolded neighbours, and files with its weights."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from rsseg.models.simfeatup import JointBilateral, SimFeatUp


def randomised(model):
    torch.manual_seed(0)
    for value in model.parameters():
        value.data += 0.3 * torch.randn_like(value)
    return model.eval()


def test_the_published_names_and_shapes():
    shapes = {key: tuple(value.shape) for key, value in SimFeatUp().state_dict().items()}
    assert shapes == {
        "up.range_temp": (), "up.sigma_spatial": (),
        "up.range_proj.0.weight": (32, 3, 1, 1), "up.range_proj.0.bias": (32,),
        "up.range_proj.3.weight": (32, 32, 1, 1), "up.range_proj.3.bias": (32,),
        "up.fixup_proj.0.weight": (121, 124, 1, 1), "up.fixup_proj.0.bias": (121,),
        "up.fixup_proj.3.weight": (121, 121, 1, 1), "up.fixup_proj.3.bias": (121,),
        "fixup_proj.1.weight": (512, 512, 1, 1), "fixup_proj.1.bias": (512,),
    }  # fmt: skip


def plain(up, source, guidance):
    """All neighbours at once: softmax of temperature times products, times a Gaussian, normalised, corrected; a sum."""
    side, (height, width) = 2 * up.radius + 1, guidance.shape[2:]

    def neighbours(maps):
        padded = functional.pad(maps, [up.radius] * 4, mode="reflect")
        return functional.unfold(padded, side).reshape(*maps.shape[:2], side * side, height, width)

    query = up.range_proj(guidance)
    alike = (neighbours(query) * query[:, :, None]).sum(1)
    grid = torch.linspace(-1, 1, side)
    distance = torch.stack(torch.meshgrid(grid, grid, indexing="ij")).square().sum(0).flatten()
    kernel = torch.softmax(up.range_temp.exp() * alike, 1) * torch.exp(-distance / (2 * up.sigma_spatial**2)).reshape(
        1, -1, 1, 1
    )
    kernel = kernel / kernel.sum(1, keepdim=True)
    kernel = kernel + 0.1 * up.fixup_proj(torch.cat([kernel, guidance], 1))
    large = functional.interpolate(source, (height, width), mode="bicubic", align_corners=False)
    return (neighbours(large) * kernel[:, None]).sum(2)


def test_a_step_is_the_formula():
    up = randomised(JointBilateral(radius=2, channels=4))
    source, guidance = torch.randn(2, 5, 3, 4), torch.randn(2, 3, 6, 8)
    with torch.no_grad():
        torch.testing.assert_close(up(source, guidance), plain(up, source, guidance), rtol=1e-5, atol=1e-5)


def test_one_step_four_times_and_a_correction():
    model = randomised(SimFeatUp(channels=5, radius=1))
    source, image = torch.randn(1, 5, 2, 3), torch.randn(1, 3, 32, 48)
    x = source
    with torch.no_grad():
        for factor in (8, 4, 2, 1):
            x = plain(model.up, x, functional.avg_pool2d(image, factor) if factor > 1 else image)
        expected = x + 0.1 * model.fixup_proj[1](x)
        torch.testing.assert_close(model(source, image), expected, rtol=1e-4, atol=1e-4)


def test_files_of_the_release(tmp_path):
    model = randomised(SimFeatUp(channels=5, radius=1))
    state = {f"upsampler.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "jbu.ckpt")
    other = SimFeatUp(channels=5, radius=1, weights=str(tmp_path / "jbu.ckpt"))
    other.init_weights()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())
    with pytest.raises(ValueError, match=r"jbu.ckpt: does not fit SimFeatUp: .*expected the release's 'jbu_one'"):
        SimFeatUp(channels=4, radius=1, weights=str(tmp_path / "jbu.ckpt")).init_weights()
    with pytest.raises(FileNotFoundError, match=r"none.ckpt: no such checkpoint; .*model.upsampler=None"):
        SimFeatUp(channels=4, weights=str(tmp_path / "none.ckpt")).init_weights()
