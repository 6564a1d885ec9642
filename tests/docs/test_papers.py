"""docs/papers.md: every table and figure of the four papers has a row; no cell is empty, and every command is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docs.hooks.blocks import markdown_commands, repository_paths
from rsseg.cli import COMMANDS

REPO = Path(__file__).resolve().parents[2]
TEXT = (REPO / "docs" / "papers.md").read_text(encoding="utf-8")
ITEMS = {"SAMRS": (9, 10), "OpenEarthMap": (7, 10), "GSNet": (4, 5), "BigEarthNet": (4, 2)}
"""Tables and figures of each paper."""


def _rows() -> Iterator[tuple[str, list[str]]]:
    """Paper, and the cells of each row."""
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        paper = part.partition("\n")[0]
        for line in part.splitlines():
            if line.startswith("| ") and not line.startswith(("| item", "| ---")):
                yield paper, [cell.strip() for cell in line.strip("|").split(" | ")]


def _numbers(item: str) -> Iterator[tuple[str, int]]:
    """Kind and number of what a row is about: ``Tables 7 and 8: ...`` gives both."""
    kind, rest = re.match(r"(Table|Figure|Section)s? ([\d, and]+):", item).groups()  # type: ignore[union-attr]
    yield from ((kind, int(number)) for number in re.findall(r"\d+", rest))


def test_every_table_and_figure_has_a_row() -> None:
    found = {(paper, *each) for paper, cells in _rows() for each in _numbers(cells[0])}
    kinds = ("Table", "Figure")
    expected = {
        (paper, kind, n)
        for paper, counts in ITEMS.items()
        for kind, count in zip(kinds, counts, strict=True)
        for n in range(1, count + 1)
    }
    assert expected <= found
    assert {each for each in found if each[1] != "Section"} == expected


def test_no_cell_is_empty_and_every_row_has_a_command() -> None:
    for paper, cells in _rows():
        assert len(cells) == 3 and all(len(cell) > 10 for cell in cells), f"{paper}: {cells[0]}"
        commands = [words for _, words in markdown_commands(cells[1])]
        assert commands, f"{paper}: {cells[0]} has no command"
        for words in commands:
            names = (" ".join(words[1:3]), words[1])
            assert words[0] == "rsseg" and any(name in COMMANDS for name in names), words
            for word in words:
                if word.startswith("configs/"):
                    assert (REPO / word).exists(), f"{paper}: {cells[0]}: {word} does not exist"
    assert not list(repository_paths(TEXT, REPO))


def test_every_grid_is_in_the_table() -> None:
    grids = {path.name for path in (REPO / "configs" / "grids").glob("*.py")}
    assert grids == set(re.findall(r"configs/grids/(\w+\.py)", TEXT))
