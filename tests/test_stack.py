"""The MM stack: a clear message where it is missing, silence where it only chatters."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.fixture
def run(repo, tmp_path, fork_python):
    """Run code beside modules of these names and texts."""

    def python(code, **modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        path = os.pathsep.join([str(tmp_path), str(repo)])
        return fork_python("-c", code, env={**os.environ, "PYTHONPATH": path})

    return python


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ImportError('not here')", r"mmseg does not import (not here)"),
        ("__version__ = '0.30.0'", r"rsseg needs mmseg >= 1.2, found 0.30.0"),
    ],
)
def test_a_missing_or_old_stack_names_the_command(run, text, message):
    code = "from rsseg.commands import run_tool; from rsseg.stack import require_stack; run_tool(require_stack)"
    result = run(code, mmseg=text)
    assert result.returncode == 1
    assert message in result.stderr
    assert 'python -m pip install "rsseg[mm]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_is_quiet_and_real_warnings_still_show(run):
    code = "import warnings, rsseg.models, rsseg.datasets; warnings.warn('real'); print('done')"
    result = run(code)
    assert result.stdout == "done\n"
    assert "real" in result.stderr
    assert "OneDL" not in result.stderr
    assert "MultiScaleDeformableAttention" not in result.stderr


def test_mmpretrain_is_asked_for_by_its_runs_alone(run):
    code = "import rsseg.models, rsseg.datasets, rsseg.engine; print('done'); import rsseg.engine.pretraining"
    result = run(code, mmpretrain="raise ImportError('not here')")
    assert result.stdout == "done\n"
    assert result.returncode == 1
    assert "rsseg needs the MM stack, but mmpretrain does not import (not here)" in result.stderr


@pytest.mark.parametrize(
    "module", ["rsseg.models.multilabel", "rsseg.models.unet_encoders", "rsseg.datasets.bigearthnet.preprocessing"]
)
def test_mmpretrain_imports_beside_transformers(run, module):
    """Its language models do not, and it takes them in wherever transformers and pycocotools are installed."""
    code = "print(dependency.satisfy_requirement('transformers'), dependency.WITH_MULTIMODAL)"
    result = run(f"import {module}; from mmpretrain.utils import dependency; {code}")
    assert result.stdout == "True False\n", result.stderr


def test_tinyvit_of_mobile_sam_imports_beside_transformers(run):
    code = "from rsseg.conversion.predictors.mobile_sam import TinyViTEncoder; TinyViTEncoder(64); print('done')"
    result = run(code)
    assert result.stdout == "done\n", result.stderr


def test_mmengine_imports_transformers_only_for_its_optimizer(run):
    code = """
import sys, rsseg.models, torch
from mmengine.registry import OPTIMIZERS
assert "transformers" not in sys.modules
optimizer = OPTIMIZERS.build(dict(type="Adafactor", params=[torch.nn.Parameter(torch.ones(2))]))
from transformers import Adafactor
print(type(optimizer) is Adafactor)
"""
    result = run(code)
    assert result.stdout.splitlines()[-1] == "True", result.stderr
