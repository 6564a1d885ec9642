"""EBSeg: its towers and heads against plain forms, sizes and losses by hand, a training step, any vocabulary."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.models.ebseg import EBSeg, EmbeddedProposals
from rsseg.models.ebseg.proposals import pool_masks
from rsseg.models.gsnet import CLIP
from rsseg.models.mask2former.losses import class_masks
from rsseg.models.san import recognise

pytestmark = pytest.mark.usefixtures("mmseg_scope")

NAMES = ["road", "tree", "sea"]
CLIP_SMALL = dict(
    type="CLIP",
    visual=dict(width=32, layers=6, heads=2, patch=8, grid=4),
    text=dict(width=32, layers=1, heads=2),
    embed=16,
    resolution=32,
)
SAM_SMALL = dict(width=32, layers=4, heads=2, patch=16, grid=4, window=3, taps=(0, 1, 2, 3))
SIZES = dict(channels=32, queries=5, encoder_layers=1, decoder_layers=2, heads=2, encoder_hidden=32, decoder_hidden=32)


def _noise(module: nn.Module) -> Any:
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return module


def _model(**changes: Any) -> EBSeg:
    torch.manual_seed(0)
    config = dict(type="EBSeg", clip=CLIP_SMALL, sam=SAM_SMALL, proposals=SIZES, taps=(1, 2, 4), loss=dict(points=64))
    return _noise(MODELS.build({**config, "vocabulary": NAMES, **changes}).eval())


def _sample(labels: torch.Tensor) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=labels[None]))


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        model = MODELS.build(dict(type="EBSeg", clip=dict(type="CLIP", resolution=320), vocabulary="landdiscover"))
    trained = {name: value.numel() for name, value in model.named_parameters() if value.requires_grad}
    assert sum(value.numel() for value in model.parameters()) == 261_829_572
    assert sum(trained.values()) == 26_622_403
    assert trained.pop("sam.pos_embed") == 3_145_728 and trained.pop("clip.visual.positional_embedding") == 151_296
    assert trained.pop("background") == 512 and sum(trained.values()) == 23_324_867
    assert all(name.startswith("proposals.") for name in trained)
    assert model.sam.blocks[0].norm1.eps == 1e-6 and model.proposals.clip_fusion_layers[0][0].eps == 1e-6
    assert [block.window_size for block in model.sam.blocks] == [14, 14, 0] * 4
    assert model.window == 640 and len(model.vocabulary.prompts) == 40 * 14


def test_clips_second_path_takes_attention_among_values_only() -> None:
    model, images = _model(), torch.randn(2, 3, 32, 48)
    visual = model.clip.visual
    with torch.no_grad():
        seen = model._look(images, places=True)
        x = visual.tokens(images)
        beside = None
        for i, block in enumerate(visual.transformer.resblocks):
            y, own = block.ln_1(x), block.attn
            if i >= 1:  # a sixth of six blocks come before
                v = functional.linear(y, own.v_proj_weight, own.in_proj_bias[64:])
                parts = []
                for part in (v[..., :16], v[..., 16:]):
                    parts.append((part @ part.transpose(1, 2) / 4).softmax(-1) @ part)
                new = functional.linear(torch.cat(parts, -1), own.out_proj.weight, own.out_proj.bias)
                beside = (x if beside is None else beside) + new
            x = block(x)
            if i + 1 == 4:
                torch.testing.assert_close(seen.tokens, x)
                torch.testing.assert_close(seen.maps[2][1, :, 2, 5], x[1, 1 + 2 * 6 + 5])
        assert beside is not None
        features = functional.layer_norm(beside, (32,), visual.ln_post.weight, visual.ln_post.bias, 1e-5) @ visual.proj
    assert seen.places is not None and seen.places.shape == (2, 16, 4, 6)
    expected = features[1, 1 + 3 * 6 + 2]
    torch.testing.assert_close(seen.places[1, :, 3, 2], expected / expected.norm(), rtol=1e-4, atol=1e-5)
    assert model._look(images, places=False).places is None


def test_a_query_sees_itself_and_the_places_of_an_oblong_image() -> None:
    torch.manual_seed(0)
    clip = _noise(CLIP(**{key: value for key, value in CLIP_SMALL.items() if key != "type"}, taps=()))
    tokens, bias = torch.randn(1, 1 + 2 * 3, 32), torch.randn(1, 2, 4, 8, 12)
    with torch.no_grad():
        out = recognise(clip, tokens, bias, 5, (2, 3))
        block = clip.visual.transformer.resblocks[5]
        y, own = block.ln_1(tokens), block.attn
        weights = (own.q_proj_weight, own.k_proj_weight, own.v_proj_weight)
        q, k, v = (functional.linear(y[0], w, b) for w, b in zip(weights, own.in_proj_bias.chunk(3), strict=True))
        for query in range(4):
            parts = []
            for head in range(2):
                part = slice(16 * head, 16 * head + 16)
                scores = q[0, part] @ k[:, part].T / 4  # the copy is the class token still: its own key is row 0
                for place in range(6):
                    r, c = place // 3, place % 3
                    scores[1 + place] += bias[0, head, query, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].max()
                parts.append(scores.softmax(0) @ v[:, part])
            x = tokens[0, 0] + functional.linear(torch.cat(parts), own.out_proj.weight, own.out_proj.bias)
            x = x + block.mlp(block.ln_2(x))
            expected = clip.visual.ln_post(x) @ clip.visual.proj
            torch.testing.assert_close(out[0, query], expected / expected.norm(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_means_within_masks_that_half_precision_cannot_count(dtype: torch.dtype) -> None:
    maps, masks = torch.ones(1, 2, 300, 300, dtype=dtype), torch.ones(1, 3, 300, 300, dtype=dtype)
    maps[:, 1, 150:] = 3.0
    masks[:, 1, :150], masks[:, 2] = -1.0, -1.0  # the lower half, and nothing
    expected = torch.tensor([[[1.0, 2.0], [1.0, 3.0], [0.0, 0.0]]], dtype=dtype)  # of 90,000 places
    torch.testing.assert_close(pool_masks(maps, masks), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(pool_masks(maps, masks), expected)


def test_proposals_by_hand() -> None:
    torch.manual_seed(0)
    own = _noise(EmbeddedProposals([32] * 4, 24, 2, 16, **SIZES)).eval()
    maps = [torch.randn(1, 32, 32 // 2**i, 32 // 2**i) for i in range(4)]
    clip = [torch.randn(1, 24, 4, 4) for _ in range(3)]
    with torch.no_grad():
        own.logit_scale.fill_(12.0)
        out = own(maps, clip)
        fused = own.fuse(maps, clip)
        layers, mask_map = own.propose(fused)
        assert torch.equal(fused[0], maps[0])
        place = clip[2][0, :, 1, 2]
        place = (place - place.mean()) / (place.var(unbiased=False) + 1e-6).sqrt()
        norm, conv = own.clip_fusion_layers[2]
        place = conv.weight[:, :, 0, 0] @ (place * norm.weight + norm.bias) + conv.bias
        torch.testing.assert_close(fused[3][0, :, 1, 2], maps[3][0, :, 1, 2] + place, rtol=1e-4, atol=1e-5)
        assert len(out) == 3
        queries, masks = layers[1]
        inside = masks[0, 3] > 0
        pooled = mask_map[0, :, inside].mean(1) if inside.any() else torch.zeros(32)
        embedding = own.mask_embed1(own.pool_proj(pooled) + queries[0, 3])
        torch.testing.assert_close(out[1].embeddings[0, 3], 10 * embedding / embedding.norm(), rtol=1e-4, atol=1e-5)
        heads = own.attn_proj(mask_map[0, :, 5, 6]).view(2, 32)
        bias = heads[1] @ own.mask_embed(queries[0, 3]) * own.bias_scaling.weight[0, 0] + own.bias_scaling.bias[0]
        torch.testing.assert_close(out[1].bias[0, 1, 3, 5, 6], bias, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(out[1].masks, masks)
        (last,) = own(maps, clip, last=True)
        torch.testing.assert_close(last.embeddings, out[2].embeddings)


def test_what_each_tower_sees() -> None:
    model = _model()
    pixels = torch.randint(0, 256, (1, 3, 50, 70)).float()
    mean, std = (
        torch.tensor(own).view(3, 1, 1)
        for own in ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.3231630))
    )
    normalised, inputs = (pixels - mean) / std, {}
    model.sam.forward = lambda images: inputs.update(sam=images)  # type: ignore[method-assign, assignment]
    model._look = lambda images, places: inputs.update(clip=images)  # type: ignore[method-assign, assignment]
    model.extract_feat(normalised)
    assert inputs["sam"].shape == (1, 3, 64, 96) and inputs["clip"].shape == (1, 3, 32, 48)
    expected = (pixels[0, :, 7, 9] - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(inputs["sam"][0, :, 7, 9], expected, rtol=1e-4, atol=1e-5)
    assert not inputs["sam"][..., 50:, :].any() and not inputs["sam"][..., 70:].any()
    torch.testing.assert_close(inputs["clip"][0, :, 3, 4], normalised[0, :, 6:8, 8:10].mean((1, 2)))
    assert not inputs["clip"][..., 25:, :].any()


@pytest.mark.parametrize("at_once", [1, 8])
def test_masks_are_cut_and_resized_before_they_are_summed(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    masks, scores = torch.randn(1, 2, 16, 24) * 5, torch.tensor([[[0.5, 0.2, 0.0], [0.3, 0.1, 0.6]]])
    monkeypatch.setattr("rsseg.models.ebseg.segmentor._AT_ONCE", at_once)
    monkeypatch.setattr(model, "masks_and_scores", lambda inputs: (masks, scores))
    out = model.encode_decode(torch.zeros(1, 3, 50, 70))
    big = functional.interpolate(masks, (64, 96), mode="bilinear", align_corners=False)[..., :50, :70]
    assert out.shape == (1, 3, 50, 70)
    torch.testing.assert_close(out[0, 0], 0.5 * big[0, 0].sigmoid() + 0.3 * big[0, 1].sigmoid())
    result = model.predict(torch.zeros(1, 3, 50, 70), [SegDataSample(metainfo=dict(ori_shape=(100, 140)))])[0]
    small = functional.interpolate(big, (100, 140), mode="bilinear", align_corners=False).sigmoid()
    expected = torch.einsum("qn,qhw->nhw", scores[0], small[0])
    torch.testing.assert_close(result.seg_logits.data, expected / expected.sum(0).clamp(min=1))


def test_the_three_ways_of_naming_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = _model(seen=["Tree"]), torch.randn(1, 3, 64, 64)
    found: dict[str, Any] = {}

    def fuse(own: Any, pooled: Any, recognised: Any, known: Any, *rest: Any) -> torch.Tensor:
        found.update(own=own, pooled=pooled, recognised=recognised, known=known)
        return own[..., :-1]

    monkeypatch.setattr("rsseg.models.ebseg.segmentor.fuse_scores", fuse)
    with torch.no_grad():
        masks, _ = model.masks_and_scores(images)
        maps, seen = model.extract_feat(images)
        assert seen.places is not None
        proposal = model.proposals(maps, seen.maps)[-1]
        text = torch.cat([model.embed_text(), functional.normalize(model.background, dim=-1)])
        scale = model.clip.logit_scale.exp()
        torch.testing.assert_close(found["own"], scale * proposal.embeddings @ text.T)
        torch.testing.assert_close(masks, proposal.masks)
        small = functional.interpolate(masks, (4, 4), mode="bilinear", align_corners=False)[0, 2] > 0
        assert small.any() and not small.all()
        torch.testing.assert_close(
            found["pooled"][0, 2], scale * text @ seen.places[0, :, small].mean(1), rtol=1e-4, atol=1e-4
        )
        named = recognise(model.clip, seen.tokens, proposal.bias, 4)
        torch.testing.assert_close(found["recognised"], scale * named @ text.T)
    assert found["known"].tolist() == [False, True, False]


def test_losses_are_weighed_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model().train()
    labels = torch.randint(0, 3, (2, 40, 64))
    order: list[Any] = []

    def assign(scores: Any, masks: Any, targets: Any, settings: Any) -> Any:
        order.append(masks)
        assert targets[0].masks.shape[1:] == (64, 64) and not targets[0].masks[:, 40:].any()
        return [(torch.arange(3), torch.arange(3))] * 2

    place = "rsseg.models.ebseg.segmentor."
    monkeypatch.setattr(f"{place}assign", assign)
    monkeypatch.setattr(f"{place}class_loss", lambda *given: torch.tensor(1.0))
    monkeypatch.setattr(f"{place}mask_losses", lambda *given: (torch.tensor(12.0), torch.tensor(18.0)))
    monkeypatch.setattr(f"{place}structure_loss", lambda *given: torch.tensor(0.25))
    torch.manual_seed(1)
    losses = model.loss(torch.randn(2, 3, 40, 64), [_sample(label) for label in labels])
    layers = 3  # before the first of two and after each
    expected = dict(loss_cls=1.5, loss_recognised=1.5, loss_mask=5 * 12 / 6, loss_dice=5 * 18 / 6)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {name: layers * value for name, value in expected.items()} | dict(loss_structure=2.5)
    )
    assert len(order) == layers  # the last layer comes first, as random points are drawn in this order
    maps, seen = model.extract_feat(torch.randn(2, 3, 40, 64), places=False)
    assert seen.places is None and [own.shape[0] for own in maps] == [2] * 4


def test_an_image_of_one_class_by_hand() -> None:
    model = _model(vocabulary=["road", "tree"], loss=dict(points=16)).train()
    proposal = SimpleNamespace(
        embeddings=torch.tensor([[[0.0] * 16] * 2]),
        masks=torch.full((1, 2, 16, 16), 0.0),
        bias=torch.zeros(1, 2, 2, 16, 16),
    )
    proposal.masks[:, 1] = 50.0  # the second query is the image
    model.proposals.forward = lambda *given: [proposal]  # type: ignore[method-assign, assignment]
    losses = model.loss(torch.zeros(1, 3, 64, 64), [_sample(torch.zeros(64, 64, dtype=torch.long))])
    third = torch.tensor(3.0).log()  # each of two classes and "none" has a third, whatever the weights
    torch.testing.assert_close(losses["loss_cls"], 1.5 * third)
    torch.testing.assert_close(losses["loss_mask"], torch.tensor(0.0))
    torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0))
    torch.testing.assert_close(losses["loss_structure"], torch.tensor(10.0))  # 0 instead of 1
    assert float(losses["loss_recognised"]) > 0


def test_any_vocabulary() -> None:
    model, images = _model(), torch.randn(2, 3, 48, 70)
    with torch.no_grad():
        out = model.inference(images)
        assert out.shape == (2, 3, 48, 70) and out.isfinite().all() and out.min() >= 0
        torch.testing.assert_close(model.inference(images[1:])[0], out[1], rtol=1e-4, atol=1e-5)
        model.set_vocabulary(["sea", "road", "tree"])
        torch.testing.assert_close(model.inference(images), out[:, [2, 0, 1]], rtol=1e-4, atol=1e-5)
        model.set_vocabulary("potsdam")
        assert model.predict(images)[0].seg_logits.data.shape == (5, 48, 70)
        model.test_cfg = dict(mode="slide", crop_size=(48, 64), stride=(16, 32))
        assert model.inference(images).shape == (2, 5, 48, 70)
    assert "airport" in model.known and "background" in model.known


def test_a_step_trains_the_proposals_and_positions() -> None:
    model = _model().train()
    assert not model.clip.training and not model.sam.training
    labels = torch.randint(0, 3, (2, 64, 64))
    labels[1] = 255  # an image without labels
    losses = model.loss(torch.randn(2, 3, 64, 64), [_sample(label) for label in labels])
    assert set(losses) == {"loss_cls", "loss_recognised", "loss_mask", "loss_dice", "loss_structure"}
    assert all(value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert {name for name, value in model.named_parameters() if value.grad is None} == frozen
    assert {name.split(".")[0] for name in frozen} == {"clip", "sam"}
    empty = model.loss(torch.randn(1, 3, 64, 64), [_sample(labels[1])])
    assert all(value.isfinite() for value in empty.values()) and float(empty["loss_structure"]) == 0.0
    model.zero_grad()
    sum(empty.values()).backward()  # every weight has a gradient, as DDP expects
    assert {name for name, value in model.named_parameters() if value.grad is None} == frozen


def test_half_precision_gives_nearly_the_same() -> None:
    model, image = _model(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.inference(image)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(model.inference(image), expected, rtol=0.1, atol=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train().loss(image, [_sample(torch.randint(0, 3, (64, 64)))])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_texts_are_not_rounded_under_autocast() -> None:
    model = _model()
    with torch.no_grad():
        expected = model.embed_classes()
        with torch.autocast("cpu", torch.bfloat16):
            for own, other in zip(model.embed_classes(), expected, strict=True):
                assert own.dtype == torch.float32 and torch.equal(own, other)


def test_it_learns_an_image() -> None:
    model, image = _model().train(), torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1.0
    labels = torch.zeros(64, 64, dtype=torch.long)
    labels[:, 32:] = 2
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 2e-3)
    before = float(sum(model.loss(image, [_sample(labels)]).values()))
    for _ in range(15):
        optimizer.zero_grad()
        total = sum(model.loss(image, [_sample(labels)]).values())
        total.backward()
        optimizer.step()
    assert float(total) < 0.8 * before


def test_decay_is_the_releases(repo: Path) -> None:
    wrapper = Config.fromfile(repo / "configs/_base_/schedules/ebseg_30k.py").optim_wrapper
    model = _model()
    groups = {id(group["params"][0]): group for group in build_optim_wrapper(model, wrapper).optimizer.param_groups}
    still = {name for name, value in model.named_parameters() if groups.get(id(value), {}).get("weight_decay") == 0}
    norms = {name for name, own in model.named_modules() if isinstance(own, nn.LayerNorm | nn.GroupNorm)}
    for name, value in model.named_parameters():
        if value.requires_grad:
            fixed = "clip_fusion_" not in name and (
                name.rpartition(".")[0] in norms
                or any(word in name for word in ("pos_embed", "positional_", "query_", "level_embed"))
            )
            assert (name in still) == fixed, name
            assert groups[id(value)]["lr"] == 1e-4


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"taps=\(0, 1, 2\): expected three increasing numbers from 1 to 5"):
        _model(taps=(0, 1, 2))
    with pytest.raises(ValueError, match=r"taps=\(0, 1\): expected four numbers from 0 to 3, blocks of the encoder"):
        _model(sam={**SAM_SMALL, "taps": (0, 1)})
    for wrong in (dict(alpha=0.4), dict(beta=-0.1), dict(beta=0.4)):
        with pytest.raises(ValueError, match=r"expected none below 0, alpha \+ gamma and beta \+ gamma to 1"):
            _model(exponents=wrong)
    assert _model(exponents=dict(alpha=0.12, beta=0.4, gamma=0.6)).exponents.gamma == 0.6
    with pytest.raises(ValueError, match="'five_view': expected one of: 'whole', 'slide'"):
        _model(test_cfg=dict(mode="five_view"))
    with pytest.raises(ValueError, match="label 3: expected 0 to 2, the classes of the vocabulary"):
        _model().loss(torch.zeros(1, 3, 64, 64), [_sample(torch.full((64, 64), 3))])
    assert class_masks(torch.tensor([[255]])).labels.numel() == 0
