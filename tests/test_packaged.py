"""Configs, lists and class tables from anywhere: by name, by path in an empty folder, from an installed wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from mmengine.config import Config
from PIL import Image

import rsseg
from rsseg.errors import ConfigError
from rsseg.io.configs import read_config
from rsseg.io.names import read_names
from rsseg.packaged import find_packaged

FEW = "data/splits/potsdam/few_1_seed0.txt"
TABLE = "rsseg/metainfo/potsdam.json"
INHERITED = f"""
_base_ = "rsseg::potsdam/upernet_tiny_few_potsdam.py"
train_dataloader = dict(batch_size=2, dataset=dict(subset="{FEW}", table="{TABLE}"))
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
train_cfg = dict(max_iters=2, val_interval=2)
"""


@pytest.mark.parametrize("name", ["samrs/upernet_swin_sep", "bigearthnet/scnn_all", "samrs/convert_sota"])
@pytest.mark.parametrize("form", ["py", "yaml", "list"])
def test_a_config_by_name_is_the_same_as_by_path(name, form, repo, tmp_path):
    path = tmp_path / f"own.{'yaml' if form == 'yaml' else 'py'}"
    base = [f"rsseg::{name}.py"] if form == "list" else f"rsseg::{name}.py"
    path.write_text(yaml.safe_dump({"_base_": base, "own": 1}) if form == "yaml" else f"_base_ = {base!r}\nown = 1\n")
    found = Config.fromfile(path).to_dict()
    assert found.pop("own") == 1
    assert found == Config.fromfile(repo / "configs" / f"{name}.py").to_dict()
    assert "_scope_" not in str(found)


def test_ours_and_those_of_others_mix(tmp_path):
    (tmp_path / "mine.py").write_text("mine = 1\n")
    path = tmp_path / "own.py"
    path.write_text(
        "_base_ = ['./mine.py', 'rsseg::_base_/models/upernet_tiny.py', 'rsseg::_base_/default_runtime.py']\n"
    )
    found = Config.fromfile(path)
    assert (found.mine, found.model.type, found.default_scope) == (1, "Segmentor", "mmseg")


def test_what_is_asked_for_by_its_old_name_is_answered_with_the_new_one(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("_base_ = 'rsseg::potsdam/upernet_swin.py'\n")
    with pytest.raises(ConfigError, match=r"rsseg::potsdam/upernet_swin.py: .* similar: .*upernet_swin_potsdam.py"):
        Config.fromfile(path)
    path.write_text("_base_ = 'nothing::potsdam/upernet_swin.py'\n")
    with pytest.raises(AssertionError, match="nothing"):  # mmengine's own answer
        Config.fromfile(path)


def test_commands_take_names_and_paths_in_an_empty_folder(repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Config.fromfile(repo / "configs/samrs/upernet_swin_sep.py").to_dict()
    for path in ("rsseg::samrs/upernet_swin_sep.py", "configs/samrs/upernet_swin_sep.py"):
        assert read_config(path).to_dict() == own
    with pytest.raises(FileNotFoundError, match=r"configs/samrs/nothing\.py: no such config file"):
        read_config("configs/samrs/nothing.py")


def test_lists_and_class_tables_by_path_in_an_empty_folder(repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(read_names(FEW)) == 87
    assert rsseg.load_metainfo(TABLE) == rsseg.load_metainfo("potsdam")
    assert find_packaged("data/splits/nothing.txt") == Path("data/splits/nothing.txt")
    for name in ("data/README.md", "../rsseg/metainfo/potsdam.json", "setup.py"):  # not everything comes along
        assert not find_packaged(name).exists()
    Path(FEW).parent.mkdir(parents=True)
    Path(FEW).write_text("mine\n")
    assert read_names(FEW) == ["mine"]  # one's own first


def test_configs_of_an_installation_are_found_in_its_mim_folder(tmp_path, repo, fork_python):
    package = shutil.copytree(repo / "rsseg", tmp_path / "rsseg", ignore=lambda folder, names: {"__pycache__", ".mim"})
    (package / ".mim" / "configs" / "a").mkdir(parents=True)
    (package / ".mim" / "configs" / "a" / "b.py").write_text("x = 1\n")
    (tmp_path / "own.py").write_text("_base_ = 'rsseg::a/b.py'\n")
    code = "import rsseg; from mmengine.config import Config; print(Config.fromfile('own.py').x)"
    done = fork_python("-c", code, cwd=tmp_path, env=_environment(tmp_path))
    assert done.stdout == "1\n", done.stderr


def test_mim_is_told_where_an_editable_installation_lies(repo, tmp_path):
    """mim looks for ``.mim`` by pkg_resources, which knows the folder of the metadata, and reloads it each time."""
    (tmp_path / "pkg_resources.py").write_text(
        "class Dist: location = 'site-packages'\nclass working_set: by_key = {'rsseg': Dist(), 'mmseg': Dist()}\n"
    )
    code = f"""
