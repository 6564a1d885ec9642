"""The training and test tools of mmseg and mmpretrain take our configs, and do with them what ours do."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
Start = Callable[..., Any]
SIZES = {"sota": 18, "sior": 20, "fast": 37}
NO_WORKERS = [f"{split}_dataloader.num_workers=0" for split in ("train", "val", "test")]
NO_WORKERS += [f"{split}_dataloader.persistent_workers=False" for split in ("train", "val", "test")]
SHORT = [
    "train_cfg.max_iters=2",
    "train_cfg.val_interval=2",
    "default_hooks.logger.interval=1",
    "default_hooks.checkpoint.interval=2",
    *NO_WORKERS,
]
SMALL = """
_base_ = "{repo}/configs/landdiscover/san_vitb16.py"
_tower = dict(width=32, layers=4, heads=2)
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, patch=8, grid=4), text=_tower, embed=16, resolution=32, taps=(0,)),
    adapter=dict(resolution=64, patch=8, width=24, layers=3, heads=2, queries=6, channels=16),
    taps=(0, 1, 2),
    loss=dict(points=128),
)
train_dataloader = dict(batch_size=2, dataset=dict(count=None))
"""


def check(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def scores(log: str) -> str:
    """The scores of a log's test."""
    return re.findall(r"\(test\) *\[\d+/\d+\] +(.*?) +(?:data_)?time:", log)[-1]


def losses(log: str) -> list[str]:
    return re.findall(r"\(train\).* loss: (\S+)", log)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, converted_set: Callable[..., Path]) -> Path:
    """A folder with three converted sets, a piece of LandDiscover50K and a tile of Potsdam."""
    root = tmp_path_factory.mktemp("theirs")
    for name, classes in SIZES.items():
        converted_set(root / "data" / "scenes" / name, classes)
    rng = np.random.default_rng(0)
    for folder, names, classes in (("landdiscover/LandDiscover50K/{}/P{}.png", ("TR_Image", "GT_ID"), 40),
                                   ("potsdam/{}/val/{}.png", ("img_dir", "ann_dir"), 6)):  # fmt: skip
        for i in range(4):
            for name, shape, high in zip(names, ((48, 64, 3), (48, 64)), (256, classes), strict=True):
                path = root / "data" / folder.format(name, i)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, high, shape).astype(np.uint8)).save(path)
    return root


def test_several_heads(world: Path, repo: Path, start_tool: Start, their_tool: Start) -> None:
    """mmseg's tools: losses, scores with test-time augmentation, pictures and predictions."""
    config = repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py"
    trained = {
        name: check(start_tool(tool, config, "--work-dir", name, "--cfg-options", *SHORT, cwd=world).wait())
        for name, tool in (("ours", "train"), ("theirs", their_tool("mmseg", "train")))
    }
    assert len(losses(trained["ours"])) == 2
    assert losses(trained["theirs"]) == losses(trained["ours"])
    options = ["--tta", "--cfg-options", *NO_WORKERS]
    own = check(start_tool("test", config, "ours/iter_2.pth", *options, cwd=world).wait())
    outputs = ["--work-dir", "tested", "--show-dir", "shown", "--out", "out"]
    tool = start_tool(their_tool("mmseg", "test"), config, "theirs/iter_2.pth", *outputs, *options, cwd=world)
    assert scores(check(tool.wait())) == scores(own)
    names = sorted(f"test_{name}_t{i}.png_0.png" for name in SIZES for i in (0, 4))
    assert sorted(path.name for path in (world / "shown" / "vis_data" / "vis_image").iterdir()) == names
    assert sorted(path.name for path in (world / "out" / "fast").iterdir()) == ["t0.png", "t4.png"]


def test_an_open_vocabulary(world: Path, repo: Path, start_tool: Start, their_tool: Start) -> None:
    """mmseg's tools: the model is asked for Potsdam's classes, as by our tool for the paper's table."""
    pytest.importorskip("open_clip")
    config = world / "small.py"
    config.write_text(SMALL.format(repo=repo))
    options = ["--cfg-options", *(option for option in SHORT if not option.startswith(("train_cfg.val", "val_")))]
    check(start_tool(their_tool("mmseg", "train"), config, "--work-dir", "san", *options, cwd=world).wait())
    shown = ["--show-dir", "words", "--work-dir", "tested"]
    tool = start_tool(their_tool("mmseg", "test"), config, "san/iter_2.pth", *shown, *options, cwd=world)
    found = float(re.findall(r"mIoU: ([\d.]+)", scores(check(tool.wait())))[0])
    assert len(list((world / "words" / "vis_data" / "vis_image").iterdir())) == 4
    check(start_tool(their_tool("mmseg", "test"), config, "san/iter_2.pth", "--tta", *options, cwd=world).wait())
    row = ["--sets", "potsdam", "--out", "row.csv", "--cfg-options", "test_dataloader.num_workers=0"]
    check(start_tool("test_vocabulary", config, "san/iter_2.pth", *row, cwd=world).wait())
    with (world / "row.csv").open() as file:
        assert float(next(csv.DictReader(file))["potsdam"]) == found
