"""A grid through the real tools, on made-up tiles: trained, validated, tested, compared, drawn; and gathered again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.datasets.preparation import training_tiles, write_few

GRID = """
title = "two lengths"
metric = "OA"
scores = {{"IoU/*": "IoU/*", "OA": "OA"}}
_config = "{config}"
rows = [
    dict(name="one", config=_config, options={{"train_cfg.max_iters": 1}}),
    dict(name="two", config=_config, options={{"train_cfg.max_iters": 2}}, minus="one"),
    dict(name="wrong", config=_config, options={{"train_dataloader.dataset.subset": "none.txt"}}),
]
options = {{
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.subset": "lists/few_50_seed{{seed}}.txt",
    "train_dataloader.dataset.indices": None,
    "train_cfg.val_interval": 1,
    **{{f"{{part}}_dataloader.num_workers": 0 for part in ("train", "val", "test")}},
}}
seeds = [3]
curve = True
figures = [dict(kind="curves")]
"""


@pytest.mark.slow
def test_a_grid_through_the_tools(
    tmp_path: Path, repo: Path, converted_set: Callable[..., Path], run_tool: Callable[..., Any]
) -> None:
    data = converted_set(tmp_path / "data/nwpu_vhr10/masks", 10, count=16, size=64)
    write_few(*training_tiles(str(data)), tmp_path / "lists", [50], [3])
    config = repo / "configs/nwpu_vhr10/upernet_tiny_nwpu_vhr10.py"
    (tmp_path / "mine.py").write_text(GRID.format(config=config))
    first = run_tool("run_grid", "mine.py", "--out", "out", "--json")
    assert first.returncode == 1 and "1 runs failed (see out/table.md)" in first.stderr, first.stderr
    runs = {run["row"]: run for run in json.loads(first.stdout)["runs"]}
    assert list(runs["one"]["curve"]) == ["1"] and list(runs["two"]["curve"]) == ["1", "2"]
    assert 0 <= runs["two"]["scores"]["OA"] <= 100 and runs["wrong"]["scores"] is None
    assert any(name.startswith("IoU/") for name in runs["two"]["scores"])
    rows = list(csv.DictReader((tmp_path / "out/runs.csv").open()))
    assert [row["state"] for row in rows] == ["finished", "finished", "failed"]
    assert "tools/test.py" in rows[1]["commands"] and "Iter(test)" in (tmp_path / rows[1]["log"]).read_text()
    text = (tmp_path / "out/table.md").read_text()
    assert "Failed:" in text and "none.txt" in text and (tmp_path / "out/curves.png").is_file()
    images = json.loads((tmp_path / "out/two/seed3/images/images.json").read_text())
    assert sum(len(own["images"]) for own in images.values()) > 0
    assert not list((tmp_path / "out").rglob("*.pth")), "checkpoints of finished runs go"
    before = (tmp_path / "out/one/seed3/score.json").stat().st_mtime_ns
    again = run_tool("run_grid", "mine.py", "--out", "out", "--tables")
    assert again.returncode == 0 and "| two |" in again.stdout, again.stderr
    assert (tmp_path / "out/one/seed3/score.json").stat().st_mtime_ns == before
