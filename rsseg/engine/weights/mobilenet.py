"""MobileNetV2 for SparseMask, and SparseMask's own files.

The first bottleneck has a 1x1 convolution that torchvision and mmpretrain leave out.  For their files it is the
identity, and its normalisation one that changes nothing where inputs are distributed as those of the stem.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from rsseg.engine.weights.layouts import Layout, State, Target
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]

_COUNTS = (1, 2, 3, 4, 3, 3, 1)
_FIRST = "bottlenecks.Bottlenecks_0.LinearBottleneck0_0."
_SAMPLES, _EPS = 4096, 1e-5
_COUNTERS = {r".*\.num_batches_tracked$": "counters of batches"}


def _block(found: re.Match[str]) -> str:
    """torchvision's running number of a bottleneck to group and number within."""
    index = int(found[1]) - 1
    for group, count in enumerate(_COUNTS):
        if index < count:
            return f"bottlenecks.Bottlenecks_{group}.LinearBottleneck{group}_{index}."
        index -= count
    return found[0]


def _layer(found: re.Match[str]) -> str:
    """mmpretrain's stage and number of a bottleneck."""
    group = int(found[1]) - 1
    return f"bottlenecks.Bottlenecks_{group}.LinearBottleneck{group}_{found[2]}."


def _with_identity(state: State, stem: str) -> State:
    """The stem's channels after ReLU6 pass the first 1x1 convolution as they are.

    Their mean and variance are those of normal numbers with the scale and offset of the stem's normalisation.
    """
    scale, offset = state[f"{stem}.weight"].double().abs(), state[f"{stem}.bias"].double()
    normal = torch.special.ndtri((torch.arange(_SAMPLES, dtype=torch.float64) + 0.5) / _SAMPLES)
    values = (offset[:, None] + scale[:, None] * normal).clamp(0, 6)
    mean, variance = values.mean(1), values.var(1, correction=0)
    norm = dict(weight=(variance + _EPS).sqrt(), bias=mean, running_mean=mean, running_var=variance)
    out = {**state, f"{_FIRST}conv1.weight": torch.eye(len(mean))[:, :, None, None]}
    counter = f"{stem}.num_batches_tracked"
    if counter in state:
        out[f"{_FIRST}bn1.num_batches_tracked"] = state[counter].clone()
    return out | {f"{_FIRST}bn1.{kind}": value.float() for kind, value in norm.items()}


def _backbone(state: State) -> dict[str, Any]:
    return dict(in_channels=state["conv1.weight"].shape[1], width=state["conv1.weight"].shape[0] / 32)


def _reads(state: State) -> dict[str, dict[str, list[int]]]:
    """Maps and inputs of each node, from the names of its convolutions."""
    nodes: dict[str, dict[str, list[int]]] = {}
    for key in state:
        if found := re.match(r"decode_head\.decoders\.Decoders_(\d+)\.(down|up)_convs\.(\d+)\.weight$", key):
            node = nodes.setdefault(found[1], {"taps": [], "ups": []})
            node["taps" if found[2] == "down" else "ups"].append(int(found[3]))
    return {name: {side: sorted(own) for side, own in node.items()} for name, node in nodes.items()}


def _whole(state: State) -> dict[str, Any]:
    backbone = _backbone({key.removeprefix("backbone."): value for key, value in state.items()})
    taps = [key for key in state if re.match(r"backbone\.bottlenecks\.\w+\.\w+_0\.conv3\.weight$", key)]
    channels = [state["backbone.conv1.weight"].shape[0], *(len(state[key]) for key in taps)]
    classes, own = state["decode_head.conv_seg.weight"].shape[:2]
    head = dict(in_channels=[*channels, len(state["backbone.conv_last.weight"])], channels=own, num_classes=classes)
    return dict(backbone=dict(type="SparseMaskMobileNet", **backbone), decode_head=head)


