"""A class of background for a converted set, from its labels to the map; and labels of half the size."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.engine import load_file

pytestmark = pytest.mark.slow

SHORT = [
    "train_cfg.max_iters=2", "train_cfg.val_interval=2", "default_hooks.checkpoint.interval=2",
    "param_scheduler.0.T_max=2", "param_scheduler.0.end=2", "model.heads.sota=19",
    *(f"{split}_dataloader.dataset.datasets.0.table=sota+background" for split in ("train", "val", "test")),
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory, converted_set, start_tool, repo):
    """A folder in which a small model was trained with background as a class of SOTA."""
    root = tmp_path_factory.mktemp("background")
    for name, classes in {"sota": 18, "sior": 20, "fast": 37}.items():
        converted_set(root / "data" / "scenes" / name, classes, count=8, size=64)
    config = repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py"
    result = start_tool("train", config, "--work-dir", "run", "--cfg-options", *SHORT, cwd=root).wait()
    assert result.returncode == 0, result.stderr[-2000:]
    return root, config, result.stdout + result.stderr


def test_background_is_trained_scored_written_and_mapped(trained, run_tool):
    root, config, log = trained
    sets = load_file(root / "run" / "iter_2.pth")["meta"]["dataset_meta"]["sets"]
    assert sets["sota"]["classes"][-1] == "background" and "background" not in sets["sior"]["classes"]
    assert "| background" in log  # the table of the validation's scores
    options = ["--cfg-options", *SHORT]
    tested = run_tool("test", config, "run/iter_2.pth", "--work-dir", "test", "--out", "out", *options, cwd=root)
    assert tested.returncode == 0, tested.stderr[-2000:]
    values = set(np.unique(np.asarray(Image.open(root / "out" / "sota" / "t0.png"))).tolist())
    assert values <= {*range(18), 255}  # background as label files have it
    image = root / "data" / "scenes" / "sota" / "images" / "t0.png"
    arguments = ["--config", config, "--checkpoint", "run/iter_2.pth", "--head", "sota", "--device", "cpu"]
    mapped = run_tool("map_raster", image, "map.tif", *arguments, *options, cwd=root)
    assert mapped.returncode == 0, mapped.stderr
    with rasterio.open(root / "map.tif") as file:
        assert file.tags(1)["class_18"] == "background" and file.read(1).max() <= 18
    plain = run_tool("map_raster", image, "plain.tif", *arguments, cwd=root)  # the model without background
    assert plain.returncode == 1 and "plain.tif" not in [path.name for path in root.iterdir()]


def test_labels_of_half_the_size_end_a_training(trained, run_tool):
    root, config, _ = trained
    folder = root / "data" / "scenes" / "fast" / "gray"
    for path in folder.glob("*.png"):
        Image.fromarray(np.asarray(Image.open(path))[::2, ::2]).save(path)
    result = run_tool("train", config, "--work-dir", "half", "--cfg-options", *SHORT, cwd=root)
    assert result.returncode == 1
    assert "gray/t" in result.stderr and "the labels have 32 rows and 32 columns, but their image" in result.stderr
    assert "images/t" in result.stderr and "has 64 and 64" in result.stderr
