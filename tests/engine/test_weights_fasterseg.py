"""FasterSeg's files: every key accounted for, the same numbers, and nothing guessed about the architecture."""

from __future__ import annotations

import json
import re

import pytest
import torch
from mmseg.registry import MODELS

from rsseg.engine.weights import convert_state
from rsseg.errors import DataError

pytestmark = pytest.mark.usefixtures("mmseg_scope")
ARCHITECTURE = {
    "method": "FasterSeg",
    "base": 4,
    "stem_width": 0.5,
    "head_width": 0.5,
    "branches": [
        dict(last=2, path=[0, 0, 1, 2], ops=[3, 1, 2, 4], widths=[1.0, 0.5, 0.5]),
        dict(last=1, path=[0, 0, 1], ops=[3, 1, 1], widths=[1.0, 0.5]),
    ],
}
PARTS = r"(heads\d+\.conv_3x3|ffm\.conv_1x1)"


def release(model):
    """The same weights by the names of the release; shared cells stand under both names."""
    out = {}
    for key, value in model.state_dict().items():
        name = key.removeprefix("backbone.").removeprefix("decode_head.")
        name = re.sub(r"^(cells\.\d+-\d+)\.", r"\1._op._op.", name)
        name = re.sub(rf"^{PARTS}\.0\.", r"\1.conv.", name)
        name = re.sub(rf"^{PARTS}\.1\.", r"\1.bn.", name)
        name = re.sub(r"^ffm\.channel_attention\.1\.", "ffm.channel_attention.2.conv.", name)
        out[re.sub(r"^ffm\.channel_attention\.0\.", "ffm.channel_attention.1.conv.", name)] = value
    return out


def test_weights_of_the_release_are_converted(tmp_path):
    torch.manual_seed(0)
    head = dict(type="FasterSegHead", num_classes=3)
    model = MODELS.build(
        dict(type="FasterSeg", architecture=ARCHITECTURE, backbone=dict(type="FasterSegBackbone"), decode_head=head,
             test_cfg=dict(mode="whole"))
    ).eval()  # fmt: skip
    state = release(model)
    assert {"stem.0.conv.0.weight", "cells.0-1._op._op.conv2.weight", "refines32.1.conv.1.bias"} <= set(state)
    with pytest.raises(DataError, match="--set architecture="):
        convert_state(state)
    (tmp_path / "arch.json").write_text(json.dumps(ARCHITECTURE))
    converted, report = convert_state(state, settings=dict(architecture=str(tmp_path / "arch.json")))
    assert report.ok and not report.skipped and not report.fresh, str(report)
    again = MODELS.build(dict(report.model, test_cfg=dict(mode="whole"))).eval()
    again.load_state_dict(converted)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(images), model(images))
    alone = {key: value for key, value in state.items() if not key.startswith(("heads16", "heads32"))}
    assert convert_state(alone, settings=dict(architecture=str(tmp_path / "arch.json")))[1].ok
