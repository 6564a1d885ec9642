"""Files of SparseMask, and of MobileNetV2 for it: every key is accounted for, and the maps are the same."""

from __future__ import annotations

import pytest
import torch
import torchvision
from mmpretrain.models import MobileNetV2
from mmseg.registry import MODELS
from torch import nn

from rsseg.engine.weights import convert_state
from rsseg.errors import DataError
from rsseg.models.search.sparsemask_backbone import tap_channels

pytestmark = pytest.mark.usefixtures("mmseg_scope")
NODES = {"1": dict(taps=[0], ups=[0]), "8": dict(taps=[0, 8], ups=[2])}
CHANNELS = tap_channels(0.25)


def model_of(**head):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type="Segmentor", backbone=dict(type="SparseMaskMobileNet", width=0.25),
             decode_head=dict(in_channels=CHANNELS, channels=8, num_classes=3, **head), train_cfg=None, test_cfg=None)
    ).eval()  # fmt: skip


def release(model):
    """The same weights by the names of the release."""
    out = {}
    for key, value in model.state_dict().items():
        name = key.replace("decode_head.conv_seg", "fc_conv").replace("decode_head.", "").replace(".table", "._weight_")
        out[f"module.{name}"] = value
    return out


def test_a_derived_model_of_the_release_is_converted():
    model = model_of(type="SparseMaskHead", architecture={"method": "SparseMask", "count": 9, "nodes": NODES})
    state = release(model)
    assert "module.decoders.Decoders_8.up_convs.2.weight" in state and "module.fc_conv.bias" in state
    converted, report = convert_state({key.removeprefix("module."): value for key, value in state.items()})
    assert report.ok and not report.fresh and not report.skipped, str(report)
    assert report.model["decode_head"]["architecture"]["nodes"] == NODES
    again = MODELS.build(dict(report.model, train_cfg=None, test_cfg=None)).eval()
    again.load_state_dict(converted)
    images = torch.rand(1, 3, 65, 33)
    with torch.no_grad():
        torch.testing.assert_close(again(images), model(images))


def test_a_search_of_the_release_is_converted():
    model = model_of(type="SparseMaskSearchHead")
    model.decode_head.decoders[3].table.data[1] = 0.25
    converted, report = convert_state({k.removeprefix("module."): v for k, v in release(model).items()})
    assert report.ok and report.layout == "SparseMask in search", str(report)
    assert converted["decode_head.decoders.Decoders_3.table"][1].tolist() == [0.25, 0.25]
    assert report.model["decode_head"]["type"] == "SparseMaskSearchHead"


def test_a_model_without_its_last_node_is_refused():
    model = model_of(type="SparseMaskHead", architecture={"method": "SparseMask", "count": 9, "nodes": NODES})
    state = {key.removeprefix("module."): value for key, value in release(model).items() if "Decoders_8" not in key}
    with pytest.raises(DataError, match=r"last node, decoders\.Decoders_8, has no edges"):
        convert_state(state)


@pytest.mark.parametrize("source", ["torchvision", "mmpretrain"])
def test_imagenet_weights_give_the_same_last_map(source):
    torch.manual_seed(0)
    if source == "torchvision":
        original = torchvision.models.mobilenet_v2(weights=None).eval()
        features = original.features
    else:
        original = MobileNetV2(widen_factor=1.0)
        original.eval()  # gives None
        features = lambda x: original(x)[-1]  # noqa: E731
    for module in original.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    state, report = convert_state(original.state_dict())
    assert report.ok, str(report)
    backbone = MODELS.build(report.model).eval()
    missing = backbone.load_state_dict(state, strict=False).missing_keys
    assert not [key for key in missing if not key.endswith("num_batches_tracked")]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[-1].clamp(0, 6), features(images), rtol=1e-3, atol=1e-4)
