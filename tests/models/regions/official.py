"""Names and shapes of OV-Seg's and SCAN's released weights, at their own sizes or at small ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

Shapes = dict[str, tuple[int, ...]]

CLIP = dict(seen=768, read=512, embed=512, layers=12, words=49408, patch=16, places=14, context=77)
SMALL_CLIP = dict(seen=64, read=64, embed=32, layers=4, words=49408, patch=8, places=4, context=77)
"""Heads have 64 channels in all of CLIP's towers."""


def both(name: str, rows: int, *columns: int) -> Shapes:
    """A layer's weight and bias."""
    return {f"{name}.weight": (rows, *columns), f"{name}.bias": (rows,)}


def attention(name: str, width: int) -> Shapes:
    """PyTorch's multi-head attention."""
    fused = {f"{name}.in_proj_weight": (3 * width, width), f"{name}.in_proj_bias": (3 * width,)}
    return fused | both(f"{name}.out_proj", width, width)


def perceptron(name: str, *widths: int) -> Shapes:
    out: Shapes = {}
    for i, (before, after) in enumerate(pairwise(widths)):
        out |= both(f"{name}.layers.{i}", after, before)
    return out


def tower(prefix: str, width: int, layers: int) -> Shapes:
    out: Shapes = {}
    for i in range(layers):
        block = f"{prefix}transformer.resblocks.{i}."
        out |= attention(f"{block}attn", width) | both(f"{block}ln_1", width) | both(f"{block}ln_2", width)
        out |= both(f"{block}mlp.c_fc", 4 * width, width) | both(f"{block}mlp.c_proj", width, 4 * width)
    return out


def visual(prefix: str, c: dict[str, int]) -> Shapes:
    own = {
        "class_embedding": (c["seen"],),
        "positional_embedding": (c["places"] ** 2 + 1, c["seen"]),
        "proj": (c["seen"], c["embed"]),
        "conv1.weight": (c["seen"], 3, c["patch"], c["patch"]),
        **both("ln_pre", c["seen"]),
        **both("ln_post", c["seen"]),
        **tower("", c["seen"], c["layers"]),
    }
    return {prefix + key: shape for key, shape in own.items()}


def adapter(c: dict[str, int]) -> Shapes:
    prefix = "clip_adapter.clip_model."
    return {
        "clip_adapter.non_object_embedding": (1, c["embed"]),
        "clip_adapter.pixel_mean": (1, 3, 1, 1),
        "clip_adapter.pixel_std": (1, 3, 1, 1),
        "criterion.empty_weight": (172,),
        f"{prefix}positional_embedding": (c["context"], c["read"]),
        f"{prefix}text_projection": (c["read"], c["embed"]),
        f"{prefix}logit_scale": (),
        f"{prefix}token_embedding.weight": (c["words"], c["read"]),
        **both(f"{prefix}ln_final", c["read"]),
        **visual(f"{prefix}visual.", c),
        **tower(prefix, c["read"], c["layers"]),
    }


