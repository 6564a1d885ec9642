"""Speed of models: what is counted, what is measured, and what a table says of it."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.evaluation.complexity import build_for_counting, count_parameters_run
from rsseg.evaluation.speed import (
    SpeedOptions,
    SpeedRow,
    describe,
    measure_rows,
    read_targets,
    speed_table,
    summarise,
)
from rsseg.io.memory import peak_of_process

pytestmark = pytest.mark.usefixtures("mmseg_scope")
CONFIG = 'model = dict(type="WithUnused", num_classes=5, init_cfg=dict(type="Pretrained", checkpoint="none"))\n'
FAST = SpeedOptions(size=32, runs=3, warmup=1)


@MODELS.register_module()
class WithUnused(nn.Module):
    """A convolution of 1 x 1 that runs, and one that does not."""

    def __init__(self, num_classes, init_cfg=None):
        super().__init__()
        assert init_cfg is None
        self.used, self.unused = nn.Conv2d(3, num_classes, 1), nn.Conv2d(3, 100, 1)
        self.calls = []

    def forward(self, x):
        self.calls.append(tuple(x.shape))
        return self.used(x)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "model.py").write_text(CONFIG)
    return tmp_path / "model.py"


def test_quartiles_are_those_worked_out_by_hand():
    assert summarise([5.0, 1.0, 2.0, 3.0, 4.0]) == (3.0, 2.0, 4.0)
    assert summarise([7.0]) == (7.0, 7.0, 7.0)


def test_parameters_that_run_leave_out_what_does_not():
    model = build_for_counting(dict(type="WithUnused", num_classes=5))
    assert count_parameters_run(model, (8, 8)) == 3 * 5 + 5


def test_all_of_an_attention_runs():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 1)

        def forward(self, x):
            x = x[0].flatten(0, 1).repeat(4, 1)[:4].T
            return self.attention(x, x, x)[0]

    with torch.device("meta"):
        model = Attention()
    assert count_parameters_run(model, (8, 8)) == 4 * (4 * 4 + 4)


def test_a_config_a_table_and_a_checkpoint_are_measured(config, tmp_path):
    (tmp_path / "table.csv").write_text("row,config,classes,params,flops\nPaper's,model.py,7,1.5,2.5\n")
    torch.save(dict(state_dict={}, meta=dict(cfg=CONFIG)), tmp_path / "iter_1.pth")
    targets = read_targets([config, tmp_path / "table.csv", tmp_path / "iter_1.pth"], trust=True)
    rows = list(measure_rows(targets, FAST))
    assert [row.name for row in rows] == ["model.py", "Paper's", f"{tmp_path}/iter_1.pth"]
    assert [row.parameters for row in rows] == [420, 428, 420]
    assert [row.parameters_run for row in rows] == [20, 28, 20]
    assert [row.macs for row in rows] == [32 * 32 * 15, 32 * 32 * 21, 32 * 32 * 15]
    for row in rows:
        assert 0 < row.low <= row.latency <= row.high
        assert row.images_per_second == pytest.approx(1 / row.latency)
        assert row.memory is None or row.memory > 0
        assert row.cpu is not None and row.cpu > 0


def test_the_config_in_a_checkpoint_is_not_run_unless_it_is_trusted(tmp_path, run_tool):
    mark, file = tmp_path / "ran", tmp_path / "iter_1.pth"
    torch.save(dict(state_dict={}, meta=dict(cfg=f"import os\nos.mkdir({str(mark)!r})\n{CONFIG}")), file)
    with pytest.raises(ConfigError, match=r"iter_1\.pth: the config in a checkpoint is a program, which is not run"):
        read_targets([file])
    done = run_tool("speed", file, "--size", 32)
    assert done.returncode == 1 and "add --trust" in done.stderr and not mark.exists()
    read_targets([file], trust=True)
    assert mark.exists()


def test_options_reach_the_model(config):
    wide = SpeedOptions(size=32, runs=2, warmup=0, batch=4, bf16=True)
    (row,) = measure_rows(read_targets([config]), wide)
    assert row.images_per_second == pytest.approx(4 / row.latency)
    assert "bfloat16" in describe(wide) and "4 x 3 x 32 x 32" in describe(wide)
    assert "compiled" in describe(SpeedOptions(compile=True))


def test_whole_predictions_are_asked_for_by_the_mode(tmp_path):
    modes = []

    @MODELS.register_module(force=True)
    class WithModes(WithUnused):
        def forward(self, x, mode="tensor"):
            modes.append(mode)
            return super().forward(x)

    (tmp_path / "modes.py").write_text(CONFIG.replace("WithUnused", "WithModes"))
    options = SpeedOptions(size=32, runs=2, warmup=0, predict=True)
    list(measure_rows(read_targets([tmp_path / "modes.py"]), options))
    assert modes[-2:] == ["predict", "predict"] and modes[0] == "tensor" and "whole predictions" in describe(options)


def test_what_depends_on_values_is_counted_by_a_run(tmp_path):
    @MODELS.register_module(force=True)
    class WithRegions(WithUnused):
        def forward(self, x):
            return super().forward(x[..., : len((x == 0).flatten().nonzero()) % 7 + 1, :])

    (tmp_path / "regions.py").write_text(CONFIG.replace("WithUnused", "WithRegions"))
    (row,) = measure_rows(read_targets([tmp_path / "regions.py"]), SpeedOptions(size=32, runs=1, warmup=0))
    assert row.macs == (3 * 32 * 32 % 7 + 1) * 32 * 15 and row.parameters_run == 20


def test_a_table_shows_the_spread_and_the_papers_figures():
    row = SpeedRow("A", 4_379_320, 3_420_456, 13_860_000_000, 0.1, 0.09, 0.12, 10.0, 512.4, 0.2, 3.47, 15.37)
    *_, line = speed_table([row])
    assert line == "| A | 4.379 | 3.420 | 3.47 | 13.86 | 15.37 | 100.0 (90.0-120.0) | 200.0 | 10.0 | 512 |"


def test_the_exported_model_runs_in_onnx_runtime(config):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    options = SpeedOptions(size=32, runs=2, warmup=1, onnx=True)
    (row,) = measure_rows(read_targets([config]), options)
    assert row.macs == 32 * 32 * 15 and 0 < row.low <= row.latency <= row.high
    assert "ONNX Runtime" in describe(options)


def test_a_missing_onnx_runtime_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r'pip install "rsseg\[export\]"'):
        list(measure_rows(read_targets([config]), SpeedOptions(size=32, onnx=True)))


def test_what_cannot_be_measured_is_named(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "plain.pth")
    with pytest.raises(DataError, match=r"plain\.pth: holds no config"):
        read_targets([tmp_path / "plain.pth"])
    (tmp_path / "empty.py").write_text("a = 1\n")
    with pytest.raises(ConfigError, match="has no 'model'"):
        read_targets([tmp_path / "empty.py"])
    with pytest.raises(FileNotFoundError):
        read_targets([tmp_path / "none.pth"])


def test_the_peak_of_a_block_is_its_own():
    with peak_of_process() as small:
        pass
    with peak_of_process() as large:
        torch.ones(16, 1024, 1024)
    assert small.mebibytes is None or large.mebibytes - small.mebibytes > 32


def test_the_command_prints_a_table_and_says_how_it_counted(config, run_tool):
    name = "unet_efficientnet_lite0_scenes.py"
    done = run_tool("speed", config.parents[0] / name, "--size", 64)
    assert done.returncode == 1 and "no such file" in done.stderr
    import rsseg.packaged

    path = rsseg.packaged.packaged_root() / "configs" / "scenes" / name
    done = run_tool("speed", path, "--size", 64, "--runs", 2, "--warmup", 1, "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"][0]["parameters"] > 3e6 and "one multiply-add being one" in found["counted"]
