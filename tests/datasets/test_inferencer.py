"""mmseg's own inferencer reads files with the loader of our configs, and takes arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from rasterio.enums import ColorInterp
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")
BASE = Path(__file__).resolve().parents[2] / "configs" / "_base_"
RGB = ("red", "green", "blue")


def _inferencer(tmp_path: Path, **pixels: Any) -> Any:
    """A model whose class is the largest of its three bands."""
    from mmseg.apis import MMSegInferencer
    from mmseg.registry import MODELS

    import rsseg.datasets
    import rsseg.models  # noqa: F401  (registers the segmentor)

    @MODELS.register_module(force=True)
    class SameBands(nn.Module):
        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            return (image,)

    config = Config.fromfile(BASE / "datasets" / "_segmentation.py")
    load = dict(type="LoadImage", **pixels)
    pipeline = [load, *config.test_pipeline[1:]]
    config = Config(
        dict(
            default_scope="mmseg",
            visualizer=dict(type="SegLocalVisualizer", name="inferencer"),
            test_dataloader=dict(dataset=dict(type="TableDataset", table="potsdam", pipeline=pipeline)),
            model=dict(
                type="Segmentor",
                data_preprocessor=dict(
                    type="SegDataPreProcessor", mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=True, size=None
                ),
                backbone=dict(type="SameBands"),
                decode_head=dict(
                    type="FCNHead",
                    in_channels=3,
                    channels=3,
                    num_convs=0,
                    concat_input=False,
                    num_classes=3,
                    in_index=0,
                    norm_cfg=dict(type="BN"),
                    align_corners=False,
                ),
                test_cfg=dict(mode="whole"),
            ),
        )
    )
    inferencer = MMSegInferencer(model=config, classes=RGB, palette=[[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    weights = inferencer.model.decode_head.conv_seg
    weights.weight.data[:] = torch.eye(3)[:, :, None, None]
    weights.bias.data[:] = 0
    return inferencer


def _labels(inferencer: Any, images: Any) -> np.ndarray:
    return np.asarray(inferencer(images, return_datasamples=True).pred_sem_seg.data[0])


def test_files_and_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).permuted(
        np.tile(np.arange(1, 4, dtype=np.uint8)[:, None, None], (1, 9, 7)), axis=0
    )
    options = dict(driver="GTiff", width=7, height=9, count=3, dtype="uint8")
    with rasterio.open(tmp_path / "a.tif", "w", **options) as file:  # blue, green, red, as the file says
        file.write(pixels[::-1])
        file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    inferencer = _inferencer(tmp_path)
    np.testing.assert_array_equal(_labels(inferencer, str(tmp_path / "a.tif")), pixels.argmax(0))
    array = np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))  # as OpenCV has it
    np.testing.assert_array_equal(_labels(inferencer, array), pixels.argmax(0))


def test_declared_bands_and_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).permuted(
        np.tile(np.array([100, 900, 2000], np.uint16)[:, None, None], (1, 5, 6)), axis=0
    )
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=6, height=5, count=3, dtype="uint16") as file:
        file.write(pixels)
    inferencer = _inferencer(tmp_path, bands=(3, 2, 1), value_range=(0, 3000))
    expected = pixels[::-1].argmax(0)  # band 3 is red
    np.testing.assert_array_equal(_labels(inferencer, str(tmp_path / "a.tif")), expected)
    np.testing.assert_array_equal(_labels(inferencer, np.ascontiguousarray(pixels.transpose(1, 2, 0))), expected)
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\)"):
        _labels(inferencer, np.zeros((5, 6, 4), np.uint16))
