"""SAM's encoder against a plain form place by place, and its files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from rsseg.models.ebseg import SAMEncoder

SAM_SMALL = dict(width=32, layers=4, heads=2, patch=16, grid=4, window=3, taps=(0, 1, 2, 3))


def _noise(module: nn.Module) -> Any:
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return module


def _plain_attention(block: Any, x: torch.Tensor) -> torch.Tensor:
    """SAM's attention of maps (B, h, w, C), place by place, with its two tables of relative positions."""
    b, height, width, channels = x.shape
    heads = block.num_heads
    side = channels // heads
    qkv = functional.linear(x, block.qkv.weight, block.qkv.bias).view(b, height * width, 3, heads, side)
    tables = []
    for table, length in ((block.rel_pos_h, height), (block.rel_pos_w, width)):
        if len(table) != 2 * length - 1:
            table = functional.interpolate(table.T[None], 2 * length - 1, mode="linear")[0].T
        tables.append(table)
    out = torch.empty(b, height * width, heads, side)
    for n in range(b):
        for head in range(heads):
            q, k, v = (qkv[n, :, i, head] for i in range(3))
            scores = q @ k.T / side**0.5
            for i in range(height * width):
                for j in range(height * width):
                    rows, columns = i // width - j // width, i % width - j % width
                    scores[i, j] += q[i] @ tables[0][rows + height - 1] + q[i] @ tables[1][columns + width - 1]
            out[n, :, head] = scores.softmax(-1) @ v
    return functional.linear(out.flatten(2), block.proj.weight, block.proj.bias).view(b, height, width, channels)


def test_sams_encoder_is_its_plain_form() -> None:
    torch.manual_seed(0)
    sam = _noise(SAMEncoder(**{**SAM_SMALL, "layers": 5, "taps": (0, 1, 2, 4)})).eval()  # block 3 has windows of 3
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        out = sam(images)
        x = functional.conv2d(images, sam.patch_embed.proj.weight, sam.patch_embed.proj.bias, stride=16)
        table = sam.pos_embed.permute(0, 3, 1, 2)
        x = x + functional.interpolate(table, (4, 6), mode="bicubic", align_corners=False, antialias=False)
        x, maps = x.permute(0, 2, 3, 1), []
        for i, block in enumerate(sam.blocks):
            y = functional.layer_norm(x, (32,), block.norm1.weight, block.norm1.bias, 1e-6)
            if (
                i == 3
            ):  # two rows and two columns of windows, of which the lower ones are padded by zeros behind the norm
                padded = functional.pad(y, (0, 0, 0, 0, 0, 2))
                rows = [
                    torch.cat([_plain_attention(block.attn, padded[:, r : r + 3, c : c + 3]) for c in (0, 3)], 2)
                    for r in (0, 3)
                ]
                x = x + torch.cat(rows, 1)[:, :4]
            else:
                x = x + _plain_attention(block.attn, y)
            y = functional.layer_norm(x, (32,), block.norm2.weight, block.norm2.bias, 1e-6)
            y = functional.linear(y, block.mlp.fc1.weight, block.mlp.fc1.bias)
            y = y * 0.5 * (1 + torch.erf(y / 2**0.5))
            x = x + functional.linear(y, block.mlp.fc2.weight, block.mlp.fc2.bias)
            if i != 3:
                maps.append(x.permute(0, 3, 1, 2))
    assert [tuple(own.shape[2:]) for own in out] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    for own, plain, size in zip(out, maps, [(16, 24), (8, 12), (4, 6), (2, 3)], strict=True):
        expected = functional.interpolate(plain, size, mode="bilinear", align_corners=False)
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_sam(tmp_path: Path) -> None:
    sam = _noise(SAMEncoder(**SAM_SMALL))
    file = {f"image_encoder.{key.replace('.mlp.fc', '.mlp.lin')}": value for key, value in sam.state_dict().items()}
    file |= {"image_encoder.neck.0.weight": torch.ones(1), "prompt_encoder.x": torch.ones(1)}
    torch.save(file, tmp_path / "sam.pth")
    other = SAMEncoder(**SAM_SMALL, weights=str(tmp_path / "sam.pth"))
    other.init_weights()
    assert all(torch.equal(value, sam.state_dict()[key]) for key, value in other.state_dict().items())
    other.weights = str(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match="expected the weights of SAM ViT-B: curl"):
        other.init_weights()
    torch.save({"image_encoder.pos_embed": torch.ones(1)}, tmp_path / "part.pth")
    other.weights = str(tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"part\.pth: does not match this encoder of SAM"):
        other.init_weights()
