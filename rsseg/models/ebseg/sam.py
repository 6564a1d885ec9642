"""The image encoder of Segment Anything without its neck, as four maps for a decoder."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.io.checkpoints import read_state
from rsseg.io.hub import local_file
from rsseg.structures.keys import compare_keys

__all__ = ["SAMEncoder", "read_sam"]

_SCALES = (4.0, 2.0, 1.0, 0.5)
_FILE = "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"


class SAMEncoder(BaseModule):
    """A plain transformer with windows, and global attention in the blocks that are tapped; the defaults are ViT-B.

    All is frozen but the positions.  Blocks and their names are timm's.

    Args:
        width: Channels.
        layers: Blocks.
        heads: Attention heads.
        patch: Side of the patches in pixels.
        grid: Side of the table of positions.
        window: Side of the windows in patches.
        taps: The four blocks, counted from 0, with global attention, whose outputs are given.
        weights: File to start from: Meta's (``image_encoder.`` before the names) or timm's; None starts at random.

    Raises:
        ConfigError: There are not four taps, or one is no block.
        ImportError: timm is not installed.

    Source: Segment Anything; EBSeg release (maps, frozen parts, bicubic positions without smoothing).
    """

    def __init__(
        self,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        patch: int = 16,
        grid: int = 64,
        window: int = 14,
        taps: Sequence[int] = (2, 5, 8, 11),
        weights: str | None = None,
    ) -> None:
        super().__init__()
        from timm.layers import PatchEmbed
        from timm.models.vision_transformer_sam import Block

        if len(taps) != len(_SCALES) or any(not 0 <= tap < layers for tap in taps):
            raise ConfigError(
                f"taps={tuple(taps)}: expected four numbers from 0 to {layers - 1}, blocks of the encoder"
            )
        self.taps, self.channels, self.weights = tuple(taps), width, weights
        self.patch_embed = PatchEmbed(None, patch, 3, width, output_fmt="NHWC", strict_img_size=False)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, width))
        nn.init.normal_(self.pos_embed, std=0.02)
        norm: Any = functools.partial(nn.LayerNorm, eps=1e-6)
        windows = [0 if i in self.taps else window for i in range(layers)]
        self.blocks = nn.ModuleList(
            Block(width, heads, norm_layer=norm, use_rel_pos=True, window_size=own, input_size=(grid, grid))
            for own in windows
        )
        self.requires_grad_(False)
        self.pos_embed.requires_grad_(True)

    def init_weights(self) -> None:
        """Take the weights of the file, if there is one; a runner calls this before it trains."""
        if self.weights is not None:
            own = {key: value.shape for key, value in self.state_dict().items()}
            self.load_state_dict(read_sam(self.weights, own))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (B, width, h, w) of images (B, 3, H, W), at a quarter, an eighth, ... of their size, finest first.

        Args:
            images: Normalised by ImageNet's mean and deviation; sides are multiples of twice the patch.
        """
        x = self.patch_embed(images)
        table = self.pos_embed.permute(0, 3, 1, 2)
        positions = functional.interpolate(table, x.shape[1:3], mode="bicubic", align_corners=False)
        x, maps = x + positions.permute(0, 2, 3, 1), []
        for i, block in enumerate(self.blocks[: max(self.taps) + 1]):
            x = block(x)
            if i in self.taps:
                maps.append(x.permute(0, 3, 1, 2))
        return [
            functional.interpolate(own, scale_factor=scale, mode="bilinear", align_corners=False)
            for own, scale in zip(maps, _SCALES, strict=True)
        ]


def read_sam(file: str, expected: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Weights of the encoder by timm's names.

    Args:
        file: Meta's file, of which the decoder and the neck are left out, or timm's.
        expected: Shapes of the model's weights by name.

    Raises:
        FileNotFoundError: There is no such file; the message says where to get it.
        UserError: The file cannot be read, weights are missing, or have another shape than the model's.
    """
    path = local_file(file)
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the weights of SAM ViT-B: curl -L -o {path} {_FILE}")
    state = read_state(path)
    prefix = "image_encoder."
    if any(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    out = {
        key.replace(".mlp.lin", ".mlp.fc"): own for key, own in state.items() if not key.startswith(("neck.", "head."))
    }
    if problems := compare_keys(out, expected):
        raise ConfigError(f"{path}: does not match this encoder of SAM: {problems}")
    return out
