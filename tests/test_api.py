"""The Python interface: arrays and paths in and out, by a model whose classes are the colours red, green and blue."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config

import rsseg
from rsseg.api import Model
from tests.small_model import MODEL


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Config and checkpoint of a small model with random weights, and its class table."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    folder = tmp_path_factory.mktemp("api")
    colours = zip(("red", "green", "blue"), ("#FF0000", "#00FF00", "#0000FF"), strict=True)
    rows = [{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(colours)]
    table = {"name": "RGB", "source": "test", "categories": rows}
    (folder / "rgb.json").write_text(json.dumps(table))
    custom = dict(imports=["rsseg.datasets", "rsseg.models"])
    data = dict(dataset=dict(type="TableDataset", table=str(folder / "rgb.json")))
    config = Config(dict(model=MODEL, custom_imports=custom, default_scope="mmseg", test_dataloader=data))
    config.dump(folder / "config.py")
    torch.manual_seed(3)
    init_default_scope("mmseg")
    model = MODELS.build(config.model)
    model.init_weights()
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "model.pth")
    return folder


@pytest.fixture(scope="module")
def model(files):
    return rsseg.load_model(files / "config.py", files / "model.pth", device="cpu")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)


def test_an_array_and_its_file_have_the_same_classes(model, image, tmp_path):
    labels = model.predict(image)
    assert labels.shape == (70, 90) and labels.dtype == np.uint8
    assert model.classes == ("red", "green", "blue") and len(np.unique(labels)) > 1 and labels.max() <= 2
    with rasterio.open(
        tmp_path / "scene.tif",
        "w",
        driver="GTiff",
        height=70,
        width=90,
        count=3,
        dtype="uint8",
        photometric="RGB",
        crs="EPSG:32633",
        transform=rasterio.Affine(1, 0, 0, 0, -1, 0),
    ) as file:
        file.write(image.transpose(2, 0, 1))  # fmt: skip
    assert (model.predict(tmp_path / "scene.tif") == labels).all()
    made = rsseg.map_raster(tmp_path / "scene.tif", tmp_path / "map.tif", model, probabilities="top")
    with rasterio.open(made) as file:
        assert file.crs == "EPSG:32633" and (file.read(1) == labels).all()
    assert (tmp_path / "map_probabilities.tif").is_file()


def test_the_model_is_loaded_once(files, image, monkeypatch):
    from rsseg.mapping import model as module

    calls, load = [], module.load_model
    monkeypatch.setattr(module, "load_model", lambda *args, **kwargs: calls.append(1) or load(*args, **kwargs))
    model = Model(files / "config.py", files / "model.pth", device="cpu")
    model.predict(image)
    model.predict(image[:40])
    assert calls == [1]


def test_what_is_wrong_is_said(model, image, files):
    with pytest.raises(rsseg.ConfigError, match=r"unknown option 'overlapp'; expected one of: .*overlap"):
        model.predict(image, overlapp=0.5)
    with pytest.raises(rsseg.ConfigError, match=r"'head' belongs to the model; give it to rsseg\.load_model"):
        model.predict(image, head="sota")
    with pytest.raises(rsseg.DataError, match=r"an image must be an array .* got shape \(3,\), int64"):
        model.predict(np.array([1, 2, 3]))
    with pytest.raises(rsseg.ConfigError, match="require an open-vocabulary model"):
        rsseg.segment(image, files / "config.py", files / "model.pth", vocabulary="runway, road")
    with pytest.raises(rsseg.ConfigError, match=r"segment\(out=\.\.\.\) requires a file"):
        rsseg.segment(image, files / "config.py", files / "model.pth", out="somewhere")


def test_segment_takes_models_of_fixed_classes(files, image, model, tmp_path):
    from PIL import Image

    assert (rsseg.segment(image, files / "config.py", files / "model.pth", device="cpu") == model.predict(image)).all()
    Image.fromarray(image).save(tmp_path / "photo.png")
    options = dict(device="cpu", out=tmp_path / "out")
    labels = rsseg.segment(tmp_path / "photo.png", files / "config.py", files / "model.pth", **options)
    assert (labels == model.predict(image)).all()
    names = {"photo.png", "photo_overlay.png", "photo_areas.csv", "photo.stac.json"}
    assert {"photo.png", "photo_overlay.png", "photo_areas.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} <= names


RUN = """
_base_ = ["./config.py"]
default_hooks = dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1),
                     logger=dict(type="LoggerHook", log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
load_from, resume = None, False
model = dict(data_preprocessor=dict(size=(16, 16)))
custom_imports = dict(imports=["rsseg.datasets", "rsseg.models", "rsseg.evaluation", "rsseg.engine"])
test_cfg, test_evaluator = dict(type="TestLoop"), dict(type="SegmentationMetric")
load = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackSegInputs", meta_keys=("img_path",
        "seg_map_path", "ori_shape", "img_shape", "pad_shape", "dataset_name", "table"))]
