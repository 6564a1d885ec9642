"""``tools/convert_weights.py`` as a user calls it: a published file becomes a model that can be tested or tuned."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_file, load_pretrained

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_fine_tuned_file_of_the_release(tmp_path: Path, run_tool: Run, repo: Path) -> None:
    config = Config.fromfile(repo / "configs/_base_/models/upernet_tiny.py").model
    config.backbone.norm_cfg = config.decode_head.norm_cfg = dict(type="BN")
    config.decode_head.num_classes = 5
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(config)
    state = {}
    for key, value in model.state_dict().items():
        key = key.replace("backbone.", "encoder.").replace("decode_head.conv_seg.", "semseghead.1.")
        state[key.replace("decode_head.", "decoder.")] = value + 1
    torch.save(dict(epoch=75, state_dict=state, loss_finetune=np.ones(3)), tmp_path / "tuned.pth")

    result = run_tool("convert_weights", "tuned.pth", "weights/model.pth", "--set", "with_cp=True", "style='caffe'")
    assert result.returncode == 0, result.stderr
    assert f"loaded             {len(state)}\n" in result.stdout and "written to weights/model.pth" in result.stdout
    load_pretrained(model, tmp_path / "weights/model.pth")
    settings = load_file(tmp_path / "weights/model.pth")["meta"]["model"]["backbone"]
    assert settings["with_cp"] is True and settings["style"] == "caffe"
    assert torch.equal(model.decode_head.conv_seg.bias, state["semseghead.1.bias"])

    del state["encoder.bn1.bias"]
    torch.save(dict(state_dict=state), tmp_path / "less.pth")
    result = run_tool("convert_weights", "less.pth", "less_out.pth")
    assert result.returncode == 1 and result.stderr.startswith("DataError: less.pth: nothing was written")
    assert "missing            1: backbone.bn1.bias" in result.stderr and not (tmp_path / "less_out.pth").exists()
