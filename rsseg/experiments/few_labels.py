"""Fine-tuning with few labels: a grid of initialisations, shares and seeds through the tools, and its table.

A cell of the grid is ``<out>/<init>/<percent>_seed<seed>/``: ``train/`` and ``test/`` are the work dirs of the two
tools, ``tools.log`` is what they said, and ``score.json``, written last, makes the cell done.
"""

from __future__ import annotations

import functools
import json
import logging
import queue
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rsseg.commands import call_tool
from rsseg.datasets.preparation import few_path, read_few
from rsseg.errors import ConfigError, JobError
from rsseg.experiments.few_labels_table import Row, write_tables
from rsseg.experiments.inputs import run_inputs
from rsseg.io.configs import read_config
from rsseg.io.files import locked, sha256_of
from rsseg.io.jobs import Job
from rsseg.io.progress import Progress
from rsseg.io.sums import sum_of
from rsseg.io.tables import read_json, write_json

__all__ = ["NO_VALIDATION", "FewLabels", "Init"]

_log = logging.getLogger("rsseg")
NO_VALIDATION = "train_cfg.val_begin=1000000000"
"""Option of trainings: the test that follows is the only score."""


@dataclass(frozen=True)
class Init:
    """Where fine-tuning starts.

    Attributes:
        name: Row of the table.  One that begins with another's name and a plus, as ``IMP+SEP`` with ``IMP``, gets a row
            of differences to it.
        config: Config file of the fine-tuning.
        options: Settings for this row alone, each ``key=value``.
    """

    name: str
    config: Path
    options: tuple[str, ...] = ()


