"""mmseg's SAN through the converter: every key has its place, and the scores are mmseg's."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.models.decode_heads import san_head
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_pretrained
from rsseg.engine.weights import convert_state, convert_weights

pytestmark = pytest.mark.usefixtures("mmseg_scope")

WORDS = ["road", "tree", "swimming pool"]


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """mmseg's own with heads of 64 channels in CLIP; it refuses to be built without a compiled operator."""
    monkeypatch.setattr(san_head, "point_sample", object())
    act = dict(type="QuickGELU")
    config = ConfigDict(
        type="MultimodalEncoderDecoder",
        asymetric_input=True,
        encoder_resolution=0.5,
        image_encoder=dict(
            type="VisionTransformer",
            img_size=(224, 224),
            patch_size=32,
            patch_pad=0,
            embed_dims=64,
            num_layers=3,
            num_heads=1,
            out_origin=True,
            out_indices=(0, 1, 2),
            output_cls_token=True,
            patch_bias=False,
            pre_norm=True,
            norm_cfg=dict(type="LN", eps=1e-5),
            act_cfg=act,
            interpolate_mode="bicubic",
            frozen_exclude=["pos_embed"],
        ),
        text_encoder=dict(
            type="CLIPTextEncoder",
            vocabulary=WORDS,
            templates=["A photo of a {} in the scene"],
            embed_dims=64,
            num_layers=2,
            num_heads=1,
            output_dims=32,
        ),
        decode_head=dict(
            type="SideAdapterCLIPHead",
            num_classes=3,
            deep_supervision_idxs=[3],
            san_cfg=dict(
                in_channels=3,
                clip_channels=64,
                embed_dims=40,
                patch_size=32,
                num_queries=5,
                fusion_index=[0, 1, 2, 3],
                cfg_encoder=dict(num_encode_layer=4, num_heads=1, mlp_ratio=4),
                cfg_decoder=dict(
                    num_heads=1, num_layers=1, embed_channels=16, mlp_channels=16, num_mlp=3, rescale=True
                ),
                norm_cfg=dict(type="LN", eps=1e-6),
            ),
            maskgen_cfg=dict(sos_token_num=5, num_layers=1, embed_dims=64, num_heads=1, out_dims=32, act_cfg=act),
            train_cfg=None,
            loss_decode=dict(type="CrossEntropyLoss"),
        ),
        test_cfg=dict(mode="whole"),
    )
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.2) if value.ndim > 1 else value.add_(torch.randn_like(value) * 0.1)
    return model


def test_scores_are_mmsegs(theirs: Any, tmp_path: Path) -> None:
    file = theirs.state_dict()
    torch.save(dict(meta={}, state_dict=file), tmp_path / "mmseg.pth")
    report = convert_weights(tmp_path / "mmseg.pth", tmp_path / "ours.pth")
    assert report.layout == "SAN, mmseg's names" and report.part == "model"
    assert not (report.skipped or report.fresh or report.resized)
    assert report.model["taps"] == (0, 1, 2, 3) and report.model["clip"]["resolution"] == 320
    ours = MODELS.build({**report.model, "vocabulary": WORDS}).eval()
    assert sum(v.numel() for v in ours.state_dict().values()) == sum(v.numel() for v in file.values())
    load_pretrained(ours, tmp_path / "ours.pth")
    image = torch.randn(1, 3, 640, 640)
    with torch.no_grad():
        expected = theirs.encode_decode(image, [dict(img_shape=image.shape[2:])])
        torch.testing.assert_close(ours.encode_decode(image), expected, rtol=1e-4, atol=1e-5)
        text = ours.embed_text() * ours.clip.logit_scale.exp()
        torch.testing.assert_close(text, theirs.text_encoder()[:-1], rtol=1e-4, atol=1e-4)


def test_what_lacks_is_named(theirs: Any) -> None:
    file = theirs.state_dict()
    del file["text_encoder.bg_embed"]
    assert convert_state(file)[1].missing == ["background"]
