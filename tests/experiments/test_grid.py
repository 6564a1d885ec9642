"""Grids: read from configs, tables by hand; runs that fail, are killed, go on; with stand-ins for the tools."""

from __future__ import annotations

import json
import multiprocessing
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import rsseg
from rsseg.datasets.preparation import write_few
from rsseg.errors import JobError
from rsseg.experiments.grid import Entry, Grid
from rsseg.experiments.presets import few_labels
from rsseg.experiments.runner import GridRun
from rsseg.experiments.tables import gather, write_tables
from rsseg.io.jobs import Input, Job

TRAIN = """
    import os, sys, time
    from pathlib import Path
    args = sys.argv[1:]
    work = Path(args[args.index("--work-dir") + 1])
    work.mkdir(parents=True, exist_ok=True)
    if (work / "fresh").exists():
        name = "resumed" if (work / "ended").exists() else "second"
    else:
        name = "fresh"
    (work / name).touch()
    while "GO" in os.environ and not Path(os.environ["GO"]).exists():
        time.sleep(0.01)
    assert "check=" not in " ".join(args) or os.environ.get("REGION") == "north"
    if "fail=1" in args:
        sys.exit("no luck")
    (work / "iter_9.pth").touch()
    (work / "last_checkpoint").write_text(str(work / "iter_9.pth"))
    (work / "ended").touch()
"""
TEST = """
    import json, sys
    from pathlib import Path
    args = sys.argv[1:]
    assert Path(args[1]).name == "iter_9.pth"
    work = Path(args[args.index("--work-dir") + 1]) / "now"
    work.mkdir(parents=True)
    words = dict(word.split("=", 1) for word in args if "=" in word)
    listing = words.get("train_dataloader.dataset.subset")
    names = Path(listing).read_text().split() if listing else []
    score = len(names) + 10 * float(words.get("gain", 0)) + int(words["randomness.seed"])
    (work / "now.json").write_text(json.dumps({"mIoU": score, "mF1": 2 * score, "time": 1.0, "data_time": 0.5}))
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Lists of 20 and 10 % of 50 tiles, a config, and a checkout with stand-in tools."""
    write_few([f"a__{i}_0" for i in range(50)], ["a"] * 50, tmp_path / "lists", [10, 20], [0, 1])
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text(textwrap.dedent(TRAIN))
    (tmp_path / "tools" / "test.py").write_text(textwrap.dedent(TEST))
    (tmp_path / "config.py").write_text("model = dict(type='X')\n")
    return tmp_path


def few(
    world: Path, gain: str = "gain=1", percents: Any = (20, 10), seeds: Any = (0, 1), metric: str = "mIoU",
    only: int = 2, **changes: Any,
) -> GridRun:  # fmt: skip
    config = str(world / "config.py")
    rows = [("IMP", config), ("IMP+SEP", config, gain)][:only]
    grid = few_labels(world / "lists", rows, percents, seeds, metric, tta=False)
    return GridRun(world, grid, world / "out", **changes)


def table(run: GridRun) -> str:
    run.run()
    return write_tables(gather(run), run.out)


EXPECTED = """\
| mIoU, 2 seeds | 20 % (10 tiles) | 10 % (5 tiles) |
| --- | ---: | ---: |
| IMP | 10.50 ± 0.71 | 5.50 ± 0.71 |
| IMP+SEP | 20.50 ± 0.71 | 15.50 ± 0.71 |
| Δ IMP+SEP − IMP | +10.00 ± 0.00 | +10.00 ± 0.00 |"""


