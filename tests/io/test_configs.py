"""Reading configs: what is wrong in one is told by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsseg.errors import ConfigError
from rsseg.io.configs import merge_options, read_config


def test_a_config_with_base_and_options(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("model = dict(type='A', depth=1)\nsteps = [dict(x=1), dict(x=2)]\n")
    (tmp_path / "leaf.py").write_text("_base_ = 'base.py'\nmodel = dict(depth=2)\n")
    config = read_config(tmp_path / "leaf.py", {"model.width": 3, "steps.1.x": 3})
    assert config.model == dict(type="A", depth=2, width=3) and config.steps == [dict(x=1), dict(x=3)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = (", "SyntaxError"),
        ("_base_ = 'nowhere.py'", "nowhere.py"),
        ("x = y", "y"),
        ("custom_imports = dict(imports=['no_such_module'])", "no_such_module"),
        ("x = 1 / 0", "division by zero"),
    ],
)
def test_what_is_wrong_in_a_config_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "leaf.py").write_text(text)
    with pytest.raises(ConfigError, match=rf"leaf.py: cannot be read as a config \(.*{reason}"):
        read_config(tmp_path / "leaf.py")


def test_a_missing_config_and_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.py: no such config file"):
        read_config(tmp_path / "nowhere.py")
    (tmp_path / "leaf.py").write_text("names = ['a']\nnumber = 3\n")
    with pytest.raises(ConfigError, match=r"leaf.py cannot take these options, names.7"):
        read_config(tmp_path / "leaf.py", {"names.7": "c"})
    config = read_config(tmp_path / "leaf.py")
    with pytest.raises(ConfigError, match=r"cannot take these options, number\.x"):
        merge_options(config, {"number.x": 1}, "leaf.py")
