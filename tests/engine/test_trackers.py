"""Trackers beside the local log: what a run gives to TensorBoard; what is said where a tracker is not installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization import Visualizer

from rsseg.engine.trackers import TRACKERS, use_trackers
from rsseg.errors import MissingPackageError

SETS = {"sota": 18, "sior": 20, "fast": 37}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trackers are there."""
    monkeypatch.setattr("rsseg.engine.trackers.importlib.util.find_spec", lambda name: name)


@pytest.mark.usefixtures("installed")
def test_every_tracker_is_a_backend_of_mmengine(tmp_path: Path) -> None:
    cfg = Config(dict(work_dir="work_dirs/samrs/upernet", visualizer=dict(type="SegLocalVisualizer")))
    use_trackers(cfg, [*TRACKERS, "tensorboard"])
    kinds = [backend.type for backend in cfg.visualizer.vis_backends]
    assert kinds == ["LocalVisBackend", "TensorboardVisBackend", "WandbVisBackend", "MLflowVisBackend",
                     "ClearMLVisBackend", "AimVisBackend"]  # fmt: skip
    assert Visualizer  # its import registers them
    for backend in cfg.visualizer.vis_backends:  # they start when something is logged
        assert VISBACKENDS.build({**backend, "save_dir": str(tmp_path)})
    assert cfg.visualizer.vis_backends[2].init_kwargs == dict(project="rsseg", name="upernet")
    assert cfg.default_hooks.visualization.draw
    own = Config(dict(work_dir="x", visualizer=dict(vis_backends=[dict(type="TensorboardVisBackend")])))
    use_trackers(own, ["tensorboard"])
    assert len(own.visualizer.vis_backends) == 1
    quiet = Config(dict(work_dir="x"))
    use_trackers(quiet, [])
    assert "visualizer" not in quiet


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--log comet: expected one of: tensorboard, wandb, mlflow, clearml, aim"):
        use_trackers(Config(), ["comet"])
    monkeypatch.setattr("rsseg.engine.trackers.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"--log aim requires the package aim, .* pip install aim"):
        use_trackers(Config(), ["aim"])


def _events(folder: Path) -> Any:
    """What TensorBoard reads of the only run below a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = folder.glob("*/vis_data/events.*")
    return EventAccumulator(str(file), size_guidance={"images": 0, "scalars": 0}).Reload()


@pytest.mark.slow
def test_tensorboard_shows_losses_rates_scores_and_pictures(
    tmp_path: Path, repo: Path, converted_set: Callable[..., Path], start_tool: Callable[..., Any]
) -> None:
    for name, classes in SETS.items():
        converted_set(tmp_path / "data" / "scenes" / name, classes)
    config, options = repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py", ["--cfg-options"]
    options += [f"{split}_dataloader.num_workers=0" for split in ("train", "val", "test")]
    short = [f"{name}=2" for name in ("train_cfg.max_iters", "train_cfg.val_interval")]
    short += ["default_hooks.logger.interval=1", "default_hooks.checkpoint.interval=2"]
    log = ["--log", "tensorboard", "--work-dir"]
    done = start_tool("train", config, *log, "run", *options, *short, cwd=tmp_path).wait()
    assert done.returncode == 0, done.stderr[-3000:]
    found = _events(tmp_path / "run")
    tags = found.Tags()
    assert {"loss", "lr", "sota.loss", "mIoU", "fast/mIoU", "sior/OA"} <= set(tags["scalars"])
    assert [event.step for event in found.Scalars("loss")] == [1, 2]
    (local,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in local.read_text().splitlines()]
    logged = [row["loss"] for row in rows if "loss" in row]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx(logged)
    assert tags["images"] == ["val_sota_t0.png"]
    (picture,) = found.Images("val_sota_t0.png")
    assert picture.step == 2 and picture.width > 3 * 64 and picture.encoded_image_string.startswith(b"\x89PNG")

    done = start_tool("test", config, "run/iter_2.pth", *log, "tested", *options, cwd=tmp_path).wait()
    assert done.returncode == 0, done.stderr[-3000:]
    found = _events(tmp_path / "tested")
    assert found.Scalars("test/mIoU")[0].value == pytest.approx(next(row["mIoU"] for row in rows if "mIoU" in row))
    assert sorted(found.Tags()["images"]) == sorted(f"test_{name}_t{i}.png" for name in SETS for i in (0, 4))

    if importlib.util.find_spec("aim") is None:
        done = start_tool("train", config, "--log", "aim", cwd=tmp_path).wait()
        assert done.returncode == 1
        assert done.stderr.strip().splitlines()[-1].endswith("pip install aim")
        assert "Traceback" not in done.stderr
