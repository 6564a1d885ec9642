"""``cached_features``: a training step of UPerNet on a frozen encoder, with cached features against computed ones."""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.entry import Entry, Work

_SIDE, _BATCH, _WIDTH = 512, 2, 384


def _step(encoder: dict[str, Any], images: Any) -> Work:
    """One step of the decoder."""
    import torch
    from mmseg.registry import MODELS

    torch.manual_seed(0)
    head = dict(type="UPerHead", in_channels=[_WIDTH] * 4, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=64,
                num_classes=6, norm_cfg=dict(type="BN"), align_corners=False,
                loss_decode=dict(type="CrossEntropyLoss"))  # fmt: skip
    backbone, decoder = MODELS.build(encoder).train(), MODELS.build(head).train()
    optimizer = torch.optim.AdamW(decoder.parameters())

    def step() -> None:
        optimizer.zero_grad()
        decoder(backbone(images)).square().mean().backward()
        optimizer.step()

    return step


def _setup() -> tuple[Work, Work]:
    import torch
    from mmengine.registry import init_default_scope

    import rsseg.models  # noqa: F401  (registers them)

    init_default_scope("mmseg")
    torch.set_num_threads(1)
    encoder = dict(type="DINOv3", name="vit_small_patch16_dinov3", tune="frozen")
    images = torch.randn(_BATCH, 3, _SIDE, _SIDE)
    kept = dict(type="Cached", encoder=encoder, folder=tempfile.mkdtemp())
    return _step(kept, images), _step(encoder, images)


CACHED_FEATURES = Entry(
    f"a step of UPerNet (64 channels) on a frozen DINOv3 ViT-S/16, {_BATCH} images of {_SIDE} x {_SIDE}, one thread, "
    "against computing the features",
    _setup,
)
