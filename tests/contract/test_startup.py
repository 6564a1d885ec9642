"""Start-up: what reads labels, counts or explains itself loads neither torch nor the MM stack."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "mmengine", "mmcv", "mmseg", "mmpretrain", "matplotlib", "sklearn")
LIGHT_ROOMS = """
metainfo structures io scenes datasets/detection datasets/labels datasets/openearthmap datasets/preparation
"""
NEED_TORCH = {"rsseg.io.archives", "rsseg.io.archive_values", "rsseg.io.checkpoints"}
LIGHT = """
rsseg rsseg.stack rsseg.errors rsseg.commands rsseg.datasets rsseg.datasets.deepglobe rsseg.datasets.checking.counts
rsseg.datasets.bigearthnet rsseg.datasets.bigearthnet.archive rsseg.datasets.bigearthnet.lists
rsseg.datasets.bigearthnet.packed rsseg.datasets.bigearthnet.corine rsseg.datasets.bigearthnet.counts
rsseg.evaluation rsseg.evaluation.agreement rsseg.evaluation.vocabulary rsseg.engine rsseg.engine.launch
rsseg.conversion rsseg.conversion.tiling rsseg.conversion.exports rsseg.mapping rsseg.mapping.options
rsseg.reports.labels.page rsseg.reports.land_cover.tables rsseg.reports.maps.page
"""
REGISTERED = {
    "DATASETS": ["TableDataset", "ConvertedDataset", "MultiDataset", "PairsDataset"],
    "TRANSFORMS": ["LoadLabels"],
    "METRICS": ["SegmentationMetric"],
    "HOOKS": ["LoadPretrained", "SeedEachIter"],
    "DATA_SAMPLERS": ["ProportionalSampler"],
}
CONFIG = """custom_imports = dict(imports=["rsseg.datasets", "rsseg.evaluation", "rsseg.engine"])
default_scope = "mmseg"
"""
ORDERS = {
    "a light part before the config": "import rsseg.datasets.detection, rsseg.evaluation, rsseg.engine.launch",
    "a name before the config": "from rsseg.datasets import TableDataset",
    "a module before the config": "import rsseg.datasets.segmentation",
    "mmengine before a light part": "import mmengine.config, rsseg.datasets.detection, rsseg.evaluation",
    "mmseg before all": "import mmseg.datasets, rsseg.datasets.detection",
    "the config first": "",
    "the stack, asked for": "import rsseg.datasets.labels; from rsseg.stack import require_stack; require_stack()",
}


def _python(code: str, *args: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _light_rooms() -> list[str]:
    files = [path for room in LIGHT_ROOMS.split() for path in (REPO / "rsseg" / room).rglob("*.py")]
    names = {".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__") for path in files}
    return sorted(names - NEED_TORCH)


def test_reading_and_counting_load_neither_torch_nor_the_stack() -> None:
    code = """
import importlib, json, sys
found = {}
for name in sys.argv[2:]:
    importlib.import_module(name)
    new = [heavy for heavy in sys.argv[1].split() if heavy in sys.modules and heavy not in found]
    found.update(dict.fromkeys(new, name))
print(json.dumps(found))
"""
    found = json.loads(_python(code, " ".join(HEAVY), *LIGHT.split(), *_light_rooms()))
    assert not found, f"loaded by the first module that needs it: {found}"


def test_the_package_alone_loads_nothing_else() -> None:
    found = _python("import sys, rsseg; print(*(name for name in ('numpy', 'rasterio', 'cv2') if name in sys.modules))")
    assert not found.split()


def test_help_loads_neither_torch_nor_the_stack() -> None:
    code = """
import contextlib, io, json, runpy, sys
found = {}
for path in sys.argv[2:]:
    sys.argv[1:1], text = [], io.StringIO()
    saved, sys.argv = sys.argv, [path, "--help"]
    sys.path.insert(0, path.rpartition("/")[0])
    try:
        with contextlib.redirect_stdout(text):
            runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code not in (0, None):
            found[path] = f"ends with {end.code}"
    finally:
        sys.argv = saved
    if not text.getvalue().startswith("usage:") or not all(word in text.getvalue() for word in ("--help", "--debug")):
        found[path] = "explains nothing"
    for heavy in saved[1].split():
        if heavy in sys.modules and heavy not in found:
            found[heavy] = path
print(json.dumps(found))
"""
    tools = sorted(str(path) for path in (REPO / "tools").glob("*.py") if path.stem != "start")
    found = json.loads(_python(code, " ".join(HEAVY), *tools))
    assert not found, f"loaded by the first tool that needs it: {found}"


@pytest.mark.slow
@pytest.mark.stack
def test_the_stack_does_not_bring_mmpretrain(fork_python: Callable[..., Any]) -> None:
    code = "import sys; from rsseg.stack import require_stack; require_stack(); print('mmpretrain' in sys.modules)"
    done = fork_python("-c", code)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("before", ORDERS.values(), ids=ORDERS)
def test_classes_are_registered_in_every_order_of_imports(
    before: str, tmp_path: Path, fork_python: Callable[..., Any]
) -> None:
    (tmp_path / "config.py").write_text(CONFIG, encoding="utf-8")
    code = f"""
import json, sys
{before}
from mmengine.config import Config
Config.fromfile(sys.argv[1])
import mmseg.registry
wanted = json.loads(sys.argv[2])
print([name for kind, names in wanted.items() for name in names if getattr(mmseg.registry, kind).get(name) is None])
from rsseg.datasets import TableDataset
assert mmseg.registry.DATASETS.get("TableDataset") is TableDataset
"""
    done = fork_python("-c", code, tmp_path / "config.py", json.dumps(REGISTERED))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.stack
def test_a_map_loads_no_package_before_it_needs_it() -> None:
    """timm and torchvision bring torch's compiler along; mmseg's backbone of timm gets it when it is used."""
    code = """
import sys
from rsseg.mapping import SegmentorScorer, map_raster
from mmseg.models.backbones import timm_backbone
print(*(name for name in sys.argv[1:] if name in sys.modules), bool(timm_backbone.timm), "timm" in sys.modules)
"""
    heavy = (
        *("timm", "torchvision", "torch._dynamo", "torch.distributed.fsdp", "transformers", "mmpretrain"),
        *("scipy.ndimage", "scipy.optimize", "scipy.interpolate", "pyogrio", "pyarrow", "matplotlib", "sklearn"),
    )
    assert _python(code, *heavy).split() == ["True", "False"]
