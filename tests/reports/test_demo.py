"""The demo end to end, with a handful of scenes and two iterations."""

from __future__ import annotations

import pytest

from rsseg.errors import JobError
from rsseg.reports import demo


@pytest.mark.slow
@pytest.mark.stack
def test_the_whole_path(repo, tmp_path, monkeypatch, call_tool_as_fork):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "call_tool", call_tool_as_fork)
    monkeypatch.setattr(demo, "SETS", {"dota": ("sota", 3), "dior": ("sior", 3), "fair1m": ("fast", 3)})
    monkeypatch.setattr(demo, "LANDCOVER", {"count": 6, "val": 1, "test": 2, "size": 160})
    lines: list[str] = []
    demo.Demo(repo, lines.append, iters=2, few=3).run()
    text = "\n".join(lines)
    for number in range(1, 7):
        assert f"[{number}/6]" in text
    rows = [line.lstrip("| ") for line in text.splitlines()]
    assert sum(row.startswith(("from scratch", "from SEP")) for row in rows) == 2
    pictures = tmp_path / "work_dirs" / "demo" / "pictures"
    assert len(list((pictures / "landcover").glob("*.png"))) == 2
    assert all(list((pictures / f"labels_{name}").glob("*.png")) for name in ("sota", "sior", "fast"))


def test_a_failing_tool_shows_its_output(repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JobError, match=r"tools/make_scenes\.py failed with exit status 2[\s\S]*invalid choice"):
        demo.Demo(repo, lambda line: None)._tools("make_scenes", [["nonsense", "out"]])
