"""Every command in README, documents, configs and help texts exists, and takes the options it is given."""

import argparse
import ast
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from docs.hooks.blocks import docstring_commands, markdown_commands, read_blocks, repository_paths, split_commands
from rsseg.cli import COMMANDS, command_parser
from rsseg.engine.launch import ConfigOptions

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "data/*.md", "configs/**/*.md")
    for path in REPO.glob(pattern)
    if path.name != "CHANGELOG.md"  # tells what commands were called once
)
TOOLS = {f"python tools/{module}.py": name for name, module in COMMANDS.items()}
SCRIPTS = {  # words before the arguments of the command, and which of them the command gets
    "dist_train.sh": ("train", 2, [0]),
    "dist_test.sh": ("test", 3, [0, 1]),
    "dist_convert.sh": ("convert", 2, [0]),
    "dist_map.sh": ("map", 1, []),
    "slurm_train.sh": ("train", 4, [2]),
    "slurm_convert.sh": ("convert", 3, [2]),
    "slurm_map.sh": ("map", 2, []),
}
PLACEHOLDERS = {"N": "1", "METRES": "1", "LOW,HIGH": "0,1"}


class _WrongOption(Exception):
    pass


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    raise _WrongOption(message)


@pytest.fixture(scope="module")
def parsers() -> Iterator[dict[str, argparse.ArgumentParser]]:
    """Parser of each command; options of configs are only checked for their form, which needs no mmengine."""

    def check_pairs(
        self: Any, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        if wrong := [value for value in values if "=" not in value]:
            raise _WrongOption(f"{option}: {wrong[0]!r} is not of the form key=value")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigOptions, "__call__", check_pairs)
        patch.setattr(argparse.ArgumentParser, "error", _refuse)
        patch.syspath_prepend(REPO / "tools")
        found = {name: command_parser(name) for name in COMMANDS}
        found["benchmark"] = _benchmark_parser(patch)
        yield found


def _benchmark_parser(patch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    found: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *args: object) -> NoReturn:
        found.append(parser)
        raise SystemExit

    with patch.context() as inner:
        inner.setattr(argparse.ArgumentParser, "parse_args", stop)
        inner.setattr(sys, "argv", ["tools/benchmark.py"])
        with pytest.raises(SystemExit):
            runpy.run_path(str(REPO / "tools" / "benchmark.py"), run_name="__main__")
    return found[0]


def _split(words: list[str]) -> tuple[str, list[str]]:
    """Command and arguments of a command line."""
    if words[:3] == ["python", "-m", "rsseg"]:
        words = ["rsseg", *words[3:]]
    if words[0] == "rsseg":
        for count in (2, 1):
            if (name := " ".join(words[1 : count + 1])) in COMMANDS:
                return name, words[count + 1 :]
        return words[1], words[2:]
    if words[0] == "python":
        tool = f"python {words[1]}"
        return ("benchmark" if tool.endswith("/benchmark.py") else TOOLS[tool]), words[2:]
    name, count, kept = SCRIPTS[words[0].rpartition("/")[2]]
    return name, [*(words[1:][i] for i in kept), *words[1 + count :]]


def _plain(words: list[str]) -> list[str]:
    """Arguments without the brackets and alternatives of a usage line."""
    plain = []
    for word in words:
        if word.startswith("[") or (word.endswith("]") and "[" not in word):
            word = word.strip("[]")
        if re.fullmatch(r"[\w-]+(\|[\w-]+)+", word):
            word = word.split("|")[0]
        if word not in ("", "..."):
            plain.append(PLACEHOLDERS.get(word, re.sub(r"=N$", "=1", word)))
    return plain


