"""SCAN by plain formulas on weights with official names; the draw, the supervised layers, a training step."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine.weights import convert_state
from rsseg.models.mask2former.losses import LossSettings, class_masks, query_losses
from rsseg.models.regions.classifier import Regions
from rsseg.models.regions.segmentor import Proposal
from rsseg.models.scan import SCAN, FrequencyFilter, draw_outside
from tests.models.regions import official, plain

pytestmark = pytest.mark.usefixtures("mmseg_scope")

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
PREPROCESSOR = dict(type="AnySizePreprocessor", mean=MEAN, std=STD, bgr_to_rgb=True, size_divisor=1)
WORDS = ["road", "tree", "swimming pool"]
CHANGES = dict(prior_blocks=(2, 3, 4), shift_blocks=(1, 3), shift_share=0.4, mask_threshold=0.4)
SHIFT = {"tower": "clip_adapter.clip_model.visual.", "copy": "clip_adapter.original_clip."}


@pytest.fixture(scope="module")
def file() -> dict[str, torch.Tensor]:
    return official.weights(official.scan(**official.SMALL_SCAN))


def _model(file: dict[str, torch.Tensor], **changes: Any) -> SCAN:
    state, report = convert_state(file, settings=dict(prior_blocks=(2, 3, 4), shift_blocks=(1, 3)))
    config = {**report.model, "vocabulary": WORDS, "data_preprocessor": PREPROCESSOR, **CHANGES}
    model = MODELS.build({**config, "loss": dict(points=64), **changes}).eval()
    model.load_state_dict(state)
    return model


def _normal(raw: torch.Tensor) -> torch.Tensor:
    return (raw - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def _text(model: SCAN, file: dict[str, torch.Tensor]) -> torch.Tensor:
    none = file["clip_adapter.non_object_embedding"]
    return torch.cat([model.embed_text(), none / none.norm()])


def _look(w: dict[str, torch.Tensor], raw: torch.Tensor, padded: bool) -> list[torch.Tensor]:
    """What the copy's blocks give for an image (3, H, W) from 0 to 255, squeezed to 32 x 32, nearest."""
    image = (raw - plain.MEAN) / plain.STD
    if padded:
        image = functional.pad(image, (0, -raw.shape[2] % 32, 0, -raw.shape[1] % 32))
    rows, columns = (torch.arange(32) * length // 32 for length in image.shape[1:])
    return plain.clip_blocks(w, SHIFT["copy"], image[:, rows][:, :, columns][None], False)


def _prior(w: dict[str, torch.Tensor], blocks: list[torch.Tensor]) -> torch.Tensor:
    maps = [blocks[i - 1][:, 1:].mT.unflatten(2, (4, 4)) for i in (2, 3, 4)]
    tokens = torch.cat([plain.low_pass(w, m, s).flatten(2).mT for m, s in zip(maps, (9, 7, 3), strict=True)], 1)
    return plain.linear(w, "oriclip_mlp.fc2", plain.linear(w, "oriclip_mlp.fc1", tokens))


@torch.no_grad()
def test_layers_by_plain_formulas(file: dict[str, torch.Tensor]) -> None:
    """All of the head but the backbone, of which the converter's own tests say that it is Swin."""
    pytest.importorskip("open_clip")
    torch.manual_seed(0)
    raw, model = 255 * torch.rand(3, 64, 96), _model(file)
    model.training = True  # all layers, without dropout in the parts
    layers, prior = model.propose(_normal(raw)[None])
    blocks = _look(file, raw, padded=False)
    tokens, image = _prior(file, blocks), plain.clip_feature(file, SHIFT["copy"], blocks[-1])
    torch.testing.assert_close(prior.tokens, tokens, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(prior.image, image, rtol=1e-3, atol=1e-4)
    maps = model.backbone(_normal(raw)[None])
    expected = plain.query_decoder(file, *plain.pixel_decoder(file, list(maps), 2), 3)
    assert len(layers) == len(expected) == 4
    for (own, masks), (embeddings, their_masks) in zip(layers, expected, strict=True):
        scores = model.class_logits(own, model.texts())
        torch.testing.assert_close(masks, their_masks, rtol=1e-3, atol=1e-4)
        embeddings = plain.calibrate(file, embeddings, tokens, image, 3)
        torch.testing.assert_close(scores, plain.cosines(embeddings, _text(model, file)), rtol=1e-3, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("release_defects", [False, True])
def test_scores_by_plain_formulas(
    file: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, release_defects: bool
) -> None:
    """The draw is the first places outside of a region; the release's prior sees the padding."""
    pytest.importorskip("open_clip")
    torch.manual_seed(1)
    raw, model = 255 * torch.rand(3, 50, 70), _model(file, release_defects=release_defects)
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))
    monkeypatch.setattr(random, "sample", lambda places, count: places[:count])
    layers, _ = model.propose(_normal(raw)[None])
    assert len(layers) == 1
    blocks = _look(file, raw, padded=release_defects)
    tokens, image = _prior(file, blocks), plain.clip_feature(file, SHIFT["copy"], blocks[-1])
    maps = model.backbone(functional.pad(_normal(raw), (0, 26, 0, 14))[None])
    embeddings, masks = plain.query_decoder(file, *plain.pixel_decoder(file, list(maps), 2), 3)[-1]
    text = _text(model, file)
    own = plain.cosines(plain.calibrate(file, embeddings, tokens, image, 3)[0], text).softmax(-1)[:, :-1]
    masks = functional.interpolate(masks, (64, 96), mode="bilinear")[0, :, :50, :70].sigmoid()
    expected = torch.zeros(3, 50, 70)
    for q, mask in enumerate(masks):
        seen = torch.ones(3) if release_defects else own[q]
        if (mask > 0.4).any():
            crop, cut = plain.region(raw, mask > 0.4, 32)
            outside = (plain.patches(cut, 8) == 0).nonzero().flatten().tolist()
            drawn = outside[: int(0.4 * len(outside))]

            def shift(block: int, x: torch.Tensor, drawn: list[int] = drawn) -> torch.Tensor:
                if block in (1, 3):
                    x = x.clone()
                    x[:, drawn] = blocks[block - 1][:, 0]
                return x

            last = plain.clip_blocks(file, SHIFT["tower"], crop[None], False, shift)[-1]
            feature = plain.clip_feature(file, SHIFT["tower"], last)
            seen = plain.cosines(feature, text).softmax(-1)[0, :-1]
        expected += (own[q] ** 0.3 * seen**0.7)[:, None, None] * mask
    torch.testing.assert_close(model.encode_decode(_normal(raw)[None])[0], expected, rtol=2e-3, atol=2e-4)


def test_the_gate_keeps_low_frequencies() -> None:
    """A constant is in the spectrum's corner, far from the middle; a chessboard in the middle, where the gate is 0."""
    layer = FrequencyFilter(1)
    with torch.no_grad():
        for conv in (layer.conv1, layer.conv2):
            conv.weight.copy_(torch.eye(2)[..., None, None])
            conv.bias.zero_()
        constant = torch.full((1, 1, 8, 8), 2.0)
        gate = 1 - torch.exp(torch.tensor(-(4.0**2 + 4**2) / (2 * 3**2)))
        torch.testing.assert_close(layer(constant, 3.0), constant * (1 + gate))
        board = torch.ones(8, 8)
        board[::2, ::2] = board[1::2, 1::2] = -1
        torch.testing.assert_close(layer(-board[None, None], 3.0), -board[None, None])
        half = layer(constant, 3.0).half()
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(constant, 3.0).half(), half)


