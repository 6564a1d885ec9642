"""Validation of SEP by hand: the middle of each image, mIoU of each set and their mean; a set more is a few lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from PIL import Image

import rsseg.models  # noqa: F401
from rsseg.datasets import ConvertedDataset, MultiDataset
from rsseg.evaluation import SegmentationMetric

FOURTH = """
_base_ = [{base!r}]

mine = dict(type="ConvertedDataset", table="nwpu_vhr10", data_root="data/mine")
model = dict(heads=dict(nwpu_vhr10=10))
train_dataloader = dict(
    dataset=dict(
        datasets=[
            *_base_.train_dataloader.dataset.datasets,
            dict(**mine, split="train"),
        ]
    )
)
val_dataloader = dict(
    dataset=dict(
        datasets=[*_base_.val_dataloader.dataset.datasets, dict(**mine, split="val")]
    )
)
test_dataloader = val_dataloader
"""


@pytest.fixture
def model(repo, mmseg_scope):
    """A multi-head model that predicts class 0 everywhere."""
    config = Config.fromfile(repo / "configs" / "_base_" / "models" / "upernet_tiny.py").model
    plain = dict(norm_cfg=dict(type="BN"))
    config.backbone.update(plain, stem_channels=8, base_channels=8)
    config.decode_head.update(plain, in_channels=[8, 16, 32, 64], channels=8)
    out = MODELS.build(ConfigDict(config, type="MultiHeadSegmentor", heads=dict(sota=18, sior=20))).eval()
    for head in out.heads.values():
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.eye(len(head.bias))[0]
    return out


@pytest.mark.parametrize("input_size", [None, (32, 32)])
def test_only_the_middle_counts_and_sets_are_averaged(model, repo, tmp_path, converted_set, input_size):
    config = Config.fromfile(repo / "configs" / "_base_" / "datasets" / "_segmentation.py")
    pipeline = config.sep_test_pipeline
    pipeline[2].update(size=(48, 48), input_size=input_size)
    sets = []
    for name, classes in (("sota", 18), ("sior", 20)):
        folder = converted_set(tmp_path / name, classes)
        labels = np.full((64, 64), 5, np.uint8)
        labels[8:56, 8:56] = 0  # the middle 48 x 48
        if name == "sior":
            labels[8:56, 8:32] = 1
        for i in range(8):
            Image.fromarray(labels).save(folder / "gray" / f"t{i}.png")
        sets.append(ConvertedDataset(name, str(folder), split="val", pipeline=pipeline))
    data = MultiDataset(sets)
    metric = SegmentationMetric()
    metric.dataset_meta = data.metainfo
    with torch.no_grad():
        for row in data:
            metric.process({}, [one.to_dict() for one in model.test_step(pseudo_collate([row]))])
    out = metric.evaluate(len(data))
    # sota: class 0 whole, all right.  sior: class 0 IoU 1/2, class 1 none of it.
    assert out["sota/mIoU"] == 100.0
    assert out["sior/mIoU"] == 25.0
    assert out["mIoU"] == 62.5
    assert out["sior/OA"] == 50.0


def test_a_fourth_set_is_a_few_lines(repo, tmp_path, converted_set, run_tool):
    sizes = {"scenes/sota": 18, "scenes/sior": 20, "scenes/fast": 37, "mine": 10}
    for name, classes in sizes.items():
        converted_set(tmp_path / "data" / name, classes)
    config = tmp_path / "four.py"
    config.write_text(FOURTH.format(base=str(repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py")))
    options = ["train_cfg.max_iters=1", "train_cfg.val_interval=1", "default_hooks.logger.interval=1"]
    for loader in ("train_dataloader", "val_dataloader"):
        options += [f"{loader}.num_workers=0", f"{loader}.persistent_workers=False"]
    result = run_tool("train", config, "--work-dir", "out", "--cfg-options", *options)
    assert result.returncode == 0, result.stderr
    for name in ("sota", "sior", "fast", "nwpu_vhr10"):
        assert f"{name}.loss: " in result.stdout + result.stderr
        assert f"{name}/mIoU: " in result.stdout + result.stderr
