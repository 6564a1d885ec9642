"""Packaging: what is declared is what is needed, what is built is complete, links lead somewhere."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rsseg

Every = Callable[..., None]
REPO = Path(__file__).resolve().parents[2]
EXTRAS = {
    "log": "log",
    "mm": "mminstall",
    "optional": "optional",
    "export": "export",
    "demo": "demo",
    "sam2": "sam2",
    "hub": "hub",
    "hf": "hf",
    "serve": "serve",
    "remote": "remote",
    "ray": "ray",
    "tests": "tests",
    "docs": "docs",
}
MARKDOWN = sorted([*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), *(REPO / "data").glob("*.md")])
DOCUMENTS = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md"}
DOCUMENTS |= {f"docs/{name}.md" for name in ("design", "howto", "glossary", "release", "results", "security")}
# Import names of the packages in requirements/, and of those that these bring along.
RUNTIME = {"torch", "torchvision", "numpy", "PIL", "rasterio", "pycocotools", "tqdm", "jinja2", "shapely", "pyogrio"}
WITH_MM = {"mmcv", "mmengine", "mmseg", "mmpretrain", "cv2", "matplotlib", "prettytable", "rich", "scipy"}
SYSTEM = {"qgis"}  # Debian's python3-qgis, run by the system's Python; its tests are skipped elsewhere
OPTIONAL = {"tensorboard", "timm", "safetensors", "segment_anything", "sam2", "open_clip", "lmdb", "pyarrow", "sklearn"}
OPTIONAL |= {"huggingface_hub", "onnx", "onnxruntime", "openvino", "transformers", "peft"}
SERVING = {"fastapi", "starlette", "pydantic", "uvicorn", "rio_tiler", "morecantile"}  # all of rsseg/serving is theirs
OPTIONAL |= {"pystac", "pystac_client", "fsspec", "ray", *SERVING}
MEASURED = {"albumentations", "kornia", "torchgeo"}  # peers that a benchmark compares with where they are installed
TESTING = {"pytest", "playwright", "schemathesis", "httpx", "hypothesis", "yapf", "packaging", "setuptools", "yaml"}
ALSO = {"tests": OPTIONAL | TESTING | SYSTEM | {"sitecustomize"}, "docs": {"mkdocs"}}


def _requirements(name: str) -> list[Requirement]:
    lines = (REPO / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def _setup_arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py passes to setuptools."""
    setuptools = pytest.importorskip("setuptools")
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **kwargs: told.update(kwargs))
    monkeypatch.chdir(REPO)
    source = (REPO / "setup.py").read_text(encoding="utf-8")
    exec(compile(source, "setup.py", "exec"), {"__file__": str(REPO / "setup.py"), "__name__": "__main__"})
    return told


def test_setup_reads_version_and_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _setup_arguments(monkeypatch)
    assert told["version"] == rsseg.__version__
    assert told["python_requires"] == ">=3.10"
    assert [Requirement(r) for r in told["install_requires"]] == _requirements("runtime")
    assert set(told["extras_require"]) == set(EXTRAS)
    for extra, file in EXTRAS.items():
        assert [Requirement(r) for r in told["extras_require"][extra]] == _requirements(file)
    packages = {path.parent.relative_to(REPO) for path in (REPO / "rsseg").rglob("__init__.py")}
    assert set(told["packages"]) == {".".join(path.parts) for path in packages}
    assert told["exclude_package_data"] == {"rsseg": ["serving/node_modules/*"]}, "what npm leaves is not shipped"


def test_the_mm_stack_is_never_forced_on_a_user() -> None:
    forced = {canonicalize_name(r.name) for r in _requirements("runtime")}
    assert not [name for name in forced if name.startswith(("onedl", "mm", "opencv"))]
    every = {canonicalize_name(r.name) for file in ("runtime", *EXTRAS.values()) for r in _requirements(file)}
    assert not [name for name in every if name.startswith("opencv")], "mmcv brings OpenCV itself"
    assert {r.name for r in _requirements("mminstall")} == {
        "onedl-mmcv",
        "onedl-mmengine",
        "onedl-mmsegmentation",
        "onedl-mmpretrain",
    }


