"""Public names: every package says what it offers, and offers what it says."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Every = Callable[..., None]
REPO = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in (REPO / "rsseg").glob("*/**/__init__.py"))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(REPO).parts)


def test_there_is_something_to_check() -> None:
    assert {"rsseg.metainfo", "rsseg.structures"} <= {_dotted(path) for path in PACKAGES}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (REPO / "rsseg").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.stack
def test_all_resolves(every: Every) -> None:
    def check(path: Path) -> None:
        package = importlib.import_module(_dotted(path))
        names = getattr(package, "__all__", None)
        assert isinstance(names, list | tuple), f"{_dotted(path)} has no __all__"
        assert len(set(names)) == len(names)
        missing = [name for name in names if not hasattr(package, name)]
        assert not missing, f"{_dotted(path)}.__all__ names what is not there: {missing}"
        assert not [name for name in names if name.startswith("_")]

    every(PACKAGES, check)


def test_the_root_offers_names_and_loads_nothing_heavy() -> None:
    code = """
import sys, rsseg
heavy = {"torch", "numpy", "cv2", "rasterio", "mmengine", "mmcv", "mmseg", "mmpretrain"} & set(sys.modules)
assert not heavy, f"import rsseg loads {sorted(heavy)}"
assert {"load_metainfo", "convert_labels", "map_raster", "check_config", "write_scenes"} <= set(rsseg.__all__)
assert set(rsseg.__all__) <= set(dir(rsseg)) and "__version__" in dir(rsseg)
rsseg.load_metainfo("potsdam")
assert "torch" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.stack
def test_type_checkers_and_editors_see_the_names_of_the_root() -> None:
    import rsseg

    tree = ast.parse((REPO / "rsseg" / "__init__.pyi").read_text(encoding="utf-8"))
    told = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(told) == sorted(rsseg.__all__)
    assert (REPO / "rsseg" / "py.typed").is_file()
    for name, module in told.items():
        assert getattr(rsseg, name).__module__ == module and hasattr(importlib.import_module(str(module)), name), name


def test_a_name_that_the_root_has_not_is_an_error() -> None:
    import rsseg

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rsseg.no_such_name


def test_the_version_is_written_once() -> None:
    import rsseg

    assert re.fullmatch(r"\d+\.\d+\.\d+", rsseg.__version__)
    files = [*(REPO / "rsseg").rglob("*.py"), *(REPO / "tools").glob("*.py"), REPO / "setup.py"]
    pattern = re.compile(r"^\s*__version__\s*=", re.MULTILINE)
    found = [p.relative_to(REPO).as_posix() for p in files if pattern.search(p.read_text(encoding="utf-8"))]
    assert found == ["rsseg/__init__.py"]
