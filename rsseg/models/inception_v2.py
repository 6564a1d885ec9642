"""Inception-v2, also called BN-Inception: the two releases with ImageNet weights that people start from.

``caffe`` is the network of the Caffe model zoo in the names of pretrained-models (``bninception``), ``slim`` that of
TF-slim (``inception_v2``).  They differ in the widths of two blocks, in the first convolution, and in where zeros are
padded.  Both have the names of pretrained-models here; ``rsseg weights`` reads files of both.

Source: S. Ioffe and C. Szegedy, Batch Normalization (2015), figure 5; the releases named above.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.command_list import command
from rsseg.errors import ConfigError

__all__ = ["InceptionV2"]


class _Block(NamedTuple):
    """Widths of one block; one without ``single`` halves the map, and its pooling has no projection."""

    name: str
    single: int
    threes: tuple[int, int]
    doubles: tuple[int, int]
    pool: int
    kind: str = "avg"

    @property
    def out_channels(self) -> int:
        """Channels that the block adds up to, its pooled input not included."""
        return self.single + self.threes[1] + self.doubles[1] + self.pool


def _blocks(last_projections: int) -> tuple[_Block, ...]:
    return (
        _Block("3a", 64, (64, 64), (64, 96), 32),
        _Block("3b", 64, (64, 96), (64, 96), 64),
        _Block("3c", 0, (128, 160), (64, 96), 0, "max"),
        _Block("4a", 224, (64, 96), (96, 128), 128),
        _Block("4b", 192, (96, 128), (96, 128), 128),
        _Block("4c", 160, (128, 160), (128, 160), last_projections),
        _Block("4d", 96, (128, 192), (160, 192), last_projections),
        _Block("4e", 0, (128, 192), (192, 256), 0, "max"),
        _Block("5a", 352, (192, 320), (160, 224), 128),
        _Block("5b", 352, (192, 320), (192, 224), 128, "max"),
    )


_BLOCKS = {"caffe": _blocks(128), "slim": _blocks(96)}
_EPS = {"caffe": 1e-5, "slim": 1e-3}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What the releases were trained on, of RGB values 0 .. 1: factor and what is added.
_RANGE = {"caffe": (255.0, (-128.0, -117.0, -104.0)), "slim": (2.0, (-1.0, -1.0, -1.0))}


def _same(x: torch.Tensor, kernel: int, stride: int, value: float = 0.0) -> torch.Tensor:
    """Pad (N, C, H, W) as TensorFlow's ``SAME`` does: an odd row or column goes to the end."""
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)


