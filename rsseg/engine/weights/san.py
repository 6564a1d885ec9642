"""SAN as mmseg names it: CLIP is in three parts, for images, for naming masks, and for texts."""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch

from rsseg.engine.weights.gsnet import clip_settings
from rsseg.engine.weights.layouts import Layout, State, Target, count

__all__ = ["LAYOUTS", "TARGETS"]

_RECOGNISER = "decode_head.rec_with_attnbias."
_ADAPTER_HEAD_WIDTH = 40
_FUSED = ".in_proj_weight"


def _prepare(state: State) -> State:
    """Blocks that name masks numbered on from those for images, attention's weights apart, shapes as in CLIP."""
    before, out = count(state, r"image_encoder\.layers\.(\d+)\."), dict[str, torch.Tensor]()
    blocks = f"{_RECOGNISER}layers."
    for key, value in state.items():
        name = key
        if key.startswith(blocks):
            number, _, rest = key.removeprefix(blocks).partition(".")
            name = f"{blocks}{before + int(number)}.{rest}"
        if key in ("image_encoder.cls_token", "image_encoder.pos_embed"):
            value = value[0, 0] if key.endswith("token") else value[0]
        elif key == f"{_RECOGNISER}proj.weight":
            value = value.T
        if name.endswith(_FUSED) and not key.startswith("decode_head.side_adapter"):
            stem = name.removesuffix(_FUSED)
            out |= {f"{stem}.{part}_proj_weight": own for part, own in zip("qkv", value.chunk(3), strict=True)}
        else:
            out[name] = value
    return out


def _block(before: str, after: str, norms: tuple[str, str], attention: str, mlp: str) -> tuple[tuple[str, str], ...]:
    """Names of the blocks of one of the three parts."""
    number = rf"{before}(\d+)\."
    return (
        (rf"{number}{norms[0]}\.", rf"{after}\1.ln_1."),
        (rf"{number}{norms[1]}\.", rf"{after}\1.ln_2."),
        (rf"{number}{attention}", rf"{after}\1.attn."),
        (rf"{number}{mlp}0\.0\.", rf"{after}\1.mlp.c_fc."),
        (rf"{number}{mlp}1\.", rf"{after}\1.mlp.c_proj."),
    )


_VISUAL, _TEXT = "clip.visual.transformer.resblocks.", "clip.transformer.resblocks."
_MMCV = ((r"norms\.0", r"norms\.1"), r"attentions\.0\.attn\.", r"ffns\.0\.layers\.")

LAYOUTS = [
    Layout(
        "SAN, mmseg's names",
        r"decode_head\.side_adapter_network\.query_embed",
        ("san",),
        (
            *_block(r"image_encoder\.layers\.", _VISUAL, ("ln1", "ln2"), r"attn\.attn\.", r"ffn\.layers\."),
            *_block(r"decode_head\.rec_with_attnbias\.layers\.", _VISUAL, *_MMCV),
            *_block(r"text_encoder\.transformer\.", _TEXT, *_MMCV),
            (r"decode_head\.rec_with_attnbias\.proj\.weight", "clip.visual.proj"),
            (r"decode_head\.rec_with_attnbias\.", "clip.visual."),
            (r"image_encoder\.cls_token", "clip.visual.class_embedding"),
            (r"image_encoder\.pos_embed", "clip.visual.positional_embedding"),
            (r"image_encoder\.patch_embed\.projection\.", "clip.visual.conv1."),
            (r"image_encoder\.(pre_ln|ln_pre)\.", "clip.visual.ln_pre."),
            (r"text_encoder\.bg_embed", "background"),
            (r"text_encoder\.", "clip."),
            (r"decode_head\.side_adapter_network\.patch_embed\.projection\.", "adapter.patch_embed."),
            (r"decode_head\.side_adapter_network\.conv_clips\.(\d+)\.1\.conv\.", r"adapter.conv_clips.\1.1."),
            (r"decode_head\.side_adapter_network\.", "adapter."),
        ),
        {r"data_preprocessor\.": "normalisation of images"},
        prepare=_prepare,
    )
]


def _san(state: State) -> dict[str, Any]:
    """Sizes by the shapes; CLIP sees half of the adapter's resolution, and the taps are spread as published."""
    _, places, width = state["adapter.pos_embed"].shape
    patch = state["adapter.patch_embed.weight"].shape[-1]
    resolution = isqrt(places) * patch
    clip = dict(clip_settings(state, resolution // 2), taps=())
    blocks, taps = clip["visual"]["layers"], count(state, r"adapter\.conv_clips\.(\d+)\.")
    return dict(
        clip=clip,
        adapter=dict(
            resolution=resolution,
            patch=patch,
            width=width,
            layers=count(state, r"adapter\.encode_layers\.(\d+)\."),
            heads=max(width // _ADAPTER_HEAD_WIDTH, 1),
            queries=state["adapter.query_embed"].shape[1],
            channels=state["adapter.mask_decoder.query_mlp.layers.2.weight"].shape[0],
        ),
        taps=tuple(blocks * i // taps for i in range(taps)),
        vocabulary="landdiscover",
    )


TARGETS = {"san": Target("SAN", _san, whole=True)}
