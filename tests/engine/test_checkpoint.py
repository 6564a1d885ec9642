"""Checkpoints: nothing is executed, no key is lost in silence."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import nn

from rsseg.engine.checkpoint import load_file, load_pretrained


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class ByGetattr(Payload):
    """Reaches ``eval`` through ``getattr``, which mmengine's own allow-list lets through."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, "__init__")


@pytest.mark.parametrize("through_mmengine", [False, True])
def test_code_in_a_checkpoint_does_not_run(tmp_path, through_mmengine, monkeypatch):
    monkeypatch.delenv("RSSEG_TRUST", raising=False)
    mark = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "x": Payload(f"touch {mark}")}, path)
    load = CheckpointLoader.load_checkpoint if through_mmengine else load_file
    with pytest.raises(ValueError, match=r"evil.pth: not loaded.*--trust"):
        load(str(path))
    assert not mark.exists()
    load_file(path, trust=True)
    assert mark.exists()


def test_getattr_gives_no_way_out(tmp_path):
    torch.save({"x": ByGetattr("")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="not allowed in a checkpoint"):
        load_file(tmp_path / "evil.pth")


def test_files_of_mmengine_and_samrs_load(tmp_path):
    """Log buffers and NumPy arrays, as mmengine and the SAMRS release store them."""
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        "state_dict": {"w": torch.ones(2)},
        "message_hub": {"loss": buffer},
        "loss_pretrain": np.arange(3.0),
        "step": np.float32(2.5),
    }
    torch.save(content, tmp_path / "a.pth")
    out = load_file(tmp_path / "a.pth")
    assert out["message_hub"]["loss"].mean() == 1.5
    np.testing.assert_array_equal(out["loss_pretrain"], [0, 1, 2])


def test_damaged_and_missing_files_are_named(tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match=r"cut\.pth: not loaded"):
        load_file(tmp_path / "cut.pth")
    with pytest.raises(FileNotFoundError, match=r"gone\.pth: no such checkpoint"):
        load_file(tmp_path / "gone.pth")


def net(classes):
    model = nn.Module()
    model.body, model.head = nn.Linear(2, 3), nn.Linear(3, classes)
    return model


def test_every_key_is_accounted_for(tmp_path):
    source, path = net(5), tmp_path / "a.pth"
    state = {f"module.{k}": v for k, v in source.state_dict().items()}
    torch.save({"state_dict": {**state, "heads.x.weight": torch.ones(1)}}, path)
    target = net(4)
    for options, message in [
        ({}, r"1 unexpected: heads.x.weight; 2 size mismatch: head.weight"),
        ({"unused": ["heads"]}, r"2 size mismatch: head.weight \(5, 3\) for \(4, 3\)"),
        ({"new": ["head"]}, r"1 unexpected: heads.x.weight"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_pretrained(target, path, **options)
    before = target.head.weight.clone()
    load_pretrained(target, path, new=["head"], unused=["heads"])
    torch.testing.assert_close(target.body.weight, source.body.weight)
    torch.testing.assert_close(target.head.weight, before)


def test_missing_keys_are_an_error(tmp_path):
    torch.save(net(4).body.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"4 missing: body.weight"):
        load_pretrained(net(4), tmp_path / "a.pth", unused=["weight", "bias"])