@MODELS.register_module()
class InceptionV2(BaseModule):
    """Inception-v2 up to its last block; the mean over the map is the 1024 numbers before the classifier.

    Args:
        release: ``"caffe"`` (pretrained-models' ``bninception``) or ``"slim"`` (TF-slim's ``inception_v2``).
        frozen: Whether the network stays as it is: no gradients, batch statistics of the file.
        init_cfg: As for mmengine's ``BaseModule``; ``dict(type="Pretrained", checkpoint=FILE)`` of a converted file.

    Raises:
        ConfigError: There is no such release.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, release: str = "caffe", frozen: bool = True, init_cfg: Any = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if release not in _BLOCKS:
            raise ConfigError(f"release={release!r}: expected one of: {', '.join(_BLOCKS)}")
        self.release, self.frozen, self.blocks = release, frozen, _BLOCKS[release]
        factor, offset = _RANGE[release]
        scale = [factor * std for std in _STD]
        shift = [factor * mean + add for mean, add in zip(_MEAN, offset, strict=True)]
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)
        if release == "slim":
            self.conv1_7x7_s2_depthwise = nn.Conv2d(3, 24, 7, stride=2, groups=3, bias=False)
            self._add("conv1_7x7_s2", 24, 64, 1)
        else:
            self._add("conv1_7x7_s2", 3, 64, 7)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        width = 192
        for block in self.blocks:
            width = self._add_block(block, width)
        self.out_channels = width
        self.requires_grad_(not frozen)
        self.train()

    def _add(self, name: str, before: int, after: int, side: int) -> None:
        self.add_module(name, nn.Conv2d(before, after, side, bias=self.release == "caffe"))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(after, eps=_EPS[self.release]))

    def _add_block(self, block: _Block, before: int) -> int:
        stem = f"inception_{block.name}_"
        if block.single:
            self._add(f"{stem}1x1", before, block.single, 1)
            self._add(f"{stem}pool_proj", before, block.pool, 1)
        self._add(f"{stem}3x3_reduce", before, block.threes[0], 1)
        self._add(f"{stem}3x3", *block.threes, 3)
        self._add(f"{stem}double_3x3_reduce", before, block.doubles[0], 1)
        self._add(f"{stem}double_3x3_1", *block.doubles, 3)
        self._add(f"{stem}double_3x3_2", block.doubles[1], block.doubles[1], 3)
        return block.out_channels + (0 if block.single else before)

    def init_weights(self) -> None:
        """Weights of the file that ``init_cfg`` names, all of them.

        Raises:
            ConfigError: The file has not all weights, or those of the other release.
        """
        config = self.init_cfg
        if not self.is_init and isinstance(config, dict) and config.get("type") == "Pretrained":
            content = CheckpointLoader.load_checkpoint(config["checkpoint"], map_location="cpu")
            prefix = config.get("prefix", "").rstrip(".")
            state = content.get("state_dict", content)
            shapes = {key.removeprefix(prefix).lstrip("."): value.shape for key, value in state.items()}
            own = {key: value.shape for key, value in self.state_dict().items() if value.ndim}
            wrong = [key for key, shape in own.items() if shapes.get(key) != shape]
            if wrong:
                release = "slim" if "conv1_7x7_s2_depthwise.weight" in shapes else "caffe"
                raise ConfigError(
                    f"{config['checkpoint']}: {len(wrong)} of {len(own)} weights are missing or have another shape "
                    f"(first: {wrong[0]}). The model has release={self.release!r}, but the file looks like "
                    f"{release!r}; "
                    f"third-party weights must be converted first: {command('weights')} FILE OUT"
                )
        super().init_weights()

    def train(self, mode: bool = True) -> InceptionV2:
        """Training mode; a frozen network keeps the batch statistics of its file."""
        return super().train(mode and not self.frozen)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """Map (N, 1024, h, w) at stride 32 of images (N, 3, H, W).

        Args:
            x: Red, green, blue; each with mean 0 and deviation 1.  It is brought to what the release was trained on as
                if these were the mean and deviation of ImageNet's pixels.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return (self._features(x * self.scale + self.shift),)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        if self.release == "slim":
            x = self._conv("conv1_7x7_s2", self.conv1_7x7_s2_depthwise(_same(x, 7, 2)))
        else:
            x = self._conv("conv1_7x7_s2", x.flip(1), stride=2)
        x = self._pool(x)
        x = self._pool(self._conv("conv2_3x3", self._conv("conv2_3x3_reduce", x)))
        for block in self.blocks:
            x = self._mix(block, x)
        return x

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        """Halve the map of the stem; Caffe lets the last window reach over the border and drops none of an odd size."""
        if self.release == "caffe":
            return functional.max_pool2d(x, 3, 2, ceil_mode=True)
        return functional.max_pool2d(_same(x, 3, 2, -math.inf), 3, 2)

    def _conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        conv: Any = self.get_submodule(name)
        side = conv.kernel_size[0]
        if self.release == "slim":
            x, margin = _same(x, side, stride), 0
        else:
            margin = side // 2
        x = functional.conv2d(x, conv.weight, conv.bias, stride, margin)
        return functional.relu(self.get_submodule(f"{name}_bn")(x))

    def _mix(self, block: _Block, x: torch.Tensor) -> torch.Tensor:
        stem, stride = f"inception_{block.name}_", 1 if block.single else 2
        parts = [self._conv(f"{stem}1x1", x)] if block.single else []
        parts.append(self._conv(f"{stem}3x3", self._conv(f"{stem}3x3_reduce", x), stride))
        double = self._conv(f"{stem}double_3x3_1", self._conv(f"{stem}double_3x3_reduce", x))
        parts.append(self._conv(f"{stem}double_3x3_2", double, stride))
        if block.kind == "max":
            # on odd maps Caffe's own rule gives one row less than the convolutions, which it cannot join
            pooled = functional.max_pool2d(_same(x, 3, stride, -math.inf), 3, stride)
        else:
            pooled = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=self.release == "caffe")
        parts.append(self._conv(f"{stem}pool_proj", pooled) if block.single else pooled)
        return torch.cat(parts, 1)
