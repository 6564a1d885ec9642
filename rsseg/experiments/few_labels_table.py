"""The tables of a few-label grid: means over seeds, and what an initialisation gains over another."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsseg.io.files import replacing
from rsseg.io.tables import markdown_table, write_csv

__all__ = ["Row", "few_label_table", "write_tables"]

Row = dict[str, Any]
"""A run: ``init``, ``percent``, ``seed``, ``tiles`` and ``scores`` (name -> figure in percent)."""

Column = tuple[str, dict[float, list[float]]]


def _lines(rows: Sequence[Row], inits: Sequence[str], percents: Sequence[float], metric: str) -> list[Column]:
    """Name and, per share, the figures of all seeds, of each init and each difference."""
    found = {(row["init"], row["percent"], row["seed"]): float(row["scores"][metric]) for row in rows}
    lines: list[Column] = []
    for init in inits:
        own = {p: {s: v for (i, q, s), v in found.items() if (i, q) == (init, p)} for p in percents}
        lines.append((init, {p: list(values.values()) for p, values in own.items()}))
        bases = [base for base in inits if init.startswith(f"{base}+")]
        if bases:
            base = max(bases, key=len)
            gains = {
                p: [value - found[base, p, seed] for seed, value in values.items() if (base, p, seed) in found]
                for p, values in own.items()
            }
            lines.append((f"Δ {init} − {base}", gains))
    return lines


def _cell(values: Sequence[float], seeds: int, sign: str) -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    share = "" if len(values) == seeds else f" ({len(values)} of {seeds})"
    return f"{statistics.fmean(values):{sign}.2f}{spread}{share}"


def few_label_table(
    rows: Sequence[Row], inits: Sequence[str], percents: Sequence[float], seeds: Sequence[int], metric: str
) -> str:
    """Markdown table like tables 5 and 6 of the SAMRS paper.

    Args:
        rows: The runs that are done.
        inits: Rows of the table; one that begins with another's name and a plus is followed by the differences.
        percents: Columns.
        seeds: Seeds asked for; a figure from fewer of them says so.
        metric: Which score.

    Returns:
        Means over seeds, with the sample standard deviation where there are several; for differences, those of the
        differences seed by seed.

    Raises:
        KeyError: A run has no such score.
    """
    tiles = {p: sorted({row["tiles"] for row in rows if row["percent"] == p}) for p in percents}
    heads = [f"{p:g} %" + (f" ({'/'.join(map(str, tiles[p]))} tiles)" if tiles[p] else "") for p in percents]
    over = f"{metric}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    lines = []
    for name, figures in _lines(rows, inits, percents, metric):
        sign = "+" if name.startswith("Δ") else ""
        cells = [_cell(figures[p], len(seeds), sign) for p in percents]
        lines.append([name, *cells])
    return markdown_table([over, *heads], lines)


def write_tables(
    rows: Sequence[Row], inits: Sequence[str], percents: Sequence[float], seeds: Sequence[int], metric: str, out: Path
) -> str:
    """Write ``runs.csv`` (each run with all its scores), ``table.csv`` and ``table.md`` into ``out``.

    Args:
        rows: As for :func:`few_label_table`.
        inits: As for :func:`few_label_table`.
        percents: As for :func:`few_label_table`.
        seeds: As for :func:`few_label_table`.
        metric: As for :func:`few_label_table`.
        out: An existing folder.

    Returns:
        The table.

    Raises:
        KeyError: As for :func:`few_label_table`.
        OSError: A file cannot be written; the message names it.
    """
    table = few_label_table(rows, inits, percents, seeds, metric)
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    fixed = ["init", "percent", "seed", "tiles"]
    runs = [[*(row[key] for key in fixed), *(row["scores"].get(name, "") for name in names)] for row in rows]
    means: list[list[Any]] = []
    for name, figures in _lines(rows, inits, percents, metric):
        for p, values in figures.items():
            mean = round(statistics.fmean(values), 3) if values else ""
            spread = round(statistics.stdev(values), 3) if len(values) > 1 else ""
            means.append([name, p, metric, mean, spread, len(values)])
    write_csv(out / "runs.csv", [*fixed, *names], runs)
    write_csv(out / "table.csv", ["row", "percent", "metric", "mean", "standard deviation", "seeds"], means)
    with replacing(out / "table.md") as file:
        file.write(f"{table}\n".encode())
    return table
