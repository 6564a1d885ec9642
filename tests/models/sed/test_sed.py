"""SED: its tower against open_clip's, its decoder against a plain form, losses and sizes by hand, a training step."""

from pathlib import Path
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

from rsseg.models.sed import SED, ConvNeXtCLIP, CostDecoder, PromptChannels
from rsseg.models.sed.decoder import ClassMixer, ConvNeXtBlock

pytestmark = pytest.mark.usefixtures("mmseg_scope")

NAMES = ["road", "tree", "sea"]
CLIP_SMALL = dict(
    type="ConvNeXtCLIP",
    visual=dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    text=dict(width=32, layers=1, heads=2),
    embed=16,
    resolution=128,
)
DECODER = dict(prompts=14, channels=32, widths=(32, 16, 16), guidance=(8, 4, 4), kernel=3)


def _noise(module: nn.Module) -> Any:
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return module


def _model(**changes: Any) -> SED:
    torch.manual_seed(0)
    config = dict(type="SED", clip=CLIP_SMALL, decoder=DECODER, template="vild", vocabulary=NAMES)
    return _noise(MODELS.build({**config, **changes}).eval())


def _sample(labels: torch.Tensor) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=labels[None]))


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        model = MODELS.build(dict(type="SED", clip=dict(type="ConvNeXtCLIP"), vocabulary="landdiscover"))
    trained = {name: value.numel() for name, value in model.named_parameters() if value.requires_grad}
    assert sum(value.numel() for value in model.parameters()) == 180_761_741
    assert sum(trained.values()) == 89_598_220
    assert sum(size for name, size in trained.items() if name.startswith("clip.visual.")) == 88_221_824
    assert sum(size for name, size in trained.items() if name.startswith("decoder.decoder1.")) == 502_880
    assert model.clip.visual.trunk.stages[2].blocks[26].norm.eps == model.clip.visual.trunk.head.norm.eps == 1e-6
    rates = [
        getattr(block.drop_path, "drop_prob", 0.0) for stage in model.clip.visual.trunk.stages for block in stage.blocks
    ]
    assert rates[0] == 0.0 and rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("size", [32, 64])
