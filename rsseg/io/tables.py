"""Tables as files and as text: CSV, JSON, Markdown, and columns that are aligned."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.io.text import decode_text

__all__ = [
    "aligned",
    "boxed",
    "csv_bytes",
    "csv_writer",
    "json_text",
    "markdown_head",
    "markdown_row",
    "markdown_table",
    "parse_json",
    "read_csv",
    "read_json",
    "write_csv",
    "write_json",
]

Rows = Iterable[Sequence[Any]]


def aligned(rows: Rows, left: int | Sequence[int] = 1) -> str:
    """Rows as columns with two blanks between them.

    Args:
        rows: Cells of every row, the head included; ``None`` is left empty.
        left: How many columns are aligned to the left, or which; the others are to the right.
    """
    return "\n".join("  ".join(cells).rstrip() for cells in _padded(rows, left))


def boxed(columns: Sequence[Any], rows: Rows, left: Sequence[int] = (0,)) -> str:
    """Rows in a frame of ``+``, ``-`` and ``|``, as mmseg prints its tables.

    Args:
        columns: The head.
        rows: Cells of every other row; ``None`` is left empty.
        left: Which columns are aligned to the left.
    """
    padded = _padded([columns, *rows], left)
    rule = "+" + "+".join("-" * (_width(cell) + 2) for cell in padded[0]) + "+"
    lines = [f"| {' | '.join(cells)} |" for cells in padded]
    return "\n".join([rule, lines[0], rule, *lines[1:], *([rule] if len(lines) > 1 else [])])


def _padded(rows: Rows, left: int | Sequence[int]) -> list[list[str]]:
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    to_left = set(range(left) if isinstance(left, int) else left)
    return [
        [
            cell + " " * (width - _width(cell)) if i in to_left else " " * (width - _width(cell)) + cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in texts
    ]


def _width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def markdown_row(cells: Sequence[Any]) -> str:
    """One row of a Markdown table; ``None`` is left empty."""
    texts = ("" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def markdown_head(columns: Sequence[Any], left: int = 1) -> str:
    """The two lines that open a Markdown table; all columns but the first ``left`` are aligned to the right."""
    return f"{markdown_row(columns)}\n|" + " --- |" * left + " ---: |" * (len(columns) - left)


def markdown_table(columns: Sequence[Any], rows: Rows, left: int = 1) -> str:
    """A Markdown table; see :func:`markdown_head`."""
    return "\n".join([markdown_head(columns, left), *map(markdown_row, rows)])


@contextmanager
def csv_writer(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Rows], None]]:
    """Write a CSV row by row; it takes its place when the block ends without an error.

    Args:
        path: The file.
        columns: Names in the first line.

    Yields:
        A function that takes rows; ``None`` is left empty.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerows
        text.detach()


def write_csv(path: Path, columns: Sequence[str], rows: Rows) -> None:
    """Write a CSV; ``None`` is left empty.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    with csv_writer(path, columns) as add_rows:
        add_rows(rows)


def csv_bytes(columns: Sequence[str], rows: Rows) -> bytes:
    """The content of a CSV, for callers that write it themselves."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV in UTF-8, with the numbers of their lines.

    Args:
        path: The file.
        columns: Columns that are needed; there may be others.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: A column is missing, a row has another number of cells than the first line, or the file is no CSV.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            found = list(reader.fieldnames or ())
            missing = [name for name in columns if name not in found]
            if missing:
                raise DataError(
                    f"{path}: missing columns {', '.join(missing)}; expected {', '.join(columns)}, found "
                    f"{', '.join(found) or 'none'}"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}:{reader.line_num}: the row has another number of cells than the first line"
                    )
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises:
        ValueError: It is none, or too deep.
    """
    try:
        return json.loads(decode_text(data) if isinstance(data, bytes) else data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_json(path: Path, kind: type[dict] | type[list] = dict) -> Any:
    """The value in a JSON file.

    Args:
        path: The file, UTF-8.
        kind: What it must hold: ``dict`` or ``list``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not JSON, or holds something else.
    """
    try:
        value = parse_json(path.read_bytes())
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not a complete JSON file ({error.msg})") from error
    except ValueError as error:  # not UTF-8, numbers of thousands of digits, or too deep
        raise DataError(f"{path}: must be JSON in UTF-8 ({error})") from error
    if not isinstance(value, kind):
        expected = "an object" if kind is dict else "a list"
        raise DataError(f"{path}: must hold {expected}, found {type(value).__name__}")
    return value


_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # once, for a million rows


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON as it stands in our files: real characters, no NaN, and no blanks where there is no indent.

    Raises:
        ValueError: A number is not finite.
    """
    if indent is None:
        return _COMPACT.encode(value)
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write ``value`` as UTF-8 JSON.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    with replacing(path) as file:
        file.write((json_text(value, indent) + "\n").encode())
