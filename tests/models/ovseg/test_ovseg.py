"""OV-Seg by plain formulas on weights with official names; its losses, a training step, images without masks."""

from __future__ import annotations

import functools
import itertools
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
from torchvision.ops import sigmoid_focal_loss

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine.weights import convert_state
from rsseg.models.gsnet.text import Vocabulary
from rsseg.models.mask2former.losses import class_masks, mean_count
from rsseg.models.ovseg import FocalSettings, OVSeg, focal_losses
from rsseg.models.ovseg.losses import match_masks
from tests.models.regions import official, plain

pytestmark = pytest.mark.usefixtures("mmseg_scope")

PREPROCESSOR = dict(
    type="AnySizePreprocessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size_divisor=1,
)
WORDS = ["road", "tree", "swimming pool"]


@pytest.fixture(scope="module")
def file() -> dict[str, torch.Tensor]:
    return official.weights(official.ovseg(**official.SMALL_OVSEG))


def _model(file: dict[str, torch.Tensor], **changes: Any) -> OVSeg:
    """The model of a file, whose regions are 32 x 32 pixels as CLIP's table of positions says."""
    state, report = convert_state(file)
    config = {**report.model, "vocabulary": WORDS, "data_preprocessor": PREPROCESSOR, **changes}
    model = MODELS.build(config).eval()
    wanted = state if config["mask_prompt"] else {k: v for k, v in state.items() if k != "mask_embedding"}
    model.load_state_dict(wanted)
    return model


def _text(model: OVSeg, file: dict[str, torch.Tensor]) -> torch.Tensor:
    """Fourteen templates, each normalised, then their mean; and "none"."""
    rows = []
    for word in WORDS:
        prompts = Vocabulary([word], "vild").prompts
        parts = [functional.normalize(model.clip.encode_text(_tokenizer()([text]))[0], dim=0) for text in prompts]
        rows.append(functional.normalize(torch.stack(parts).mean(0), dim=0))
    none = file["clip_adapter.non_object_embedding"][0]
    return torch.stack([*rows, none / none.norm()])


@functools.cache
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def _plain_scores(
    model: OVSeg, w: dict[str, torch.Tensor], raw: torch.Tensor, depth: int, release_defects: bool = False
) -> torch.Tensor:
    """Scores (N, H, W) of an image (3, H, W) from 0 to 255."""
    mean, std = (torch.tensor(PREPROCESSOR[key])[:, None, None] for key in ("mean", "std"))
    height, width = raw.shape[1:]
    image = functional.pad((raw - mean) / std, (0, -width % 32, 0, -height % 32))[None]
    embeddings, masks = plain.maskformer(w, plain.resnet(w, image, (3, 4, 6, 3)), 2)[-1]
    masks = functional.interpolate(masks, image.shape[2:], mode="bilinear")[0, :, :height, :width].sigmoid()
    text = _text(model, w)
    own = plain.cosines(embeddings[0], text).softmax(-1)[:, :-1]
    prefix = "clip_adapter.clip_model.visual."
    prompts, total = w[f"{prefix}mask_embedding"], torch.zeros(len(WORDS), height, width)
    for q, mask in enumerate(masks):
        seen = torch.ones(len(WORDS)) if release_defects else own[q]
        if (mask > 0.5).any():
            crop, cut = plain.region(raw, mask > 0.5, 32)
            inside = plain.patches(cut, 8)[:, None]

            def prompt(block: int, x: torch.Tensor, inside: torch.Tensor = inside) -> torch.Tensor:
                return x * inside + prompts[block] * (1 - inside) if block < depth else x

            last = plain.clip_blocks(w, prefix, crop[None], True, prompt)[-1]
            seen = plain.cosines(plain.clip_feature(w, prefix, last), text).softmax(-1)[0, :-1]
        total += (own[q] ** 0.3 * seen**0.7)[:, None, None] * mask
    return total


def _input(raw: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(PREPROCESSOR[key])[:, None, None] for key in ("mean", "std"))
    return ((raw - mean) / std)[None]


