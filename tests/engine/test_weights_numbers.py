"""Converted weights give the outputs that other implementations give with the file's own names."""

from __future__ import annotations

import mmpretrain.models  # noqa: F401  (registers them)
import pytest
import torch
import torchvision
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.engine.weights import convert_state
from rsseg.engine.weights.tables import middle_of_table, resize_table

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(embed_dims=64, num_layers=3, num_heads=1, feedforward_channels=96)


def shaken(model):
    """The model in eval mode with no weight left at 0 or 1, so that none can be confused with another."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    model.eval()  # some of mmseg's and mmpretrain's return nothing
    return model


def pretrain_model(**config):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return shaken(PRETRAIN_MODELS.build(config))


def converted(state, **kwargs):
    """The model of a file's weights; keys that such files do not have keep their initial values."""
    state, report = convert_state(state, **kwargs)
    assert report.ok, report
    model = MODELS.build(report.model)
    fresh = [key for keys in report.fresh.values() for key in keys]
    assert sorted(model.load_state_dict(state, strict=not fresh).missing_keys) == sorted(fresh)
    model.eval()
    return model, report


def images(side):
    torch.manual_seed(1)
    return torch.randn(2, 3, side, side)


def official_swin(state, timm):
    """Torchvision's names to those of Microsoft and the SAMRS release, or of timm, by hand for four stages.

    Timm reduces at the start of a stage, the others at the end.
    """
    places = {"features.0.0.": "patch_embed.proj.", "features.0.2.": "patch_embed.norm.", "norm.": "norm."}
    places["head."] = "head.fc." if timm else "head."
    for stage in range(4):
        for block in range(2):
            places[f"features.{2 * stage + 1}.{block}."] = f"layers.{stage}.blocks.{block}."
        places[f"features.{2 * stage + 2}."] = f"layers.{stage + timm}.downsample."
    out = {}
    for key, value in state.items():
        start = next(place for place in places if key.startswith(place))
        name = places[start] + key.removeprefix(start).replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
        out[name] = value.reshape(4, 4) if name.endswith("_index") else value
    return out


@pytest.mark.parametrize("names", ["torchvision's", "official", "timm's"])
def test_swin_gives_torchvisions_maps(names):
    """With shifts, and with padding: maps of 24, 12, 6 and 3 pixels, or of 23, 12, 6 and 3."""
    settings = dict(window_size=[2, 2], num_classes=5, stochastic_depth_prob=0.0)
    theirs = shaken(torchvision.models.SwinTransformer([4, 4], 8, [2] * 4, [1, 2, 4, 8], **settings))
    state = theirs.state_dict()
    if names != "torchvision's":
        state = official_swin(state, timm=names == "timm's")
    ours, report = converted(state)
    assert report.layout == f"Swin, {names} names"
    for side in (96, 92):
        y = images(side)
        with torch.no_grad():
            maps = ours(y)
            y = theirs.features[0](y)
            for i, own in enumerate(maps):
                y = theirs.features[2 * i + 1](y if i == 0 else theirs.features[2 * i](y))
                wanted = functional.layer_norm(y, y.shape[-1:]).permute(0, 3, 1, 2)  # our norms are fresh
                torch.testing.assert_close(own, wanted, atol=1e-4, rtol=1e-4)


def test_swin_of_mmpretrain_keeps_its_names():
    arch = dict(embed_dims=8, depths=[2] * 4, num_heads=[1, 2, 4, 8])
    theirs = pretrain_model(type="SwinTransformer", arch=arch, window_size=2, img_size=96, out_indices=(3,))
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()}
    state |= {"head.fc.weight": torch.ones(5, 16), "data_preprocessor.mean": torch.ones(3)}
    ours, report = converted(state)
    assert sorted(report.skipped) == ["classifier or head of pre-training", "normalisation of images"]
    x = images(96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[3], theirs(x)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_beit_of_mmpretrain_gives_its_map(shared):
    """Biases of queries and values, tables, scales and class token all count; shared tables go into each block."""
    options = dict(use_rel_pos_bias=not shared, use_shared_rel_pos_bias=shared, layer_scale_init_value=0.5)
    theirs = pretrain_model(
        type="BEiTViT", arch=SMALL, img_size=64, out_type="featmap", final_norm=True, with_cls_token=True, **options
    )
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()}
    ours, report = converted(state, settings=dict(img_size=64))
    assert report.layout == "BEiT, mmpretrain's names"
    assert sorted(report.fresh) == ["indices, which the model computes"] * shared + ["pyramid of maps"]
    x = images(64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[2], theirs(x)[0], atol=1e-5, rtol=1e-5)


