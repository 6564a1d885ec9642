"""Search, derive, retrain: with the stock runner, resumed exactly, and on two processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from rsseg.engine import load_file, prepare_config
from rsseg.engine.architecture import searched_part
from rsseg.errors import ConfigError, DataError
from rsseg.experiments.architecture_search import derive, search, write_retraining
from rsseg.io.configs import read_config
from rsseg.models.search.fasterseg_derivation import objective
from rsseg.structures.architectures import draw_architecture

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "scenes"


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    """Four images of 64 x 64 pixels whose upper half is of one class, in OpenEarthMap's layout."""
    root = tmp_path_factory.mktemp("land")
    names = [f"a_{i}.tif" for i in range(4)]
    for i, name in enumerate(names):
        for kind in ("images", "labels"):
            (root / "a" / kind).mkdir(parents=True, exist_ok=True)
        labels = np.full((64, 64), 1, np.uint8)
        labels[32:] = 5
        pixels = np.random.default_rng(i).integers(0, 60, (64, 64, 3)) + labels[..., None] * 30
        Image.fromarray(pixels.astype(np.uint8)).save(root / "a" / "images" / name)
        Image.fromarray(labels).save(root / "a" / "labels" / name)
    for part in ("train", "val", "test"):
        (root / f"{part}.txt").write_text("\n".join(names) + "\n")
    return root


def small(name, land, work_dir, iterations=4):
    """A config of the scenes with two crops of 32 a step."""
    cfg = read_config(CONFIGS / f"{name}.py")
    for part in ("train", "val", "test"):
        loader = cfg[f"{part}_dataloader"]
        loader.dataset.data_root, loader.num_workers, loader.persistent_workers = str(land), 0, False
    halves = "shares" in cfg.train_dataloader.sampler
    cfg.train_dataloader.batch_size = 4 if halves else 2
    if halves:
        cfg.model.backbone.layers, cfg.model.backbone.widths = 5, (0.5, 1.0)
    for step in cfg.train_dataloader.dataset.pipeline:
        for key in ("size", "crop_size"):
            if key in step:
                step[key] = (64, 64) if halves else (32, 32)
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
    cfg.default_hooks.checkpoint.interval = 2
    if "track_architecture" in cfg.default_hooks:
        cfg.default_hooks.track_architecture.interval = 2
    cfg.work_dir, cfg.experiment_name, cfg.visualizer.name = str(work_dir), work_dir.name, work_dir.name
    prepare_config(cfg)
    return cfg


@pytest.fixture(scope="module")
def found(land, tmp_path_factory):
    """A search of four iterations; most edges are pushed out before the last step."""
    folder = tmp_path_factory.mktemp("search")
    cfg = small("sparsemask_search_scenes", land, folder)
    return cfg, search(cfg)


def test_a_search_writes_what_it_has_found(found):
    cfg, config = found
    folder = Path(cfg.work_dir)
    content = json.loads((folder / "architecture.json").read_text())
    assert content["method"] == "SparseMask" and set(content["nodes"]) <= set(map(str, range(9)))
    assert np.asarray(Image.open(folder / "architecture.png")).ndim == 3
    state = load_file(folder / "iter_4.pth")["state_dict"]
    tables = [value for key, value in state.items() if key.endswith(".table")]
    assert len(tables) == 9 and all(table.min() >= 0 and table.max() <= 2 for table in tables)
    assert any((table != 1).any() for table in tables)
    assert config == folder / "retrain.py"


def test_what_was_found_trains_and_is_tested(found, land, tmp_path):
    cfg = read_config(found[1])
    own = small("sparsemask_scenes", land, tmp_path / "retrain", iterations=2)
    own.model.decode_head.architecture = cfg.model.decode_head.architecture
    assert "_delete_" not in own.model.decode_head.architecture
    runner = Runner.from_cfg(own)
    runner.train()
    assert np.isfinite(runner.message_hub.get_scalar("train/loss").current())
    kept = json.loads((Path(found[0].work_dir) / "architecture.json").read_text())["nodes"]
    assert set(runner.model.decode_head.decoders) == {f"Decoders_{k}" for k in kept}
    assert 0 <= runner.message_hub.get_scalar("val/OA").current() <= 100


def test_a_resumed_search_repeats_an_uninterrupted_one(found, land, tmp_path):
    before = Path(found[0].work_dir)
    cfg = small("sparsemask_search_scenes", land, tmp_path)
    cfg.resume, cfg.load_from = True, str(before / "iter_2.pth")
    runner = Runner.from_cfg(cfg)
    runner.train()
    state = load_file(before / "iter_4.pth")["state_dict"]
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_a_checkpoint_is_derived_without_training(found, land, tmp_path):
    cfg = small("sparsemask_search_scenes", land, tmp_path)
    config = derive(cfg, Path(found[0].work_dir) / "iter_4.pth")
    assert read_config(config).model.decode_head == read_config(found[1]).model.decode_head


