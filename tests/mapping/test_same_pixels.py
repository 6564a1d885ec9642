"""What training and tests see is what the map sees: tools/test.py and tools/map_raster.py agree on every pixel."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image
from rasterio import Affine
from rasterio.enums import ColorInterp as C

import rsseg.datasets
import rsseg.evaluation
import rsseg.models  # noqa: F401
from rsseg.engine import load_file, prepare_config
from rsseg.errors import ConfigError, DataError
from rsseg.mapping.command import run
from rsseg.mapping.options import add_arguments

RGB = (C.red, C.green, C.blue)
SIZE = (40, 50)
# Kind of tile: number type; factor and summand of its values; bands, what the file says of them; bands and range that
# the checkpoint keeps; nodata.
KINDS = {
    "uint8": ("uint8", 1, 0, 3, RGB, None, None, 0),
    "blue first": ("uint8", 1, 0, 3, RGB[::-1], None, None, None),
    "uint16": ("uint16", 12, 0, 3, RGB, None, (0, 3060), 0),
    "int16": ("int16", 20, -500, 3, RGB, None, (-500, 4600), -9999),
    "float32": ("float32", 1 / 255, 0, 3, RGB, None, (0, 1), float("nan")),
    "declared": ("uint16", 3, 0, 4, (C.gray, *[C.undefined] * 3), (4, 2, 1), "raw", None),
    "alpha": ("uint8", 1, 0, 4, (*RGB, C.alpha), None, None, None),
    "4 bands": ("uint16", 40, 0, 4, (*RGB, C.undefined), (1, 2, 3, 4), (0, 10000), 0),
    "12 bands": ("uint16", 40, 0, 12, (C.gray, *[C.undefined] * 11), tuple(range(1, 13)), "raw", 65535),
}


@MODELS.register_module(force=True)
class SamePixelsIdentity(BaseModule):
    """A backbone that gives its input."""

    def forward(self, x):
        return (x,)


def tile(root, kind):
    """Write a tile, its label and class table; return the bands' (count, H, W) order of size and which are valid."""
    dtype, scale, shift, count, colours, bands, _, nodata = KINDS[kind]
    rng = np.random.default_rng(len(kind))
    levels = rng.permuted(np.broadcast_to(np.arange(1, 1 + count * 8, 8)[:, None], (count, SIZE[0] * SIZE[1])), axis=0)
    levels = levels.reshape(count, *SIZE) + 100
    pixels, valid = (levels * scale + shift).astype(dtype), np.ones(SIZE, bool)
    if colours[-1] == C.alpha:
        valid = rng.random(SIZE) > 0.2
        pixels[-1] = np.where(valid, pixels[-1], 0)
    elif nodata is not None:
        valid = rng.random(SIZE) > 0.2
        pixels = np.where(valid, pixels, np.array(nodata, dtype))
    for name in ("img", "ann"):
        (root / name).mkdir()
    options = dict(driver="GTiff", count=count, height=SIZE[0], width=SIZE[1], dtype=dtype, crs="EPSG:32633",
                   transform=Affine(10, 0, 500000, 0, -10, 4000000), nodata=nodata)  # fmt: skip
    if colours[0] == C.gray:
        options["photometric"] = "MINISBLACK"
    with rasterio.open(root / "img" / "tile.tif", "w", **options) as file:
        file.write(pixels)
        file.colorinterp = colours
    order = bands or [colours.index(colour) + 1 for colour in RGB]
    classes = levels[[band - 1 for band in order]].argmax(0)
    Image.fromarray(classes.astype(np.uint8)).save(root / "ann" / "tile.png")
    rows = [{"id": i, "name": f"band {i}", "color": f"#0000{i:02X}"} for i in range(len(order))]
    (root / "table.json").write_text(json.dumps({"name": "Bands", "source": "test", "categories": rows}))
    return np.where(valid, classes, 255)