def _derived(state: State) -> dict[str, Any]:
    out, nodes = _whole(state), _reads(state)
    if "8" not in nodes:
        raise DataError("looks like SparseMask, but its last node, decoders.Decoders_8, has no edges")
    architecture = {"method": "SparseMask", "count": 9, "nodes": nodes}
    out["decode_head"] = dict(type="SparseMaskHead", architecture=architecture, **out["decode_head"])
    return out


def _searched(state: State) -> dict[str, Any]:
    out = _whole(state)
    out["decode_head"] = dict(type="SparseMaskSearchHead", **out["decode_head"])
    return out


_RENAMED = ((r"decoders\.", "decode_head.decoders."), (r"fc_conv\.", "decode_head.conv_seg."))
_CLASSIFIER = {r"(classifier|head|fc|fc_conv)\.": "classifier"}
LAYOUTS = [
    Layout(
        "SparseMask in search",
        r"decoders\.Decoders_\d+\._weight_",
        ("sparsemask_search",),
        (*_RENAMED, (r"(.*)\._weight_$", r"\1.table")),
    ),
    Layout("SparseMask", r"decoders\.Decoders_\d+\.(down|up)_convs\.\d+\.weight", ("sparsemask",), _RENAMED),
    Layout(
        "SparseMask's MobileNetV2", rf"{re.escape(_FIRST)}conv3\.weight", ("sparsemask_mobilenet",), unused=_CLASSIFIER
    ),
    Layout(
        "MobileNetV2, torchvision's names",
        r"features\.18\.0\.weight",
        ("sparsemask_mobilenet",),
        (
            (r"features\.0\.0\.", "conv1."),
            (r"features\.0\.1\.", "bn1."),
            (r"features\.18\.0\.", "conv_last."),
            (r"features\.18\.1\.", "bn_last."),
            (r"features\.1\.conv\.0\.(0|1)\.", lambda m: _FIRST + ("conv2.", "bn2.")[int(m[1])]),
            (r"features\.1\.conv\.(1|2)\.", lambda m: _FIRST + ("conv3.", "bn3.")[int(m[1]) - 1]),
            (r"features\.(\d+)\.conv\.(?=[0123]\.)", _block),
            (
                r"(bottlenecks\.\w+\.\w+\.)([01])\.([01])\.",
                lambda m: m[1] + ("conv", "bn")[int(m[3])] + f"{int(m[2]) + 1}.",
            ),
            (r"(bottlenecks\.\w+\.\w+\.)([23])\.", lambda m: m[1] + ("conv3.", "bn3.")[int(m[2]) - 2]),
        ),
        _CLASSIFIER,
        prepare=lambda state: _with_identity(state, "features.0.1"),
        when=lambda state: "features.1.conv.0.0.weight" in state,
    ),
    Layout(
        "MobileNetV2, mmpretrain's names",
        r"layer1\.0\.conv\.0\.conv\.weight",
        ("sparsemask_mobilenet",),
        (
            (r"conv1\.conv\.", "conv1."),
            (r"conv1\.bn\.", "bn1."),
            (r"conv2\.conv\.", "conv_last."),
            (r"conv2\.bn\.", "bn_last."),
            (r"layer1\.0\.conv\.([01])\.(conv|bn)\.", lambda m: f"{_FIRST}{m[2]}{int(m[1]) + 2}."),
            (r"layer(\d)\.(\d)\.conv\.(?=[012]\.)", _layer),
            (r"(bottlenecks\.\w+\.\w+\.)([012])\.(conv|bn)\.", lambda m: f"{m[1]}{m[3]}{int(m[2]) + 1}."),
        ),
        _CLASSIFIER,
        prepare=lambda state: _with_identity(state, "conv1.bn"),
        when=lambda state: "conv2.conv.weight" in state and "conv1.bn.weight" in state,
    ),
]
TARGETS = {
    "sparsemask": Target("Segmentor", _derived, fresh=_COUNTERS, whole=True),
    "sparsemask_search": Target("Segmentor", _searched, fresh=_COUNTERS, whole=True),
    "sparsemask_mobilenet": Target("SparseMaskMobileNet", _backbone, fresh=_COUNTERS),
}
