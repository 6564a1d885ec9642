"""The trained network for inference: batch norm folded into convolutions, bfloat16 where the processor computes it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsseg.models.boxmask.network import BoxMaskDecoder

__all__ = ["FoldedNetwork", "has_bf16"]


_ONEDNN = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None
_CONVOLVE = getattr(_ONEDNN, "_convolution_pointwise", None)
"""oneDNN's convolution that bounds what it writes, on weights that are rearranged once: saves a third (measured)."""
_REORDER = getattr(_ONEDNN, "_reorder_convolution_weight", None)


def has_bf16(device: str) -> bool:
    """Whether a device computes bfloat16 by itself: GPUs here, processors with AVX512-BF16 or AMX."""
    if not device.startswith("cpu"):
        return True
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in flags)


class _Folded(nn.Module):
    """A convolution with the batch norm that follows it, and ReLU6 where ``bounded``."""

    def __init__(self, weight: Tensor, norm: Any, like: nn.Conv2d, bounded: bool) -> None:
        super().__init__()
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        self.bias = nn.Parameter(norm.bias - norm.running_mean * factor, requires_grad=False)
        self.stride, self.groups, self.bounded = like.stride, like.groups, bounded
        weight = weight * factor.view(-1, 1, 1, 1)
        self.padding = tuple(int(v) for v in like.padding)
        if type(like).__name__ == "Conv2dSame":
            # Padded as by TensorFlow, an even side gets its odd pixel at the end.  Zeros before the kernel and padding
            # on both sides give the same without a copy of the map.
            spare = like.kernel_size[0] - int(like.stride[0])
            before, after = spare // 2, spare - spare // 2
            weight, self.padding = F.pad(weight, (after - before, 0) * 2), (after, after)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) with even H and W."""
        if x.device.type != "cpu" or _CONVOLVE is None or _REORDER is None:
            x = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, 1, self.groups)
            return F.hardtanh_(x, 0.0, 6.0) if self.bounded else x
        if self._packed is None:
            self._packed = _REORDER(self.weight, self.padding, self.stride, (1, 1), self.groups, x.shape)
        limits = ("hardtanh", [0.0, 6.0], "") if self.bounded else ("none", [], "")
        found: Tensor = _CONVOLVE(x, self._packed, self.bias, self.padding, self.stride, (1, 1), self.groups, *limits)
        return found

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._packed = None  # another type or device
        return super()._apply(*args, **kwargs)


def _fold(module: nn.Module) -> None:
    """Fold every convolution of a module that is directly followed by a batch norm, in place."""
    children = list(module.named_children())
    for (name, child), (norm_name, norm) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            own = getattr(norm, "act", None)
            after = dict(children[children.index((norm_name, norm)) + 1 :][:1])
            bounded = isinstance(own, nn.ReLU6) or any(isinstance(layer, nn.ReLU6) for layer in after.values())
            setattr(module, name, _Folded(child.weight, norm, child, bounded))
            setattr(module, norm_name, nn.Identity())
            for key, layer in after.items():
                if isinstance(layer, nn.ReLU6):
                    setattr(module, key, nn.Identity())
    for _, child in module.named_children():
        _fold(child)


class FoldedNetwork(nn.Module):
    """Encoder and decoder in one, for inference only.

    Args:
        encoder: timm's EfficientNet with ``features_only=True``, trained; it is changed.
        decoder: Its decoder; it is changed.
        mean: Of each band, 0..255.
        std: Of each band.
    """

    def __init__(self, encoder: Any, decoder: BoxMaskDecoder, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.wanted = {row["stage"] for row in encoder.feature_info}
        scale = torch.tensor(std).view(1, -1, 1, 1)
        weight = torch.cat([encoder.conv_stem.weight / scale, decoder.prompt_stem.weight], dim=1)
        self.stem = _Folded(weight.detach(), encoder.bn1, encoder.conv_stem, True)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.blocks = encoder.blocks
        self.decoder = decoder
        _fold(self.blocks)
        _fold(self.decoder)
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor, prompts: Tensor) -> Tensor:
        """Logits (B, 1, S, S) float32 of crops (B, 3, S, S) 0..255 and prompt maps (B, 2, S, S), both float32."""
        kind = self.stem.weight.dtype
        joined = torch.cat([pixels - self.mean, prompts], dim=1)
        x = self.stem(joined.to(kind, memory_format=torch.channels_last))
        maps = [x] if 0 in self.wanted else []
        for stage, block in enumerate(self.blocks, start=1):
            x = block(x)
            if stage in self.wanted:
                maps.append(x)
        logits: Tensor = self.decoder(maps, F.avg_pool2d(prompts, 2))
        return logits
