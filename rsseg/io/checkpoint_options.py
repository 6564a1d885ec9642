"""Options of every command that loads a checkpoint; reading them imports neither torch nor the MM stack.

Hooks and the processes that a command starts read them from the environment.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError
from rsseg.io.trust import TRUST_VARIABLE

__all__ = [
    "CLASS_MAP_VARIABLE",
    "TRUST_CLASSES_VARIABLE",
    "ClassOptions",
    "add_checkpoint_options",
    "apply_checkpoint_options",
]

CLASS_MAP_VARIABLE = "RSSEG_CLASS_MAP"
"""Environment variable that ``--class-map`` sets: a JSON list of pairs of names."""
TRUST_CLASSES_VARIABLE = "RSSEG_TRUST_CLASSES"
"""Environment variable that ``--trust-classes`` sets to 1."""
_EXPECTED = "expected NAME=NAME, a class of the checkpoint and the config's name for it ('NAME=' leaves it out)"


@dataclass(frozen=True)
class ClassOptions:
    """What to do where a checkpoint has other classes than the config.

    Attributes:
        pairs: A checkpoint's class and the config's class that it stands for; an empty second name leaves it out.
        trust: Load the weights as they are, class by class in the order of the file.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    trust: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> ClassOptions:
        """Of the arguments of a command.

        Raises:
            ConfigError: A pair cannot be read, or both options are given.
            FileNotFoundError: A name without ``=`` is no file.
        """
        pairs = read_class_map(getattr(args, "class_map", None) or ())
        trust = bool(getattr(args, "trust_classes", False))
        if pairs and trust:
            raise ConfigError("--class-map and --trust-classes exclude each other; give one of them")
        return cls(pairs, trust)

    @classmethod
    def of_environment(cls) -> ClassOptions:
        """Of the environment, where :func:`apply_checkpoint_options` puts them.

        Raises:
            ConfigError: ``RSSEG_CLASS_MAP`` is no JSON list of pairs.
        """
        text = os.environ.get(CLASS_MAP_VARIABLE) or "[]"
        try:
            pairs = tuple((str(old), str(new)) for old, new in json.loads(text))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{CLASS_MAP_VARIABLE}={text!r}: must be a JSON list of pairs of names") from error
        return cls(pairs, os.environ.get(TRUST_CLASSES_VARIABLE) == "1")


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust``, ``--class-map`` and ``--trust-classes``."""
    add = parser.add_argument
    add("--trust", action="store_true", help="allow checkpoint files to run code while they load")
    add("--class-map", nargs="+", metavar="NAME=NAME", help="where a checkpoint has other classes than the config: "
        "pairs of its name and the config's ('NAME=' leaves it out), or a file with one pair per line")  # fmt: skip
    add("--trust-classes", action="store_true",
        help="load a checkpoint with other classes than the config as it is, class by class in its order")  # fmt: skip


def apply_checkpoint_options(args: argparse.Namespace) -> None:
    """Put the options into the environment, where hooks and started processes find them.

    Raises:
        UserError: As for :meth:`ClassOptions.of`.
        FileNotFoundError: As there.
    """
    options = ClassOptions.of(args)
    given = {TRUST_VARIABLE: "1" if args.trust else "", TRUST_CLASSES_VARIABLE: "1" if options.trust else ""}
    given[CLASS_MAP_VARIABLE] = json.dumps(options.pairs) if options.pairs else ""
    os.environ.update({name: value for name, value in given.items() if value})


def read_class_map(items: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of names from ``NAME=NAME`` texts and files of them.

    Args:
        items: Texts with ``=``; others are files, with one pair per line (empty lines and ``#`` are passed over) or a
            JSON object of names.

    Raises:
        ConfigError: A pair cannot be read, or a class stands in two of them.
        FileNotFoundError: There is no such file.
    """
    pairs: list[tuple[str, str]] = []
    for item in items:
        if "=" in item and not Path(item).is_file():
            pairs.append(_pair(item, "--class-map"))
        else:
            pairs += _file_pairs(Path(item))
    twice = [old for i, (old, _) in enumerate(pairs) if old in dict(pairs[:i])]
    if twice:
        raise ConfigError(f"--class-map: the class {twice[0]!r} of the checkpoint stands in two pairs; keep one")
    return tuple(pairs)


def _file_pairs(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"--class-map {path}: no such file; {_EXPECTED}, or a file with one pair per line")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content: Any = json.loads(text) if text.lstrip().startswith("{") else None
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read as JSON or text in UTF-8 ({error})") from error
    if content is not None:
        if not all(isinstance(value, str | None) for value in content.values()):
            raise ConfigError(f'{path}: must be a JSON object of names, such as {{"car": "vehicle"}}')
        return [(old, new or "") for old, new in content.items()]
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return [_pair(line, f"{path}:{i}") for i, line in lines if line and not line.startswith("#")]


def _pair(text: str, where: str) -> tuple[str, str]:
    old, sign, new = (part.strip() for part in text.partition("="))
    if not (old and sign):
        raise ConfigError(f"{where}: {text!r}: {_EXPECTED}")
    return old, new
