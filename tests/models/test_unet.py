"""UNet's decoder: published names, hand-worked blocks, both heads, any size, with one and with several label sets."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

pytestmark = pytest.mark.usefixtures("mmseg_scope")
MAPS = [8, 16, 32, 64]


def head(**changes):
    torch.manual_seed(0)
    config = dict(type="UNetHead", in_channels=MAPS, decoder_channels=(16, 12, 8, 4), num_classes=5)
    return MODELS.build(ConfigDict({**config, **changes}))


def maps(height, width):
    """What a backbone gives for an image of this size: each side halved and rounded up."""
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    return [torch.randn(2, channels, *size) for channels, size in zip(MAPS, sizes, strict=True)]


def segmentor(kind, **changes):
    norm = dict(type="BN")
    backbone = dict(type="ResNet", depth=18, stem_channels=8, base_channels=8, style="pytorch", norm_cfg=norm)
    decoder = dict(type="UNetHead", in_channels=MAPS, decoder_channels=(16, 12, 8, 4), norm_cfg=norm)
    decoder.update(changes.pop("decode_head", {}))
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(type=kind, backbone=backbone, decode_head=decoder, **changes))


def test_published_sizes_have_published_names():
    full = head(in_channels=[256, 512, 1024, 2048], decoder_channels=(512, 256, 128, 64), num_classes=18)
    shapes = {name: tuple(value.shape) for name, value in full.state_dict().items()}
    expected = {"conv_seg.weight": (18, 64, 3, 3), "conv_seg.bias": (18,)}
    inputs, outputs = (3072, 1024, 512, 128), (512, 256, 128, 64)
    for i, (before, after) in enumerate(zip(inputs, outputs, strict=True)):
        for name, channels in (("conv1", before), ("conv2", after)):
            expected[f"blocks.{i}.{name}.0.weight"] = (after, channels, 3, 3)
            for part in ("weight", "bias", "running_mean", "running_var"):
                expected[f"blocks.{i}.{name}.1.{part}"] = (after,)
            expected[f"blocks.{i}.{name}.1.num_batches_tracked"] = ()
    assert shapes == expected


def test_a_block_doubles_by_copying_and_takes_the_skip_second():
    block = head(in_channels=[1, 1], decoder_channels=(1, 1), num_classes=2).blocks[0].eval()
    with torch.no_grad():
        for convolution in (block.conv1[0], block.conv2[0]):
            convolution.weight.zero_()
        block.conv1[0].weight[0, :, 1, 1] = torch.tensor([1.0, 10.0])  # first the map from below, then the skip
        block.conv2[0].weight[0, 0, 1, 1] = 1.0
        out = block(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, -1.0]]]]))
    expected = torch.tensor([[[[11.0, 21.0, 32.0, 42.0], [1.0, 1.0, 2.0, 0.0]]]])  # 2 - 10 is cut to 0 by ReLU
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


def test_the_last_block_has_no_skip():
    assert [block.conv1[0].in_channels for block in head().blocks] == [64 + 32, 16 + 16, 12 + 8, 8]


@pytest.mark.parametrize("kind", ["released", "printed"])
@pytest.mark.parametrize(("size", "out"), [((64, 96), (64, 96)), ((70, 33), (96, 64))])
def test_logits_have_the_size_rounded_up_to_32(kind, size, out):
    logits = head(head=kind).eval()(maps(*size))
    assert tuple(logits.shape) == (2, 5, *out)


def test_the_printed_head_doubles_logits_and_cuts_them_at_0():
    model = head(head="printed", dropout_ratio=0.0)
    assert model.conv_seg.weight.shape == (5, 4, 1, 1)
    x = torch.randn(1, 4, 3, 3)
    plain = functional.conv2d(x, model.conv_seg.weight, model.conv_seg.bias)
    expected = functional.interpolate(plain, size=(6, 6), mode="bilinear", align_corners=False).clamp(min=0)
    torch.testing.assert_close(model.cls_seg(x), expected)


def test_initial_weights_are_those_of_the_release():
    model = head(num_classes=5)
    model.init_weights()
    bound = (6 / (96 * 9)) ** 0.5  # kaiming uniform, fan in: sqrt(6 / (channels x 9))
    weight = model.blocks[0].conv1[0].weight
    assert 0.95 * bound < weight.abs().max() <= bound
    bound = (6 / (9 * (4 + 5))) ** 0.5  # xavier uniform
    assert 0.8 * bound < model.conv_seg.weight.abs().max() <= bound
    assert not model.conv_seg.bias.any()


@pytest.mark.parametrize("kind", ["released", "printed"])
def test_a_set_has_the_classifier_that_a_plain_model_has(kind):
    options = dict(head=kind, align_corners=False)
    many = segmentor("MultiHeadSegmentor", heads={"a": 5, "b": 3}, decode_head=options, test_cfg=dict(mode="whole"))
    plain = segmentor("Segmentor", decode_head=dict(num_classes=5, **options), test_cfg=dict(mode="whole"))
    state = {name: value for name, value in many.state_dict().items() if not name.startswith("heads.")}
    state |= {f"decode_head.conv_seg.{x}": many.heads["a"].state_dict()[x] for x in ("weight", "bias")}
    plain.load_state_dict(state)
    inputs = torch.randn(1, 3, 64, 48)
    with torch.no_grad():
        ours = many.eval().encode_decode(inputs, [dict(dataset_name="a")])
        expected = plain.eval().encode_decode(inputs, [dict(img_shape=(64, 48))])
    assert tuple(ours.shape) == (1, 5, 64, 48)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (50, 70)])
def test_it_learns_from_images_of_any_size(size):
    model = segmentor("MultiHeadSegmentor", heads={"a": 5, "b": 3})
    samples = []
    for name in ("a", "b"):
        samples.append(SegDataSample(metainfo=dict(dataset_name=name)))
        samples[-1].gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, *size)))
    losses = model.loss(torch.randn(2, 3, *size), samples)
    (losses["a.loss"] + losses["b.loss"]).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_plain_head_classifies_what_the_last_block_gives():
    model = head(head="plain").eval()
    finer = zip(MAPS, (2, 4, 8, 16), strict=True)
    inputs = [torch.randn(1, channels, 64 // stride, 32 // stride) for channels, stride in finer]
    assert tuple(model(inputs).shape) == (1, 5, 64, 32)
    assert model.conv_seg.weight.shape == (5, 4, 3, 3)


@torch.no_grad()
def test_scse_adds_the_map_weighted_by_channel_and_by_place():
    attention = head(head="plain", attention=True).blocks[0].before
    x = torch.randn(1, 96, 2, 3)
    squeeze, grow = attention.channel[1], attention.channel[3]
    assert squeeze.weight.shape == (6, 96, 1, 1)  # a 16th
    hidden = (squeeze.weight[..., 0, 0] @ x.mean((2, 3))[0] + squeeze.bias).relu()
    channel = (grow.weight[..., 0, 0] @ hidden + grow.bias).sigmoid()
    place = (torch.einsum("c,chw->hw", attention.place.weight[0, :, 0, 0], x[0]) + attention.place.bias).sigmoid()
    torch.testing.assert_close(attention(x)[0], x[0] * channel[:, None, None] + x[0] * place, rtol=1e-4, atol=1e-5)


def test_scse_stands_before_blocks_with_a_skip_and_after_all():
    full = head(head="plain", attention=True, decoder_channels=(64, 48, 32, 16))
    inputs = [block.before.place.in_channels if hasattr(block.before, "place") else 0 for block in full.blocks]
    assert inputs == [64 + 32, 64 + 16, 48 + 8, 0]
    assert [block.after.place.in_channels for block in full.blocks] == [64, 48, 32, 16]
    assert [name for name in head(head="plain").state_dict() if "before" in name or "after" in name] == []


def test_the_centre_is_two_convolutions_on_the_coarsest_map():
    names = [name for name in head(centre=True).state_dict() if name.startswith("centre") and "weight" in name]
    assert names == ["centre.0.0.weight", "centre.0.1.weight", "centre.1.0.weight", "centre.1.1.weight"]
    assert head(centre=True).centre[0][0].weight.shape == (64, 64, 3, 3)
    assert [name for name in head().state_dict() if name.startswith("centre")] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(head="new"), "head must be 'released', 'printed' or 'plain'"),
        (dict(decoder_channels=(8, 4)), "as many decoder blocks"),
    ],
)
def test_what_it_cannot_build_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        head(**changes)
