"""EoMT against transformers' own: keys, masks and classes at several sizes, masked attention, losses; its annealing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import AnnealMasks, load_pretrained
from rsseg.engine.masks import mask_rates
from rsseg.engine.weights import convert_state, convert_weights
from rsseg.errors import ConfigError
from rsseg.models.eomt import allowed_attention

pytest.importorskip("timm")
pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(embed_dim=128, depth=5, num_heads=2)
PROCESSOR = dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, size=(32, 32))


def config(**head):
    backbone = dict(type="DINOv3", name="vit_small_patch16_dinov3", settings=SMALL)
    decode_head = dict(type="EoMTHead", channels=128, num_classes=3, queries=6, loss=dict(points=64)) | head
    test = ConfigDict(mode="whole")
    return dict(type="EoMT", backbone=backbone, decode_head=decode_head, data_preprocessor=PROCESSOR, test_cfg=test)


@pytest.fixture(scope="module")
def theirs():
    """transformers' model of two heads and four mask blocks, with weights that leave nothing without an effect."""
    transformers = pytest.importorskip("transformers")
    cfg = transformers.EomtDinov3Config(
        hidden_size=128, num_hidden_layers=5, num_attention_heads=2, intermediate_size=512, image_size=64,
        num_queries=6, num_labels=3, num_blocks=4,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.EomtDinov3ForUniversalSegmentation(cfg).eval()
    for name, value in model.named_parameters():
        value.data = torch.randn_like(value) * (0.1 if "upscale" not in name else 0.3) + ("norm" in name)
    return model


@pytest.fixture
def ours(theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "eomt.pth")
    report = convert_weights(tmp_path / "eomt.pth", tmp_path / "own.pth")
    assert report.model["decode_head"]["blocks"] == 4 and not report.unexpected and not report.missing
    model = MODELS.build(report.model)
    load_pretrained(model, tmp_path / "own.pth")
    return model.eval()


@pytest.mark.parametrize("rates", [(1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0)])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_masks_and_classes_are_those_of_transformers(theirs, ours, size, rates):
    torch.manual_seed(1)
    images = torch.randn(2, 3, *size)
    theirs.grid_size = (size[0] // 16, size[1] // 16)
    theirs.attn_mask_probs.copy_(torch.tensor(rates))
    ours.decode_head.mask_rates.copy_(torch.tensor(rates))
    with torch.no_grad():
        expected, layers = theirs(images), ours.extract_feat(images)
        queries, masks = layers[-1]
        assert len(layers) == 1 + sum(rates)
        torch.testing.assert_close(
            ours.decode_head.cls_embed(queries), expected.class_queries_logits, rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(masks, expected.masks_queries_logits, rtol=1e-4, atol=1e-4 * masks.abs().max())


def test_masks_have_an_effect(ours):
    images = torch.randn(1, 3, 64, 64)
    ours.decode_head.mask_rates.fill_(1)
    with torch.no_grad():
        held = ours.extract_feat(images)[-1][1]
        ours.decode_head.mask_rates.zero_()
        free = ours.extract_feat(images)[-1][1]
    assert (held - free).abs().max() > 0.01 * held.abs().max()


def test_the_published_size_has_all_keys():
    """No weights are made; a key without a place would be an error of the conversion."""
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        model = transformers.EomtDinov3ForUniversalSegmentation(transformers.EomtDinov3Config())
    state, report = convert_state(model.state_dict())
    assert not report.unexpected and not report.missing and len(report.loaded) == len(state)
    assert report.model["backbone"]["name"] == "vit_large_patch16_dinov3_qkvb"
    assert report.skipped == {"weights of the classification loss": ["criterion.empty_weight"]}
    own, count = (sum(v.numel() for v in part.values()) for part in (state, model.state_dict()))
    assert own == count - 3, "but for the weights of the loss"


def test_who_may_look_at_whom():
    masks = torch.full((1, 2, 2, 2), -1.0)
    masks[0, 0, 0, 1] = 1
    allowed = allowed_attention(masks, (2, 2), 1, torch.tensor(1.0))[0, 0]
    assert allowed[0].tolist() == [True, True, True, False, True, False, False]
    assert allowed[1].tolist() == [True, True, True, False, False, False, False]
    assert allowed[2:].all()
    assert allowed_attention(masks, (2, 2), 1, torch.tensor(0.0)).all()


def samples(count, size):
    out = []
    for i in range(count):
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size))
        random = torch.Generator().manual_seed(i)
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, *size), generator=random))
        out.append(sample)
    return out


