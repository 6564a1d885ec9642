"""DINO pre-training as a user runs it: killed and resumed, on two processes, and its teacher as GSNet's specialist."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from rsseg.engine import load_file
from rsseg.engine.weights import convert_weights
from tests.holding import held_at

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]

ITERATIONS = 6
SHORT = [
    "model.backbone.width=64",
    "model.backbone.heads=1",
    "model.backbone.layers=3",
    "model.backbone.taps=[0,1,2]",
    "model.head.in_channels=64",
    "model.head.out_channels=32",
    f"train_cfg.max_iters={ITERATIONS}",
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "default_hooks.self_distillation.epoch=2",
    "default_hooks.self_distillation.temperature=[0.04,0.07]",
    "default_hooks.self_distillation.temperature_epochs=4",
    "default_hooks.self_distillation.momentum=[0.996,1.0]",
    "default_hooks.logger.interval=1",
    "default_hooks.checkpoint.interval=2",
    "param_scheduler.0.end=2",
    "param_scheduler.1.begin=2",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five images of 90 x 120."""
    root = tmp_path_factory.mktemp("dino")
    images = root / "data" / "nwpu_vhr10" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (90, 120, 3)).astype(np.uint8)).save(images / f"{i}.jpg")
    return root


@pytest.fixture(scope="module")
def straight(world: Path, repo: Path, start_tool: Callable[..., Any]) -> Path:
    """Work dir of an uninterrupted run under autocast."""
    result = start_tool(*command(repo, "straight"), cwd=world).wait()
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    assert "OneDL" not in result.stdout + result.stderr
    return world / "straight"


def command(repo: Path, work_dir: str, *arguments: str) -> list[str]:
    config = repo / "configs" / "dino" / "vit_tiny_nwpu.py"
    return ["train", str(config), "--amp", "--work-dir", work_dir, *arguments, "--cfg-options", *SHORT]


def rows(work_dir: Path) -> dict[int, dict[str, float]]:
    """What was logged of each iteration, without times."""
    found = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found[row["iter"]] = {key: value for key, value in row.items() if "time" not in key and key != "memory"}
    return found


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(work_dir / f"iter_{ITERATIONS}.pth")["state_dict"]


def test_log_and_schedules(straight: Path) -> None:
    logged = rows(straight)
    assert sorted(logged) == list(range(1, ITERATIONS + 1))
    assert all(np.isfinite(row["loss"]) and row["teacher_entropy"] > 0 for row in logged.values())
    expected = 1 - 0.004 * (1 + np.cos(np.pi * np.arange(ITERATIONS) / ITERATIONS)) / 2
    np.testing.assert_allclose([row["teacher_momentum"] for row in logged.values()], expected, atol=1e-4)
    temperatures = [0.04, 0.04, 0.05, 0.05, 0.06, 0.06]  # three epochs of four
    np.testing.assert_allclose([row["teacher_temperature"] for row in logged.values()], temperatures, atol=1e-4)
    state = weights(straight)
    assert state["centre"].any()
    assert any(
        not torch.equal(state[f"teacher.{key[8:]}"], value) for key, value in state.items() if key[:8] == "student."
    )
    groups = load_file(straight / f"iter_{ITERATIONS}.pth")["optimizer"]["param_groups"]
    assert sorted(group["initial_weight_decay"] for group in groups) == [0.0, 0.04]


def test_killed_and_resumed_is_as_never_stopped(
    straight: Path, world: Path, repo: Path, start_tool: Callable[..., Any]
) -> None:
    held = held_at(f"iter_{ITERATIONS}.pth", world / "held")
    process = start_tool(*command(repo, "killed"), cwd=world, env=held)
    while not (world / "killed" / "last_checkpoint").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (world / "killed" / f"iter_{ITERATIONS}.pth").exists()
    result = start_tool(*command(repo, "killed", "--resume"), cwd=world).wait()
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    assert "resumed epoch: 0, iter: " in result.stdout + result.stderr
    assert rows(world / "killed") == rows(straight)
    torch.testing.assert_close(weights(world / "killed"), weights(straight), rtol=0, atol=0)


def test_two_processes_are_one_with_the_whole_batch(
    world: Path, repo: Path, run_tool: Run, run_ranks: Callable[..., Any]
) -> None:
    options = [*SHORT, "model.backbone.drop_path=0.0", "train_cfg.max_iters=3"]  # each process drops its own paths
    config = str(repo / "configs" / "dino" / "vit_tiny_nwpu.py")
    half = ["--cfg-options", *options, "train_dataloader.batch_size=1"]
    two = run_ranks(2, "train", config, "--work-dir", "two", *half, cwd=world)
    one = run_tool("train", config, "--work-dir", "one", "--cfg-options", *options, cwd=world)
    for result in (*two, one):
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
        assert "an epoch is 2 iterations" not in result.stdout + result.stderr  # 5 images in batches of 2
    found, expected = (load_file(world / name / "iter_3.pth")["state_dict"] for name in ("two", "one"))
    torch.testing.assert_close(found["centre"], expected["centre"], atol=1e-5, rtol=1e-4)
    assert found.keys() == expected.keys() and found["centre"].any()
    for key in ("student.head.mlp.0.weight", "student.backbone.blocks.0.mlp.fc1.weight"):
        near = torch.isclose(found[key], expected[key], atol=1e-4, rtol=0)  # Adam turns noise into steps of 5e-4
        assert near.float().mean() > 0.99


@torch.no_grad()
def test_the_teacher_is_gsnets_specialist(straight: Path, world: Path, mmseg_scope: None) -> None:
    file, out = straight / f"iter_{ITERATIONS}.pth", world / "specialist.pth"
    report = convert_weights(file, out)
    assert report.model == dict(type="DINOViT", width=64, layers=3, heads=1, patch=8, grid=8, taps=(0, 1, 2))
    assert not report.missing and not report.unexpected
    teacher = {key[17:]: value for key, value in weights(straight).items() if key.startswith("teacher.backbone.")}
    images = torch.randn(2, 3, 80, 100)
    for weights_of in (file, out):
        specialist = MODELS.build({**report.model, "resolution": 96, "weights": str(weights_of)})
        specialist.init_weights()
        state = specialist.state_dict()
        assert state.keys() == teacher.keys() and all(torch.equal(state[key], teacher[key]) for key in state)
        assert [tuple(tap.shape) for tap in specialist(images)] == [(2, 64, 12, 12)] * 3
