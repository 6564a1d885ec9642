"""The few-label grid through the real tools: one run, on made-up tiles."""

from __future__ import annotations

import csv
import json

import pytest

from rsseg.datasets.preparation import training_tiles, write_few
from rsseg.experiments import few_labels
from rsseg.experiments.few_labels import FewLabels, Init


@pytest.mark.slow
def test_a_run_through_the_tools(tmp_path, repo, converted_set, monkeypatch, call_tool_as_fork):
    data = converted_set(tmp_path / "data/nwpu_vhr10/masks", 10, count=8, size=64)
    write_few(*training_tiles(str(data)), tmp_path / "lists", [50], [3])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(few_labels, "call_tool", call_tool_as_fork)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    init = Init("scratch", repo / "configs/nwpu_vhr10/upernet_tiny_nwpu_vhr10.py", ("train_dataloader.batch_size=2",))
    options = ["train_dataloader.dataset.indices=None", "train_cfg.max_iters=1", "train_dataloader.num_workers=0"]
    options += ["test_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
    few = FewLabels(repo, tmp_path / "lists", tmp_path / "out", [init], [50], [3], "OA", options, tta=True)
    table = few.run()
    assert not few.failures, few.failures
    assert table.startswith("| OA, 1 seed | 50 % (3 tiles) |")
    (row,) = csv.DictReader((tmp_path / "out/runs.csv").open())
    assert {"mIoU", "mF1", "mAcc", "OA"} <= set(row) and "time" not in row
    assert 0 <= float(row["OA"]) <= 100
    log = (few.folder(init, 50, 3) / "tools.log").read_text()
    assert "Iter(test) [2/2]" in log and "Iter(val)" not in log
    assert json.loads((few.folder(init, 50, 3) / "score.json").read_text())["settings"]["seed"] == 3
