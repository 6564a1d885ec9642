"""What commands say beside their results: on stderr, never very many lines of one kind, in the form the user used."""

from __future__ import annotations

import ast
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rsseg.command_list import COMMANDS, command
from rsseg.completion import completion_script
from rsseg.io.progress import Progress
from rsseg.messages import few, results_apart, results_stream, show_log

REPO = Path(__file__).resolve().parents[1]


def test_of_many_lines_of_one_kind_the_first_ten_and_their_number(capsys):
    log = logging.getLogger("rsseg")
    with show_log():
        for i in range(49):
            log.warning("skipped: P%d.txt", i, extra={"all_in": "out/manifest.json"})
        for i in range(11):
            log.warning("left out: %d", i)
        for i in range(12):
            log.info("done %d", i)
    text, error = capsys.readouterr()
    lines = error.splitlines()
    assert not text
    assert lines[:10] == [f"skipped: P{i}.txt" for i in range(10)]
    assert [line for line in lines if line.startswith("done")] == [f"done {i}" for i in range(12)]
    assert lines[-2:] == [
        "... and 39 more like 'skipped: P0.txt'; all in out/manifest.json",
        "... and 1 more like 'left out: 0'",
    ]
    assert len(lines) == 10 + 10 + 12 + 2


def test_after_a_command_the_log_is_as_before():
    log = logging.getLogger("rsseg")
    before = log.level, log.propagate, list(log.handlers)
    with show_log():
        assert log.isEnabledFor(logging.INFO)
    assert (log.level, log.propagate, list(log.handlers)) == before


def test_results_go_to_stdout_and_all_else_to_stderr(capsys):
    with results_apart():
        print("a library speaks")
        results_stream().write("the result\n")
    assert capsys.readouterr() == ("the result\n", "a library speaks\n")
    assert results_stream() is sys.stdout


def test_long_lists_are_cut_and_say_where_the_rest_is():
    assert few("3 failed:", ["a", "b", "c"]) == "3 failed:\n  a\n  b\n  c"
    assert few("3 failed:", ["a", "b", "c"], "x.json", most=1) == "3 failed:\n  a\n  ... and 2 more; all in x.json"


def test_quiet_has_no_bar(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("RSSEG_QUIET", "1")
    with show_log():
        assert Progress(3, "work").bar is None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("rsseg train", "rsseg weights"),
        ("tools/train.py", "python tools/convert_weights.py"),
        ("/home/me/rsseg/tools/test.py", "python /home/me/rsseg/tools/convert_weights.py"),
        ("/their/mmseg/tools/train.py.py", "rsseg weights"),
        ("notebook", "rsseg weights"),
    ],
)
def test_messages_name_commands_as_the_user_does(monkeypatch, argv, said):
    monkeypatch.setattr(sys, "argv", [argv])
    assert command("weights") == said


def test_no_message_names_a_tool_whatever_the_user_typed():
    tools = re.compile(rf"tools/({'|'.join(COMMANDS.values())})\.py")
    wrong = []
    for path in sorted((REPO / "rsseg").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documents = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                wrong += [f"{path.name}:{node.lineno}: {found[0]}" for found in tools.finditer(node.value)]
    assert not wrong, "use rsseg.command_list.command\n" + "\n".join(wrong)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    from rsseg.cli import command_parser
    from rsseg.commands import make_parser

    path = tmp_path_factory.mktemp("shell") / "rsseg.bash"
    names = ("tile", "map", "scenes", "report map", "report labels")
    parsers = {name: command_parser(name) for name in names} | {"completion": make_parser("")}
    path.write_text(completion_script(parsers, "bash"))
    assert completion_script(parsers, "zsh").startswith("autoload -Uz compinit bashcompinit")
    return path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("rsseg ", {"--help", "--version", "tile", "map", "scenes", "report", "completion"}),
        ("rsseg re", {"report"}),
        ("rsseg report ", {"map", "labels"}),
        ("rsseg report map --im", {"--image"}),
        ("rsseg report labels a --ga", {"--gallery"}),
        ("rsseg map a b --bl", {"--blend"}),
        ("rsseg map a b --blend c", {"centre", "cosine"}),
        ("rsseg scenes hr", {"hrsc"}),
        ("rsseg tile some_fol", set()),
    ],
)
def test_the_shell_completes(script, words, found):
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _rsseg; echo "${COMPREPLY[@]}"'
    command = ["bash", "--norc", "-c", code, "_", str(script), *words.split(" ")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == found and not done.stderr
