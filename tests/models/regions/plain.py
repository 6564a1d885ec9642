"""Plain forms of OV-Seg's and SCAN's parts on weights by their official names, from elementary operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Weights = dict[str, torch.Tensor]
MEAN = torch.tensor([122.7709383, 116.7460125, 104.09373615])[:, None, None]
STD = torch.tensor([68.5005327, 66.6321579, 70.3231630])[:, None, None]


def linear(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def conv(w: Weights, name: str, x: torch.Tensor, **options: Any) -> torch.Tensor:
    return functional.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **options)


def layer_norm(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    x = x - x.mean(-1, keepdim=True)
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def group_norm(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)


def perceptron(w: Weights, name: str, x: torch.Tensor, layers: int) -> torch.Tensor:
    for i in range(layers):
        x = linear(w, f"{name}.layers.{i}", x)
        x = x.relu() if i + 1 < layers else x
    return x


def attention(w: Weights, name: str, heads: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
              hidden: torch.Tensor | None = None) -> torch.Tensor:  # fmt: skip
    """Of queries (B, Q, C) and keys (B, L, C); ``hidden`` (B, Q, L)."""
    parts = zip((q, k, v), w[f"{name}.in_proj_weight"].chunk(3), w[f"{name}.in_proj_bias"].chunk(3), strict=True)
    q, k, v = ((x @ weight.T + bias).unflatten(2, (heads, -1)).transpose(1, 2) for x, weight, bias in parts)
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden[:, None], -math.inf)
    return linear(w, f"{name}.out_proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def sine(height: int, width: int, channels: int) -> torch.Tensor:
    """(h * w, channels): first y, then x, from just above 0 to 2 pi."""
    out = torch.zeros(height, width, channels)
    half = channels // 2
    for y in range(height):
        for x in range(width):
            for offset, value in ((0, (y + 1) / (height + 1e-6)), (half, (x + 1) / (width + 1e-6))):
                for i in range(half):
                    angle = value * 2 * math.pi / 10000 ** (2 * (i // 2) / half)
                    out[y, x, offset + i] = math.cos(angle) if i % 2 else math.sin(angle)
    return out.flatten(0, 1)


def clip_blocks(w: Weights, prefix: str, images: torch.Tensor, quick: bool,
                change: Callable[[int, torch.Tensor], torch.Tensor] | None = None) -> list[torch.Tensor]:  # fmt: skip
    """What each block of a tower for images gives, heads of 64 channels."""
    patch = w[f"{prefix}conv1.weight"].shape[-1]
    x = conv(w, f"{prefix}conv1", images, stride=patch).flatten(2).mT
    x = x if change is None else change(0, x)
    x = torch.cat([w[f"{prefix}class_embedding"].expand(len(x), 1, -1), x], 1) + w[f"{prefix}positional_embedding"]
    x, out, heads = layer_norm(w, f"{prefix}ln_pre", x), [], x.shape[-1] // 64
    number = 0
    while f"{prefix}transformer.resblocks.{number}.ln_1.weight" in w:
        block = f"{prefix}transformer.resblocks.{number}."
        y = layer_norm(w, f"{block}ln_1", x)
        x = x + attention(w, f"{block}attn", heads, y, y, y)
        y = linear(w, f"{block}mlp.c_fc", layer_norm(w, f"{block}ln_2", x))
        y = y * torch.sigmoid(1.702 * y) if quick else 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
        x = x + linear(w, f"{block}mlp.c_proj", y)
        number += 1
        x = x if change is None else torch.cat([x[:, :1], change(number, x[:, 1:])], 1)
        out.append(x)
    return out


def clip_feature(w: Weights, prefix: str, last: torch.Tensor) -> torch.Tensor:
    return functional.normalize(layer_norm(w, f"{prefix}ln_post", last[:, 0]) @ w[f"{prefix}proj"], dim=-1)


def resnet(w: Weights, x: torch.Tensor, blocks: tuple[int, ...]) -> list[torch.Tensor]:
    """detectron2's, with frozen norms; the last stage's dilations are 1, 2, 4."""

    def unit(name: str, x: torch.Tensor, **options: Any) -> torch.Tensor:
        weight, bias, mean, var = (
            w[f"{name}.norm.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (conv(w, name, x, **options) - mean) / (var + 1e-5).sqrt() * weight + bias

    for i in (1, 2, 3):
        x = unit(f"backbone.stem.conv{i}", x, stride=2 if i == 1 else 1, padding=1).relu()
    x, out = functional.max_pool2d(x, 3, 2, 1), []
    for stage, depth in enumerate(blocks):
        for i in range(depth):
            block, stride = f"backbone.res{stage + 2}.{i}.", 2 if stage and not i else 1
            dilation = 2**i if stage == 3 else 1
            short = unit(f"{block}shortcut", x, stride=stride) if i == 0 else x
            x = unit(f"{block}conv1", x).relu()
            x = unit(f"{block}conv2", x, stride=stride, padding=dilation, dilation=dilation).relu()
            x = (unit(f"{block}conv3", x) + short).relu()
        out.append(x)
    return out


def maskformer(w: Weights, maps: list[torch.Tensor], layers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Embeddings and masks of each layer."""
    pixel, head = "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor."
    y = group_norm(w, f"{pixel}layer_4.norm", conv(w, f"{pixel}layer_4", maps[3], padding=1)).relu()
    for i in (3, 2, 1):
        fine = group_norm(w, f"{pixel}adapter_{i}.norm", conv(w, f"{pixel}adapter_{i}", maps[i - 1]))
        rows = torch.arange(fine.shape[2]) * y.shape[2] // fine.shape[2]
        columns = torch.arange(fine.shape[3]) * y.shape[3] // fine.shape[3]
        y = fine + y[:, :, rows][..., columns]
        y = group_norm(w, f"{pixel}layer_{i}.norm", conv(w, f"{pixel}layer_{i}", y, padding=1)).relu()
    features = conv(w, f"{pixel}mask_features", y, padding=1)
    memory = conv(w, f"{head}input_proj", maps[3])
    positions = sine(memory.shape[2], memory.shape[3], memory.shape[1])
    memory, query = memory.flatten(2).mT, w[f"{head}query_embed.weight"]
    x, out, heads = torch.zeros(len(memory), *query.shape), [], memory.shape[-1] // 32
    for i in range(layers):
        layer = f"{head}transformer.decoder.layers.{i}."
        x = layer_norm(w, f"{layer}norm1", x + attention(w, f"{layer}self_attn", heads, x + query, x + query, x))
        read = attention(w, f"{layer}multihead_attn", heads, x + query, memory + positions, memory)
        x = layer_norm(w, f"{layer}norm2", x + read)
        read = linear(w, f"{layer}linear2", linear(w, f"{layer}linear1", x).relu())
        x = layer_norm(w, f"{layer}norm3", x + read)
        normed = layer_norm(w, f"{head}transformer.decoder.norm", x)
        masks = torch.einsum("bqc,bchw->bqhw", perceptron(w, f"{head}mask_embed", normed, 3), features)
        out.append((perceptron(w, f"{head}class_embed", normed, 2), masks))
    return out


