"""Real processes of the tool: killed at random moments, started again, in any number; unreadable images."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from tests.holding import held_at

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
REPO = Path(__file__).resolve().parents[2]

# The filled box in two stages; slow enough to be killed, and able to kill itself once, as a worker that dies does.
MODEL = """
import os, signal, time
from pathlib import Path
from mmseg.registry import MODELS
from rsseg.conversion.predictors.base import without_scores
from rsseg.structures.masks import fill_hbox

@MODELS.register_module(force=True)
class SlowBox:
    needs_gt_masks = False
    def encode(self, images):
        time.sleep(0.01 * len(images))
        grave = Path(os.environ.get("GRAVE", "/nowhere"))
        self.calls = getattr(self, "calls", 0) + 1
        if os.environ.get("RANK") == "1" and grave.parent.exists() and not grave.exists() and self.calls == 9:
            grave.write_text("dead")
            os.kill(os.getpid(), signal.SIGKILL)
        return [image.shape[:2] for image in images]
    def decode(self, size, prompts):
        return without_scores([fill_hbox(box, size) for box in prompts.boxes])
    def predict(self, image, prompts):
        return self.decode(self.encode([image])[0], prompts)
    def describe(self):
        return {"name": "SlowBox"}
"""


@pytest.fixture
def slow(make_config: Make, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """``slow(out_name)``: a config file for 28 images, in tiles, with the slow model."""
    rng = np.random.default_rng(1)
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (50, 90, 3), dtype=np.uint8)).save(world / "images" / f"Q{i:02}.png")
        (world / "labelTxt" / f"Q{i:02}.txt").write_text(f"{i} 5 {i + 30} 5 {i + 30} 25 {i} 25 ship 0\n")
    (tmp_path / "slow_box.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(REPO)]))

    def make(name: str) -> Path:
        predictors = {"slow": {"type": "SlowBox"}}
        config = make_config(name, predictor="slow", predictors=predictors, custom_imports={"imports": ["slow_box"]})
        path = tmp_path / f"{name}.py"
        path.write_text("\n".join(f"{key} = {value!r}" for key, value in config.items()))
        return path

    return make


def _whole(slow: Callable[[str], Path], tmp_path: Path, digests: Digests) -> dict[str, str]:
    from mmengine.config import Config

    assert convert_labels(Config.fromfile(slow("whole"))).complete
    return digests(tmp_path / "whole")


@pytest.fixture
def start(start_tool: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a conversion as a process, or one of several where ``RANK`` says so."""

    def begin(config: Path, **env: str) -> Any:
        launcher = ["--launcher", "pytorch"] if "RANK" in env else []
        return start_tool("convert_labels", config, *launcher, cwd=config.parent, env=env)

    return begin


def _files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.slow
def test_killed_at_five_random_moments(
    slow: Callable[[str], Path], tmp_path: Path, digests: Digests, start: Callable[..., Any]
) -> None:
    expected = _whole(slow, tmp_path, digests)
    config, held = slow("killed"), held_at("manifest.json", tmp_path / "held")
    for moment in sorted(random.Random(3).sample(range(4, len(expected) - 8), 5)):
        process = start(config, **held)
        while _files(tmp_path / "killed") < moment and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        assert process.wait().returncode == -9
        assert not (tmp_path / "killed/manifest.json").exists()
    assert start(config).wait().returncode == 0
    assert digests(tmp_path / "killed") == expected


@pytest.mark.slow
def test_one_of_two_workers_dies_and_is_started_by_hand(
    slow: Callable[[str], Path], tmp_path: Path, digests: Digests, start: Callable[..., Any]
) -> None:
    expected = _whole(slow, tmp_path, digests)
    config, shared = slow("shared"), {"WORLD_SIZE": "2", "GRAVE": str(tmp_path / "grave")}
    workers = [start(config, RANK=str(rank), **shared) for rank in (0, 1)]
    assert [worker.wait().returncode for worker in workers] == [0, -9]
    assert not (tmp_path / "shared/manifest.json").exists()
    again = [start(config, RANK="1", **shared) for _ in range(2)]  # by mistake twice: both finish, both merge
    assert [worker.wait().returncode for worker in again] == [0, 0]
    assert digests(tmp_path / "shared") == expected


