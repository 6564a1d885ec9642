"""The tables of a grid: means over seeds, what a row gains over another, tests, and every run with its log."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsseg.experiments.comparison import Comparison, compare_images
from rsseg.experiments.grid import Entry, Grid
from rsseg.experiments.runner import GridRun
from rsseg.experiments.tasks import IMAGES
from rsseg.io.files import replacing
from rsseg.io.tables import markdown_table, write_csv

__all__ = ["Results", "closed_gap", "gather", "write_tables"]


@dataclass
class Results:
    """What the runs of a grid gave.

    Attributes:
        grid: The grid.
        scores: (row, column, seed) -> scores of the finished run.
        curves: Likewise its learning curve, iteration or epoch -> score.
        folders: Folder of every run.
        commands: Command lines of every finished run.
        failures: Reason of each run that failed, by the name of its cell.
    """

    grid: Grid
    scores: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)
    curves: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)
    folders: dict[tuple[str, str, int], Path] = field(default_factory=dict)
    commands: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def values(self, row: str, column: str, key: str) -> dict[int, float]:
        """A score by seed."""
        found = {seed: self.scores.get((row, column, seed), {}).get(key) for seed in self.grid.seeds}
        return {seed: value for seed, value in found.items() if value is not None}

    def document(self) -> dict[str, Any]:
        """All of it as plain values, for figures and programs."""
        grid = self.grid
        cells = {(cell.row, cell.column, cell.seed): cell for cell in grid.cells()}
        runs = [
            {"row": key[0], "column": key[1], "seed": key[2], "config": cells[key].config,
             "options": list(cells[key].options), "folder": str(folder),
             "scores": self.scores.get(key), "curve": self.curves.get(key)}
            for key, folder in self.folders.items()
        ]  # fmt: skip
        names = {what: [entry.name for entry in own] for what, own in (("rows", grid.rows), ("columns", grid.columns))}
        return {"title": grid.title, "metric": grid.metric, **names, "runs": runs, "failures": self.failures}

    def heads(self) -> list[tuple[str, str, str]]:
        """Columns of the table: title, column of the grid, score."""
        grid = self.grid
        scores: dict[str, str] = {}
        for title, key in (grid.scores or {grid.metric: grid.metric}).items():
            if key.endswith("/*"):
                known = dict.fromkeys(k for own in self.scores.values() for k in own if k.startswith(key[:-1]))
                scores |= {name.removeprefix(key[:-1]): name for name in known}
            else:
                scores[title] = key
        several = len(scores) > 1
        return [
            (" ".join(filter(None, [column.title or column.name, title if several or not column.name else ""])),
             column.name, key)
            for column in grid.columns for title, key in scores.items()
        ]  # fmt: skip


def gather(run: GridRun) -> Results:
    """The results of what is finished."""
    out = Results(run.grid, failures=dict(run.failures))
    for cell in run.grid.cells():
        key = (cell.row, cell.column, cell.seed)
        out.folders[key] = run.folder(cell)
        if (found := run.result(cell)) is not None:
            out.scores[key] = found["scores"]
            out.curves[key] = found.get("curve") or {}
            out.commands[key] = found.get("commands") or []
    return out


def closed_gap(value: float, source_only: float, oracle: float) -> float | None:
    """Share of the gap between source only and oracle that a method closes; None where there is no gap."""
    return (value - source_only) / (oracle - source_only) if oracle > source_only else None


def _shown(values: Sequence[float], seeds: int, sign: str = "") -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    share = "" if len(values) == seeds else f" ({len(values)} of {seeds})"
    return f"{statistics.fmean(values):{sign}.2f}{spread}{share}"


def _gains(results: Results, row: Entry, column: str, key: str) -> list[float]:
    base = results.values(str(row.minus), column, key)
    return [value - base[seed] for seed, value in results.values(row.name, column, key).items() if seed in base]


Tests = dict[tuple[str, str, str], Comparison]


def _tests(results: Results) -> Tests:
    """Tests beside the differences of the grid's metric or, where it is none of the columns, of every score."""
    grid, out = results.grid, {}
    keys = list(dict.fromkeys(key for _, _, key in results.heads()))
    keys = [grid.metric] if grid.metric in keys else keys
    for row in (row for row in grid.rows if row.minus):
        for column in grid.columns:
            pairs = [
                [results.folders[name, column.name, seed] / IMAGES for name in (str(row.minus), row.name)]
                for seed in grid.seeds
                if {(row.minus, column.name, seed), (row.name, column.name, seed)} <= results.scores.keys()
            ]
            for key in keys:
                found = compare_images([first for first, _ in pairs], [second for _, second in pairs], key)
                if found is not None:
                    out[row.name, column.name, key] = found
    return out


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _table(results: Results, tests: Tests) -> str:
    """Rows with means over seeds; below each, with several columns, its differences, else beside it."""
    grid, heads, lines = results.grid, results.heads(), []
    beside = len(grid.columns) == 1 and any(row.minus for row in grid.rows)
    for row in grid.rows:
        values = [list(results.values(row.name, column, key).values()) for _, column, key in heads]
        line = [row.title or row.name, *(_shown(own, len(grid.seeds)) for own in values)]
        if beside:
            line += _beside(results, row, tests)
        lines.append(line)
        if row.minus and not beside:
            cells = []
            for _, column, key in heads:
                text = _shown(_gains(results, row, column, key), len(grid.seeds), "+")
                test = tests.get((row.name, column, key))
                cells.append(f"{text}, p {_p(test.bootstrap.p)}" if test else text)
            lines.append([f"Δ {row.name} − {row.minus}", *cells])
    count = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    first = count if grid.scores or beside else f"{grid.metric}, {count}"
    table = [[first, *(title for title, _, _ in heads)], *lines]
    if beside:
        table[0] += ["difference", "to", "p", *(["of the gap"] if grid.oracle else [])]
    if grid.transpose:
        table = [list(column) for column in zip(*table, strict=True)]
    return markdown_table(table[0], table[1:])


