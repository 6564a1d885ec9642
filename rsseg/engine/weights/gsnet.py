"""GSNet's and CAT-Seg's releases, whole models, and DINO's files: ViT with patches of 8 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from rsseg.engine.weights.layouts import Layout, State, Target, count

__all__ = ["LAYOUTS", "TARGETS", "clip_settings", "split_attention", "text_settings"]

_PATCH = "patch_embed.proj.weight"
_HEAD_WIDTH = 64
_FUSED = ".attn.in_proj_weight"
_TRANSFORMER = r"sem_seg_head\.predictor\.transformer\."


def _small_patches(state: State) -> bool:
    """Whether it is DINO's: other plain transformers here have patches of 16."""
    return _PATCH in state and state[_PATCH].shape[-1] == 8


_RENAME = (
    (r"sem_seg_head\.predictor\.clip_model\.", "clip."),
    (r"dino_model\.", "dino."),
    (r"(upsample[12]|dino_decod_proj[12]|dino_down_sample)\.", r"encoder.\1."),
    (rf"{_TRANSFORMER}(conv[12]|fusion_corr)\.", r"fusion.\1."),
    (rf"{_TRANSFORMER}(guidance_projection|text_guidance_projection|layers)\.", r"aggregator.\1."),
    (rf"{_TRANSFORMER}decoder([12])\.", r"decoder.Fusiondecoder\1."),
    (rf"{_TRANSFORMER}decoder_guidance_projection\.", "decoder.CLIP_decoder_guidance_projection."),
    (_TRANSFORMER, "decoder."),
)
_UNUSED = {r"(clip_)?pixel_(mean|std)$": "normalisation of images"}

LAYOUTS = [
    Layout("CAT-Seg, official names", rf"{_TRANSFORMER}decoder1\.up\.weight", ("catseg",), _RENAME, _UNUSED),
    Layout("GSNet, official names", r"sem_seg_head\.predictor\.clip_model\.visual\.proj", ("gsnet",), _RENAME, _UNUSED),
    Layout(
        "DINO, official names",
        r"blocks\.0\.attn\.qkv\.bias",
        ("dino",),
        unused={r"head\.": "classifier or head of pre-training"},
        when=_small_patches,
    ),
]


def _tower(state: Mapping[str, Any], prefix: str, width: int) -> dict[str, int]:
    layers = count(state, rf"{prefix}transformer\.resblocks\.(\d+)\.")
    return dict(width=width, layers=layers, heads=max(width // _HEAD_WIDTH, 1))


def _dino(state: State, prefix: str = "") -> dict[str, Any]:
    """Settings by the shapes; heads and taps, which they do not tell, in the published proportions."""
    width, _, patch, _ = state[prefix + _PATCH].shape
    layers = count(state, rf"{prefix}blocks\.(\d+)\.")
    places = state[f"{prefix}pos_embed"].shape[1] - 1
    taps = tuple(max(layers * third // 3 - 1, 0) for third in (1, 2, 3))  # 3, 7, 11 of the published twelve
    heads = max(width // _HEAD_WIDTH, 1)
    return dict(width=width, layers=layers, heads=heads, patch=patch, grid=isqrt(places), taps=taps)


def text_settings(state: State) -> dict[str, int]:
    """Settings of CLIP's tower for texts, likewise."""
    words, context = state["clip.token_embedding.weight"], len(state["clip.positional_embedding"])
    return dict(_tower(state, "clip.", words.shape[1]), vocabulary=len(words), context=context)


def split_attention(state: State) -> State:
    """Weights by their names, the fused projection of CLIP's attention as three."""
    out: State = {}
    for key, value in state.items():
        if key.endswith(_FUSED):
            stem = key.removesuffix(_FUSED)
            out |= {f"{stem}.attn.{part}_proj_weight": own for part, own in zip("qkv", value.chunk(3), strict=True)}
        else:
            out[key] = value
    return out


def clip_settings(state: State, resolution: int) -> dict[str, Any]:
    """Settings of CLIP by the shapes of the weights below ``clip.``; heads have 64 channels as in all of OpenAI's."""
    conv = state["clip.visual.conv1.weight"]
    table = isqrt(len(state["clip.visual.positional_embedding"]) - 1)
    return dict(
        type="CLIP",
        visual=dict(_tower(state, "clip.visual.", len(conv)), patch=conv.shape[-1], grid=table),
        text=text_settings(state),
        embed=state["clip.visual.proj"].shape[1],
        resolution=resolution,
    )


def _catseg(state: State) -> dict[str, Any]:
    """The tower's size, and from the windows' masks the grid and so the images' size; the rest is as published."""
    windows, places = state["aggregator.layers.0.swin_block.block_2.attn_mask"].shape[:2]
    patch = state["clip.visual.conv1.weight"].shape[-1]
    return dict(
        clip=clip_settings(state, isqrt(windows) * isqrt(places) * patch),
        fusion=dict(type="CostEmbedding"),
        aggregator=dict(type="Aggregator", layers=count(state, r"aggregator\.layers\.(\d+)\.")),
        decoder=dict(type="ResidualDecoder", guidance=("clip",)),
        vocabulary="landdiscover",
    )


def _gsnet(state: State) -> dict[str, Any]:
    """Those of CAT-Seg with a specialist, whose images' size follows from CLIP's grid.

    Depths are the release's, not the file's: one that lost its last blocks must not look whole.
    """
    out, specialist = _catseg(state), _dino(state, "dino.") | dict(layers=12, taps=(3, 7, 11))
    for tower in ("visual", "text"):
        out["clip"][tower]["layers"] = 12
    out["aggregator"]["layers"] = 2
    grid = out["clip"]["resolution"] // out["clip"]["visual"]["patch"]
    side = grid * state["encoder.dino_down_sample.weight"].shape[-1] * specialist["patch"]
    return out | dict(
        dino=dict(type="DINOViT", **specialist, resolution=side),
        fusion=dict(type="QueryGuidedFusion"),
        decoder=dict(type="ResidualDecoder"),
    )


TARGETS = {
    "catseg": Target("GSNet", _catseg, whole=True),
    "gsnet": Target("GSNet", _gsnet, whole=True),
    "dino": Target("DINOViT", _dino),
}
