"""Rasters and models small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from rasterio import Affine
from torch import nn

from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.delivery import begin_delivery
from rsseg.metainfo import ClassTable, load_metainfo
from tests.mapping.deliveries import GPKG, OPTIONS, Deliver
from tests.object_store import Store, object_store

UTM = Affine(0.5, 0, 500000, 0, -0.5, 4000000)


class Stub:
    """Three classes whose scores are the red, green and blue values."""

    classes, probabilities, device = 3, False, torch.device("cpu")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, windows: Any) -> torch.Tensor:
        return torch.from_numpy(np.stack(windows)).float()

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(batch))
        return batch.flip(1)


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., Path]:
    """``write_raster(pixels (C, H, W), "name.tif", crs=..., ...)`` returns the file; UTM 33N and 0.5 m by default."""

    def write(pixels: np.ndarray, name: str = "source.tif", mask: np.ndarray | None = None, **profile: Any) -> Path:
        path = tmp_path / name
        settings = {"driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, **profile}
        colours = settings.pop("colorinterp", None)
        count, height, width = pixels.shape
        with rasterio.open(path, "w", count=count, height=height, width=width, dtype=pixels.dtype, **settings) as file:
            file.write(pixels)
            if colours:
                file.colorinterp = colours
            if mask is not None:
                file.write_mask(mask)
        return path

    return write


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """``noise(3, 40, 50)`` is random uint8 in blotches, so that neighbouring windows matter."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)

    return make


@pytest.fixture
def table(tmp_path: Path) -> ClassTable:
    """Red, green and blue."""
    path = tmp_path / "rgb.json"
    path.write_text(
        '{"name": "RGB", "source": "test", "categories": ['
        '{"id": 0, "name": "red", "color": "#FF0000"}, {"id": 1, "name": "green", "color": "#00FF00"}, '
        '{"id": 2, "name": "blue", "color": "#0000FF"}]}'
    )
    return load_metainfo(str(path))


class _Identity(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x,)


PLAIN_MODEL = dict(
    type="Segmentor",
    data_preprocessor=dict(
        type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255
    ),
    backbone=dict(type="MappingTestIdentity"),
    decode_head=dict(
        type="FCNHead", in_channels=3, channels=3, in_index=0, num_convs=0, concat_input=False, num_classes=3,
        norm_cfg=dict(type="BN"), align_corners=False, loss_decode=dict(type="CrossEntropyLoss"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)  # fmt: skip


@pytest.fixture
def plain_model(mmseg_scope: None) -> Any:
    """A real segmentor (no weights but a 1x1 convolution) whose classes are red, green and blue, the larger wins."""
    from mmseg.registry import MODELS

    from rsseg.models import Segmentor  # noqa: F401

    if "MappingTestIdentity" not in MODELS.module_dict:
        MODELS.register_module(name="MappingTestIdentity", module=_Identity)
    model = MODELS.build(Config(PLAIN_MODEL))
    with torch.no_grad():
        model.decode_head.conv_seg.weight.copy_(torch.eye(3)[:, :, None, None])
        model.decode_head.conv_seg.bias.zero_()
    return model.eval()


@pytest.fixture
def deliver(stub: Any, table: Any, noise: Any, write_raster: Any, tmp_path: Path) -> Deliver:
    """``deliver(address)`` maps a raster as a command does; gives how many batches the model was asked for."""
    source = write_raster(noise(3, 40, 50))

    def run(
        address: str, products: Products = GPKG, name: str = "map.tif", more: Sequence[str] = (), **options: Any
    ) -> int:
        delivery, first = begin_delivery(f"{address}/{name}", tmp_path / "work", products.vectors)
        stub.batches.clear()
        settings = MapOptions(**{**OPTIONS, **options})
        for target in (first, *map(first.with_name, more)):
            stored = delivery.stored(target)
            if map_raster(str(source), target, stub, table, settings, {}, products=products, stored=stored):
                delivery.upload_after(lambda source, target: None)(str(source), target)
        delivery.close()
        return len(stub.batches)

    return run


@pytest.fixture
def local(stub: Any, table: Any, deliver: Deliver, tmp_path: Path) -> dict[str, bytes]:
    """The files of the same map as it is made locally."""
    map_raster(str(tmp_path / "source.tif"), tmp_path / "local" / "map.tif", stub, table, MapOptions(**OPTIONS), {},
               products=GPKG)  # fmt: skip
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "local").iterdir())}


@pytest.fixture
def store() -> Iterator[type[Store]]:
    """An empty object store at ``s3://``."""
    with object_store() as store:
        yield store