def test_vit_of_mmpretrain_gives_its_map():
    """Without a class token, as the model here has none."""
    theirs = pretrain_model(type="VisionTransformer", arch=SMALL, img_size=64, out_type="featmap", with_cls_token=False)
    ours, report = converted(theirs.state_dict(), settings=dict(img_size=64))
    assert report.layout == "ViT, mmpretrain's names" and list(report.fresh) == ["pyramid of maps"]
    x = images(64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[2], theirs(x)[0], atol=1e-5, rtol=1e-5)


def test_vit_blocks_are_torchvisions():
    theirs = shaken(torchvision.models.VisionTransformer(64, 16, 2, 1, 64, 96, num_classes=5))
    ours, report = converted(theirs.state_dict(), settings=dict(img_size=64))
    assert report.layout == "ViT, torchvision's names" and report.skipped["class token"] == ["class_token"]
    tokens = torch.randn(2, 16, 64)
    with torch.no_grad():
        for own, their in zip(ours.blocks, theirs.encoder.layers, strict=True):
            torch.testing.assert_close(own(tokens, (4, 4)), their(tokens), atol=1e-5, rtol=1e-5)
        x = images(64)
        patches = ours.patch_embed(x).flatten(2).mT + ours.pos_embed
        wanted = theirs._process_input(x) + theirs.encoder.pos_embedding[:, 1:]
        torch.testing.assert_close(patches, wanted)


@pytest.mark.parametrize(("name", "rows"), [("vit", 4), ("vit_adapter", 5)])
def test_positions_are_resized_without_the_class_token(name, rows):
    """4 x 4 places to 2 x 2: a bicubic filter of factor 2 has weights -3, 19, 19, -3 (of 32); edges repeat."""
    theirs = pretrain_model(type="VisionTransformer", arch={**SMALL, "num_layers": 4}, img_size=64)
    state = theirs.state_dict()
    grid = torch.arange(16.0).reshape(4, 4) ** 2
    state["pos_embed"][0, 1:, 0] = grid.flatten()
    state["pos_embed"][0, 0, 0] = 1000.0
    out, report = convert_state(state, backbone=name, settings=dict(img_size=32))
    assert report.ok and report.resized == ["pos_embed"]
    along = torch.tensor([[-3 + 19, 19, -3, 0], [0, -3, 19, 19 - 3]]) / 32
    places = out["pos_embed"][0, :, 0]
    assert len(places) == rows
    torch.testing.assert_close(places[-4:].reshape(2, 2), along @ grid @ along.T)
    assert rows == 4 or places[0] == 1000.0


def test_tables_of_relative_positions():
    """3 x 3 distances to their middle, or to 5 x 5; BEiT's smaller windows take the middle as it is."""
    table = torch.arange(9.0)[:, None].repeat(1, 2)
    assert resize_table(table, 2) is table
    assert resize_table(table, 1).tolist() == [[4.0, 4.0]]
    wider = resize_table(table, 3)[:, 0].reshape(5, 5)
    assert wider[2, 2] == 4.0
    torch.testing.assert_close(wider + wider.flip(0, 1), torch.full((5, 5), 8.0))
    beit = torch.cat([torch.arange(25.0), torch.tensor([100.0, 101.0, 102.0])])[:, None]
    assert middle_of_table(beit, 2, 3)[:, 0].tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18, 100, 101, 102]
    assert torch.equal(middle_of_table(beit, 3, 3), beit)
    with pytest.raises(ValueError, match=r"3 x 3 places do not reach over 4 x 4"):
        middle_of_table(beit, 4, 3)
    with pytest.raises(ValueError, match="table of 8 relative positions does not belong to square windows"):
        resize_table(table[:8], 3)


def test_resnet_gives_torchvisions_maps():
    theirs = shaken(torchvision.models.resnet18())
    ours, report = converted(theirs.state_dict())
    assert report.layout == "ResNet" and report.skipped == {"classifier": ["fc.weight", "fc.bias"]}
    x = images(64)
    with torch.no_grad():
        y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        for i, own in enumerate(ours(x)):
            y = getattr(theirs, f"layer{i + 1}")(y)
            torch.testing.assert_close(own, y, atol=1e-4, rtol=1e-4)
