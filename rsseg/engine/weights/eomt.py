"""EoMT on DINOv3 as transformers names it."""

from __future__ import annotations

import re
from typing import Any

import torch

from rsseg.engine.weights.layouts import Layout, State, Target, count

__all__ = ["LAYOUTS", "TARGETS"]

_SIZES = {384: "small", 768: "base", 1024: "large", 1280: "huge_plus", 4096: "7b"}
_HEAD = 64
"""Channels of an attention head in all published sizes."""


def _prepare(state: State) -> State:
    """Queries, keys and values in one matrix; the bias of keys, where there is one, has to be zero."""
    out = dict[str, torch.Tensor]()
    for key, value in state.items():
        stem, _, part = key.rpartition("q_proj.weight")
        if stem and not part:
            out[f"{stem}qkv.weight"] = torch.cat([state[f"{stem}{name}_proj.weight"] for name in "qkv"])
        elif not re.search(r"attention\.[kv]_proj\.weight$", key):
            out[key] = value
    return out


_UP = r"upscale_block\.block\.(\d+)\."

LAYOUTS = [
    Layout(
        "EoMT on DINOv3, transformers' names",
        r"embeddings\.register_tokens",
        ("eomt",),
        (
            (r"embeddings\.cls_token", "backbone.encoder.cls_token"),
            (r"embeddings\.register_tokens", "backbone.encoder.reg_token"),
            (r"embeddings\.patch_embeddings\.", "backbone.encoder.patch_embed.proj."),
            (r"layernorm\.", "backbone.encoder.norm."),
            (r"layers\.(\d+)\.layer_scale([12])\.lambda1", r"backbone.encoder.blocks.\1.gamma_\2"),
            (r"layers\.(\d+)\.attention\.([qv])_proj\.bias", r"backbone.encoder.blocks.\1.attn.\2_bias"),
            (r"layers\.(\d+)\.attention\.o_proj\.", r"backbone.encoder.blocks.\1.attn.proj."),
            (r"layers\.(\d+)\.attention\.", r"backbone.encoder.blocks.\1.attn."),
            (r"layers\.(\d+)\.mlp\.up_proj\.", r"backbone.encoder.blocks.\1.mlp.fc1."),
            (r"layers\.(\d+)\.mlp\.down_proj\.", r"backbone.encoder.blocks.\1.mlp.fc2."),
            (r"layers\.", "backbone.encoder.blocks."),
            (rf"{_UP}conv1\.", r"decode_head.upscale.\1.0."),
            (rf"{_UP}conv2\.", r"decode_head.upscale.\1.2."),
            (rf"{_UP}layernorm2d\.", r"decode_head.upscale.\1.3."),
            (r"mask_head\.fc1\.", "decode_head.mask_embed.0."),
            (r"mask_head\.fc2\.", "decode_head.mask_embed.2."),
            (r"mask_head\.fc3\.", "decode_head.mask_embed.4."),
            (r"class_predictor\.", "decode_head.cls_embed."),
            (r"query\.", "decode_head.query."),
            (r"attn_mask_probs", "decode_head.mask_rates"),
        ),
        {r"criterion\.empty_weight": "weights of the classification loss"},
        prepare=_prepare,
        when=lambda state: "attn_mask_probs" in state,
    )
]


def _eomt(state: State) -> dict[str, Any]:
    """Sizes by the shapes; ``eps`` is the default of transformers, ``layer_norm_eps`` in the file's config.json."""
    encoder = "backbone.encoder."
    width, depth = state[f"{encoder}cls_token"].shape[2], count(state, r"backbone\.encoder\.blocks\.(\d+)\.")
    name = f"vit_{_SIZES.get(width, 'large')}_patch16_dinov3_qkvb"
    hidden = len(state[f"{encoder}blocks.0.mlp.fc1.weight"])
    return dict(
        backbone=dict(
            type="DINOv3",
            name=name,
            settings=dict(embed_dim=width, depth=depth, num_heads=max(width // _HEAD, 1), mlp_ratio=hidden / width),
        ),
        decode_head=dict(
            type="EoMTHead",
            channels=width,
            num_classes=len(state["decode_head.cls_embed.bias"]) - 1,
            queries=len(state["decode_head.query.weight"]),
            blocks=len(state["decode_head.mask_rates"]),
            upscales=count(state, r"decode_head\.upscale\.(\d+)\."),
        ),
        eps=1e-6,
    )


TARGETS = {"eomt": Target("EoMT", _eomt, whole=True)}
