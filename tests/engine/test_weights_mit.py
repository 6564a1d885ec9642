"""MiT by its authors' names against a plain transcription; DAFormer's files with the true keys: student and teacher."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_pretrained
from rsseg.engine.weights import convert_state, convert_weights

pytestmark = pytest.mark.usefixtures("mmseg_scope")
WIDTHS, HEADS, REDUCTIONS, B5 = (2, 4, 10, 16), (1, 2, 5, 8), (8, 4, 2, 1), (3, 6, 40, 3)


def official(depths: tuple[int, ...]) -> dict[str, Tensor]:
    """Random weights by SegFormer's names; MiT-B5's with the depths ``B5``, but narrow."""
    shapes: dict[str, tuple[int, ...]] = {}
    before = 3
    for i, (width, reduction, depth) in enumerate(zip(WIDTHS, REDUCTIONS, depths, strict=True), 1):
        side = 7 if i == 1 else 3
        shapes |= {f"patch_embed{i}.proj.weight": (width, before, side, side), f"patch_embed{i}.proj.bias": (width,)}
        norms = [f"patch_embed{i}.norm", f"norm{i}"]
        for j in range(depth):
            block = f"block{i}.{j}."
            norms += [f"{block}norm1", f"{block}norm2"]
            layers = {"attn.q": (width, width), "attn.kv": (2 * width, width), "attn.proj": (width, width)}
            layers |= {"mlp.fc1": (4 * width, width), "mlp.dwconv.dwconv": (4 * width, 1, 3, 3)}
            layers |= {"mlp.fc2": (width, 4 * width)}
            if reduction > 1:
                layers["attn.sr"] = (width, width, reduction, reduction)
                norms.append(f"{block}attn.norm")
            for name, shape in layers.items():
                shapes |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
        shapes |= {f"{norm}.{kind}": (width,) for norm in norms for kind in ("weight", "bias")}
        before = width
    return {key: torch.randn(shape) / math.sqrt(math.prod(shape[1:])) for key, shape in shapes.items()}


def plain_features(state: dict[str, Tensor], x: Tensor, depths: tuple[int, ...]) -> list[Tensor]:
    """SegFormer's encoder, written down from the paper."""
    out = []

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, x: Tensor, eps: float = 1e-6) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)

    def conv(name: str, x: Tensor, **options: int) -> Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def attend(block: str, x: Tensor, size: torch.Size, heads: int, reduction: int) -> Tensor:
        seen = x
        if reduction > 1:
            grid = x.transpose(1, 2).unflatten(2, size)
            seen = conv(f"{block}attn.sr", grid, stride=reduction).flatten(2).transpose(1, 2)
            seen = norm(f"{block}attn.norm", seen, 1e-5)
        q = linear(f"{block}attn.q", x).unflatten(2, (heads, -1)).transpose(1, 2)
        k, v = linear(f"{block}attn.kv", seen).unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1)
        return linear(f"{block}attn.proj", (weights @ v).transpose(1, 2).flatten(2))

    for i, (heads, reduction, depth) in enumerate(zip(HEADS, REDUCTIONS, depths, strict=True), 1):
        stride, padding = (4, 3) if i == 1 else (2, 1)
        x = conv(f"patch_embed{i}.proj", x, stride=stride, padding=padding)
        size = x.shape[2:]
        x = norm(f"patch_embed{i}.norm", x.flatten(2).transpose(1, 2), 1e-5)
        for j in range(depth):
            block = f"block{i}.{j}."
            x = x + attend(block, norm(f"{block}norm1", x), size, heads, reduction)
            inner = linear(f"{block}mlp.fc1", norm(f"{block}norm2", x)).transpose(1, 2).unflatten(2, size)
            inner = functional.gelu(conv(f"{block}mlp.dwconv.dwconv", inner, padding=1, groups=inner.shape[1]))
            x = x + linear(f"{block}mlp.fc2", inner.flatten(2).transpose(1, 2))
        x = norm(f"norm{i}", x).transpose(1, 2).unflatten(2, size)
        out.append(x)
    return out


