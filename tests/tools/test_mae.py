"""Masked autoencoding as a user runs it, and its encoder as a backbone: the same features in two libraries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmpretrain.registry
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from PIL import Image

import rsseg.engine.pretraining  # noqa: F401
from rsseg.engine import load_file
from rsseg.engine.weights import convert_weights

pytestmark = pytest.mark.slow

SHORT = [
    "train_cfg.max_iters=2",
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "default_hooks.logger.interval=1",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three images of 420 x 500, each 2 x 2 crops."""
    root = tmp_path_factory.mktemp("mae")
    images = root / "data" / "nwpu_vhr10" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (420, 500, 3)).astype(np.uint8)).save(images / f"{i}.jpg")
    return root


def test_training_and_the_encoder_as_backbone(
    world: Path, repo: Path, run_tool: Callable[..., subprocess.CompletedProcess[str]], mmseg_scope: None
) -> None:
    path = repo / "configs" / "mae" / "mae_tiny_nwpu.py"
    result = run_tool("train", path, "--amp", "--cfg-options", *SHORT, cwd=world)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    assert "OneDL" not in result.stdout + result.stderr
    work_dir = world / "work_dirs" / "mae" / "mae_tiny_nwpu"
    (scalars,) = work_dir.glob("*/vis_data/scalars.json")
    losses = [json.loads(line)["loss"] for line in scalars.read_text().splitlines()]
    assert len(losses) == 2 and np.isfinite(losses).all()

    file = work_dir / "iter_2.pth"
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        mae = mmpretrain.registry.MODELS.build(config.model).eval()
    mae.load_state_dict(load_file(file)["state_dict"])
    check_vit(mae.backbone, file, world / "vit.pth")
    check_rvsa(mae.backbone, file, world / "rvsa.pth")


@torch.no_grad()
def check_vit(encoder: Any, file: Path, out: Path) -> None:
    """Patch features of the encoder with nothing masked, and of ViT's blocks and forward pass."""
    verdict = convert_weights(file, out)
    vit = MODELS.build(verdict.model).eval()
    vit.load_state_dict({**vit.state_dict(), **load_file(out)["state_dict"]})
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    encoder.mask_ratio = 0.0
    shuffled, _, order = encoder(images)
    expected = shuffled[:, 1:].gather(1, order[..., None].expand(-1, -1, shuffled.shape[2]))
    patches = vit.patch_embed(images).flatten(2).transpose(1, 2) + vit.pos_embed
    tokens = torch.cat([(encoder.cls_token + encoder.pos_embed[:, :1]).expand(2, -1, -1), patches], 1)
    for block in vit.blocks:
        tokens = block(tokens, (14, 14))
    torch.testing.assert_close(vit.norm(tokens)[:, 1:], expected, atol=1e-5, rtol=1e-5)

    tokens = encoder.patch_embed(images)[0] + encoder.pos_embed[:, 1:]  # SEP's ViT has no class token
    for layer in encoder.layers:
        tokens = layer(tokens)
    expected = encoder.ln1(tokens).transpose(1, 2).unflatten(2, (14, 14))
    torch.testing.assert_close(vit(images)[2], expected, atol=1e-5, rtol=1e-5)


def check_rvsa(encoder: Any, file: Path, out: Path) -> None:
    """The encoder's weights arrive where a config names the converted file."""
    verdict = convert_weights(file, out, backbone="rvsa")
    rvsa = MODELS.build({**verdict.model, "init_cfg": dict(type="Pretrained", checkpoint=str(out))})
    rvsa.init_weights()
    assert torch.equal(rvsa.patch_embed.proj.weight, encoder.patch_embed.projection.weight)
    for block, layer in zip(rvsa.blocks, encoder.layers, strict=True):
        assert torch.equal(block.attn.qkv.weight, layer.attn.qkv.weight)
        assert torch.equal(block.mlp.fc2.bias, layer.ffn.layers[1].bias)
