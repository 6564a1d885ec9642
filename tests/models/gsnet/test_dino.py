"""DINO's transformer: against attention written out, its rule for positions, and its files."""

from __future__ import annotations

import argparse

import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch.nn import functional

from rsseg.models.gsnet.dino import DINO

SMALL = dict(width=64, layers=4, heads=2, patch=8, grid=4, resolution=48, taps=(0, 2, 3))


def dino(**changes):
    torch.manual_seed(0)
    return DINO(**{**SMALL, **changes})


def norm(x, state, name):
    return functional.layer_norm(x, (64,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)


def linear(x, state, name):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def plain(images, state, factor):
    """All tokens after each block and the last norm, of two heads of 32 channels, with the attention written out."""
    x = functional.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], 8)
    x = x.flatten(2).transpose(1, 2)
    table = state["pos_embed"]
    square = table[:, 1:].reshape(1, 4, 4, 64).permute(0, 3, 1, 2)
    places = functional.interpolate(square, scale_factor=factor, mode="bicubic").permute(0, 2, 3, 1).reshape(1, -1, 64)
    x = torch.cat([state["cls_token"].expand(len(x), 1, 64), x], 1) + torch.cat([table[:, :1], places], 1)
    out = []
    for i in range(4):
        q, k, v = linear(norm(x, state, f"blocks.{i}.norm1"), state, f"blocks.{i}.attn.qkv").chunk(3, -1)
        heads = []
        for own in (slice(0, 32), slice(32, 64)):
            scores = q[..., own] @ k[..., own].transpose(1, 2) / 32**0.5
            heads.append(scores.softmax(-1) @ v[..., own])
        x = x + linear(torch.cat(heads, -1), state, f"blocks.{i}.attn.proj")
        hidden = functional.gelu(linear(norm(x, state, f"blocks.{i}.norm2"), state, f"blocks.{i}.mlp.fc1"))
        x = x + linear(hidden, state, f"blocks.{i}.mlp.fc2")
        out.append(norm(x, state, "norm"))
    return out


@pytest.fixture
def model():
    """With weights that differ from what a model starts with, larger than those too."""
    model = dino()
    for value in model.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return model


def test_published_sizes_have_published_names():
    with torch.device("meta"):
        state = DINO().state_dict()
    assert len(state) == 150 and sum(value.numel() for value in state.values()) == 85_807_872
    assert state["pos_embed"].shape == (1, 785, 768) and state["patch_embed.proj.weight"].shape == (768, 3, 8, 8)
    assert state["blocks.11.attn.qkv.bias"].shape == (2304,) and state["blocks.11.mlp.fc1.weight"].shape == (3072, 768)


def test_taps_are_those_of_attention_written_out(model):
    """48 x 48 pixels are 6 x 6 patches, so positions are scaled by 6.1 / 4."""
    images = torch.randn(2, 3, 48, 48)
    expected = plain(images, model.state_dict(), (6.1 / 4, 6.1 / 4))
    for tap, maps in zip((0, 2, 3), model(images), strict=True):
        tokens = expected[tap][:, 1:].reshape(2, 6, 6, 64).permute(0, 3, 1, 2)
        torch.testing.assert_close(maps, tokens, atol=1e-5, rtol=0)


def test_features_of_oblong_images_at_their_size(model):
    images = torch.randn(2, 3, 24, 45)  # 3 x 5 patches
    expected = plain(images, model.state_dict(), (3.1 / 4, 5.1 / 4))[-1][:, 0]
    torch.testing.assert_close(model.features(images), expected, atol=1e-5, rtol=0)
    square = torch.randn(1, 3, 32, 32)  # as many as the table has
    torch.testing.assert_close(
        model.features(square), plain(square, model.state_dict(), 1.0)[-1][:, 0], atol=1e-5, rtol=0
    )


