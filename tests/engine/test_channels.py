"""The first convolution for other channels: kept, inflated, or chosen; and ResNets converted so."""

import pytest
import torch
from mmseg.registry import MODELS
from torch.nn import functional

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine.weights import convert_state
from rsseg.engine.weights.channels import fit_channels

pytestmark = pytest.mark.usefixtures("mmseg_scope")
WEIGHT = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)


def test_by_hand():
    assert fit_channels(WEIGHT, 3) is WEIGHT
    assert fit_channels(WEIGHT, 6).flatten().tolist() == [1.5] * 6  # the mean 3, half for each of twice as many
    assert fit_channels(WEIGHT, 1).flatten().tolist() == [9.0]
    assert fit_channels(WEIGHT, take=[2, -1, 0, 2]).flatten().tolist() == [6.0, 3.0, 1.0, 6.0]
    grey = torch.randn(1, 1, 5, 5)
    wide = functional.conv2d(grey.repeat(1, 12, 1, 1), fit_channels(WEIGHT, 12))
    torch.testing.assert_close(wide, functional.conv2d(grey.repeat(1, 3, 1, 1), WEIGHT))


@pytest.mark.parametrize("options", [{}, dict(channels=3, take=[0]), dict(take=[3]), dict(take=[-2])])
def test_mistakes_are_named(options):
    with pytest.raises(ValueError, match=r"give either|expected 0"):
        fit_channels(WEIGHT, **options)


def test_resnets_are_inflated_and_chosen_from():
    torch.manual_seed(0)
    own = dict(type="ResNet", depth=18, in_channels=3, base_channels=8, stem_channels=8)
    file = MODELS.build(own).state_dict()
    state, report = convert_state(file, settings=dict(in_channels=12))
    assert report.ok and report.model["in_channels"] == 12 and report.resized == ["conv1.weight"]
    assert torch.equal(state["conv1.weight"], fit_channels(file["conv1.weight"], 12))
    MODELS.build(report.model).load_state_dict(state)
    trained = {f"backbone.{key}": value for key, value in state.items()} | {"head.fc.weight": torch.ones(43, 64)}
    trained["backbone.conv1.weight"] = torch.randn(8, 12, 7, 7)
    back, report = convert_state(trained, settings=dict(take=[3, 2, 1]))
    assert report.ok and report.model["in_channels"] == 3 and "take" not in report.model
    assert report.skipped == {"classifier or head of pre-training": ["head.fc.weight"]}
    assert torch.equal(back["conv1.weight"], trained["backbone.conv1.weight"][:, [3, 2, 1]])
    kept, _ = convert_state(trained)
    assert torch.equal(kept["conv1.weight"], trained["backbone.conv1.weight"])
