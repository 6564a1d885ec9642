"""Dataset classes by the names that people guess: their classes, their layouts, and mmseg's own functions."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmseg.utils
import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

import rsseg.imports
from rsseg.datasets import NamedDataset
from rsseg.errors import ConfigError, DataError
from rsseg.metainfo import load_metainfo
from rsseg.metainfo.datasets import DATASETS as NAMES
from rsseg.metainfo.datasets import table_of

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]
GUESSED = {
    "SOTADataset": "sota", "SIORDataset": "sior", "FASTDataset": "fast", "LandDiscoverDataset": "landdiscover",
    "FLAIRDataset": "flair", "FloodNetDataset": "floodnet", "DeepGlobeDataset": "deepglobe",
    "ChesapeakeDataset": "chesapeake", "NWPUVHR10Dataset": "nwpu_vhr10", "HRSC2016Dataset": "hrsc",
    "HRSCDataset": "hrsc", "OpenEarthMapDataset": "openearthmap",
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSED)
def test_classes_know_their_table(name: str) -> None:
    table = load_metainfo(GUESSED[name])
    kind = DATASETS.get(name)
    assert kind.METAINFO["classes"] == list(table.classes)
    assert kind.METAINFO["palette"] == [list(color) for color in table.palette]
    for alias in (name, GUESSED[name]):
        assert mmseg.utils.get_classes(alias) == list(table.classes)
        assert mmseg.utils.get_palette(alias) == kind.METAINFO["palette"]
    assert table_of(dict(type=f"mmseg.{name}")) == GUESSED[name]


def test_every_table_has_a_name_in_mmseg() -> None:
    for table, names in NAMES.items():
        assert mmseg.utils.get_classes(table) == list(load_metainfo(table).classes) and names
    assert mmseg.utils.get_classes("sota+background")[-1] == "background"
    assert len(mmseg.utils.get_palette("sota+background")) == 19
    samrs = DATASETS.get("SAMRSDataset").METAINFO["classes"]
    assert samrs == mmseg.utils.get_classes("SAMRSDataset") and len(samrs) == len(set(samrs)) > 37
    assert samrs[:18] == list(load_metainfo("sota").classes) and "windmill" in samrs and "A220" in samrs
    assert mmseg.utils.get_classes("potsdam")[-1] == "clutter"  # mmseg's own stay


def test_functions_that_were_imported_before_rsseg_know_the_tables() -> None:
    path = sys.modules["mmseg.utils.class_names"].__file__
    spec = importlib.util.spec_from_file_location("class_names", str(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    get_classes, get_palette = module.get_classes, module.get_palette
    rsseg.imports._name_classes(module)
    for name in ("sota", "SOTA", "SOTADataset"):
        assert get_classes(name) == list(load_metainfo("sota").classes) and len(get_palette(name)) == 18


def write(root: Path, *folders: str) -> dict[str, Any]:
    """One image and one label file in two folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(root / folders[0] / "a.png")
    Image.fromarray(np.array([[0, 3, 255]] * 2, np.uint8)).save(root / folders[1] / "a.png")
    return dict(data_root=str(root), pipeline=LOAD)


def test_one_name_for_every_layout(tmp_path: Path, converted_set: Any) -> None:
    """Folders, what a conversion wrote, what SAMRS released, and patterns."""
    folders = dict(write(tmp_path / "plain", "img", "ann"), data_prefix=dict(img_path="img", seg_map_path="ann"))
    released = write(tmp_path / "dotav2_1024" / "trainval", "images", "hbox_segs_init/gray")
    (tmp_path / "dotav2_1024" / "trainval" / "hbox_segs_init" / "ins").mkdir()
    (tmp_path / "dotav2_1024" / "trainval" / "train.txt").write_text("a\n")
    patterns = dict(write(tmp_path / "found", "x", "y"), layouts=[dict(images="x/*.png", labels="y/*.png")])
    for settings in (folders, released, patterns):
        data: Any = DATASETS.build(dict(type="SOTADataset", **settings))
        assert len(data) == 1 and data[0]["gt_seg_map"].tolist() == [[0, 3, 255]] * 2
        assert (data.metainfo["dataset_name"], data.metainfo["classes"][3]) == ("sota", "bridge")
        more = DATASETS.build(dict(type="SOTADataset", table="sota+background", **settings))
        assert more[0]["gt_seg_map"].tolist() == [[0, 3, 18]] * 2 and more.metainfo["classes"][-1] == "background"
        assert more.metainfo["dataset_name"] == "sota"
    converted_set(tmp_path / "sior", 20, count=4, size=64)
    assert len(DATASETS.build(dict(type="SIORDataset", data_root=str(tmp_path / "sior"), split=None))) == 4
    one = DATASETS.build(dict(type="SAMRSDataset", **released))
    assert isinstance(one, NamedDataset) and one.metainfo["classes"][0] == "large-vehicle" and len(one) == 1
    with pytest.raises(DataError, match="does not show which classes"):
        DATASETS.build(dict(type="SAMRSDataset", **patterns))
    with pytest.raises(ConfigError, match="metainfo has the classes a, but its table sota has large-vehicle"):
        DATASETS.build(dict(type="SOTADataset", metainfo=dict(classes=("a",)), **folders))


TAKEN = """
{before}
from mmengine.config import Config
from mmseg.registry import MODELS
try:
    Config.fromfile("config.py")
    import mine
    print("no error")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["import rsseg.models", "import mine"])
def test_a_name_that_is_taken_is_explained(
    before: str, tmp_path: Path, repo: Path, fork_python: Callable[..., Any]
) -> None:
    """A user's own InternImage, registered before or after rsseg's."""
    own = "from mmseg.registry import MODELS\n@MODELS.register_module({})\nclass InternImage:\n    pass\n"
    (tmp_path / "mine.py").write_text(own.format(""))
    (tmp_path / "config.py").write_text('custom_imports = dict(imports=["rsseg.models"])\n')
    env = {**os.environ, "PYTHONPATH": f"{repo}{os.pathsep}{tmp_path}", "OMP_NUM_THREADS": "1"}

    def run() -> str:
        done = fork_python("-c", TAKEN.format(before=before), env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    text = run()
    assert text.startswith("ConfigError two classes want the name 'InternImage' in the registry 'model' of mmseg: ")
    assert "mine.InternImage (" in text and "rsseg.models.backbones.internimage.InternImage (" in text
    assert "register_module(name='MyInternImage')" in text
    if before == "import rsseg.models":
        (tmp_path / "mine.py").write_text(own.format("force=True"))
        assert run() == "no error"
