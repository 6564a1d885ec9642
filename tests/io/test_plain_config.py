"""Configs from the hub are settings: what they may hold, and what is refused before anything is run."""

from __future__ import annotations

import pytest

from rsseg.errors import ConfigError
from rsseg.io.plain_config import parse_settings, read_plain

PLAIN = """default_scope = 'mmseg'
custom_imports = dict(imports=['rsseg.models'], allow_failed_imports=False)
model = dict(type='Segmentor', size=(64, -1), lr=-1e-4, none=None, flags=[True, {'a': 1.5, 3: ('x', )}])
norm = dict(norm_type=2)
nodes = dict({'0': dict(taps=[1])})
"""


def test_plain_settings_are_read_with_their_types(tmp_path):
    (tmp_path / "config.py").write_text(PLAIN)
    config = read_plain(tmp_path / "config.py")
    model = {"type": "Segmentor", "size": (64, -1), "lr": -1e-4, "none": None, "flags": [True, {"a": 1.5, 3: ("x",)}]}
    assert config.model.to_dict() == model and config.norm.norm_type == 2
    assert config.nodes == {"0": {"taps": [1]}}, "so mmengine writes keys that are no names"


REFUSED = {
    "import os": "line 1 is no line 'name = value'",
    "a = __import__('os').system('x')": r"has \"__import__\('os'\).system\('x'\)\" in line 1, which is no plain value",
    "a = 1 + 2": "which is no plain value",
    "a = dict(**b)": "which is no plain value",
    "a = list(b=1)": "which is no plain value",
    "a = dict([('a', 1)])": "which is no plain value",
    "a = f'{b}'": "which is no plain value",
    "a = [x for x in (1,)]": "which is no plain value",
    "a = -True_": "which is no plain value",
    "a = b'x'": "which is no plain value",
    "a.b = 1": "line 1 is no line",
    "a = {[1]: 2}": "unhashable type: 'list'",
    "a = (": "is no Python .*was never closed",
    f"a = {'[' * 250}{']' * 250}": "too many nested",
}


@pytest.mark.parametrize("text", REFUSED)
def test_programs_are_refused(text):
    with pytest.raises(ConfigError, match=f"x.py:.*{REFUSED[text]}.*--trust"):
        parse_settings(text, "x.py")


LEADING = {
    "model = dict(type='os.system', command='x')": "has the type 'os.system'",
    "model = dict(head=[dict(type='mmengine.fileio.load')])": "has the type 'mmengine.fileio.load'",
    "custom_imports = dict(imports=['antigravity'])": "imports 'antigravity'",
    "custom_imports = dict(imports='os.path')": "imports 'os.path'",
    "_base_ = ['other.py']": "has _base_",
    "default_scope = 'os'": "has default_scope='os'",
}


@pytest.mark.parametrize("text", LEADING)
def test_settings_that_lead_elsewhere_are_refused(tmp_path, text):
    (tmp_path / "config.py").write_text(text)
    with pytest.raises(ConfigError, match=f"config.py: configs from the hub .*{LEADING[text]}. .*--trust"):
        read_plain(tmp_path / "config.py")
