"""Tables as text and as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rsseg.io.tables import aligned, boxed, csv_bytes, json_text, markdown_table, write_csv, write_json

ROWS = [["road", 1, None], ["building", 200, 0.5]]


def test_aligned_columns() -> None:
    assert aligned([["class", "n", "IoU"], *ROWS]).splitlines() == [
        "class       n  IoU",
        "road        1",
        "building  200  0.5",
    ]
    assert aligned([["a", "b"], ["long", "c"]], left=2) == "a     b\nlong  c"
    assert aligned([["水", "1"], ["abc", "2"]]) == "水   1\nabc  2"  # two columns wide in a terminal


def test_boxed_columns_are_as_prettytable_draws_them() -> None:
    prettytable = pytest.importorskip("prettytable")
    theirs = prettytable.PrettyTable(["class", "n", "IoU"], align="r")
    theirs.align["class"] = "l"
    theirs.add_rows([["road", 1, ""], ["building", 200, 0.5]])
    assert boxed(["class", "n", "IoU"], ROWS) == theirs.get_string()


def test_markdown() -> None:
    assert markdown_table(["class", "n", "IoU"], [*ROWS, ["a|b", 1, 2]]).splitlines() == [
        "| class | n | IoU |",
        "| --- | ---: | ---: |",
        "| road | 1 |  |",
        "| building | 200 | 0.5 |",
        r"| a\|b | 1 | 2 |",
    ]


def test_csv(tmp_path: Path) -> None:
    rows = [["a, b", 'say "x"', None], ["ä", "two\nlines", 1.5]]
    write_csv(tmp_path / "table.csv", ["x", "y", "z"], rows)
    data = (tmp_path / "table.csv").read_bytes()
    assert data == csv_bytes(["x", "y", "z"], rows) and b"\r" not in data
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read == [["x", "y", "z"], ["a, b", 'say "x"', ""], ["ä", "two\nlines", "1.5"]]


def test_a_table_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", ["x"], [[1]])
    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "table.csv", ["x"], ([1 // n] for n in (1, 0)))
    assert (tmp_path / "table.csv").read_bytes() == b"x\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_json(tmp_path: Path) -> None:
    value = {"ä": [1, 2.5, None]}
    assert json_text(value) == '{"ä":[1,2.5,null]}'
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value and text.endswith("}\n") and "\n " in text
    with pytest.raises(ValueError):
        json_text(float("nan"))
