"""A script for the shell that completes commands, options and choices.

It is made here instead of by a package such as argcomplete: a word is completed at once, without a start of Python,
and nothing has to be installed.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping

__all__ = ["completion_script"]

_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"
_SCRIPT = """\
# Made by 'rsseg completion'; make it again after an update of rsseg.
_rsseg() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} name=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W {first} -- "$cur"))
        return
    fi
    case "$name" in
{seconds}
    esac
    case "$name:$prev" in
{choices}
    esac
    if [ -z "$words" ]; then
        case "$name:$cur" in
{options}
        esac
    fi
    [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _rsseg rsseg
"""


def completion_script(parsers: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """The script.

    Args:
        parsers: Parser of each command, by its name; a name may have two words.
        shell: ``bash`` or ``zsh``.
    """
    first = list(dict.fromkeys(["--help", "--version", *(name.split()[0] for name in parsers)]))
    script = _SCRIPT.format(
        first=shlex.quote(" ".join(first)),
        seconds="\n".join(_second_words(list(parsers))),
        choices="\n".join(line for name, parser in parsers.items() for line in _choices(name, parser)),
        options="\n".join(line for name, parser in parsers.items() for line in _options(name, parser)),
    )
    return (_ZSH if shell == "zsh" else "") + script.rstrip("\n")


def _second_words(names: list[str]) -> list[str]:
    """Lines for names of two words: complete the second, or make it part of the command's name."""
    lines = []
    for first in dict.fromkeys(name.split()[0] for name in names if " " in name):
        second = [name.split()[1] for name in names if name.startswith(f"{first} ")]
        lines += [
            f"        {first})",
            f'            [ "$COMP_CWORD" -eq 2 ] && words={shlex.quote(" ".join(second))}',
            f'            [ "$COMP_CWORD" -gt 2 ] && name="{first} ${{COMP_WORDS[2]}}";;',
        ]
    return lines


def _choices(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    for action in parser._actions:
        if action.choices and action.option_strings:
            values = shlex.quote(" ".join(map(str, action.choices)))
            options = "|".join(f"{shlex.quote(f'{name}:{option}')}" for option in action.option_strings)
            lines.append(f"        {options}) words={values};;")
    return lines


def _options(name: str, parser: argparse.ArgumentParser) -> list[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    options = [option for action in shown for option in action.option_strings if option.startswith("--")]
    lines = [f"            {shlex.quote(f'{name}:-')}*) words={shlex.quote(' '.join(options))};;"]
    values = [str(value) for action in shown if not action.option_strings for value in action.choices or ()]
    if values:
        lines.append(f"            {shlex.quote(f'{name}:')}*) words={shlex.quote(' '.join(values))};;")
    return lines
