"""Plain vision transformers: ViT, DeiT, MAE and BEiT files for ViT-B, BEiT-B, ViT-B + RVSA and ViT-Adapter-B."""

from __future__ import annotations

from typing import Any

import torch

from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.engine.weights.tables import middle_of_table, table_side
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]

_PATCH = 16
_TABLE = ".relative_position_bias_table"
_SHARED = "rel_pos_bias.relative_position_bias_table"
_CLASS_TOKEN_ROWS = 3


def _one_token(state: State) -> State:
    """Without DeiT's token of distillation and its place."""
    if "dist_token" not in state:
        return state
    positions = state["pos_embed"]
    return {**state, "pos_embed": torch.cat([positions[:, :1], positions[:, 2:]], 1)}


def _own_tables(state: State) -> State:
    """Tables that all blocks share, as in BEiT's files of pre-training, for each block."""
    if _SHARED not in state:
        return state
    stem = "blocks" if "blocks.0.attn.q_bias" in state else "layers"
    tables = {f"{stem}.{i}.attn{_TABLE}": state[_SHARED] for i in range(count(state, rf"{stem}\.(\d+)\."))}
    return {key: value for key, value in state.items() if key != _SHARED} | tables


_TAIL = {
    r"(head|head_dist|heads|fc_norm|pre_logits)\.": "classifier",
    r"lm_head\.|decoder_|mask_token$": "decoder of pre-training",
    r"rel_pos_bias\.relative_position_index$": "indices, which the model computes",
    r"dist_token$": "token of distillation",
}
_BLOCK = r"(blocks\.\d+\.)"
_MMPRETRAIN = (
    (r"layers\.", "blocks."),
    (rf"{_BLOCK}ln", r"\1norm"),
    (rf"{_BLOCK}ffn\.layers\.0\.0\.", r"\1mlp.fc1."),
    (rf"{_BLOCK}ffn\.layers\.1\.", r"\1mlp.fc2."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
)
_TORCHVISION = (
    (r"conv_proj\.", "patch_embed.proj."),
    (r"class_token$", "cls_token"),
    (r"encoder\.pos_embedding$", "pos_embed"),
    (r"encoder\.ln\.", "norm."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (rf"{_BLOCK}ln_", r"\1norm"),
    (rf"{_BLOCK}self_attention\.in_proj_", r"\1attn.qkv."),
    (rf"{_BLOCK}self_attention\.out_proj\.", r"\1attn.proj."),
    (rf"{_BLOCK}mlp\.(?:0|linear_1)\.", r"\1mlp.fc1."),
    (rf"{_BLOCK}mlp\.(?:3|linear_2)\.", r"\1mlp.fc2."),
)
_ANY = ("vit", "rvsa", "vit_adapter")
LAYOUTS = [
    Layout("ViT-Adapter", r"interactions\.0\.injector\.gamma", ("vit_adapter",), unused=_TAIL),
    Layout("ViT with RVSA", r"blocks\.\d+\.attn\.sampling_angles\.2\.weight", ("rvsa",), unused=_TAIL),
    Layout("BEiT, official names", r"blocks\.0\.attn\.q_bias", ("beit",), unused=_TAIL, prepare=_own_tables),
    Layout(
        "BEiT, mmpretrain's names",
        r"layers\.0\.attn\.q_bias",
        ("beit",),
        (*_MMPRETRAIN, (r"ln1\.", "norm.")),
        {**_TAIL, r"ln2\.": "classifier"},
        prepare=_own_tables,
    ),
    Layout("ViT, timm's names", r"blocks\.0\.attn\.qkv\.bias", _ANY, unused=_TAIL, prepare=_one_token),
    Layout(
        "ViT, mmpretrain's names",
        r"layers\.0\.ln1\.weight",
        _ANY,
        (*_MMPRETRAIN, (r"ln1\.", "norm.")),
        {**_TAIL, r"ln2\.": "classifier"},
        prepare=_one_token,
    ),
    Layout(
        "ViT, torchvision's names",
        r"encoder\.layers\.encoder_layer_0\.ln_1\.weight",
        _ANY,
        _TORCHVISION,
        _TAIL,
    ),
]


def _settings(state: State) -> dict[str, Any]:
    patch = state["patch_embed.proj.weight"]
    width = patch.shape[0]
    if patch.shape[2] != _PATCH:
        raise DataError(f"the file has patches of {patch.shape[2]} pixels; the models of rsseg have {_PATCH}")
    return dict(
        in_channels=patch.shape[1],
        embed_dims=width,
        depth=count(state, r"blocks\.(\d+)\."),
        num_heads=max(width // 64, 1),
        mlp_ratio=state["blocks.0.mlp.fc1.weight"].shape[0] / width,
    )


def _beit_settings(state: State) -> dict[str, Any]:
    heads = state[f"blocks.0.attn{_TABLE}"].shape[1]
    return dict(_settings(state), img_size=224, num_heads=heads, positions="relative", layer_scale=0.1)


def _rvsa_settings(state: State) -> dict[str, Any]:
    out = _settings(state)
    tables = [value for key, value in state.items() if key.endswith(_TABLE)]
    if tables:
        out.update(num_heads=tables[0].shape[1], window=table_side(len(tables[0])))
    return out


def _adapter_settings(state: State) -> dict[str, Any]:
    out = dict(_settings(state), img_size=224)
    if "spm.stem.0.weight" not in state:
        return dict(out, deform_heads=out["num_heads"])
    width = out["embed_dims"]
    attention = "interactions.0.extractor.attn."
    values = state[attention + "value_proj.weight"].shape[0]
    points = state[attention + "attention_weights.weight"].shape[0]
    out.update(deform_points=4, deform_heads=points // 4, deform_ratio=values / width)
    hidden = state["interactions.0.extractor.ffn.fc1.weight"].shape[0]
    return dict(out, conv_channels=state["spm.stem.0.weight"].shape[0], conv_mlp_ratio=hidden / width)


def _fit_tables(state: State, settings: dict[str, Any]) -> State:
    """BEiT's tables for the grid of ``img_size``; indices of another grid are left to the model."""
    side = settings["img_size"] // _PATCH
    own = table_side(len(state[f"blocks.0.attn{_TABLE}"]) - _CLASS_TOKEN_ROWS)
    if side > own:
        raise DataError(
            f"relative positions for images of {own * _PATCH} cannot be widened to img_size={side * _PATCH}: use "
            f"--set img_size={own * _PATCH}; the model adapts them to images of any size"
        )
    out = {}
    for key, value in state.items():
        if key.endswith(_TABLE):
            out[key] = middle_of_table(value, side, _CLASS_TOKEN_ROWS)
        elif not key.endswith("relative_position_index") or value.shape[0] == side**2 + 1:
            out[key] = value
    return out


_PYRAMID = {r"fpn[12]\.": "pyramid of maps"}
_INDICES = {r".*\.relative_position_index$": "indices, which the model computes"}
_NORM = {r"norm\.": "last norm"}
TARGETS = {
    "vit": Target(
        "ViT",
        lambda state: dict(_settings(state), img_size=224),
        fresh={**_PYRAMID, **_NORM},
        unused={r"cls_token$": "class token"},
    ),
    "beit": Target("ViT", _beit_settings, fresh={**_PYRAMID, **_NORM, **_INDICES}, fit=_fit_tables),
    "rvsa": Target(
        "RVSA",
        _rvsa_settings,
        fresh={
            **_PYRAMID,
            **_NORM,
            **_INDICES,
            r"blocks\.\d+\.attn\.(rel_pos_[hw]|relative_position_bias_table)$": "positions inside of windows",
            r"blocks\.\d+\.attn\.sampling_": "places of windows",
        },
        unused={r"cls_token$": "class token", r"pos_embed$": "absolute positions"},
    ),
    "vit_adapter": Target(
        "ViTAdapter",
        _adapter_settings,
        fresh={
            r"blocks\.\d+\.gamma[12]$": "scales of the residuals",
            r"spm\.|interactions\.|level_embed$|up\.|norm[1-4]\.": "adapter",
        },
        unused={r"cls_token$": "class token", r"norm\.": "last norm"},
    ),
}
