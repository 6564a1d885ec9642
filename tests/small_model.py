"""What makes trainings in tests short: a segmentor of three classes, and the pipelines of configs on small crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

MODEL = dict(
    type="mmseg.Segmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, pad_val=0,
                           seg_pad_val=255),
    backbone=dict(type="mmseg.ResNetV1c", depth=18, base_channels=1, num_stages=1, strides=(1,), dilations=(1,),
                  out_indices=(0,), contract_dilation=True, norm_cfg=dict(type="BN")),
    decode_head=dict(type="FCNHead", in_channels=1, channels=3, num_convs=1, concat_input=False, num_classes=3,
                     norm_cfg=dict(type="BN"), align_corners=False, loss_decode=dict(type="CrossEntropyLoss")),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)  # fmt: skip

_SIZES = ("scale", "scales", "crop_size", "size", "max_size")


def small_pipeline(config: Path, factor: int) -> list[dict[str, Any]]:
    """The training pipeline of a config with all its sizes divided by a factor."""
    return [_shrink(step, factor) for step in Config.fromfile(config).train_dataloader.dataset.pipeline]


def _shrink(value: Any, factor: int, sized: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: _shrink(own, factor, key in _SIZES) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_shrink(own, factor, sized) for own in value)
    return value // factor if sized and isinstance(value, int) else value
