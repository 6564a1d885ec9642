"""The row of table 2: a small GSNet on small trees in the real layouts; the table of results."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from rsseg.errors import ConfigError
from rsseg.evaluation import BENCHMARKS, check_sets, keep_scores, score_table, use_vocabulary, vocabulary_configs
from rsseg.evaluation.image_scores import read_image_scores

_TOWER = "width=32, layers=3, heads=2"
CONFIG = f"""
_base_ = "{{repo}}/configs/landdiscover/gsnet_vitb16.py"
_tower = dict({_TOWER})
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, grid=4), text=_tower, embed=16, resolution=64, taps=(0, 1)),
    dino=dict(weights=None, **_tower, grid=8, resolution=64, taps=(0, 1, 2)),
    fusion=dict(channels=16, kernel=3),
    aggregator=dict(channels=16, window=4),
    decoder=dict(channels=16, widths=(16, 16), guidance_channels=(4, 4)),
    test_cfg=dict(size=106),
)
"""


def pair(image, label, classes, size=(40, 60)):
    """A picture and a label in stripes of the values that are allowed."""
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(classes))
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    values = np.broadcast_to(np.array(classes, np.uint8)[np.arange(size[1]) % len(classes)], size)
    Image.fromarray(pixels).save(image)
    Image.fromarray(np.ascontiguousarray(values)).save(label)
    return pixels, values


def write_sets(root):
    """The four sets as their providers publish them; FAST and Potsdam as they are made here.

    Returns, of each, the lowest value of a prediction, the values without a label, and labels by name.
    """
    pixels, values = pair(root / "x.png", root / "y.png", range(1, 20))
    for folder, kind, bands in (
        ("aerial", "img/IMG", [*np.moveaxis(pixels, -1, 0)] * 2),
        ("labels", "msk/MSK", [values]),
    ):
        path = root / f"flair/flair_{folder}_test/D012_2019/Z1_UU" / f"{kind}_061946.tif"
        path.parent.mkdir(parents=True)
        with rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", count=min(len(bands), 5), height=40, width=60
        ) as file:
            file.write(np.stack(bands[:5]))
    flood = {}
    for part in ("val", "test"):
        folder = root / f"floodnet/FloodNet-Supervised_v1.0/{part}"
        places = folder / f"{part}-org-img/{part}1.jpg", folder / f"{part}-label-img/{part}1_lab.png"
        flood[f"{part}1"] = pair(*places, range(10))[1]
    fast = pair(
        root / "samrs/fast/images/valid_0__0__0.png", root / "samrs/fast/gray/valid_0__0__0.png", [*range(37), 255]
    )
    city = pair(root / "potsdam/img_dir/val/2_13__0_0.png", root / "potsdam/ann_dir/val/2_13__0_0.png", range(7))
    return dict(
        flair=(1, range(13, 20), {"IMG_061946": values}),
        fast=(0, [255], {"valid_0__0__0": fast[1]}),
        potsdam=(1, [0, 6], {"2_13__0_0": city[1]}),
        floodnet=(0, [0], flood),
    )


@pytest.fixture
def small(tmp_path, repo):
    """Config and checkpoint of a small GSNet."""
    pytest.importorskip("open_clip")
    path = tmp_path / "small.py"
    path.write_text(CONFIG.format(repo=repo))
    cfg = Config.fromfile(path)
    torch.manual_seed(0)
    torch.save({"state_dict": MODELS.build(cfg.model).state_dict()}, tmp_path / "small.pth")
    return path, tmp_path / "small.pth"


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def miou(predicted, truth, lowest, ignored):
    """In percent, of written predictions and labels, over the classes that occur in the truth."""
    values = []
    for value in sorted(set(np.unique(truth)) - set(ignored)):
        hit = ((predicted == value) & (truth == value)).sum()
        either = ((predicted == value) & ~np.isin(truth, ignored) | (truth == value)).sum()
        values.append(hit / either)
    assert predicted.min() >= lowest
    return 100 * np.mean(values)


@pytest.mark.usefixtures("mmseg_scope")
def test_four_sets_in_two_calls(small, tmp_path, run_tool):
    """The first has no FloodNet; scores are counted again from the PNGs that it writes."""
    truth = write_sets(tmp_path / "data")
    (tmp_path / "data/floodnet").rename(tmp_path / "data/later")
    roots = [f"{name}={tmp_path / 'data' / folder}" for name, folder in
             dict(flair="flair", fast="samrs", potsdam="potsdam", floodnet="floodnet").items()]  # fmt: skip
    written = f"test_evaluator.output_dir={tmp_path / 'written'}"
    images = ["--image-scores", tmp_path / "images"]
    options = ["--data-root", *roots, *images, "--cfg-options", "test_dataloader.num_workers=0", written]
    first = run_tool("test_vocabulary", *small, *options)
    assert first.returncode == 1, first.stderr[-3000:]
    assert "not tested on 1 of 4 sets:\nfloodnet: floodnet: nothing in" in first.stderr
    (tmp_path / "data/later").rename(tmp_path / "data/floodnet")
    second = run_tool("test_vocabulary", *small, "--sets", "floodnet", *options)
    assert second.returncode == 0, second.stderr[-3000:]
    (row,) = rows_of(tmp_path / f"work_dirs/{tmp_path.name}/small/table2.csv")
    scores = {name: float(row[name]) for name in ("flair", "fast", "potsdam", "floodnet")}
    for name, (lowest, ignored, labels) in truth.items():
        predicted = [np.asarray(Image.open(tmp_path / f"written/{tile}.png")) for tile in labels]
        expected = miou(np.stack(predicted), np.stack(list(labels.values())), lowest, ignored)
        assert expected > 0 and scores[name] == pytest.approx(expected, abs=0.006)
    assert float(row["average"]) == pytest.approx(sum(scores.values()) / 4, abs=0.006)
    of_images = read_image_scores(tmp_path / "images")  # of both calls
    assert list(of_images) == list(scores)
    for name, own in of_images.items():
        assert float(own.score("mIoU", own.parts().sum(0))) == pytest.approx(scores[name], abs=0.006)
    cells = [f"{score:.2f}" for score in scores.values()]
    assert first.stdout.splitlines()[-2] == f"| small | {' | '.join(cells[:3])} |  |  |"
    shown = second.stdout.splitlines()[-4:]
    assert shown[2] == f"| small | {' | '.join(cells)} | {row['average']} |"
    assert shown[3] == "| GSNet (paper) | 20.00 | 16.61 | 45.75 | 42.63 | 31.25 |"


def test_what_is_not_there_is_said_before_anything_is_tested(repo, tmp_path, monkeypatch):
    pair(tmp_path / "data/potsdam/img_dir/val/1.png", tmp_path / "data/potsdam/ann_dir/val/1.png", [1])
    config, bases = str(repo / "configs/landdiscover/gsnet_vitb16.py"), repo / "configs/_base_/datasets"
    configs = vocabulary_configs(config, bases, ["potsdam", "flair", "floodnet"])
    monkeypatch.chdir(tmp_path)
    there, error_summary = check_sets(configs)
    assert list(there) == ["potsdam"] and error_summary is not None
    assert error_summary.startswith("not tested on 2 of 3 sets:\nflair: flair: nothing in data/flair")
    assert (
        "floodnet: " in error_summary and "choose sets with --sets" in error_summary and "potsdam:" not in error_summary
    )
    assert check_sets(there) == (there, None)
    with pytest.raises(FileNotFoundError, match="flair: flair: nothing in data/flair"):
        check_sets({"flair": configs["flair"]})


def test_rows_of_several_calls_meet(tmp_path):
    path = tmp_path / "new" / "table.csv"
    assert keep_scores(path, "a.py", "1.pth", {"flair": 10, "fast": 20}) == {"flair": 10, "fast": 20}
    keep_scores(path, "b.py", "1.pth", {"flair": 1.234})
    assert keep_scores(path, "a.py", "1.pth", {"potsdam": 30, "floodnet": 41}) == {
        "flair": 10, "fast": 20, "potsdam": 30, "floodnet": 41
    }  # fmt: skip
    first, second = rows_of(path)
    assert (first["config"], first["average"]) == ("a.py", "25.25")
    assert (second["flair"], second["fast"], second["average"]) == ("1.23", "", "")
    assert score_table("own", {"fast": 1.5}).splitlines()[2] == "| own |  | 1.50 |  |  |  |"
    path.write_text("config,other\n")
    with pytest.raises(ValueError, match="has the columns"):
        keep_scores(path, "a.py", "1.pth", {"flair": 10})


def test_ovrsisbench_is_a_benchmark_of_its_own(repo, tmp_path):
    config, bases = str(repo / "configs/landdiscover/gsnet_vitb16.py"), repo / "configs/_base_/datasets"
    configs = vocabulary_configs(config, bases, list(BENCHMARKS["ovrsis"]), ["udd5=/x"], "ovrsis")
    tables = {name: cfg.model.vocabulary for name, cfg in configs.items()}
    assert tables == {**{name: name for name in tables}, "vaihingen": "potsdam"} and len(tables) == 8
    assert configs["udd5"].test_dataloader.dataset.data_root == "/x"
    assert keep_scores(tmp_path / "a.csv", "a.py", "1.pth", {"vdd": 10}, "ovrsis") == {"vdd": 10}
    lines = score_table("own", {"vdd": 10}, "ovrsis").splitlines()
    assert len(lines) == 3 and lines[0].count("|") == 11 and lines[2].endswith("| 10.00 |  |")
    with pytest.raises(ConfigError, match="flair: --benchmark ovrsis has dlrsd, isaid, potsdam"):
        vocabulary_configs(config, bases, ["flair"], (), "ovrsis")


def test_scores_of_another_checkpoint_do_not_stay(tmp_path):
    path, checkpoint = tmp_path / "table.csv", tmp_path / "1.pth"
    checkpoint.write_bytes(b"one")
    keep_scores(path, "a.py", str(checkpoint), {"flair": 10})
    assert keep_scores(path, "a.py", str(checkpoint), {"fast": 20}) == {"flair": 10, "fast": 20}
    checkpoint.write_bytes(b"two")
    assert keep_scores(path, "a.py", str(checkpoint), {"fast": 30}) == {"fast": 30}
    assert keep_scores(path, "a.py", str(checkpoint), {"flair": 40}) == {"flair": 40, "fast": 30}


def test_scores_of_a_config_whose_base_has_changed_do_not_stay(tmp_path):
    path, config = tmp_path / "table.csv", tmp_path / "leaf.py"
    (tmp_path / "base.py").write_text("model = dict(depth=1)\n")
    config.write_text("_base_ = 'base.py'\n")
    keep_scores(path, str(config), "1.pth", {"flair": 10})
    assert keep_scores(path, str(config), "1.pth", {"fast": 20}) == {"flair": 10, "fast": 20}
    (tmp_path / "base.py").write_text("model = dict(depth=2)\n")
    assert keep_scores(path, str(config), "1.pth", {"fast": 30}) == {"fast": 30}


def test_images_have_the_size_that_the_model_is_tested_at(repo):
    bases = repo / "configs" / "_base_" / "datasets"
    for model, scale in (("gsnet_vitb16", (2560, 640)), ("ovseg_vitb16", (2048, 512))):
        for name, cfg in vocabulary_configs(
            str(repo / f"configs/landdiscover/{model}.py"), bases, ["flair", "fast"]
        ).items():
            steps = cfg.test_dataloader.dataset.pipeline
            assert [step.scale for step in steps if step.type == "Resize"] == [scale]
            assert (steps[0].get("bands") == (1, 2, 3)) is (name == "flair")  # the set's own way of reading stays


def test_a_set_brings_its_words(repo):
    bases = repo / "configs/_base_/datasets"
    configs = vocabulary_configs(str(repo / "configs/landdiscover/gsnet_vitb16.py"), bases, ["fast"], ["fast=/disks/x"])
    cfg = configs["fast"]
    assert (cfg.model.vocabulary, cfg.test_dataloader.dataset.data_root) == ("fast", "/disks/x")
    assert cfg.test_evaluator == dict(type="SegmentationMetric", only_true=True)
    with pytest.raises(ValueError, match="iasid: expected SET=DIR, where SET is one of: flair"):
        vocabulary_configs(str(repo / "configs/landdiscover/gsnet_vitb16.py"), bases, ["fast"], ["iasid=/disks/x"])
    fixed = Config.fromfile(repo / "configs/potsdam/unet_r50_potsdam.py")
    with pytest.raises(ValueError, match="Segmentor has fixed classes"):
        use_vocabulary(fixed, bases / "flair.py")
    with pytest.raises(ValueError, match="expected a test set with one class table"):
        use_vocabulary(Config(dict(model=dict(vocabulary=["a"]))), bases / "mae_crops.py")
