"""Mask2Former: published names, costs and losses by hand, one head and several, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.models.mask2former import LossSettings, Mask2FormerDecoder, losses, match, query_losses, sine_positions
from rsseg.models.mask2former.losses import _uncertain_points, class_masks, mean_count, sample_points
from rsseg.models.mask2former.transformer import hidden_places

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(channels=32, queries=6, encoder_layers=1, decoder_layers=3, heads=2, encoder_hidden=16, decoder_hidden=16)
FEW = dict(points=64)
SIZES = ((16, 16), (8, 8), (4, 4), (2, 2))


def small(**changes):
    torch.manual_seed(0)
    return Mask2FormerDecoder(**{**dict(in_channels=[8, 16, 32, 64], num_classes=3, loss=FEW), **SMALL, **changes})


def features(n=2, sizes=SIZES):
    torch.manual_seed(1)
    return [torch.randn(n, c, *s) for c, s in zip((8, 16, 32, 64), sizes, strict=True)]


def build(kind, **changes):
    config = dict(
        type=kind,
        backbone=dict(
            type="ResNet", depth=18, stem_channels=8, base_channels=8, style="pytorch", norm_cfg=dict(type="BN")
        ),
        decode_head=dict(type="Mask2FormerDecoder", in_channels=[8, 16, 32, 64], loss=FEW, **SMALL),
        test_cfg=dict(mode="whole"),
    )
    torch.manual_seed(0)
    return MODELS.build(ConfigDict({**config, **changes}))


def sample(labels=None, name=None, size=(32, 32)):
    out = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size))
    if name:
        out.set_metainfo(dict(dataset_name=name))
    if labels is not None:
        out.gt_sem_seg = PixelData(data=torch.as_tensor(labels)[None])
    return out


def pair(name, *shape, bias=True):
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def published():
    """Names and shapes of the released decoder with a classifier of 18 classes, for a ResNet-50."""
    keys = {}
    branches = [(f"input_convs.{i}", width, 1, True) for i, width in enumerate((2048, 1024, 512))]
    for name, width, side, bias in [*branches, ("lateral_convs.0", 256, 1, False), ("output_convs.0", 256, 3, False)]:
        keys |= pair(f"pixel_decoder.{name}.conv", 256, width, side, side, bias=bias)
        keys |= pair(f"pixel_decoder.{name}.gn", 256)
    keys |= pair("pixel_decoder.mask_feature", 256, 256, 1, 1) | {"pixel_decoder.level_encoding.weight": (3, 256)}
    for i in range(6):
        layer = f"pixel_decoder.encoder.layers.{i}"
        for name, out in (("sampling_offsets", 192), ("attention_weights", 96), ("value_proj", 256)):
            keys |= pair(f"{layer}.self_attn.{name}", out, 256)
        keys |= pair(f"{layer}.self_attn.output_proj", 256, 256)
        keys |= pair(f"{layer}.ffn.layers.0.0", 1024, 256) | pair(f"{layer}.ffn.layers.1", 256, 1024)
        keys |= pair(f"{layer}.norms.0", 256) | pair(f"{layer}.norms.1", 256)
    for i in range(9):
        layer = f"transformer_decoder.layers.{i}"
        for name in ("self_attn", "cross_attn"):
            keys |= {f"{layer}.{name}.attn.in_proj_weight": (768, 256), f"{layer}.{name}.attn.in_proj_bias": (768,)}
            keys |= pair(f"{layer}.{name}.attn.out_proj", 256, 256)
        keys |= pair(f"{layer}.ffn.layers.0.0", 2048, 256) | pair(f"{layer}.ffn.layers.1", 256, 2048)
        for k in range(3):
            keys |= pair(f"{layer}.norms.{k}", 256)
    keys |= pair("transformer_decoder.post_norm", 256) | {"level_embed.weight": (3, 256)}
    keys |= {"query_embed.weight": (100, 256), "query_feat.weight": (100, 256)}
    for i in (0, 2, 4):
        keys |= pair(f"mask_embed.{i}", 256, 256)
    return keys | pair("cls_embed", 19, 256)


def test_names_and_shapes_are_those_of_the_release():
    with torch.device("meta"):
        model = Mask2FormerDecoder([256, 512, 1024, 2048], num_classes=18)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == published()


def test_positions_by_hand():
    out = sine_positions((1, 2), 4)
    full = 2 * math.pi
    # y and x of both pixels: sine and cosine of the same angle, as two channels share a rate
    expected = [[0.0, 1, math.sin(full / 2), math.cos(full / 2)], [0, 1, 0, 1]]
    torch.testing.assert_close(out, torch.tensor(expected), atol=1e-4, rtol=0)
    assert sine_positions((3, 5), 32).shape == (15, 32)


def test_queries_look_at_their_masks_or_everywhere():
    masks = torch.tensor([[[[1.0, -1], [0, -2]], [[-1, -1], [-1, -3]]]])
    assert hidden_places(masks, (2, 2)).tolist() == [[[False, True, False, True], [False] * 4]]
    assert hidden_places(masks, (1, 1)).tolist() == [[[False], [False]]]


def test_class_masks_by_hand():
    labels, masks, labelled = class_masks(torch.tensor([[2, 255], [0, 2]]))
    assert labels.tolist() == [0, 2]
    assert masks.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]
    assert labelled.tolist() == [[[1, 0], [1, 1]]]


def test_the_count_of_masks_is_at_least_one():
    target = class_masks(torch.tensor([[0, 1], [2, 255]]))
    assert mean_count([target, target]).item() == 6
    assert mean_count([target, class_masks(torch.full((2, 2), 255))]).item() == 4  # one for the image without a class
    assert mean_count([target, class_masks(torch.full((2, 2), 255))], empty=0).item() == 3
    assert mean_count([]).item() == 1


def test_costs_by_hand():
    scores = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    truth = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1, 1, 1, 1]])
    cost = match(scores, torch.zeros(1, 4), torch.tensor([1, 0]), truth, LossSettings())
    dice = [1 - (2 * 0.5 * k + 1) / (2 + k + 1) for k in (2, 4)]
    expected = [[5 * math.log(2) + 5 * dice[0] - 2 * 0.25, 5 * math.log(2) + 5 * dice[1] - 2 * 0.5]]
    torch.testing.assert_close(cost, torch.tensor(expected))
    counts = torch.tensor([1.0, 1, 0, 0])
    cost = match(scores, torch.tensor([[0.0, 0, 9, -9]]), torch.tensor([1]), truth[:1], LossSettings(), counts)
    torch.testing.assert_close(cost.item(), 5 * math.log(2) + 5 * (1 - 2 / 3) - 2 * 0.25)


def test_points_are_sampled_between_pixels():
    maps = torch.tensor([[[0.0, 4.0]], [[8.0, 8.0]]])
    points = torch.tensor([[[0.25, 0.5], [0.5, 0.5], [0.75, 0.5]]])
    assert sample_points(maps, points).tolist() == [[0, 2, 4], [8, 8, 8]]


def test_points_are_where_masks_are_uncertain():
    torch.manual_seed(0)
    masks = torch.linspace(-8, 8, 64).expand(1, 64, 64)  # the border of the mask is in the middle
    x = _uncertain_points(masks, LossSettings(points=1000))[0, :, 0]
    assert x.shape == (1000,)
    assert ((x[:750] - 0.5).abs() < 0.2).float().mean() > 0.8  # the others are at the image's border, where it is zero
    assert abs(x[750:].mean() - 0.5) < 0.05


@pytest.mark.parametrize("ignore", [False, True])
def test_losses_by_hand(monkeypatch, ignore):
    """Two queries, each with the mask of one class; the points are the four pixels, one of them unlabelled."""
    centres = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])  # the first is the most certain
    monkeypatch.setattr(losses.torch, "rand", lambda n, points, _, device: centres[:points].expand(n, -1, -1))
    chances = torch.tensor([[0.9, 0.75, 0.25, 0.25], [0.1, 0.25, 0.25, 0.75]])
    scores = torch.log(torch.tensor([[[0.1, 0.7, 0.2], [0.6, 0.2, 0.2], [0.1, 0.1, 0.8]]]))
    masks = torch.cat([torch.logit(chances), torch.full((1, 4), -9.0)]).view(1, 3, 2, 2)
    target = class_masks(torch.tensor([[1, 1], [255, 0]]))
    settings = LossSettings(points=4, oversample=1.0, ignore_unlabelled=ignore)
    out = query_losses(scores, masks, [target], torch.tensor(4.0), settings)
    none = 0.1 * math.log(0.8)
    expected = {"loss_cls": -2 * (math.log(0.7) + math.log(0.6) + none) / 2.1}
    if ignore:  # three points; the classes' shares inside are 1.65 of 1.9 and 0.75 of 1.1
        entropy = -(math.log(0.9) + 2 * math.log(0.75)) / 3
        dice = 1 - (2 * 1.65 + 1) / (1.9 + 2 + 1), 1 - (2 * 0.75 + 1) / (1.1 + 1 + 1)
    else:
        entropy = -(math.log(0.9) + 3 * math.log(0.75)) / 4
        dice = 1 - (2 * 1.65 + 1) / (2.15 + 2 + 1), 1 - (2 * 0.75 + 1) / (1.35 + 1 + 1)
    expected |= {"loss_mask": 5 * 2 * entropy / 4, "loss_dice": 5 * sum(dice) / 4}
    assert {name: value.item() for name, value in out.items()} == pytest.approx(expected, rel=1e-5)


def test_classes_are_given_to_queries_at_the_least_cost_as_a_whole():
    """Query 0 is the best for both classes; it gets the one that the other query cannot do."""
    scores = torch.log(torch.tensor([[[0.5, 0.4, 0.1], [0.45, 0.05, 0.5]]]))
    target = class_masks(torch.tensor([[0, 1]]))
    out = query_losses(scores, torch.zeros(1, 2, 4, 4), [target], torch.tensor(2.0), LossSettings(**FEW))
    assert out["loss_cls"].item() == pytest.approx(-2 * (math.log(0.4) + math.log(0.45)) / 2, rel=1e-5)


def test_right_masks_cost_little_and_are_given_to_the_right_queries():
    torch.manual_seed(0)
    labels = torch.zeros(32, 32, dtype=torch.long)
    labels[:, 16:] = 2
    target = class_masks(labels)
    scores = torch.full((1, 3, 4), -10.0)
    scores[0, [0, 1, 2], [2, 3, 0]] = 10.0
    masks = torch.full((1, 3, 32, 32), -20.0)
    masks[0, 0, :, 16:] = masks[0, 2, :, :16] = 20.0
    out = query_losses(scores, masks, [target], mean_count([target]), LossSettings(points=256, importance=0.0))
    assert out["loss_cls"] < 1e-4
    assert sum(out.values()) < 2.0  # what is left comes from the points at the edge
    swapped = query_losses(scores, masks[:, [2, 1, 0]], [target], mean_count([target]), LossSettings(points=256))
    assert sum(swapped.values()) > 20


def test_images_without_labels_only_say_that_there_is_nothing():
    scores = torch.randn(2, 3, 5, requires_grad=True)
    masks = torch.randn(2, 3, 4, 4, requires_grad=True)
    empty = class_masks(torch.full((8, 8), 255))
    out = query_losses(scores, masks, [empty, empty], mean_count([empty, empty]), LossSettings(**FEW))
    sum(out.values()).backward()
    expected = functional.cross_entropy(scores.flatten(0, 1), torch.full((6,), 4))
    torch.testing.assert_close(out["loss_cls"], 2 * expected)
    assert out["loss_mask"] == out["loss_dice"] == 0
    assert not masks.grad.any()


@pytest.mark.parametrize("sizes", [SIZES, ((13, 10), (7, 5), (4, 3), (2, 2)), ((1, 1),) * 4])
def test_any_size(sizes):
    model = small().eval()
    with torch.no_grad():
        layers = model(features(sizes=sizes))
        scores = model.scores(layers, model.cls_embed, (50, 37))
    assert [tuple(q.shape) for q, _ in layers] == [(2, 6, 32)] * 4
    assert {tuple(m.shape) for _, m in layers} == {(2, 6, *sizes[0])}
    assert scores.shape == (2, 3, 50, 37)
    assert torch.isfinite(scores).all()


def test_scores_by_hand():
    model = small(num_classes=2)
    queries, masks = torch.zeros(1, 2, 2), torch.tensor([[[[20.0]], [[0.0]]]])
    chances = torch.log(torch.tensor([[[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]]))
    out = model.scores([(queries, masks)], lambda _: chances, (1, 1))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.5 + 0.5 * 0.2, 0.3 + 0.5 * 0.2]))


def test_images_do_not_see_each_other():
    model, maps = small().eval(), features(3)
    with torch.no_grad():
        together = model(maps)[-1]
        alone = model([m[1:2] for m in maps])[-1]
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    model = small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    labels = torch.randint(0, 3, (2, 8, 8)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    out = model.loss(features(), [sample(x) for x in labels], None)
    sum(out.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_autocast_ends_before_losses_and_scores():
    model, targets = small(), [class_masks(torch.zeros(64, 64, dtype=torch.long))]
    with torch.autocast("cpu", torch.bfloat16):
        layers = model(features(1))
        scores = model.cls_embed(layers[-1][0])
    assert scores.dtype == torch.bfloat16
    outs = []
    for autocast in (True, False):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = query_losses(scores, layers[-1][1], targets, mean_count(targets), LossSettings(**FEW))
            outs.append([*out.values(), model.scores(layers, lambda _: scores, (50, 37))])
    for first, second in zip(*outs, strict=True):
        assert first.dtype == torch.float32
        assert torch.equal(first, second)


def test_the_release_overwrites_where_deformable_attention_starts():
    layers = [small(release_init=x).pixel_decoder.encoder.layers[0].self_attn for x in (False, True)]
    assert [layer.sampling_offsets.bias.any().item() for layer in layers] == [True, False]
    assert [layer.sampling_offsets.weight.any().item() for layer in layers] == [False, True]
    attention = small(release_init=True).transformer_decoder.layers[0].self_attn.attn
    assert attention.in_proj_weight.abs().max() <= math.sqrt(6 / (32 + 96))  # uniform, not normal


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_classes=1), "num_classes=1"),
        (dict(channels=48), "48 channels"),
        (dict(in_channels=[8, 16]), r"\[8, 16\]"),
        (dict(heads=3), "3 heads"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_it_learns_two_halves():
    head = dict(type="Mask2FormerDecoder", in_channels=[8, 16, 32, 64], loss=FEW, num_classes=2, **SMALL)
    model = build("Segmentor", decode_head=head)
    torch.manual_seed(2)
    labels = torch.zeros(64, 64, dtype=torch.long)
    labels[:, 32:] = 1
    image = (labels * 2.0 - 1)[None, None].expand(1, 3, -1, -1) + 0.1 * torch.randn(1, 3, 64, 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(40):
        optimizer.zero_grad()
        sum(model.loss(image, [sample(labels, size=(64, 64))]).values()).backward()
        optimizer.step()
    with torch.no_grad():
        out = model.eval().predict(image, [sample(size=(64, 64))])[0].pred_sem_seg.data[0]
    assert (out == labels).float().mean() > 0.95


def test_windows_have_their_own_size():
    head = dict(type="Mask2FormerDecoder", in_channels=[8, 16, 32, 64], num_classes=3, **SMALL)
    model = build("Segmentor", decode_head=head, test_cfg=dict(mode="slide", crop_size=(64, 64), stride=(43, 43)))
    with torch.no_grad():
        out = model.eval().predict(torch.randn(1, 3, 90, 110), [sample(size=(90, 110))])[0]
    assert out.seg_logits.data.shape == (3, 90, 110)


def test_several_sets_share_everything_but_the_classifier():
    model = build("MultiHeadMask2Former", heads={"a": 3, "b": 5, "ship": 1}).eval()
    assert {name: tuple(head.weight.shape) for name, head in model.heads.items()} == {
        "a": (4, 32),
        "b": (6, 32),
        "ship": (2, 32),
    }
    inputs, labels = torch.randn(3, 3, 64, 64), torch.randint(0, 3, (3, 64, 64))
    labels[0, :8], labels[1] = 255, 255
    samples = [sample(x, name) for x, name in zip(labels, "aba", strict=True)]
    torch.manual_seed(5)
    out = model.loss(inputs, samples)
    sum(out.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert out["b.loss_cls"] > 0  # all queries should say "none"
    assert out["b.loss_mask"] == out["b.loss_dice"] == out["ship.loss_cls"] == 0
    assert not model.heads["ship"].weight.grad.any()
    assert model.heads["a"].weight.grad.any()
    assert set(out) == {f"{s}.loss_{k}" for s in "ab" for k in ("cls", "mask", "dice")} | {"ship.loss_cls"}
    with torch.no_grad():
        torch.manual_seed(5)
        alone = model.loss(inputs[[0, 2]], [samples[0], samples[2]])
    for key in ("a.loss_cls", "a.loss_mask", "a.loss_dice"):
        torch.testing.assert_close(out[key], alone[key], rtol=1e-4, atol=1e-4)


def test_a_pass_for_each_set_gives_the_same_losses():
    inputs, labels = torch.randn(3, 3, 64, 64), torch.randint(0, 3, (3, 64, 64))
    samples = [sample(x, name) for x, name in zip(labels, "aba", strict=True)]
    out = []
    for apart in (False, True):
        model = build("MultiHeadMask2Former", heads={"a": 3, "b": 5}, forward_per_dataset=apart).eval()
        with torch.no_grad():
            torch.manual_seed(5)
            out.append(model.loss(inputs, samples))
    torch.testing.assert_close(*out, rtol=1e-4, atol=1e-4)


def test_predictions_come_from_the_own_head():
    model = build("MultiHeadMask2Former", heads={"a": 3, "ship": 1}).eval()
    image = torch.randn(1, 3, 40, 56).expand(2, -1, -1, -1)
    with torch.no_grad():
        out = model.predict(image, [sample(name=name, size=(40, 56)) for name in ("ship", "a")])
        scores = model(image, mode="tensor")
    assert [tuple(x.seg_logits.data.shape) for x in out] == [(1, 40, 56), (3, 40, 56)]
    torch.testing.assert_close(out[1].seg_logits.data, scores["a"][1])
    assert not out[0].pred_sem_seg.data.any()


@pytest.mark.parametrize(("name", "released"), [("mask2former_r50", False), ("mask2former_r50_release", True)])
def test_configs_build(repo, name, released):
    config = Config.fromfile(repo / f"configs/_base_/models/{name}.py").model
    config.backbone.update(norm_cfg=dict(type="BN"), init_cfg=None)
    config.update(type="MultiHeadMask2Former", heads=dict(sota=18, sior=20))
    model = MODELS.build(config)
    own = {name: tuple(value.shape) for name, value in model.decode_head.state_dict().items()}
    assert own == {name: shape for name, shape in published().items() if not name.startswith("cls_embed")}
    offsets = model.decode_head.pixel_decoder.encoder.layers[0].self_attn.sampling_offsets
    assert bool(offsets.weight.any()) is released
    before = {name: value.clone() for name, value in model.decode_head.state_dict().items()}
    model.init_weights()  # as the runner does
    assert all(torch.equal(value, before[name]) for name, value in model.decode_head.state_dict().items())
