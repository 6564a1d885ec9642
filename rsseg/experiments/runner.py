"""Run a grid: what is missing, several runs at once, and what is left of one that was killed.

A run's folder is ``<out>/<row>/<column>/seed<n>/``: ``train/`` and ``test/`` are the work dirs of the tools,
``tools.log`` is what they said after each command line, ``settings.json`` the record of what the run depends on, and
``score.json``, written last, makes it finished.
"""

from __future__ import annotations

import functools
import json
import logging
import queue
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rsseg.command_list import COMMANDS
from rsseg.commands import call_tool
from rsseg.errors import JobError
from rsseg.experiments.grid import Cell, Grid, chosen, environment, tool_of
from rsseg.experiments.inputs import run_inputs
from rsseg.experiments.tasks import TASKS, Run
from rsseg.io.configs import config_path, read_config
from rsseg.io.files import locked
from rsseg.io.jobs import Job
from rsseg.io.progress import Progress
from rsseg.io.sums import sum_of
from rsseg.io.tables import read_json, write_json

__all__ = ["GridRun"]

_log = logging.getLogger("rsseg")
_SCORE = "score.json"


@dataclass
class GridRun:
    """A grid that runs; one that was interrupted, even killed, goes on where it stopped.

    Attributes:
        root: Checkout with ``tools/``.
        grid: The grid.
        out: Where runs and tables go.
        places: Environment variables of each place where a run may go; so many run at the same time.
        launch: Runs a tool, as :func:`rsseg.commands.call_tool`, and gives its exit status.
        keep: Keep the checkpoints of finished runs; those of ``start`` are kept always.
        update: Repeat runs whose config, weights, lists or data have changed since, and go on with what another
            version of rsseg has done; otherwise both are errors.
        shard: Which part of the cells is run here, from 0, and how many parts there are.
        failures: Reason of each run that failed in the last call, by the name of its cell.
    """

    root: Path
    grid: Grid
    out: Path
    places: Sequence[Mapping[str, str]] = ({},)
    launch: Callable[..., int] = call_tool
    keep: bool = False
    update: bool = False
    shard: tuple[int, int] = (0, 1)
    failures: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Do what is missing.

        Raises:
            ConfigError: A config cannot be read.
            JobError: A run was made from something else; the message says what has changed.  Or data could not be made.
            FileNotFoundError: A list or config is missing.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._prepare()
        cells, starts = self.grid.cells(), self.grid.starts()
        expected = self._expected([*starts.values(), *cells])
        cells = chosen(cells, self.shard)
        needed = [own for name, own in starts.items() if any(name in cell.needs for cell in cells)]
        for cell in [*needed, *cells]:
            self._check(cell, expected[cell.folder])
        todo = [[cell for cell in part if self.result(cell) is None] for part in (needed, cells)]
        _log.info("%d runs, %d of them already finished", len(cells), len(cells) - len(todo[1]))
        self.failures.clear()
        progress = Progress(sum(map(len, todo)), self.grid.title, unit="run")
        for part in todo:
            self._run_all(part, expected, progress)
        progress.close()

    def _run_all(self, cells: Sequence[Cell], expected: Mapping[str, dict[str, Any]], progress: Progress) -> None:
        free = queue.SimpleQueue[Mapping[str, str]]()
        for place in self.places:
            free.put(place)

        def work(cell: Cell) -> None:
            place = free.get()
            try:
                self._run_cell(cell, expected[cell.folder], place)
            except JobError as error:
                self.failures[cell.name] = str(error)
                _log.warning("failed: %s: %s", cell.name, error)
            finally:
                free.put(place)
                progress.step()

        with ThreadPoolExecutor(len(self.places)) as pool:
            try:
                for job in [pool.submit(work, cell) for cell in cells]:
                    job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def folder(self, cell: Cell) -> Path:
        """Where a run's files go."""
        return self.out / cell.folder

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """What a finished run gave: ``scores``, ``curve``, ``commands``; None where it is not finished."""
        path = self.folder(cell) / _SCORE
        return read_json(path) if path.is_file() else None

    def _prepare(self) -> None:
        """Make the data; a command that has ended well is not run again, and other parts of the grid wait for it."""
        folder = self.out / "prepare"
        for i, line in enumerate(self.grid.prepare):
            command, words = tool_of(line)
            name = COMMANDS[command]
            done = folder / f"{i}_{name}.json"
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder, f"{folder}: another process makes the data; waiting for it"):
                if done.is_file() and read_json(done).get("command") == line:
                    continue
                _log.info("data: %s", line)
                log = folder / f"{i}_{name}.log"
                if status := self.launch(self.root, name, words, log):
                    raise JobError(f"{line}: exit status {status}; the end of {log}:\n{_end(log)}")
                write_json(done, {"command": line})

    def _expected(self, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
        """What decides each run's result, by its folder; a finished run with other settings is not taken for it."""
        out: dict[str, dict[str, Any]] = {}
        read = functools.cache(_config_text)
        for cell in cells:
            with environment(cell.environment):
                text = read(cell.config, tuple(sorted(cell.environment.items())))
            plain = json.loads(text)
            out[cell.folder] = {
                "row": cell.row,
                "column": cell.column,
                "seed": cell.seed,
                "config": "/".join(Path(cell.config).parts[-2:]),
                "config_sha256": sum_of(text.encode()),
                "environment": dict(cell.environment),
                "options": list(cell.options),
                "task": cell.task,
                "test": list(cell.test),
                "curve": self.grid.metric if self.grid.curve else None,
                "start": {name: out[f"start/{entry.folder}"] for entry in self.grid.start
                          if (name := entry.name) in cell.needs},
                **run_inputs(plain, cell.options),
            }  # fmt: skip
            if "search" in plain and cell.task == "train":
                own = json.dumps(read_config(config_path(plain["search"]["retrain"])).to_dict(), default=str)
                out[cell.folder]["retrain_sha256"] = sum_of(own.encode())
        return out

    def _job(self, cell: Cell) -> Job:
        return Job(self.folder(cell), "a run", "settings.json", "remove it to run it again, or choose another --out")

    def _check(self, cell: Cell, expected: dict[str, Any]) -> None:
        """Refuse a run that was made from something else, or remove it for an update."""
        job = self._job(cell)
        try:
            job.check(expected, self.update)
        except JobError as error:
            if not self.update:
                raise
            _log.info("is repeated: %s", error)
            shutil.rmtree(job.root)

    def _run_cell(self, cell: Cell, settings: dict[str, Any], place: Mapping[str, str]) -> None:
        folder = self.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        busy = f"{folder}: another process is at work here, perhaps left by a killed call; waiting for it"
        with locked(folder / ".lock", busy) as lock:  # the tools hold it, too: no run is started twice
            if self.result(cell) is not None:  # by the other process
                return
            self._job(cell).claim(settings, update=self.update)
            commands: list[str] = []
            tool = functools.partial(self._call, folder, lock, {**cell.environment, **place}, commands)
            curve = self.grid.metric if self.grid.curve else None
            result = TASKS[cell.task](Run(self._resolved(cell), folder, tool, curve, "retrain_sha256" in settings))
            write_json(folder / _SCORE, {"settings": settings, "commands": commands, **result})
            if not self.keep and cell.task != "start":
                for path in folder.glob("*/*.pth"):
                    path.unlink()

    def _resolved(self, cell: Cell) -> Cell:
        """A cell with the checkpoints that it starts from, and its folder, in its options.

        Raises:
            JobError: What it starts from has not been trained.
        """
        words = {"folder": str(self.folder(cell))}
        for name, own in self.grid.starts().items():
            if name in cell.needs:
                result = self.result(own)
                if result is None:
                    raise JobError(f"needs {name!r} of 'start', which failed: see {self.folder(own) / 'tools.log'}")
                words[name] = result["checkpoint"]

        def fill(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(functools.reduce(lambda t, w: t.replace(f"{{{w[0]}}}", w[1]), words.items(), t) for t in texts)

        return replace(cell, options=fill(cell.options), test=fill(cell.test), shared=fill(cell.shared))

    def _call(
        self, folder: Path, lock: int, around: Mapping[str, str], commands: list[str], name: str, *args: object
    ) -> None:
        """Run a tool, which holds the run's lock as long as it lives."""
        log = folder / "tools.log"
        commands.append(" ".join(map(str, (f"tools/{name}.py", *args))))
        code = self.launch(self.root, name, args, log, around, [lock])
        if code:
            raise JobError(f"tools/{name}.py in {folder}: exit status {code}; the end of {log}:\n{_end(log)}")


def _config_text(config: str, around: tuple[tuple[str, str], ...]) -> str:
    """A config with its bases as JSON; ``around`` is what it was read under."""
    return json.dumps(read_config(config).to_dict(), sort_keys=True, default=str)


def _end(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return "\n".join(lines[-3:])