def test_the_grid_runs_once_and_makes_the_tables(world: Path) -> None:
    assert table(few(world, places=[{}, {}])) == EXPECTED
    assert (world / "out/table.md").read_text() == f"{EXPECTED}\n"
    rows = (world / "out/runs.csv").read_text().splitlines()
    assert rows[0] == "row,column,seed,state,mIoU,mF1,commands,log"
    first = next(row for row in rows if row.startswith("IMP+SEP,10,0,finished,15.0,30.0,"))
    assert "tools/train.py" in first and "tools/test.py" in first and len(rows) == 9
    assert first.endswith(f",{world}/out/IMP+SEP/10/seed0/tools.log")
    means = (world / "out/table.csv").read_text().splitlines()
    assert means[0].startswith("row,column,score,mean,standard deviation,seeds,minus,difference")
    assert "IMP+SEP,20,mIoU,20.5,0.707,2,IMP,10.0,0.0,,,,," in means
    assert not list(world.rglob("*.pth"))
    before = {path: path.stat().st_mtime_ns for path in (world / "out").rglob("fresh")}
    assert len(before) == 8
    assert table(few(world, metric="mF1")).splitlines()[2] == "| IMP | 21.00 ± 1.41 | 11.00 ± 1.41 |"
    assert {path: path.stat().st_mtime_ns for path in (world / "out").rglob("fresh")} == before
    with pytest.raises(
        ValueError, match=r"IMP\+SEP/20/seed0 holds a run with another config: options\[1\] was 'gain=1', now 'gain=2'"
    ):
        few(world, gain="gain=2").run()
    (world / "config.py").write_text("model = dict(type='Y')\n")
    with pytest.raises(ValueError, match="config_sha256"):
        few(world).run()
    assert table(few(world, update=True)) == EXPECTED
    assert all(path.stat().st_mtime_ns > before[path] for path in before)


