"""What runs do, with stand-ins for the tools: methods with their gap, searches, prompts, vocabularies, curves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.demo.processes import fork_tool
from rsseg.errors import ConfigError, JobError
from rsseg.evaluation.image_scores import ImageScores, write_image_scores
from rsseg.experiments.comparison import compare_images
from rsseg.experiments.grid import Entry, Grid, read_grid
from rsseg.experiments.presets import methods
from rsseg.experiments.runner import GridRun
from rsseg.experiments.tables import Results, closed_gap, gather, write_tables


def _results(grid: Grid, scores: dict[tuple[str, int], float]) -> Results:
    found = {(row, "", seed): {"mIoU": value, "IoU/road": value / 2} for (row, seed), value in scores.items()}
    folders = {(cell.row, cell.column, cell.seed): Path("none") for cell in grid.cells()}
    return Results(grid, found, folders=folders)


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_table_of_methods_by_hand(tmp_path: Path) -> None:
    rows = [(name, "c.py") for name in ("oracle", "source only", "CBST", "MIC")]
    scores = {("source only", 0): 20.0, ("source only", 1): 30.0, ("oracle", 0): 40.0, ("oracle", 1): 50.0}
    results = _results(methods(rows, [0, 1], "mIoU"), scores | {("CBST", 1): 35.0})
    found = _cells(write_tables(results, tmp_path))
    assert found[0] == ["2 seeds", "road", "mIoU", "difference", "to", "p", "of the gap"]
    assert found[2] == ["oracle", "22.50 ± 3.54", "45.00 ± 7.07", "+20.00 ± 0.00", "source only", "–", "–"]
    assert found[3] == ["source only", "12.50 ± 3.54", "25.00 ± 7.07", "–", "–", "–", "–"]
    # its seed only: 35 - 30; of the gap between the means 25 and 45: 10 of 20
    assert found[4][2:] == ["35.00 (1 of 2)", "+5.00 (1 of 2)", "source only", "–", "50 %"]
    assert found[5] == ["MIC", "–", "–", "–", "source only", "–", "–"]
    assert closed_gap(30, 40, 40) is None
    alone = _results(methods(rows[2:], [0, 1], "mIoU"), {("CBST", 1): 35.0})
    assert _cells(write_tables(alone, tmp_path))[0] == ["2 seeds", "road", "mIoU"]


def test_missing_runs_show_in_a_table_of_several_columns(tmp_path: Path) -> None:
    rows = (Entry("IMP", "c"), Entry("IMP+SEP", "c", minus="IMP"))
    grid = Grid("g", rows, (Entry("5", title="5 %"), Entry("1")), (0, 1), transpose=True)
    results = Results(grid, {("IMP", "5", 0): {"mIoU": 80.0}, ("IMP", "5", 1): {"mIoU": 81.0},
                             ("IMP+SEP", "5", 1): {"mIoU": 83.5}},
                      folders={(c.row, c.column, c.seed): Path("none") for c in grid.cells()})  # fmt: skip
    assert _cells(write_tables(results, tmp_path))[2:] == [
        ["5 %", "80.50 ± 0.71", "83.50 (1 of 2)", "+2.50 (1 of 2)"],
        ["1", "–", "–", "–"],
    ]


Tool = Callable[[str, list[str], Path], None]


def _launcher(do: Tool) -> Callable[..., int]:
    def launch(root: Path, name: str, args: tuple[object, ...], log: Path, *around: Any) -> int:
        words = [str(arg) for arg in args]
        place = "--work-dir" if "--work-dir" in words else "--out"
        do(name, words, Path(words[words.index(place) + 1]))
        return 0

    return launch


def _write_scores(work: Path, **scores: float) -> None:
    (work / "now").mkdir(parents=True, exist_ok=True)
    (work / "now" / "now.json").write_text(json.dumps({**scores, "time": 1.0}))


def test_a_search_is_searched_then_its_teacher_and_student_are_trained(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("model = dict(type='X')\n")
    (tmp_path / "search.py").write_text(f"model = dict(type='S')\nsearch = dict(retrain='{tmp_path / 'base.py'}')\n")
    calls: list[list[str]] = []

    def do(name: str, words: list[str], work: Path) -> None:
        calls.append([name, *words])
        work.mkdir(parents=True, exist_ok=True)
        if name == "search":
            for stem in ("retrain_teacher", "retrain"):
                (work / f"{stem}.py").write_text("model = dict(type='X')\n")
        elif name == "train":
            (work / "last_checkpoint").write_text(f"{work.name}.pth")
        elif sum(call[0] == "test" for call in calls) > 1:
            _write_scores(work, mIoU=5.0)
        else:
            raise JobError("interrupted")

    grid = methods([("found", str(tmp_path / "search.py"), "own=1")], [3], "mIoU", ["all=1"])
    run = GridRun(tmp_path, grid, tmp_path / "out", launch=_launcher(do))
    run.run()
    assert run.failures == {"found, seed 3": "interrupted"}
    run.run()
    found = tmp_path / "out" / "found" / "seed3"
    assert [Path(call[1]).name for call in calls[:4]] == ["search.py", "retrain_teacher.py", "retrain.py", "retrain.py"]
    assert [call[0] for call in calls[4:]] == ["train", "train", "test"], "the search is not repeated"
    assert {"all=1", "own=1", "randomness.seed=3"} <= set(calls[0]) and "own=1" not in calls[1]
    teacher = "model.teacher.checkpoint=retrain_teacher.pth"
    assert teacher not in calls[1] and teacher in calls[2] and teacher in calls[3]
    assert calls[3][1:3] == [str(found / "search" / "retrain.py"), "retrain.pth"]
    assert calls[3][calls[3].index("--out") + 1] == str(found / "maps")
    (tmp_path / "base.py").write_text("model = dict(type='Y')\n")
    with pytest.raises(JobError, match="retrain_sha256"):
        run.run()


def _config(folder: Path, text: str = "model = dict(type='X')\n") -> str:
    (folder / "config.py").write_text(text)
    return str(folder / "config.py")


def test_prompts_are_compared_without_training(tmp_path: Path) -> None:
    def do(name: str, words: list[str], out: Path) -> None:
        assert name == "ablate_prompts" and words[words.index("--prompts") + 1] == "hbox"
        assert not any(word.startswith("randomness") for word in words)
        out.mkdir(parents=True)
        overall = {"mIOU_I": 0.5, "mIOU_P": 0.25}
        (out / "ablation.json").write_text(json.dumps({"prompts": {"hbox": {"overall": overall}}}))

    rows = (Entry("H-Box", words={"prompt": "hbox"}, config=_config(tmp_path)),)
    scores = {"mIOU_I": "mIOU_I", "mIOU_P": "mIOU_P"}
    grid = Grid("g", rows, seeds=(0,), task="ablate", scores=scores, test=("--prompts", "{prompt}"))
    run = GridRun(tmp_path, grid, tmp_path / "out", launch=_launcher(do))
    run.run()
    assert _cells(write_tables(gather(run), tmp_path))[2] == ["H-Box", "50.00", "25.00"]


def test_vocabularies_give_a_column_for_each_set(tmp_path: Path) -> None:
    def do(name: str, words: list[str], work: Path) -> None:
        if name == "train":
            work.mkdir(parents=True)
            (work / "last_checkpoint").write_text("iter_1.pth")
        else:
            assert name == "test_vocabulary" and words[1] == "iter_1.pth"
            table = "config,checkpoint,flair,fast,average\nc,iter_1.pth,20.00,,\n"
            Path(words[words.index("--out") + 1]).write_text(table)

    scores = {"FLAIR": "flair", "FAST": "fast"}
    grid = Grid("g", (Entry("GSNet", _config(tmp_path)),), seeds=(0,), task="vocabulary", scores=scores)
    run = GridRun(tmp_path, grid, tmp_path / "out", launch=_launcher(do))
    run.run()
    assert _cells(write_tables(gather(run), tmp_path))[2] == ["GSNet", "20.00", "–"]


def test_curves_are_those_of_all_parts_of_a_training(tmp_path: Path) -> None:
    def do(name: str, words: list[str], work: Path) -> None:
        if name == "train":
            assert not any("val_begin" in word for word in words)
            for part, rows in (("1", [(1, 10.0), (2, 11.0)]), ("2", [(2, 12.0), (3, 13.0)])):
                lines = [{"loss": 1.0, "step": 1}, *({"mIoU": value, "step": step} for step, value in rows)]
                (work / part / "vis_data").mkdir(parents=True)
                text = "\n".join(map(json.dumps, lines)) + "\n"
                (work / part / "vis_data" / "scalars.json").write_text(text)
            (work / "last_checkpoint").write_text("iter_1.pth")
        else:
            _write_scores(work, mIoU=5.0)

    grid = Grid("g", (Entry("a", _config(tmp_path)),), seeds=(0,), curve=True)
    run = GridRun(tmp_path, grid, tmp_path / "out", launch=_launcher(do))
    run.run()
    (own,) = gather(run).document()["runs"]
    assert own["curve"] == {"1": 10.0, "2": 12.0, "3": 13.0} and own["scores"] == {"mIoU": 5.0}


def _images(folder: Path, seed: int, better: float = 0.0, kind: str = "pixels") -> Path:
    rng = np.random.default_rng(seed)
    if kind == "labels":
        truth = rng.random((30, 2)) < 0.5
        predicted = np.where(rng.random((30, 2)) < 0.5 + better, truth, ~truth)
        counts = np.stack([truth, predicted, truth & predicted], -1).astype(np.int64)
    else:
        hits = rng.integers(20, 60, (30, 2)) + int(better)
        counts = np.stack([np.full((30, 2), 100), np.full((30, 2), 100), hits], -1)
    names = tuple(f"i{n}" for n in range(30))
    write_image_scores(folder, {"": ImageScores(kind, ("a", "b"), names, counts)})
    return folder


def test_rows_are_tested_on_the_images_that_both_have(tmp_path: Path) -> None:
    first = [_images(tmp_path / f"a{seed}", seed) for seed in (0, 1)]
    second = [_images(tmp_path / f"b{seed}", seed, better=5) for seed in (0, 1)]
    found = compare_images(first, second, "mIoU")
    assert found is not None and found.images == 30 and found.mcnemar is None
    assert found.bootstrap.difference > 2 and found.bootstrap.p < 0.01 and found.wilcoxon < 1e-4
    labels = [_images(tmp_path / f"l{i}", 5, better, "labels") for i, better in enumerate((0.0, 0.45))]
    decided = compare_images(labels[:1], labels[1:], "F1")
    assert decided is not None and decided.mcnemar is not None and decided.mcnemar < 0.01
    assert compare_images(labels[:1], labels[1:], "mAP") is None
    assert compare_images([tmp_path / "none"], [tmp_path / "none"], "mIoU") is None
    rows = (Entry("a", "c"), Entry("b", "c", minus="a"))
    results = _results(Grid("g", rows, seeds=(0, 1)), {(name, seed): 10.0 for name in "ab" for seed in (0, 1)})
    results.folders = {(name, "", seed): tmp_path / f"cell_{name}{seed}" for name in "ab" for seed in (0, 1)}
    for (name, _, seed), folder in results.folders.items():
        _images(folder / "images", seed, better=5.0 * (name == "b"))
    text = write_tables(results, tmp_path)
    (line,) = [line for line in _cells(text) if line[0] == "b − a"]
    assert line[1] == "mIoU" and line[4:] == ["< 0.001", "< 0.001", "–", "30"]
    (row,) = [line for line in (tmp_path / "table.csv").read_text().splitlines() if line.startswith("b,")]
    assert row.split(",")[3:9] == ["10.0", "0.0", "2", "a", "0.0", "0.0"]


def test_a_tool_runs_in_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text(
        "import os, sys\nprint(*sys.argv[1:], os.environ['X'])\nsys.exit(sys.argv[1] == 'bad')\n"
    )
    log = tmp_path / "logs" / "train.log"
    assert fork_tool(tmp_path, "train", ["good", 7], log, {"X": "x"}) == 0
    assert fork_tool(tmp_path, "train", ["bad"], log, {"X": "y"}) == 1
    head = f"$ python {tmp_path}/tools/train.py"
    assert log.read_text().split("\n") == ["", f"{head} good 7", "good 7 x", "", f"{head} bad", "bad y", ""]


def test_a_grid_is_read_from_a_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "title = 'mine'\nrows = [dict(name='a', config='x/{size}.py', words=dict(size='big'))]\n"
        "columns = [dict(name='5 %', words=dict(share=5), options=['subset=few_{share}_{seed}'])]\n"
        "options = ['o=1']\ntiny = dict(seeds=[7], options=['t=1'])\n"
    )
    (cell,) = read_grid(path, changes={"seeds": (2,)}, options=["last=1"]).cells()
    assert cell.config == "x/big.py" and cell.folder == "a/5/seed2" and cell.name == "a, 5 %, seed 2"
    assert cell.options == ("o=1", "last=1", "subset=few_5_2", "randomness.seed=2")
    (cell,) = read_grid(path, tiny=True).cells()
    assert cell.seed == 7 and cell.options[0] == "t=1"
    for text, message in (
        ("title = 'a'\n", "is no grid, since it has no rows"),
        ("title = 'a'\nrows = [dict(name='a')]\nlook = 1\n", "unknown key 'look'; expected one of: columns, curve"),
        ("title = 'a'\nrows = [dict(name='a'), dict(name='a')]\n", "rows need names of their own"),
        ("title = 'a'\nrows = [dict(name='a', minus='b')]\n", "there is no row 'b'; expected one of: a"),
        ("title = 'a'\nrows = [dict(name='a', colour=1)]\n", "colour"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_grid(path)
    path.write_text("title = 'a'\nrows = [dict(name='a')]\n")
    with pytest.raises(ConfigError, match="neither has a config"):
        read_grid(path).cells()
    with pytest.raises(ConfigError, match="no field 'tiny'"):
        read_grid(path, tiny=True)
