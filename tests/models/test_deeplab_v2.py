"""DeepLabV2's five forms: parameters, logits by plain convolutions, what tests see, and losses."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional
from torchvision.models import resnet50

from rsseg.models.deeplab_v2 import FORMS, DeepLabV2Head, DilatedClassifier

pytestmark = pytest.mark.usefixtures("mmseg_scope")
RESNET = dict(
    type="ResNet", depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True, style="pytorch"
)
PARAMETERS = dict(single=24_097_888, cascade=24_392_832, twin=24_687_744, ppm=46_585_928, mmd=25_278_304)


def head(form, **changes):
    torch.manual_seed(0)
    config = dict(type="DeepLabV2Head", form=form, num_classes=3, in_channels=[4, 6], in_index=[0, 1], channels=5)
    config["loss_decode"] = dict(type="CrossEntropyLoss", avg_non_ignore=True)
    return MODELS.build(ConfigDict({**config, "embedding": [5, 4], **changes}))


def maps():
    torch.manual_seed(1)
    return [torch.randn(2, 4, 7, 8), torch.randn(2, 6, 7, 8)]


def classified(classifier, x):
    """Four convolutions by hand, added up."""
    out = 0
    for conv, d in zip(classifier.convs, (6, 12, 18, 24), strict=True):
        out = out + functional.conv2d(x, conv.weight, conv.bias, padding=d, dilation=d)
    return out


@pytest.mark.parametrize("form", FORMS)
def test_parameters(form):
    with torch.device("meta"):
        encoder, own = MODELS.build(RESNET), DeepLabV2Head(8, form=form)
    assert sum(p.numel() for module in (encoder, own) for p in module.parameters()) == PARAMETERS[form]


def test_the_encoder_has_stride_16_and_its_last_stage_begins_undilated():
    with torch.device("meta"):
        encoder = MODELS.build(RESNET)
        shapes = [tuple(x.shape[1:]) for x in encoder(torch.zeros(1, 3, 64, 64))]
    assert shapes[2:] == [(1024, 4, 4), (2048, 4, 4)]
    assert [block.conv2.dilation for block in encoder.layer4] == [(1, 1), (2, 2), (2, 2)]


@torch.no_grad()
def test_each_form_computes_what_it_should():
    before, last = maps()
    own = {form: head(form).eval() for form in FORMS}
    single = own["single"]
    torch.testing.assert_close(single(maps()), classified(single.conv_seg, last))
    cascade = own["cascade"].outputs(maps())
    torch.testing.assert_close(cascade["main"], classified(own["cascade"].conv_seg, last))
    torch.testing.assert_close(cascade["auxiliary"], classified(own["cascade"].auxiliary, before))
    torch.testing.assert_close(own["cascade"](maps()), cascade["main"])
    twin = own["twin"].outputs(maps())
    torch.testing.assert_close(twin["twin"], classified(own["twin"].twin, last))
    assert not torch.equal(twin["twin"], twin["main"])
    torch.testing.assert_close(own["twin"](maps()), twin["main"] + twin["twin"])
    first, _, second = own["mmd"].embedding[2:]
    pooled = (last.mean((2, 3)) @ first.weight.T + first.bias).relu()
    torch.testing.assert_close(own["mmd"].outputs(maps())["embedding"], pooled @ second.weight.T + second.bias)


@torch.no_grad()
def test_the_pyramid_is_that_of_plain_layers():
    own, (_, x) = head("ppm").eval(), maps()

    def block(module, x, padding=0):
        x = functional.conv2d(x, module.conv.weight, padding=padding)
        return functional.batch_norm(x, module.bn.running_mean, module.bn.running_var).relu()

    parts = [x]
    for side, (_, module) in zip((1, 2, 3, 6), own.psp_modules, strict=True):
        pooled = block(module, functional.adaptive_avg_pool2d(x, side))
        parts.append(functional.interpolate(pooled, size=(7, 8), mode="bilinear", align_corners=False))
    joined = block(own.bottleneck, torch.cat(parts, 1), padding=1)
    expected = functional.conv2d(joined, own.conv_seg.weight, own.conv_seg.bias)
    torch.testing.assert_close(own(maps()), expected)
    assert own.dropout.p == 0.1 and head("single").dropout is None


def test_weights_begin_small_and_stay_so():
    own = head("single", in_channels=[4, 500])
    before = {key: value.clone() for key, value in own.state_dict().items()}
    own.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in own.state_dict().items())
    assert isinstance(own.conv_seg, DilatedClassifier)
    for conv in own.conv_seg.convs:
        assert abs(conv.weight.std().item() - 0.01) < 1e-3 and conv.bias.abs().max() > 0
        assert conv.bias.abs().max() <= (9 * 500) ** -0.5


@pytest.mark.parametrize("form", FORMS)
def test_a_segmentor_scales_logits_with_aligned_corners(form):
    backbone = dict(type="ResNet", depth=18, base_channels=4, stem_channels=4, norm_cfg=dict(type="BN"))
    decode = dict(type="DeepLabV2Head", form=form, num_classes=3, in_channels=[16, 32], channels=5, embedding=[5, 4])
    model = MODELS.build(ConfigDict(type="Segmentor", backbone=backbone, decode_head=decode)).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = model.encode_decode(image, [dict(img_shape=(64, 96))])
        small = model.decode_head(model.extract_feat(image))
    expected = functional.interpolate(small, size=(64, 96), mode="bilinear", align_corners=True)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_losses_on_labels_reach_every_classifier(form):
    own = head(form, dropout_ratio=0)
    samples = [SegDataSample() for _ in range(2)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 7, 8)))
    losses = own.loss(maps(), samples, None)
    target = torch.cat([sample.gt_sem_seg.data for sample in samples])
    expected = {"main": "loss_ce", "auxiliary": "auxiliary_loss_ce", "twin": "twin_loss_ce"}
    outputs = own.outputs(maps())
    for name, key in expected.items():
        assert (key in losses) == (name in outputs)
        if name in outputs:
            factor = 0.1 if name == "auxiliary" else 1
            torch.testing.assert_close(losses[key], factor * functional.cross_entropy(outputs[name], target))
    sum(value for key, value in losses.items() if "loss" in key).backward()
    silent = [name for name, p in own.named_parameters() if p.grad is None]
    assert all(name.startswith("embedding") for name in silent)


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match="form='double': DeepLabV2Head has the forms single, cascade, twin, ppm, mmd"):
        head("double")


@torch.no_grad()
def test_the_encoder_is_torchvisions_with_the_last_stride_replaced():
    theirs = resnet50(replace_stride_with_dilation=[False, False, True]).eval()
    ours = MODELS.build(RESNET)
    ours.eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    x = image = torch.randn(1, 3, 40, 56)
    for name, module in theirs.named_children():
        if name in ("avgpool", "fc"):
            break
        x = module(x)
    torch.testing.assert_close(ours(image)[-1], x)