def test_every_parameter_is_trained():
    model = MODELS.build(config()).train()
    losses = model.loss(torch.randn(2, 3, 32, 32), samples(2, (32, 32)))
    assert losses.keys() == {"decode.loss_cls", "decode.loss_mask", "decode.loss_dice"}
    sum(losses.values()).backward()
    assert not [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    layers = model.extract_feat(torch.randn(1, 3, 32, 32))
    assert len(layers) == 5


def test_losses_are_those_of_transformers(theirs):
    """Points are random in both; masks of one value give the same but for points at the border."""
    from rsseg.models.mask2former.losses import mean_count

    model = MODELS.build(config(loss=None))
    sample = samples(1, (32, 32))[0]
    sample.gt_sem_seg.data.fill_(1)
    queries, masks = torch.randn(1, 6, 128), torch.linspace(-2, 2, 6).view(1, 6, 1, 1).expand(1, 6, 8, 8)
    targets = model.decode_head.targets([sample])
    own = model.decode_head.losses([(queries, masks)], model.decode_head.cls_embed, targets, mean_count(targets))
    part = theirs.get_loss_dict(
        masks, model.decode_head.cls_embed(queries), [torch.ones(1, 32, 32)], [torch.tensor([1])], None
    )
    for name, other in (("loss_cls", "loss_cross_entropy"), ("loss_mask", "loss_mask"), ("loss_dice", "loss_dice")):
        torch.testing.assert_close(own[name], part[other], rtol=0.02, atol=1e-4)


def test_images_of_any_size_and_adapters():
    model = MODELS.build(config()).eval()
    sample = SegDataSample(metainfo=dict(ori_shape=(50, 70), img_shape=(50, 70)))
    model.data_preprocessor.size = None
    with torch.no_grad():
        out = model.test_step({"inputs": [torch.zeros(3, 50, 70, dtype=torch.uint8)], "data_samples": [sample]})[0]
    assert out.pred_sem_seg.data.shape == (1, 50, 70) and out.seg_logits.data.shape == (3, 50, 70)
    with pytest.raises(ConfigError, match="images of 50 x 70 pixels; train on crops whose sides are multiples of 16"):
        model.extract_feat(torch.zeros(1, 3, 50, 70))
    pytest.importorskip("peft")
    settings = config()
    settings["backbone"] |= dict(tune="lora")
    also = {**settings, "backbone": {**settings["backbone"], "adapters": dict(also=r"encoder\.norm\..*")}}
    assert MODELS.build(also).backbone.encoder.norm.weight.requires_grad
    model = MODELS.build(settings).train()
    sum(model.loss(torch.randn(1, 3, 32, 32), samples(1, (32, 32))).values()).backward()
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert not [name for name in trained if name.startswith("backbone.") and "lora_" not in name]
    assert not [name for name, value in model.named_parameters() if name in trained and value.grad is None]


def test_rates_fall_block_by_block():
    """Four blocks of 60 iterations: they fall from 10, 20, 30 and 40 on, each within 10."""
    assert mask_rates(0, 60, 4) == mask_rates(10, 60, 4) == [1.0] * 4
    assert mask_rates(15, 60, 4) == pytest.approx([0.5**0.9, 1, 1, 1])
    assert mask_rates(35, 60, 4) == pytest.approx([0, 0, 0.5**0.9, 1])
    assert mask_rates(50, 60, 4) == [0.0] * 4
    assert mask_rates(25, 60, 3) == pytest.approx([0, 1, 1]) and mask_rates(30, 60, 3)[1] == pytest.approx(0.5**0.9)
    assert mask_rates(15, 60, 1) == pytest.approx([0.5**0.9])
    model = MODELS.build(config())
    runner = SimpleNamespace(model=model, iter=35, max_iters=60)
    AnnealMasks().before_train_iter(runner, 0)
    assert model.decode_head.mask_rates.tolist() == pytest.approx([0, 0, 0.5**0.9, 1])
    assert "decode_head.mask_rates" in model.state_dict()
    with pytest.raises(ConfigError, match="AnnealMasks is for EoMT; Linear has no mask_rates"):
        AnnealMasks().before_train_iter(SimpleNamespace(model=torch.nn.Linear(1, 1)), 0)


def test_settings_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="channels=64, blocks=4; the encoder has 128 channels and 5 blocks"):
        MODELS.build(config(channels=64))
    settings = config()
    encoder = {**settings["backbone"], "tune": "frozen"}
    settings["backbone"] = dict(type="Cached", encoder=encoder, folder=str(tmp_path))
    with pytest.raises(ConfigError, match="so no features can be kept"):
        MODELS.build(settings)
    with pytest.raises(ConfigError, match="num_classes=1: EoMT requires at least two classes"):
        MODELS.build(config(num_classes=1))
    settings = config()
    settings["backbone"] = dict(type="ResNet", depth=18)
    with pytest.raises(ConfigError, match="needs a backbone of type DINOv3 that is a transformer, got ResNet"):
        MODELS.build(settings)


@pytest.mark.parametrize("name", ["potsdam", "openearthmap"])
def test_configs(repo, name):
    model = Config.fromfile(repo / f"configs/{name}/eomt_dinov3_b_{name}.py").model
    model.backbone.update(weights=None, settings=SMALL)
    model.decode_head.update(channels=128)
    built = MODELS.build(model).eval()
    with torch.no_grad():
        classes = model.decode_head.num_classes
        assert built.encode_decode(torch.randn(1, 3, 40, 64), [{}]).shape == (1, classes, 40, 64)
