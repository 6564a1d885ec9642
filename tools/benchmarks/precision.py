"""``precision_*``: one view of a model as ``--precision`` computes it on this CPU, against the exact computation.

``auto`` is what the self-test chooses here; where it chooses the exact computation the ratio is 1.  The weights are
random, and views have 512 pixels a side (GSNet: 384, 40 classes).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entry import Entry, Work

_CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_SIDE = 512


def model(config: str) -> Any:
    """The segmentor of a config with random weights, in eval mode."""
    import torch
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401
    from rsseg.engine.launch import prepare_config
    from rsseg.io.configs import read_config

    cfg = read_config(_CONFIGS / config)
    cfg.launcher = "pytorch"  # BN for SyncBN
    prepare_config(cfg)
    (cfg.model.get("backbone") or {}).pop("init_cfg", None)
    init_default_scope("mmseg")
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


def _setup(config: str | None, requested: str) -> tuple[Work, Work]:
    import torch

    from benchmarks.gsnet import gsnet_model
    from rsseg.engine import Precision, choose_precision

    torch.set_num_threads(1)
    own = gsnet_model(40) if config is None else model(config)
    side = own.clip.resolution if config is None else _SIDE
    image, choice = torch.randn(1, 3, side, side), choose_precision(requested, own)

    def run(precision: Precision) -> Any:
        precision.arrange(own)
        with torch.inference_mode(), precision.computing(image.device):
            return own(image, mode="tensor").float()

    exact, other = run(Precision()), run(choice)
    bound = 0.05 if choice.bf16 else 1e-4
    torch.testing.assert_close(other, exact, rtol=0, atol=bound * float(exact.abs().max()))
    return partial(run, choice), partial(run, Precision())


_MODELS = {
    "gsnet": (None, "GSNet, 40 classes"),
    "swin": ("openearthmap/upernet_swin_t_openearthmap.py", "UPerNet with Swin-T"),
    "unet": ("openearthmap/unet_effb4_openearthmap.py", "U-Net with EfficientNet-B4"),
}
PRECISION = {
    f"precision_{name}_{requested}": Entry(
        f"a view of {about} with --precision {requested} against exact", partial(_setup, config, requested)
    )
    for name, (config, about) in _MODELS.items()
    for requested in ("auto", "bf16")
}
