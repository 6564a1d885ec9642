"""CAT-Seg and the rows of table 3: formulas written out, what is trained, and what a permuted vocabulary gives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.models.gsnet import ConcatFusion, CostEmbedding, FusionQuery

_CLIP, _DINO = dict(guidance=("clip",)), dict(guidance=("dino",))
VARIANTS: dict[str, dict[str, Any]] = {
    "catseg": dict(dino=None, fusion=dict(type="CostEmbedding", channels=32), decoder=_CLIP),
    "clip_only": dict(dino=None, fusion=dict(type="CostEmbedding", channels=32, sigmoid=True), decoder=_CLIP),
    "dino_only": dict(
        type="SpecialistGSNet", fusion=dict(type="CostEmbedding", channels=32, sigmoid=True), decoder=_DINO
    ),
    "larger_patches": dict(clip=dict(visual=dict(patch=16, grid=2), resolution=128, activation="gelu"), crop=64),
    "concat": dict(fusion=dict(type="ConcatFusion", embed=32, channels=32)),
    "fusion_query": dict(fusion=dict(type="FusionQuery", embed=32, channels=32)),
    "no_guidance": dict(decoder=dict(guidance=())),
    "clip_guidance": dict(decoder=_CLIP),
    "dino_guidance": dict(decoder=_DINO),
}
NAMES = ("road", "water", "tree")


@pytest.fixture
def make(build: Callable[..., Any], toy_config: dict[str, Any]) -> Callable[[str], Any]:
    """``make(variant)``: the toy model with what the variant changes."""

    def of(variant: str) -> Any:
        changes = dict(VARIANTS[variant])
        if "crop" in changes:
            changes["test_cfg"] = {**toy_config["test_cfg"], "crop_size": changes.pop("crop")}
        if "decoder" in changes:
            changes["decoder"] = {**toy_config["decoder"], **changes["decoder"]}
        if "clip" in changes:
            own = toy_config["clip"]
            changes["clip"] = {**own, **changes["clip"], "visual": {**own["visual"], **changes["clip"]["visual"]}}
        return build(**changes)

    return of


def _samples(labels: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_follow_the_classes(make, variant: str) -> None:
    model, images = make(variant), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = model._forward(images)
        assert logits.shape == (2, 3, 32, 32)
        assert logits.isfinite().all()
        assert logits.std(dim=(2, 3)).min() > 0
        model.set_vocabulary([NAMES[i] for i in (2, 0, 1)])
        torch.testing.assert_close(model._forward(images), logits[:, [2, 0, 1]], rtol=1e-4, atol=1e-5)
        scores = model.inference(images[:1])
    assert scores.shape == (1, 3, 64, 64)
    assert 0 <= scores.min() <= scores.max() <= 1


@pytest.mark.parametrize("variant", ["catseg", "dino_only", "concat", "fusion_query"])
def test_half_precision_is_finite(make, variant: str) -> None:
    model = make(variant).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(torch.randn(1, 3, 64, 64), _samples(torch.randint(0, 3, (1, 64, 64))))["loss"]
    loss.backward()
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.requires_grad)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_trains_what_it_should(make, variant: str) -> None:
    model = make(variant).train()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trained = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.1)
    loss = model.loss(torch.randn(2, 3, 64, 64), _samples(torch.randint(0, 3, (2, 64, 64))))["loss"]
    loss.backward()
    assert all(value.grad is not None for value in trained)  # as DDP asks for
    optimizer.step()
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    towers = {name for name in moved if name.startswith(("clip.", "dino."))}
    kept = ("q_proj_weight", "v_proj_weight")
    assert towers
    assert all(name.endswith(kept) for name in towers)
    assert any(name.startswith("clip.visual.") for name in towers) == (variant != "dino_only")
    other = {name for name in before if not name.startswith(("clip.", "dino."))}
    assert not {name for name in other - moved if "padding" not in name and not name.endswith("k.bias")}


def test_parts_without_use_are_not_there(make) -> None:
    keys = {variant: set(make(variant).state_dict()) for variant in ("catseg", "no_guidance", "dino_guidance")}
    assert not any("dino" in key.lower() or "conv2." in key for key in keys["catseg"])
    assert not any(part in key for key in keys["no_guidance"] for part in ("upsample", "decod_proj", "_decoder_guid"))
    assert not any(part in key for key in keys["dino_guidance"] for part in ("upsample", "CLIP_decoder"))


def test_catseg_is_its_public_form(make) -> None:
    model, images = make("catseg"), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        dense, (tap1, tap2) = model.clip.encode_image(images)
        text = model.embed_text()
        cosines = torch.einsum("bchw,tc->bthw", functional.normalize(dense, dim=1), text)
        x = torch.stack([model.fusion.conv1(cosines[:, [t]]) for t in range(3)], dim=1)
        x = model.aggregator(x, dense, text)[0]
        decoder, encoder = model.decoder, model.encoder
        stages = (decoder.Fusiondecoder1, decoder.Fusiondecoder2)
        maps = (encoder.upsample1(tap1), encoder.upsample2(tap2))
        for stage, guidance, project in zip(stages, maps, decoder.CLIP_decoder_guidance_projection, strict=True):
            beside = project(guidance).expand(3, -1, -1, -1)
            x = stage.conv.double_conv(torch.cat([stage.up(x), beside], dim=1))
        expected = decoder.head(x)[None, :, 0]
        torch.testing.assert_close(model._forward(images), expected, rtol=1e-4, atol=1e-4)


def _features() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 8, 5, 5), torch.randn(2, 8, 5, 5), torch.randn(3, 8)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_costs_are_embedded_class_by_class(sigmoid: bool) -> None:
    module, (clip, dino, text) = CostEmbedding(4, sigmoid=sigmoid), _features()
    out = module(clip, None, text)
    assert out.shape == (2, 3, 4, 5, 5)
    cosine = functional.cosine_similarity(clip[1], text[2, :, None, None], dim=0)
    expected = module.conv1(cosine[None, None])[0]
    torch.testing.assert_close(out[1, 2], expected.sigmoid() if sigmoid else expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module(clip, dino, text), out)


def test_concatenation_is_a_linear_layer_of_all_three() -> None:
    module, (clip, dino, text) = ConcatFusion(8, 4), _features()
    out = module(clip, dino, text)
    assert out.shape == (2, 3, 4, 5, 5)
    for b, t, y, x in [(0, 0, 0, 0), (1, 2, 3, 4)]:
        three = [part / part.norm() for part in (clip[b, :, y, x], dino[b, :, y, x], text[t])]
        torch.testing.assert_close(out[b, t, :, y, x], module.projection(torch.cat(three)), rtol=1e-5, atol=1e-6)


def test_fused_features_meet_the_text() -> None:
    module, (clip, dino, text) = FusionQuery(8, 4), _features()
    out = module(clip, dino, text)
    assert out.shape == (2, 3, 4, 5, 5)
    fused = nn.Linear(16, 8)
    fused.weight, fused.bias = nn.Parameter(module.fuse.weight[:, :, 0, 0]), module.fuse.bias
    places = fused(torch.cat([clip[1], dino[1]]).flatten(1).T)  # (places, 8)
    cosines = functional.cosine_similarity(places, text[2], dim=1).view(1, 1, 5, 5)
    torch.testing.assert_close(out[1, 2], module.conv1(cosines)[0].sigmoid(), rtol=1e-5, atol=1e-6)


def test_the_specialist_alone_says_what_it_needs(build) -> None:
    fusion = dict(type="CostEmbedding", channels=32)
    with pytest.raises(ValueError, match=r"requires dino, and a decoder\.guidance without 'clip'"):
        build(type="SpecialistGSNet", fusion=fusion)


def test_the_specialist_alone_does_not_run_clips_images(make, monkeypatch) -> None:
    model = make("dino_only")
    monkeypatch.setattr(model.clip, "encode_image", None)
    assert model._forward(torch.randn(1, 3, 64, 64)).shape == (1, 3, 32, 32)
