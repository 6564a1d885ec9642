"""A tiny world for domain adaptation: two domains of 32 x 32 pixels, three classes, a network of four layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import DATASETS
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

import rsseg.datasets
import rsseg.engine
import rsseg.models  # noqa: F401

CLASSES, SIZE, COUNT = 3, 32, 6
CHANNELS = (8, 8, 8, 8)


@MODELS.register_module(force=True)
class TinyBackbone(BaseModule):
    """Features of 1/4, 1/8, 1/16 and 1/16, as a ResNet of output stride 16."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 4, 4)
        strides, before = (1, 2, 2, 1), (channels[0], *channels)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, c, 3, s, 1), nn.BatchNorm2d(c), nn.ReLU())
            for b, c, s in zip(before, channels, strides, strict=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Four feature maps."""
        x, out = self.stem(x), []
        for layer in self.layers:
            x = layer(x)
            out.append(x)
        return tuple(out)


@DATASETS.register_module(force=True)
class TwoDomains(torch.utils.data.Dataset):
    """Stripes of three classes; the target is darker, and has no label."""

    def __init__(
        self, count: int = COUNT, labelled_target: bool = False, domains: tuple[str, ...] = ("source", "target")
    ) -> None:
        self.domains, self.labelled = domains, labelled_target
        self.set_sizes = [count] * len(domains)
        info = {"classes": ("low", "middle", "high"), "palette": [[0, 0, 0], [0, 255, 0], [255, 0, 0]]}
        self.metainfo: dict[str, Any] = {**info, "sets": {name: info for name in domains}}

    def __len__(self) -> int:
        return sum(self.set_sizes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        which, place = divmod(int(index), self.set_sizes[0])
        name = self.domains[which]
        rng = np.random.default_rng([which, place])
        labels = np.repeat(rng.integers(0, CLASSES, (SIZE // 8, SIZE // 8)), 8, 0).repeat(8, 1)
        image = 60 + 60 * labels + rng.normal(0, 10, labels.shape) - (40 if name == "target" else 0)
        pixels = torch.from_numpy(np.broadcast_to(image.clip(0, 255), (3, SIZE, SIZE)).astype(np.uint8))
        sample = SegDataSample(metainfo=dict(
            dataset_name=name, img_path=f"{name}/{place}.png", img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE)
        ))  # fmt: skip
        if name != "target" or self.labelled:
            sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
        return {"inputs": pixels, "data_samples": sample}


def network(adaptation: dict[str, Any] | None, **parts: Any) -> dict[str, Any]:
    """Config of a model; of a plain segmentor without ``adaptation``."""
    head = dict(
        type="FCNHead",
        in_channels=8,
        in_index=3,
        channels=8,
        num_convs=1,
        num_classes=CLASSES,
        norm_cfg=dict(type="BN"),
    )
    model = dict(
        type="Segmentor",
        data_preprocessor=dict(type="SegDataPreProcessor", mean=[100.0] * 3, std=[50.0] * 3, size=(SIZE, SIZE)),
        backbone=dict(type="TinyBackbone"),
        decode_head={**head, "align_corners": False},
        train_cfg=dict(),
        test_cfg=dict(mode="whole"),
        **parts,
    )
    return model if adaptation is None else {**model, "type": "AdaptationSegmentor", "adaptation": adaptation}


SGD = dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9), clip_grad=dict(max_norm=5))
ADAM = dict(optimizer=dict(type="Adam", lr=0.001, betas=(0.9, 0.99)), clip_grad=dict(max_norm=5))


def optimizers(adversarial: bool) -> dict[str, Any]:
    """Config of the optimizers."""
    parts = dict(network=SGD, discriminator=ADAM) if adversarial else SGD
    return dict(constructor="AdaptationOptimizers", **parts)


def run_config(
    folder: Path, model: dict[str, Any], adversarial: bool = False, iterations: int = 4, **more: Any
) -> Config:
    """A whole run."""
    loader = dict(num_workers=0, dataset=dict(type="TwoDomains"))
    settings: dict[str, Any] = dict(
        default_scope="mmseg",
        model=model,
        train_dataloader={
            **loader,
            "batch_size": 4,
            "sampler": dict(type="ProportionalSampler"),
            "batch_sampler": dict(type="ProportionalBatches"),
        },
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=iterations),
        optim_wrapper=optimizers(adversarial),
        param_scheduler=[dict(type="PolyLR", power=0.9, begin=0, end=8, by_epoch=False)],
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
            checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2),
        ),
        custom_hooks=[dict(type="SeedEachIter"), dict(type="ShareBuffers")],
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=7),
        work_dir=str(folder),
        log_level="WARNING",
        experiment_name=folder.name,
    )
    return Config({**settings, **more})