def convolution(name: str, rows: int, columns: int, side: int) -> Shapes:
    """A convolution with a frozen norm."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.weight": (rows, columns, side, side)} | {f"{name}.norm.{part}": (rows,) for part in parts}


def resnet(width: int, blocks: tuple[int, ...]) -> Shapes:
    out: Shapes = {}
    for i, (rows, columns) in enumerate(((width, 3), (width, width), (2 * width, width)), start=1):
        out |= convolution(f"backbone.stem.conv{i}", rows, columns, 3)
    before = 2 * width
    for stage, depth in enumerate(blocks):
        inner, after = width * 2**stage, 4 * width * 2**stage
        for i in range(depth):
            block = f"backbone.res{stage + 2}.{i}."
            if i == 0:
                out |= convolution(f"{block}shortcut", after, before, 1)
            out |= convolution(f"{block}conv1", inner, before, 1) | convolution(f"{block}conv2", inner, inner, 3)
            out |= convolution(f"{block}conv3", after, inner, 1)
            before = after
    return out


def ovseg(c: dict[str, int] = CLIP, width: int = 64, blocks: Any = (3, 4, 23, 3), dim: int = 256, queries: int = 100,
          layers: int = 6, hidden: int = 2048, embed_hidden: int = 1024) -> Shapes:  # fmt: skip
    """OV-Seg's."""
    pixel, head = "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor."
    out = resnet(width, blocks) | adapter(c)
    out["clip_adapter.clip_model.visual.mask_embedding"] = (3, c["places"] ** 2, c["seen"])
    for i in range(1, 5):
        before = 4 * width * 2 ** (i - 1)
        if i < 4:
            out |= {f"{pixel}adapter_{i}.weight": (dim, before, 1, 1), **both(f"{pixel}adapter_{i}.norm", dim)}
        out |= {
            f"{pixel}layer_{i}.weight": (dim, before if i == 4 else dim, 3, 3),
            **both(f"{pixel}layer_{i}.norm", dim),
        }
    out |= both(f"{pixel}mask_features", dim, dim, 3, 3)
    for i in range(layers):
        layer = f"{head}transformer.decoder.layers.{i}."
        out |= attention(f"{layer}self_attn", dim) | attention(f"{layer}multihead_attn", dim)
        out |= both(f"{layer}linear1", hidden, dim) | both(f"{layer}linear2", dim, hidden)
        for j in (1, 2, 3):
            out |= both(f"{layer}norm{j}", dim)
    out |= both(f"{head}transformer.decoder.norm", dim) | {f"{head}query_embed.weight": (queries, dim)}
    out |= both(f"{head}input_proj", dim, 32 * width, 1, 1)
    out |= perceptron(f"{head}mask_embed", dim, dim, dim, dim)
    return out | perceptron(f"{head}class_embed", dim, embed_hidden, c["embed"])


def swin(width: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int) -> Shapes:
    out = both("patch_embed.proj", width, 3, 4, 4) | both("patch_embed.norm", width)
    for stage, depth in enumerate(depths):
        dim = width * 2**stage
        for i in range(depth):
            block = f"layers.{stage}.blocks.{i}."
            out |= both(f"{block}norm1", dim) | both(f"{block}norm2", dim)
            out |= both(f"{block}attn.qkv", 3 * dim, dim) | both(f"{block}attn.proj", dim, dim)
            out |= both(f"{block}mlp.fc1", 4 * dim, dim) | both(f"{block}mlp.fc2", dim, 4 * dim)
            out[f"{block}attn.relative_position_bias_table"] = ((2 * window - 1) ** 2, heads[stage])
            out[f"{block}attn.relative_position_index"] = (window**2, window**2)
        if stage + 1 < len(depths):
            merge = f"layers.{stage}.downsample."
            out |= {f"{merge}reduction.weight": (2 * dim, 4 * dim), **both(f"{merge}norm", 4 * dim)}
        out |= both(f"norm{stage}", dim)
    return {f"backbone.{key}": shape for key, shape in out.items()}


