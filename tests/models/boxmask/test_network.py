"""The network as it is trained and as it is asked: the same numbers, and a loss that falls."""

import pytest
import timm
import torch
from mmseg.registry import MODELS

from rsseg.models.boxmask.folded import FoldedNetwork
from rsseg.models.boxmask.model import box_mask_loss

_BACKBONE = dict(type="TIMMBackbone", model_name="tf_efficientnet_lite0", features_only=True, pretrained=False)


def _model(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(dict(type="BoxMaskModel", backbone=dict(_BACKBONE), channels=16, size=64, **options))
    for module in model.modules():  # as after a training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(model.decoder.prompt_stem.weight, std=0.05)
    return model.eval()


def test_untrained_prompts_change_nothing_in_the_encoder() -> None:
    model = MODELS.build(dict(type="BoxMaskModel", backbone=dict(_BACKBONE), size=64))
    assert not model.decoder.prompt_stem.weight.any()


@torch.inference_mode()
def test_stem_is_the_encoders_own_where_nothing_is_prompted() -> None:
    model = _model()
    images, prompts = torch.rand(1, 3, 64, 64) * 255, torch.zeros(1, 2, 64, 64)
    own = model.backbone((images - model.mean) / model.std)
    logits = model.decoder(own, torch.zeros(1, 2, 32, 32))
    assert torch.allclose(model.logits(images, prompts), logits, atol=1e-5)


@torch.inference_mode()
def test_folded_network_gives_the_same_logits() -> None:
    model = _model(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0])
    pixels, prompts = torch.rand(3, 3, 64, 64) * 255, torch.rand(3, 2, 64, 64) * 2 - 1
    expected = model.logits(pixels, prompts)
    settings = model.settings
    folded = FoldedNetwork(model.backbone.timm_model, model.decoder, settings["mean"], settings["std"])
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    found = folded(pixels, prompts)
    assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))
    alone = folded(pixels[1:2], prompts[1:2])
    assert torch.allclose(alone, found[1:2], atol=1e-4 * float(expected.abs().max()))


def test_loss_counts_inside_the_box_only() -> None:
    logits = torch.full((1, 1, 4, 4), 20.0)
    masks, inside = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    inside[..., :2] = True
    masks[..., 2:] = 0  # wrong, but outside
    losses = box_mask_loss(logits, masks, inside)
    assert float(losses["loss_bce"]) < 1e-6 and float(losses["loss_dice"]) < 1e-6
    assert float(box_mask_loss(-logits, masks, inside)["loss_bce"]) == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [(dict(size=100), "multiple of 32"), (dict(size=64, context=1.0), "above 1")],
)
def test_options_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type="BoxMaskModel", backbone=dict(_BACKBONE), **options))


def test_another_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="EfficientNet of timm"):
        backbone = dict(_BACKBONE, model_name="resnet18")
        MODELS.build(dict(type="BoxMaskModel", backbone=backbone))
    assert "resnet18" in timm.list_models()
