"""ResNet: torchvision's names are mmseg's and mmpretrain's; stems of three convolutions by timm's and detectron2's."""

from __future__ import annotations

from typing import Any

from rsseg.engine.weights.channels import fit_channels
from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.errors import DataError

__all__ = ["DETECTRON2", "LAYOUTS", "TARGETS"]

DETECTRON2 = (
    *(
        rule
        for i in range(3)
        for rule in (
            (rf"stem\.conv{i + 1}\.norm\.", f"stem.{3 * i + 1}."),
            (rf"stem\.conv{i + 1}\.", f"stem.{3 * i}."),
        )
    ),
    *((rf"res{i + 1}\.", f"layer{i}.") for i in range(1, 5)),
    (r"(layer\d\.\d+\.)shortcut\.norm\.", r"\1downsample.1."),
    (r"(layer\d\.\d+\.)shortcut\.", r"\1downsample.0."),
    (r"(layer\d\.\d+\.)conv(\d)\.norm\.", r"\1bn\2."),
)
"""detectron2's names to mmseg's, of ResNets with a stem of three convolutions."""

_DEPTHS = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


def _depth(state: State) -> int:
    blocks = tuple(count(state, rf"layer{i}\.(\d+)\.") for i in range(1, 5))
    kind = ("layer1.0.conv3.weight" in state, blocks)
    if kind not in _DEPTHS:
        raise DataError(f"no ResNet has {blocks} blocks in its stages; supported depths: {sorted(_DEPTHS.values())}")
    return _DEPTHS[kind]


def _settings(state: State) -> dict[str, Any]:
    return dict(
        depth=_depth(state),
        in_channels=state["conv1.weight"].shape[1],
        stem_channels=state["conv1.weight"].shape[0],
        base_channels=state["layer1.0.conv1.weight"].shape[0],
        style="pytorch",
    )


def _deep_settings(state: State) -> dict[str, Any]:
    return dict(
        depth=_depth(state),
        in_channels=state["stem.0.weight"].shape[1],
        stem_channels=state["stem.6.weight"].shape[0],
        base_channels=state["layer1.0.conv1.weight"].shape[0],
        style="pytorch",
    )


def _fit(state: State, settings: dict[str, Any]) -> State:
    """The first convolution for ``in_channels``, or for the old channels in ``take``, which leaves the settings."""
    take = settings.pop("take", None)
    first = state["conv1.weight"]
    if take is not None:
        settings["in_channels"] = len(take)
        return {**state, "conv1.weight": fit_channels(first, take=take)}
    return {**state, "conv1.weight": fit_channels(first, settings["in_channels"])}


_CLASSIFIER = {r"fc\.": "classifier"}
_DEEP = ("resnet_v1c",)
LAYOUTS = [
    Layout(
        "ResNet with a deep stem, timm's names",
        r"conv1\.6\.weight",
        _DEEP,
        ((r"conv1\.", "stem."), (r"bn1\.", "stem.7.")),
        _CLASSIFIER,
    ),
    Layout("ResNet with a deep stem, detectron2's names", r"stem\.conv3\.norm\.weight", _DEEP, DETECTRON2, _CLASSIFIER),
    Layout("ResNet", r"layer1\.0\.conv1\.weight", ("resnet",), unused=_CLASSIFIER),
]
_FRESH = {r".*\.num_batches_tracked$": "counters of batches"}
TARGETS = {
    "resnet": Target("ResNet", _settings, fresh=_FRESH, fit=_fit),
    "resnet_v1c": Target("ResNetV1c", _deep_settings, fresh=_FRESH),
}