def test_a_place_is_what_open_clip_makes_of_an_image_of_one_place(size: int) -> None:
    timm_model = pytest.importorskip("open_clip.timm_model")
    theirs = timm_model.TimmModel("convnext_tiny", 16, pool="", proj="linear").eval()
    _noise(theirs.head)
    ours = ConvNeXtCLIP(
        dict(depths=(3, 3, 9, 3), dims=(96, 192, 384, 768)), dict(width=32, layers=1, heads=2), 16
    ).eval()
    ours.visual.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, size, size)
    with torch.no_grad():
        dense, maps = ours.encode_image(images)
        assert [tuple(own.shape[1:]) for own in maps] == [
            (96 * 2**i, size // 4 // 2**i, size // 4 // 2**i) for i in range(4)
        ]
        torch.testing.assert_close(maps[3], theirs.trunk.forward_features(images))
        for row in range(size // 32):
            place = functional.layer_norm(
                maps[3][0, :, row, 0], (768,), theirs.trunk.head.norm.weight, theirs.trunk.head.norm.bias, 1e-6
            )
            torch.testing.assert_close(dense[0, :, row, 0], theirs.head.proj.weight @ place, rtol=1e-4, atol=1e-5)
        if size == 32:
            torch.testing.assert_close(dense[..., 0, 0], theirs(images), rtol=1e-4, atol=1e-5)


def test_each_template_is_a_channel_and_synonyms_are_averaged() -> None:
    own = PromptChannels(["road", "pool, swimming pool"])
    assert len(own) == 2 and len(own.prompts) == 80 * 3
    assert own.prompts[:2] == ("a bad photo of a road.", "a photo of many road.")
    assert own.prompts[80:83] == ("a bad photo of a pool.", "a bad photo of a swimming pool.", "a photo of many pool.")
    features = torch.zeros(240, 2)
    features[:80, 0] = 1
    features[80::2, 0], features[81::2, 1] = 1, 1
    pooled = own.pool(features)
    assert pooled.shape == (2, 80, 2)
    torch.testing.assert_close(pooled[0], torch.tensor([1.0, 0.0]).expand(80, -1))
    torch.testing.assert_close(pooled[1], torch.full((80, 2), 0.5**0.5))
    with pytest.raises(ValueError, match=r"the class 'a, ': expected names between its commas"):
        PromptChannels(["a, "])
    table = PromptChannels.of("potsdam", "imagenet")  # the words that GSNet's table asks every model for
    assert table.names[:3] == ("impervious surface", "building", "low vegetation") and len(table.prompts) == 400


def test_one_class_of_two_names_is_not_two_classes() -> None:
    model = _model(decoder={**DECODER, "prompts": 1}, template="a photo of a {}.", vocabulary=["sea", "ocean"])
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert model.inference(images).shape == (1, 2, 64, 64)
        model.set_vocabulary(["sea, ocean"])  # the same texts
        assert model.inference(images).shape == (1, 1, 64, 64)


def _plain_block(own: ConvNeXtBlock, x: torch.Tensor) -> torch.Tensor:
    """Place by place."""
    wide = functional.conv2d(x, own.dwconv.weight, own.dwconv.bias, padding=1, groups=x.shape[1])
    out = x.clone()
    for n in range(x.shape[0]):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                place = wide[n, :, row, column]
                place = (place - place.mean()) / (place.var(unbiased=False) + 1e-6).sqrt()
                place = own.pwconv1(place * own.norm.weight + own.norm.bias)
                place = own.pwconv2(place * 0.5 * (1 + torch.erf(place / 2**0.5)))
                out[n, :, row, column] += own.gamma * place
    return out


def _plain_mixer(own: ClassMixer, x: torch.Tensor, pooling: int) -> torch.Tensor:
    """Place by place, head by head, with values divided by their number and multiplied again."""
    b, classes, channels, height, width = x.shape
    pooled = functional.avg_pool2d(x.flatten(0, 1), pooling).unflatten(0, (b, classes))
    mixed = pooled.clone()
    for n in range(b):
        for row in range(pooled.shape[3]):
            for column in range(pooled.shape[4]):
                t = pooled[n, :, :, row, column]
                normed = functional.layer_norm(t, (channels,), own.norm1.weight, own.norm1.bias, 1e-5)
                q, k, v = own.attention.q(normed), own.attention.k(normed), own.attention.v(normed)
                parts = []
                for head in range(4):
                    part = slice(head * channels // 4, (head + 1) * channels // 4)
                    fq, fk = functional.elu(q[:, part]) + 1, functional.elu(k[:, part]) + 1
                    weights = fq @ fk.T
                    parts.append(weights @ (v[:, part] / classes) / (fq @ fk.sum(0) + 1e-6)[:, None] * classes)
                t = t + torch.cat(parts, 1)
                t = t + own.MLP(functional.layer_norm(t, (channels,), own.norm2.weight, own.norm2.bias, 1e-5))
                mixed[n, :, :, row, column] = t
    big = functional.interpolate(mixed.flatten(0, 1), (height, width), mode="bilinear", align_corners=True)
    return x + big.unflatten(0, (b, classes))


def _plain_decoder(
    own: CostDecoder, cosines: torch.Tensor, maps: list[torch.Tensor], pooling: int
) -> list[torch.Tensor]:
    b, classes = cosines.shape[:2]
    flat = cosines.flatten(0, 1)
    x, cost, out = own.conv1(flat), flat, []
    stages = [own.decoder1, own.decoder2, own.decoder3]
    for i, (stage, head) in enumerate(zip(stages, [own.head0, own.head1, own.head2], strict=True)):
        out.append(head(x).view(b, classes, *x.shape[2:]))
        image = own.decoder_guidance_projection[i](maps[i]).repeat_interleave(classes, 0)
        cost = own.decoder_corr_guidance_projection[i](cost)
        x = _plain_mixer(stage.attention, _plain_block(stage.cnext, x).unflatten(0, (b, classes)), pooling)
        x = stage.conv.double_conv(torch.cat([stage.up(x.flatten(0, 1)), image, cost], 1))
    return [own.head(x).view(b, classes, *x.shape[2:]), *out]


@pytest.mark.parametrize("training", [False, True])
def test_the_decoder_is_its_plain_form(training: bool) -> None:
    torch.manual_seed(0)
    own = _noise(CostDecoder(**{**DECODER, "image_channels": (12, 8, 8)})).train(training)
    cosines = torch.rand(2, 3, 14, 4, 4) * 2 - 1
    maps = [torch.randn(2, 12, 8, 8), torch.randn(2, 8, 16, 16), torch.randn(2, 8, 32, 32)]
    with torch.no_grad():
        out, expected = own(cosines, maps), _plain_decoder(own, cosines, maps, 2 if training else 1)
    assert [own.shape[2] for own in out] == [32, 4, 8, 16]
    for ours, theirs in zip(out, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert [groups.num_groups for groups in own.modules() if isinstance(groups, nn.GroupNorm)] == [2, 2, 1, 1, 1, 1]
    assert float(CostDecoder().decoder1.cnext.gamma.mean()) == 1.0
    assert CostDecoder().decoder1.cnext.dwconv.kernel_size == (9, 9)


def test_similarities_are_cosines_without_a_temperature() -> None:
    model, images = _model(), torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        cosines, maps = model.similarities(images)
        text = model.embed_text()
        dense, stages = model.clip.encode_image(images)
    assert text.shape == (3, 14, 16) and cosines.shape == (2, 3, 14, 4, 4)
    place = dense[1, :, 2, 3]
    torch.testing.assert_close(cosines[1, 2, 5, 2, 3], text[2, 5] @ place / place.norm())
    assert [own.shape[2] for own in maps] == [8, 16, 32] and torch.equal(maps[2], stages[0])


@pytest.mark.parametrize(
    ("size", "keep", "expected"),
    [((768, 768), True, (768, 768)), ((640, 853), True, (576, 768)), ((853, 640), False, (768, 768)),
     ((10, 1000), True, (32, 768)), ((300, 290), True, (768, 736))],
)  # fmt: skip
def test_sides_are_brought_to_the_resolution(size: tuple[int, int], keep: bool, expected: tuple[int, int]) -> None:
    clip = ConvNeXtCLIP(CLIP_SMALL["visual"], CLIP_SMALL["text"], 16)
    assert clip.fit(torch.zeros(1, 3, *size), keep) == expected


def test_scores_are_resized_and_the_release_cuts_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = torch.arange(32.0).expand(1, 3, 32, 32)  # the finest map of 128 pixels
    for defects, last in ((False, 31.0), (True, 19.0)):
        model = _model(release_defects=defects)
        monkeypatch.setattr(model, "_forward", lambda inputs: ramp)
        out = model.predict(torch.zeros(1, 3, 10, 20), [SegDataSample(metainfo=dict(ori_shape=(20, 40)))])
        scores = out[0].seg_logits.data
        assert scores.shape == (3, 20, 40)
        torch.testing.assert_close(scores[0, 0, -1], torch.tensor(last).sigmoid())
        assert model.extract_feat(torch.zeros(1, 3, 64, 128))[0].shape[2:] == ((4, 4) if defects else (2, 4))


def test_losses_by_hand() -> None:
    model = _model().train()
    logits = [torch.full((1, 3, 8, 8), 2.0), *(torch.zeros(1, 3, 2 * 2**i, 2 * 2**i) for i in range(3))]
    model.decoder.forward = lambda *given: logits  # type: ignore[method-assign, assignment]
    labels = torch.full((128, 128), 255)
    labels[:64] = 1
    losses = model.loss(torch.zeros(1, 3, 128, 128), [_sample(labels)])
    zero, two = torch.tensor(0.0), torch.tensor(2.0)
    against = functional.softplus(two)  # every class of every pixel, and one of three in half of them is right
    torch.testing.assert_close(losses["loss_0"], against - 2 / 6)
    for i in (1, 2, 3):
        torch.testing.assert_close(losses[f"loss_{i}"], functional.softplus(zero))
    assert set(losses) == {f"loss_{i}" for i in range(4)}


def test_fast_inference_leaves_out_classes_that_are_nowhere_near() -> None:
    model, images = _model(), torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        full = model._forward(images)
        model.test_cfg = dict(mode="whole", fast=3)
        torch.testing.assert_close(model._forward(images), full, rtol=1e-4, atol=1e-5)
        cosines, maps = model.similarities(images[:1])
        for head in (model.decoder.head0, model.decoder.head1, model.decoder.head2):
            head.weight.zero_()
            head.bias.zero_()
        model.decoder.head0.weight.add_(torch.randn_like(model.decoder.head0.weight))
        best = set(model.decoder(cosines, maps)[1].argmax(1).flatten().tolist())
        alone = model.decoder.fast(cosines, maps, 1)
    rejected = set(range(3)) - {i for i in range(3) if alone[0, i].isfinite().all()}
    assert set(range(3)) - best <= rejected and len(rejected) < 3
    assert all((alone[0, i] == -torch.inf).all() for i in rejected)
    model.test_cfg = dict(mode="whole", fast=1)
    with torch.no_grad():
        scores = model.inference(images)
    assert scores.isfinite().all() and scores.min() >= 0


def test_any_vocabulary() -> None:
    model, images = _model(), torch.randn(2, 3, 100, 128)
    with torch.no_grad():
        out = model.inference(images)
        assert out.shape == (2, 3, 100, 128) and out.isfinite().all()
        model.set_vocabulary(["sea, ocean", "road", "tree"])
        assert model.inference(images).shape == out.shape
        model.set_vocabulary(["sea", "road", "tree"])
        torch.testing.assert_close(model.inference(images), out[:, [2, 0, 1]], rtol=1e-4, atol=1e-5)
        model.set_vocabulary("potsdam")
        assert model.vocabulary.names[0].startswith("impervious surface")
        model.test_cfg = dict(mode="slide", crop_size=(64, 64), stride=(32, 32))
        assert model.inference(images).shape == (2, 5, 100, 128)
    assert model.window == 128


@pytest.mark.parametrize("defects", [False, True])
def test_a_step_trains_the_tower_and_the_decoder(defects: bool) -> None:
    model = _model(release_defects=defects).train()
    assert model.clip.visual.training and not model.clip.transformer.training
    labels = torch.randint(0, 3, (2, 128, 128))
    labels[1] = 255
    losses = model.loss(torch.randn(2, 3, 128, 128), [_sample(label) for label in labels])
    sum(losses.values()).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    assert without == {
        name for name, _ in model.named_parameters() if name.startswith("clip.") and not name.startswith("clip.visual.")
    }
    model.zero_grad()
    model.loss(torch.randn(1, 3, 128, 128), [_sample(labels[0])])["loss_1"].backward()
    reached = model.decoder.conv1.weight.grad is not None
    assert reached is not defects and model.decoder.head0.weight.grad is not None


def test_a_grid_of_one_row_is_pooled_along_it() -> None:
    model = _model().train()
    labels = torch.randint(0, 3, (32, 256))
    losses = model.loss(torch.randn(1, 3, 32, 256), [_sample(labels)])
    assert all(value.isfinite() for value in losses.values())


def test_stages_may_be_computed_twice() -> None:
    gradients = []
    for twice in (False, True):
        model = _model(decoder={**DECODER, "checkpointing": twice}).train()
        model.clip.visual.eval()  # no drop path
        sum(
            model.loss(torch.ones(1, 3, 128, 128), [_sample(torch.zeros(128, 128, dtype=torch.long))]).values()
        ).backward()
        gradients.append([value.grad for value in model.parameters() if value.grad is not None])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_half_precision_gives_nearly_the_same() -> None:
    model, image = _model(), torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        expected = model.inference(image)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(model.inference(image), expected, rtol=0.1, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train().loss(image, [_sample(torch.randint(0, 3, (128, 128)))])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_rates_and_decay_are_the_releases(repo: Path) -> None:
    wrapper = Config.fromfile(repo / "configs/_base_/schedules/sed_80k.py").optim_wrapper
    model = _model()
    groups = {id(group["params"][0]): group for group in build_optim_wrapper(model, wrapper).optimizer.param_groups}
    norms = {f"{name}.": own for name, own in model.named_modules() if isinstance(own, nn.LayerNorm | nn.GroupNorm)}
    for name, value in model.named_parameters():
        if not value.requires_grad:
            assert id(value) not in groups
            continue
        group = groups[id(value)]
        assert group["lr"] == pytest.approx(2e-6 if name.startswith("clip.") else 2e-4), name
        still = name.rpartition(".")[0] + "." in norms and ".cnext." not in name
        assert group["weight_decay"] == (0.0 if still else 1e-4), name


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"template='imagenet' gives 80 texts of each class; expected 14"):
        _model(template="imagenet")
    with pytest.raises(ValueError, match="'five_view': expected one of: 'whole', 'slide'"):
        _model(test_cfg=dict(mode="five_view"))
    for fast in (0, True, 2.5):
        with pytest.raises(ValueError, match=rf"test_cfg.fast={fast}: expected how many classes"):
            _model(test_cfg=dict(mode="whole", fast=fast))
    with pytest.raises(ValueError, match="resolution=100: expected a multiple of 32"):
        _model(clip={**CLIP_SMALL, "resolution": 100})
    with pytest.raises(ValueError, match="label 3: expected 0 to 2, the classes of the vocabulary"):
        _model().loss(torch.zeros(1, 3, 128, 128), [_sample(torch.full((128, 128), 3))])
