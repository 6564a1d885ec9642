"""What stands in for modules that a trace would freeze: the same results, at every size."""

import pytest
import torch
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmseg.models.backbones.swin import ShiftWindowMSA
from mmseg.models.utils.embed import AdaptivePadding
from torch import nn

from rsseg.models.exporting import traceable
from rsseg.models.upsampling import convolve_maps

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:FutureWarning"),
]
SIZES = ((1, 13, 9), (3, 6, 21), (2, 1, 4), (1, 16, 8))
MODULES = {
    "pool": nn.AdaptiveAvgPool2d(3),
    "pool of two sides": nn.AdaptiveAvgPool2d((2, 6)),
    "mean": nn.AdaptiveAvgPool2d(1),
    "corner": AdaptivePadding(kernel_size=4, stride=3, padding="corner"),
    "same": AdaptivePadding(kernel_size=3, stride=2, dilation=2, padding="same"),
    "convolution": Conv2dAdaptivePadding(4, 4, 3, stride=2),
}


def traced(model, *inputs):
    with torch.no_grad():
        return torch.jit.trace(model, inputs, check_trace=False)


@pytest.mark.parametrize("name", MODULES)
def test_modules_give_the_same_at_sizes_other_than_the_traced(name):
    module = nn.Sequential(MODULES[name])
    graph = traced(traceable(module), torch.rand(2, 4, 11, 17))
    for count, height, width in SIZES:
        image = torch.rand(count, 4, height, width)
        torch.testing.assert_close(graph(image), module(image))


class Attention(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=batch_first)

    def forward(self, query, key):
        return self.inner(query, key, key)[0]


class Windows(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.inner = ShiftWindowMSA(8, 2, 7, shift_size=shift)

    def forward(self, image):
        height, width = image.shape[1:3]
        return self.inner(image.flatten(1, 2), (height, width))


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_of_any_number_of_tokens(batch_first):
    module = Attention(batch_first).eval()
    graph = traced(traceable(module), torch.rand(2, 5, 8), torch.rand(2, 5, 8))
    for first, tokens, keys in ((1, 7, 3), (4, 2, 9)):
        shapes = [(first, n, 8) if batch_first else (n, first, 8) for n in (tokens, keys)]
        query, key = (torch.rand(shape) for shape in shapes)
        torch.testing.assert_close(graph(query, key), module(query, key))


@pytest.mark.parametrize("shift", [0, 3])
def test_windows_of_any_batch_and_size(shift):
    module = Windows(shift).eval()
    graph = traced(traceable(module), torch.rand(2, 9, 16, 8))
    for shape in ((1, 9, 16, 8), (3, 14, 7, 8), (2, 3, 22, 8)):
        image = torch.rand(shape)
        torch.testing.assert_close(graph(image), module(image))


@pytest.mark.parametrize("align_corners", [False, True])
def test_convolutions_of_upsampled_maps_follow_the_sizes(align_corners):
    class Fusion(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 6, 3, 3))

        def forward(self, large, small):
            return convolve_maps([large, small], self.weight, align_corners)

    module = Fusion()
    graph = traced(module, torch.rand(2, 4, 9, 11), torch.rand(2, 2, 5, 6))
    for sizes in (((12, 20), (3, 5)), ((6, 6), (1, 6)), ((2, 3), (3, 3))):
        maps = [torch.rand(1, channels, *size) for channels, size in zip((4, 2), sizes, strict=True)]
        torch.testing.assert_close(graph(*maps), module(*maps), rtol=1e-5, atol=1e-5)


def test_the_model_itself_stays_as_it_is():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2)).train()
    copy = traceable(module)
    assert "forward" in vars(copy[0]) and "forward" not in vars(module[0])
    assert module.training and not copy.training