def head(seed: int) -> dict[str, Tensor]:
    """DAFormer's decoder by its names."""
    torch.manual_seed(seed)
    own = MODELS.build(ConfigDict(type="DAFormerHead", num_classes=3, in_channels=WIDTHS, channels=6))
    return {f"decode_head.{key}": value for key, value in own.state_dict().items()}


def published(depths: tuple[int, ...] = (1, 1, 1, 1)) -> dict[str, Tensor]:
    """A file of DAFormer: three networks, of which each has all parts."""
    out = {}
    for seed, prefix in enumerate(("model.", "ema_model.", "imnet_model.")):
        torch.manual_seed(seed)
        encoder = {f"backbone.{key}": value for key, value in official(depths).items()}
        out |= {prefix + key: value for key, value in {**encoder, **head(seed)}.items()}
    return out


def test_encoders_of_segformer(tmp_path):
    torch.manual_seed(0)
    depths = (1, 2, 1, 1)
    state = official(depths)
    extra = {"head.weight": torch.zeros(5, 16), "head.bias": torch.zeros(5)}
    converted, report = convert_state({**state, **extra})
    assert report.ok and not report.fresh and report.skipped == {"classifier": ["head.weight", "head.bias"]}
    assert report.layout == "MiT, official names" and report.model["num_layers"] == [1, 2, 1, 1]
    torch.save(converted, tmp_path / "mit.pth")
    model = MODELS.build(dict(report.model, init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "mit.pth"))))
    model.init_weights()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for found, expected in zip(model.eval()(x), plain_features(state, x, depths), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-4)
    again, report = convert_state(converted)  # mmseg's own names stay
    assert report.ok and all(torch.equal(value, converted[key]) for key, value in again.items())


@pytest.mark.parametrize(
    ("backbone", "prefix", "rest", "depths"),
    [(None, "model.", "teacher", B5), ("daformer_teacher", "ema_model.", "student", (1, 1, 2, 1))],
)
def test_daformers_files(tmp_path, backbone, prefix, rest, depths):
    file = published(depths)
    torch.save({"state_dict": file, "meta": {}}, tmp_path / "daformer.pth")
    report = convert_weights(tmp_path / "daformer.pth", tmp_path / "out.pth", backbone=backbone)
    assert not report.missing and not report.unexpected and not report.fresh
    assert {reason: len(keys) for reason, keys in report.skipped.items()} == {
        rest: len(file) // 3 - sum(depths) * 2,  # of each block, two weights and two biases have become one of each
        "copy of the initial encoder": len(file) // 3 - sum(depths) * 2,
    }
    model = MODELS.build(ConfigDict(report.model)).eval()
    load_pretrained(model, tmp_path / "out.pth")
    own = model.state_dict()
    for key, value in file.items():
        if key.startswith(f"{prefix}decode_head."):
            assert torch.equal(own[key.removeprefix(prefix)], value), key
    encoder = f"{prefix}backbone."
    last = depths[2] - 1
    joined = torch.cat([file[f"{encoder}block3.{last}.attn.{part}.weight"] for part in ("q", "kv")])
    assert torch.equal(own[f"backbone.layers.2.1.{last}.attn.attn.in_proj_weight"], joined)
    mixed = file[f"{encoder}block4.0.mlp.fc2.weight"]
    assert torch.equal(own["backbone.layers.3.1.0.ffn.layers.4.weight"][..., 0, 0], mixed)
    state = {key.removeprefix(encoder): value for key, value in file.items() if key.startswith(encoder)}
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for found, expected in zip(model.backbone(x), plain_features(state, x, depths), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_damaged_file_is_named():
    file = published()
    del file["model.backbone.block1.0.attn.kv.weight"]
    _, report = convert_state(file)
    assert report.unexpected == ["model.backbone.block1.0.attn.q.weight"]
    assert report.missing == ["backbone.layers.0.1.0.attn.attn.in_proj_weight"]
    only = {key: value for key, value in published().items() if not key.startswith("ema_model.")}
    with pytest.raises(ValueError, match="looks like DAFormer, official names, but has no"):
        convert_state(only, backbone="daformer_teacher")
