"""The grid of adaptation methods: its table by hand, and a run with stand-ins for the two tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsseg.demo.processes import fork_tool
from rsseg.errors import JobError
from rsseg.experiments.few_labels import Init
from rsseg.experiments.methods import MethodGrid, closed_gap, method_table
from rsseg.metainfo import load_metainfo
from rsseg.reports.methods import method_figure


def _row(name: str, seed: int, score: float) -> dict:
    return {"init": name, "seed": seed, "scores": {"mIoU": score, "IoU/road": score / 2}}


def test_table_by_hand() -> None:
    rows = [
        _row("source only", 0, 20.0),
        _row("source only", 1, 30.0),
        _row("oracle", 0, 40.0),
        _row("oracle", 1, 50.0),
    ]
    rows += [_row("CBST", 1, 35.0)]
    lines = method_table(rows, ["oracle", "source only", "CBST", "MIC"], [0, 1], "mIoU", "source only", "oracle")
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
    assert found[0] == ["", "road", "mIoU", "against source only", "of the gap"]
    assert found[2] == ["oracle", "22.5", "45.00 ± 7.07", "+20.00", "–"]
    assert found[3] == ["source only", "12.5", "25.00 ± 7.07", "–", "–"]
    # its seed only: 35 - 30; of the gap between the means 25 and 45: 10 of 20
    assert found[4] == ["CBST", "17.5", "35.00 (1 of 2 seeds)", "+5.00", "50 %"]
    assert found[5] == ["MIC", "–", "–", "–", "–"]
    assert closed_gap(30, 40, 40) is None


def test_a_run_is_resumed_and_a_failure_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("model = dict(type='X')\n")
    calls: list[tuple[str, str]] = []

    def launch(root: Path, name: str, args: tuple[object, ...], log: Path) -> int:
        words = [str(arg) for arg in args]
        work = Path(words[words.index("--work-dir") + 1])
        calls.append((name, work.parts[-2]))
        assert any(word.startswith("randomness.seed=") for word in words)
        if name == "train":
            work.mkdir(parents=True, exist_ok=True)
            (work / "iter_9.pth").touch()
            (work / "last_checkpoint").write_text(str(work / "iter_9.pth"))
        else:
            assert "--out" in words
            (work / "now").mkdir(parents=True)
            (work / "now" / "now.json").write_text(
                json.dumps({"mIoU": 10.0 if "gain=1" in words else 5.0, "time": 1.0})
            )
        return 0

    rows = [Init("source only", tmp_path / "config.py"), Init("CBST", tmp_path / "config.py", ("gain=1",))]
    grid = MethodGrid(tmp_path, Path(), tmp_path / "out", rows, [100.0], [0, 1], launch=launch)
    table = grid.run()
    assert "+5.00" in table and len(calls) == 8
    assert not list((tmp_path / "out").rglob("*.pth"))
    assert grid.run() == table and len(calls) == 8, "nothing is done twice"
    assert (tmp_path / "out" / "table.md").read_text().strip() == table
    assert (tmp_path / "out" / "runs.csv").read_text().splitlines()[1] == "source only,0,5.0"


def test_figure_has_a_panel_for_each_map() -> None:
    table = load_metainfo("openearthmap")
    image, labels = np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 5, np.uint8)
    figure = method_figure([image, image], [labels, labels], {"CBST": [labels, labels]}, table)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["image", "labels", "CBST", "", "", ""]
    colour = figure.axes[2].images[0].get_array()[0, 0]
    assert tuple(colour) == table.palette[4], "value 5 is class 4"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(table.classes)


def test_rows_need_names_of_their_own(tmp_path: Path) -> None:
    row = Init("a", tmp_path / "config.py")
    with pytest.raises(ValueError, match="names of their own"):
        MethodGrid(tmp_path, Path(), tmp_path / "out", [row, row], [100.0], [0]).run()


def test_a_tool_runs_in_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text("import sys\nprint(*sys.argv[1:])\nsys.exit(sys.argv[1] == 'bad')\n")
    assert fork_tool(tmp_path, "train", ["good", 7], tmp_path / "train.log") == 0
    assert (tmp_path / "train.log").read_text() == "good 7\n"
    with pytest.raises(JobError, match=r"train\.py failed with exit status 1"):
        fork_tool(tmp_path, "train", ["bad"], tmp_path / "train.log")


def test_a_search_is_searched_then_its_teacher_and_student_are_trained(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("model = dict(type='X')\n")
    (tmp_path / "search.py").write_text(f"model = dict(type='S')\nsearch = dict(retrain='{tmp_path / 'base.py'}')\n")
    calls: list[list[str]] = []

    def launch(root: Path, name: str, args: tuple[object, ...], log: Path) -> int:
        words = [str(arg) for arg in args]
        calls.append([name, *words])
        work = Path(words[words.index("--work-dir") + 1])
        work.mkdir(parents=True, exist_ok=True)
        if name == "search":
            for stem in ("retrain_teacher", "retrain"):
                (work / f"{stem}.py").write_text("model = dict(type='X')\n")
        elif name == "train":
            (work / "last_checkpoint").write_text(f"{work.name}.pth")
        elif sum(call[0] == "test" for call in calls) > 1:
            (work / "now").mkdir()
            (work / "now" / "now.json").write_text(json.dumps({"mIoU": 5.0}))
        else:
            raise JobError("interrupted")
        return 0

    rows = [Init("found", tmp_path / "search.py", ("own=1",))]
    grid = MethodGrid(tmp_path, Path(), tmp_path / "out", rows, [100.0], [3], options=["all=1"], launch=launch)
    grid.run()
    assert grid.failures == ["interrupted"]
    table = grid.run()
    found = tmp_path / "out" / "found" / "seed3"
    assert [Path(call[1]).name for call in calls[:4]] == ["search.py", "retrain_teacher.py", "retrain.py", "retrain.py"]
    assert [call[0] for call in calls[4:]] == ["train", "train", "test"], "the search is not repeated"
    assert {"all=1", "own=1", "randomness.seed=3"} <= set(calls[0]) and "own=1" not in calls[1]
    teacher = "model.teacher.checkpoint=retrain_teacher.pth"
    assert teacher not in calls[1] and teacher in calls[2] and teacher in calls[3]
    assert calls[3][1:3] == [str(found / "search" / "retrain.py"), "retrain.pth"]
    assert table.splitlines()[0].split() == ["|", "|", "mIoU", "|"], "without source only and oracle no gap"
    (tmp_path / "base.py").write_text("model = dict(type='Y')\n")
    with pytest.raises(JobError, match="retrain_sha256"):
        grid.run()
