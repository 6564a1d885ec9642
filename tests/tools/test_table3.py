"""The rows of the SAMRS paper's table 3: each model trains one step and predicts, on made-up and on real tiles."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from PIL import Image

from rsseg.engine import prepare_config

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "potsdam"
MODELS = {path.stem for path in (CONFIGS.parent / "_base_" / "models").glob("*.py")}
# Every config, with the one that it differs from in its initial weights only.
NAMES = [path.stem.removesuffix("_potsdam") for path in sorted(CONFIGS.glob("*.py"))]
ROWS = {
    name: settings
    for name in NAMES
    if (settings := re.sub(r"(_rsp|_samrs_mae|_scratch)?(_from_sep)?$", "", name)) in MODELS
}
SETTINGS = sorted(set(ROWS.values()))
CROP = 64
RESNET = dict(base_channels=8, stem_channels=8)
VIT = dict(embed_dims=64, num_heads=1)
# Fewer channels, and fewer layers of a kind; tests/engine/test_weights_published.py builds most of them at full size.
SMALLER = {
    "mask2former_r50": RESNET,
    "mask2former_r50_release": RESNET,
    "unet_r50": RESNET,
    "upernet_beit": VIT,
    "upernet_internimage": dict(channels=16, groups=[1, 2, 4, 8], depths=[1, 1, 2, 1]),
    "upernet_r50": RESNET,
    "upernet_rvsa": VIT,
    "upernet_swin": dict(embed_dims=24),
    "upernet_vit": VIT,
    "upernet_vit_adapter": dict(VIT, deform_heads=1, conv_channels=8),
    "upernet_vitae": {},
}
DECODERS = {
    "LowResUPerHead": dict(channels=32),
    "Mask2FormerDecoder": dict(channels=64, encoder_layers=2, decoder_layers=3, encoder_hidden=64, decoder_hidden=64),
    "UNetHead": dict(decoder_channels=(64, 32, 16, 8)),
}
WIDTHS = {
    "upernet_internimage": 16,
    "upernet_swin": 24,
    "upernet_vitae": 64,
}  # of the first map, else 32 or one for all


@functools.cache
def _read(name):
    return Config.fromfile(CONFIGS / f"{name}_potsdam.py")


def read(name):
    return copy.deepcopy(_read(name))


def write_tile(root, pixels, labels):
    """The same tile for training and validation, as tools/prepare_data.py names it."""
    for part in ("train", "val"):
        for folder, values in (("img_dir", pixels), ("ann_dir", labels)):
            (root / folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / folder / part / "2_10__0_0.png")
    return root


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A tile of 64 x 64 pixels: columns of all values, 0 and 6 among them."""
    labels = np.broadcast_to((np.arange(CROP) * 7 // CROP).astype(np.uint8), (CROP, CROP))
    pixels = np.random.default_rng(0).integers(0, 20, (CROP, CROP, 3)) + labels[..., None] * 30
    return write_tile(tmp_path_factory.mktemp("made_up"), pixels.astype(np.uint8), labels)


@pytest.fixture(scope="module")
def real(tmp_path_factory, samples):
    """The middle of Potsdam's sample, 128 x 128 pixels."""
    folders = [samples / "potsdam" / name for name in ("img_dir", "ann_dir")]
    pixels, labels = (np.asarray(Image.open(folder / "2_10_0_0_512_512.png"))[192:320, 192:320] for folder in folders)
    return write_tile(tmp_path_factory.mktemp("real"), pixels, labels)


def move(dataset, root):
    """Point a dataset to ``root`` and shrink the crops of its pipeline."""
    dataset.data_root = str(root)
    for step in dataset.pipeline:
        for key in ("size", "crop_size"):
            if key in step:
                step[key] = (CROP, CROP)


def shrink(name, model):
    """Make a model smaller, in place."""
    model.backbone.update(SMALLER[name])
    first = WIDTHS.get(name, 32)
    widths = [64] * 4 if "num_heads" in SMALLER[name] else [first, 2 * first, 4 * first, 8 * first]
    model.decode_head.update(DECODERS[model.decode_head.type], in_channels=widths)


def small(name, root, work_dir):
    """A config with two crops a step, one step and a validation, without initial weights and checkpoints."""
    cfg = read(name)
    shrink(name, cfg.model)
    cfg.merge_from_dict({"train_dataloader.batch_size": 2, "train_cfg.max_iters": 1, "train_cfg.val_interval": 1})
    cfg.model.backbone.init_cfg = None
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", by_epoch=False, interval=100, save_last=False)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.num_workers = 0
        move(loader.dataset, root)
    cfg.work_dir, cfg.experiment_name, cfg.visualizer.name = str(work_dir), name, name
    prepare_config(cfg)
    return cfg


@pytest.fixture(scope="module", params=SETTINGS)
def run(request, made_up, tmp_path_factory):
    """A model after a training step and a validation; one at a time is kept."""
    runner = Runner.from_cfg(small(request.param, made_up, tmp_path_factory.mktemp("run")))
    runner.train()
    return runner


def test_there_is_a_config_for_every_row():
    assert len(ROWS) >= 28 + 8  # and one from scratch for each backbone
    assert len(SETTINGS) == 11


def test_trains_and_validates(run):
    assert np.isfinite(run.message_hub.get_scalar("train/loss").current())
    trained = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    # else several processes would wait for gradients that never come
    assert all(parameter in run.optim_wrapper.optimizer.state for parameter in trained)
    assert 0 <= run.message_hub.get_scalar("val/OA").current() <= 100


def test_trains_and_predicts_on_real_tiles(run, real):
    parts = {}
    for part in ("train", "val"):
        dataset = run.cfg[f"{part}_dataloader"].dataset.copy()
        move(dataset, real)
        parts[part] = DATASETS.build(dataset)
    run.model.train()
    losses = run.model.train_step(pseudo_collate([parts["train"][0], parts["train"][0]]), run.optim_wrapper)
    assert np.isfinite(losses["loss"].item())
    run.model.eval()
    with torch.inference_mode():
        (sample,) = run.model.test_step(pseudo_collate([parts["val"][0]]))
    assert sample.pred_sem_seg.data.shape == sample.gt_sem_seg.data.shape == (1, 128, 128)
    assert set(sample.pred_sem_seg.data.unique().tolist()) <= set(range(5))


@pytest.mark.parametrize(("name", "settings"), ROWS.items())
def test_rows_differ_in_their_start_only(name, settings):
    own, base = (read(config).to_dict() for config in (name, settings))
    for config in (own, base):
        config["model"]["backbone"].pop("init_cfg")
        config["default_hooks"].pop("start", None)
        config.pop("checkpoint", None)
    assert own == base