data = dict(type="TableDataset", table="{folder}/rgb.json", data_root="{folder}/set", img_suffix=".png",
            seg_map_suffix=".png", data_prefix=dict(img_path="images", seg_map_path="labels"), pipeline=load)
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type="InfiniteSampler"), dataset=data)
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False), dataset=data)
val_cfg, val_evaluator = None, None
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01))
"""


def test_train_and_evaluate(files, tmp_path, monkeypatch):
    import logging
    import os

    from PIL import Image

    for name, shape in (("images", (16, 16, 3)), ("labels", (16, 16))):
        (files / "set" / name).mkdir(parents=True)
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 3, shape).astype(np.uint8)
            Image.fromarray(pixels).save(files / "set" / name / f"{i}.png")
    (files / "run.py").write_text(RUN.format(folder=files))
    monkeypatch.chdir(tmp_path)
    checkpoint = rsseg.train(files / "run.py", work_dir="work", trust=True)
    assert checkpoint is not None and checkpoint.name == "iter_1.pth"
    assert "RSSEG_TRUST" not in os.environ
    written = checkpoint.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        said = []
        patch.setattr(logging.getLogger("rsseg"), "info", lambda text, *args: said.append(text % args))
        assert rsseg.train(files / "run.py", work_dir="work", resume=True) == checkpoint
        assert f"work: this training is already finished; its last checkpoint is {checkpoint}" in said[-1]
    assert checkpoint.stat().st_mtime_ns == written
    # mmengine names logs by the second of the start: two runs within one have a log each.
    monkeypatch.setattr("mmengine.runner.runner.time.time", lambda: 0.0)
    rsseg.evaluate(files / "run.py", checkpoint, work_dir="other", log_tables=False)
    scores = rsseg.evaluate(files / "run.py", checkpoint, work_dir="tested", log_tables=False)
    assert set(scores) == {"mIoU", "mF1", "mAcc", "OA"} and 0 <= scores["OA"] <= 100
    assert "| green" in scores.text and f"OA {scores['OA']:.2f}" in scores.text
    assert "| green" in next((tmp_path / "tested").glob("*/*.log")).read_text(), "the log's file has the table"
    with pytest.raises(rsseg.ConfigError, match="--merge requires --on CONFIG"):
        rsseg.evaluate(files / "run.py", checkpoint, merge="landcover6")


def test_detection_labels_image_by_image(tmp_path):
    import cv2

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "P1.png"), np.zeros((50, 60, 3), np.uint8))
    (tmp_path / "labels" / "P1.txt").write_text("10 10 30 10 30 20 10 20 plane 0\n")
    ((path, found),) = rsseg.read_labels("dota", tmp_path / "images", tmp_path / "labels", "sota")
    assert path.name == "P1.png" and found.names == ["plane"]
    assert found.hbox.tolist() == [[10, 10, 30, 20]]


def test_a_map_in_a_storage(model, files, image, tmp_path):
    from PIL import Image

    from rsseg.io.storage import Storage

    Image.fromarray(image).save(tmp_path / "photo.png")
    address = f"memory://{tmp_path}/maps"
    made = model.map(tmp_path / "photo.png", f"{address}/photo.png", work=tmp_path / "work")
    assert made == f"{address}/photo.png" and not list((tmp_path / "work").iterdir())
    assert set(Storage(address).files()) == {"photo.png", "photo_areas.csv", "photo.stac.json"}
    Storage(address).get("photo.png", tmp_path / "back.png")
    with Image.open(tmp_path / "back.png") as picture:
        assert (np.asarray(picture) == model.predict(image)).all()
    with pytest.raises(ValueError, match=r"names a folder; name the map in it, .*/maps/NAME.tif"):
        model.map(tmp_path / "photo.png", f"{address}/", work=tmp_path / "work")
    with pytest.raises(ValueError, match=r"--work .*is no address of a storage"):
        model.map(tmp_path / "photo.png", tmp_path / "x.png", work=tmp_path / "work")
    with pytest.raises(ValueError, match="the result is read from there; name a local folder"):
        rsseg.segment(tmp_path / "photo.png", files / "config.py", files / "model.pth", out=address)
