"""S-CNN: the paper's layers, its numbers of parameters, and the maps that segmentation takes."""

import mmpretrain.registry
import mmseg.registry
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from torch.nn import functional

from rsseg.models import SCNN, multilabel  # noqa: F401  (registers its parts)


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def classifier(bands, classes=43, **backbone):
    return mmpretrain.registry.MODELS.build(
        dict(
            type="Classifier",
            backbone=dict(type="SCNN", in_channels=bands, **backbone),
            head=dict(type="HiddenMultiLabelHead", num_classes=classes, in_channels=57600),
        )
    )


@pytest.mark.parametrize(("bands", "count"), [(3, 7_425_035), (12, 7_432_235)])
def test_the_numbers_of_parameters_are_those_of_the_architecture(bands, count):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in classifier(bands).parameters()) == count


def test_the_network_is_three_convolutions_and_two_layers():
    torch.manual_seed(0)
    model = classifier(3, classes=5).eval()
    model.init_weights()
    x = torch.randn(2, 3, 120, 120)
    state = model.state_dict()
    y = x
    for i, margin in enumerate((2, 2, 1)):
        y = functional.conv2d(y, state[f"backbone.convs.{i}.weight"], state[f"backbone.convs.{i}.bias"], padding=margin)
        y = y.clamp(min=0)
        if i < 2:  # the largest of each 2 x 2
            y = y.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))
    y = (y.flatten(1) @ state["head.fc.weight"].T + state["head.fc.bias"]).clamp(min=0)
    y = y @ state["head.classifier.weight"].T + state["head.classifier.bias"]
    torch.testing.assert_close(model(x), y, atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_mean_over_images_and_classes():
    head = mmpretrain.registry.MODELS.build(dict(type="HiddenMultiLabelHead", num_classes=4, in_channels=2))
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    samples = [DataSample().set_gt_label([0, 2]), DataSample().set_gt_label([1])]
    loss = head.loss((torch.ones(2, 2),), samples)["loss"]
    torch.testing.assert_close(loss, torch.tensor(2.0).log())  # every logit is 0: log 2 for each class
    head.classifier.bias.data = torch.tensor([0.0, 0.0, 0.0, 2.0])
    loss = head.loss((torch.ones(2, 2),), samples)["loss"]
    expected = (3 * torch.tensor(2.0).log() + torch.tensor(2.0).exp().log1p()) / 4
    torch.testing.assert_close(loss, expected)
    assert [sample.pred_label.tolist() for sample in head.predict((torch.ones(2, 2),), samples)] == [[0, 1, 2, 3]] * 2


def test_images_of_another_size_are_named():
    with pytest.raises(ValueError, match=r"57600 features per image, but got \(64, 16, 16\)"):
        classifier(3)(torch.zeros(1, 3, 64, 64))


def test_maps_for_segmentation():
    config = dict(type="SCNN", in_channels=4, channels=(2, 3, 5), out_indices=(0, 1, 2))
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = mmseg.registry.MODELS.build(config)
    maps = model(torch.zeros(1, 4, 24, 20))
    assert [tuple(m.shape) for m in maps] == [(1, 2, 24, 20), (1, 3, 12, 10), (1, 5, 6, 5)]
    with pytest.raises(ValueError, match="do not match 3 convolutions"):
        SCNN(out_indices=(3,))


def test_a_backbone_does_not_start_afresh_in_silence(tmp_path):
    torch.save(dict(state_dict={"encoder_1.weight": torch.ones(2)}), tmp_path / "other.pth")
    start = dict(type="Pretrained", checkpoint=str(tmp_path / "other.pth"))
    with pytest.raises(ValueError, match=r"other.pth: only 0 of its 1 weights were loaded into SCNN"):
        classifier(3, init_cfg=start).init_weights()