def region(image: torch.Tensor, mask: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What CLIP sees of a mask (H, W) bool that is not empty; ``image`` is (3, H, W) from 0 to 255."""
    rows, columns = mask.any(1).nonzero().flatten().tolist(), mask.any(0).nonzero().flatten().tolist()
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    own = mask[box].float()
    cut = image[(slice(None), *box)] * own + MEAN * (1 - own)
    cut = functional.interpolate(((cut - MEAN) / STD)[None], (side, side), mode="bicubic", align_corners=False)
    y = torch.arange(side) * own.shape[0] // side
    x = torch.arange(side) * own.shape[1] // side
    return cut[0], own[y][:, x]


def patches(mask: torch.Tensor, patch: int) -> torch.Tensor:
    """Mask (S, S) of 0 and 1 on the grid, row by row: (L,)."""
    return functional.avg_pool2d(mask[None, None], patch).ceil().flatten()


def cosines(x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return 100 * (x / x.norm(dim=-1, keepdim=True)) @ text.T


def bilinear(maps: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Maps (C, h, w) at pixels x and y (P,), whose middles are whole numbers; zero outside."""
    out = torch.zeros(len(maps), len(x))
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = y.floor().long() + dy, x.floor().long() + dx
            inside = (row >= 0) & (row < maps.shape[1]) & (column >= 0) & (column < maps.shape[2])
            weight = (1 - (y - row).abs()) * (1 - (x - column).abs()) * inside
            out += maps[:, row.clamp(0, maps.shape[1] - 1), column.clamp(0, maps.shape[2] - 1)] * weight
    return out


def pixel_decoder(w: Weights, maps: list[torch.Tensor], layers: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Mask2Former's, for one image: the map for masks, and three maps, coarsest first."""
    pixel = "sem_seg_head.pixel_decoder."
    coarse = [
        group_norm(w, f"{pixel}input_proj.{i}.1", conv(w, f"{pixel}input_proj.{i}.0", maps[3 - i])) for i in range(3)
    ]
    sizes, dim = [tuple(m.shape[2:]) for m in coarse], coarse[0].shape[1]
    positions = torch.cat([
        sine(*size, dim) + level for size, level in zip(sizes, w[f"{pixel}transformer.level_embed"], strict=True)
    ])  # fmt: skip
    x = torch.cat([m.flatten(2).mT for m in coarse], 1)[0]
    centres = torch.cat([
        torch.stack(torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(v) + 0.5) / v, indexing="ij"), -1)
        .flatten(0, 1)
        .flip(1)
        for h, v in sizes
    ])  # fmt: skip
    heads = dim // 32
    for i in range(layers):
        layer = f"{pixel}transformer.encoder.layers.{i}."
        values = linear(w, f"{layer}self_attn.value_proj", x).unflatten(1, (heads, -1))
        offsets = linear(w, f"{layer}self_attn.sampling_offsets", x + positions).unflatten(1, (heads, 3, 4, 2))
        shares = linear(w, f"{layer}self_attn.attention_weights", x + positions).unflatten(1, (heads, 12)).softmax(-1)
        read = torch.zeros_like(values)
        parts = values.split([h * v for h, v in sizes])
        for level, (height, width) in enumerate(sizes):
            grid = parts[level].unflatten(0, (height, width))
            for head in range(heads):
                for point in range(4):
                    where = offsets[:, head, level, point]
                    px = centres[:, 0] * width + where[:, 0] - 0.5
                    py = centres[:, 1] * height + where[:, 1] - 0.5
                    sampled = bilinear(grid[:, :, head].permute(2, 0, 1), px, py)
                    read[:, head] += sampled.T * shares[:, head, 4 * level + point, None]
        x = layer_norm(w, f"{layer}norm1", x + linear(w, f"{layer}self_attn.output_proj", read.flatten(1)))
        hidden = linear(w, f"{layer}linear1", x).relu()
        x = layer_norm(w, f"{layer}norm2", x + linear(w, f"{layer}linear2", hidden))
    coarse = [
        part.T.unflatten(1, size)[None] for part, size in zip(x.split([h * v for h, v in sizes]), sizes, strict=True)
    ]
    fine = group_norm(w, f"{pixel}adapter_1.norm", conv(w, f"{pixel}adapter_1", maps[0]))
    fine = fine + functional.interpolate(coarse[2], fine.shape[2:], mode="bilinear", align_corners=False)
    fine = group_norm(w, f"{pixel}layer_1.norm", conv(w, f"{pixel}layer_1", fine, padding=1)).relu()
    return conv(w, f"{pixel}mask_features", fine), coarse


