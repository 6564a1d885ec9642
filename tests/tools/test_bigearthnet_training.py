"""BigEarthNet as a user runs it, on made-up patches in the real layout: train, resume, test, go on to segmentation."""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest
import sklearn.metrics
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rsseg.datasets.bigearthnet.band_table import load_bands
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.engine import load_file, load_pretrained
from rsseg.running import evaluate

# in what share of the patches each is
LABELS = {
    "Mixed forest": 0.7,
    "Coniferous forest": 0.5,
    "Non-irrigated arable land": 0.4,
    "Pastures": 0.3,
    "Water bodies": 0.3,
    "Peatbogs": 0.2,
}
BANDS = [band for band in load_bands("v1").values() if not band.radar]
LABEL_RUN = [
    "model.backbone.channels=[8,8,16]",
    "model.head.in_channels=14400",
    "model.head.hidden_channels=32",
    "train_dataloader.batch_size=8",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "test_dataloader.num_workers=0",
    "optim_wrapper.optimizer.lr=0.05",
]
MAP_OPTIONS = {
    "model.backbone.channels": [8, 8, 16],
    "model.decode_head.in_channels": [8, 8, 16],
    "model.decode_head.channels": 8,
    "model.decode_head.norm_cfg.type": "BN",
}


def cells(rng):
    """Ids of ``LABELS`` in 4 x 4 cells; every drawn label has one."""
    drawn = np.nonzero(rng.random(len(LABELS)) < list(LABELS.values()))[0]
    drawn = drawn if len(drawn) else np.array([0])
    found = rng.choice(drawn, 16)
    found[rng.permutation(16)[: len(drawn)]] = drawn
    return found.reshape(4, 4)