import importlib, sys
sys.path.insert(0, {str(repo)!r})
import rsseg.imports
rsseg.imports.watch_pkg_resources()
import pkg_resources
for _ in range(2):
    print(*(pkg_resources.working_set.by_key[name].location for name in ("rsseg", "mmseg")))
    importlib.reload(pkg_resources)
"""
    assert _python(tmp_path, tmp_path, "-c", code) == f"{repo} site-packages\n" * 2


def _environment(path: Path) -> dict[str, str]:
    """Only one entry in PYTHONPATH."""
    return {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}


def _python(path: Path, folder: Path, *args: object) -> str:
    """Run Python in a folder with only one entry in PYTHONPATH; what it prints."""
    command, env = [sys.executable, *map(str, args)], _environment(path)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory, repo):
    """An empty folder into which the wheel has been installed."""
    root = tmp_path_factory.mktemp("wheel")
    build = ["egg_info", "--egg-base", root, "build", "--build-base", root / "build"]
    build += ["bdist_wheel", "--bdist-dir", root / "bdist", "--dist-dir", root]
    _python(repo, repo, "setup.py", "-q", *build)
    (wheel,) = root.glob("*.whl")
    target = root / "site"
    _python(root, root, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel)
    return target


def write_potsdam(folder: Path, names: list[str]) -> None:
    rng = np.random.default_rng(0)
    for part, own in (("train", names), ("val", names[:1])):
        for kind in ("img_dir", "ann_dir"):
            (folder / kind / part).mkdir(parents=True)
        for name in own:
            labels = rng.integers(0, 6, (16, 16)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            Image.fromarray(np.stack([labels * 40] * 3, -1)).save(folder / "img_dir" / part / f"{name}.png")
            Image.fromarray(labels).save(folder / "ann_dir" / part / f"{name}.png")


@pytest.mark.slow
def test_a_wheel_trains_an_inherited_config_in_an_empty_folder_by_two_ranks(
    installed, repo, tmp_path, forked_libraries
):
    (tmp_path / "own.py").write_text(INHERITED)
    write_potsdam(tmp_path / "data" / "potsdam" / "small", read_names(repo / FEW))
    tools = installed / "rsseg" / ".mim" / "tools"
    env = {**os.environ, **forked_libraries, "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [tools / "dist_train.sh", "own.py", "2"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-5000:]
    assert "Iter(train) [2/2]" in log and "mIoU" in log
    assert str(repo) not in log.replace(sys.prefix, "")
    assert [path.name for path in (tmp_path / "work_dirs").rglob("iter_2.pth")] == ["iter_2.pth"]


@pytest.mark.slow
def test_an_installation_needs_no_import_of_ours(installed, tmp_path, fork_python):
    """The .pth file, which Python reads in its own folders of packages, lets mmengine ask us."""
    (tmp_path / "own.py").write_text(INHERITED)
    code = f"""
import site, sys
site.addsitedir({str(installed)!r})
from mmengine.config import Config
from mmengine.hub import get_config
from mmseg.utils import get_classes
assert get_classes("potsdam")[-1] == "clutter"
assert "rsseg" not in sys.modules  # nothing changes for who does not ask for us
found = Config.fromfile("own.py")
assert sys.modules["rsseg"].__file__.startswith({str(installed)!r}), sys.modules["rsseg"]
assert len(get_classes("sota")) == 18
assert get_config("rsseg::samrs/upernet_swin_sep.py").model.heads == dict(sota=18, sior=20, fast=37)
print(found.train_dataloader.dataset.subset)
"""
    done = fork_python("-c", code, cwd=tmp_path, env=_environment(installed))
    assert done.stdout == f"{FEW}\n", done.stderr
    # mim looks for base names in the whole package
    assert len([*(installed / "rsseg").rglob("upernet_swin_sep.py")]) == 1


@pytest.mark.slow
def test_an_editable_installation_links_what_mim_looks_for(repo, tmp_path, fork_python):
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "__pycache__", ".mim", "build", "*.egg-info", "work_dirs", ".*_cache"
    )
    shutil.copytree(repo, checkout, ignore=ignored)
    target = tmp_path / "site"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", target]
    _python(tmp_path, checkout, "-m", "pip", "install", "-q", *options, "-e", ".")
    mim = checkout / "rsseg" / ".mim"
    for name in ("configs", "tools", "data/splits", "model-index.yml"):
        assert (mim / name).resolve() == checkout / name
        assert (mim / name).is_symlink() and not os.path.isabs(os.readlink(mim / name))
    assert "watch_pkg_resources" in (target / "rsseg.pth").read_text()
    (checkout / "configs" / "scenes" / "later.py").write_text("later = 1\n")
    (tmp_path / "own.py").write_text("_base_ = 'rsseg::scenes/later.py'\n")
    code = f"import site; site.addsitedir({str(target)!r})\nfrom mmengine.config import Config\n"
    code += "print(Config.fromfile('own.py'))"
    done = fork_python("-c", code, cwd=tmp_path, env=_environment(target))
    assert "'later': 1" in done.stdout, done.stderr
    git = subprocess.run(["git", "status", "--short"], cwd=repo, capture_output=True, text=True, check=False)
    assert ".mim" not in git.stdout
