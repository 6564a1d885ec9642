"""Files of other programs: recognised by their keys, accounted for, and refused where something is unexplained."""

from __future__ import annotations

import argparse
import os
import sys
from types import ModuleType

import mmpretrain.models  # noqa: F401  (registers them)
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_file
from rsseg.engine.weights import convert_state, convert_weights, name_layout

pytestmark = pytest.mark.usefixtures("mmseg_scope")
PLAIN = dict(type="ViT", img_size=64, embed_dims=64, depth=12, num_heads=1)
BEIT = dict(PLAIN, positions="relative", layer_scale=0.1)
PATCH = torch.ones(1, 1, 64)


def state_of(config):
    torch.manual_seed(0)
    return MODELS.build(config).state_dict()


def without(state, *parts):
    return {key: value for key, value in state.items() if not any(part in key for part in parts)}


def vit_file():
    """ViT of timm: a class token and its place, a classifier, no pyramid."""
    state = without(state_of(PLAIN), "fpn")
    state["pos_embed"] = torch.cat([PATCH, state["pos_embed"]], 1)
    return {"cls_token": PATCH, **state, "head.weight": torch.ones(5, 64), "head.bias": torch.ones(5)}


def beit_file(grid=64):
    """BEiT: no last norm but one before the classifier, no pyramid."""
    state = without(state_of(dict(BEIT, img_size=grid)), "fpn", "norm.weight", "norm.bias")
    state |= {
        f"blocks.{i}.norm{j}.{kind}": torch.ones(64) for i in range(12) for j in (1, 2) for kind in ("weight", "bias")
    }
    return {**state, "fc_norm.weight": torch.ones(64), "fc_norm.bias": torch.ones(64), "head.weight": torch.ones(5, 64)}


def deit_file():
    state = vit_file()
    return {
        **state,
        "dist_token": PATCH,
        "pos_embed": torch.cat([state["pos_embed"], PATCH], 1),
        "head_dist.bias": PATCH,
    }


def mae_file():
    state = {**without(vit_file(), "head."), "mask_token": PATCH, "decoder_pos_embed": PATCH}
    return {**state, "decoder_embed.weight": PATCH, "decoder_blocks.0.norm1.weight": PATCH, "decoder_pred.bias": PATCH}


def prefixed_mae_file():
    """Masked autoencoding with an ``encoder.`` and a ``decoder.`` of its own."""
    state = {f"encoder.{key}": value for key, value in without(vit_file(), "head.").items()}
    return {**state, "mask_token": PATCH, "encoder_to_decoder.weight": PATCH, "decoder.blocks.0.norm1.weight": PATCH}


