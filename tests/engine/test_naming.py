"""Files of a test never collide: folders tell equal names apart, other collisions are errors before the work."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rsseg.engine import NameOutputs, SavePictures
from rsseg.errors import DataError
from rsseg.evaluation import SegmentationMetric


class _Set:
    def __init__(self, name: str, paths: list[str]) -> None:
        self.name, self.paths = name, paths

    def __len__(self) -> int:
        return len(self.paths)

    def get_data_info(self, i: int) -> dict[str, Any]:
        return {"img_path": self.paths[i], "dataset_name": self.name}


def _runner(out: Path, *sets: _Set) -> Any:
    metric, hook = SegmentationMetric(output_dir=str(out)), SavePictures(str(out))
    dataset = SimpleNamespace(datasets=list(sets)) if len(sets) > 1 else sets[0]
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(test_evaluator=SimpleNamespace(metrics=[metric]), hooks=[hook], test_dataloader=loader)


def test_folders_tell_equal_names_apart(tmp_path: Path) -> None:
    runner = _runner(tmp_path, _Set("a", ["/d/x/1.png", "/d/y/1.png", "/d/y/2.png"]), _Set("b", ["/e/1.png"]))
    NameOutputs().before_test(runner)
    expected = {"/d/x/1.png": "x__1", "/d/y/1.png": "y__1", "/d/y/2.png": "2", "/e/1.png": "1"}
    assert runner.test_evaluator.metrics[0].names == runner.hooks[0].names == expected


@pytest.mark.parametrize("names", [("1.png", "1.tif"), ("a.png", "A.png")])
def test_names_that_collide_are_said_before_the_test(tmp_path: Path, names: tuple[str, str]) -> None:
    runner = _runner(tmp_path, _Set("a", [f"/d/{name}" for name in names]))
    with pytest.raises(DataError, match="have one stem"):
        NameOutputs().before_test(runner)
    runner.test_evaluator.metrics[0].output_dir, runner.hooks = None, []
    NameOutputs().before_test(runner)  # nothing is written
