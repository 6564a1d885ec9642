"""A GSNet small enough for tests, and the plain forms of its modules."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture
def toy_config() -> dict[str, Any]:
    """GSNet for views of 64 pixels: CLIP on 8 x 8 places, DINO on 16 x 16, all channels multiples of 16."""
    return dict(
        type="GSNet",
        clip=dict(
            type="CLIP",
            visual=dict(width=32, layers=3, heads=2, patch=8, grid=4),
            text=dict(width=32, layers=2, heads=2),
            embed=32,
            resolution=64,
            taps=(0, 1),
        ),
        dino=dict(type="DINOViT", width=32, layers=3, heads=2, patch=4, grid=7, resolution=64, taps=(0, 1, 2)),
        fusion=dict(type="QueryGuidedFusion", channels=32),
        aggregator=dict(type="Aggregator", channels=32, heads=2, window=4),
        decoder=dict(type="ResidualDecoder", channels=32, widths=(32, 16), guidance_channels=(16, 8)),
        vocabulary=["road", "water", "tree"],
        test_cfg=dict(mode="five_view", size=106, overlap=0.333),
    )


@pytest.fixture
def build(mmseg_scope: None, toy_config: dict[str, Any]) -> Callable[..., Any]:
    """``build(**changes)``: the model in evaluation mode, with weights that leave nothing zero or one."""
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    def make(**changes: Any) -> Any:
        torch.manual_seed(0)
        model = MODELS.build({**toy_config, **changes}).eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value) * 0.1)
        return model

    return make


@pytest.fixture(scope="session")
def plain(repo: Path) -> Any:
    """The module with the plain forms, which the benchmarks compare with."""
    sys.path.insert(0, str(repo / "tools"))
    try:
        from benchmarks import gsnet_plain
    finally:
        sys.path.pop(0)
    return gsnet_plain
