"""EBSeg's release: CLIP is in three parts, for images, for naming masks, and for texts."""

from __future__ import annotations

import re
from math import isqrt
from typing import Any

from rsseg.engine.weights.gsnet import clip_settings, split_attention
from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.engine.weights.mask2former import MASK2FORMER, perceptron_names, proposal_settings

__all__ = ["LAYOUTS", "TARGETS"]

_HEAD_WIDTH = 64
_RESOLUTION = 320  # of CLIP, half of the release's crops, which the weights do not tell
_BLOCKS = "clip.visual.transformer.resblocks."


def _prepare(state: State) -> State:
    """Blocks that name masks numbered on from those for images, and all attention of CLIP as three projections."""
    before, out = count(state, r"clip_visual_extractor\.resblocks\.(\d+)\."), State()
    for key, value in state.items():
        found = re.match(r"clip_(visual_extractor|rec_head)\.resblocks\.(\d+)\.(.*)", key)
        if not found:
            out[key] = value
            continue
        number = int(found[2]) + (before if found[1] == "rec_head" else 0)
        rest = re.sub(r"^attn\.qkv\.", "attn.in_proj_", found[3])
        out[f"{_BLOCKS}{number}.{re.sub(r'^attn.proj.', 'attn.out_proj.', rest)}"] = value
    return split_attention(out)


LAYOUTS = [
    Layout(
        "EBSeg, official names",
        r"clip_visual_extractor\.class_embedding",
        ("ebseg",),
        (
            (r"clip_visual_extractor\.", "clip.visual."),
            (r"clip_rec_head\.", "clip.visual."),
            (r"ov_classifier\.bg_embed", "background"),
            (r"ov_classifier\.", "clip."),
            (r"backbone\.(blocks\.\d+\.mlp\.)lin", r"sam.\1fc"),
            (r"backbone\.", "sam."),
            (r"sem_seg_head\.clip_fusion_layers\.", "proposals.clip_fusion_layers."),
            *MASK2FORMER,
            *perceptron_names("mask_embed1", "proposals.mask_embed1"),
            *perceptron_names("attn_proj", "proposals.attn_proj"),
            (r"sem_seg_head\.predictor\.", "proposals."),
        ),
        {
            r"clip_visual_extractor\.(proj$|ln_post\.)": "the same tensors as those of clip_rec_head",
            r"criterion\.empty_weight$": "weights of the training's classes in the loss",
            r"ov_classifier\.attn_mask$": "which text tokens see which",
            r"(sam_)?pixel_(mean|std)$": "normalisation of images",
        },
        prepare=_prepare,
    )
]


def _ebseg(state: State) -> dict[str, Any]:
    """Settings by the shapes; what they do not tell is as published: windows, taps, the proportions of CLIP's."""
    clip = clip_settings(state, _RESOLUTION)
    width, _, patch, _ = state["sam.patch_embed.proj.weight"].shape
    layers, blocks = count(state, r"sam\.blocks\.(\d+)\."), clip["visual"]["layers"]
    window = min(len(state[f"sam.blocks.{i}.attn.rel_pos_h"]) + 1 for i in range(layers)) // 2
    return dict(
        clip=clip,
        sam=dict(
            width=width,
            layers=layers,
            heads=max(width // _HEAD_WIDTH, 1),
            patch=patch,
            grid=isqrt(state["sam.pos_embed"].numel() // width),
            window=window,
            taps=tuple(layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)),
        ),
        proposals=proposal_settings(state),
        taps=tuple(blocks * quarter // 4 for quarter in (1, 2, 3)),
        vocabulary="landdiscover",
    )


TARGETS = {"ebseg": Target("EBSeg", _ebseg, whole=True)}
