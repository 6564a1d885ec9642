"""Recipes of other libraries for crops of 224 of tiles: read, scale where they do, crop, flip, change colours, tensor.

albumentations and torchgeo are no dependency of rsseg; an entry says so where one is not installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.entry import Work
from rsseg.errors import ConfigError

__all__ = ["PEERS", "Peer", "peer"]

_CROP = 224
_MMSEG = [
    dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(_CROP, _CROP)), dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"), dict(type="PackSegInputs"),
]  # fmt: skip


def _mmseg(folder: Path, count: int) -> Work:
    from mmengine.dataset import Compose

    pipeline = Compose(_MMSEG)

    def work() -> None:
        for i in range(count):
            given = dict(img_path=str(folder / f"image{i}.png"), seg_map_path=str(folder / f"label{i}.png"))
            pipeline(given | dict(seg_fields=[], reduce_zero_label=False))

    return work


def _albumentations(folder: Path, count: int) -> Work:
    import albumentations as A
    import cv2
    import numpy as np
    from albumentations.pytorch import ToTensorV2
    from PIL import Image

    steps = A.Compose(
        [
            A.RandomScale((-0.5, 1.0), p=0.5), A.PadIfNeeded(_CROP, _CROP), A.RandomCrop(_CROP, _CROP),
            A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.RandomRotate90(p=0.5), A.ColorJitter(p=0.3), ToTensorV2(),
        ]
    )  # fmt: skip

    def work() -> None:
        for i in range(count):
            image = cv2.cvtColor(cv2.imread(str(folder / f"image{i}.png")), cv2.COLOR_BGR2RGB)
            with Image.open(folder / f"label{i}.png") as labels:  # OpenCV gives colours, not the palette's indices
                steps(image=image, mask=np.asarray(labels))

    return work


def _torchgeo(folder: Path, count: int) -> Work:
    """Windows of georeferenced tiles by its sampler, and its augmentations of batches; it scales nothing."""
    import kornia.augmentation as K
    import rasterio
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import RandomGeoSampler

    for kind in ("image", "label"):
        (folder / kind).mkdir()
        for i in range(count):  # beside each other in a projected system, so that it knows which label is whose
            with rasterio.open(folder / f"{kind}{i}.tif") as file:
                placed = file.profile | dict(crs="EPSG:32633", transform=rasterio.Affine(1, 0, i * 1100, 0, -1, 1024))
                with rasterio.open(folder / kind / f"{i}.tif", "w", **placed) as out:
                    out.write(file.read())

    class Labels(RasterDataset):
        is_image = False

    dataset = RasterDataset(str(folder / "image")) & Labels(str(folder / "label"))
    sampler = RandomGeoSampler(dataset, size=_CROP, length=count)
    steps = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5), K.ColorJitter(0.2, 0.2, 0.2, 0.1, p=0.3),
        data_keys=None, keepdim=True,
    )  # fmt: skip

    def work() -> None:
        for batch in DataLoader(dataset, batch_size=count, sampler=sampler, collate_fn=stack_samples):
            steps({"image": batch["image"] / 255, "mask": batch["mask"].float()})

    return work


@dataclass(frozen=True)
class Peer:
    """A recipe.

    Attributes:
        package: What must be installed.
        about: What is measured.
        setup: Makes the work from the folder of the tiles and their number.
    """

    package: str
    about: str
    setup: Callable[[Path, int], Work]


PEERS = {
    "mmseg": Peer("mmseg", "mmseg's recipe from PNGs (RandomResize, RandomCrop, PhotoMetricDistortion)", _mmseg),
    "albumentations": Peer(
        "albumentations", "albumentations' recipe from PNGs (RandomScale, RandomCrop, ColorJitter)", _albumentations
    ),
    "torchgeo": Peer(
        "torchgeo", "torchgeo's recipe from TIFFs (RasterDataset, RandomGeoSampler, kornia; no scaling)", _torchgeo
    ),
}


def peer(name: str, folder: Path, count: int) -> Any:
    """The work of a recipe.

    Raises:
        ConfigError: Its package is not installed.
    """
    package = PEERS[name].package
    if importlib.util.find_spec(package) is None:
        raise ConfigError(f"{package} is not installed, so it cannot be compared: pip install {package}")
    return PEERS[name].setup(folder, count)