def _beside(results: Results, row: Entry, tests: Tests) -> list[str]:
    """Difference of the grid's metric, to which row, its p-value, and the share of the gap to the oracle."""
    grid, column = results.grid, results.grid.columns[0].name
    gap = "–"
    if row.minus and grid.oracle not in (None, row.name):
        names = (row.name, row.minus, str(grid.oracle))
        means = [list(results.values(name, column, grid.metric).values()) for name in names]
        share = closed_gap(*(statistics.fmean(own) for own in means)) if all(means) else None
        gap = gap if share is None else f"{100 * share:.0f} %"
    test = tests.get((row.name, column, grid.metric))
    text = _shown(_gains(results, row, column, grid.metric), len(grid.seeds), "+") if row.minus else "–"
    return [text, row.minus or "–", _p(test.bootstrap.p if test else None), *([gap] if grid.oracle else [])]


def _test_table(tests: Tests, grid: Grid) -> str:
    minus = {row.name: row.minus for row in grid.rows}
    rows = []
    for (row, column, key), own in tests.items():
        b = own.bootstrap
        interval = f"{b.low:+.2f} … {b.high:+.2f}"
        shown = [f"{b.difference:+.2f}", interval, *map(_p, (b.p, own.wilcoxon, own.mcnemar)), own.images]
        rows.append([f"{row} − {minus[row]}", " ".join(filter(None, [column, key])), *shown])
    heads = ["paired by image", "score", "difference", "95 % interval", "bootstrap p", "Wilcoxon p", "McNemar p"]
    return markdown_table([*heads, "images"], rows, left=2)


def write_tables(results: Results, out: Path) -> str:
    """Write ``runs.csv``, ``table.csv`` and ``table.md`` into ``out``.

    ``runs.csv`` has each run with its state, all its scores, the commands and the log; ``table.csv`` means, standard
    deviations, differences and p-values; ``table.md`` the table, the tests, and the runs that failed.

    Args:
        results: What is finished.
        out: An existing folder.

    Returns:
        The text of ``table.md``.

    Raises:
        OSError: A file cannot be written; the message names it.
    """
    grid, tests = results.grid, _tests(results)
    names = list(dict.fromkeys(name for own in results.scores.values() for name in own))
    runs = []
    for cell in grid.cells():
        key = (cell.row, cell.column, cell.seed)
        scores, folder = results.scores.get(key), results.folders[key]
        state = "finished" if scores is not None else "failed" if cell.name in results.failures else "missing"
        figures = [(scores or {}).get(name, "") for name in names]
        runs.append([*key, state, *figures, "; ".join(results.commands.get(key, ())), folder / "tools.log"])
    write_csv(out / "runs.csv", ["row", "column", "seed", "state", *names, "commands", "log"], runs)
    write_csv(out / "table.csv", _COLUMNS, _means(results, tests))
    text = _table(results, tests)
    if tests:
        text += f"\n\n{_test_table(tests, grid)}"
    if results.failures:
        lines = (f"- {name}: {' '.join(reason.split())}" for name, reason in results.failures.items())
        text += "\n\nFailed:\n\n" + "\n".join(lines)
    with replacing(out / "table.md") as file:
        file.write(f"{text}\n".encode())
    return text


_COLUMNS = (
    "row", "column", "score", "mean", "standard deviation", "seeds", "minus", "difference",
    "standard deviation of the difference", "bootstrap p", "low", "high", "Wilcoxon p", "McNemar p",
)  # fmt: skip


def _means(results: Results, tests: Tests) -> list[list[Any]]:
    rows = []
    for row in results.grid.rows:
        for _, column, key in results.heads():
            values = list(results.values(row.name, column, key).values())
            gains = _gains(results, row, column, key) if row.minus else []
            test = tests.get((row.name, column, key))
            about: list[Any] = [""] * 5
            if test:
                b = test.bootstrap
                mcnemar = "" if test.mcnemar is None else f"{test.mcnemar:.3g}"
                about = [f"{b.p:.3g}", f"{b.low:.3f}", f"{b.high:.3f}", f"{test.wilcoxon:.3g}", mcnemar]
            rows.append([row.name, column, key, *_mean(values), len(values), row.minus or "", *_mean(gains), *about])
    return rows


def _mean(values: Sequence[float]) -> list[Any]:
    mean = round(statistics.fmean(values), 3) if values else ""
    return [mean, round(statistics.stdev(values), 3) if len(values) > 1 else ""]
