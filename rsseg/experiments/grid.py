"""A grid of experiments: rows x columns x seeds of (config, overrides), as a config states it.

A grid is a config of its own (``configs/grids``), whose keys are the fields of :class:`Grid`, and ``tiny``: fields that
take the place of the others for a run at the scale of a CPU.  ``options`` and ``prepare`` may be dicts there, so that a
config can extend those of its base; names with an underscore in front are the config's own.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rsseg.command_list import COMMANDS
from rsseg.errors import ConfigError
from rsseg.io.configs import read_config

__all__ = ["Cell", "Entry", "Grid", "chosen", "environment", "read_grid", "tool_of"]


@dataclass(frozen=True)
class Entry:
    """A row or a column; or what is trained before all cells.

    Attributes:
        name: In tables and in the names of folders.
        config: Config file; a column's goes before a row's.
        options: Settings, each ``key=value``.
        environment: Variables that the config reads.
        words: What stands for ``{word}`` in options and config; ``{seed}`` is always there, ``{NAME}`` is the last
            checkpoint of the entry NAME of ``start``.
        minus: Row to whose scores the differences are formed.
        title: In the table's head, where that is not the name.
    """

    name: str
    config: str | None = None
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    minus: str | None = None
    title: str | None = None

    @property
    def folder(self) -> str:
        """The name as that of a folder."""
        return re.sub(r"[^\w.+=-]+", "_", self.name).strip("_") or "_"


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        row: Name of its row; of what is trained before all cells, its name.
        column: Name of its column.
        seed: Seed of the training.
        folder: Where its files go, below the grid's folder.
        config: Config file.
        options: Settings, each ``key=value``, with ``{NAME}`` for checkpoints of ``start``.
        environment: Variables that the config reads.
        task: Key of :data:`rsseg.experiments.tasks.TASKS`.
        test: Further options of the test, with ``{folder}`` for the cell's folder.
        needs: Entries of ``start`` whose checkpoints it takes.
        shared: Those of ``options`` that all cells have, and the seed.
    """

    row: str
    column: str
    seed: int
    folder: str
    config: str
    options: tuple[str, ...]
    environment: Mapping[str, str]
    task: str
    test: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.row}, {self.column}, seed {self.seed}" if self.column else f"{self.row}, seed {self.seed}"


@dataclass(frozen=True)
class Grid:
    """A grid.

    Attributes:
        title: What it is, with paper and table.
        rows: Rows of the table.
        columns: Columns; without any the grid has one, which has no name.
        seeds: Repetitions of each cell.
        metric: Score of the table, and of learning curves.
        scores: Further scores of every run, head -> name in the results; ``IoU/*`` are those of all classes.  Where it
            is given, ``metric`` is a column only where it is among them.
        task: What a cell does, see :data:`rsseg.experiments.tasks.TASKS`.
        options: Settings of all cells.
        test: Further options of the test, with words as in the options; ``{folder}`` is the cell's folder.
        start: Trained once before the cells that name them.
        prepare: Commands that make the data, such as ``rsseg scenes ...``; each runs once.
        oracle: Row that bounds the others: a column says which share of the gap they close.
        curve: Validate during training and keep the scores.
        transpose: Columns of the table are rows of the grid.
        figures: What is drawn, see :func:`rsseg.reports.grids.write_grid_figures`.
    """

    title: str
    rows: tuple[Entry, ...]
    columns: tuple[Entry, ...] = (Entry(""),)
    seeds: tuple[int, ...] = (0, 1, 2)
    metric: str = "mIoU"
    scores: Mapping[str, str] = field(default_factory=dict)
    task: str = "train"
    options: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    start: tuple[Entry, ...] = ()
    prepare: tuple[str, ...] = ()
    oracle: str | None = None
    curve: bool = False
    transpose: bool = False
    figures: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """See that names are unique and name what is there.

        Raises:
            ConfigError: They do not.
        """
        for what, entries in (("rows", self.rows), ("columns", self.columns), ("start", self.start)):
            names = [entry.name for entry in entries]
            if len({entry.folder for entry in entries}) < len(names) or any("/" in name for name in names):
                raise ConfigError(f"{what} need names of their own, without slashes, got {', '.join(names)}")
        if not self.rows or not self.columns or not self.seeds:
            raise ConfigError("a grid needs rows, columns and seeds")
        known = {row.name for row in self.rows}
        for name in {*(row.minus for row in self.rows), self.oracle} - {None}:
            if name not in known:
                raise ConfigError(f"there is no row {name!r}; expected one of: {', '.join(sorted(known))}")

    def cells(self) -> list[Cell]:
        """All runs, seed by seed, so that the first ones give a whole table.

        Raises:
            ConfigError: A cell has no config.
        """
        return [self._cell(row, column, seed) for seed in self.seeds for column in self.columns for row in self.rows]

    def starts(self) -> dict[str, Cell]:
        """What is trained before cells, by name."""
        seed = self.seeds[0]
        return {
            entry.name: Cell(
                entry.name, "", seed, f"start/{entry.folder}", str(entry.config),
                (*entry.options, f"randomness.seed={seed}"), entry.environment, "start",
            )
            for entry in self.start
        }  # fmt: skip

    def _cell(self, row: Entry, column: Entry, seed: int) -> Cell:
        config = column.config or row.config
        if config is None:
            raise ConfigError(f"row {row.name!r}, column {column.name!r}: neither has a config")
        words = {**row.words, **column.words, "seed": seed}
        own, shared, test = (
            tuple(_fill(option, words) for option in options)
            for options in ((*row.options, *column.options), self.options, self.test)
        )
        options = (*shared, *own, f"randomness.seed={seed}")
        needs = tuple(entry.name for entry in self.start if any(f"{{{entry.name}}}" in option for option in options))
        folder = "/".join([row.folder, *([column.folder] if column.name else []), f"seed{seed}"])
        around = {**row.environment, **column.environment}
        shared = (*shared, options[-1])
        return Cell(
            row.name, column.name, seed, folder, _fill(config, words), options, around, self.task, test, needs, shared
        )


