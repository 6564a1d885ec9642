"""OV-Seg's and SCAN's rows of table 2, made small: from training to a row, to maps, by the commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rsseg.engine import load_file
from tests.models.regions import official
from tests.small_model import small_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mmseg_scope")]

PARTS = {
    "ovseg": """
    backbone=dict(depth=50, base_channels=8, stem_channels=16, init_cfg=None),
    proposals=dict(
        in_channels=[32, 64, 128, 256], channels=64, queries=6, layers=2, heads=2, hidden=48, embed_hidden=40
    ),
""",
    "scan": """
    backbone=dict(embed_dims=16, depths=[2, 1, 1, 1], num_heads=[2, 2, 4, 4], window_size=4, init_cfg=None),
    proposals=dict(
        in_channels=[16, 32, 64, 128], channels=64, queries=6, heads=2, encoder_layers=2, encoder_hidden=48,
        decoder_layers=3, decoder_hidden=40,
    ),
    calibration=dict(reads=3, layers=3, hidden=128),
    embed_hidden=24,
    prior_blocks=(2, 3, 4),
    shift_blocks=(1, 3),
    loss=dict(points=128),
""",
}
CONFIG = """
_base_ = "{repo}/configs/landdiscover/{name}.py"
_tower = dict(width=64, layers=4, heads=1)
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, patch=8, grid=4), text=_tower, embed=32, resolution=32),
{parts})
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root="{data}/landdiscover", count=None, pipeline={pipeline}),
)
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root="{data}/potsdam"))
train_cfg = dict(max_iters=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
"""


def _pair(image: Path, label: Path, values: range) -> None:
    rng = np.random.default_rng(len(image.name))
    for path, pixels in ((image, rng.integers(0, 256, (48, 64, 3))), (label, rng.choice(values, (48, 64)))):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LandDiscover50K with four images, Potsdam with one, and a picture."""
    pytest.importorskip("open_clip")
    root = tmp_path_factory.mktemp("regions")
    for i in range(4):
        folder = root / "landdiscover/LandDiscover50K"
        _pair(folder / f"TR_Image/P{i}.png", folder / f"GT_ID/P{i}.png", range(40))
    _pair(root / "potsdam/img_dir/val/a.png", root / "potsdam/ann_dir/val/a.png", range(6))
    return root


def _config(world: Path, repo: Path, folder: Path, name: str) -> Path:
    path = folder / f"small_{name}.py"
    pipeline, parts = small_pipeline(repo / "configs/landdiscover" / f"{name}.py", 4), PARTS[name.split("_")[0]]
    path.write_text(CONFIG.format(repo=repo, name=name, data=world, parts=parts, pipeline=pipeline))
    return path


def _losses(work: Path) -> list[float]:
    rows = [json.loads(line) for path in sorted(work.glob("*/vis_data/scalars.json"))
            for line in path.read_text().splitlines()]  # fmt: skip
    return [row["loss"] for row in rows if "loss" in row]


def _check(result) -> str:
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", ["ovseg_vitb16", "scan_vitb16", "scan_remoteclip_vitb32"])
def test_a_row_from_training(world: Path, repo: Path, tmp_path: Path, run_tool, name: str) -> None:
    """Two steps and the score on Potsdam; of OV-Seg also a map and a picture in own words."""
    config, work = _config(world, repo, tmp_path, name), tmp_path / "work"
    _check(run_tool("train", config, "--work-dir", work))
    assert len(_losses(work)) == 2 and all(np.isfinite(_losses(work)))
    options = ["--sets", "potsdam", "--data-root", f"potsdam={world / 'potsdam'}", "--out", tmp_path / "row.csv"]
    _check(run_tool("test_vocabulary", config, work / "iter_2.pth", *options, "--cfg-options",
                    "test_dataloader.num_workers=0"))  # fmt: skip
    with (tmp_path / "row.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 <= float(row["potsdam"]) < 50
    if name != "ovseg_vitb16":
        return
    model = ["--config", config, "--checkpoint", work / "iter_2.pth", "--device", "cpu"]
    picture = world / "potsdam/img_dir/val/a.png"
    _check(run_tool("segment", picture, "--vocabulary", "roof, road", "--out", tmp_path / "out", *model))
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (64, 48) and set(np.unique(np.asarray(image))) <= {0, 1}
    _check(run_tool("map_raster", picture, tmp_path / "map.tif", "--vocabulary", "roof, road, water", *model))
    assert (tmp_path / "map.tif").is_file()


def test_a_stopped_training_goes_on_as_if_never_stopped(world: Path, repo: Path, tmp_path: Path, run_tool) -> None:
    config = _config(world, repo, tmp_path, "scan_vitb16")
    _check(run_tool("train", config, "--work-dir", tmp_path / "one"))
    _check(run_tool("train", config, "--work-dir", tmp_path / "two", "--cfg-options", "train_cfg.max_iters=1"))
    _check(run_tool("train", config, "--work-dir", tmp_path / "two", "--resume"))
    first, second = (load_file(tmp_path / name / "iter_2.pth")["state_dict"] for name in ("one", "two"))
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["ovseg_vitb16_from_coco", "scan_vitb16_from_coco"])
def test_a_row_from_the_releases_weights(world: Path, repo: Path, tmp_path: Path, run_tool, name: str) -> None:
    """A file with official names is converted, loaded and trained on, in bfloat16."""
    kind = name.split("_")[0]
    shapes = official.ovseg(**official.SMALL_OVSEG) if kind == "ovseg" else official.scan(**official.SMALL_SCAN)
    torch.save(dict(model=official.weights(shapes)), tmp_path / "release.pth")
    more = ["--set", "prior_blocks=[2,3,4]", "shift_blocks=[1,3]"] if kind == "scan" else []
    _check(run_tool("convert_weights", tmp_path / "release.pth", tmp_path / "ours.pth", *more))
    config = _config(world, repo, tmp_path, name)
    start = f"default_hooks.start.checkpoint={tmp_path / 'ours.pth'}"
    log = _check(run_tool("train", config, "--work-dir", tmp_path / "work", "--amp", "--cfg-options", start))
    assert len(_losses(tmp_path / "work")) == 2 and all(np.isfinite(_losses(tmp_path / "work"))), log[-2000:]
    state = load_file(tmp_path / "work/iter_2.pth")["state_dict"]
    ours = load_file(tmp_path / "ours.pth")["state_dict"]
    assert torch.equal(state["clip.visual.proj"], ours["clip.visual.proj"])
    assert not torch.equal(state["no_object"], ours["no_object"])


@pytest.mark.parametrize("name", ["ovseg_vitb16", "scan_vitb16"])
def test_two_processes_train(world: Path, repo: Path, tmp_path: Path, run_ranks, name: str) -> None:
    """Every parameter that is trained gets a gradient in each step, or the second would fail."""
    config = _config(world, repo, tmp_path, name)
    for result in run_ranks(2, "train", config, "--work-dir", tmp_path / "work", cwd=tmp_path):
        _check(result)
    assert len(_losses(tmp_path / "work")) == 2
