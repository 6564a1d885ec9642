"""A run that is resumed with other numbers says that results will differ; the same numbers say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from rsseg.engine import load_file
from rsseg.engine.processes import KeepProcesses, describe_processes


class _Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x: list[torch.Tensor], mode: str = "loss") -> dict[str, torch.Tensor]:
        return {"loss": self.layer(torch.stack(x)).mean()}


def _train(folder: Path, iterations: int, batch: int, accumulate: int = 1, **options: Any) -> str:
    """Train a line; what was logged."""
    runner = Runner(
        _Line(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=[{"x": torch.ones(1)} for _ in range(24)],
            sampler=dict(type="InfiniteSampler", shuffle=False),
            batch_size=batch,
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1), accumulative_counts=accumulate),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2)),
        custom_hooks=[KeepProcesses()],
        default_scope="mmengine",
        experiment_name=f"{folder.name}_{iterations}_{batch}_{accumulate}_{len(options)}",
        **options,
    )
    runner.train()
    return "\n".join(path.read_text() for path in folder.glob(f"{runner.timestamp}/*.log"))


def test_other_numbers_are_said(tmp_path: Path) -> None:
    _train(tmp_path, 2, 4)
    meta = load_file(tmp_path / "iter_2.pth")["meta"]
    assert meta["processes"] == {"processes": 1, "batch_size": 4, "accumulate": 1}
    assert "Results will differ" not in _train(tmp_path, 4, 4, resume=True)
    said = _train(tmp_path, 6, 2, 2, resume=True)
    assert "resumed with 1 process x 2 samples x 2 accumulated steps; its checkpoint was written with " in said
    assert "1 process x 4 samples. Results will differ from those of an uninterrupted run" in said
    assert "Results will differ" not in _train(tmp_path / "new", 2, 8, load_from=str(tmp_path / "iter_2.pth"))


def test_another_number_of_processes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rsseg.engine.processes.get_world_size", lambda: 2)
        _train(tmp_path, 2, 4)
    assert "with 1 process x 4 samples; its checkpoint was written with 2 processes x 4" in _train(
        tmp_path, 4, 4, resume=True
    )
    assert describe_processes({"processes": 2, "batch_size": 8, "accumulate": 1}) == "2 processes x 8 samples"
