"""UPerNet's head, with its convolutions of upsampled maps computed at the low resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import UPerHead
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.models.upsampling import convolve_maps

__all__ = ["LowResUPerHead"]


@MODELS.register_module()
class LowResUPerHead(UPerHead):
    """mmseg's ``UPerHead``: the same options, parameters, keys and, up to rounding, results.

    The 3x3 convolutions that fuse the pyramid's four maps and the pooled maps take most of the head's time, since all
    maps are upsampled first.  Here they are computed before the upsampling, see
    :func:`rsseg.models.upsampling.convolve_maps`.

    Source: UPerNet (arXiv 1807.10221), section 3; the order of the steps is ours.
    """

    def psp_forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """The coarsest map with its pooled maps, fused; (N, channels, h, w)."""
        pooled = [pool(inputs[-1]) for pool in self.psp_modules]
        return self._fuse(self.bottleneck, [inputs[-1], *pooled])

    def _forward_feature(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        chosen = self._transform_inputs(inputs)
        laterals = [convolve(own) for convolve, own in zip(self.lateral_convs, chosen[:-1], strict=True)]
        laterals.append(self.psp_forward(chosen))
        for i in reversed(range(1, len(laterals))):
            size = laterals[i - 1].shape[2:]
            upsampled = functional.interpolate(
                laterals[i], size=size, mode="bilinear", align_corners=self.align_corners
            )
            laterals[i - 1] = laterals[i - 1] + upsampled
        outputs = [convolve(own) for convolve, own in zip(self.fpn_convs, laterals[:-1], strict=True)]
        return self._fuse(self.fpn_bottleneck, [*outputs, laterals[-1]])

    def _fuse(self, module: ConvModule, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        convolution: Any = module.conv
        fused = convolve_maps(maps, convolution.weight, bool(self.align_corners))
        if convolution.bias is not None:
            fused = fused + convolution.bias[:, None, None]
        return module.activate(module.norm(fused) if module.with_norm else fused)
