"""The command ``rsseg``: what it offers, and what it says where a word is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rsseg
from rsseg import cli

REPO = Path(__file__).resolve().parents[2]


def _call(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["rsseg", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


def test_help_lists_every_command_by_what_it_is_for(monkeypatch, capsys):
    code, text, error = _call(monkeypatch, capsys, "--help")
    assert code == 0 and not error
    assert all(f"  {name} " in text for name in cli.COMMANDS)
    assert all(f"{group}:" in text for group in cli.GROUPS)
    assert max(map(len, text.splitlines())) <= 120


def test_nothing_at_all_shows_the_help_and_fails(monkeypatch, capsys):
    code, text, error = _call(monkeypatch, capsys)
    assert code == 2 and not text and error.startswith("usage: rsseg COMMAND")


def test_export_to_a_format_of_models_is_that_of_models(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(cli, "start", lambda name: started.append((name, sys.argv[1:])) or sys.exit(0))
    for words in (["a.py", "b.pth", "--to", "onnx"], ["a.py", "b.pth", "--to=openvino"], ["set", "--to", "coco"]):
        _call(monkeypatch, capsys, "export", *words)
    assert [name for name, _ in started] == ["export-model", "export-model", "export"]
    assert started[0][1] == ["a.py", "b.pth", "--to", "onnx"]


def test_version(monkeypatch, capsys):
    assert _call(monkeypatch, capsys, "--version") == (0, f"rsseg {rsseg.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mpa",), "rsseg: unknown command 'mpa'; did you mean 'rsseg map'? All commands: rsseg --help"),
        (("convert_label",), "did you mean 'rsseg convert'?"),
        (("report",), "rsseg report: say of what: rsseg report labels, rsseg report review, rsseg report map,"),
        (("report", "weather"), "rsseg report: say of what:"),
        (("qqq",), "rsseg: unknown command 'qqq' All commands"),
    ],
)
def test_a_wrong_word(monkeypatch, capsys, words, message):
    code, _, _ = _call(monkeypatch, capsys, *words)
    assert message in code


@pytest.mark.parametrize("words", [("tile", "--help"), ("help", "tile")])
def test_a_command_explains_itself_by_its_own_name(monkeypatch, capsys, words):
    code, text, _ = _call(monkeypatch, capsys, *words)
    assert code == 0 and text.startswith("usage: rsseg tile [-h]") and "rsseg tile IMAGES OUT" in text


def test_a_command_of_two_words_gets_the_rest(monkeypatch, capsys):
    code, _, error = _call(monkeypatch, capsys, "report", "map", "--nonsense")
    assert code == 2 and "rsseg report map: error:" in error


def test_without_the_environment_a_tool_says_what_to_do(tmp_path):
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-I", "-S", "-c", "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); "
               "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')",
               str(REPO / "tools"), str(REPO / "tools" / "train.py")]  # fmt: skip
    done = subprocess.run(command, env=bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "'numpy' is not installed" in done.stderr and "make setup" in done.stderr
    assert "Traceback" not in done.stderr
