"""Segmentors as graphs for other runtimes: what a trace would freeze at one size follows each image's own."""

from __future__ import annotations

import contextlib
import copy
import io
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmseg.models.backbones.swin import ShiftWindowMSA
from mmseg.models.utils.embed import AdaptivePadding
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["GraphModel", "onnx_bytes", "traceable"]

_OPSET = 17
_TRACED_SIZE = (129, 161)
"""(H, W) of images to trace a model with: at every stride a side is odd, so that no map has twice the size of the next
one, and each step that brings maps to one size, or windows to a full one, is in the trace."""
_COLOURS = 3


class GraphModel(nn.Module):
    """A segmentor as one function from pixels to scores: its normalisation, itself, scores at the image's size.

    Args:
        model: A segmentor, with ``data_preprocessor``; it is copied.
        head: Label set of a model with several.
        scale: Factor from the graph's pixels to those of the model.
        probabilities: Give probabilities (softmax), not the scores of the model.
        threshold: Of a model whose one score stands for the second of two classes; None for others.

    Attributes:
        bands: Bands of the images that it takes.

    Raises:
        ConfigError: The model's preprocessor pads images in tests, which the graph does not.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        model: Any,
        head: str | None = None,
        scale: float = 1.0,
        probabilities: bool = False,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        own = model.data_preprocessor
        if getattr(own, "test_cfg", None):
            raise ConfigError(f"model.data_preprocessor.test_cfg={own.test_cfg} pads images, which an exported model "
                              "cannot; remove it")  # fmt: skip
        self.model = traceable(model)
        self.meta = {} if head is None else {"dataset_name": head}
        self.scale, self.probabilities = scale, probabilities
        self.limit = None if threshold is None else float(torch.tensor(float(threshold)).logit())
        mean, std = getattr(own, "mean", None), getattr(own, "std", None)
        self.register_buffer("mean", torch.zeros(1, 1, 1) if mean is None else mean.detach().clone())
        self.register_buffer("std", torch.ones(1, 1, 1) if std is None else std.detach().clone())
        self.bands = _COLOURS if mean is None else len(mean)
        self.blue_first = self.bands == _COLOURS and not getattr(own, "_channel_conversion", False)
        self.eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores (N, classes, H, W) of images (N, bands, H, W), both float32; of three bands red is the first."""
        pixels = image * self.scale if self.scale != 1 else image
        if self.blue_first:
            pixels = pixels[:, [2, 1, 0]]
        pixels = (pixels - self.mean) / self.std
        sizes = dict.fromkeys(("ori_shape", "img_shape", "pad_shape"), pixels.shape[2:])
        scores = self.model.encode_decode(pixels, [{**sizes, **self.meta}])
        if self.limit is not None:
            scores = torch.cat([torch.full_like(scores, self.limit), scores], dim=1)
        return scores.softmax(dim=1) if self.probabilities else scores


def onnx_bytes(graph: GraphModel, side: int | None = None) -> bytes:
    """A model as an ONNX file, by a trace: ``image`` in, ``scores`` out.

    Args:
        graph: The model.
        side: H and W of the only images, one at a time, that it shall take; None for any batch and size.

    Raises:
        RuntimeError: The exporter does not know an operator, or the package ``onnx`` is not installed.

    Source: PyTorch's older exporter; the newer one takes ten times as long, and its files of Swin fail at some sizes.
    """
    batch, size = (2, _TRACED_SIZE) if side is None else (1, (side, side))
    image = torch.rand(batch, graph.bands, *size) * (255 / graph.scale)
    free = {name: {0: "batch", 2: "height", 3: "width"} for name in ("image", "scores")}
    file: Any = io.BytesIO()
    with (
        warnings.catch_warnings(),
        torch.no_grad(),
        contextlib.redirect_stdout(io.StringIO()),
    ):  # where it prints graphs
        warnings.simplefilter("ignore")  # of numbers in the trace
        torch.onnx.export(
            graph, (image,), file, dynamo=False, opset_version=_OPSET,
            input_names=["image"], output_names=["scores"], dynamic_axes=free if side is None else None,
        )  # fmt: skip
    return file.getvalue()


def traceable(model: nn.Module) -> Any:
    """A copy of a model that computes the same, and whose trace holds for every batch and size."""
    own = copy.deepcopy(model).eval()
    for module in own.modules():
        for kind, cures in _CURES.items():
            if isinstance(module, kind):
                for name, function in cures.items():
                    setattr(module, name, types.MethodType(function, module))
    return own


def _window_reverse(self: Any, windows: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
    """(N, H, W, C) of windows (N * H/s * W/s, s, s, C); mmseg's own computes N as a number."""
    size, channels = self.window_size, windows.shape[-1]
    grid = windows.view(-1, height // size, width // size, size, size, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def _missing(length: Any, kernel: int, stride: int, dilation: int) -> Any:
    """Pixels that a side needs so that its last window is complete."""
    steps = (length + stride - 1) // stride
    missing = (steps - 1) * stride + (kernel - 1) * dilation + 1 - length
    return (missing + abs(missing)) // 2  # max(missing, 0)


def _adaptive_padding(self: Any, x: torch.Tensor) -> torch.Tensor:
    """Zeros to the right and below, or around; mmseg's own counts them as numbers."""
    sides = zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
    rows, columns = (_missing(*side) for side in sides)
    if self.padding == "corner":
        return functional.pad(x, [0, columns, 0, rows])
    return functional.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])


def _padded_convolution(self: Any, x: torch.Tensor) -> torch.Tensor:
    """A convolution whose padding depends on the size; mmcv's own counts it as numbers."""
    sides = zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
    rows, columns = (_missing(*side) for side in sides)
    x = functional.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
    return functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _adaptive_pool(self: Any, x: torch.Tensor) -> torch.Tensor:
    """Means over bins, as two products with matrices that follow the size."""
    size = self.output_size
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows == columns == 1:
        return x.mean((2, 3), keepdim=True)
    return _bins(x.shape[2], rows, x) @ x @ _bins(x.shape[3], columns, x).T


def _bins(length: Any, count: int, like: torch.Tensor) -> torch.Tensor:
    """(count, length): row i has 1 / (pixels of bin i) at the pixels of bin i."""
    number, place = torch.arange(count, device=like.device), torch.arange(length, device=like.device)
    first, end = (number * length) // count, ((number + 1) * length + count - 1) // count
    inside = (place >= first[:, None]) & (place < end[:, None])
    return inside.to(like.dtype) / (end - first)[:, None].to(like.dtype)


def _attention(
    self: nn.MultiheadAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    """Attention of (L, N, C), or (N, L, C) with ``batch_first``, written out; torch's own counts tokens as numbers."""
    if (
        options.get("key_padding_mask") is not None
        or options.get("attn_mask") is not None
        or not self._qkv_same_embed_dim
    ):
        raise ConfigError("attention with masks, or between maps of other widths, cannot be exported")
    if not self.batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    weights = self.in_proj_weight.chunk(3)
    biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
    parts = [
        functional.linear(x, weight, bias).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    ]
    out = self.out_proj(functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
    return (out if self.batch_first else out.transpose(0, 1)), None


_CURES: dict[type[nn.Module], dict[str, Callable[..., Any]]] = {
    ShiftWindowMSA: {"window_reverse": _window_reverse},
    AdaptivePadding: {"forward": _adaptive_padding},
    Conv2dAdaptivePadding: {"forward": _padded_convolution},
    nn.AdaptiveAvgPool2d: {"forward": _adaptive_pool},
    nn.MultiheadAttention: {"forward": _attention},
}
"""By kind of module: methods that a trace would freeze, and what stands in for them."""
