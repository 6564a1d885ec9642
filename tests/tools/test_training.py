"""Training as a user runs it: kill and resume, several processes, test with pictures, fine-tuning."""

from __future__ import annotations

import json
import subprocess
import time

import cv2
import numpy as np
import pytest
import torch

from rsseg.engine import load_file
from rsseg.io.resuming import latest_checkpoint
from tests.holding import held_at

pytestmark = pytest.mark.slow

SHORT = [
    "train_cfg.max_iters=6",
    "train_cfg.val_interval=100",
    "default_hooks.logger.interval=1",
    "default_hooks.checkpoint.interval=2",
    "param_scheduler.0.T_max=6",
    "param_scheduler.0.end=6",
]
SIZES = {"sota": 18, "sior": 20, "fast": 37}


@pytest.fixture(scope="module")
def world(tmp_path_factory, converted_set):
    """A folder with three small converted sets and one land-cover image under data/scenes."""
    root = tmp_path_factory.mktemp("world")
    for name, classes in SIZES.items():
        converted_set(root / "data" / "scenes" / name, classes, count=8, size=64)
    landcover = root / "data" / "scenes" / "landcover"
    for kind, pixels in (("images", np.zeros((64, 64, 3), np.uint8)), ("labels", np.ones((64, 64), np.uint8))):
        (landcover / "r" / kind).mkdir(parents=True)
        cv2.imwrite(str(landcover / "r" / kind / "r_1.tif"), pixels)
    for name in ("train", "val", "test"):
        (landcover / f"{name}.txt").write_text("r_1.tif\n")
    return root


def losses(work_dir):
    rows = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if "loss" in row:
                rows[row["iter"]] = row["loss"]
    return rows


def weights(work_dir, iterations=6):
    return load_file(work_dir / f"iter_{iterations}.pth")["state_dict"]


def same_weights(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def check(result):
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def config(repo):
    return str(repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py")


@pytest.fixture(scope="module")
def straight(world, repo, start_tool):
    """Work dir of an uninterrupted run, and its log."""
    result = start_tool("train", config(repo), "--work-dir", "straight", "--cfg-options", *SHORT, cwd=world).wait()
    return world / "straight", check(result)


def test_training_logs_each_head_and_scores_each_set(straight):
    work_dir, log = straight
    assert sorted(losses(work_dir)) == [1, 2, 3, 4, 5, 6]
    for name in SIZES:
        assert f"{name}.loss:" in log
        assert f"{name}/mIoU:" in log
    assert "OneDL" not in log
    assert "MultiScaleDeformableAttention" not in log


def test_killed_and_resumed_is_as_never_stopped(straight, world, repo, start_tool):
    command = ["train", config(repo), "--work-dir", "killed"]
    process = start_tool(*command, "--cfg-options", *SHORT, cwd=world, env=held_at("iter_6.pth", world / "held"))
    while not (world / "killed" / "last_checkpoint").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (world / "killed" / "iter_6.pth").exists()
    last = latest_checkpoint(world / "killed")  # the record itself may be empty
    content = load_file(last)
    content["meta"]["config"] = "import pathlib\npathlib.Path('ran').touch()\n"  # mmengine would run it
    torch.save(content, last)
    result = start_tool(*command, "--resume", "--cfg-options", *SHORT, cwd=world).wait()
    assert "resumed epoch: 0, iter: " in check(result)
    assert losses(world / "killed") == losses(straight[0])
    assert same_weights(weights(world / "killed"), weights(straight[0]))
    assert not (world / "ran").exists()


@pytest.mark.slow
def test_two_processes_train_stop_and_resume(world, repo, run_ranks, forked_python):
    script = ["bash", str(repo / "tools" / "dist_train.sh"), config(repo), "2"]

    def arguments(work_dir, iterations=4, resume=False):
        options = [*SHORT, f"train_cfg.max_iters={iterations}"]
        return ["--work-dir", work_dir, *(["--resume"] if resume else []), "--cfg-options", *options]

    whole = [*script, *arguments("two")]
    check(subprocess.run(whole, cwd=world, env=forked_python, capture_output=True, text=True, check=False, timeout=600))
    stopped = arguments("two_stopped", 2)
    for options in (stopped, arguments("two_stopped", resume=True)):
        for result in run_ranks(2, "train", config(repo), *options, cwd=world):
            check(result)
    assert losses(world / "two_stopped") == losses(world / "two")
    assert same_weights(weights(world / "two_stopped", 4), weights(world / "two", 4))


def test_scores_predictions_and_pictures(straight, world, repo, run_tool):
    arguments = [config(repo), straight[0] / "iter_6.pth", "--work-dir", "tested"]
    log = check(run_tool("test", *arguments, "--out", "out", "--show-dir", "shown", cwd=world))
    assert "mIoU" in log
    assert "Small-Car" in log
    assert sorted(path.name for path in (world / "out" / "fast").iterdir()) == ["t0.png", "t4.png"]
    assert len(list((world / "shown").iterdir())) == 6
    log = check(run_tool("test", *arguments, "--tta", cwd=world))
    assert "fast/mIoU" in log


def test_a_wrong_checkpoint_is_refused(straight, world, repo, run_tool):
    landcover = repo / "configs" / "scenes" / "upernet_tiny_scenes.py"
    result = run_tool("test", landcover, straight[0] / "iter_6.pth", cwd=world)
    assert result.returncode != 0
    assert "2 missing: decode_head.conv_seg" in result.stderr


def test_fine_tuning_starts_from_the_shared_part(straight, world, repo, run_tool):
    derived = repo / "configs" / "scenes" / "upernet_tiny_from_sep_scenes.py"
    options = ["train_cfg.max_iters=1", "train_cfg.val_interval=1", "train_dataloader.batch_size=2"]
    result = run_tool("train", derived, "--amp", "--cfg-options", *options, cwd=world)
    assert result.returncode != 0
    assert "Pre-train first" in result.stderr
    options.append(f"default_hooks.start.checkpoint={straight[0] / 'iter_6.pth'}")
    log = check(run_tool("train", derived, "--amp", "--cfg-options", *options, cwd=world))
    assert "initialised anew (decode_head.conv_seg), 6 of the file are unused" in log
    tuned = world / "work_dirs" / "scenes" / "upernet_tiny_from_sep_scenes" / "iter_1.pth"
    log = check(run_tool("test", derived, tuned, cwd=world))  # the hook that starts training leaves testing alone
    assert f"{tuned}: 194 tensors loaded, 0 initialised anew" in log