@pytest.mark.slow
def test_independent_jobs_share_the_folder(
    slow: Callable[[str], Path], tmp_path: Path, digests: Digests, start_tool: Callable[..., Any]
) -> None:
    """One of two is killed and goes on, one runs twice at the same time; the last to end merges."""
    expected, config = _whole(slow, tmp_path, digests), slow("jobs")

    def job(shard: str, env: dict[str, str] | None = None) -> Any:
        return start_tool("convert_labels", config, "--shard", shard, cwd=tmp_path, env=env)

    killed = job("0/2", held_at("Q1?.json", tmp_path / "held"))
    while _files(tmp_path / "jobs") < 12 and killed.poll() is None:
        time.sleep(0.001)
    killed.kill()
    assert killed.wait().returncode == -9
    same = [job("1/2"), job("1/2")]
    assert [process.wait().returncode for process in same] == [0, 0]
    assert not (tmp_path / "jobs/manifest.json").exists()
    last = job("0/2").wait()
    assert last.returncode == 0 and "are finished already" in last.stderr
    assert digests(tmp_path / "jobs") == expected
    wrong = job("2/2").wait()
    assert wrong.returncode == 1 and "0/8 is the first and 7/8 the last" in wrong.stderr


@pytest.mark.slow
def test_torchrun_starts_dead_workers_again(
    slow: Callable[[str], Path], tmp_path: Path, digests: Digests, forked_python: dict[str, str]
) -> None:
    expected = _whole(slow, tmp_path, digests)
    script, grave = str(REPO / "tools/dist_convert.sh"), str(tmp_path / "grave")

    def run(config: Path, processes: int, **env: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", script, str(config), str(processes)]
        told = {**forked_python, "PYTHONPATH": os.environ["PYTHONPATH"], "GRAVE": grave, **env}
        return subprocess.run(command, env=told, capture_output=True, text=True, timeout=600, check=False)

    result = run(slow("healed"), 2)
    assert result.returncode == 0, result.stderr[-3000:]
    assert Path(grave).exists() and digests(tmp_path / "healed") == expected
    Path(grave).unlink()
    assert run(slow("stopped"), 2, RESTARTS="0").returncode != 0
    assert not (tmp_path / "stopped/manifest.json").exists()
    result = run(slow("stopped"), 3, RESTARTS="0")
    assert result.returncode == 0, result.stderr[-3000:]
    assert digests(tmp_path / "stopped") == expected


SRUN = """#!/usr/bin/env bash
# Starts the tasks as srun would, one after the other.
status=0
for word in "$@"; do
    case $word in
        --ntasks=*) tasks=${word#*=} ;;
        --kill-on-bad-exit=0 | --wait=0) lenient+=x ;;
    esac
done
while [ "${1#--}" != "$1" ]; do shift; done
[ "$lenient" = xx ] || exit 9
for ((i = 0; i < tasks; i++)); do
    SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=$tasks "$@" || status=$?
done
exit $status
"""


@pytest.mark.slow
def test_slurm_tasks_share_the_work(
    slow: Callable[[str], Path], tmp_path: Path, digests: Digests, forked_python: dict[str, str]
) -> None:
    expected = _whole(slow, tmp_path, digests)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/srun").write_text(SRUN)
    (tmp_path / "bin/srun").chmod(0o755)
    env = {**forked_python, "PYTHONPATH": os.environ["PYTHONPATH"], "GPUS": "2"}
    env["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    command = ["bash", str(REPO / "tools/slurm_convert.sh"), "gpu", "samrs", str(slow("slurm"))]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "process 0 of 2 is finished" in result.stderr
    assert digests(tmp_path / "slurm") == expected


def test_the_tool_names_unreadable_images(
    slow: Callable[[str], Path], world: Path, tmp_path: Path, run_tool: Callable[..., Any]
) -> None:
    (world / "images/Q07.png").write_bytes((world / "images/Q07.png").read_bytes()[:100])
    result = run_tool("convert_labels", slow("out"))
    assert result.returncode == 1
    assert "1 image(s) could not be converted" in result.stderr and "Q07.png: image is broken" in result.stderr
    assert "run the same command again" in result.stderr and "Traceback" not in result.stderr
    assert (tmp_path / "out/manifest.json").exists() and (tmp_path / "out/gray/Q08__0_0.png").exists()
