"""The baselines of OpenEarthMap's table 3, made small: each trains a step and is tested on a small tile."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.models import SegTTAModel
from mmseg.registry import DATASETS, MODELS

from rsseg.engine import load_pretrained

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "openearthmap"
# Few labels, adaptation and searched networks have tests of their own.
OTHERS = "_(from|few|pair|oracle|source_only)_|^(daformer|deeplab_v2|eomt|fasterseg|mic|segearth_ov3?|sparsemask)_"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py") if not re.search(OTHERS, path.stem))
STARTS = sorted(CONFIGS.parent.glob("*/unet_effb4_from_*.py"))
FEW = sorted(CONFIGS.glob("*_few_openearthmap.py"))
CROP = 64
# Fewer layers and fewer channels of the same kind; what goes from one part to the next stays as it is.
SMALLER = {
    "ASPPHead": dict(channels=32),
    "FCNHead": dict(channels=32),
    "LowResUPerHead": dict(channels=32),
    "SETRUPHead": dict(channels=32),
    "SegformerHead": dict(channels=32),
    "KernelUpdateHead": dict(in_channels=32, out_channels=32, feedforward_channels=64),
    "SwinTransformer": dict(depths=[2, 1, 1, 1]),
    "VisionTransformer": dict(num_layers=4, out_indices=(0, 1, 2, 3), img_size=(CROP, CROP)),
    "MixVisionTransformer": dict(num_layers=[1, 1, 1, 1]),
    "PCPVT": dict(depths=[1, 1, 1, 1]),
    "ResNeXt": dict(depth=50, base_width=4),
    "mmpretrain.ConvNeXt": dict(arch=dict(depths=[1, 1, 1, 1], channels=[128, 256, 512, 1024])),
}


def write_region(root, pixels, labels):
    """One image of a region for training and validation, in the layout of the release."""
    for folder, values in (("images", pixels), ("labels", labels[None])):
        (root / "town" / folder).mkdir(parents=True)
        bands, height, width = values.shape
        shape = dict(count=bands, height=height, width=width, dtype="uint8")
        with rasterio.open(root / "town" / folder / "town_1.tif", "w", driver="GTiff", **shape) as file:
            file.write(values)
    for part in ("train", "val"):
        (root / f"{part}.txt").write_text("town_1.tif\n")
    return root


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """80 x 64 pixels of the sample of Houston; where there are no samples, columns of all values, 0 among them."""
    told = os.environ.get("RSSEG_SAMPLES")
    houston = (Path(told) if told else CONFIGS.parents[2] / "shared" / "data") / "openearthmap" / "houston"
    if houston.is_dir():
        parts = []
        for folder in ("images", "labels"):
            with rasterio.open(houston / folder / "houston_16.tif") as file:
                parts.append(file.read()[:, 300:380, 500 : 500 + CROP])
        return write_region(tmp_path_factory.mktemp("real"), parts[0], parts[1][0])
    labels = np.broadcast_to((np.arange(CROP) * 9 // CROP).astype(np.uint8), (80, CROP))
    pixels = np.random.default_rng(0).integers(0, 20, (3, 80, CROP)) + labels * 25
    return write_region(tmp_path_factory.mktemp("made_up"), pixels.astype(np.uint8), labels)


def move(dataset, root):
    """Point a dataset to ``root`` and shrink the crops of its pipeline."""
    dataset.data_root = str(root)
    for step in dataset.pipeline:
        for key in ("size", "crop_size"):
            if key in step:
                step[key] = (CROP, CROP)


def shrink(node):
    """Make every part of a model smaller, in place."""
    if isinstance(node, dict):
        if node.get("num_convs") != 0:  # such a head classifies what it gets
            node.update(SMALLER.get(node.get("type"), {}))
        if "num_modules" in node:  # a stage of HRNet
            node.update(num_modules=1, num_blocks=(1,) * node["num_branches"])
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        shrink(value)


def small(name, root):
    """A config without initial weights, made smaller."""
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    cfg.model.backbone.init_cfg = None
    shrink(cfg.model)
    cfg.model.test_cfg.update(crop_size=(CROP, CROP), stride=(CROP // 2, CROP // 2))
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        move(loader.dataset, root)
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(scope="module", params=NAMES)
def run(request, tile):
    """Config, model and losses after a training step with two crops; one at a time is kept."""
    cfg = small(request.param, tile)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    optimiser = build_optim_wrapper(model, cfg.optim_wrapper)
    sample = DATASETS.build(cfg.train_dataloader.dataset)[0]
    return cfg, model.train(), model.train_step(pseudo_collate([sample, sample]), optimiser), optimiser


def test_there_is_a_config_for_every_row():
    assert len(NAMES) == 14 + 4  # and Swin-B / T, K-Net's Swin-B / L, SETR's PUP / MLA, U-Net without scSE
    assert len(STARTS) == 6  # between three sets
    assert len(FEW) == 4  # rows of table 5


def test_every_parameter_is_trained(run):
    _, model, losses, optimiser = run
    assert np.isfinite(losses["loss"].item())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # else several processes would wait for gradients that never come
    assert all(parameter in optimiser.optimizer.state for parameter in trained)


def test_is_tested_with_flips(run):
    cfg, model, _, _ = run
    dataset = cfg.test_dataloader.dataset.copy()
    dataset.pipeline = cfg.tta_pipeline
    with torch.inference_mode():
        (sample,) = SegTTAModel(module=model).eval().test_step(pseudo_collate([DATASETS.build(dataset)[0]]))
    assert sample.pred_sem_seg.data.shape == sample.gt_sem_seg.data.shape == (1, 80, CROP)
    assert set(sample.pred_sem_seg.data.unique().tolist()) <= set(range(8))


@pytest.mark.parametrize("path", STARTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fine_tuning_takes_all_but_the_classifier(path, tmp_path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    start = cfg.default_hooks.start
    folder, name, file = Path(start.checkpoint).parts[1:]
    before = Config.fromfile(CONFIGS.parent / folder / f"{name}.py")
    assert file == f"iter_{before.train_cfg.max_iters}.pth"
    old, model = MODELS.build(before.model).state_dict(), MODELS.build(cfg.model)
    new = {key: value.clone() for key, value in model.state_dict().items()}
    torch.save(old, tmp_path / "old.pth")
    load_pretrained(model, tmp_path / "old.pth", new=start.new)
    for key, value in model.state_dict().items():
        kept = key.startswith("decode_head.conv_seg.")
        assert torch.equal(value, (new if kept else old)[key]), key
    epochs = cfg.train_cfg.max_iters / cfg.train_cfg.val_interval
    assert epochs == 20 and cfg.param_scheduler[0].end == cfg.train_cfg.max_iters


def test_k_net_learns_in_steps():
    """As mmsegmentation's K-Net with Swin, unlike its other transformers."""
    for name in ("knet_swin_b_openearthmap", "knet_swin_l_openearthmap"):
        warm_up, steps = Config.fromfile(CONFIGS / f"{name}.py").param_scheduler
        assert (warm_up.type, warm_up.end, steps.type) == ("LinearLR", steps.begin, "MultiStepLR")
        assert steps.milestones == [60000, 72000]


@pytest.mark.parametrize("path", FEW, ids=lambda path: path.stem)
def test_few_labels_differ_in_the_list_and_the_length(path):
    few, full = (Config.fromfile(file).to_dict() for file in (path, path.with_name(path.name.replace("_few_", "_"))))
    dataset = few["train_dataloader"]["dataset"]
    assert (dataset.pop("subset"), dataset.pop("ann_file")) == ("data/splits/openearthmap/few/few_10_seed0.txt", "")
    assert full["train_dataloader"]["dataset"].pop("ann_file") == "train.txt"
    for schedule in (few["train_cfg"], *few["param_scheduler"]):  # a tenth of everything
        for key in {"max_iters", "begin", "end"} & set(schedule):
            schedule[key] *= 10
        if "milestones" in schedule:
            schedule["milestones"] = [10 * step for step in schedule["milestones"]]
    few["train_cfg"]["val_interval"] = full["train_cfg"]["val_interval"]
    assert few == full