def setting(root, kind, count, pixels=None):
    """A config that says nothing of bands and range, a checkpoint that keeps them; the class is the largest band."""
    head = dict(type="FCNHead", in_channels=count, channels=count, in_index=0, num_convs=0, concat_input=False,
                num_classes=count, norm_cfg=dict(type="BN"), align_corners=False,
                loss_decode=dict(type="CrossEntropyLoss"))  # fmt: skip
    normalise = dict(type="MultibandPreprocessor", mean=[120.0] * count, std=[60.0] * count, size_divisor=1)
    files = dict(data_root=str(root), data_prefix=dict(img_path="img", seg_map_path="ann"), img_suffix=".tif")
    keys = ("img_path", "ori_shape", "img_shape", "table", "dataset_name", "valid")
    pipeline = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackSegInputs", meta_keys=keys)]
    flips = [dict(type="RandomFlip", prob=p, direction=d) for p, d in ((0.0, "horizontal"), (1.0, "horizontal"))]
    tta = [pipeline[0], dict(type="TestTimeAug", transforms=[flips, pipeline[1:2],
           [dict(type="PackSegInputs", meta_keys=(*keys, "flip", "flip_direction"))]])]  # fmt: skip
    data = dict(type="TableDataset", table=str(root / "table.json"), pipeline=pipeline, **files)
    loader = dict(batch_size=1, num_workers=0, dataset=data, sampler=dict(type="DefaultSampler", shuffle=False))
    cfg = Config(dict(
        default_scope="mmseg", work_dir=str(root / "run"), tta_pipeline=tta, log_level="ERROR", model=dict(
            type="Segmentor", data_preprocessor=normalise, backbone=dict(type="SamePixelsIdentity"), decode_head=head,
            train_cfg=dict(), test_cfg=dict(mode="whole")),
        test_dataloader=loader, test_cfg=dict(type="TestLoop"),
        test_evaluator=dict(type="SegmentationMetric", output_dir=str(root / "out")),
    ))  # fmt: skip
    cfg.dump(root / "config.py")
    bands, ends = KINDS[kind][5:7]
    kept = dict(bands=bands and list(bands), value_range=list(ends) if isinstance(ends, tuple) else ends,
                mean=[120.0] * count, std=[60.0] * count)  # fmt: skip
    state = {
        "decode_head.conv_seg.weight": torch.eye(count)[:, :, None, None],
        "decode_head.conv_seg.bias": torch.zeros(count),
    }
    torch.save({"state_dict": state, "meta": {"pixels": {**kept, **(pixels or {})}}}, root / "model.pth")
    return cfg


def score(cfg, root, tta=False, **settings):
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict(settings)
    prepare_config(cfg)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type="LoadTested", checkpoint=str(root / "model.pth"))]
    if tta:
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(type="FlipsModel", module=cfg.model)
    return Runner.from_cfg(cfg).test()


def make_map(root, *more, source="img/tile.tif"):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    paths = ["--config", root / "config.py", "--checkpoint", root / "model.pth", "--device", "cpu", "--overwrite"]
    run(parser.parse_args([str(part) for part in (root / source, root / "map.tif", *paths, *more)]))
    with rasterio.open(root / "map.tif") as file:
        return file.read(1)


@pytest.mark.parametrize("kind", KINDS)
def test_test_and_map_agree_on_every_pixel(tmp_path, kind):
    expected = tile(tmp_path, kind)
    count = len(KINDS[kind][5] or RGB)
    cfg = setting(tmp_path, kind, count)
    assert len(np.unique(expected)) == count + (KINDS[kind][7] is not None or kind == "alpha")
    for tta in (False, True):
        assert score(cfg, tmp_path, tta)["mIoU"] == 100
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "tile.png")), expected)
        np.testing.assert_array_equal(make_map(tmp_path, *["--tta"] * tta), expected)


@pytest.mark.parametrize("kind", ["declared", "4 bands"])
def test_variables_of_a_config_reach_mmengines_runner(tmp_path, kind):
    """As mmseg's tools start it, without :func:`prepare_config`."""
    tile(tmp_path, kind)
    cfg = setting(tmp_path, kind, len(KINDS[kind][5]))
    cfg.bands, cfg.value_range = KINDS[kind][5:7]
    cfg.load_from = str(tmp_path / "model.pth")
    cfg.default_hooks = dict(keep_pixels=dict(type="KeepPixels"))
    assert Runner.from_cfg(cfg).test()["mIoU"] == 100


