"""The command ``rsseg``: ``rsseg convert ...``, ``rsseg train ...``, ``rsseg map ...``.

Each command is a module here with a ``main()``; ``tools/*.py`` start the same ones.  Nothing is imported before it is
needed, so that ``rsseg --help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rsseg.command_list import COMMANDS, GROUPS
from rsseg.commands import run_tool
from rsseg.interruption import AGAIN

__all__ = ["COMMANDS", "GROUPS", "command_parser", "main", "start"]

_MODEL_FORMATS = {"onnx", "openvino", "--to=onnx", "--to=openvino"}
"""What ``rsseg export --to`` makes of a model; its other formats are those of labels."""


def main() -> NoReturn:
    """Run the command that the command line names."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        if words[1:]:
            _run([*words[1:], "--help"])
        (sys.stdout if words else sys.stderr).write(_help())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        from rsseg import __version__

        sys.stdout.write(f"rsseg {__version__}\n")
        sys.exit(0)
    _run(words)


def start(name: str) -> NoReturn:
    """Run one command with the arguments of this process.

    Args:
        name: A key of ``COMMANDS``.
    """
    again = "run the same command with --resume to continue" if name in ("train", "search") else AGAIN
    run_tool(lambda: importlib.import_module(f"rsseg.cli.{COMMANDS[name]}").main(), again)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, without running the command; for the reference pages and the tests of the documents.

    Args:
        name: A key of ``COMMANDS``.
    """
    from unittest import mock

    found: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *args: object) -> NoReturn:
        found.append(parser)
        raise SystemExit

    module = importlib.import_module(f"rsseg.cli.{COMMANDS[name]}")
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
        mock.patch.object(sys, "argv", [f"rsseg {name}"]),
        mock.patch.dict(os.environ),
    ):
        try:
            module.main()
        except SystemExit:
            return found[0]
    raise RuntimeError(f"rsseg.cli.{COMMANDS[name]} reads no arguments")


def _run(words: Sequence[str]) -> NoReturn:
    if words[0] == "export" and not _MODEL_FORMATS.isdisjoint(words):
        words = ["export-model", *words[1:]]
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in COMMANDS:
            sys.argv = [f"rsseg {name}", *words[count:]]
            start(name)
    sys.exit(_unknown(words))


def _unknown(words: Sequence[str]) -> str:
    several = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if several:
        return f"rsseg {words[0]}: say of what: {', '.join(f'rsseg {name}' for name in several)}"
    old = {module: name for name, module in COMMANDS.items()}
    close = difflib.get_close_matches(words[0], [*COMMANDS, *old], n=1)
    hint = f"; did you mean 'rsseg {old.get(close[0], close[0])}'?" if close else ""
    return f"rsseg: unknown command {words[0]!r}{hint} All commands: rsseg --help"


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: rsseg COMMAND [arguments]", "", "Remote-sensing segmentation: from detection boxes to maps.", ""]
    for group, commands in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:{width}}{what}" for name, (_, what) in commands.items()), ""]
    lines += ["Options and examples of one command: rsseg COMMAND --help.  Version: rsseg --version.", ""]
    return "\n".join(lines)
