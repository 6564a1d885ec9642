"""Maps as a user makes them: a folder with several processes, one head of several, clear errors."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from PIL import Image

from rsseg.metainfo import load_metainfo

SRUN = """#!/usr/bin/env bash
# Starts the tasks as srun would, one after the other.
for word in "$@"; do
    case $word in --ntasks=*) tasks=${word#*=} ;; esac
done
while [ "${1#--}" != "$1" ]; do shift; done
for ((i = 0; i < tasks; i++)); do
    SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=$tasks "$@" || exit 1
done
"""


ENDS = (".qml", ".stac.json", ".tif", ".tif.aux.xml", "_areas.csv")
COLLECTED = ("areas.csv", "collection.json", "mosaic.gti.gpkg", "mosaic.vrt")
"""What a map consists of, and a folder of maps."""


@pytest.fixture(scope="module")
def world(tmp_path_factory, repo):
    """A folder with weights of a two-headed model and two rasters."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    root = tmp_path_factory.mktemp("maps")
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py").model)
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=0.5)
    torch.save({"state_dict": model.state_dict()}, root / "sep.pth")
    (root / "scenes").mkdir()
    for name, (height, width) in {"a": (150, 90), "b": (40, 70)}.items():
        pixels = np.random.default_rng(0).integers(0, 256, (3, height // 8 + 1, width // 8 + 1)).astype(np.uint8)
        pixels = pixels.repeat(8, 1).repeat(8, 2)[:, :height, :width]
        profile = dict(driver="GTiff", count=3, dtype="uint8", height=height, width=width, crs="EPSG:32633")
        where = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
        with rasterio.open(root / "scenes" / f"{name}.tif", "w", transform=where, photometric="RGB", **profile) as file:
            file.write(pixels)
    return root


@pytest.fixture
def arguments(world, repo):
    """Config, weights and windows."""
    config = repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py"
    return ["--config", config, "--checkpoint", world / "sep.pth", "--window", "64", "--device", "cpu"]


@pytest.mark.slow
def test_a_folder_by_two_processes_is_that_of_one(world, arguments, repo, run_tool, forked_python):
    one = run_tool("map_raster", world / "scenes", world / "one", *arguments, "--head", "sior", "--tta")
    assert one.returncode == 0, one.stderr
    assert "golffield" in one.stdout + one.stderr and "percent" in one.stdout + one.stderr
    command = ["bash", repo / "tools" / "dist_map.sh", "2", world / "scenes", world / "two"]
    two = subprocess.run(
        [*map(str, [*command, *arguments]), "--head", "sior", "--tta"],
        env=forked_python,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert two.returncode == 0, two.stderr
    names = sorted([*COLLECTED, *(f"{stem}{end}" for stem in "ab" for end in ENDS)])
    for folder in ("one", "two"):
        assert sorted(path.name for path in (world / folder).iterdir()) == names
    for name in names:
        one, two = ((world / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two.replace(b'"id": "two"', b'"id": "one"'), name
    with rasterio.open(world / "one" / "a.tif") as file:
        assert file.tags(1)["class_19"] and file.read(1).max() < 20


@pytest.mark.slow
def test_jobs_that_share_the_folder_are_one(world, arguments, run_tool, tmp_path, forked_python, repo):
    """Tasks of Slurm, and shards: one that ended with an error by mistake comes last, one runs twice, one is new."""
    common = [*arguments, "--head", "fast"]
    assert run_tool("segment", world / "scenes", "--out", tmp_path / "one", *common).returncode == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "a_overlay.png" in names
    result = run_tool("segment", world / "scenes", "--out", tmp_path / "shards", *common, "--shard", "3/3")
    assert result.returncode == 1 and "expected I/N" in result.stderr
    for shard in ("1/3", "1/3", "2/3"):
        result = run_tool("segment", world / "scenes", "--out", tmp_path / "shards", *common, "--shard", shard)
        assert result.returncode == 0, result.stderr
        assert not (tmp_path / "shards" / "a.tif").exists()  # the first shard has its upper part
    assert (
        run_tool("segment", world / "scenes", "--out", tmp_path / "shards", *common, "--shard", "0/2").returncode == 0
    )
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    command = ["bash", repo / "tools" / "slurm_map.sh", "gpu", "maps", world / "scenes", tmp_path / "slurm", *common]
    env = {**forked_python, "GPUS": "2", "PATH": f"{tmp_path}:{forked_python['PATH']}"}
    tasks = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, check=False, timeout=600)
    assert tasks.returncode == 0, tasks.stderr
    assert "process that finishes last writes the map" in tasks.stderr
    for folder in ("shards", "slurm"):
        found = sorted(path.name for path in (tmp_path / folder).iterdir())
        expected = names if folder == "shards" else [*COLLECTED, *(name for name in names if "overlay" not in name)]
        assert found == sorted(expected)
        found = [name for name in found if name not in COLLECTED]
        for name in found:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / folder / name).read_bytes(), name


def test_every_head_sees_the_image(world, arguments, run_tool, tmp_path):
    result = run_tool("segment", world / "scenes" / "b.tif", "--out", tmp_path, "--head", "all", *arguments)
    assert result.returncode == 0, result.stderr
    heights = 0
    for head, last in (("sota", 17), ("sior", 19), ("fast", 36)):
        with rasterio.open(tmp_path / head / "b.tif") as file:
            tags = file.tags(1)
            assert f"class_{last}" in tags and f"class_{last + 1}" not in tags
        with Image.open(tmp_path / head / "b_overlay.png") as picture:
            heights += picture.height + 25  # with the line that names the head
    with Image.open(tmp_path / "b_heads.png") as picture:
        assert picture.height == heights
    single = arguments[1].parent / "upernet_tiny_scenes.py"
    result = run_tool("segment", world / "scenes" / "b.tif", "--out", tmp_path, "--head", "all", "--config", single,
                      *arguments[2:])  # fmt: skip
    assert result.returncode == 1 and "--head all requires a model with several heads" in result.stderr


def test_errors_are_one_line(world, arguments, run_tool):
    result = run_tool("map_raster", world / "scenes" / "a.tif", world / "x.tif", *arguments)
    assert result.returncode == 1
    assert "the model has the heads sota, sior, fast; choose one with --head" in result.stderr
    assert "Traceback" not in result.stderr


def test_another_number_of_classes_is_said_once_before_the_work(world, arguments, run_tool, tmp_path):
    result = run_tool("map_raster", world / "scenes", tmp_path, *arguments, "--head", "sior", "--classes", "loveda")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "model.heads.sior is 20, but dataset 'sior' has 7 classes" in result.stderr
    assert "or name the class table of the model with --classes" in result.stderr
    assert not list(tmp_path.iterdir())


def test_classes_in_another_order_make_the_same_map(world, arguments, run_tool, tmp_path):
    """A head is put into the order of the class table; other names need an option, which the map remembers."""
    names = list(load_metainfo("fast").classes)
    content = torch.load(world / "sep.pth")
    for key in ("weight", "bias"):
        content["state_dict"][f"heads.fast.{key}"] = content["state_dict"][f"heads.fast.{key}"].flip(0)
    for name, classes in {"turned": names[::-1], "renamed": [*names[:0:-1], "other plane"]}.items():
        sets = {"sets": {"fast": {"classes": classes}}}
        torch.save({**content, "meta": {"dataset_meta": sets}}, tmp_path / f"{name}.pth")
    made = {}
    for name, more in {"sep": [], "turned": [], "renamed": ["--class-map", f"other plane={names[0]}"]}.items():
        path = world / "sep.pth" if name == "sep" else tmp_path / f"{name}.pth"
        given = [*arguments, "--checkpoint", path, "--head", "fast"]
        result = run_tool("map_raster", world / "scenes" / "b.tif", tmp_path / f"{name}.tif", *given, *more)
        assert result.returncode == 0, result.stderr
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            made[name] = file.read(1)
    assert (made["sep"] == made["turned"]).all() and (made["sep"] == made["renamed"]).all()
    result = run_tool("map_raster", world / "scenes" / "b.tif", tmp_path / "renamed.tif", *given)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result.stderr
    wrong = f"only in the checkpoint: other plane; only in the config: {names[0]}"
    assert f"renamed.pth: its classes of fast are not those of the config: {wrong}" in result.stderr
    result = run_tool("map_raster", world / "scenes" / "b.tif", tmp_path / "renamed.tif", *given, "--trust-classes")
    assert result.returncode == 1 and "renamed.tif" in result.stderr  # it was made with other options


def test_broken_rasters_do_not_stop_the_others(world, arguments, run_tool, tmp_path):
    whole = (world / "scenes" / "b.tif").read_bytes()
    (tmp_path / "a.tif").write_text("no raster")
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "link.tif").symlink_to("nowhere.tif")
    band = (
        "<VRTRasterBand dataType='Byte' band='{0}'><ColorInterp>{1}</ColorInterp><SimpleSource><SourceFilename>gone.tif"
    )
    band += "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    bands = "".join(band.format(i, name) for i, name in enumerate(("Red", "Green", "Blue"), 1))
    (tmp_path / "v.vrt").write_text(f"<VRTDataset rasterXSize='70' rasterYSize='40'>{bands}</VRTDataset>")
    (tmp_path / "folder.tif").mkdir()
    broken = {"a.tif", "cut.tif", "link.tif", "v.vrt", "folder.tif"}
    shutil.copy(world / "scenes" / "b.tif", tmp_path)
    for _ in range(2):  # the second time in the folder that has a map
        result = run_tool("map_raster", tmp_path, tmp_path, *arguments, "--head", "fast")
        assert result.returncode == 1
        assert "a.tif: not a raster that GDAL can open" in result.stdout + result.stderr
        assert "4 of 5 rasters could not be mapped" in result.stderr and "Traceback" not in result.stderr
        assert all(f"{tmp_path / name}: " in result.stderr for name in broken - {"folder.tif"})
        left = {path.name for path in tmp_path.iterdir() if path.name[0] != "."} - broken  # half maps are hidden
        assert left == {"b.tif", *COLLECTED, *(f"b_map{end}" for end in ENDS)}


@pytest.mark.slow
def test_a_folder_of_maps_in_a_storage(world, arguments, run_tool, tmp_path):
    """The same files as locally, made and uploaded once; pictures with their overlays; one table of areas."""
    common = [*arguments, "--head", "fast"]
    assert run_tool("map_raster", world / "scenes", tmp_path / "local" / "maps", *common).returncode == 0
    local = {path.name: path.read_bytes() for path in (tmp_path / "local" / "maps").iterdir()}
    assert sorted(local) == sorted([*COLLECTED, *(f"{stem}{end}" for stem in "ab" for end in ENDS)])
    address, store = f"file://{tmp_path}/maps", tmp_path / "maps"
    for shard in ("0/2", "1/2"):  # without a common work folder
        result = run_tool("map_raster", world / "scenes", address, *common, "--shard", shard)
        assert result.returncode == 0, result.stderr
    assert {path.name: path.read_bytes() for path in store.iterdir()} == local
    result = run_tool("map_raster", world / "scenes", f"{address}/", *common)
    assert result.returncode == 0 and result.stderr.count("exists already") == 2, result.stderr
    assert not list((tmp_path / "work_dirs" / "uploads").iterdir())
    result = run_tool("collect_maps", address, "--json")
    assert result.returncode == 0 and json.loads(result.stdout)["overlaps"] == 1, result.stderr
    assert {path.name: path.read_bytes() for path in store.iterdir()} == local
    result = run_tool("segment", world / "scenes" / "b.tif", "--out", f"file://{tmp_path}/seen", *common)
    assert result.returncode == 0, result.stderr
    assert {p.name for p in (tmp_path / "seen").iterdir()} == {*(f"b{end}" for end in ENDS), "b_overlay.png"}
    for more, message in (
        (["--out", f"file://{tmp_path}/x", "--head", "all"], "--head all draws the maps of all heads together"),
        (["--out", tmp_path / "x", "--work", tmp_path], "is no address of a storage, so maps are made there"),
        (["--out", "s3://bucket/x"], "s3://: needs the package s3fs. Run: python -m pip install s3fs"),
    ):
        result = run_tool("segment", world / "scenes" / "b.tif", *common, *more)
        assert result.returncode == 1 and message in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1
