"""What mmengine and mmseg import late works as if it had been there from the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.slow]
REPO = Path(__file__).resolve().parents[1]
LATE = ("torch.distributed.fsdp", "transformers", "timm", "scipy.ndimage", "scipy.optimize", "scipy.interpolate")
STACK = "import sys; from rsseg.stack import require_stack; require_stack()\n"
SHARDED = """
import os, torch
torch.distributed.init_process_group("gloo", rank=0, world_size=1)
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODEL_WRAPPERS
class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, inputs, data_samples=None, mode="loss"):
        return {"loss": self.layer(inputs).square().mean()}
model = Model()
with torch.no_grad():
    model.layer.weight.fill_(1.0)
    model.layer.bias.zero_()
model = MODEL_WRAPPERS.build(dict(type="MMFullyShardedDataParallel", module=model, device_id=torch.device("cpu")))
wrapper = build_optim_wrapper(model, dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.25)))
losses = [float(model.train_step(dict(inputs=torch.tensor([[1.0, 0.0]])), wrapper)["loss"]) for _ in range(2)]
from mmengine.model import MMFullyShardedDataParallel
print(type(model) is MMFullyShardedDataParallel, *losses)
"""


def run(code, **env):
    """The last line of what a program prints; the tests' warm process has imported most of what is late."""
    env = {**os.environ, "PYTHONPATH": str(REPO), **env}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_model_is_trained_sharded():
    """A weight of 1, its loss 1, its gradient and that of the bias 2; after a step of 0.25 both are less by 0.5."""
    shown = run(STACK + SHARDED, MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    assert shown == "True 1.0 0.0"


def test_registries_and_packages_lead_to_them():
    code = f"""
print(*(name for name in {LATE} if name in sys.modules))
from mmseg import registry as own
from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS, STRATEGIES, Registry
other = Registry('model_wrapper', parent=MODEL_WRAPPERS, scope='other')
found = [OPTIMIZERS.get("ZeroRedundancyOptimizer"), own.OPTIMIZERS.get("ZeroRedundancyOptimizer")]
from mmengine._strategy.fsdp import FSDPStrategy  # registers itself, by whichever way it is imported
import mmengine._strategy as package
found += [other.get("MMFullyShardedDataParallel"), STRATEGIES.get("FSDPStrategy"), FSDPStrategy]
print(*(one.__module__ for one in found), FSDPStrategy is package.FSDPStrategy, hasattr(package, "Other"))
"""
    zero, strategy = "mmengine.optim.optimizer.zero_optimizer", "mmengine._strategy.fsdp"
    wrapper = "mmengine.model.wrappers.fully_sharded_distributed"
    assert run(STACK + code).split() == [zero, zero, wrapper, strategy, strategy, "True", "False"]


def test_an_optimizer_of_transformers():
    pytest.importorskip("transformers")
    code = """
import torch
from mmengine.optim import build_optim_wrapper
config = dict(type="OptimWrapper", optimizer=dict(type="Adafactor", lr=None))
print(type(build_optim_wrapper(torch.nn.Linear(1, 1), config).optimizer).__module__)
"""
    assert run(STACK + code) == "transformers.optimization"


def test_functions_of_scipy():
    code = """
import scipy, torch
from mmseg.datasets.transforms import transforms
from mmseg.models.assigners.hungarian_assigner import linear_sum_assignment
from mmseg.models.backbones.beit import interpolate
from mmseg.models.losses.huasdorff_distance_loss import compute_dtm
rows, columns = linear_sum_assignment([[1, 0], [0, 1]])
distances = compute_dtm(torch.tensor([[[0.0, 1.0, 1.0]]]), torch.zeros(1, 2, 1, 3))[:, 1]
smooth = transforms.gaussian_filter([0.0, 1.0, 0.0], 0)
same = interpolate.interp1d is scipy.interpolate.interp1d
print(rows.tolist(), columns.tolist(), distances.tolist(), smooth.tolist(), same)
"""
    assert run(STACK + code) == "[0, 1] [1, 0] [[[0.0, 1.0, 2.0]]] [0.0, 1.0, 0.0] True"


def test_others_that_import_scipy_meanwhile_get_it_whole():
    code = """
import sys
from rsseg.deferred import without_rare_parts
with without_rare_parts():
    from scipy.ndimage import gaussian_filter, label
    from scipy.optimize._linesearch import LineSearchWarning
import scipy.ndimage, scipy.optimize
print(label is scipy.ndimage.label, issubclass(LineSearchWarning, RuntimeWarning), scipy.optimize.minimize.__name__)
"""
    assert run(code) == "True True minimize"


def test_a_failed_import_leaves_no_stand_ins(tmp_path):
    (tmp_path / "mmseg.py").write_text("import mmengine.model, mmengine.optim\nraise ImportError('not here')\n")
    code = """
import sys
from rsseg.errors import MissingPackageError
from rsseg.stack import require_stack
try:
    require_stack()
except MissingPackageError as error:
    print(error)
from mmengine.model import MMFullyShardedDataParallel
from mmengine.optim import ZeroRedundancyOptimizer
from scipy.optimize import minimize
print(MMFullyShardedDataParallel.__mro__[1].__name__, ZeroRedundancyOptimizer.__mro__[1].__name__, minimize.__name__)
"""
    path = os.pathsep.join([str(tmp_path), str(REPO)])
    assert run(code, PYTHONPATH=path) == "FullyShardedDataParallel ZeroRedundancyOptimizer minimize"