def query_decoder(
    w: Weights, features: torch.Tensor, coarse: list[torch.Tensor], layers: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mask2Former's, for one image: embeddings and masks before the first layer and after each."""
    head = "sem_seg_head.predictor."
    query, x = w[f"{head}query_embed.weight"], w[f"{head}query_feat.weight"][None]
    out: list[tuple[torch.Tensor, torch.Tensor]] = []
    heads = x.shape[-1] // 32
    for i in range(layers + 1):
        normed = layer_norm(w, f"{head}decoder_norm", x)
        masks = torch.einsum("bqc,bchw->bqhw", perceptron(w, f"{head}mask_embed", normed, 3), features)
        out.append((perceptron(w, f"{head}class_embed", normed, 2), masks))
        if i == layers:
            return out
        level = i % 3
        values = coarse[level] + w[f"{head}level_embed.weight"][level][:, None, None]
        size = values.shape[2:]
        small = functional.interpolate(masks, size, mode="bilinear", align_corners=False)
        hidden = small.flatten(2).sigmoid() < 0.5
        hidden[hidden.all(-1)] = False
        values, positions = values.flatten(2).mT, sine(*size, x.shape[-1])
        cross, own, mlp = (
            f"{head}transformer_{name}_layers.{i}." for name in ("cross_attention", "self_attention", "ffn")
        )
        read = attention(w, f"{cross}multihead_attn", heads, x + query, values + positions, values, hidden)
        x = layer_norm(w, f"{cross}norm", x + read)
        x = layer_norm(w, f"{own}norm", x + attention(w, f"{own}self_attn", heads, x + query, x + query, x))
        x = layer_norm(w, f"{mlp}norm", x + linear(w, f"{mlp}linear2", linear(w, f"{mlp}linear1", x).relu()))
    return out


def low_pass(w: Weights, x: torch.Tensor, sigma: float) -> torch.Tensor:
    """SCAN's filter of maps (B, C, h, w)."""
    height, width = x.shape[2:]
    gate = torch.ones(height, width)
    for v in range(height):
        for u in range(width):
            gate[v, u] -= math.exp(-((v - height // 2) ** 2 + (u - width // 2) ** 2) / (2 * sigma**2))
    phase_y = torch.exp(-2j * math.pi * torch.arange(height)[:, None] * torch.arange(height) / height)
    phase_x = torch.exp(-2j * math.pi * torch.arange(width)[:, None] * torch.arange(width) / width)
    spectrum = phase_y @ x.to(phase_y.dtype) @ phase_x * gate
    parts = torch.cat([spectrum.real, spectrum.imag], 1)
    parts = conv(w, "LFM.conv2", conv(w, "LFM.conv1", parts).relu())
    real, imaginary = parts.chunk(2, 1)
    back = phase_y.conj() @ torch.complex(real, imaginary) @ phase_x.conj() / (height * width)
    return x + back.real


def calibrate(w: Weights, x: torch.Tensor, prior: torch.Tensor, image: torch.Tensor, reads: int) -> torch.Tensor:
    """SCAN's change of embeddings (B, Q, C) by a prior (B, P, C) and features of images (B, C)."""
    for i in range(reads):
        x = x + attention(w, f"fusion_decoder.multiattn.{i}", 8, x, prior, prior)
        x = layer_norm(w, f"fusion_decoder.ln.{i}", x) if i + 1 < reads else x
    x = x + w["learnable_weight"] * image[:, None]
    for i in range(reads):
        layer = f"lightweight_transformer.layers.{i}."
        value = x @ w[f"{layer}self_attn.in_proj_weight"].chunk(3)[2].T
        value = value + w[f"{layer}self_attn.in_proj_bias"].chunk(3)[2]
        x = layer_norm(w, f"{layer}norm1", x + linear(w, f"{layer}self_attn.out_proj", value))
        x = layer_norm(w, f"{layer}norm2", x + linear(w, f"{layer}linear2", linear(w, f"{layer}linear1", x).relu()))
    return x