def write_bands(folder, patch, ids, rng):
    """One TIFF per band, as large as the archive's: each label has a mean of its own in each band."""
    means = np.random.default_rng(7).normal(0, 1.5, (len(LABELS), len(BANDS)))
    for i, band in enumerate(BANDS):
        plane = np.kron(means[ids, i], np.ones((band.side // 4,) * 2)) + rng.normal(0, 0.3, (band.side,) * 2)
        pixels = np.clip(band.mean + band.std * plane, 0, 65535).astype(np.uint16)
        assert cv2.imwrite(str(folder / f"{patch}_{band.name}.tif"), pixels)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with data/bigearthnet_v1, 150 patches."""
    root, rng = tmp_path_factory.mktemp("bigearthnet"), np.random.default_rng(0)
    for i in range(150):
        patch = f"S2A_MSIL2A_20170617T113321_{i // 10}_{i % 10}"
        folder = root / "data" / "bigearthnet_v1" / "BigEarthNet-v1.0" / patch
        folder.mkdir(parents=True)
        ids = cells(rng)
        write_bands(folder, patch, ids, rng)
        said = dict(labels=[list(LABELS)[k] for k in np.unique(ids)], acquisition_date="2017-06-17 11:33:21")
        (folder / f"{patch}_labels_metadata.json").write_text(json.dumps(said))
    return root


def check(result):
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


def scores(log):
    """Scores by name of the last line that has them."""
    line = re.findall(r"Epoch\((?:val|test)\).*?(P: .*)", log)[-1]
    found = {key: float(value) for key, value in re.findall(r"(\S+): ([\d.]+)", line)}
    return {key: value for key, value in found.items() if key not in ("time", "data_time")}


def best_constant(truth):
    """The best F2 in percent of one set of labels for all images: the most frequent ones, however many."""
    order = np.argsort(-truth.mean(0))
    guesses = np.zeros((len(order), truth.shape[1]), bool)
    for count in range(len(order)):
        guesses[count, order[: count + 1]] = True
    f2 = [
        sklearn.metrics.fbeta_score(truth, np.tile(guess, (len(truth), 1)), beta=2, average="samples", zero_division=0)
        for guess in guesses
    ]
    return 100 * max(f2)


@pytest.mark.slow
def test_it_learns_goes_on_and_starts_segmentation(world, repo, run_tool, their_tool):
    config = str(repo / "configs" / "bigearthnet" / "scnn_all.py")
    work_dir = world / "work_dirs" / "bigearthnet" / "scnn_all"
    first = ["--cfg-options", *LABEL_RUN, "train_cfg.max_epochs=7", "train_cfg.val_begin=7"]
    check(run_tool("train", config, *first, cwd=world))
    assert len(list((world / "data" / "bigearthnet_v1" / "splits").iterdir())) > 0  # drawn and written
    log = check(run_tool("train", config, "--resume", "--cfg-options", *LABEL_RUN, "train_cfg.max_epochs=9", cwd=world))
    assert "Epoch(val) [7]" not in log and "Epoch(val) [8]" in log and "Epoch(val) [9]" in log
    assert (work_dir / "epoch_9.pth").is_file()
    (best,) = work_dir.glob("best_F2_epoch_*.pth")

    options = ["--out", "out", "--cfg-options", *LABEL_RUN]
    tested = scores(check(run_tool("test", config, best, *options, cwd=world)))
    with (world / "out" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = load_label_set("level3").classes
    said = [[row[key].split("; ") for row in rows] for key in ("labels", "predicted")]
    truth, predicted = (np.array([[name in row for name in classes] for row in names]) for names in said)
    assert len(rows) == 30 and rows[0]["image"].startswith("S2A_MSIL2A_")
    for key, beta in (("F1", 1), ("F2", 2)):
        theirs = sklearn.metrics.fbeta_score(truth, predicted, beta=beta, average="samples", zero_division=0)
        assert tested[key] == pytest.approx(100 * theirs, abs=0.01)
    assert tested["F2"] > best_constant(truth) + 8
    check_that_segmentation_starts(repo, best)
    check_mmpretrains_tools(config, best, world, run_tool, their_tool)


def check_mmpretrains_tools(config, checkpoint, world, run_tool, their_tool):
    small = world / "small.py"  # their --tta wraps the model before --cfg-options change it
    model = "backbone=dict(channels=[8, 8, 16]), head=dict(in_channels=14400, hidden_channels=32)"
    loader = "test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(indices=8))"
    small.write_text(f"_base_ = {config!r}\nmodel = dict({model})\n{loader}\n")
    views = ["--tta", "--work-dir", "tested"]
    theirs = check(
        run_tool(their_tool("mmpretrain", "test"), small, checkpoint, *views, "--show-dir", "shown", cwd=world)
    )
    ours = check(run_tool("test", small, checkpoint, *views, "--show-dir", "ours", cwd=world))
    assert scores(theirs) == scores(ours)
    assert len(list((world / "shown").iterdir())) == len(list((world / "ours").iterdir())) == 8
    one = ["--work-dir", "theirs", "--cfg-options", *LABEL_RUN, "train_cfg.max_epochs=1"]
    keep = [f"{split}_dataloader.persistent_workers=False" for split in ("train", "val", "test")]
    assert "F2" in scores(check(run_tool(their_tool("mmpretrain", "train"), config, *one, *keep, cwd=world)))


def check_that_segmentation_starts(repo, checkpoint):
    """As the hook of the config does before the first iteration."""
    config = Config.fromfile(str(repo / "configs" / "bigearthnet" / "fcn_scnn_maps_from_labels.py"))
    config.merge_from_dict(MAP_OPTIONS)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(config.model)
    model.init_weights()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    hook = config.default_hooks.start
    load_pretrained(model, checkpoint, hook.new, hook.unused)
    file = load_file(checkpoint)["state_dict"]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key] if key.startswith("decode_head.") else file[key])
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 120, 120), 3)))
    pixels = torch.randint(0, 4000, (12, 120, 120)).to(torch.uint16)
    data = model.data_preprocessor({"inputs": [pixels] * 2, "data_samples": [sample] * 2}, training=True)
    assert torch.isfinite(model(**data, mode="loss")["decode.loss_ce"])


def test_options_for_maps_are_refused(tmp_path):
    config = tmp_path / "scnn_all.py"
    config.write_text('default_scope = "mmpretrain"\n')
    with pytest.raises(ValueError, match=r"--on requires a segmentation config, but .*scnn_all"):
        evaluate(config, tmp_path / "a.pth", on="other.py")
