"""ResNet: torchvision's names are mmseg's and mmpretrain's."""

from __future__ import annotations

from typing import Any

from rsseg.engine.weights.channels import fit_channels
from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]

_DEPTHS = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


def _settings(state: State) -> dict[str, Any]:
    blocks = tuple(count(state, rf"layer{i}\.(\d+)\.") for i in range(1, 5))
    kind = ("layer1.0.conv3.weight" in state, blocks)
    if kind not in _DEPTHS:
        raise DataError(f"no ResNet has {blocks} blocks in its stages; supported depths: {sorted(_DEPTHS.values())}")
    return dict(
        depth=_DEPTHS[kind],
        in_channels=state["conv1.weight"].shape[1],
        stem_channels=state["conv1.weight"].shape[0],
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


LAYOUTS = [Layout("ResNet", r"layer1\.0\.conv1\.weight", ("resnet",), unused={r"fc\.": "classifier"})]
TARGETS = {"resnet": Target("ResNet", _settings, fresh={r".*\.num_batches_tracked$": "counters of batches"}, fit=_fit)}