def _fill(text: str, words: Mapping[str, Any]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", str(value))
    return text


def read_grid(
    path: Path | str, tiny: bool = False, changes: Mapping[str, Any] | None = None, options: Sequence[str] = ()
) -> Grid:
    """A grid from its config.

    Args:
        path: The config, see :func:`rsseg.io.configs.config_path`.
        tiny: Take the fields of ``tiny``, for a run at the scale of a CPU.
        changes: Fields that take the place of the config's; None leaves one as it is.
        options: Further settings of all cells, each ``key=value``.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: It is no grid, or has a field that a grid has not.
    """
    plain = {key: value for key, value in read_config(path).to_dict().items() if not key.startswith("_")}
    small = plain.pop("tiny", None)
    if "rows" not in plain:
        raise ConfigError(f"{path}: is no grid, since it has no rows; grids are, for example, configs/grids/*.py")
    if tiny and small is None:
        raise ConfigError(f"{path}: has no field 'tiny', so it cannot run at the scale of a CPU")
    plain |= {"title": f"{plain.get('title', Path(path).stem)} (--tiny)", **(small or {})} if tiny else {}
    plain |= {key: value for key, value in (changes or {}).items() if value is not None}
    known = {own.name for own in fields(Grid)}
    if unknown := sorted(plain.keys() - known):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; expected one of: {', '.join(sorted({*known, 'tiny'}))}")
    try:
        for key in ("rows", "columns", "start"):
            if key in plain:
                plain[key] = tuple(_entry(value) for value in plain[key])
        plain["options"] = [*_settings(plain.get("options", ())), *options]
        if isinstance(plain.get("prepare"), Mapping):
            plain["prepare"] = [line for line in plain["prepare"].values() if line]
        lists = {key: tuple(plain[key]) for key in ("seeds", "options", "test", "prepare", "figures") if key in plain}
        return Grid(**{**plain, **lists})
    except (TypeError, KeyError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _entry(value: Mapping[str, Any]) -> Entry:
    return Entry(**{**value, "options": _settings(value.get("options", ()))})


def _settings(options: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Options as ``key=value``; a config may also give them as a dict, which configs that inherit from it extend."""
    if isinstance(options, Mapping):
        return tuple(f"{key}={value}".replace(" ", "") for key, value in options.items())
    return tuple(options)


def tool_of(line: str) -> tuple[str, list[str]]:
    """Name of a command and its arguments.

    Args:
        line: For example ``rsseg scenes dota data/scenes/dota``.

    Raises:
        ConfigError: It is no command of rsseg.
    """
    words = shlex.split(line)
    for count in (2, 1) if words[:1] == ["rsseg"] else ():
        if (name := " ".join(words[1 : count + 1])) in COMMANDS:
            return name, words[count + 1 :]
    raise ConfigError(f"prepare: {line!r} is no command of rsseg; expected for example 'rsseg scenes dota DIR'")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that are set while a config is read."""
    before: dict[str, str | None] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def chosen(cells: Sequence[Cell], shard: tuple[int, int]) -> list[Cell]:
    """The cells of one of several equal parts.

    Args:
        cells: All of them.
        shard: Number of the part from 0, and how many there are.
    """
    return list(cells[shard[0] :: shard[1]])
