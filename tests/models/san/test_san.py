"""SAN: its two ways against mmseg's own modules, its scores by hand, a training step, any vocabulary."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.models.decode_heads import san_head
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rsseg.models.gsnet import CLIP
from rsseg.models.san import SAN, SideAdapter, recognise

pytestmark = pytest.mark.usefixtures("mmseg_scope")

CLIP_SMALL = dict(
    visual=dict(width=32, layers=4, heads=2, patch=8, grid=4), text=dict(width=32, layers=2, heads=2), embed=16
)
ADAPTER = dict(resolution=64, patch=8, width=24, layers=3, heads=2, queries=5, channels=16)


def _noise(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)


def _model(**changes: Any) -> SAN:
    torch.manual_seed(0)
    clip = dict(type="CLIP", **CLIP_SMALL, resolution=32, taps=(0,))
    loss = dict(points=64)
    config = dict(type="SAN", clip=clip, adapter=ADAPTER, taps=(0, 1, 2), loss=loss, vocabulary=["road", "tree", "sea"])
    model = MODELS.build({**config, **changes}).eval()
    _noise(model)
    return model


def _sample(labels: torch.Tensor) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=labels[None]))


@pytest.mark.parametrize("training", [False, True])
def test_the_adapter_is_mmsegs(monkeypatch: pytest.MonkeyPatch, training: bool) -> None:
    monkeypatch.setattr(san_head, "point_sample", object())  # it refuses to be built without
    theirs = san_head.SideAdapterNetwork(
        clip_channels=32,
        embed_dims=24,
        patch_size=8,
        num_queries=5,
        fusion_index=[0, 1, 2],
        cfg_encoder=ConfigDict(num_encode_layer=3, num_heads=2, mlp_ratio=4),
        cfg_decoder=ConfigDict(num_heads=2, num_layers=1, embed_channels=16, mlp_channels=16, num_mlp=3, rescale=True),
        norm_cfg=dict(type="LN", eps=1e-6),
    )
    torch.manual_seed(0)
    ours = SideAdapter(32, 2, 3, **ADAPTER)
    _noise(ours)
    state = {key.replace("patch_embed.", "patch_embed.projection."): value for key, value in ours.state_dict().items()}
    for tap in range(3):
        for part in ("weight", "bias"):
            state[f"conv_clips.{tap}.1.conv.{part}"] = state.pop(f"conv_clips.{tap}.1.{part}")
    theirs.patch_embed.init_out_size = (8, 8)
    theirs.pos_embed = torch.nn.Parameter(torch.zeros(1, 64, 24))
    theirs.load_state_dict(state)
    images, features = torch.randn(2, 3, 64, 64), [torch.randn(2, 32, 4, 4) for _ in range(3)]
    masks, biases = theirs(images, [[feature] for feature in features], [2] if training else [])
    out = ours.train(training)(images, features)
    assert len(out) == len(masks) == 1 + training
    for (mask, bias), their_mask, their_bias in zip(out, masks, biases, strict=True):
        assert mask.shape == (2, 5, 8, 8)
        assert bias.shape == (2, 2, 5, 8, 8)
        torch.testing.assert_close(mask, their_mask, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(bias, their_bias[0], rtol=1e-4, atol=1e-5)


def test_clips_last_blocks_are_mmsegs() -> None:
    torch.manual_seed(0)
    clip = CLIP(**CLIP_SMALL, resolution=32, taps=(0,))
    _noise(clip)
    theirs = san_head.RecWithAttnbias(
        sos_token_num=5, num_layers=2, embed_dims=32, num_heads=2, out_dims=16, act_cfg=dict(type="QuickGELU")
    )
    state = {
        "proj.weight": clip.visual.proj.T,
        **{f"ln_post.{k}": v for k, v in clip.visual.ln_post.state_dict().items()},
    }
    for i, block in enumerate(clip.visual.transformer.resblocks[2:]):
        attn, own = block.attn, f"layers.{i}."
        state[f"{own}attentions.0.attn.in_proj_weight"] = torch.cat(
            [attn.q_proj_weight, attn.k_proj_weight, attn.v_proj_weight]
        )
        state[f"{own}attentions.0.attn.in_proj_bias"] = attn.in_proj_bias
        for ours, name in {
            "attn.out_proj": "attentions.0.attn.out_proj",
            "ln_1": "norms.0",
            "ln_2": "norms.1",
            "mlp.c_fc": "ffns.0.layers.0.0",
            "mlp.c_proj": "ffns.0.layers.1",
        }.items():
            state |= {f"{own}{name}.{key}": value for key, value in block.get_submodule(ours).state_dict().items()}
    theirs.load_state_dict(state)
    tokens, bias = torch.randn(2, 17, 32), torch.randn(2, 2, 5, 8, 8)
    maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    expected = theirs([bias], [maps, tokens[:, 0]])
    out = recognise(clip, tokens, bias, 2)
    assert out.shape == (2, 5, 16)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_scores_are_masks_times_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    scores = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 100.0]]])  # a quarter each; none
    layer = SimpleNamespace(scores=scores, masks=torch.full((1, 2, 8, 8), 100.0))
    monkeypatch.setattr(model, "layers", lambda inputs: [layer])
    out = model.inference(torch.zeros(1, 3, 40, 50))
    torch.testing.assert_close(out, torch.full((1, 3, 40, 50), 0.25))
    layer.scores = torch.tensor([[[100.0, 0.0, 0.0, 0.0], [0.0, 100.0, 0.0, 0.0]]])  # two masks, both everywhere
    out = model.inference(torch.zeros(1, 3, 40, 50))[0, :, 3, 4]
    torch.testing.assert_close(out, torch.tensor([0.5, 0.5, 0.0]))


def test_any_vocabulary() -> None:
    model, images = _model(), torch.randn(2, 3, 48, 64)
    with torch.no_grad():
        out = model.inference(images)
        assert out.shape == (2, 3, 48, 64)
        assert out.isfinite().all()
        assert out.min() >= 0
        model.set_vocabulary(["sea", "road", "tree"])
        torch.testing.assert_close(model.inference(images), out[:, [2, 0, 1]], rtol=1e-4, atol=1e-5)
        model.set_vocabulary(["runway"])
        assert model.predict(images)[0].seg_logits.data.shape == (1, 48, 64)
        model.test_cfg = dict(mode="slide", crop_size=(32, 32), stride=(16, 16))
        assert model.inference(images).shape == (2, 1, 48, 64)


def test_a_step_trains_the_adapter_and_positions() -> None:
    model = _model().train()
    assert not model.clip.training
    labels = torch.randint(0, 3, (2, 64, 64))
    labels[1] = 255  # an image without labels
    losses = model.loss(torch.randn(2, 3, 64, 64), [_sample(label) for label in labels])
    assert set(losses) == {"loss_cls", "loss_mask", "loss_dice"}
    assert all(value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    assert without == {
        name for name, _ in model.named_parameters()
        if name.startswith("clip.") and name != "clip.visual.positional_embedding"
    }  # fmt: skip


def test_half_precision_gives_nearly_the_same() -> None:
    model, image = _model(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.inference(image)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(model.inference(image), expected, rtol=0.1, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train().loss(image, [_sample(torch.randint(0, 3, (64, 64)))])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_it_learns_an_image() -> None:
    model, image = _model().train(), torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1.0
    labels = torch.zeros(64, 64, dtype=torch.long)
    labels[:, 32:] = 2
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 2e-3)
    for _ in range(100):
        optimizer.zero_grad()
        sum(model.loss(image, [_sample(labels)]).values()).backward()
        optimizer.step()
    with torch.no_grad():
        out = model.eval().predict(image)[0].pred_sem_seg.data[0]
    assert (out == labels).float().mean() > 0.9


def test_positions_and_norms_do_not_decay(repo: Path) -> None:
    wrapper = Config.fromfile(repo / "configs/_base_/schedules/san_60k.py").optim_wrapper
    model = _model()
    groups = build_optim_wrapper(model, wrapper).optimizer.param_groups
    kept = {id(group["params"][0]) for group in groups if group["weight_decay"] == 0}
    names = {name for name, value in model.named_parameters() if id(value) in kept and value.requires_grad}
    assert {"clip.visual.positional_embedding", "adapter.pos_embed", "adapter.query_pos_embed"} < names
    assert all("pos" in name or ".ln" in name for name in names), names
    assert "adapter.encode_layers.0.ln1.weight" in names


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"taps=\(0, 4\): expected increasing numbers from 0 to 3, the blocks of CLIP"):
        _model(taps=(0, 4))
    with pytest.raises(ValueError, match="'five_view': expected one of: 'whole', 'slide'"):
        _model(test_cfg=dict(mode="five_view"))
    with pytest.raises(ValueError, match="must be a multiple of patch=8"):
        SideAdapter(**{**ADAPTER, "resolution": 60, "taps": 3})
    with pytest.raises(ValueError, match="label 3: expected 0 to 2, the classes of the vocabulary"):
        _model().loss(torch.zeros(1, 3, 64, 64), [_sample(torch.full((64, 64), 3))])