def test_what_is_drawn_outside() -> None:
    inside = torch.zeros(3, 50, dtype=torch.bool)
    inside[1] = True
    inside[2, :31] = True

    def draw() -> torch.Tensor:
        return draw_outside(inside, 0.15, torch.Generator().manual_seed(0))

    chosen = draw()
    assert chosen.sum(1).tolist() == [7, 0, 2]  # 7.5 and 2.85, rounded down
    assert not (chosen & inside).any()
    assert torch.equal(chosen, draw())
    random.seed(0)
    first = draw_outside(inside, 0.15)
    assert first.sum(1).tolist() == [7, 0, 2] and not (first & inside).any()
    expected = torch.zeros(50, dtype=torch.bool)
    random.seed(0)
    expected[random.sample(range(50), 7)] = True
    assert torch.equal(first[0], expected)
    assert not torch.equal(draw_outside(inside, 0.15), first)


@torch.no_grad()
def test_tests_give_the_same_twice_unless_as_released(file: dict[str, torch.Tensor]) -> None:
    image, model = torch.randn(1, 3, 64, 64), _model(file)
    state = torch.get_rng_state()
    assert torch.equal(model.inference(image), model.inference(image))
    assert torch.equal(state, torch.get_rng_state())  # the draw is no one else's
    regions = Regions(torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32), torch.ones(2).bool())
    prior = model.see(image)
    places, inside = torch.zeros(2, 16, 64), torch.zeros(2, 16).bool()
    for depth in range(5):
        out = model.change_outside(regions, prior)(depth, places, inside, slice(0, 2))
        changed = (out != 0).any(-1)
        assert changed.sum(1).tolist() == ([6, 6] if depth in (1, 3) else [0, 0])
        if depth in (1, 3):
            assert torch.equal(out[changed], prior.classes[depth - 1].expand(12, -1))
    model.release_defects = True
    several = [model.change_outside(regions, prior)(1, places, inside, slice(0, 2)) for _ in range(4)]
    assert any(not torch.equal(several[0], other) for other in several[1:])


def test_the_releases_tenth_layer(file: dict[str, torch.Tensor]) -> None:
    """Nine layers give ten outputs, all with a loss; the release has one more, of which the last but one has none."""
    report = convert_state(file, settings=dict(prior_blocks=(2, 3, 4), shift_blocks=(1, 3)))[1]
    config = {**report.model, "vocabulary": WORDS}
    config["proposals"] = {k: v for k, v in config["proposals"].items() if k != "decoder_layers"}
    outputs = [Proposal(torch.zeros(0), torch.zeros(0)) for _ in range(11)]
    for release_defects, layers in ((False, 9), (True, 10)):
        model = MODELS.build({**config, "release_defects": release_defects})
        assert len(model.proposals.transformer_decoder.layers) == layers
        kept = model.supervised(outputs[: layers + 1])
        assert len(kept) == 10 and kept[-1] is outputs[layers]
        assert any(layer is outputs[9] for layer in kept) is not release_defects
    assert model.settings == LossSettings()