def test_weights_tables_and_data_sets_count(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (world / "start.pth").write_bytes(b"1")
    (world / "set").mkdir()
    Job(world / "set", "tiles").claim({"size": 4}, {"a": {"image": Input(world / "start.pth", "a.png")}})
    rows = [{"id": 0, "name": "ship", "color": "#000000"}]
    (world / "mine.json").write_text(json.dumps({"name": "m", "source": "", "categories": rows}))
    data = f"data = dict(table='{world}/mine.json', data_root='{world}/set')\n"
    (world / "config.py").write_text(f"model = dict(type='X')\nload_from = '{world}/start.pth'\n{data}")
    one: dict[str, Any] = dict(only=1, percents=[20], seeds=[0])
    few(world, **one).run()
    (world / "start.pth").write_bytes(b"2")
    with pytest.raises(JobError, match=r"weights was {'.*start\.pth': '6b86.*now {'.*start\.pth': 'd473"):
        few(world, **one).run()
    assert table(few(world, **one, update=True)).splitlines()[2] == "| IMP | 10.00 |"
    rows[0]["name"] = "boat"
    (world / "mine.json").write_text(json.dumps({"name": "m", "source": "", "categories": rows}))
    with pytest.raises(JobError, match=r"class_tables.*\['ship #000000 0'\], now \['boat #000000 0'\]"):
        few(world, **one).run()
    few(world, **one, update=True).run()
    images = {"b": {"image": Input(world / "start.pth", "b.png")}}
    Job(world / "set", "tiles").claim({"size": 4}, images, update=True)
    with pytest.raises(JobError, match="data was"):
        few(world, **one).run()
    monkeypatch.setattr(rsseg, "__version__", "99.0")
    few(world, **one, update=True).run()


def test_a_failing_run_does_not_stop_the_others(world: Path) -> None:
    run = few(world, gain="fail=1", seeds=[0], keep=True)
    lines = table(run).splitlines()
    assert lines[2:5] == ["| IMP | 10.00 | 5.00 |", "| IMP+SEP | – | – |", "| Δ IMP+SEP − IMP | – | – |"]
    assert lines[6] == "Failed:" and lines[8].startswith("- IMP+SEP, 20, seed 0: tools/train.py in ")
    assert set(run.failures) == {"IMP+SEP, 20, seed 0", "IMP+SEP, 10, seed 0"}
    assert "no luck" in run.failures["IMP+SEP, 10, seed 0"]
    assert len(list(world.rglob("*.pth"))) == 2
    states = [line.split(",")[3] for line in (world / "out/runs.csv").read_text().splitlines()[1:]]
    assert states == ["finished", "failed", "finished", "failed"]


def test_lists_are_checked_first(world: Path) -> None:
    (world / "lists/few_20_seed1.txt").write_text("a__0_0\n")
    with pytest.raises(ValueError, match=r"few_20_seed1\.txt: has changed since"):
        few(world)
    assert not (world / "out").exists()


def test_a_killed_grid_goes_on_and_starts_no_run_twice(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grid is killed, its tool lives on; the next call waits for it and lets it resume."""
    monkeypatch.setenv("GO", str(world / "go"))
    run = few(world, only=1, percents=[20], seeds=[0])
    process = multiprocessing.get_context("fork").Process(target=run.run)
    process.start()
    train = world / "out/IMP/20/seed0/train"
    while not (train / "fresh").exists() and process.is_alive():
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not (train / "ended").exists()
    threading.Timer(0.5, (world / "go").touch).start()
    assert table(run).splitlines()[2] == "| IMP | 10.00 |"
    assert sorted(path.name for path in train.iterdir()) == ["ended", "fresh", "last_checkpoint", "resumed"]


def test_parts_of_a_grid_on_several_machines_are_the_grid(world: Path) -> None:
    for i in range(3):
        few(world, shard=(i, 3)).run()
        assert len(list((world / "out").rglob("score.json"))) == [3, 6, 8][i]
    assert write_tables(gather(few(world)), world / "out") == EXPECTED


def test_what_comes_first_is_trained_once_and_its_checkpoint_is_named(world: Path) -> None:
    config = str(world / "config.py")
    rows = (Entry("plain", config), Entry("warm", config, ("load_from={sep}",), minus="plain"))
    around = {"REGION": "north"}
    columns = (Entry("EU-NA", options=("check=1", "gain=2"), environment=around), Entry("NA-EU"))
    grid = Grid("g", rows, columns, (0, 1), start=(Entry("sep", config, ("own=1",)),))
    run = GridRun(world, grid, world / "out")
    lines = table(run).splitlines()
    assert not run.failures, run.failures
    assert lines[2] == "| plain | 20.50 ± 0.71 | 0.50 ± 0.71 |"
    checkpoint = world / "out/start/sep/train/iter_9.pth"
    assert checkpoint.is_file() and "own=1" in (world / "out/start/sep/tools.log").read_text()
    assert f"load_from={checkpoint}" in (world / "out/warm/EU-NA/seed1/tools.log").read_text()
    run.run()  # finished: its settings do not depend on whether the checkpoint is there
    failing = Grid("g", rows, columns, (0,), start=(Entry("sep", config, ("fail=1",)),))
    run = GridRun(world, failing, world / "other")
    run.run()
    assert "needs 'sep' of 'start', which failed" in run.failures["warm, NA-EU, seed 0"]
    assert set(run.failures) == {"sep, seed 0", "warm, EU-NA, seed 0", "warm, NA-EU, seed 0"}


def test_data_are_made_once(world: Path) -> None:
    (world / "tools/make_scenes.py").write_text("import sys\nopen(sys.argv[2], 'a').write(sys.argv[1])\n")
    config = str(world / "config.py")
    grid = Grid("g", (Entry("a", config),), seeds=(0,), prepare=(f"rsseg scenes dota {world}/made",))
    for i in range(2):
        GridRun(world, grid, world / "out", shard=(i, 2)).run()
    assert (world / "made").read_text() == "dota"
    (world / "tools/make_scenes.py").write_text("import sys\nsys.exit('no disk')\n")
    with pytest.raises(JobError, match="no disk"):
        GridRun(world, grid, world / "other").run()
