"""Swin: the names of Microsoft, timm, torchvision and SAMRS to those of mmseg."""

from __future__ import annotations

import math
import re
from typing import Any

import torch

from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.engine.weights.tables import resize_table, table_side

__all__ = ["LAYOUTS", "OFFICIAL", "TARGETS", "swin_settings"]

_TABLE = "attn.w_msa.relative_position_bias_table"


def _merged_last(key: str, value: torch.Tensor) -> torch.Tensor:
    """Downsampling weights for mmseg's order of channels.

    Four neighbours go side by side: elsewhere as (0, 0), (1, 0), (0, 1), (1, 1) in rows and columns, neighbour by
    neighbour; in mmseg by ``unfold``, channel by channel, as (0, 0), (0, 1), (1, 0), (1, 1).
    """
    if ".downsample." not in key:
        return value
    apart = value.unflatten(-1, (4, -1))
    return apart[..., [0, 2, 1, 3], :].transpose(-1, -2).flatten(-2)


def _earlier(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) - 1}.downsample."


def _torchvision_blocks(match: re.Match[str]) -> str:
    return f"stages.{(int(match[1]) - 1) // 2}.blocks.{match[2]}."


def _torchvision_merging(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) // 2 - 1}.downsample."


def _flat_indices(state: State) -> State:
    """Torchvision's indices as squares."""
    return {
        key: value.unflatten(0, (math.isqrt(value.numel()), -1))
        if key.endswith("relative_position_index") and value.ndim == 1
        else value
        for key, value in state.items()
    }


_BLOCK = r"(stages\.\d+\.blocks\.\d+\.)"
_INSIDE = ((rf"{_BLOCK}attn\.", r"\1attn.w_msa."), (r"patch_embed\.proj\.", "patch_embed.projection."))
_MLP = ((rf"{_BLOCK}mlp\.fc1\.", r"\1ffn.layers.0.0."), (rf"{_BLOCK}mlp\.fc2\.", r"\1ffn.layers.1."))
_STAGES = (r"layers\.", "stages.")
_TAIL = {
    r"head\.": "classifier",
    r"norm\.": "norm before the classifier",
    r"(layers|features)\..*\.attn_mask$": "masks, made for each image",
}
OFFICIAL = Layout(
    "Swin, official names",
    r"layers\.0\.blocks\.0\.attn\.relative_position_bias_table",
    ("swin",),
    (_STAGES, *_INSIDE, *_MLP),
    _TAIL,
    _merged_last,
)
LAYOUTS = [
    Layout(
        "Swin, timm's names",
        r"layers\.3\.downsample\.reduction\.weight",
        ("swin",),
        ((r"layers\.(\d+)\.downsample\.", _earlier), _STAGES, *_INSIDE, *_MLP),
        _TAIL,
        _merged_last,
    ),
    OFFICIAL,
    Layout(
        "Swin, torchvision's names",
        r"features\.1\.0\.attn\.relative_position_bias_table",
        ("swin",),
        (
            (r"features\.0\.0\.", "patch_embed.projection."),
            (r"features\.0\.2\.", "patch_embed.norm."),
            (r"features\.([1357])\.(\d+)\.", _torchvision_blocks),
            (r"features\.([246])\.", _torchvision_merging),
            *_INSIDE[:1],
            (rf"{_BLOCK}mlp\.0\.", r"\1ffn.layers.0.0."),
            (rf"{_BLOCK}mlp\.3\.", r"\1ffn.layers.1."),
        ),
        _TAIL,
        _merged_last,
        _flat_indices,
    ),
    Layout("Swin, mmseg's names", rf"stages\.0\.blocks\.0\.{re.escape(_TABLE)}", ("swin",), (), _TAIL),
]


def swin_settings(state: State) -> dict[str, Any]:
    """Settings of mmseg's ``SwinTransformer`` by the shapes of its weights."""
    stages = range(count(state, r"stages\.(\d+)\."))
    first = "stages.0.blocks.0."
    rows = state[first + _TABLE].shape[0]
    width = state["patch_embed.projection.weight"].shape[0]
    return dict(
        in_channels=state["patch_embed.projection.weight"].shape[1],
        embed_dims=width,
        depths=[count(state, rf"stages\.{i}\.blocks\.(\d+)\.") for i in stages],
        num_heads=[state[f"stages.{i}.blocks.0.{_TABLE}"].shape[1] for i in stages],
        window_size=table_side(rows),
        mlp_ratio=state[first + "ffn.layers.0.0.weight"].shape[0] // width,
    )


def _fit(state: State, settings: dict[str, Any]) -> State:
    window = settings["window_size"]
    out = {}
    for key, value in state.items():
        if key.endswith(_TABLE):
            out[key] = resize_table(value, window)
        elif not key.endswith("relative_position_index") or value.shape[0] == window**2:
            out[key] = value
    return out


TARGETS = {
    "swin": Target(
        "SwinTransformer",
        swin_settings,
        fresh={
            r"norm[0-2]\.": "norms of the maps",
            r"norm3\.": "norm of the last map",
            r".*\.relative_position_index$": "indices, which the model computes",
        },
        fit=_fit,
    )
}
