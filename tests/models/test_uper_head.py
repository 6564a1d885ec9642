"""UPerNet's head at the low resolution: equal to mmseg's own, in results, gradients and keys."""

import pytest
import torch
from mmseg.registry import MODELS
from torch.nn import functional

import rsseg.models  # noqa: F401
from rsseg.models.upsampling import convolve_maps, convolve_upsampled

SIZES = [((4, 4), (8, 8)), ((3, 5), (7, 9)), ((1, 1), (4, 6)), ((2, 3), (16, 25)), ((6, 6), (4, 9))]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("small", "size"), SIZES)
def test_equal_to_convolution_after_upsampling(small, size, kernel, align_corners) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *small, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    upsampled = functional.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)
    stock = functional.conv2d(upsampled, weight, padding=kernel // 2)
    own = convolve_upsampled(maps, weight, size, align_corners)
    torch.testing.assert_close(own, stock, rtol=0, atol=1e-12)
    toward = torch.randn_like(stock)
    for one, other in zip(
        torch.autograd.grad(own, [maps, weight], toward),
        torch.autograd.grad(stock, [maps, weight], toward),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_hand_computed_row() -> None:
    """[0, 4] becomes [0, 1, 3, 4]; the kernel (1, 0, -1) takes the difference of both neighbours."""
    maps, weight = torch.tensor([[[[0.0, 4.0]]]]), torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1] = torch.tensor([1.0, 0.0, -1.0])
    assert convolve_upsampled(maps, weight, (1, 4)).flatten().tolist() == [-1, -3, -3, 3]


def test_maps_of_several_sizes() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(1, channels, side, side) for channels, side in ((2, 8), (3, 8), (4, 4), (1, 1))]
    weight = torch.randn(5, 10, 3, 3)
    resized = [functional.interpolate(each, size=(8, 8), mode="bilinear") for each in maps]
    stock = functional.conv2d(torch.cat(resized, 1), weight, padding=1)
    torch.testing.assert_close(convolve_maps(maps, weight), stock, rtol=0, atol=1e-5)


def heads(**options):
    """mmseg's head and ours, with the same weights."""
    usual = dict(in_channels=[4, 6, 8, 10], in_index=[0, 1, 2, 3], channels=8, num_classes=3, dropout_ratio=0.1)
    torch.manual_seed(0)
    stock, own = (
        MODELS.build({"type": kind, **usual, "norm_cfg": dict(type="BN"), "align_corners": False, **options})
        for kind in ("UPerHead", "LowResUPerHead")
    )
    own.load_state_dict(stock.state_dict())  # strict: the same keys and shapes
    return stock, own


def pyramid(height: int, width: int, count: int = 2):
    torch.manual_seed(1)
    return [
        torch.randn(count, channels, -(-height // step), -(-width // step), requires_grad=True)
        for channels, step in zip((4, 6, 8, 10), (1, 2, 4, 8), strict=True)
    ]


@pytest.mark.parametrize("size", [(16, 16), (13, 19)])
@pytest.mark.parametrize("options", [{}, {"align_corners": True}, {"norm_cfg": None}])
def test_equal_to_mmseg(size, options) -> None:
    stock, own = heads(**options)
    results = []
    for head in (stock, own):
        head.train()
        torch.manual_seed(2)  # dropout
        maps = pyramid(*size)
        logits = head(maps)
        logits.square().mean().backward()
        found = {name: value.grad for name, value in head.named_parameters() if value.grad is not None}
        results.append([logits, *(each.grad for each in maps), *found.values(), *head.buffers()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_equal_to_mmseg_in_bfloat16() -> None:
    stock, own = (head.eval() for head in heads())
    maps = pyramid(16, 16)
    exact = stock(maps)
    with torch.autocast("cpu", torch.bfloat16):
        errors = [(head(maps).float() - exact).abs().mean() for head in (stock, own)]
    assert errors[1] < 1.5 * errors[0]
