"""Converted files are taken by init_cfg and by the hook for fine-tuning: every backbone, no key missing or extra."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import LoadPretrained, load_file, load_pretrained
from rsseg.engine.weights import convert_weights

pytestmark = pytest.mark.usefixtures("mmseg_scope")
PLAIN = dict(embed_dims=64, num_heads=1)
SMALL = {  # what makes the models of our configs small enough for a test; ViTAEv2-S has no options and is small
    "unet_r50": dict(base_channels=8, stem_channels=8),
    "upernet_r50": dict(base_channels=8, stem_channels=8),
    "upernet_swin": dict(embed_dims=24),
    "upernet_vitae": {},
    "upernet_internimage": dict(channels=16, groups=[1, 2, 4, 8], depths=[1, 1, 1, 1]),
    "upernet_vit": PLAIN,
    "upernet_rvsa": PLAIN,
    "upernet_vit_adapter": dict(PLAIN, deform_heads=1, conv_channels=8),
}
WIDTHS = {"unet_r50": 32, "upernet_r50": 32, "upernet_swin": 24, "upernet_vitae": 64, "upernet_internimage": 16}
SETS = dict(sota=18, sior=20, fast=37)


def config(repo, name, **model):
    out = Config.fromfile(repo / f"configs/_base_/models/{name}.py").model
    out.backbone.update(init_cfg=None, **SMALL[name])
    first, plain = WIDTHS.get(name, 64), name not in WIDTHS
    channels = [first] * 4 if plain else [first, 2 * first, 4 * first, 8 * first]
    out.decode_head.update(in_channels=channels)
    if out.decode_head.type == "LowResUPerHead":
        out.decode_head.channels = 16
    for norm in [part for part in (out.backbone, out.decode_head) if "norm_cfg" in part]:
        norm.norm_cfg = dict(type="BN")  # the bases say SyncBN, as the names are the same
    out.update(model)
    return out


def build(cfg):
    model = MODELS.build(cfg)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    return model


def published(state, name):
    """The release's names: prefixes, numbers of sets, and for Swin those of Microsoft (without their order)."""
    place, out = int(name != "unet_r50"), {}
    for key, value in state.items():
        for number, own in enumerate(SETS, 1):
            key = key.replace(f"heads.{own}.", f"semseghead_{number}.{place}.")
        key = key.replace("backbone.", "encoder.").replace("decode_head.", "decoder.")
        if name == "upernet_swin":
            for pair in (("stages.", "layers."), ("w_msa.", ""), ("ffn.layers.0.0.", "mlp.fc1.")):
                key = key.replace(*pair)
            key = key.replace("ffn.layers.1.", "mlp.fc2.").replace("patch_embed.projection", "patch_embed.proj")
        out[key] = value
    return out


def same(model, state, names=None):
    """Whether these keys of a model (default: all) hold the values of a state; Swin's reductions are told apart."""
    own = model.state_dict()
    keys = own if names is None else names
    return all("downsample" in key or torch.equal(own[key], state[key]) for key in keys)


@pytest.mark.parametrize("name", SMALL)
def test_published_weights_start_fine_tuning(repo, name, tmp_path):
    sep = build(config(repo, name, type="MultiHeadSegmentor", heads=SETS))
    state = sep.state_dict()
    content = dict(state_dict=published(state, name), iteration=80000, optimizer={}, loss_pretrain=np.arange(3.0))
    torch.save(content, tmp_path / "sep.pth")
    report = convert_weights(tmp_path / "sep.pth", tmp_path / "model.pth")
    assert report.part == "model" and len(report.loaded) == len(state)
    again = MODELS.build(config(repo, name, type="MultiHeadSegmentor", heads=SETS))
    load_pretrained(again, tmp_path / "model.pth")
    assert same(again, state)

    torch.save(dict(state_dict=state, meta={}), tmp_path / "iter_80000.pth")
    for file in ("model.pth", "iter_80000.pth"):  # a run of our own needs no conversion
        ours = config(repo, name)
        ours.decode_head.num_classes = 5
        tuned = MODELS.build(ours)
        fresh = {key: value.clone() for key, value in tuned.state_dict().items() if "conv_seg" in key}
        hook = LoadPretrained(str(tmp_path / file), new=["decode_head.conv_seg"], unused=["heads"])
        data = SimpleNamespace(dataset=SimpleNamespace(metainfo={}))
        hook.before_train(SimpleNamespace(iter=0, model=tuned, train_dataloader=data))
        assert len(fresh) == 2 and same(tuned, fresh, fresh)
        assert same(tuned, state, [key for key in tuned.state_dict() if key not in fresh])
        if file == "iter_80000.pth":
            assert all(torch.equal(value, state[key]) for key, value in tuned.state_dict().items() if key not in fresh)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "unet_r50"])
