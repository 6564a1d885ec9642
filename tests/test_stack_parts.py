"""A part of the stack is missing: the message says which one.  Made-up packages stand for mmcv, mmengine and mmseg."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

CODE = (
    "from rsseg.commands import run_tool; from rsseg.stack import require_stack; run_tool(require_stack); print('done')"
)
STAND_IN = """
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: None
"""
UPSTREAM = {
    "mmcv/__init__.py": "__version__ = '2.1.0'\n",
    "mmcv/ops/__init__.py": "import importlib\nimportlib.import_module('mmcv._ext').nms\n",
    "mmcv_lite-2.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: mmcv-lite\nVersion: 2.1.0\n",
    "mmcv_lite-2.1.0.dist-info/top_level.txt": "mmcv\n",
    "mmengine/__init__.py": "__version__ = '0.10.7'\n",
    "mmengine/registry.py": "class Registry:\n    def _register_module(self): ...\n",
    "mmseg/__init__.py": "__version__ = '1.2.2'\nassert __import__('mmcv').__version__ < '2.2.0', 'mmcv is too new'\n",
    "mmseg/datasets/__init__.py": "import mmcv.ops\n",
    "mmseg/models/__init__.py": "",
    "mmseg/evaluation/__init__.py": "",
    "mmseg/engine/__init__.py": "",
    "mmsegmentation-1.2.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: mmsegmentation\nVersion: 1.2.2\n",
    "mmsegmentation-1.2.2.dist-info/top_level.txt": "mmseg\n",
}
CASES = {
    "the operators alone": (
        {},
        r"only the compiled operators are missing: mmseg 1\.2\.2 \(mmsegmentation\) imports mmcv\._ext, and "
        r'mmcv 2\.1\.0 \(mmcv-lite\) has none\..*pip install "mmcv>=2\.0,<2\.2"',
    ),
    "operators of another torch": (
        {"mmcv/_ext.py": "raise ImportError('undefined symbol: _ZN2at', name='mmcv._ext')"},
        r"only the compiled operators .* mmcv 2\.1\.0 \(mmcv-lite\) has some that do not load "
        r"\(undefined symbol: _ZN2at\): .*another torch",
    ),
    "a package that mmseg needs": (
        {"mmcv/_ext.py": STAND_IN, "mmseg/models/__init__.py": "import ftfx\n"},
        r"mmseg 1\.2\.2 \(mmsegmentation\) needs ftfx, which is not installed\. Run: python -m pip install ftfx",
    ),
    "an mmcv that mmseg refuses": (
        {"mmcv/__init__.py": "__version__ = '2.2.0'\n"},
        r"mmseg does not import \(mmcv is too new\)\. Beside it: mmcv 2\.1\.0 \(mmcv-lite\), mmengine",
    ),
    "no mmcv": (
        {"mmcv/__init__.py": "raise ModuleNotFoundError('', name='mmcv')"},
        r"mmcv is not installed\. Activate the environment .*, or run: .*rsseg\[mm\]",
    ),
}


def _run(repo, folder, files):
    for name, text in {**UPSTREAM, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(repo)])}
    return subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("files", "message"), CASES.values(), ids=CASES)
def test_the_missing_part_is_named(repo, tmp_path, files, message):
    result = _run(repo, tmp_path, files)
    assert result.returncode == 1
    assert re.search(f"MissingPackageError: rsseg needs the MM stack, but {message}", result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_operators_that_stand_in_are_enough(repo, tmp_path):
    """Nothing in rsseg calls them: upstream mmseg imports them, and that is all."""
    result = _run(repo, tmp_path, {"mmcv/_ext.py": STAND_IN})
    assert (result.returncode, result.stderr) == (0, "")
