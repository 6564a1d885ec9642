"""Upstream mmsegmentation 1.2.2, mmengine 0.10.7 and mmcv 2.1, with a stand-in for mmcv's compiled operators.

    python -m pip install --no-deps --target FOLDER mmengine==0.10.7 mmsegmentation==1.2.2 mmcv-lite==2.1.0
    RSSEG_UPSTREAM=FOLDER python -m pytest tests/test_upstream.py

The CI does so; elsewhere this is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.test_packaged import FEW, INHERITED, write_potsdam
from tests.test_stack_parts import STAND_IN

pytestmark = pytest.mark.slow
OPERATORS = f"""
import importlib.machinery, sys, types
module = types.ModuleType("mmcv._ext")
exec({STAND_IN!r}, vars(module))
module.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
sys.modules["mmcv._ext"] = module
"""
CHECK = """
import sys, warnings
from rsseg.stack import require_stack
require_stack()
import mmcv, mmengine, mmseg, mmcv.ops, mmseg.apis
print(mmcv.__version__, mmengine.__version__, mmseg.__version__)
"""


@pytest.fixture
def run(repo, tmp_path, fork_python):
    """Run Python with the upstream packages in front, with a stand-in for the operators or without one."""
    folder = os.environ.get("RSSEG_UPSTREAM")
    if not folder:
        pytest.skip("RSSEG_UPSTREAM names no folder with the upstream packages")
    assert (Path(folder) / "mmsegmentation-1.2.2.dist-info").is_dir(), "RSSEG_UPSTREAM: see the top of this file"

    def python(*args, operators=True):
        (tmp_path / "sitecustomize.py").write_text(OPERATORS if operators else "")
        path = os.pathsep.join([str(tmp_path), str(repo), folder])
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return fork_python(*args, cwd=tmp_path, env=env)

    return python


def test_the_operators_are_all_that_is_missing(run):
    done = run("-c", CHECK, operators=False)
    assert "only the compiled operators are missing: mmseg 1.2.2 (mmsegmentation)" in done.stderr
    done = run("-c", CHECK)
    assert done.stdout == "2.1.0 0.10.7 1.2.2\n", done.stderr


def test_an_inherited_config_trains_and_validates(run, repo, tmp_path):
    (tmp_path / "own.py").write_text(INHERITED)
    write_potsdam(tmp_path / "data" / "potsdam" / "small", (repo / FEW).read_text().split())
    done = run(repo / "tools" / "train.py", "own.py")
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-3000:]
    assert "MMEngine: 0.10.7" in log and "Iter(train) [2/2]" in log and "mIoU" in log