def test_an_empty_architecture_is_an_error_that_says_what_to_do(found, tmp_path):
    cfg = Config(dict(found[0].to_dict()), filename=found[0].filename)
    cfg.work_dir = str(tmp_path)
    one = {"method": "SparseMask", "count": 9, "nodes": {"8": {"taps": [8], "ups": []}}}
    config = read_config(write_retraining(cfg, one))
    assert config.model.decode_head.architecture == one and config.work_dir == str(tmp_path / "retrain")
    with pytest.raises(DataError, match=r"architecture\.json: no edge into the last node .* smaller sparsity_weight"):
        write_retraining(cfg, {"method": "SparseMask", "count": 9, "nodes": {}})
    assert not (tmp_path / "retrain.py").exists(), "that of another architecture goes"


def test_other_configs_are_no_search(land, tmp_path):
    cfg = small("sparsemask_scenes", land, tmp_path)
    with pytest.raises(ConfigError, match="is no search, since it lacks search="):
        search(cfg)
    with pytest.raises(ConfigError, match="has no part that is searched"):
        searched_part(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="no picture of method"):
        draw_architecture({"method": "none"})


@pytest.fixture(scope="module")
def found_fasterseg(land, tmp_path_factory):
    """A search of two iterations in FasterSeg's small supernet."""
    folder = tmp_path_factory.mktemp("search_fasterseg")
    cfg = small("fasterseg_search_scenes", land, folder, iterations=2)
    cfg.default_hooks.checkpoint.interval = 1
    return cfg, search(cfg)


@pytest.mark.slow
def test_fastersegs_search_writes_teacher_and_student(found_fasterseg, land, tmp_path):
    cfg, config = found_fasterseg
    folder = Path(cfg.work_dir)
    content = json.loads((folder / "architecture.json").read_text())
    compared = {tuple(own["pair"]): objective(own["mIoU"], own["milliseconds"]) for own in content["compared"]}
    better = (2, 0) if compared[2, 0] > compared[2, 1] else (2, 1)
    assert [branch["last"] for branch in content["branches"]] == list(better)
    moved = np.abs(np.float64(content["parameters"]["alpha_1_0"]) - 1e-3)
    assert (moved > 1e-4).any(), "the architecture's parameters are as they were"
    state = load_file(folder / "iter_2.pth")
    assert state["architecture_step"]["optimizer"]["state"] and state["architecture_step"]["latency_weight"] == 0.3
    student, teacher = read_config(config).model, read_config(folder / "retrain_teacher.py").model
    assert "_delete_" not in student.architecture and student.teacher.model.architecture == teacher.architecture
    assert {width for branch in teacher.architecture.branches for width in branch.widths} == {1.0}
    assert student.teacher.checkpoint == f"{folder}/retrain_teacher/iter_150.pth"
    own = small("fasterseg_scenes", land, tmp_path / "retrain", iterations=1)
    own.model.architecture = student.architecture
    runner = Runner.from_cfg(own)
    runner.train()
    assert np.isfinite(runner.message_hub.get_scalar("train/loss").current())
    assert 0 <= runner.message_hub.get_scalar("val/OA").current() <= 100


@pytest.mark.slow
def test_a_resumed_search_of_fasterseg_repeats_an_uninterrupted_one(found_fasterseg, land, tmp_path):
    before = Path(found_fasterseg[0].work_dir)
    cfg = small("fasterseg_search_scenes", land, tmp_path, iterations=2)
    cfg.resume, cfg.load_from, cfg.train_cfg.val_begin = True, str(before / "iter_1.pth"), 10
    runner = Runner.from_cfg(cfg)
    runner.train()
    state = load_file(before / "iter_2.pth")["state_dict"]
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sparsemask", "fasterseg"])
def test_two_processes_search_together(method, land, tmp_path, run_ranks):
    cfg = small(f"{method}_search_scenes", land, tmp_path, iterations=1)
    cfg.train_cfg.val_begin = 10  # no validation
    cfg.dump(tmp_path / "search_small.py")
    command = ("search", tmp_path / "search_small.py", "--work-dir", tmp_path / "work")
    run_ranks(2, *command, cwd=CONFIGS.parents[1])
    assert (tmp_path / "work" / "retrain.py").is_file()