def mmpretrain_mae_file():
    backbone = dict(embed_dims=64, num_layers=12, num_heads=1, feedforward_channels=256)
    neck = dict(num_patches=16, patch_size=16, embed_dim=64, decoder_embed_dim=32, decoder_depth=1, decoder_num_heads=2)
    head = dict(type="MAEPretrainHead", patch_size=16, loss=dict(type="PixelReconstructionLoss", criterion="L2"))
    config = dict(
        type="MAE",
        backbone=dict(type="MAEViT", arch=backbone, img_size=64, patch_size=16),
        neck=dict(type="MAEPretrainDecoder", **neck),
        head=head,
        data_preprocessor=dict(type="SelfSupDataPreprocessor", mean=[1.0] * 3, std=[1.0] * 3),
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return PRETRAIN_MODELS.build(Config(config)).state_dict()


def vitae_file():
    state = without(state_of(dict(type="ViTAEv2")), "norm0.", "norm3.", "relative_position")
    state = {key: value for key, value in state.items() if not key.startswith(("norm1.", "norm2."))}
    return {**state, "head.weight": torch.ones(5, 512), "head.bias": torch.ones(5)}


def internimage_file():
    small = dict(type="InternImage", channels=16, groups=[1, 2, 4, 8], depths=[1, 1, 1, 1])
    state = without(state_of(small), "gamma")
    return {**state, "conv_head.0.weight": PATCH, "conv_head.1.0.weight": PATCH, "head.weight": PATCH}


def resnet_file():
    """As torchvision's first ResNet files and those of RSP: no counters."""
    small = dict(type="ResNet", depth=18, base_channels=8, stem_channels=8)
    return {**without(state_of(small), "num_batches"), "fc.weight": PATCH, "fc.bias": PATCH}


CLASS_TOKEN = {"class token": 1}
PYRAMID = {"pyramid of maps": 8}
POSITIONS = {"absolute positions": 1}
OF_MAE = {"decoder of pre-training": 5}
WINDOWS = {"positions inside of windows": 24, "places of windows": 48, "indices, which the model computes": 8}
FILES = {  # what a file is, its maker, the backbone asked for, how many keys are skipped and start afresh
    "timm's ViT": (vit_file, "ViT, timm's names", "vit", {"classifier": 2, **CLASS_TOKEN}, PYRAMID),
    "DeiT": (
        deit_file,
        "ViT, timm's names",
        "vit",
        {"classifier": 3, "token of distillation": 1, **CLASS_TOKEN},
        PYRAMID,
    ),
    "DeiT for an adapter": (
        deit_file,
        "ViT, timm's names",
        "vit_adapter",
        {"classifier": 3, "token of distillation": 1, "last norm": 2, **CLASS_TOKEN},
        {"scales of the residuals": 24, "adapter": None},
    ),
    "MAE": (mae_file, "ViT, timm's names", "vit", {**OF_MAE, **CLASS_TOKEN}, PYRAMID),
    "MAE for RVSA": (
        mae_file,
        "ViT, timm's names",
        "rvsa",
        {**OF_MAE, **CLASS_TOKEN, **POSITIONS},
        {**PYRAMID, **WINDOWS},
    ),
    "MAE with prefixes": (
        prefixed_mae_file,
        "ViT, timm's names",
        "rvsa",
        {"decoder of masked autoencoding": 2, "decoder and heads": 1, **CLASS_TOKEN, **POSITIONS},
        {**PYRAMID, **WINDOWS},
    ),
    "SAMRS-MAE": (
        mmpretrain_mae_file,
        "ViT, mmpretrain's names",
        "vit",
        {"neck of pre-training": None, **CLASS_TOKEN},
        PYRAMID,
    ),
    "SAMRS-MAE for RVSA": (
        mmpretrain_mae_file,
        "ViT, mmpretrain's names",
        "rvsa",
        {"neck of pre-training": None, **CLASS_TOKEN, **POSITIONS},
        {**PYRAMID, **WINDOWS},
    ),
    "BEiT": (beit_file, "BEiT, official names", "beit", {"classifier": 3}, {"last norm": 2, **PYRAMID}),
    "ViTAEv2": (
        vitae_file,
        "ViTAEv2",
        "vitae",
        {"classifier": 2},
        {"norms without effect": 8, "positions without effect": 12},
    ),
    "InternImage": (internimage_file, "InternImage", "internimage", {"classifier": 3}, {"scales of the residuals": 8}),
    "ResNet": (resnet_file, "ResNet", "resnet", {"classifier": 2}, {"counters of batches": 20}),
}


def counts(groups, like):
    """Sizes of groups of keys; None where they are not to be compared."""
    return {reason: None if like.get(reason, 0) is None else len(keys) for reason, keys in groups.items()}


@pytest.mark.parametrize("what", FILES)
def test_files_are_recognised_and_accounted_for(what):
    make, layout, backbone, skipped, fresh = FILES[what]
    file = make()
    settings = dict(img_size=64) if backbone in ("vit", "beit", "vit_adapter") else None
    state, report = convert_state(file, backbone=backbone, settings=settings)
    assert report.ok and report.layout == layout and report.part == "backbone"
    assert counts(report.skipped, skipped) == skipped and counts(report.fresh, fresh) == fresh
    assert len(file) == len(report.loaded) + sum(map(len, report.skipped.values()))
    assert {reason for keys in report.skipped.values() for reason in keys} <= set(file)
    model = MODELS.build(report.model)
    assert sorted(state) == sorted(set(model.state_dict()) - {key for keys in report.fresh.values() for key in keys})
    name = "patch_embed.proj.weight"
    if name in state:
        assert torch.equal(state[name], next(value for key, value in file.items() if "patch_embed.proj" in key))


def test_beit_keeps_all_that_the_release_drops():
    file = beit_file()
    state, _ = convert_state(file, settings=dict(img_size=64))
    names = ("q_bias", "v_bias", "relative_position_bias_table", "relative_position_index", "gamma_1", "cls_token")
    for name in names:
        keys = [key for key in file if key.endswith(name)]
        assert len(keys) in (12, 1) and all(torch.equal(state[key], file[key]) for key in keys)


def test_beit_for_smaller_and_larger_images():
    """From 6 x 6 to 4 x 4 places the middle of the tables is kept, the model computes the indices."""
    file = beit_file(96)
    state, report = convert_state(file, settings=dict(img_size=64))
    key = "blocks.3.attn.relative_position_bias_table"
    rows = file[key][:-3].reshape(11, 11)[2:9, 2:9].reshape(49, 1)
    assert torch.equal(state[key], torch.cat([rows, file[key][-3:]]))
    assert len(report.resized) == len(report.skipped["indices of another grid"]) == 12
    with pytest.raises(ValueError, match=r"images of 96 cannot be widened to img_size=224: use --set img_size=96"):
        convert_state(file)


@pytest.mark.parametrize("key", ["model", "state_dict", "state_dict_ema", None])
def test_containers_settings_and_prefixes(tmp_path, key):
    """Other programs store their arguments beside the weights, and put ``module.`` in front of the names."""
    state = {f"module.{name}": value for name, value in resnet_file().items()}
    content = state if key is None else {key: state, "args": argparse.Namespace(lr=0.1, names=["a"]), "epoch": 3}
    torch.save(content, tmp_path / "in.pth.tar")
    report = convert_weights(tmp_path / "in.pth.tar", tmp_path / "sub/out.pth")
    out = load_file(tmp_path / "sub/out.pth")
    assert out["meta"]["source"] == "in.pth.tar" and out["meta"]["model"] == report.model
    assert out["meta"]["layout"] == "ResNet" and len(out["meta"]["sha256"]) == 64
    assert "layer4.1.bn2.weight" in out["state_dict"]
    assert "loaded             100" in str(report) and "missing            0" in str(report)


class CfgNode(dict):
    """As yacs stores settings: a dict with attributes."""

    __module__ = "yacs.config"


def test_settings_of_yacs_need_no_yacs(tmp_path, monkeypatch):
    settings = CfgNode(MODEL=CfgNode(TYPE="swin"))
    settings._immutable, settings._deprecated_keys = True, set()
    yacs = ModuleType("yacs.config")
    yacs.CfgNode = CfgNode
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", yacs)
        torch.save({"model": resnet_file(), "config": settings}, tmp_path / "in.pth")
    assert b"yacs.config" in (tmp_path / "in.pth").read_bytes()
    assert convert_weights(tmp_path / "in.pth", tmp_path / "out.pth").ok
    assert load_file(tmp_path / "in.pth")["config"]["MODEL"]["TYPE"] == "swin"


class _Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_code_is_not_run_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("RSSEG_TRUST", raising=False)
    file, out, mark = tmp_path / "in.pth", tmp_path / "out.pth", tmp_path / "ran"
    torch.save({"model": resnet_file(), "args": _Payload(f"touch {mark}")}, file)
    with pytest.raises(ValueError, match=r"in.pth: not loaded.*--trust"):
        convert_weights(file, out)
    assert not mark.exists() and not out.exists()
    assert convert_weights(file, out, trust=True).ok and mark.exists()


RESNET = "layer1.0.conv1.weight"
MISTAKES = {  # what is done to a ResNet's weights, options, and the message
    "nothing known": (lambda s: {"a.weight": PATCH}, {}, r"in.pth: not recognised by its 1 keys \(a.weight"),
    "another family": (lambda s: s, dict(backbone="vit"), r"in.pth: ResNet weights serve for resnet, not for 'vit'"),
    "no decoder": (lambda s: s, dict(to="model"), r"in.pth: no decoder and heads .* use --to backbone"),
    "a stem of another kind": (
        lambda s: without(s, "conv1.weight") | {RESNET: s[RESNET]},
        {},
        r"has no 'conv1.weight'",
    ),
    "a key lost": (lambda s: without(s, "layer3.1.bn2.bias"), {}, r"missing +1: layer3.1.bn2.bias"),
    "a key too many": (lambda s: s | {"odd.bias": PATCH}, {}, r"unexpected +1: odd.bias"),
    "another shape": (lambda s: s | {"bn1.bias": PATCH}, {}, r"size mismatch +1: .*bn1.bias.*\[1, 1, 64\].*\[8\]"),
    "an unknown setting": (lambda s: s, dict(settings=dict(colour=1)), r"in.pth: .*is not a valid model: .*colour"),
    "no weights": (lambda s: {"epoch": 3, "lr": 0.1}, {}, r"in.pth: holds no weights by name, but epoch, lr"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_named_and_nothing_is_written(tmp_path, what):
    change, options, message = MISTAKES[what]
    torch.save(change(resnet_file()), tmp_path / "in.pth")
    with pytest.raises(ValueError, match=message):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.pth", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.pth"]


def test_models_that_are_not_here_say_so():
    with pytest.raises(ValueError, match="80 channels: InternImage-S and larger norm after each part"):
        convert_state(
            {"levels.0.blocks.0.dcn.offset.weight": PATCH, "patch_embed.conv2.weight": torch.ones(80, 40, 3, 3)}
        )
    file = vit_file() | {"patch_embed.proj.weight": torch.ones(64, 3, 14, 14)}
    with pytest.raises(ValueError, match="the file has patches of 14 pixels; the models of rsseg have 16"):
        convert_state(file)
    with pytest.raises(ValueError, match=r"no ResNet has \(1, 1, 1, 1\) blocks"):
        convert_state({f"layer{i}.0.conv1.weight": PATCH for i in range(1, 5)})


def test_files_are_not_written_over_themselves(tmp_path):
    file = tmp_path / "in.pth"
    torch.save(resnet_file(), file)
    with pytest.raises(ValueError, match="would be overwritten by its own conversion"):
        convert_weights(file, tmp_path / "." / "in.pth")


def test_safetensors_hold_the_same_as_pth(tmp_path):
    torch.save(resnet_file(), tmp_path / "in.pth")
    for name in ("out.pth", "out.safetensors"):
        convert_weights(tmp_path / "in.pth", tmp_path / name)
    one, other = load_file(tmp_path / "out.pth"), load_file(tmp_path / "out.safetensors")
    assert other["meta"] == one["meta"] and other["state_dict"].keys() == one["state_dict"].keys()
    assert all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        convert_weights(tmp_path / "none.pth", tmp_path / "out.pth")


def test_names_of_layouts():
    assert name_layout(prefixed_mae_file()) == ("encoder.", "ViT, timm's names")
    assert name_layout({f"backbone.{key}": value for key, value in resnet_file().items()}) == ("backbone.", "ResNet")
    assert name_layout({"a": PATCH}) is None
