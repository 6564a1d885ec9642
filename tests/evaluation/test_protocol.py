"""Potsdam and iSAID are tested as in the SAMRS release: the mean of an image and its mirror image, in windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from PIL import Image

import rsseg.models  # noqa: F401  (registers the model)
from rsseg.datasets import TableDataset
from rsseg.engine.launch import use_tta

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SUFFIXES = {"potsdam": ".png", "isaid": "_instance_color_RGB.png"}
CLASSES = {"potsdam": 5, "isaid": 16}


@pytest.fixture(params=["potsdam", "isaid"])
def tested(request, repo, tmp_path):
    """Sample of the set as ``tools/test.py --tta`` sees it, model, wrapped model, and the image (1, 3, H, W)."""
    base = Config.fromfile(repo / f"configs/_base_/datasets/{request.param}.py")
    model = Config.fromfile(repo / "configs/_base_/models/upernet_tiny.py").model
    model.decode_head.num_classes = CLASSES[request.param]
    model.backbone.norm_cfg = model.decode_head.norm_cfg = dict(type="BN")
    model.test_cfg = dict(mode="slide", crop_size=(32, 32), stride=(22, 22))
    files = base.test_dataloader.dataset
    rng = np.random.default_rng(0)
    for folder, suffix, shape in (("img_dir", ".png", (40, 48, 3)), ("ann_dir", SUFFIXES[request.param], (40, 48))):
        (tmp_path / folder / "val").mkdir(parents=True)
        pixels = rng.integers(0, 200 if len(shape) == 3 else 5, shape).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / "val" / f"a{suffix}")
    cfg = Config(
        dict(
            model=model,
            test_dataloader=dict(dataset=files),
            tta_pipeline=base.tta_pipeline,
            tta_model=dict(type="SegTTAModel"),
        )
    )
    use_tta(cfg)
    torch.manual_seed(0)
    wrapped = MODELS.build(cfg.model).eval()
    files.pop("type")
    data = TableDataset(**{**files, "data_root": str(tmp_path), "pipeline": cfg.test_dataloader.dataset.pipeline})
    return data[0], wrapped.module, wrapped


def test_a_test_averages_an_image_and_its_mirror_image(tested):
    sample, model, wrapped = tested
    assert len(sample["inputs"]) == 2  # no vertical flip: the release has none
    with torch.no_grad():
        merged = wrapped.test_step(pseudo_collate([sample]))[0]
        pixels = model.data_preprocessor({"inputs": [sample["inputs"][0]]})["inputs"]
        meta = [{"ori_shape": (40, 48), "img_shape": (40, 48), "pad_shape": (40, 48), "padding_size": [0] * 4}]
        views = [model.inference(view, meta).softmax(1) for view in (pixels, pixels.flip(3))]
    expected = (views[0] + views[1].flip(3)).argmax(1)[0]
    assert torch.equal(merged.pred_sem_seg.data.reshape(40, 48), expected)
    assert merged.gt_sem_seg.data.shape[-2:] == (40, 48)
    assert not torch.equal(views[0].argmax(1)[0], expected)  # so the mirror image did count
