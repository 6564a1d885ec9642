"""Every way by which the MM stack, torch, timm and open_clip load weights: nothing that a file says is run."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as mm
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io import downloads

REPO = Path(__file__).resolve().parents[2]


class _Payload:
    """Makes a folder when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose content makes the folder ``ran`` beside it."""
    monkeypatch.delenv("RSSEG_TRUST", raising=False)
    monkeypatch.setenv("MMENGINE_HOME", str(tmp_path))
    torch.save({"state_dict": {}, "meta": {}, "x": _Payload(tmp_path / "ran")}, tmp_path / "evil.pth")
    (tmp_path / "open_mmlab.json").write_text(json.dumps({"mine": "evil.pth", "web": "http://x/evil.pth"}))

    def kept(address: str, folder: Path) -> Path:
        assert address == "http://x/evil.pth"
        return tmp_path / "evil.pth"

    class Client:
        def get(self, _: str) -> bytes:
            return (tmp_path / "evil.pth").read_bytes()

    monkeypatch.setattr(downloads, "download", kept)
    monkeypatch.setattr("mmengine.fileio.get_file_backend", lambda *_, **__: Client())
    monkeypatch.setattr(mm, "get_torchvision_models", lambda: {"mine": "http://x/evil.pth"})
    monkeypatch.setattr(mm, "get_mmcls_models", lambda: {"mine": "http://x/evil.pth"})
    return tmp_path / "evil.pth"


ADDRESSES = ["FILE", "open-mmlab://mine", "open-mmlab://web", "openmmlab://mine", "mmcls://mine", "torchvision://mine",
             "modelzoo://mine", "http://x/evil.pth", "s3://b/evil.pth", "a:s3://b/evil.pth",
             "petrel://b/evil.pth"]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_scheme_of_mmengine(evil: Path, address: str) -> None:
    address = str(evil) if address == "FILE" else address
    for load in (CheckpointLoader.load_checkpoint, lambda name: load_checkpoint(nn.Linear(1, 1), name)):
        with pytest.raises(DataError, match=r"evil\.pth: not loaded.*asks for (posix|nt)\.mkdir"):
            load(address)
    with pytest.raises(DataError):
        BaseModule(dict(type="Pretrained", checkpoint=address)).init_weights()
    assert not (evil.parent / "ran").exists()


@pytest.mark.parametrize("address", ["open-mmlab://none", "mmcls://none", "torchvision://none", "pavi://none"])
def test_addresses_that_nobody_knows(evil: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=address.replace("openmmlab", "open-mmlab")):
        CheckpointLoader.load_checkpoint(address)


def test_no_scheme_of_mmengine_is_left(evil: Path) -> None:
    loaders = {str(function.__module__) for function in CheckpointLoader._schemes.values()}
    assert loaders == {"rsseg.io.guards"}
    for load in (mm._safe_torch_load, mm.load_url, mm.load_from_local, mm.load_from_ceph):
        with pytest.raises(DataError):
            load("http://x/evil.pth" if load is mm.load_url else str(evil))
    with pytest.raises(DataError):
        mm._safe_torch_load(io.BytesIO(evil.read_bytes()))
    assert not (evil.parent / "ran").exists()


def test_torch_reads_weights_only(evil: Path) -> None:
    for load in (
        lambda: torch.load(evil, weights_only=False),
        lambda: torch.hub.load_state_dict_from_url(evil.as_uri(), model_dir=str(evil.parent)),
    ):
        with pytest.raises(Exception, match="Weights only load failed"):
            load()
    assert not (evil.parent / "ran").exists()


def _mmseg(evil: Path) -> None:
    from mmseg.apis import init_model

    head = dict(type="FCNHead", in_channels=512, in_index=3, channels=8, num_classes=2)
    backbone = dict(type="ResNetV1c", depth=18)
    init_model(Config(dict(model=dict(type="EncoderDecoder", backbone=backbone, decode_head=head))), str(evil), "cpu")


def _timm(evil: Path) -> None:
    import timm

    timm.create_model("resnet10t", checkpoint_path=str(evil))


def _mmpretrain(evil: Path) -> None:
    from rsseg.stack import require_pretraining

    require_pretraining()
    from mmpretrain import get_model

    get_model("mobilenet-v2_8xb32_in1k", pretrained=str(evil))


def _open_clip(evil: Path) -> None:
    import open_clip

    open_clip.create_model("RN50", pretrained=str(evil))


@pytest.mark.parametrize("load", [_mmseg, _timm, _mmpretrain, _open_clip])
def test_builders_of_models(evil: Path, load: Callable[[Path], None]) -> None:
    if load is _timm:
        pytest.importorskip("timm")
    if load is _open_clip:
        pytest.importorskip("open_clip")
    with pytest.raises(Exception, match=r"not loaded|[Ww]eights.only"):
        load(evil)
    assert not (evil.parent / "ran").exists()


class _Program(nn.Module):
    """Writes a file when ``torch.jit.load`` restores it."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def forward(self) -> int:
        return 0

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.mark, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), self.mark)


