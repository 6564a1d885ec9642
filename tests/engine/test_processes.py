"""A run that is resumed with other numbers says that results will differ; the same numbers say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from rsseg.datasets import ProportionalSampler
from rsseg.engine import load_file
from rsseg.engine.processes import AllocateSteps, KeepProcesses, describe_processes


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


class _Seen(Hook):
    """The set of every sample that an iteration sees."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.batches.append([value.item() for value in data_batch["x"]])


class _Sets(list):
    set_sizes = (3, 5, 16)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_batch_of_accumulated_iterations_is_divided(tmp_path: Path, workers: int) -> None:
    """Of 2 x 3 samples 1, 1 and 4 are the sets', where each batch of 3 by itself would be 1, 1 and 1."""
    data = _Sets({"x": torch.tensor(float(which))} for which, size in enumerate(_Sets.set_sizes) for _ in range(size))
    data = _Sets({"x": row["x"][None]} for row in data)
    ProportionalSampler(data)  # registered
    runs = []
    for name, first in (("whole", 0), ("resumed", 3)):
        seen = _Seen()
        for end in sorted({first or 6, 6}):
            runner = Runner(
                _Line(),
                work_dir=str(tmp_path / name),
                train_dataloader=dict(
                    dataset=data,
                    sampler=dict(type="mmseg.ProportionalSampler"),
                    batch_sampler=dict(type="mmseg.ProportionalBatches"),
                    batch_size=3,
                    num_workers=workers,
                ),
                train_cfg=dict(by_epoch=False, max_iters=end),
                optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1), accumulative_counts=2),
                default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=3)),
                custom_hooks=[AllocateSteps(), seen],
                randomness=dict(seed=0),
                default_scope="mmengine",
                experiment_name=f"{tmp_path.name}_{name}_{end}",
                resume=end == 6 and first > 0,
            )
            runner.train()
        runs.append(seen.batches)
    whole, resumed = runs
    assert resumed == whole
    for first, second in zip(whole[::2], whole[1::2], strict=True):
        assert len(first) == len(second) == 3
        assert sorted(first + second) == [0, 1, 2, 2, 2, 2]
