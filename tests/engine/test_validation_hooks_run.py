"""Comforts switched on by config lines, on a tiny run: loss in the log, stopped early, best checkpoint resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from rsseg.engine import load_file, prepare_config

pytestmark = pytest.mark.slow

SIZES = {"sota": 18, "sior": 20, "fast": 37}
SHORT = {
    "train_cfg.max_iters": 6,
    "train_cfg.val_interval": 2,
    "train_dataloader.batch_size": 3,
    "train_dataloader.num_workers": 0,
    "val_dataloader.num_workers": 0,
    "test_dataloader": None,
    "test_cfg": None,
    "test_evaluator": None,
    "default_hooks.checkpoint.interval": 100,
    "default_hooks.checkpoint.type": "ResumableBestCheckpoint",
    "default_hooks.checkpoint.save_best": "val_loss",
    "default_hooks.val_loss.type": "ValidationLoss",
    "param_scheduler.0.T_max": 6,
    "param_scheduler.0.end": 6,
    "model.decode_head.channels": 16,
}
STOP = {
    "default_hooks.early_stopping.type": "EarlyStoppingHook",
    "default_hooks.early_stopping.monitor": "val_loss",
    "default_hooks.early_stopping.min_delta": 1000,
    "default_hooks.early_stopping.patience": 1,
}


@pytest.fixture
def train(
    tmp_path: Path, repo: Path, converted_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, mmseg_scope: None
) -> Callable[..., Path]:
    """Train the tiny SEP model in a work dir with further options."""
    for name, classes in SIZES.items():
        converted_set(tmp_path / "data" / "scenes" / name, classes, count=4, size=32)
    monkeypatch.chdir(tmp_path)
    # mmengine formats the config into each log and checkpoint, which would be most of the time
    monkeypatch.setattr(Config, "pretty_text", "")

    def run(name: str, options: dict[str, Any], resume: Path | None = None) -> Path:
        config = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py")
        # instances of one name are shared within a process
        names = {"experiment_name": name, "visualizer.name": name, "work_dir": name}
        config.merge_from_dict({**SHORT, **options, **names, "launcher": "none"})
        prepare_config(config)
        config.load_from, config.resume = (str(resume) if resume else None), resume is not None
        Runner.from_cfg(config).train()
        return tmp_path / name

    return run


def scores(folder: Path) -> dict[int, dict[str, float]]:
    """Rows of validation in the scalars of a work dir, by step."""
    lines = [line for path in folder.glob("*/vis_data/scalars.json") for line in path.read_text().splitlines()]
    return {row["step"]: row for row in map(json.loads, lines) if "mIoU" in row}


def test_loss_is_logged_patience_ends_a_run_and_its_best_checkpoint_goes_on(train: Callable[..., Path]) -> None:
    straight = train("straight", {})
    rows = scores(straight)
    assert sorted(rows) == [2, 4, 6]
    for row in rows.values():
        assert row["val_loss"] == pytest.approx(sum(row[f"{name}/val_loss"] for name in SIZES) / 3, rel=1e-4)
    lowest = min(rows, key=lambda step: rows[step]["val_loss"])
    assert [path.name for path in straight.glob("best_*")] == [f"best_val_loss_iter_{lowest}.pth"]
    (log,) = straight.glob("*/*.log")
    assert "val_loss: " in log.read_text()

    stopped = train("stopped", STOP)
    assert sorted(scores(stopped)) == [2, 4]
    (log,) = stopped.glob("*/*.log")
    assert "did not improve in the last 1 records" in log.read_text()

    (kept,) = stopped.glob("best_val_loss_iter_*.pth")
    content = load_file(kept)
    assert content["optimizer"]["state"] and content["param_schedulers"]
    assert kept.stem.endswith(f"_{content['meta']['iter']}")
    resumed = train("resumed", {}, resume=kept)
    ends = [load_file(folder / "iter_6.pth")["state_dict"] for folder in (straight, resumed)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
