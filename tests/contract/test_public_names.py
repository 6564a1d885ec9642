"""Public names: every package says what it offers, and offers what it says."""

import importlib
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in (REPO / "rsseg").glob("*/**/__init__.py"))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(REPO).parts)


def test_there_is_something_to_check() -> None:
    assert {"rsseg.metainfo", "rsseg.structures"} <= {_dotted(path) for path in PACKAGES}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (REPO / "rsseg").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.parametrize("path", PACKAGES, ids=_dotted)
def test_all_resolves(path: Path) -> None:
    package = importlib.import_module(_dotted(path))
    names = getattr(package, "__all__", None)
    assert isinstance(names, list | tuple), f"{_dotted(path)} has no __all__"
    assert len(set(names)) == len(names)
    missing = [name for name in names if not hasattr(package, name)]
    assert not missing, f"{_dotted(path)}.__all__ names what is not there: {missing}"
    assert not [name for name in names if name.startswith("_")]


def test_the_version_is_written_once() -> None:
    import rsseg

    assert re.fullmatch(r"\d+\.\d+\.\d+", rsseg.__version__)
    files = [*(REPO / "rsseg").rglob("*.py"), *(REPO / "tools").glob("*.py"), REPO / "setup.py"]
    pattern = re.compile(r"^\s*__version__\s*=", re.MULTILINE)
    found = [p.relative_to(REPO).as_posix() for p in files if pattern.search(p.read_text(encoding="utf-8"))]
    assert found == ["rsseg/__init__.py"]
