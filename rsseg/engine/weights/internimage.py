"""InternImage-T: the published names are ours; classifiers have more after the last level, and no scales."""

from __future__ import annotations

from typing import Any

from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]

_TINY = 64


def _settings(state: State) -> dict[str, Any]:
    levels = range(count(state, r"levels\.(\d+)\."))
    width = state["patch_embed.conv2.weight"].shape[0]
    if width > _TINY:
        raise DataError(
            f"{width} channels: InternImage-S and larger norm after each part, the model here is -T ({_TINY})"
        )
    points = 9
    return dict(
        in_channels=state["patch_embed.conv1.weight"].shape[1],
        channels=width,
        depths=[count(state, rf"levels\.{i}\.blocks\.(\d+)\.") for i in levels],
        groups=[state[f"levels.{i}.blocks.0.dcn.mask.weight"].shape[0] // points for i in levels],
        mlp_ratio=state["levels.0.blocks.0.mlp.fc1.weight"].shape[0] / width,
    )


LAYOUTS = [
    Layout(
        "InternImage",
        r"levels\.0\.blocks\.0\.dcn\.offset\.weight",
        ("internimage",),
        unused={r"(conv_head|head|norm)\.": "classifier"},
    )
]
TARGETS = {
    "internimage": Target(
        "InternImage", _settings, fresh={r"levels\.\d+\.blocks\.\d+\.gamma[12]$": "scales of the residuals"}
    )
}
