"""Mix transformers (SegFormer) by their authors' names, and DAFormer's files: student, teacher, and a frozen copy."""

from __future__ import annotations

import re
from typing import Any

import torch

from rsseg.engine.weights.layouts import Layout, State, Target, count

__all__ = ["LAYOUTS", "TARGETS"]

_NETWORK = r"((?:(?:ema_|imnet_)?model\.backbone\.)?)"
"""What stands before a backbone's names in DAFormer's files."""
_QUERY = re.compile(r"(.*block\d\.\d+\.attn\.)q\.(weight|bias)")


def _join_attention(state: State) -> State:
    """Queries, keys and values as one weight, as PyTorch's attention has them."""
    out, used = dict[str, torch.Tensor](), set[str]()
    for key, value in state.items():
        match = _QUERY.fullmatch(key)
        other = f"{match[1]}kv.{match[2]}" if match else ""
        if match and other in state:
            out[f"{match[1]}attn.in_proj_{match[2]}"] = torch.cat([value, state[other]])
            used.add(other)
        else:
            out[key] = value
    return {key: value for key, value in out.items() if key not in used}


def _stage(part: int) -> Any:
    """A stage's number from 0: its embedding, blocks and norm are parts 0, 1 and 2 of a layer."""
    return lambda match: f"{match[1]}layers.{int(match[2]) - 1}.{part}."


_BLOCK = rf"({_NETWORK[1:-1]}layers\.\d+\.1\.\d+\.)"
_RENAME = (
    (rf"{_NETWORK}patch_embed(\d)\.", _stage(0)),
    (rf"{_NETWORK}block(\d)\.", _stage(1)),
    (rf"{_NETWORK}norm(\d)\.", _stage(2)),
    (rf"({_NETWORK[1:-1]}layers\.\d+\.0\.)proj\.", r"\1projection."),
    (rf"{_BLOCK}attn\.proj\.", r"\1attn.attn.out_proj."),
    (rf"{_BLOCK}mlp\.fc1\.", r"\1ffn.layers.0."),
    (rf"{_BLOCK}mlp\.dwconv\.dwconv\.", r"\1ffn.layers.1."),
    (rf"{_BLOCK}mlp\.fc2\.", r"\1ffn.layers.4."),
)
_TAIL = {r"head\.": "classifier"}


def _as_convolution(key: str, value: torch.Tensor) -> torch.Tensor:
    """Linear layers of the feed-forward part are 1x1 convolutions in mmseg."""
    linear = re.search(r"ffn\.layers\.[04]\.weight$", key) and value.ndim == 2
    return value[..., None, None] if linear else value


LAYOUTS = [
    Layout(
        "DAFormer, official names",
        r"model\.backbone\.block1\.0\.attn\.q\.weight",
        ("daformer", "daformer_teacher"),
        _RENAME,
        rewrite=_as_convolution,
        prepare=_join_attention,
    ),
    Layout(
        "MiT, official names",
        r"block1\.0\.attn\.q\.weight",
        ("mit",),
        _RENAME,
        _TAIL,
        _as_convolution,
        _join_attention,
    ),
    Layout("MiT, mmseg's names", r"layers\.0\.1\.0\.attn\.attn\.in_proj_weight", ("mit",), unused=_TAIL),
]


def _mit(state: State, prefix: str = "") -> dict[str, Any]:
    """Sizes by the shapes; a stage has as many heads as it is wider than the first."""
    stages = range(count(state, rf"{prefix}layers\.(\d+)\."))
    patches = [state[f"{prefix}layers.{i}.0.projection.weight"] for i in stages]
    width = len(patches[0])
    reductions = [state.get(f"{prefix}layers.{i}.1.0.attn.sr.weight") for i in stages]
    return dict(
        in_channels=patches[0].shape[1],
        embed_dims=width,
        num_stages=len(stages),
        num_layers=[count(state, rf"{prefix}layers\.{i}\.1\.(\d+)\.") for i in stages],
        num_heads=[len(patch) // width for patch in patches],
        patch_sizes=[patch.shape[-1] for patch in patches],
        sr_ratios=[1 if weight is None else weight.shape[-1] for weight in reductions],
        out_indices=tuple(stages),
        mlp_ratio=len(state[f"{prefix}layers.0.1.0.ffn.layers.0.weight"]) // width,
    )


def _daformer(state: State) -> dict[str, Any]:
    """The backbone's sizes and the head's; dilations are the release's."""
    embeddings = [state[f"decode_head.embed_layers.{i}.proj.weight"] for i in range(4)]
    head = dict(
        type="DAFormerHead",
        num_classes=len(state["decode_head.conv_seg.weight"]),
        in_channels=[weight.shape[1] for weight in embeddings],
        channels=len(embeddings[0]),
        fusion="conv" if "decode_head.fuse_layer.conv.weight" in state else "aspp",
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    )
    return dict(backbone=dict(type="MixVisionTransformer", **_mit(state, r"backbone.")), decode_head=head)


_STUDENT, _TEACHER, _COPY = r"model\.", r"ema_model\.", r"imnet_model\."
_REST = {_STUDENT: "student", _TEACHER: "teacher", _COPY: "copy of the initial encoder"}


def _network(own: str) -> Target:
    """One of the networks in DAFormer's files."""
    rest = {pattern: reason for pattern, reason in _REST.items() if pattern != own}
    return Target("Segmentor", _daformer, unused=rest, rename=((own, ""),), whole=True)


TARGETS = {
    "mit": Target("MixVisionTransformer", _mit),
    "daformer": _network(_STUDENT),
    "daformer_teacher": _network(_TEACHER),
}
