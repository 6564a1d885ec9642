"""Maps and conversions on a Ray cluster of two nodes, one of which is killed: the bytes of one process."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from tests.small_model import MODEL

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

TASKS = r"(16|32) tasks, on [23] places"  # a node that an earlier test has killed may still be counted
# Imported by the configs: windows and tiles take their time, and say on which node they are computed.  On the node that
# is going to be killed the first one never ends; the other node waits until it has begun.
SLOW = """
import time
from pathlib import Path

from mmseg.registry import MODELS

from rsseg.conversion.predictors.base import without_scores
from rsseg.mapping.model import SegmentorScorer
from rsseg.structures.masks import fill_hbox

SEEN = Path({seen!r})
begun = SegmentorScorer.prepare


def be_slow(seconds):
    import ray

    if ray.is_initialized():
        doomed, here = (SEEN / "doomed").read_text(), ray.get_runtime_context().get_node_id()
        (SEEN / here).touch()
        while here == doomed or not (SEEN / doomed).exists():
            time.sleep(0.01)
    time.sleep(seconds)


def prepare(self, windows):
    be_slow(0.01)
    return begun(self, windows)


SegmentorScorer.prepare = prepare


@MODELS.register_module(force=True)
class SlowBox:
    needs_gt_masks = False

    def encode(self, images):
        be_slow(0.03)
        return [image.shape[:2] for image in images]

    def decode(self, size, prompts):
        return without_scores([fill_hbox(box, size) for box in prompts.boxes])

    def predict(self, image, prompts):
        return self.decode(self.encode([image])[0], prompts)

    def describe(self):
        return {{"name": "SlowBox"}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with one processor; tests add another node and kill it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args=_node())
    yield found
    found.shutdown()


def _node() -> dict[str, Any]:
    return {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """A raster with a model, images with boxes and a config; both slow."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401  (registers the model's type)

    init_default_scope("mmseg")
    root = tmp_path_factory.mktemp("cluster")
    (root / "seen").mkdir()
    (root / "slow_world.py").write_text(SLOW.format(seen=str(root / "seen")))
    torch.manual_seed(0)
    torch.save({"state_dict": MODELS.build(MODEL).state_dict()}, root / "model.pth")
    slow = (
        "custom_imports = dict(imports=['rsseg.datasets', 'rsseg.models', 'slow_world'], allow_failed_imports=False)\n"
    )
    (root / "model.py").write_text(f"default_scope = 'mmseg'\n{slow}model = {MODEL!r}\n")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 40, 6), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    where = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
    profile = dict(driver="GTiff", count=3, dtype="uint8", height=640, width=96, crs="EPSG:32633", transform=where)
    with rasterio.open(root / "scene.tif", "w", photometric="RGB", **profile) as file:
        file.write(pixels)
    for name in ("images", "labelTxt"):
        (root / name).mkdir()
    for i in range(32):
        image = rng.integers(0, 255, (50, 90, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"Q{i:02}.png")
        (root / "labelTxt" / f"Q{i:02}.txt").write_text(f"{i} 5 {i + 30} 5 {i + 30} 25 {i} 25 ship 0\n")
    base = repo / "configs" / "_base_" / "convert.py"
    (root / "convert.py").write_text(
        f"_base_ = {str(base)!r}\n{slow}"
        f"source = dict(format='dota', images='images', annotations='labelTxt', classes='sota')\n"
        f"predictors = dict(slow=dict(type='SlowBox'))\npredictor = 'slow'\n"
        f"tiling = dict(size=48, overlap=16, iof_thr=0.6)\n"
    )
    return root


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def with_a_loss(
    cluster: Any, world: Path, start_tool: Callable[..., Any], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run a tool on the cluster and kill a node once it computes; its log.  All tools of the test import the world."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(world), str(repo)]))

    def run(*words: object) -> str:
        node = cluster.add_node(**_node())
        (world / "seen" / "doomed").write_text(node.node_id)
        env = {"RAY_ADDRESS": cluster.address}
        process = start_tool(*words, "--launcher", "ray", cwd=world, env=env)
        try:
            mark = world / "seen" / node.node_id
            while not mark.exists() and process.poll() is None:
                time.sleep(0.01)
            assert process.poll() is None, process.wait().stderr
        finally:
            cluster.remove_node(node, allow_graceful=False)
        ended = process.wait()
        assert ended.returncode == 0, ended.stderr[-3000:]
        return str(ended.stderr)

    return run


def test_a_map(world: Path, with_a_loss: Callable[..., str], run_tool: Callable[..., Any]) -> None:
    (world / "table.json").write_text(TABLE)
    words = ["--config", "model.py", "--checkpoint", "model.pth", "--classes", "table.json", "--window", "32"]
    (world / "one").mkdir()
    (world / "two").mkdir()
    one = run_tool("map_raster", "scene.tif", "one/map.tif", *words, cwd=world)
    assert one.returncode == 0, one.stderr
    text = with_a_loss("map_raster", "scene.tif", "two/map.tif", *words)
    assert re.search(f"1 rasters in {TASKS}", text) and "s left" in text
    assert _contents(world / "two") == _contents(world / "one")


def test_a_conversion(world: Path, with_a_loss: Callable[..., str], run_tool: Callable[..., Any]) -> None:
    one = run_tool("convert_labels", "convert.py", "--out", "alone", cwd=world)
    assert one.returncode == 0, one.stderr
    text = with_a_loss("convert_labels", "convert.py", "--out", "shared")
    assert re.search(f"32 images in {TASKS}", text)
    assert _contents(world / "shared") == _contents(world / "alone")


TABLE = """{"name": "three", "source": "made up", "label_offset": 0, "ignore": [],
"categories": [{"id": 0, "name": "a", "color": "#100000"}, {"id": 1, "name": "b", "color": "#001000"},
{"id": 2, "name": "c", "color": "#000010"}]}"""
