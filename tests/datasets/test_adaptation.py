"""Source and target in one dataset: no label of the target, classes by name, rare classes, the same draws again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

import rsseg.datasets  # noqa: F401
from rsseg.api import check_dataset
from rsseg.datasets.adaptation import AdaptationDataset, RareClassDraw
from rsseg.datasets.checking.domains import image_features
from rsseg.datasets.class_pixels import class_pixels
from rsseg.datasets.sampling import ProportionalSampler, SeededIndex
from rsseg.datasets.transforms import RareClassCrop
from rsseg.metainfo import load_metainfo

META = ("img_path", "dataset_name", "table")


def _write(root: Path, names: list[str], value: Any, seed: int = 0) -> None:
    """Images of noise and labels of one value, or of an array for each."""
    rng = np.random.default_rng(seed)
    for name in names:
        region = root / name.rsplit("_", 1)[0]
        for kind in ("images", "labels"):
            (region / kind).mkdir(parents=True, exist_ok=True)
        labels = value(name) if callable(value) else np.full((32, 32), value, np.uint8)
        cv2.imwrite(str(region / "images" / f"{name}.tif"), rng.integers(0, 255, (*labels.shape, 3), np.uint8))
        cv2.imwrite(str(region / "labels" / f"{name}.tif"), labels)


def _stripes(name: str) -> np.ndarray:
    """Mostly rangeland (2); image a_<n> has n rows of bareland (1) at the bottom."""
    labels = np.full((32, 32), 2, np.uint8)
    rows = int(name.rsplit("_", 1)[1])
    labels[32 - rows :] = 1
    return labels


@pytest.fixture
def world(tmp_path: Path) -> Path:
    _write(tmp_path, [f"a_{i}" for i in range(5)], _stripes)
    _write(tmp_path, [f"b_{i}" for i in range(3)], 5, seed=1)
    (tmp_path / "source.txt").write_text("".join(f"a_{i}\n" for i in range(5)))
    (tmp_path / "target.txt").write_text("".join(f"b_{i}\n" for i in range(3)))
    return tmp_path


def _config(world: Path, **more: Any) -> dict[str, Any]:
    pipeline = [
        dict(type="LoadImage"),
        dict(type="LoadLabels"),
        dict(type="RareClassCrop", crop_size=(16, 16), min_share=0.25, cat_max_ratio=1.0),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PackSegInputs", meta_keys=META),
    ]
    common = dict(type="OpenEarthMapDataset", table="openearthmap", data_root=str(world), pipeline=pipeline)
    source, target = dict(common, ann_file="source.txt"), dict(common, ann_file="target.txt")
    return {"type": "AdaptationDataset", "source": source, "target": target, **more}


def _build(config: dict[str, Any]) -> AdaptationDataset:
    init_default_scope("mmseg")
    return DATASETS.build(config)


def _first(dataset: AdaptationDataset, count: int, skip: int = 0) -> list[dict[str, Any]]:
    sampler = ProportionalSampler(dataset, seed=3, counts=[2, 2])
    sampler.bind(4)
    sampler.skip(skip)
    stream = iter(sampler)
    return [dataset[next(stream)] for _ in range(count)]


def _bytes(samples: list[dict[str, Any]]) -> list[tuple[bytes, str, bytes]]:
    out = []
    for sample in samples:
        packed = sample["data_samples"]
        labels = packed.gt_sem_seg.data.numpy().tobytes() if "gt_sem_seg" in packed else b""
        out.append((sample["inputs"].numpy().tobytes(), packed.metainfo["dataset_name"], labels))
    return out


def test_labels_of_the_target_change_nothing(world: Path) -> None:
    config = _config(world, rare_classes={})
    before = _bytes(_first(_build(config), 8))
    assert [name for _, name, _ in before] == ["source", "source", "target", "target"] * 2
    assert all(bool(labels) == (name == "source") for _, name, labels in before)
    for path in (world / "b" / "labels").iterdir():
        path.write_bytes(b"no image at all")
    assert _bytes(_first(_build(config), 8)) == before
    for path in (world / "b" / "labels").iterdir():
        path.unlink()
    assert _bytes(_first(_build(config), 8)) == before


def test_a_resumed_stream_goes_on_exactly(world: Path) -> None:
    config = _config(world, rare_classes={})
    assert _bytes(_first(_build(config), 12))[8:] == _bytes(_first(_build(config), 4, skip=8))


def test_draws_of_rare_classes_by_hand() -> None:
    pixels = np.array([[0, 100, 0], [40, 60, 0], [60, 20, 20]])  # shares 1/3, 3/5, 1/15
    draw = RareClassDraw(pixels, 50, temperature=0.1)
    logits = np.exp((1 - np.array([1 / 3, 3 / 5, 1 / 15])) / 0.1)
    np.testing.assert_allclose(draw.probabilities, logits / logits.sum())
    assert [rows.tolist() for rows in draw.images] == [[2], [0, 1], [2]], (
        "class 2 has no image above 50: all that show it"
    )
    assert draw.scarce == [2]
    found = {draw(np.random.default_rng(i)) for i in range(200)}
    assert {(0, 2), (2, 2)} <= found <= {(0, 2), (1, 0), (1, 1), (2, 2)}


def test_rare_classes_are_in_their_crops(world: Path) -> None:
    dataset = _build(_config(world, rare_classes=dict(temperature=0.1)))
    assert dataset.draw is not None
    # 320 of 5120 pixels are bareland: exp(-.0625 / .1) against exp(-.9375 / .1)
    assert dataset.draw.probabilities[0] == pytest.approx(1 / (1 + np.exp((0.0625 - 0.9375) / 0.1)))
    assert dataset.draw.images[0].tolist() == [3, 4], "more than 64 pixels, a quarter of the crop"
    samples = [dataset[SeededIndex(0, seed)] for seed in range(12)]
    shown = [int((s["data_samples"].gt_sem_seg.data == 0).sum()) for s in samples]
    assert sum(n > 32 for n in shown) >= 6, "without: 2 of 5 images, and there in few crops"
    release = _build(_config(world, rare_classes=dict(release_defects=True)))
    assert release.draw is not None and release.draw.probabilities[0] > 0.999


def test_crops_are_drawn_again_until_enough_is_there() -> None:
    labels = np.zeros((16, 16), np.uint8)
    labels[:8, :] = 1  # of crops of 8 x 8 from row 0 to 8, those from row 0 to 3 have more than 32 pixels of it
    results = {"img": np.zeros((16, 16, 3), np.uint8), "gt_seg_map": labels}
    crop = RareClassCrop((8, 8), min_share=1.0, tries=100, cat_max_ratio=1.0)
    assert crop.min_pixels == 64
    np.random.seed(0)
    assert {crop.crop_bbox({**results, "rare_class": 1})[0] for _ in range(60)} == {0, 1, 2, 3}
    assert {crop.crop_bbox(results)[0] for _ in range(200)} == set(range(9))
    assert len(crop.crop_bbox({**results, "rare_class": 7})) == 4, "the last crop, where none has any"
    with pytest.raises(ValueError, match="min_share from 0 to 1"):
        RareClassCrop((8, 8), min_share=2.0)


def test_classes_of_two_label_sets_meet_by_name(tmp_path: Path) -> None:
    table = load_metainfo("loveda@landcover6")
    assert table.classes == load_metainfo("landcover6").classes
    # LoveDA as stored: 1 background, 2 building, 3 road, 4 water, 5 barren, 6 forest, 7 agricultural
    ids = table.encode(np.arange(8, dtype=np.uint8))
    names = [None if i == 255 else table.classes[i] for i in ids]
    assert names == [None, "other", "building", "road", "water", "bareland", "tree", "other"]
    rows = [("Road", "street"), ("House", None), ("Bush", None)]
    own = [
        {"id": i, "name": name, "color": f"#00000{i}", **({"to": to} if to else {})}
        for i, (name, to) in enumerate(rows)
    ]
    common = [{"id": i, "name": name, "color": f"#00000{i}"} for i, name in enumerate(("house", "street"))]
    text = {"name": "own", "source": "test", "label_offset": 1, "ignore": [0], "categories": own}
    (tmp_path / "own.json").write_text(json.dumps(text))
    (tmp_path / "common.json").write_text(json.dumps({"name": "common", "source": "test", "categories": common}))
    both = f"{tmp_path / 'own.json'}@{tmp_path / 'common.json'}"
    with pytest.raises(ValueError, match="common has no class for Bush of own"):
        load_metainfo(both)
    text = {"name": "common", "source": "test", "categories": common, "unused": {"own": ["Bush"]}}
    (tmp_path / "common.json").write_text(json.dumps(text))
    assert load_metainfo(both).encode(np.arange(4, dtype=np.uint8)).tolist() == [255, 1, 0, 255]


def test_what_does_not_fit_is_an_error(world: Path) -> None:
    config = _config(world)
    other = {**config, "target": {**config["target"], "table": "loveda"}}
    with pytest.raises(ValueError, match="the classes of one table by name, for example table='loveda@openearthmap'"):
        _build(other)
    config["source"] = {**config["source"], "pipeline": [dict(type="LoadImage")]}
    with pytest.raises(ValueError, match="needs a RareClassCrop"):
        _build({**config, "rare_classes": {}})


def test_a_class_that_a_set_never_shows_is_stated(world: Path) -> None:
    table = json.loads(Path(load_metainfo.__globals__["_FOLDER"], "openearthmap.json").read_text())
    table["categories"][7]["raw"] = []
    path = world / "without_building.json"
    path.write_text(json.dumps(table))
    config = _config(world)
    config["target"] = {**config["target"], "table": str(path)}
    with pytest.raises(
        ValueError, match=r"labels of the target .* have no building; state it by absent=\['building'\]"
    ):
        _build(config)
    assert len(_build({**config, "absent": ["building"]})) == 8


def test_pixels_are_counted_once(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsseg.datasets import class_pixels as module

    labels = [world / "a" / "labels" / f"a_{i}.tif" for i in range(5)]
    calls = []
    real = module.count_labels
    monkeypatch.setattr(module, "count_labels", lambda *args: calls.append(1) or real(*args))
    first = class_pixels(labels, "openearthmap", world / "kept")
    assert first[:, 0].tolist() == [0, 32, 64, 96, 128] and first[:, 1].tolist() == [1024, 992, 960, 928, 896]
    assert class_pixels(labels, "openearthmap", world / "kept").tolist() == first.tolist() and len(calls) == 1
    cv2.imwrite(str(labels[0]), np.full((32, 32), 1, np.uint8))
    assert class_pixels(labels, "openearthmap", world / "kept")[0, 0] == 1024 and len(calls) == 2
    (kept,) = (world / "kept").glob("*.json")
    kept.write_text("{")
    assert class_pixels(labels, "openearthmap", world / "kept")[0, 0] == 1024 and len(calls) == 3


def test_check_compares_source_and_target(world: Path) -> None:
    config = _config(world, rare_classes={})
    (world / "config.py").write_text(
        f"default_scope = 'mmseg'\nmodel = dict(decode_head=dict(num_classes=8))\n"
        f"train_dataloader = dict(batch_size=4, dataset={config!r})\n"
    )
    report = check_dataset(world / "config.py", domains=True).domains
    assert report.images == {"source": 5, "target": 3}
    assert report.regions == {"source": {"a": 5}, "target": {"b": 3}} and report.shared == []
    assert report.shares["bareland"] == pytest.approx(0.0625) and report.shares["rangeland"] == pytest.approx(0.9375)
    assert set(report.draws) == {0.1, 0.01} and sum(report.draws[0.1]) == pytest.approx(1)
    assert report.drawn_images[:2] == [2, 5]
    text = str(report)
    assert "source: 1 regions: a 5" in text and "images drawn from" in text and "drawn %, temperature 0.01" in text
    with pytest.raises(ValueError, match="the config has none"):
        (world / "one.py").write_text((world / "config.py").read_text().replace(repr(config), repr(config["source"])))
        check_dataset(world / "one.py", domains=True)


def test_features_of_an_image_by_hand() -> None:
    flat = np.zeros((8, 8, 3), np.uint8)
    flat[:] = 50, 100, 150  # blue, green, red
    np.testing.assert_allclose(image_features(flat), [150, 100, 50, 0, 100 / 150, 0, 0], atol=1e-9)
    noise = np.random.default_rng(0).normal(128, 6, (200, 200, 1)).repeat(3, 2)
    found = image_features(noise)
    assert found[6] == pytest.approx(6, rel=0.05), "the noise that was put in"
    assert found[3] == pytest.approx(6, rel=0.05) and found[4] == 0