def _check(words: list[str], parsers: dict[str, argparse.ArgumentParser]) -> None:
    name, arguments = _split(words)
    if name in ("--help", "--version", "help", "NAME", "COMMAND"):
        return
    assert name in parsers, f"there is no command {name!r}"
    known = {option for action in parsers[name]._actions for option in action.option_strings}
    unknown = [word for word in _plain(arguments) if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known]
    assert not unknown, f"{name} has no option {unknown[0]}"
    if "--help" in arguments or "..." in arguments:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse._HelpAction, "__call__", lambda *_: None)
        patch.setenv("RSSEG_DEBUG", "0")
        patch.setenv("RSSEG_JSON", "0")
        try:
            parsers[name].parse_args(_plain(arguments))
        except _WrongOption as error:
            pytest.fail(f"{name}: {error}", pytrace=False)


def _try(where: str, words: list[str], parsers: dict[str, argparse.ArgumentParser], wrong: list[str]) -> None:
    try:
        _check(words, parsers)
    except (AssertionError, KeyError, IndexError, pytest.fail.Exception) as error:
        wrong.append(f"{where}: {' '.join(words)}\n    {type(error).__name__}: {error}")


def test_commands_of_the_documents(parsers: dict[str, argparse.ArgumentParser]) -> None:
    wrong: list[str] = []
    seen = 0
    for path in DOCUMENTS:
        for line, words in markdown_commands(path.read_text(encoding="utf-8")):
            seen += 1
            _try(f"{path.relative_to(REPO)}:{line}", words, parsers, wrong)
    assert seen > 100
    assert not wrong, "\n".join(wrong)


def test_commands_of_configs_and_help_texts(parsers: dict[str, argparse.ArgumentParser]) -> None:
    wrong: list[str] = []
    seen = 0
    for folder in ("configs", "rsseg/cli", "tools"):
        for path in sorted((REPO / folder).rglob("*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            for line, words in docstring_commands(text):
                seen += 1
                _try(f"{path.relative_to(REPO)}:{line}", words, parsers, wrong)
    assert seen > 150
    assert not wrong, "\n".join(wrong)


def test_paths_of_the_documents_exist() -> None:
    wrong = [
        f"{path.relative_to(REPO)}: {name}"
        for path in DOCUMENTS
        for name in repository_paths(path.read_text(encoding="utf-8"), REPO)
    ]
    assert not wrong, "\n".join(wrong)


def test_tools_and_documents_that_messages_name_exist() -> None:
    wrong = []
    for path in sorted((REPO / "rsseg").rglob("*.py")):
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if not re.search("BboxToolkit|tools/{", line)
        ]
        named = repository_paths("\n".join(lines), REPO)
        wrong += [f"{path.relative_to(REPO)}: {name}" for name in named if re.match(r"(docs|tools)/.*\.\w+$", name)]
    assert not wrong, "\n".join(wrong)


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (path.relative_to(REPO).as_posix(), target)
        for path in DOCUMENTS
        for target in re.findall(r"(?:^|`)make (?:-s )?([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert ("README.md", "demo") in named
    assert not sorted(each for each in named if each[1] not in targets)


def test_the_readme_is_short() -> None:
    assert len((REPO / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_commands_are_found_and_wrong_ones_refused(parsers: dict[str, argparse.ArgumentParser]) -> None:
    text = (
        "`rsseg tile A B --size 3`\n\n```bash\nX=1 python tools/tile_images.py A \\\n    B --sise 3   # cut\nls\n```\n"
    )
    (_, first), (line, inline) = markdown_commands(text)
    assert (
        first == ["python", "tools/tile_images.py", "A", "B", "--sise", "3"]
        and inline[-2:] == ["3", "..."]
        and line == 1
    )
    _check(inline, parsers)
    for wrong in (first, ["rsseg", "tile", "A"], ["rsseg", "tile", "A", "B", "--size", "x"], ["rsseg", "tiles", "A"]):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            _check(wrong, parsers)
    assert [block.run for block in read_blocks(f"<!-- run -->\n```bash\nls\n```\n{text}")] == [True, False]
    assert list(split_commands("ls\nrsseg map A B\n")) == [(2, ["rsseg", "map", "A", "B"])]
    assert list(repository_paths("configs/{samrs,nowhere}/*.py", REPO)) == ["configs/nowhere/*.py"]
