"""Configs of labels per image: each takes its bands, begins at the loss of a coin, and scores every class."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

REPO = Path(__file__).resolve().parents[2]
NAMES = ["inception_v2_rgb", "resnet50_all", "resnet50_s1s2", "scnn_all_level2", "scnn_rgb", "vit_s8_all"]
COUNTS = {"": 43, "_nineteen": 19, "_level2": 15, "_level1": 5}


@pytest.mark.parametrize("name", NAMES)
def test_a_step(name, monkeypatch):
    monkeypatch.chdir(REPO)
    config = Config.fromfile(f"configs/bigearthnet/{name}.py")
    if "init_cfg" in config.model.backbone:
        config.model.backbone.init_cfg = None  # its file is made of another's
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = MODELS.build(dict(config.model, data_preprocessor=config.data_preprocessor)).train()
    bands, classes = len(config.bands), config.model.head.num_classes
    pixels = torch.randint(0, 4000, (2, bands, 120, 120)).to(torch.uint16)
    samples = [DataSample().set_gt_label([0, 2]), DataSample().set_gt_label([classes - 1])]
    data = model.data_preprocessor({"inputs": list(pixels), "data_samples": samples}, training=True)
    mean, std = (torch.tensor([float(getattr(model.data_preprocessor, key)[0])]) for key in ("mean", "std"))
    torch.testing.assert_close(data["inputs"][:, 0], (pixels[:, 0].float() - mean) / std)
    loss = model(**data, mode="loss")["loss"]
    assert 0.3 < loss.item() < 1.2  # log 2 where all is unknown
    loss.backward()
    frozen = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert all(name.startswith("backbone.") for name in frozen) and bool(frozen) == (name == "inception_v2_rgb")
    model.eval()
    with torch.no_grad():
        predicted = model(**data, mode="predict")
    assert [tuple(sample.pred_score.shape) for sample in predicted] == [(classes,)] * 2


@pytest.mark.parametrize("base", ["inception_v2_rgb", "scnn_rgb", "scnn_all"])
def test_every_model_has_every_level(base):
    for suffix, count in COUNTS.items():
        config = Config.fromfile(str(REPO / "configs" / "bigearthnet" / f"{base}{suffix}.py"))
        sets = [config[f"{part}_dataloader"].dataset for part in ("train", "val", "test")]
        assert {one.labels for one in sets} == {suffix[1:] or "level3"} and config.model.head.num_classes == count
        assert {tuple(one.bands) for one in sets} == {tuple(config.data_preprocessor.bands)}
