"""OV-Seg's and SCAN's releases through the converter: every name of theirs has its place, at full size and small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_pretrained
from rsseg.engine.weights import convert_state, convert_weights
from tests.models.regions import official

pytestmark = pytest.mark.usefixtures("mmseg_scope")

UNUSED = {"criterion.empty_weight", "clip_adapter.pixel_mean", "clip_adapter.pixel_std"}
PUBLISHED = {  # keys, parameters (norms that are frozen are none) and those that are trained
    "ovseg": (official.ovseg, 983, 211_140_033, 60_721_920),
    "scan": (official.scan, 1224, 371_461_178, 135_647_801),
}

SMALL = {"ovseg": official.SMALL_OVSEG, "scan": official.SMALL_SCAN}


@pytest.fixture(autouse=True)
def _without_initial_values(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """At full size nobody looks at values, and drawing them takes most of the time."""
    if request.node.name.startswith("test_published"):
        for name in ("uniform_", "normal_", "erfinv_"):
            monkeypatch.setattr(torch.Tensor, name, lambda tensor, *args, **kwargs: tensor.zero_())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_all_their_names(name: str) -> None:
    shapes, keys, parameters, trained = PUBLISHED[name]
    with torch.device("meta"):
        file = {key: torch.empty(shape) for key, shape in shapes().items()}
    assert len(file) == keys
    for key in file:
        if key.endswith("relative_position_index"):
            file[key] = file[key].long()
    state, report = convert_state(file)
    assert report.ok and not (report.missing or report.unexpected or report.fresh or report.resized)
    assert {key for own in report.skipped.values() for key in own} == UNUSED
    assert sum(value.numel() for value in state.values()) == sum(
        value.numel() for key, value in file.items() if key not in UNUSED
    )
    model = MODELS.build(report.model)
    assert model.mask_threshold == (0.4 if name == "scan" else 0.5) and model.clip_weight == 0.7
    assert sum(value.numel() for value in model.parameters()) == parameters
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == trained


@pytest.mark.parametrize("name", PUBLISHED)
def test_small_files_load_by_the_command(name: str, tmp_path: Path) -> None:
    shapes = {
        "ovseg": lambda: official.ovseg(**official.SMALL_OVSEG),
        "scan": lambda: official.scan(**official.SMALL_SCAN),
    }
    file = official.weights(shapes[name]())
    torch.save(dict(model=file), tmp_path / "release.pth")
    blocks = dict(prior_blocks=(2, 3, 4), shift_blocks=(1, 3)) if name == "scan" else {}
    report = convert_weights(tmp_path / "release.pth", tmp_path / "ours.pth", settings=blocks)
    assert report.part == "model" and report.layout.endswith("official names")
    model = MODELS.build(report.model)
    load_pretrained(model, tmp_path / "ours.pth")
    own, prefix = model.state_dict(), "clip_adapter.clip_model.visual.transformer.resblocks.2.attn."
    for part, value in zip("qkv", file[f"{prefix}in_proj_weight"].chunk(3), strict=True):
        assert torch.equal(own[f"clip.visual.transformer.resblocks.2.attn.{part}_proj_weight"], value)
    if name == "ovseg":
        assert torch.equal(own["backbone.stem.7.running_var"], file["backbone.stem.conv3.norm.running_var"])
        assert torch.equal(own["backbone.layer4.0.downsample.0.weight"], file["backbone.res5.0.shortcut.weight"])
    else:
        merged = file["backbone.layers.1.downsample.norm.weight"].unflatten(0, (4, -1))[[0, 2, 1, 3]].T.flatten()
        assert torch.equal(own["backbone.stages.1.downsample.norm.weight"], merged)
        original = "transformer.resblocks.1.mlp.c_fc.weight"
        assert torch.equal(own[f"original.{original}"], file[f"clip_adapter.original_clip.{original}"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_lacks_or_is_strange_is_named(name: str) -> None:
    shapes = {
        "ovseg": lambda: official.ovseg(**official.SMALL_OVSEG),
        "scan": lambda: official.scan(**official.SMALL_SCAN),
    }
    file = official.weights(shapes[name]())
    del file["clip_adapter.non_object_embedding"]
    file["strange.weight"] = torch.zeros(1)
    blocks = dict(prior_blocks=(2, 3, 4), shift_blocks=(1, 3)) if name == "scan" else {}
    report = convert_state(file, settings=blocks)[1]
    assert report.missing == ["no_object"] and report.unexpected == ["strange.weight"] and not report.ok


def test_resnets_with_a_deep_stem_by_both_names() -> None:
    """timm's resnet101s and detectron2's are one network; the stem is numbered through norms and activations."""
    theirs = {key.removeprefix("backbone."): value for key, value in
              official.weights(official.resnet(8, (3, 4, 6, 3))).items()}  # fmt: skip
    state, report = convert_state(theirs)
    assert report.ok and report.layout == "ResNet with a deep stem, detectron2's names"
    assert report.model == dict(
        type="ResNetV1c", depth=50, in_channels=3, stem_channels=16, base_channels=8, style="pytorch"
    )
    timm = {}
    for key, value in state.items():
        name = key.replace("stem.7.", "bn1.").replace("stem.", "conv1.")
        timm[name] = value
    timm["fc.weight"], timm["fc.bias"] = torch.zeros(10, 256), torch.zeros(10)
    again, report = convert_state(timm)
    assert report.ok and report.layout == "ResNet with a deep stem, timm's names"
    assert set(again) == set(state) and all(torch.equal(again[key], state[key]) for key in state)


def test_timms_resnet101s_has_these_names() -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        state = timm.create_model("resnet101s").state_dict()
    out, report = convert_state(state)
    assert report.ok and not (report.missing or report.unexpected or report.fresh)
    assert report.model == dict(
        type="ResNetV1c", depth=101, in_channels=3, stem_channels=128, base_channels=64, style="pytorch"
    )
    assert list(report.skipped) == ["classifier"]
    assert out["stem.0.weight"].shape == (64, 3, 3, 3)