def test_programs_of_torchscript(evil: Path) -> None:
    from rsseg.models.gsnet.clip_files import read_clip_state

    open_clip = pytest.importorskip("open_clip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(_Program(str(evil.parent / "ran"))), evil)
    for load in (open_clip.load_openai_model, open_clip.openai.load_openai_model, CheckpointLoader.load_checkpoint):
        with pytest.raises(DataError, match="is a TorchScript archive"):
            load(str(evil))
    with pytest.raises(RuntimeError, match="TorchScript"):
        torch.load(evil, weights_only=False)
    assert read_clip_state(evil) == {} and not (evil.parent / "ran").exists()


def _run_text(mark: Path) -> str:
    return f"import os\nos.mkdir({str(mark)!r})\nmodel = dict(type='subprocess.Popen', args=['mkdir', {str(mark)!r}])\n"


def test_an_inferencer_does_not_run_the_config_of_a_checkpoint(evil: Path) -> None:
    from mmseg.apis import MMSegInferencer

    text = _run_text(evil.parent / "ran")
    for content in (dict(message_hub=dict(runtime_info=dict(cfg=text))), dict(meta=dict(cfg=text))):
        torch.save({"state_dict": {}, **content}, evil)
        with pytest.raises(ConfigError, match=r"evil\.pth: an inferencer needs a config"):
            MMSegInferencer(model=None, weights=str(evil))
    assert not (evil.parent / "ran").exists()


@pytest.mark.parametrize("trust", ["0", "1"])
def test_resume_never_sees_the_config_of_a_checkpoint(evil: Path, monkeypatch: pytest.MonkeyPatch, trust: str) -> None:
    """What ``Runner.resume`` and ``FlexibleRunner.resume`` would run as Python is not in what they load."""
    monkeypatch.setenv("RSSEG_TRUST", trust)
    torch.save({"state_dict": {}, "meta": {"config": _run_text(evil.parent / "ran"), "cfg": "a = 1", "iter": 3}}, evil)
    assert CheckpointLoader.load_checkpoint(str(evil))["meta"] == {"cfg": "a = 1", "iter": 3}
    assert mm._load_checkpoint(str(evil))["meta"] == {"cfg": "a = 1", "iter": 3}


LATE = """
import sys
{first}
import rsseg
{then}
from mmengine.runner import load_checkpoint
import torch
try:
    load_checkpoint(torch.nn.Linear(1, 1), sys.argv[1])
except ValueError as error:
    print(type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [("import mmengine.runner", ""), ("", "import mmseg.apis")])
def test_importing_rsseg_is_enough(evil: Path, first: str, then: str, fork_python: Callable[..., Any]) -> None:
    code = LATE.format(first=first, then=then)
    done = fork_python("-c", code, evil)
    assert done.stdout.splitlines()[-1:] == ["DataError"], done.stdout + done.stderr
    assert not (evil.parent / "ran").exists()


def test_a_trusted_file_may_run(evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSSEG_TRUST", "1")
    assert issubclass(DataError, UserError)
    CheckpointLoader.load_checkpoint(str(evil))
    assert (evil.parent / "ran").exists()
