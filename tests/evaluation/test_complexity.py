"""Parameters and multiply-adds: by hand, and those of OpenEarthMap's baselines beside the paper's cells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from rsseg.evaluation.complexity import (
    build_for_counting,
    count_multiply_adds,
    count_parameters,
    read_rows,
    table_lines,
)

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "openearthmap"
TABLE = FOLDER / "table3.csv"
# In millions, with the classes that the paper's cell counts.
MILLIONS = {
    "unet_vgg11": 18.255,
    "unet_r34": 24.437,
    "unet_effb4": 19.498,  # the paper's 20.304 less 0.806 of a last convolution that nothing uses
    "unet_effb4_plain": 19.420,
    "unetformer_rx101": 192.711,
    "ftunetformer_swin_b": 95.979,
    "deeplabv3_r50": 68.144,
    "fcn_hr48": 65.887,
    "upernet_vit_b16": 144.173,
    "upernet_swin_t": 59.942,
    "upernet_swin_b": 121.280,
    "segformer_b5": 81.972,
    "setr_pup_vit_l": 317.144,
    "setr_mla_vit_l": 309.350,
    "upernet_twins_l": 90.963,
    "upernet_convnext_b": 122.103,
    "knet_swin_b": 134.492,
    "knet_swin_l": 246.972,
}
OTHERS = {"unet_effb4", "unet_effb4_plain", "upernet_swin_b", "setr_pup_vit_l", "knet_swin_b"}


def _model(path: Path) -> str:
    return path.stem.removesuffix("_openearthmap")


@MODELS.register_module()
class TwoConvolutions(nn.Module):
    """3 to 4 channels at half the size, then the classes; the first layer reads a value while it is built."""

    def __init__(self, num_classes, norm_cfg=None, init_cfg=None):
        super().__init__()
        assert init_cfg is None and norm_cfg == dict(type="BN")
        assert torch.linspace(0, 1, 3)[1].item() == 0.5
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.last = nn.Conv2d(4, num_classes, 1)

    def forward(self, x):
        return self.last(self.first(x).relu())


CONFIG = """
model = dict(type="TwoConvolutions", num_classes=5, norm_cfg=dict(type="SyncBN"), init_cfg=dict(type="Pretrained"))
"""


def write(folder, table=None):
    (folder / "two.py").write_text(CONFIG)
    if table is not None:
        (folder / "table.csv").write_text(table)
    return folder / "table.csv"


@pytest.mark.usefixtures("mmseg_scope")
def test_counts_are_those_worked_out_by_hand():
    config = dict(type="TwoConvolutions", num_classes=5, norm_cfg=dict(type="SyncBN"), init_cfg=dict(type="Pretrained"))
    model = build_for_counting(config)
    assert config["norm_cfg"] == dict(type="SyncBN") and not model.training
    assert count_parameters(model) == 3 * 4 * 9 + 4 * 5 + 5
    assert count_multiply_adds(model, (6, 8)) == 3 * 4 * (3 * 4 * 9 + 4 * 5)
    assert count_parameters(build_for_counting(config, classes=7)) == 3 * 4 * 9 + 4 * 7 + 7


def test_a_table_shows_ours_beside_the_papers(tmp_path):
    table = write(tmp_path, "row,config,classes,params,flops\nTwo,two.py,7,1.5,\n")
    *_, line = table_lines(read_rows([table]), [1024])
    flops = 512 * 512 * 128 / 1e9  # 0.0336
    assert line == f"| Two | two.py | 0.000 | 0.000 (7) | 1.50 | {flops:.2f} |  |"
    *_, line = table_lines(read_rows([tmp_path / "two.py"]), [32, 64])
    assert line == "|  | two.py | 0.000 |  |  | 0.00 | 0.00 |  |"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("row,config,classes,params\n", "missing columns flops"),
        ("row,config,classes,params,flops\nA,none.py,,,\n", "line 2: config .* not found"),
        ("row,config,classes,params,flops\nA,two.py,,much,\n", "line 2: could not convert"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, table, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_rows([write(tmp_path, table)])


def test_missing_files_and_configs_without_a_model_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.py: no such file"):
        read_rows([tmp_path / "nothing.py"])
    (tmp_path / "empty.py").write_text("a = 1\n")
    with pytest.raises(ValueError, match="has no 'model'"):
        list(table_lines(read_rows([tmp_path / "empty.py"]), [32]))


def test_every_baseline_is_in_the_tables():
    rows = {_model(row.config) for row in read_rows([TABLE])}
    searched = {_model(row.config) for row in read_rows([FOLDER / "table4.csv"])}
    others = "_(from|few|pair|oracle|trial[12]|pretrain)_|_source_only_|^(daformer|deeplab_v2|eomt|mic|segearth_ov3?)_"
    files = {_model(path) for path in FOLDER.glob("*.py") if not re.search(others, path.stem)}
    assert rows == set(MILLIONS) and not rows & searched
    assert rows | searched == files


@pytest.mark.slow
@pytest.mark.parametrize("row", read_rows([TABLE]), ids=lambda row: _model(row.config))
def test_parameters_are_the_papers_or_another_models(row):
    config = Config.fromfile(row.config)
    init_default_scope(config.default_scope)
    millions = count_parameters(build_for_counting(config.model, row.classes)) / 1e6
    assert f"{millions:.3f}" == f"{MILLIONS[_model(row.config)]:.3f}"
    assert (abs(millions - row.params) < 0.006) == (_model(row.config) not in OTHERS)


def test_the_readme_has_what_the_command_prints():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for row in read_rows([TABLE]):
        found = re.search(rf"^\| {row.name} \| {row.config.name} \|.*$", text, re.MULTILINE)
        assert found and f"{MILLIONS[_model(row.config)]:.3f} ({row.classes})" in found[0]


def test_the_tool_prints_a_table(run_tool):
    done = run_tool("count_parameters", FOLDER / "unet_r34_openearthmap.py", "--sizes", 64)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("|  | unet_r34_openearthmap.py | 24.437 |")
