"""From samples of four sets to LandDiscover50K's layout to a small GSNet that learns from it, as a user goes there."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmseg.registry import DATASETS, METRICS, MODELS

from rsseg.engine import load_file
from rsseg.models.gsnet.clip import fit_image

STEPS = 56
CONFIG = """
_base_ = "{repo}/configs/landdiscover/gsnet_vitb16_crop.py"
_tower = dict(width=32, layers=3, heads=2)
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, grid=6), text=_tower, embed=32, resolution=96, taps=(0, 1)),
    dino=dict(weights=None, **_tower, grid=12, resolution=96, taps=(0, 1, 2)),
    fusion=dict(channels=16),
    aggregator=dict(channels=16, window=6),
    decoder=dict(channels=16, widths=(16, 16), guidance_channels=(4, 4)),
    test_cfg=dict(mode="whole"),
)
_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    dict(type="Resize", scale=(1333, 192), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(96, 96)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackSegInputs", meta_keys=("img_path", "seg_map_path", "ori_shape", "dataset_name", "table")),
]
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root="{data}", pipeline=_pipeline))
optim_wrapper = dict(optimizer=dict(lr=6e-4), clip_grad=dict(max_norm=1.0))
param_scheduler = [dict(type="ConstantLR", factor=1.0, begin=0, end={steps}, by_epoch=False)]
train_cfg = dict(max_iters={steps})
default_hooks = dict(logger=dict(interval=1))
load_from = "{start}"
"""


@pytest.fixture
def world(samples, tmp_path, repo, run_tool):
    """OpenEarthMap, LoveDA, DeepGlobe and DOTA (its boxes filled) in LandDiscover50K's layout."""
    for name in ("images", "labelTxt"):
        (tmp_path / "dota" / name).mkdir(parents=True)
        for stem in ("dota/{}/P0706", "dota_tile/{}/P2805__1024__0___0"):
            (path,) = samples.glob(f"{stem.format(name)}.*")
            shutil.copy(path, tmp_path / "dota" / name)
    folders = ["--images", tmp_path / "dota/images", "--annotations", tmp_path / "dota/labelTxt"]
    config = repo / "configs/samrs/convert_sota.py"
    done = run_tool("convert_labels", config, *folders, "--predictor", "box", "--out", tmp_path / "sota")
    assert done.returncode == 0, done.stderr[-2000:]
    sets = [part for name in ("openearthmap", "loveda", "deepglobe") for part in (f"--{name}", samples / name)]
    done = run_tool("build_landdiscover", tmp_path / "set", *sets, "--sota", tmp_path / "sota")
    assert done.returncode == 0, done.stderr[-2000:]
    return tmp_path / "set"


def spread(model, images):
    """Pull apart what random towers give: all of their features lie in one direction, unlike those of CLIP."""
    clip, seen = model.clip.eval(), []
    torch.nn.init.normal_(clip.token_embedding.weight)
    hooks = [
        norm.register_forward_hook(lambda *args: seen.append(args[2])) for norm in (clip.ln_final, clip.visual.ln_post)
    ]
    clip.encode_text(model.vocabulary.tokens)
    clip.encode_image(images)
    for hook in hooks:
        hook.remove()
    clip.ln_final.bias -= seen[0].mean(0)
    clip.visual.ln_post.bias -= seen[1].flatten(0, -2).mean(0)
    for conv in (model.fusion.conv1, model.fusion.conv2):
        conv.weight *= 20
    model.decoder.head.bias.fill_(-3.66)  # one class of forty


def miou(cfg, state, data):
    """mIoU in percent on all pairs."""
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(state)
    evaluator = Evaluator(METRICS.build(dict(type="SegmentationMetric", only_true=True)))
    evaluator.dataset_meta = data.metainfo
    for i in range(len(data)):
        batch = pseudo_collate([data[i]])
        evaluator.process(model.test_step(batch), batch)
    return evaluator.evaluate(len(data))["mIoU"]


@pytest.mark.slow
@pytest.mark.usefixtures("mmseg_scope")
def test_a_small_gsnet_learns(world, repo, tmp_path, run_tool):
    pytest.importorskip("open_clip")
    path, start = tmp_path / "small.py", tmp_path / "start.pth"
    path.write_text(CONFIG.format(repo=repo, data=world, steps=STEPS, start=start))
    cfg = Config.fromfile(path)
    loading = [dict(type="LoadImage"), dict(type="Resize", scale=(1333, 192), keep_ratio=True)]
    pipeline = [*loading, dict(type="LoadLabels"), cfg.train_dataloader.dataset.pipeline[-1]]
    data = DATASETS.build({**cfg.train_dataloader.dataset, "pipeline": pipeline})
    assert len(data) == 12
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        views = [model.data_preprocessor(pseudo_collate([data[i]]))["inputs"] for i in (0, 4, 6, 11)]
        spread(model, torch.cat([fit_image(view, 96) for view in views]))
    torch.save({"state_dict": model.state_dict()}, start)
    done = run_tool("train", path, "--work-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    losses = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    before = miou(cfg, model.state_dict(), data)
    after = miou(cfg, load_file(tmp_path / f"run/iter_{STEPS}.pth")["state_dict"], data)
    assert len(losses) == STEPS
    # 0.1169 is what equal scores for all classes cost: it has learnt to tell classes apart
    assert sum(losses[-10:]) / 10 < 0.113
    assert after > 2 * before
