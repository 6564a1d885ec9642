"""The few-label grid: its tables by hand; runs that fail, are killed, go on; with stand-ins for the two tools."""

from __future__ import annotations

import json
import multiprocessing
import textwrap
import time

import pytest

import rsseg
from rsseg.datasets.preparation import write_few
from rsseg.errors import JobError
from rsseg.experiments.few_labels import FewLabels, Init
from rsseg.experiments.few_labels_table import few_label_table, write_tables
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
    time.sleep(float(os.environ.get("SLOW", 0)))
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
    names = Path(words["train_dataloader.dataset.subset"]).read_text().split()
    score = len(names) + 10 * float(words.get("gain", 0)) + int(words["randomness.seed"])
    (work / "now.json").write_text(json.dumps({"mIoU": score, "mF1": 2 * score, "time": 1.0, "data_time": 0.5}))
"""


@pytest.fixture
def world(tmp_path):
    """Lists of 20 and 10 % of 50 tiles, a config, and a checkout with stand-in tools."""
    write_few([f"a__{i}_0" for i in range(50)], ["a"] * 50, tmp_path / "lists", [10, 20], [0, 1])
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text(textwrap.dedent(TRAIN))
    (tmp_path / "tools" / "test.py").write_text(textwrap.dedent(TEST))
    (tmp_path / "config.py").write_text("model = dict(type='X')\n")
    return tmp_path


def grid(world, gain="gain=1", **changes):
    inits = [Init("IMP", world / "config.py"), Init("IMP+SEP", world / "config.py", (gain,))]
    settings = dict(root=world, lists=world / "lists", out=world / "out", inits=inits, percents=[20, 10], seeds=[0, 1])
    return FewLabels(**{**settings, **changes})


EXPECTED = """\
| mIoU, 2 seeds | 20 % (10 tiles) | 10 % (5 tiles) |
| --- | ---: | ---: |
| IMP | 10.50 ± 0.71 | 5.50 ± 0.71 |
| IMP+SEP | 20.50 ± 0.71 | 15.50 ± 0.71 |
| Δ IMP+SEP − IMP | +10.00 ± 0.00 | +10.00 ± 0.00 |"""


def test_the_grid_runs_once_and_makes_the_tables(world):
    few = grid(world, places=[{}, {}])
    assert few.run() == EXPECTED
    assert (world / "out/table.md").read_text() == f"{EXPECTED}\n"
    rows = (world / "out/runs.csv").read_text().splitlines()
    assert rows[0] == "init,percent,seed,tiles,mIoU,mF1"
    assert sorted(rows[1:])[0] == "IMP+SEP,10,0,5,15.0,30.0" and len(rows) == 9
    assert "Δ IMP+SEP − IMP,10,mIoU,10.0,0.0,2" in (world / "out/table.csv").read_text().splitlines()
    assert not list(world.rglob("*.pth"))
    before = {path: path.stat().st_mtime_ns for path in (world / "out").rglob("fresh")}
    assert grid(world, metric="mF1").run().splitlines()[2] == "| IMP | 21.00 ± 1.41 | 11.00 ± 1.41 |"
    assert {path: path.stat().st_mtime_ns for path in (world / "out").rglob("fresh")} == before
    with pytest.raises(
        ValueError, match=r"IMP\+SEP/20_seed0 holds a run with another config: options was \['gain=1'\]"
    ):
        grid(world, gain="gain=2").run()
    (world / "config.py").write_text("model = dict(type='Y')\n")
    with pytest.raises(ValueError, match="config_sha256"):
        grid(world).run()
    repeated = grid(world, update=True)
    assert repeated.run() == EXPECTED
    assert all(path.stat().st_mtime_ns > before[path] for path in before)


def test_weights_tables_and_data_sets_count(world, monkeypatch):
    (world / "start.pth").write_bytes(b"1")
    (world / "set").mkdir()
    Job(world / "set", "tiles").claim({"size": 4}, {"a": {"image": Input(world / "start.pth", "a.png")}})
    rows = [{"id": 0, "name": "ship", "color": "#000000"}]
    (world / "mine.json").write_text(json.dumps({"name": "m", "source": "", "categories": rows}))
    data = f"data = dict(table='{world}/mine.json', data_root='{world}/set')\n"
    (world / "config.py").write_text(f"model = dict(type='X')\nload_from = '{world}/start.pth'\n{data}")
    few = dict(inits=[Init("IMP", world / "config.py")], percents=[20], seeds=[0])
    grid(world, **few).run()
    (world / "start.pth").write_bytes(b"2")
    with pytest.raises(JobError, match=r"weights was {'.*start\.pth': '6b86.*now {'.*start\.pth': 'd473"):
        grid(world, **few).run()
    assert grid(world, **few, update=True).run().splitlines()[2] == "| IMP | 10.00 |"
    rows[0]["name"] = "boat"
    (world / "mine.json").write_text(json.dumps({"name": "m", "source": "", "categories": rows}))
    with pytest.raises(JobError, match=r"class_tables.*\['ship #000000 0'\], now \['boat #000000 0'\]"):
        grid(world, **few).run()
    grid(world, **few, update=True).run()
    images = {"b": {"image": Input(world / "start.pth", "b.png")}}
    Job(world / "set", "tiles").claim({"size": 4}, images, update=True)
    with pytest.raises(JobError, match="data was"):
        grid(world, **few).run()
    monkeypatch.setattr(rsseg, "__version__", "99.0")
    grid(world, **few, update=True).run()


def test_a_failing_run_does_not_stop_the_others(world):
    few = grid(world, gain="fail=1", seeds=[0], keep=True)
    table = few.run().splitlines()
    assert table[2:] == ["| IMP | 10.00 | 5.00 |", "| IMP+SEP | – | – |", "| Δ IMP+SEP − IMP | – | – |"]
    assert len(few.failures) == 2
    assert "tools/train.py in" in few.failures[0] and "no luck" in few.failures[0]
    assert len(list(world.rglob("*.pth"))) == 2


def test_lists_and_names_are_checked_first(world):
    with pytest.raises(ValueError, match="rows need names of their own, without slashes, got a, a"):
        grid(world, inits=[Init("a", world / "config.py"), Init("a", world / "config.py")]).run()
    (world / "lists/few_20_seed1.txt").write_text("a__0_0\n")
    with pytest.raises(ValueError, match=r"few_20_seed1\.txt: has changed since"):
        grid(world).run()
    assert not list((world / "out").iterdir())


def test_a_killed_grid_goes_on_and_starts_no_run_twice(world, monkeypatch):
    """The grid is killed, its tool lives on; the next call waits for it and lets it resume."""
    monkeypatch.setenv("SLOW", "2")
    few = grid(world, inits=[Init("IMP", world / "config.py")], percents=[20], seeds=[0])
    process = multiprocessing.get_context("fork").Process(target=few.run)
    process.start()
    train = world / "out/IMP/20_seed0/train"
    deadline = time.time() + 120
    while not (train / "fresh").exists() and time.time() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not (train / "ended").exists()
    assert few.run().splitlines()[2] == "| IMP | 10.00 |"
    assert sorted(path.name for path in train.iterdir()) == ["ended", "fresh", "last_checkpoint", "resumed"]


def test_missing_runs_show_in_the_table(tmp_path):
    rows = [
        {"init": name, "percent": 5, "seed": seed, "tiles": 433, "scores": {"mF1": score}}
        for name, seed, score in (("IMP", 0, 80.0), ("IMP", 1, 81.0), ("IMP+SEP", 1, 83.5), ("IMP+SEP+X", 1, 83.0))
    ]
    table = few_label_table(rows, ["IMP", "IMP+SEP", "IMP+SEP+X"], [5, 1], [0, 1], "mF1").splitlines()
    assert table[0] == "| mF1, 2 seeds | 5 % (433 tiles) | 1 % |"
    assert table[2:] == [
        "| IMP | 80.50 ± 0.71 | – |",
        "| IMP+SEP | 83.50 (1 of 2) | – |",
        "| Δ IMP+SEP − IMP | +2.50 (1 of 2) | – |",
        "| IMP+SEP+X | 83.00 (1 of 2) | – |",
        "| Δ IMP+SEP+X − IMP+SEP | -0.50 (1 of 2) | – |",
    ]
    assert write_tables([], ["IMP"], [5], [0], "mF1", tmp_path).endswith("| IMP | – |")