@torch.no_grad()
@pytest.mark.parametrize("depth", [0, 3])
def test_scores_by_plain_formulas(file: dict[str, torch.Tensor], depth: int) -> None:
    pytest.importorskip("open_clip")
    torch.manual_seed(0)
    raw, model = 255 * torch.rand(3, 52, 70), _model(file, mask_prompt=depth)
    out = model.encode_decode(_input(raw))
    assert out.shape == (1, 3, 52, 70)
    torch.testing.assert_close(out[0], _plain_scores(model, file, raw, depth), rtol=2e-3, atol=2e-4)
    probabilities = model.inference(_input(raw))[0]
    torch.testing.assert_close(probabilities, out[0] / out[0].sum(0).clamp(min=1))
    twice = model.predict(_input(raw), [SegDataSample(metainfo=dict(ori_shape=(104, 140)))])[0].seg_logits.data
    larger = functional.interpolate(out, (104, 140), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(twice, larger / larger.sum(0).clamp(min=1))


@torch.no_grad()
def test_layers_by_plain_formulas(file: dict[str, torch.Tensor]) -> None:
    """In training each layer proposes; without dropout as the plain decoder does, whose pyramid rounds down."""
    pytest.importorskip("open_clip")
    model, image = _model(file).train(), torch.randn(2, 3, 64, 96)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    layers, _ = model.propose(image)
    expected = plain.maskformer(file, plain.resnet(file, image, (3, 4, 6, 3)), 2)
    text = _text(model, file)
    assert len(layers) == len(expected) == 2
    torch.testing.assert_close(model.texts(), text)
    for (own, masks), (embeddings, their_masks) in zip(layers, expected, strict=True):
        scores = model.class_logits(own, model.texts())
        assert masks.shape == (2, 6, 16, 24)
        torch.testing.assert_close(masks, their_masks, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(scores, plain.cosines(embeddings, text), rtol=1e-3, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("masks", [0, 1])
def test_images_with_one_mask_or_none(file: dict[str, torch.Tensor], masks: int) -> None:
    """Where CLIP sees nothing, the queries alone decide; the release's bonus for empty masks is an option."""
    image = torch.randn(1, 3, 40, 40)
    for release_defects in (False, True):
        model = _model(file, release_defects=release_defects)
        scores, logits = torch.randn(6, 4), torch.full((6, 40, 40), 0.1)
        logits[:masks] = 0.9
        out = model.name_regions(image, scores, logits, None, model.texts())
        own = scores.softmax(-1)[:, :-1]
        torch.testing.assert_close(out[masks:], own[masks:] ** (0.3 if release_defects else 1.0))
        assert out.isfinite().all() and out.shape == (6, 3)
    model.mask_threshold = 1.0
    assert model.inference(image).isfinite().all()
    model.clip_weight = 0.0
    torch.testing.assert_close(model.name_regions(image, scores, logits, None, model.texts()), own)


def test_losses_by_other_means() -> None:
    """Focal loss is torchvision's; dice and cross-entropy by hand; who gets what is what costs least."""
    torch.manual_seed(0)
    scores, masks = torch.randn(2, 4, 4), 3 * torch.randn(2, 4, 5, 6)
    labels = torch.randint(0, 3, (2, 10, 12))
    labels[0][labels[0] == 1] = 255
    targets, settings = [class_masks(label) for label in labels], FocalSettings()
    assert mean_count(targets, empty=0) == 5
    out = focal_losses(scores, masks, targets, torch.tensor(5.0), settings)
    wanted, focal, dice = torch.full((2, 4), 3), 0.0, 0.0
    for i, target in enumerate(targets):
        truth = functional.interpolate(target.masks[:, None], (5, 6), mode="nearest")[:, 0]
        best, chosen = None, None
        for order in itertools.permutations(range(4), len(truth)):
            cost = 0.0
            for k, q in enumerate(order):
                logit, own = masks[i, q], truth[k]
                share = logit.sigmoid()
                cost += 20 * float(sigmoid_focal_loss(logit, own, 0.25, 2, "mean"))
                cost += 1 - float((2 * (share * own).sum() + 1) / (share.sum() + own.sum() + 1))
                cost -= float(scores[i, q].softmax(0)[target.labels[k]])
            if best is None or cost < best:
                best, chosen = cost, order
        assert chosen is not None
        for k, q in enumerate(chosen):
            wanted[i, q] = target.labels[k]
            large = functional.interpolate(masks[i, q][None, None], (10, 12), mode="bilinear")[0, 0]
            focal += sigmoid_focal_loss(large, target.masks[k], 0.25, 2, "mean")
            share = large.sigmoid()
            dice += 1 - (2 * (share * target.masks[k]).sum() + 1) / (share.sum() + target.masks[k].sum() + 1)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.1])
    own = -scores.log_softmax(-1).gather(2, wanted[..., None])[..., 0]
    torch.testing.assert_close(out["loss_cls"], (own * weight[wanted]).sum() / weight[wanted].sum())
    torch.testing.assert_close(out["loss_mask"], 20 * focal / 5)
    torch.testing.assert_close(out["loss_dice"], dice / 5)


def test_a_match_by_hand() -> None:
    """One pixel, logit 0: focal terms are weight * 0.25 * log 2; dice of 0.5 against 1 is 1 - 2 / 2.5."""
    cost = match_masks(torch.zeros(1, 2), torch.zeros(1, 1), torch.tensor([0]), torch.ones(1, 1), FocalSettings())
    expected = 20 * 0.25 * 0.25 * torch.tensor(2.0).log() + (1 - 2 / 2.5) - 0.5
    torch.testing.assert_close(cost, expected.reshape(1, 1))


def _sample(labels: torch.Tensor) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=labels[None]))


