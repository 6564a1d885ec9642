"""The model of one config on the test set of another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from rsseg.engine import SavePictures
from rsseg.evaluation import use_dataset
from rsseg.metainfo import load_metainfo


def config_of(name):
    loader = f"test_dataloader = dict(num_workers=3, dataset=dict(type='TableDataset', table='{name}'))"
    return Config.fromstring(f"{loader}\ntest_evaluator = dict(type='SegmentationMetric')\ntta_pipeline = [1]", ".py")


@pytest.fixture
def bases(repo):
    return repo / "configs" / "_base_" / "datasets"


def test_the_other_set_and_its_common_classes(bases):
    cfg = config_of("openearthmap")
    assert use_dataset(cfg, str(bases / "loveda.py"), "landcover6") == "openearthmap"
    assert (cfg.test_dataloader.dataset.table, cfg.test_dataloader.dataset.data_root) == ("loveda", "data/loveda")
    assert cfg.test_dataloader.num_workers == 3
    assert cfg.test_evaluator == dict(type="SegmentationMetric", merge="landcover6", predicted="openearthmap")
    assert cfg.tta_pipeline[1]["type"] == "TestTimeAug"


def test_the_same_classes_need_no_common_ones(bases):
    cfg = config_of("openearthmap")
    use_dataset(cfg, str(bases / "openearthmap_regional.py"))
    assert cfg.test_dataloader.dataset.subset.endswith("target_val.txt")
    assert "merge" not in cfg.test_evaluator


def test_what_does_not_go_together_is_named(bases):
    with pytest.raises(ValueError, match=r"name a common class table with --merge: landcover6, landcover6_urban"):
        use_dataset(config_of("openearthmap"), str(bases / "loveda.py"))
    with pytest.raises(ValueError, match="no class table has both"):
        use_dataset(config_of("openearthmap"), str(bases / "potsdam.py"))
    with pytest.raises(ValueError, match="has no mapping for the classes of 'deepglobe'"):
        use_dataset(config_of("openearthmap"), str(bases / "deepglobe.py"), "landcover6")
    with pytest.raises(ValueError, match="expected a test set with one class table, found none"):
        use_dataset(Config({}), str(bases / "loveda.py"))


def test_pictures_show_each_in_its_own_colours(tmp_path):
    sample = SegDataSample(metainfo=dict(table="loveda", dataset_name="loveda", img_path="a.png"))
    for key in ("gt_sem_seg", "pred_sem_seg"):
        setattr(sample, key, PixelData(data=torch.zeros((1, 40, 40), dtype=torch.uint8)))
    hook = SavePictures(str(tmp_path), predicted="openearthmap")
    hook._save(sample, torch.zeros((3, 40, 40), dtype=torch.uint8))
    with Image.open(tmp_path / "loveda_a.png") as image:
        whole = np.asarray(image.convert("RGB"))
    pixels, legend = whole[40], whole[22 + 40 :]  # with a swatch for each table's class
    assert [(colour == legend).all(-1).sum() > 100 for colour in ((255, 255, 255), (128, 0, 0), (0, 255, 36))] == [
        True, True, False
    ]  # fmt: skip
    # image, truth, prediction, 40 pixels wide, 4 apart; 0.6 of white background and of dark red bareland
    assert (pixels[20].tolist(), pixels[64].tolist(), pixels[108].tolist()) == ([0] * 3, [153] * 3, [76, 0, 0])


def test_large_pictures_are_shrunk_before_they_are_striped(tmp_path):
    """No label in the upper half of 1200 rows that become 512; a class that vanishes at that size is in the legend."""
    sample = SegDataSample(metainfo=dict(table="loveda", dataset_name="loveda", img_path="a.png"))
    truth = torch.full((1, 1200, 800), 255, dtype=torch.uint8)
    truth[:, 600:], truth[0, -1, -1] = 1, 3
    sample.gt_sem_seg, sample.pred_sem_seg = PixelData(data=truth), PixelData(data=torch.ones_like(truth))
    SavePictures(str(tmp_path))._save(sample, torch.full((3, 1200, 800), 100, dtype=torch.uint8))
    with Image.open(tmp_path / "loveda_a.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[:2] > (22 + 512, 3 * 341) and pixels.shape[1] == 3 * 341 + 8
    striped = pixels[22 + 40 : 22 + 80, 345 + 40 : 345 + 80].reshape(-1, 3)
    assert {tuple(colour) for colour in striped.tolist()} == {(100, 100, 100), (129, 134, 140)}
    palette = load_metainfo("loveda").palette
    legend = pixels[22 + 512 :]
    assert [(legend == colour).all(-1).sum() > 100 for colour in (palette[1], palette[3], palette[4])] == [
        True, True, False
    ]  # fmt: skip
