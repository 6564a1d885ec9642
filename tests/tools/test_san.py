"""A small SAN from training to its row of table 2, by the commands."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

CONFIG = """
_base_ = "{repo}/configs/landdiscover/san_vitb16.py"
_tower = dict(width=32, layers=4, heads=2)
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, patch=8, grid=4), text=_tower, embed=16, resolution=32, taps=(0,)),
    adapter=dict(resolution=64, patch=8, width=24, layers=3, heads=2, queries=6, channels=16),
    taps=(0, 1, 2),
    loss=dict(points=128),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root="{data}/landdiscover"),
)
train_cfg = dict(max_iters=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""


def _pair(image: Path, label: Path, values: range) -> None:
    rng = np.random.default_rng(len(image.name))
    for path, pixels in ((image, rng.integers(0, 256, (48, 64, 3))), (label, rng.choice(values, (48, 64)))):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.mark.usefixtures("mmseg_scope")
def test_it_trains_and_is_tested(tmp_path: Path, repo: Path, run_tool) -> None:
    pytest.importorskip("open_clip")
    data = tmp_path / "data"
    for i in range(4):
        folder = data / "landdiscover/LandDiscover50K"
        _pair(folder / f"TR_Image/P{i}.png", folder / f"GT_ID/P{i}.png", range(40))
    _pair(data / "potsdam/img_dir/val/a.png", data / "potsdam/ann_dir/val/a.png", range(6))
    config, work = tmp_path / "small.py", tmp_path / "work"
    config.write_text(CONFIG.format(repo=repo, data=data))
    trained = run_tool("train", config, "--work-dir", work)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert (trained.stdout + trained.stderr).count("loss_dice:") == 2
    options = ["--sets", "potsdam", "--data-root", f"potsdam={data / 'potsdam'}", "--out", tmp_path / "row.csv"]
    tested = run_tool(
        "test_vocabulary", config, work / "iter_2.pth", *options, "--cfg-options", "test_dataloader.num_workers=0"
    )
    assert tested.returncode == 0, tested.stderr[-3000:]
    with (tmp_path / "row.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 <= float(row["potsdam"]) < 50