def test_every_bound_has_its_reason(every: Every) -> None:
    def check(name: str) -> None:
        lines = (REPO / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        stated = [line for line in lines if line.strip() and not line.startswith("#")]
        assert stated
        for line in stated:
            assert re.fullmatch(r'[\w.-]+>=[\w.]+(; python_version >= "3\.\d+")? +# \S.{10,}', line), line

    every(["runtime", *EXTRAS.values()], check)


def test_the_tested_set_pins_and_satisfies_every_requirement() -> None:
    pins: dict[str, list[Requirement]] = {}
    for pin in _requirements("tested"):
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), f"no exact pin: {pin}"
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for name in ("runtime", *EXTRAS.values()):
        for requirement in _requirements(name):
            found = pins.get(canonicalize_name(requirement.name))
            assert found, f"requirements/tested.txt does not pin {requirement.name}"
            for pin in found:
                assert requirement.marker == pin.marker or requirement.marker is None, pin
                assert requirement.specifier.contains(str(pin.specifier).removeprefix("==")), pin


def test_imports_are_declared() -> None:
    undeclared = []
    ours = {"rsseg", "tests", "docs", "start", *(path.name for path in (REPO / "tools").iterdir() if path.is_dir())}
    for path in sorted(p for folder in ("rsseg", "tools", "tests", "docs") for p in (REPO / folder).rglob("*.py")):
        allowed = ours | RUNTIME | WITH_MM | ALSO.get(path.relative_to(REPO).parts[0], set())
        allowed |= SERVING if path.parent.name == "serving" else set()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in {name.split(".")[0] for name in names}:
                known = name in sys.stdlib_module_names or name in allowed
                inside = OPTIONAL | (MEASURED if path.parent.name == "benchmarks" else set())
                if not known and not (name in inside and id(node) not in top):
                    undeclared.append(f"{path.relative_to(REPO)}:{node.lineno}: {name}")
    assert not undeclared, "not in requirements/, or optional and not inside a function:\n" + "\n".join(undeclared)


def test_what_is_built_holds_tables_pages_configs_and_tools(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, cwd=REPO, env=env, check=True, capture_output=True)
    for source in (REPO / "rsseg").rglob("*.py"):
        assert (tmp_path / source.relative_to(REPO)).is_file()
    assert (tmp_path / "rsseg" / "py.typed").is_file() and (tmp_path / "rsseg" / "__init__.pyi").is_file()
    for kind in ("*.json", "*.csv", "*.html", "*.css", "*.js", "*.mjs", "*.txt"):
        files = {path.relative_to(REPO) for path in (REPO / "rsseg").rglob(kind)}
        built = {path.relative_to(tmp_path) for path in (tmp_path / "rsseg").rglob(kind)}
        kept = {path for path in files if not {".mim", "node_modules"} & set(path.parts)}
        assert kept and kept == {path for path in built if ".mim" not in path.parts}
    mim = tmp_path / "rsseg" / ".mim"
    assert (mim / "model-index.yml").is_file() and (mim / "tools" / "train.py").is_file()
    for name in ("configs", "tools", "data/splits"):
        files = {
            path.relative_to(REPO) for path in (REPO / name).rglob("*") if path.is_file() and path.suffix != ".pyc"
        }
        assert files == {path.relative_to(mim) for path in (mim / name).rglob("*") if path.is_file()}
    assert os.access(mim / "tools" / "dist_train.sh", os.X_OK)
    assert (tmp_path / "rsseg.pth").is_file() and (tmp_path / "_rsseg_startup.py").is_file()


def test_the_manifest_holds_tables_and_requirements() -> None:
    manifest = (REPO / "MANIFEST.in").read_text(encoding="utf-8")
    assert (
        "recursive-include rsseg *.json *.csv" in manifest and "*.pyi" in manifest and "requirements/*.txt" in manifest
    )


def test_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == rsseg.__version__
    changelog = (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", changelog, re.MULTILINE)
    form = rf"\[{re.escape(rsseg.__version__)}\] - (unreleased|\d{{4}}-\d\d-\d\d)"
    assert newest and re.fullmatch(form, newest[1]), "CHANGELOG.md: the newest section names the version"
    kinds = set(re.findall(r"^### (.+)$", changelog, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, "as Keep a Changelog names them"
    versions = {
        match
        for path in REPO.glob("configs/*/metafile.yaml")
        for match in re.findall(r"Version: v(\S+)", path.read_text())
    }
    assert versions == {rsseg.__version__}


def test_links_and_paths_exist(every: Every) -> None:
    def check(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)\s]+)\)", text)
        local = [link.split("#")[0] for link in links if not re.match(r"\w+:|#", link)]
        assert not [link for link in local if not (path.parent / link).exists()]
        commands = set(re.findall(r"(?<!tests/)\b(?:configs|tools)/[\w/]+\.(?:py|sh)", text))
        assert not [name for name in commands if "myset" not in name and not (REPO / name).is_file()]

    every(MARKDOWN, check)


def test_the_documents_are_there() -> None:
    names = {path.relative_to(REPO).as_posix() for path in MARKDOWN}
    assert names >= DOCUMENTS