def deformable(prefix: str, dim: int, layers: int, hidden: int) -> Shapes:
    out: Shapes = {}
    for i in range(layers):
        layer = f"{prefix}{i}."
        out |= both(f"{layer}self_attn.sampling_offsets", dim // 32 * 3 * 4 * 2, dim)
        out |= both(f"{layer}self_attn.attention_weights", dim // 32 * 3 * 4, dim)
        out |= both(f"{layer}self_attn.value_proj", dim, dim) | both(f"{layer}self_attn.output_proj", dim, dim)
        out |= both(f"{layer}linear1", hidden, dim) | both(f"{layer}linear2", dim, hidden)
        out |= both(f"{layer}norm1", dim) | both(f"{layer}norm2", dim)
    return out


def scan(c: dict[str, int] = CLIP, width: int = 128, depths: Any = (2, 2, 18, 2), heads: Any = (4, 8, 16, 32),
         window: int = 12, dim: int = 256, queries: int = 100, encoders: int = 6, encoder_hidden: int = 1024,
         layers: int = 10, hidden: int = 2048, embed_hidden: int = 1024, reads: int = 5) -> Shapes:  # fmt: skip
    """SCAN's."""
    pixel, head, embed = "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor.", c["embed"]
    out = swin(width, depths, heads, window) | adapter(c) | visual("clip_adapter.original_clip.", c)
    for i in range(3):
        out |= both(f"{pixel}input_proj.{i}.0", dim, width * 2 ** (3 - i), 1, 1) | both(f"{pixel}input_proj.{i}.1", dim)
    out |= {f"{pixel}transformer.level_embed": (3, dim)}
    out |= deformable(f"{pixel}transformer.encoder.layers.", dim, encoders, encoder_hidden)
    out |= {f"{pixel}adapter_1.weight": (dim, width, 1, 1), **both(f"{pixel}adapter_1.norm", dim)}
    out |= {f"{pixel}layer_1.weight": (dim, dim, 3, 3), **both(f"{pixel}layer_1.norm", dim)}
    out |= both(f"{pixel}mask_features", dim, dim, 1, 1)
    for i in range(layers):
        cross, own, mlp = (f"{head}transformer_{name}_layers.{i}." for name in
                           ("cross_attention", "self_attention", "ffn"))  # fmt: skip
        out |= attention(f"{cross}multihead_attn", dim) | attention(f"{own}self_attn", dim)
        out |= both(f"{mlp}linear1", hidden, dim) | both(f"{mlp}linear2", dim, hidden)
        for part in (cross, own, mlp):
            out |= both(f"{part}norm", dim)
    out |= both(f"{head}decoder_norm", dim)
    out |= {f"{head}{name}.weight": (queries, dim) for name in ("query_feat", "query_embed")}
    out |= {f"{head}level_embed.weight": (3, dim)} | perceptron(f"{head}mask_embed", dim, dim, dim, dim)
    out |= perceptron(f"{head}class_embed", dim, embed_hidden, embed)
    for i in range(reads):
        layer = f"lightweight_transformer.layers.{i}."
        out |= attention(f"{layer}self_attn", embed) | attention(f"fusion_decoder.multiattn.{i}", embed)
        out |= both(f"{layer}linear1", 4 * embed, embed) | both(f"{layer}linear2", embed, 4 * embed)
        out |= both(f"{layer}norm1", embed) | both(f"{layer}norm2", embed)
        if i + 1 < reads:
            out |= both(f"fusion_decoder.ln.{i}", embed)
    spectrum = 2 * c["seen"]
    out |= both("LFM.conv1", spectrum, spectrum, 1, 1) | both("LFM.conv2", spectrum, spectrum, 1, 1)
    out |= both("oriclip_mlp.fc1", embed, c["seen"]) | both("oriclip_mlp.fc2", embed, embed)
    return out | {"learnable_weight": (1,)}


SMALL_OVSEG: dict[str, Any] = dict(
    c=SMALL_CLIP, width=8, blocks=(3, 4, 6, 3), dim=64, queries=6, layers=2, hidden=48, embed_hidden=40
)
SMALL_SCAN: dict[str, Any] = dict(
    c=SMALL_CLIP, width=16, depths=(2, 1, 1, 1), heads=(2, 2, 4, 4), window=4, dim=64, queries=6, encoders=2,
    encoder_hidden=48, layers=3, hidden=40, embed_hidden=24, reads=3,
)  # fmt: skip


def weights(shapes: Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random values for all: matrices that keep lengths about as they are, variances above zero, indices of windows."""
    made, out = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes.items():
        if name.endswith("relative_position_index"):
            out[name] = _window_index(int(shape[0] ** 0.5))
            continue
        value = torch.randn(shape, generator=made)
        if name.endswith(("norm.running_var", "norm.weight")) or (name.endswith(".weight") and len(shape) == 1):
            value = 1 + 0.1 * value.clamp(-3, 3)
        elif len(shape) > 1:
            value = value * value[0].numel() ** -0.5
        else:
            value = 0.1 * value
        out[name] = value
    return out


def _window_index(side: int) -> torch.Tensor:
    """For each pair of a window's places, the row of the table: how far apart they are, down and to the right."""
    y, x = (part.flatten() for part in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    return (y[:, None] - y + side - 1) * (2 * side - 1) + (x[:, None] - x + side - 1)
