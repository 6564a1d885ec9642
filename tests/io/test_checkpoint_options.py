"""``--class-map`` and ``--trust-classes``: pairs from the command line, from files, and through the environment."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from rsseg.errors import ConfigError
from rsseg.io.checkpoint_options import ClassOptions, add_checkpoint_options, apply_checkpoint_options


def parse(*texts: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_checkpoint_options(parser)
    return parser.parse_args(texts)


def test_pairs_come_from_texts_and_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeff# old = new\n\nlow vegetation = grass\nclutter=\r\n".encode())
    (tmp_path / "b.json").write_text('{"car": "vehicle", "boat": null}', encoding="utf-8")
    args = parse("--class-map", "tree=forest", str(tmp_path / "a.txt"), str(tmp_path / "b.json"))
    pairs = ("tree", "forest"), ("low vegetation", "grass"), ("clutter", ""), ("car", "vehicle"), ("boat", "")
    assert ClassOptions.of(args) == ClassOptions(pairs)
    assert ClassOptions.of(parse()) == ClassOptions() and ClassOptions.of(parse("--trust-classes")).trust


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["=a"], "'=a': expected NAME=NAME"),
        (["a=b", "a=c"], "'a' of the checkpoint stands in two pairs"),
        (["bad.txt"], r"bad\.txt:2: 'no pair': expected NAME=NAME"),
        (["bad.json"], "must be a JSON object of names"),
        (["broken.json"], "cannot be read as JSON"),
        (["a=b", "--trust-classes"], "exclude each other"),
    ],
)
def test_what_is_no_pair_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.txt").write_text("a=b\nno pair\n")
    Path("bad.json").write_text('{"a": 1}')
    Path("broken.json").write_text("{")
    with pytest.raises(ConfigError, match=message):
        ClassOptions.of(parse("--class-map", *texts))
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such file"):
        ClassOptions.of(parse("--class-map", "gone.txt"))


def test_processes_and_hooks_read_them_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RSSEG_TRUST", "RSSEG_CLASS_MAP", "RSSEG_TRUST_CLASSES"):
        monkeypatch.delenv(name, raising=False)
    assert ClassOptions.of_environment() == ClassOptions()
    apply_checkpoint_options(parse("--class-map", "a=b", "ü="))
    assert ClassOptions.of_environment() == ClassOptions((("a", "b"), ("ü", "")))
    monkeypatch.setenv("RSSEG_CLASS_MAP", "")
    apply_checkpoint_options(parse("--trust-classes"))
    assert ClassOptions.of_environment() == ClassOptions(trust=True)
    monkeypatch.setenv("RSSEG_CLASS_MAP", "a=b")
    with pytest.raises(ConfigError, match="must be a JSON list of pairs"):
        ClassOptions.of_environment()
