"""DINOv3: timm's keys and maps with random weights, its own files and Meta's, bands, freezing, sizes, statistics."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rsseg.engine.layer_decay import layer_of
from rsseg.models.backbones.dinov3 import DINOv3, dinov3_statistics

timm = pytest.importorskip("timm")
NAME = "vit_small_patch16_dinov3"
CONVNEXT = "convnext_tiny.dinov3_lvd1689m"
SMALL = dict(embed_dim=32, depth=4, num_heads=2)
NEXT = dict(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32))


def randomised(model):
    """Weights that leave nothing zero or one; timm starts the residuals' scales at 1e-5."""
    torch.manual_seed(0)
    for name, value in model.named_parameters():
        value.data = torch.full_like(value, 0.5) if "gamma" in name else value + 0.05 * torch.randn_like(value)
    return model.eval()


@pytest.fixture
def small():
    return randomised(DINOv3(NAME, settings=SMALL))


def test_the_published_size_has_timm_s_keys():
    with torch.device("meta"):
        model = DINOv3(f"{NAME}.lvd1689m")
        theirs = timm.create_model(NAME, num_classes=0).state_dict()
    ours = {key.removeprefix("encoder."): value.shape for key, value in model.state_dict().items()}
    assert ours == {key: value.shape for key, value in theirs.items()}
    assert round(sum(value.numel() for value in model.parameters()) / 1e6, 1) == 21.6
    assert model.out_indices == [2, 5, 8, 11]


@pytest.mark.parametrize(("name", "settings"), [(NAME, SMALL), (CONVNEXT, NEXT)])
def test_maps_are_those_of_timm(name, settings):
    model = randomised(DINOv3(name, settings=settings, norm=False))
    theirs = timm.create_model(name.partition(".")[0], features_only=True, out_indices=(0, 1, 2, 3), **settings).eval()
    state = {key.removeprefix("encoder."): value for key, value in model.state_dict().items()}
    own = set(theirs.state_dict())
    if name == NAME:
        state = {f"model.{key}": value for key, value in state.items() if not key.startswith("norm.")}
    else:
        state = {key.replace(".", "_", 1) if key.startswith(("stem", "stages")) else key: v for key, v in state.items()}
    theirs.load_state_dict({key: value for key, value in state.items() if key in own})
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for one, other in zip(model(images), theirs(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_last_norm_is_that_of_timm(small):
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        tokens = small.encoder.forward_features(images)[:, 5:]  # behind the class token and four registers
        torch.testing.assert_close(small(images)[-1].flatten(2).transpose(1, 2), tokens, rtol=1e-5, atol=1e-5)


def meta_names(state):
    """As Meta's files name a transformer's weights."""
    out = {}
    for key, value in state.items():
        name = (
            key.replace("reg_token", "storage_tokens").replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        )
        out[name] = value
        if name.endswith("attn.qkv.weight"):
            out[name.replace("weight", "bias")] = out[name.replace("weight", "bias_mask")] = torch.zeros(len(value))
    return {**out, "mask_token": torch.zeros(1, 32), "rope_embed.periods": torch.ones(4)}


@pytest.mark.parametrize("names", [dict, meta_names])
def test_files_of_timm_and_meta(small, names, tmp_path):
    state = {key.removeprefix("encoder."): value for key, value in small.state_dict().items()}
    torch.save(names(state), tmp_path / "dinov3.pth")
    other = DINOv3(NAME, settings=SMALL, weights=str(tmp_path / "dinov3.pth"))
    other.init_weights()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in small.state_dict().items())
    with pytest.raises(ValueError, match=r"dinov3.pth: does not fit vit_small_patch16_dinov3: .*blocks.4"):
        DINOv3(NAME, settings={**SMALL, "depth": 8}, weights=str(tmp_path / "dinov3.pth")).init_weights()


def test_more_bands_begin_as_three(small, tmp_path):
    """An image twice over gives the maps of the image."""
    torch.save({k.removeprefix("encoder."): v for k, v in small.state_dict().items()}, tmp_path / "dinov3.pth")
    six = DINOv3(NAME, settings=SMALL, in_channels=6, weights=str(tmp_path / "dinov3.pth")).eval()
    six.init_weights()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(six(image.repeat(1, 2, 1, 1))[3], small(image)[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "settings"), [(NAME, SMALL), (CONVNEXT, NEXT)])
def test_what_is_tuned(name, settings):
    for tune in ("full", "frozen"):
        model = DINOv3(name, settings=settings, tune=tune, drop_path_rate=0.1, with_cp=tune == "full").train()
        assert model.encoder.training == (tune == "full")
        out = sum(part.sum() for part in model(torch.randn(2, 3, 32, 32)))
        assert out.requires_grad == (tune == "full")
        if tune == "full":
            out.backward()
            without = [key for key, value in model.named_parameters() if value.requires_grad and value.grad is None]
            assert not without
        else:
            assert not [key for key, value in model.named_parameters() if value.requires_grad]


def test_options_are_checked(small):
    with pytest.raises(ValueError, match=r"images of 32 x 50 pixels; sides must be multiples of 16.*size_divisor=16"):
        small(torch.zeros(1, 3, 32, 50))
    with pytest.raises(ValueError, match="tune='half': expected one of: full, frozen, lora"):
        DINOv3(NAME, tune="half")
    with pytest.raises(ValueError, match=r"resnet50: timm has no such DINOv3; it has .*vit_small_patch16_dinov3"):
        DINOv3("resnet50")
    with pytest.raises(ValueError, match=r"out_indices=\[0, 1\]: expected numbers from 0 to 3, the last included"):
        DINOv3(NAME, settings=SMALL, out_indices=(0, 1))


@pytest.mark.parametrize("config", ["b", "l_sat_frozen", "l_sat_lora"])
def test_configs_have_the_statistics_of_their_weights(repo, config):
    model = Config.fromfile(repo / f"configs/potsdam/upernet_dinov3_{config}_potsdam.py").model
    mean, std = dinov3_statistics(model.backbone.name)
    assert model.data_preprocessor.mean == pytest.approx(mean, abs=1e-3)
    assert model.data_preprocessor.std == pytest.approx(std, abs=1e-3)
    assert model.backbone.weights == f"hf://timm/{model.backbone.name}"


@pytest.mark.usefixtures("mmseg_scope")
def test_upernet_predicts_images_of_any_size(repo):
    model = Config.fromfile(repo / "configs/potsdam/upernet_dinov3_b_potsdam.py").model
    model.backbone.update(weights=None, settings=SMALL)
    model.neck.update(embed_dim=32, norm_cfg=dict(type="BN"))
    model.decode_head.update(in_channels=[32] * 4, channels=8, norm_cfg=dict(type="BN"))
    model.test_cfg = dict(mode="whole")
    built = MODELS.build(model).eval()
    sample = SegDataSample(metainfo=dict(ori_shape=(50, 70), img_shape=(50, 70)))
    with torch.no_grad():
        image = torch.zeros(3, 50, 70, dtype=torch.uint8)
        sample = built.test_step({"inputs": [image], "data_samples": [sample]})[0]
    assert sample.pred_sem_seg.data.shape == (1, 50, 70)
    names = [name for name, _ in built.named_parameters()]
    assert {layer_of(name, [4]) for name in names if "encoder.blocks.2" in name} == {3}
    assert layer_of("backbone.encoder.reg_token", [4]) == 0 and layer_of("neck.ops.0.weight", [4]) == 5
