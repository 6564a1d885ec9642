"""Weights of FasterSeg's derived networks by the names of its release.

The file does not say which operators there are, since two pairs of them have the same weights: the architecture has to
be named, ``--set architecture='arch_1.pt'``.
"""

from __future__ import annotations

from typing import Any

from rsseg.engine.weights.layouts import Layout, State, Target
from rsseg.errors import DataError

__all__ = ["LAYOUTS", "TARGETS"]


def _settings(state: State) -> dict[str, Any]:
    head = dict(
        type="FasterSegHead",
        num_classes=len(state["decode_head.heads8.conv_1x1.weight"]),
        auxiliary=any(key.startswith("decode_head.heads16.") for key in state),
    )
    return dict(backbone=dict(type="FasterSegBackbone"), decode_head=head)


def _fit(state: State, settings: dict[str, Any]) -> State:
    """Nothing to fit; only with an architecture are they a model's."""
    if "architecture" not in settings:
        raise DataError(
            "FasterSeg's weights require their architecture, which its release stores beside them: "
            "--set architecture='arch_1.pt'"
        )
    return state


LAYOUTS = [
    Layout(
        "FasterSeg",
        r"cells\.\d+-\d+\._op\._op\..*",
        ("fasterseg",),
        (
            (r"cells\.(\d+-\d+)\._op\._op\.", r"backbone.cells.\1."),
            (r"stem\.", "backbone.stem."),
            (r"(heads\d+|ffm|arms\d+|refines\d+)\.", r"decode_head.\1."),
            (r"(decode_head\.heads\d+\.conv_3x3|decode_head\.ffm\.conv_1x1)\.conv\.", r"\1.0."),
            (r"(decode_head\.heads\d+\.conv_3x3|decode_head\.ffm\.conv_1x1)\.bn\.", r"\1.1."),
            (r"decode_head\.ffm\.channel_attention\.1\.conv\.", "decode_head.ffm.channel_attention.0."),
            (r"decode_head\.ffm\.channel_attention\.2\.conv\.", "decode_head.ffm.channel_attention.1."),
        ),
    )
]
TARGETS = {"fasterseg": Target("FasterSeg", _settings, fit=_fit, whole=True)}