def test_positions_at_the_published_size_are_scaled_by_48_1_over_28():
    """Not those of ``size=(48, 48)``, from which they differ by up to several thousandths at a deviation of 0.02."""
    torch.manual_seed(0)
    model = DINO(width=8, layers=1, heads=1, taps=(0,))
    table = model.pos_embed[:, 1:].reshape(1, 28, 28, 8).permute(0, 3, 1, 2)
    scaled = functional.interpolate(table, scale_factor=(1.717857142857143, 1.717857142857143), mode="bicubic")
    own = model._positions(torch.Size((48, 48)))
    assert own.shape == (1, 2305, 8) and torch.equal(own[:, :1], model.pos_embed[:, :1])
    assert torch.equal(own[0, 1:].reshape(48, 48, 8), scaled[0].permute(1, 2, 0))
    assert (scaled - functional.interpolate(table, size=(48, 48), mode="bicubic")).abs().max() > 1e-3


def test_images_of_any_size_are_squeezed(model):
    images = torch.randn(1, 3, 50, 31)
    squeezed = functional.interpolate(images, (48, 48), mode="bilinear", align_corners=False)
    assert torch.equal(model(images)[0], model(squeezed)[0]) and (model.grid, model.channels) == (6, 64)


def test_frozen_means_no_gradient_and_no_training_mode():
    frozen, free = dino().train(), dino(frozen=False, drop_path=0.5).train()
    images = torch.randn(1, 3, 48, 48, requires_grad=True)
    assert not frozen.training and not frozen(images)[0].requires_grad
    assert not [name for name, value in frozen.named_parameters() if value.requires_grad]
    assert free.training and not torch.equal(free.features(images), free.features(images))
    free.features(images).sum().backward()
    assert all(value.grad is not None for value in free.parameters())


def contents(state):
    teacher = {f"module.backbone.{key}": value for key, value in state.items()}
    ours = {f"teacher.backbone.{key}": value for key, value in state.items()}
    other = {key.replace("teacher", "student"): value + 1 for key, value in ours.items()}
    head = {"module.head.mlp.0.weight": torch.ones(2)}
    return {
        "DINO's own": dict(
            student={"module.backbone.a": torch.ones(1)}, teacher=teacher | head, args=argparse.Namespace()
        ),
        "without module": dict(teacher={f"backbone.{key}": value for key, value in state.items()}),
        "converted": dict(meta=dict(layout="DINO"), state_dict=state),
        "rsseg's": dict(
            state_dict=ours | other | {"centre": torch.ones(2), "teacher.head.mlp.0.bias": torch.ones(2)},
            message_hub=dict(log_scalars={"loss": HistoryBuffer([1.0], [1])}),
        ),
        "plain": state,
    }


@pytest.mark.parametrize("kind", ["DINO's own", "without module", "converted", "rsseg's", "plain"])
def test_files(tmp_path, model, kind):
    torch.save(contents(model.state_dict())[kind], tmp_path / "dino.pth")
    loaded = dino(weights=str(tmp_path / "dino.pth"))
    assert not torch.equal(loaded.pos_embed, model.pos_embed)
    loaded.init_weights()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_files_that_do_not_fit(tmp_path, model):
    file = tmp_path / "dino.pth"
    loaded = dino(weights=str(file))
    with pytest.raises(FileNotFoundError, match=r"dino.pth: no such file.*rsseg train configs/dino"):
        loaded.init_weights()
    state = model.state_dict() | {"pos_embed": torch.ones(1, 10, 64), "odd": torch.ones(1)}
    del state["norm.bias"]
    torch.save(dict(teacher=state), file)
    message = r"1 missing: norm.bias; 1 unexpected: odd; 1 size mismatch: pos_embed \(1, 10, 64\) for \(1, 17, 64\)"
    with pytest.raises(ValueError, match=message):
        loaded.init_weights()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(heads=3), "heads=3: expected a divisor of width=64"),
        (dict(resolution=50), "resolution=50: expected a multiple of the patch size, 8 pixels"),
        (dict(taps=(4,)), r"taps=\(4,\): expected numbers from 0 to 3"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        dino(**changes)
