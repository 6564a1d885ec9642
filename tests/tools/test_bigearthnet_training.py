"""BigEarthNet as a user runs it, on made-up patches in the real layout: train, resume, test, go on to segmentation."""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest
import sklearn.metrics

from rsseg.engine import load_file
from rsseg.metainfo import load_bands, load_label_set

# names, CLC codes, and in what share of the patches each is
LABELS = {
    "Mixed forest": (313, 0.7),
    "Coniferous forest": (312, 0.5),
    "Non-irrigated arable land": (211, 0.4),
    "Pastures": (231, 0.3),
    "Water bodies": (512, 0.3),
    "Peatbogs": (412, 0.2),
}
BANDS = [band for band in load_bands("v1").values() if not band.radar]
SMALL = ["model.backbone.channels=[8,8,16]"]
LABEL_RUN = [
    *SMALL,
    "model.head.in_channels=14400",
    "model.head.hidden_channels=32",
    "train_dataloader.batch_size=8",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "test_dataloader.num_workers=0",
    "optim_wrapper.optimizer.lr=0.05",
]
MAP_RUN = [
    *SMALL,
    "model.decode_head.in_channels=[8,8,16]",
    "model.decode_head.channels=8",
    "train_dataloader.batch_size=4",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "train_cfg.max_iters=2",
    "train_cfg.val_interval=2",
    "default_hooks.checkpoint.interval=2",
    "default_hooks.logger.interval=1",
]


def cells(rng):
    """Ids of ``LABELS`` in 4 x 4 cells; every drawn label has one."""
    drawn = np.nonzero(rng.random(len(LABELS)) < [share for _, share in LABELS.values()])[0]
    drawn = drawn if len(drawn) else np.array([0])
    found = rng.choice(drawn, 16)
    found[rng.permutation(16)[: len(drawn)]] = drawn
    return found.reshape(4, 4)


def write_bands(folder, patch, ids, rng):
    """One GeoTIFF-sized TIFF per band: each label has a mean of its own in each band."""
    means = np.random.default_rng(7).normal(0, 1.5, (len(LABELS), len(BANDS)))
    for i, band in enumerate(BANDS):
        plane = np.kron(means[ids, i], np.ones((band.side // 4,) * 2)) + rng.normal(0, 0.3, (band.side,) * 2)
        pixels = np.clip(band.mean + band.std * plane, 0, 65535).astype(np.uint16)
        assert cv2.imwrite(str(folder / f"{patch}_{band.name}.tif"), pixels)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with data/bigearthnet_v1 (150 patches) and data/bigearthnet_v2 (8 patches with reference maps)."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    root, rng = tmp_path_factory.mktemp("bigearthnet"), np.random.default_rng(0)
    names, codes = list(LABELS), np.array([code for code, _ in LABELS.values()], np.uint16)
    for i in range(150):
        patch = f"S2A_MSIL2A_20170617T113321_{i // 10}_{i % 10}"
        folder = root / "data" / "bigearthnet_v1" / "BigEarthNet-v1.0" / patch
        folder.mkdir(parents=True)
        ids = cells(rng)
        write_bands(folder, patch, ids, rng)
        said = dict(labels=[names[k] for k in np.unique(ids)], acquisition_date="2017-06-17 11:33:21")
        (folder / f"{patch}_labels_metadata.json").write_text(json.dumps(said))
    rows, v2 = [], root / "data" / "bigearthnet_v2"
    for i in range(8):
        tile = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
        patch, ids = f"{tile}_{i}_0", cells(rng)
        for part in ("BigEarthNet-S2", "Reference_Maps"):
            (v2 / part / tile / patch).mkdir(parents=True)
        write_bands(v2 / "BigEarthNet-S2" / tile / patch, patch, ids, rng)
        truth = np.kron(codes[ids], np.ones((30, 30), np.uint16))
        cv2.imwrite(str(v2 / "Reference_Maps" / tile / patch / f"{patch}_reference_map.tif"), truth)
        rows.append(dict(patch_id=patch, labels=["Mixed forest"], split="validation" if i > 5 else "train"))
    parquet.write_table(pyarrow.Table.from_pylist(rows), v2 / "metadata.parquet")
    return root


def check(result):
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


def scores(log):
    """Scores by name of the last line that has them."""
    line = re.findall(r"Epoch\((?:val|test)\).*?(P: .*)", log)[-1]
    return {key: float(value) for key, value in re.findall(r"(\S+): ([\d.]+)", line)}


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


def test_it_learns_goes_on_and_starts_segmentation(world, repo, run_tool):
    config = str(repo / "configs" / "bigearthnet" / "scnn_all.py")
    work_dir = world / "work_dirs" / "bigearthnet" / "scnn_all"
    first = ["--cfg-options", *LABEL_RUN, "train_cfg.max_epochs=7"]
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

    refused = run_tool("test", config, best, "--show-dir", "pictures", cwd=world)
    assert refused.returncode == 1 and "--show-dir is for maps" in refused.stderr

    maps = str(repo / "configs" / "bigearthnet" / "fcn_scnn_maps_from_labels.py")
    start = f"default_hooks.start.checkpoint={work_dir / 'epoch_9.pth'}"
    log = check(run_tool("train", maps, "--cfg-options", *MAP_RUN, start, cwd=world))
    assert re.search(r"epoch_9.pth: 6 tensors loaded, \d+ start afresh \(decode_head\), 4 of the file unused", log)
    assert "mIoU" in log
    before = load_file(work_dir / "epoch_9.pth")["state_dict"]
    after = load_file(world / "work_dirs" / "bigearthnet" / "fcn_scnn_maps_from_labels" / "iter_2.pth")["state_dict"]
    for key in (f"backbone.convs.{i}.weight" for i in range(3)):
        assert (before[key] - after[key]).abs().max() < 0.01 < before[key].abs().max()
