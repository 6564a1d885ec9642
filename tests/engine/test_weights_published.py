"""Published SEP files: each of their names has its place in a model of our configs, at full size (without values)."""

from __future__ import annotations

import functools
import re

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine.weights import convert_state

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SETS = {"sota": ("1", 18), "sior": ("2", 20), "fast": ("3", 37)}
PUBLISHED = {  # config: keys and million parameters of the released model with its three heads
    "unet_r50": (372, 43.87),
    "upernet_r50": (396, 64.06),
    "upernet_swin": (267, 33.24),
    "upernet_vitae": (622, 21.39),
    "upernet_internimage": (763, 31.31),
    "upernet_vit": (235, 160.78),
    "upernet_rvsa": (314, 161.03),
    "upernet_vit_adapter": (488, 167.40),
}
OFFICIAL_SWIN = (
    (r"stages\.", "layers."),
    (r"attn\.w_msa\.", "attn."),
    (r"ffn\.layers\.0\.0\.", "mlp.fc1."),
    (r"ffn\.layers\.1\.", "mlp.fc2."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
)


@pytest.fixture(autouse=True)
def _without_initial_values(monkeypatch):
    """Nobody looks at values here: drawing them for models at full size took most of the time."""
    for name in ("uniform_", "normal_", "erfinv_"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, *args, **kwargs: tensor.zero_())


def hollow(config):
    """A model without values where that works."""
    try:
        with torch.device("meta"):
            return MODELS.build(config)
    except RuntimeError:
        return MODELS.build(config)


def build(repo, name, **changes):
    config = Config.fromfile(repo / f"configs/_base_/models/{name}.py")
    config.merge_from_dict({"model.backbone.init_cfg": None, **{f"model.{key}": v for key, v in changes.items()}})
    return hollow(config.model)


@functools.cache
def sep_model(repo, name):
    return build(repo, name, type="MultiHeadSegmentor", heads={key: size for key, (_, size) in SETS.items()})


def empty(state):
    return {key: value.to("meta") for key, value in state.items()}


def published_name(key, place):
    """The release's name of one of our keys; ``place`` is that of the layer in a head."""
    if key.startswith("backbone."):
        for pattern, name in OFFICIAL_SWIN:
            key = re.sub(pattern, name, key)
        return key.replace("backbone.", "encoder.", 1)
    for layer in ("conv_seg", "cls_embed"):
        key = key.replace(f"decode_head.{layer}.", f"semseghead.{place}.")
    key = key.replace("decode_head.", "decoder.", 1)
    for name, (number, _) in SETS.items():
        key = key.replace(f"heads.{name}.", f"semseghead_{number}.{place}.")
    return key


def published(model, name):
    place = {"unet_r50": 0, "mask2former_r50": "cls_embed"}.get(name, 1)
    return {published_name(key, place): value for key, value in empty(model.state_dict()).items()}


def shapes(state):
    return {key: tuple(value.shape) for key, value in state.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_sep_file_is_a_model_of_our_config(repo, name):
    model = sep_model(repo, name)
    state = published(model, name)
    keys, millions = PUBLISHED[name]
    assert len(state) == keys
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions
    converted, report = convert_state(state)
    assert report.ok and len(report.loaded) == keys
    assert not (report.missing or report.unexpected or report.fresh or report.skipped or report.resized)
    assert shapes(converted) == shapes(model.state_dict())
    assert report.model["type"] == "MultiHeadSegmentor" and report.model["heads"] == {
        "sota": 18,
        "sior": 20,
        "fast": 37,
    }
    assert report.model["backbone"]["type"] == type(model.backbone).__name__
    assert shapes(hollow(report.model).state_dict()) == shapes(converted)  # the recognised settings say it all


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_encoder_alone_and_a_fine_tuned_model(repo, name):
    model = build(repo, name, **{"decode_head.num_classes": 5})
    state = published(model, name)
    converted, report = convert_state(state)
    assert report.ok and report.part == "model" and report.model["decode_head"]["num_classes"] == 5
    assert shapes(converted) == shapes(model.state_dict())
    encoder = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
    converted, report = convert_state(encoder)
    assert report.ok and report.part == "backbone" and not report.fresh
    assert shapes(converted) == shapes(model.backbone.state_dict())
    _, report = convert_state(state, to="backbone")
    assert len(report.skipped["decoder and heads"]) == len(state) - len(encoder)


@pytest.mark.parametrize("name", ["unet_r50", "upernet_swin", "upernet_rvsa"])
def test_a_key_more_or_less_is_an_error(repo, name):
    state = published(sep_model(repo, name), name)
    lost = [key for key in state if key.startswith("encoder.")][-1]
    less = {key: value for key, value in state.items() if key != lost}
    _, report = convert_state(less)
    assert not report.ok and [published_name(key, 0) for key in report.missing] == [lost]
    _, report = convert_state({**state, "encoder.extra.weight": torch.ones(1), "decoder.extra": torch.ones(1)})
    assert not report.ok and report.unexpected == ["encoder.extra.weight", "decoder.extra"]
    wrong = {**state, lost: torch.empty(*state[lost].shape, 2, device="meta")}
    _, report = convert_state(wrong)
    assert not report.ok and len(report.size_mismatch) == 1


def test_shapes_that_make_no_model_are_named(repo):
    state = published(sep_model(repo, "upernet_swin"), "upernet_swin")
    state["decoder.bottleneck.conv.weight"] = torch.empty(192, 7, 3, 3, device="meta")  # of 768 + 4 * 192
    with pytest.raises(ValueError, match=r"in_channels.*is not a valid model"):
        convert_state(state)


def test_mask2former_shares_all_but_the_classifier_of_queries(repo):
    name = "mask2former_r50"
    heads = {key: size for key, (_, size) in SETS.items()}
    model = build(repo, name, type="MultiHeadMask2Former", heads=heads)
    state = published(model, name)
    assert len(state["semseghead_1.cls_embed.weight"]) == 19  # one for "none"
    converted, report = convert_state(state)
    assert report.ok and len(report.loaded) == len(state) and report.model["heads"] == heads
    assert shapes(converted) == shapes(model.state_dict())
    assert shapes(hollow(report.model).state_dict()) == shapes(converted)
    tuned = build(repo, name, **{"decode_head.num_classes": 5})
    converted, report = convert_state(published(tuned, name))
    assert report.ok and shapes(converted) == shapes(tuned.state_dict())


def test_sets_that_are_not_there_and_decoders_that_are_not_known(repo):
    state = published(sep_model(repo, "unet_r50"), "unet_r50")
    two = {key: value for key, value in state.items() if not key.startswith("semseghead_2")}
    _, report = convert_state(two)
    assert report.ok and report.model["heads"] == {"sota": 18, "fast": 37}
    swapped = {key.replace("semseghead_1", "semseghead_2"): value for key, value in two.items()}
    with pytest.raises(ValueError, match=r"a head of 18 classes, sior, is none of the SAMRS release"):
        convert_state(swapped)
    with pytest.raises(ValueError, match=r"not UPerNet, UNet or Mask2Former; use --to backbone"):
        convert_state({key.replace("decoder.blocks", "decoder.layers"): value for key, value in state.items()})