def test_converted_backbones_go_into_init_cfg(repo, name, tmp_path):
    """From a published encoder file, and from a SEP run of our own."""
    sep = build(config(repo, name, type="MultiHeadSegmentor", heads=SETS))
    encoder = {
        k.removeprefix("encoder."): v for k, v in published(sep.state_dict(), name).items() if k[:8] == "encoder."
    }
    torch.save(encoder, tmp_path / "encoder.pth")
    torch.save(dict(state_dict=sep.state_dict(), meta={}), tmp_path / "iter_80000.pth")
    for file, swapped in (("encoder", True), ("iter_80000", False)):
        report = convert_weights(tmp_path / f"{file}.pth", tmp_path / "backbone.pth")
        state = load_file(tmp_path / "backbone.pth")["state_dict"]
        own = config(repo, name).backbone
        own.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "backbone.pth"))
        backbone = MODELS.build(own)
        backbone.init_weights()
        loaded = backbone.state_dict()
        assert report.part == "backbone" and state.keys() == loaded.keys()
        assert all(torch.equal(loaded[key], state[key]) for key in loaded)
        assert same(backbone, sep.backbone.state_dict())
        reductions = [key for key in loaded if "downsample.reduction" in key]
        assert all(torch.equal(loaded[k], sep.backbone.state_dict()[k]) is not swapped for k in reductions)


def test_files_that_do_not_fit_say_what_they_are(repo, tmp_path):
    sep = build(config(repo, "upernet_swin", type="MultiHeadSegmentor", heads=SETS))
    torch.save(dict(state_dict=published(sep.state_dict(), "upernet_swin")), tmp_path / "published.pth")
    torch.save(dict(state_dict=sep.state_dict()), tmp_path / "own.pth")
    torch.save(dict(model=sep.state_dict()), tmp_path / "other.pth")
    vit = MODELS.build(config(repo, "upernet_vit", type="MultiHeadSegmentor", heads=SETS))
    with pytest.raises(
        ValueError, match=r"published.pth does not fit .*The file is Swin, official names, the model ViT"
    ):
        load_pretrained(vit, tmp_path / "published.pth")
    with pytest.raises(ValueError, match=r"must be converted first: rsseg weights FILE OUT"):
        load_pretrained(sep, tmp_path / "published.pth")
    with pytest.raises(ValueError, match=r"own.pth does not fit .*The file is Swin, mmseg's names, the model ViT"):
        load_pretrained(vit, tmp_path / "own.pth")
    load_pretrained(sep, tmp_path / "other.pth")  # under whichever usual key the weights are
    torch.save(dict(epoch=3), tmp_path / "none.pth")
    with pytest.raises(ValueError, match=r"none.pth: holds no weights by name, but epoch; weights are looked for at"):
        load_pretrained(sep, tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["upernet_swin", "upernet_vit"])
def test_a_backbone_does_not_start_afresh_in_silence(repo, name, tmp_path):
    """Unconverted files and forgotten prefixes are errors; a file with more than the backbone's is fine."""
    cfg = config(repo, name)
    cfg.decode_head.num_classes = 2
    sep = build(cfg)
    state = sep.state_dict()
    backbone = sep.backbone.state_dict()
    official = {k.removeprefix("encoder."): v for k, v in published(state, name).items() if k.startswith("encoder.")}
    torch.save(dict(state_dict=state), tmp_path / "whole.pth")
    torch.save({**backbone, "head.weight": torch.ones(2)}, tmp_path / "good.pth")
    torch.save(dict(model=official), tmp_path / "model.pth")
    torch.save(official, tmp_path / "official.pth")

    def start(file, **options):
        cfg.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / file), **options)
        model = MODELS.build(cfg)
        model.init_weights()
        assert all(torch.equal(value, backbone[key]) for key, value in model.backbone.state_dict().items())
        model.backbone.load_state_dict({key: value + 1 for key, value in backbone.items()})
        model.init_weights()  # once is enough: training has gone on

    start("good.pth")
    with pytest.raises(ValueError, match=r"model.pth: only 0 of its 1 weights were loaded into .*rsseg weights"):
        start("model.pth")
    if name == "upernet_swin":  # mmseg's Swin takes the prefix off by itself; its names are not the official ones
        start("whole.pth")
        with pytest.raises(
            ValueError, match=r"official.pth: only \d+ of its \d+ weights were loaded into SwinTransformer"
        ):
            start("official.pth")
    else:
        start("whole.pth", prefix="backbone.")
        start("official.pth")
        with pytest.raises(
            ValueError, match=r"whole.pth: only 0 of its \d+ weights were loaded into ViT.*prefix='backbone.'"
        ):
            start("whole.pth")
