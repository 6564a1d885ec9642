"""The reference pages, made from what they describe: parsers, docstrings of configs, class tables, public names."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from docs.hooks.links import ROOT
from rsseg.cli import GROUPS, command_parser

_OF_ALL = ("--help", "--debug", "--quiet", "--json", "--max-pixels")
_COMMANDS_HEAD = """# Commands

`rsseg NAME` and `python tools/FILE.py` are the same commands. Results go to stdout, all else to stderr.
The exit status is 0; 1 where something could not be done; 2 for wrong arguments; 130 after Ctrl-C.

All commands have these options (`--json` only where there is a result):
"""
_CONFIGS_HEAD = """# Configs

A click on a config shows its command, the expected result, its cost, and where it departs from its paper.
`configs/FOLDER/NAME.py` and `rsseg::FOLDER/NAME.py` name it for all commands; the latter is a `_base_` from any folder.
"""
_API_HEAD = """# Python API

`import rsseg` offers these names. It loads neither torch nor the MM stack; a name that needs them imports them.
"""


def commands_page() -> str:
    """All commands with their options."""
    lines = [_COMMANDS_HEAD]
    lines += _options_table(command_parser("check"), shared=True)
    for group, commands in GROUPS.items():
        lines += ["", f"## {group}"]
        for name, (module, what) in commands.items():
            parser = command_parser(name)
            text = _escape(what[0].upper() + what[1:])
            lines += ["", f"### rsseg {name}", "", f"{text}. The same as `python tools/{module}.py`.", ""]
            lines += _fenced((parser.description or "").strip())
            lines += ["", *_options_table(parser)]
    return "\n".join(lines) + "\n"


def _options_table(parser: argparse.ArgumentParser, shared: bool = False) -> list[str]:
    rows = ["| option | value | meaning |", "|---|---|---|"]
    formatter = parser._get_formatter()
    for action in parser._actions:
        if shared is not any(option in _OF_ALL for option in action.option_strings):
            continue
        names = ", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`"
        value = ""
        if action.option_strings and action.nargs != 0:
            value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
        value = " \\| ".join(map(str, action.choices)) if action.choices else _escape(value)
        rows.append(f"| {names} | {value} | {_escape(formatter._expand_help(action) if action.help else '')} |")
    return rows if len(rows) > 2 else []


def configs_page() -> str:
    """Every config that can be run, with its docstring."""
    lines = [_CONFIGS_HEAD]
    for folder in sorted(path for path in (ROOT / "configs").iterdir() if path.is_dir() and path.name[0] != "_"):
        lines += [f"## {folder.name}", ""]
        for path in sorted(folder.glob("*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            head, _, rest = text.partition("\n\n")
            title = _escape(" ".join(head.split())).replace('"', "'")
            lines += [f'??? abstract "`{path.name}`: {title}"', ""]
            lines += [f"    {line}".rstrip() for line in _fenced(rest.strip() or head)] + [""]
    return "\n".join(lines) + "\n"


def classes_page() -> str:
    """Every class table with its colours and values."""
    lines = ["# Class tables", "", "A class table says once which value of a label file is which class, and its colour "
             "(`rsseg/metainfo/*.json`). `rsseg.load_metainfo(NAME)` reads it.", ""]  # fmt: skip
    for path in sorted((ROOT / "rsseg" / "metainfo").glob("*.json")):
        table = json.loads(path.read_text(encoding="utf-8"))
        offset, ignored = table.get("label_offset", 0), ", ".join(map(str, table.get("ignore", []))) or "none"
        about = f"{table['name']}, {len(table['categories'])} classes. Source: {_escape(table['source'])}."
        lines += [f"## {path.stem}", "", f"{about} Ignored values besides 255: {ignored}.", ""]
        lines += ["| id | class | value in the files | colour |", "|---:|---|---:|---|"]
        for row in table["categories"]:
            raw = ", ".join(map(str, row["raw"])) if "raw" in row else str(row["id"] + offset)
            swatch = f'<span class="swatch" style="background:{row["color"]}"></span> `{row["color"]}`'
            lines.append(f"| {row['id']} | {_escape(row['name'])} | {raw} | {swatch} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """The public names of the package, for mkdocstrings."""
    lines = [_API_HEAD]
    for module, names in _public_names().items():
        lines += [f"## rsseg.{module}", ""]
        for name in names:
            lines += [f"::: {_defined_in(module, name)}.{name}", ""]
    return "\n".join(lines) + "\n"


def _public_names() -> dict[str, list[str]]:
    tree = ast.parse((ROOT / "rsseg" / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_NAMES"
    ]
    return ast.literal_eval(values[0])


def _defined_in(module: str, name: str) -> str:
    """The module that defines a public name of ``rsseg.module``; packages only pass names on."""
    place = ROOT / "rsseg" / Path(*module.split("."))
    files = [place.with_suffix(".py")] if place.with_suffix(".py").is_file() else sorted(place.rglob("*.py"))
    for path in files:
        if any(name == found for found in _definitions(path)):
            return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    raise ValueError(f"rsseg.{module}: no module defines {name}")


def _definitions(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name


def _fenced(text: str) -> list[str]:
    return ["```text", *text.splitlines(), "```"] if text else []


def _escape(text: str) -> str:
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text.replace("\n", " "))
