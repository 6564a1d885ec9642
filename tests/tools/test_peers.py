"""Small forms of what GSNet is compared with, from training to a row of table 2 and a map, by the commands."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.small_model import small_pipeline

pytestmark = pytest.mark.slow

CONFIG = """
_base_ = "{repo}/configs/landdiscover/{name}.py"
_tower = dict(width=32, layers=4, heads=2)
_sizes = dict(channels=32, queries=6, encoder_layers=1, decoder_layers=2, heads=2)
model = dict({model})
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root="{data}/landdiscover", count=None, pipeline={pipeline}),
)
train_cfg = dict(max_iters=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""
CLIP = "weights=None, visual=dict(**_tower, patch=8, grid=4), text=_tower, embed=16, resolution=32"
SMALL = {
    "san_vitb16": f"""
        clip=dict({CLIP}, taps=(0,)),
        adapter=dict(resolution=64, patch=8, width=24, layers=3, heads=2, queries=6, channels=16),
        taps=(0, 1, 2),
        loss=dict(points=128)""",
    "sed_convnextb": """
        clip=dict(weights=None, visual=dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
                  text=dict(_tower, layers=1), embed=16, resolution=64),
        decoder=dict(prompts=14, channels=32, widths=(32, 16, 16), guidance=(8, 4, 4)),
        template="vild",
        test_cfg=dict(fast=8)""",
    "ebseg_vitb16": f"""
        clip=dict({CLIP}),
        sam=dict(weights=None, **_tower, grid=4, window=3, taps=(0, 1, 2, 3)),
        proposals=dict(_sizes, encoder_hidden=32, decoder_hidden=32),
        taps=(1, 2, 3),
        loss=dict(points=128)""",
}
LOSSES = {"san_vitb16": "loss_dice:", "sed_convnextb": "loss_3:", "ebseg_vitb16": "loss_structure:"}


def _pair(image: Path, label: Path, values: range) -> None:
    rng = np.random.default_rng(len(image.name))
    for path, pixels in ((image, rng.integers(0, 256, (48, 64, 3))), (label, rng.choice(values, (48, 64)))):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("mmseg_scope")
def test_it_trains_and_is_tested(tmp_path: Path, repo: Path, run_tool, name: str) -> None:
    pytest.importorskip("open_clip")
    data = tmp_path / "data"
    for i in range(4):
        folder = data / "landdiscover/LandDiscover50K"
        _pair(folder / f"TR_Image/P{i}.png", folder / f"GT_ID/P{i}.png", range(40))
    _pair(data / "potsdam/img_dir/val/a.png", data / "potsdam/ann_dir/val/a.png", range(6))
    config, work = tmp_path / "small.py", tmp_path / "work"
    pipeline = small_pipeline(repo / "configs/landdiscover" / f"{name}.py", 4)
    config.write_text(CONFIG.format(repo=repo, data=data, name=name, model=SMALL[name], pipeline=pipeline))
    trained = run_tool("train", config, "--work-dir", work, "--amp")
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert (trained.stdout + trained.stderr).count(LOSSES[name]) == 2
    again = run_tool("train", config, "--work-dir", work, "--amp", "--resume", "--cfg-options", "train_cfg.max_iters=4")
    assert again.returncode == 0 and (again.stdout + again.stderr).count(LOSSES[name]) == 2, again.stderr[-3000:]
    options = ["--sets", "potsdam", "--data-root", f"potsdam={data / 'potsdam'}", "--out", tmp_path / "row.csv"]
    tested = run_tool(
        "test_vocabulary", config, work / "iter_4.pth", *options, "--cfg-options", "test_dataloader.num_workers=0"
    )
    assert tested.returncode == 0, tested.stderr[-3000:]
    with (tmp_path / "row.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 <= float(row["potsdam"]) < 50
    image, out = data / "potsdam/img_dir/val/a.png", tmp_path / "map.png"
    asked = ["--config", config, "--checkpoint", work / "iter_4.pth", "--vocabulary", "road, tree"]
    mapped = run_tool("map_raster", image, out, *asked)
    assert mapped.returncode == 0, mapped.stderr[-3000:]
    with Image.open(out) as found:
        assert found.size == (64, 48) and set(np.unique(np.asarray(found))) <= {0, 1}