def test_a_step_trains_all_but_clip_and_the_first_stages(file: dict[str, torch.Tensor]) -> None:
    model = _model(file).train()
    assert not model.clip.training
    labels = torch.randint(0, 3, (2, 50, 64))
    labels[1] = 255  # an image without labels
    losses = model.loss(torch.randn(2, 3, 50, 64), [_sample(label) for label in labels])
    assert set(losses) == {"loss_cls", "loss_mask", "loss_dice"}
    assert all(value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    frozen = ("clip.", "backbone.stem.", "backbone.layer1.", "mask_embedding")
    assert without == {name for name, _ in model.named_parameters() if name.startswith(frozen)}


def test_half_precision_gives_nearly_the_same(file: dict[str, torch.Tensor]) -> None:
    model, image = _model(file), torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out = model.inference(image)
        assert out.dtype == torch.float32 and out.isfinite().all() and out.min() >= 0 and out.max() <= 1
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train().loss(image, [_sample(torch.randint(0, 3, (64, 64)))])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


@torch.no_grad()
def test_texts_are_not_rounded_in_half_precision(file: dict[str, torch.Tensor]) -> None:
    """A cosine that is wrong by 0.003 is a logit that is wrong by 0.3."""
    model, other = _model(file), _model(file)
    with torch.autocast("cpu", torch.bfloat16):
        texts = other.texts()
    torch.testing.assert_close(texts, model.texts())
    torch.testing.assert_close(texts.norm(dim=-1), torch.ones(4))


@pytest.mark.parametrize("sizes", [{}, dict(crop_size=512, stride=(32, 32)), dict(crop_size=(64, 64), stride=32)])
def test_windows_without_sizes_are_named(file: dict[str, torch.Tensor], sizes: dict[str, Any]) -> None:
    model = _model(file, test_cfg=dict(mode="slide", **sizes))
    with pytest.raises(ValueError, match=r"mode='slide' needs crop_size=\(height, width\) and stride="):
        model.inference(torch.zeros(1, 3, 64, 64))


def test_an_image_set_without_any_label(file: dict[str, torch.Tensor]) -> None:
    """All queries are for "none": masks have no loss, and still everything that is trained has a gradient."""
    model = _model(file).train()
    losses = model.loss(torch.randn(2, 3, 50, 64), [_sample(torch.full((50, 64), 255))] * 2)
    assert losses["loss_mask"] == losses["loss_dice"] == 0 and losses["loss_cls"] > 0
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.proposals.parameters())


def test_any_vocabulary_and_windows(file: dict[str, torch.Tensor]) -> None:
    model, images = _model(file), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        out = model.inference(images)
        assert out.shape == (2, 3, 64, 96)
        model.set_vocabulary(["tree", "swimming pool", "road"])
        torch.testing.assert_close(model.inference(images), out[:, [1, 2, 0]], rtol=1e-3, atol=1e-4)
        model.set_vocabulary(["runway"])
        several = model.predict([images[0], images[1, :, :40]])
        assert [tuple(sample.seg_logits.data.shape) for sample in several] == [(1, 64, 96), (1, 40, 96)]
        model.test_cfg = dict(mode="slide", crop_size=(64, 64), stride=(32, 32))
        assert model.inference(images).shape == (2, 1, 64, 96)


def test_it_learns_an_image(file: dict[str, torch.Tensor]) -> None:
    model, image = _model(file, mask_prompt=0).train(), torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1.0
    labels = torch.zeros(64, 64, dtype=torch.long)
    labels[:, 32:] = 2
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 1e-3)
    totals = []
    for _ in range(20):
        optimizer.zero_grad()
        total = sum(model.loss(image, [_sample(labels)]).values())
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    assert min(totals[-5:]) < 0.6 * totals[0]


def test_rates_and_what_does_not_decay(file: dict[str, torch.Tensor], repo: Path) -> None:
    wrapper = Config.fromfile(repo / "configs/_base_/schedules/ovseg_30k.py").optim_wrapper
    model = _model(file)
    names = {id(value): name for name, value in model.named_parameters() if value.requires_grad}
    found = {
        names[id(group["params"][0])]: (group["lr"], group["weight_decay"])
        for group in build_optim_wrapper(model, wrapper).optimizer.param_groups
        if id(group["params"][0]) in names
    }
    assert len(found) == len(names)
    assert {name for name, (rate, _) in found.items() if rate == pytest.approx(2e-5)} == {
        name for name in found if name.startswith("backbone.")
    }
    still = {name for name, (_, decay) in found.items() if decay == 0}
    norms = ("norm", ".gn.")
    assert still == {name for name in found if any(norm in name for norm in norms) or "query_embed" in name}
    assert "no_object" not in still


def test_mistakes_are_named(file: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="mask_prompt=5: expected 0 to 4, the blocks of CLIP"):
        _model(file, mask_prompt=5)
    with pytest.raises(ValueError, match=r"clip_weight=1.5: expected a number from 0 to 1"):
        _model(file, clip_weight=1.5)
    clip = dict(convert_state(file)[1].model["clip"], resolution=64)
    with pytest.raises(ValueError, match="gives 8 patches a side, but the prompts are for 4"):
        _model(file, clip=clip)
    with pytest.raises(ValueError, match="label 3: expected 0 to 2, the classes of the vocabulary"):
        _model(file).loss(torch.zeros(1, 3, 64, 64), [_sample(torch.full((64, 64), 3))])