def test_a_contradiction_of_checkpoint_and_user_or_raster_names_both(tmp_path):
    tile(tmp_path, "4 bands")
    cfg = setting(tmp_path, "4 bands", 4)
    with pytest.raises(
        ConfigError, match=r"--range\) says value_range \[0.0, 3000.0\], but .*model\.pth .* \[0, 10000\]"
    ):
        make_map(tmp_path, "--range", "0,3000")
    with pytest.raises(
        ConfigError, match=r"says bands \[4, 3, 2, 1\], but .*model\.pth was trained with bands \[1, 2, 3, 4\]"
    ):
        make_map(tmp_path, "--bands", "4,3,2,1")
    make_map(tmp_path, "--bands", "1,2,3,4", "--range", "0,10000")
    with pytest.raises(ConfigError, match=r"the config says value_range \[0, 9\], but .*model\.pth"):
        score(cfg, tmp_path, value_range=(0, 9))
    with pytest.raises(ConfigError, match=r"has mean \[1.0, .* but .*model\.pth was trained with \[120.0, "):
        score(cfg, tmp_path, **{"model.data_preprocessor.mean": [1.0] * 4})
    with pytest.raises(ConfigError, match=r"has mean \[1.0, .* but .*model\.pth was trained with \[120.0, "):
        make_map(tmp_path, "--cfg-options", "model.data_preprocessor.mean=[1.0,120.0,120.0,120.0]")
    three = dict(driver="GTiff", count=3, height=2, width=2, dtype="uint16")
    with rasterio.open(tmp_path / "three.tif", "w", **three) as file:
        file.write(np.ones((3, 2, 2), "uint16"))
    with pytest.raises(
        DataError, match=r"three\.tif: has 3 band\(s\) of uint16 .* but .*model\.pth .* bands 1, 2, 3, 4"
    ):
        make_map(tmp_path, source="three.tif")
    with rasterio.open(tmp_path / "bytes.tif", "w", **{**three, "count": 4, "dtype": "uint8"}) as file:
        file.write(np.ones((4, 2, 2), "uint8"))
    with pytest.raises(DataError, match=r"bytes\.tif: has 4 band\(s\) of uint8 .* but .*model\.pth .* \[0, 10000\]"):
        make_map(tmp_path, source="bytes.tif")
    (tmp_path / "img" / "tile.tif").write_bytes((tmp_path / "bytes.tif").read_bytes())
    with pytest.raises(DataError, match=r"tile\.tif: has 4 band\(s\) of uint8"):
        score(cfg, tmp_path)


def test_training_keeps_bands_range_mean_and_std_and_refuses_what_does_not_fit(tmp_path):
    tile(tmp_path, "4 bands")
    cfg = setting(tmp_path, "4 bands", 4)
    shuffled = {**cfg.test_dataloader, "sampler": dict(type="InfiniteSampler")}
    cfg.merge_from_dict(dict(
        train_dataloader=shuffled, train_cfg=dict(type="IterBasedTrainLoop", max_iters=1),
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.0)),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1)),
    ))  # fmt: skip
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.bands, cfg.value_range = (1, 2, 3, 4), (0, 10000)
    prepare_config(cfg)
    assert cfg.train_dataloader.dataset.pipeline[0].bands == (1, 2, 3, 4)
    assert cfg.tta_pipeline[0].value_range == (0, 10000)
    Runner.from_cfg(cfg).train()
    kept = dict(bands=[1, 2, 3, 4], value_range=[0, 10000], mean=[120.0] * 4, std=[60.0] * 4)
    assert load_file(Path(cfg.work_dir) / "iter_1.pth")["meta"]["pixels"] == kept
    cfg.train_dataloader.dataset.pipeline[0].bands = (1, 2, 3)
    for start in (prepare_config, lambda cfg: Runner.from_cfg(cfg).train()):  # mmseg's tools do not prepare configs
        with pytest.raises(
            ConfigError, match=r"the config says bands = \[1, 2, 3, 4\], one of its LoadImage bands=\[1, 2, 3\]"
        ):
            start(cfg)
    cfg.bands = None
    with pytest.raises(ConfigError, match=r"images have bands 1, 2, 3, but .* has 4 means"):
        Runner.from_cfg(cfg).train()
    cfg.train_dataloader.dataset.pipeline[0].bands = (1, 2, 3, 4)
    cfg.train_dataloader.dataset.pipeline.insert(1, dict(type="PhotoMetricDistortion"))
    with pytest.raises(ConfigError, match="PhotoMetricDistortion works on three bands of 8 bits only"):
        Runner.from_cfg(cfg).train()


def test_a_map_reads_what_the_config_declares_where_the_checkpoint_keeps_nothing(tmp_path):
    expected = tile(tmp_path, "4 bands")
    cfg = setting(tmp_path, "4 bands", 4)
    state = torch.load(tmp_path / "model.pth")["state_dict"]
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "model.pth")
    declared = dict(bands=(1, 2, 3, 4), value_range=(0, 10000))
    test_set = cfg.test_dataloader
    train_set = {**test_set, "sampler": dict(type="InfiniteSampler")}
    for parts in (dict(), dict(test_dataloader=test_set), dict(train_dataloader=train_set)):
        Config(dict(default_scope="mmseg", model=cfg.model, **declared, **parts)).dump(tmp_path / "config.py")
        np.testing.assert_array_equal(make_map(tmp_path, "--classes", str(tmp_path / "table.json")), expected)