def _sample(labels: torch.Tensor) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=labels[None]))


def test_losses_are_those_of_mask2former(file: dict[str, torch.Tensor]) -> None:
    """Sums over the layers; masks are counted without the image that has no class."""
    model = _model(file)
    labels = torch.randint(0, 3, (2, 64, 64))
    labels[1] = 255
    image, samples = torch.randn(2, 3, 64, 64), [_sample(label) for label in labels]
    model.training = True
    torch.manual_seed(0)
    out = model.loss(image, samples)
    torch.manual_seed(0)
    targets = [class_masks(label) for label in labels]
    proposals, text = model.propose(image)[0], model.texts()
    parts = [
        query_losses(model.class_logits(own, text), masks, targets, torch.tensor(3.0), model.settings)
        for own, masks in proposals
    ]
    assert len(parts) == 4
    for name in ("loss_cls", "loss_mask", "loss_dice"):
        torch.testing.assert_close(out[name], sum(part[name] for part in parts))


def test_a_step_trains_all_but_clip(file: dict[str, torch.Tensor]) -> None:
    model = _model(file, release_defects=True).train()
    assert not model.clip.training and not model.original.training
    labels = torch.randint(0, 3, (2, 50, 64))
    labels[1] = 255  # an image without labels
    losses = model.loss(torch.randn(2, 3, 50, 64), [_sample(label) for label in labels])
    assert all(value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    assert without == {name for name, _ in model.named_parameters() if name.startswith(("clip.", "original."))}


def test_half_precision_gives_nearly_the_same(file: dict[str, torch.Tensor]) -> None:
    model, image = _model(file), torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out = model.inference(image)
        assert out.dtype == torch.float32 and out.isfinite().all() and out.min() >= 0 and out.max() <= 1
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train().loss(image, [_sample(torch.randint(0, 3, (64, 64)))])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_any_vocabulary_and_sizes(file: dict[str, torch.Tensor]) -> None:
    model, images = _model(file), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        out = model.inference(images)
        model.set_vocabulary(["tree", "swimming pool", "road"])
        torch.testing.assert_close(model.inference(images), out[:, [1, 2, 0]], rtol=1e-3, atol=1e-4)
        several = model.predict([images[0], images[1, :, :40]])
        assert [tuple(sample.seg_logits.data.shape) for sample in several] == [(3, 64, 96), (3, 40, 96)]


def test_files_of_clip_go_into_both_towers(file: dict[str, torch.Tensor], tmp_path: Path) -> None:
    model = _model(file)
    torch.save({key: value + 1 for key, value in model.clip.state_dict().items()}, tmp_path / "clip.pt")
    model.clip.weights = str(tmp_path / "clip.pt")
    before = model.clip.visual.proj.clone()
    model.init_weights()
    torch.testing.assert_close(model.clip.visual.proj, before + 1)
    for key, value in model.clip.visual.state_dict().items():
        assert torch.equal(model.original.state_dict()[key], value)


def test_rates_and_what_does_not_decay(file: dict[str, torch.Tensor], repo: Path) -> None:
    wrapper = Config.fromfile(repo / "configs/_base_/schedules/scan_30k.py").optim_wrapper
    model = _model(file)
    names = {id(value): name for name, value in model.named_parameters() if value.requires_grad}
    found = {
        names[id(group["params"][0])]: (group["lr"], group["weight_decay"])
        for group in build_optim_wrapper(model, wrapper).optimizer.param_groups
        if id(group["params"][0]) in names
    }
    assert len(found) == len(names)
    assert {rate for rate, _ in found.values()} == {6e-5}
    still = {name for name, (_, decay) in found.items() if decay == 0}
    kept = ("norm", ".gn.", "query_embed", "query_feat", "level_embed", "relative_position_bias_table")
    assert still == {name for name in found if any(part in name for part in kept)}
    assert {"no_object", "proposals.pixel_decoder.level_encoding.weight", "calibration.image_weight"}.isdisjoint(still)


def test_mistakes_are_named(file: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match=r"prior_blocks=\(2, 5\): expected numbers from 1 to 4, the blocks of CLIP"):
        _model(file, prior_blocks=(2, 5), prior_sigmas=(1, 2))
    with pytest.raises(ValueError, match=r"shift_share=1.5: expected a number from 0 to 1"):
        _model(file, shift_share=1.5)
    with pytest.raises(ValueError, match=r"shift_blocks=\(0,\): expected numbers from 1 to 4"):
        _model(file, shift_blocks=(0,))
    with pytest.raises(ValueError, match=r"prior_sigmas=\(1,\): expected one for each of prior_blocks=\(2, 3, 4\)"):
        _model(file, prior_sigmas=(1,))