@dataclass
class FewLabels:
    """A grid of fine-tuning runs; one that was interrupted, even killed, goes on where it stopped.

    Attributes:
        root: Checkout with ``tools/``.
        lists: Folder of the lists of ``rsseg few-lists``.
        out: Where runs and tables go.
        inits: Rows.
        percents: Columns.
        seeds: Each is a choice of tiles and the seed of a run.
        metric: The score of the table.
        options: Settings of all runs, each ``key=value``.
        places: Environment variables of each place where a run may go; so many run at the same time.
        tta: Test with the config's flips, as the SAMRS release does.
        keep: Keep the checkpoints of finished cells.
        update: Repeat cells whose config, weights, lists or data have changed since, and go on with what another
            version of rsseg has done; otherwise both are errors.
        failures: Cells that failed in the last call, with the reason.
    """

    title: ClassVar[str] = "few labels"  # of the progress
    root: Path
    lists: Path
    out: Path
    inits: Sequence[Init]
    percents: Sequence[float]
    seeds: Sequence[int]
    metric: str = "mIoU"
    options: Sequence[str] = ()
    places: Sequence[Mapping[str, str]] = ({},)
    tta: bool = False
    keep: bool = False
    update: bool = False
    failures: list[str] = field(default_factory=list)

    def run(self) -> str:
        """Do what is missing and write ``runs.csv``, ``table.csv`` and ``table.md``.

        Returns:
            The table in Markdown; cells that failed or were not reached have no figure.

        Raises:
            ConfigError: Two rows have one name.
            DataError: A list differs from its checksum.
            JobError: A cell was made from something else; the message says what has changed.
            FileNotFoundError: A list or config is missing.
        """
        names = [init.name for init in self.inits]
        if len(set(names)) < len(names) or any("/" in name for name in names):
            raise ConfigError(f"rows need names of their own, without slashes, got {', '.join(names)}")
        self.out.mkdir(parents=True, exist_ok=True)
        cells = [(i, p, s) for s in self.seeds for p in self.percents for i in self.inits]
        expected = {cell: self._settings(*cell) for cell in cells}
        for cell in cells:
            self._check(cell, expected[cell])
        todo = [cell for cell in cells if self._score(cell) is None]
        _log.info("%d runs, %d of them already finished", len(cells), len(cells) - len(todo))
        self.failures.clear()
        progress, free = Progress(len(todo), self.title, unit="run"), queue.SimpleQueue[Mapping[str, str]]()
        for place in self.places:
            free.put(place)

        def work(cell: tuple[Init, float, int]) -> None:
            place = free.get()
            try:
                self._run_cell(cell, expected[cell], place)
            except JobError as error:
                self.failures.append(str(error))
                _log.warning("failed: %s", error)
            finally:
                free.put(place)
                progress.step()

        with ThreadPoolExecutor(len(self.places)) as pool:
            try:
                for job in [pool.submit(work, cell) for cell in todo]:
                    job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        progress.close()
        return self._write([score for cell in cells if (score := self._score(cell)) is not None], names)

    def _write(self, rows: Sequence[Row], names: Sequence[str]) -> str:
        return write_tables(rows, names, self.percents, self.seeds, self.metric, self.out)

    def folder(self, init: Init, percent: float, seed: int) -> Path:
        """Where a cell's files go."""
        return self.out / init.name / f"{percent:g}_seed{seed}"

    def _settings(self, init: Init, percent: float, seed: int) -> dict[str, Any]:
        """What decides a cell's result; a done cell with other settings is not taken for this one."""
        plain = read_config(init.config).to_dict()
        config = json.dumps(plain, sort_keys=True, default=str)
        options = [*self.options, *init.options]
        return {
            "init": init.name,
            "percent": percent,
            "seed": seed,
            **self._data(percent, seed),
            "config": "/".join(Path(init.config).parts[-2:]),
            "config_sha256": sum_of(config.encode()),
            "options": options,
            "tta": self.tta,
            **run_inputs(plain, options),
        }

    def _data(self, percent: float, seed: int) -> dict[str, Any]:
        """What is known of the training images of a cell."""
        listing = few_path(self.lists, percent, seed)
        return {"tiles": len(read_few(listing)), "list_sha256": sha256_of(listing)}

    def _fixed(self, percent: float, seed: int) -> list[str]:
        """Settings of a cell besides its row's and its seed."""
        return [f"train_dataloader.dataset.subset={few_path(self.lists, percent, seed)}"]

    def _test_options(self, folder: Path) -> list[str]:
        """What the test is told besides."""
        return ["--tta"] if self.tta else []

    def _job(self, cell: tuple[Init, float, int]) -> Job:
        return Job(self.folder(*cell), "a run", "settings.json", "remove it to run it again, or choose another --out")

    def _check(self, cell: tuple[Init, float, int], expected: dict[str, Any]) -> None:
        """Refuse a cell that was made from something else, or remove it for an update."""
        job = self._job(cell)
        try:
            job.check(expected, self.update)
        except JobError as error:
            if not self.update:
                raise
            _log.info("is repeated: %s", error)
            shutil.rmtree(job.root)

    def _score(self, cell: tuple[Init, float, int]) -> Row | None:
        path = self.folder(*cell) / "score.json"
        if not path.is_file():
            return None
        found = read_json(path)
        return {**found["settings"], "scores": found["scores"]}

    def _run_cell(self, cell: tuple[Init, float, int], settings: dict[str, Any], place: Mapping[str, str]) -> None:
        folder = self.folder(*cell)
        folder.mkdir(parents=True, exist_ok=True)
        busy = f"{folder}: another process is at work here, perhaps left by a killed call; waiting for it"
        with locked(folder / ".lock", busy) as lock:  # the tools hold it, too: no run is started twice
            self._job(cell).claim(settings, update=self.update)
            run, test = functools.partial(self._tool, folder, lock, place), folder / "test"
            config, checkpoint, options = self._train(cell, run)
            run("test", config, checkpoint, "--work-dir", test, *self._test_options(folder), "--cfg-options", *options)
            newest = max(test.glob("*/*.json"), key=lambda path: path.stat().st_mtime)
            logged = read_json(newest)
            scores = {key: value for key, value in logged.items() if key not in ("time", "data_time")}
            write_json(folder / "score.json", {"settings": settings, "scores": scores})
            if not self.keep:
                for path in folder.glob("*/*.pth"):
                    path.unlink()

    def _train(self, cell: tuple[Init, float, int], run: Callable[..., None]) -> tuple[Path, str, list[str]]:
        """Train a cell: what is tested then, as config, checkpoint and settings."""
        init, percent, seed = cell
        options = [*self.options, *init.options, *self._fixed(percent, seed), f"randomness.seed={seed}"]
        return init.config, self._train_one(init.config, self.folder(*cell) / "train", options, run), options

    def _train_one(self, config: Path, work_dir: Path, options: Sequence[str], run: Callable[..., None]) -> str:
        """Train one config; its last checkpoint."""
        run("train", config, "--work-dir", work_dir, "--resume", "--cfg-options", *options, NO_VALIDATION)
        return (work_dir / "last_checkpoint").read_text(encoding="utf-8").strip()

    def _tool(self, folder: Path, lock: int, place: Mapping[str, str], name: str, *args: object) -> None:
        """Run a tool, which holds the cell's lock as long as it lives."""
        log = folder / "tools.log"
        code = call_tool(self.root, name, args, log, place, keep_open=[lock])
        if code:
            last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-3:])
            raise JobError(f"tools/{name}.py in {folder}: exit status {code}; the end of {log}:\n{last}")
