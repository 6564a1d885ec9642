"""The code blocks of the documents, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELL = ("", "bash")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (run|file: \S+) -->$")
_COMMAND = r"(?:rsseg |python -m rsseg |python tools/|(?:\$TOOLS|tools)/(?:dist|slurm)_)"
_INLINE = re.compile(rf"`({_COMMAND}[^`]* [^`]+)`")
_LINE = re.compile(rf"^\s*({_COMMAND}.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document.

    Attributes:
        line: Its first line, from 1.
        language: What stands behind the fence.
        text: Its lines.
        start, end: Its place in the text, with the fences.
        run: It stands behind the comment ``<!-- run -->``.
        file: Name in the comment ``<!-- file: NAME -->`` before it.
    """

    line: int
    language: str
    text: str
    start: int
    end: int
    run: bool
    file: str


def read_blocks(text: str) -> list[Block]:
    """All fenced blocks of a Markdown text."""
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()].rstrip())
        indent = len(match[1])
        body = "".join(line[indent:] or "\n" for line in match[3].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        kind = mark[1] if mark else ""
        found.append(Block(line, match[2], body, *match.span(), kind == "run", kind.partition("file: ")[2]))
    return found


def markdown_commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line and words of each command of rsseg in a Markdown text; in inline code it may be a part, and ends in ..."""
    for block in read_blocks(text):
        if block.language in SHELL:
            for line, words in split_commands(block.text):
                yield block.line + line, words
    text = _FENCE.sub(lambda fence: re.sub(r"[^\n]", "", fence[0]), text)
    for match in _INLINE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, [*_words(match[1].replace("\n", " ")), "..."]


def docstring_commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line and words of each command of rsseg that stands on a line of its own in a docstring."""
    joined = re.sub(r"\n +(?=\[?--)", " ", re.sub(r"\\\n *", "", text))
    for match in _LINE.finditer(joined):
        if not match[1].rstrip().endswith((".", ";", ":", ",")) and ", " not in match[1].split('"')[0]:
            yield joined.count("\n", 0, match.start()) + 1, _words(match[1])


def split_commands(code: str) -> Iterator[tuple[int, list[str]]]:
    """Line and words of each command of rsseg in shell code."""
    line = 1
    for raw in re.split(r"(?<!\\)\n", code):
        if re.match(r"\s*(?:\w+=\S+ )*(?:\w+=\$\()?" + _COMMAND, raw):
            yield line, _words(raw.replace("\\\n", " "))
        line += raw.count("\n") + 1


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while re.match(r"[A-Z]\w*=", words[0]):  # variables of the environment
        words.pop(0)
    ends = [i for i, word in enumerate(words) if word in ("|", "&&", ";", ">", "&")]
    return words[: ends[0]] if ends else words


def repository_paths(text: str, root: Path) -> Iterator[str]:
    """Paths of files of the repository that a text names and that are not there."""
    for name in re.findall(r"(?<![\w/.:-])(?:configs|tools|requirements|docs|tests|rsseg)/[\w/.{},*-]+", text):
        for path in _expand(name.rstrip(".,")):
            if not re.search(r"myset|mine|own|/x\b|\.mim", path) and not any(root.glob(path.rstrip("/"))):
                yield path


def _expand(name: str) -> list[str]:
    found = re.search(r"\{([^{}]*)\}", name)
    if found is None:
        return [name]
    return [
        each for part in found[1].split(",") for each in _expand(name[: found.start()] + part + name[found.end() :])
    ]
