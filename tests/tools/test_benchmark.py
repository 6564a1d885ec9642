"""The benchmark tool: entries by name, alternating sides, ratio = reference / ours."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsseg.errors import ConfigError

MEMORY = """
import sys
sys.path.insert(0, {tools!r})
from benchmarks.entry import Entry, measure

def setup():
    return (lambda: bytearray(30 << 20)), (lambda: bytearray(120 << 20))

if __name__ == "__main__":
    row = measure(Entry("x", setup, memory=True), runs=2)
    print(row["unit"], row["ratio"] > 2, len(row["runs"]["ours"]))
"""


def suite_of(monkeypatch):
    """The module of the suites."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "tools"))
    return importlib.import_module("benchmarks.suite")


def test_entries_are_listed(run_tool):
    result = run_tool("benchmark", "--list")
    assert result.returncode == 0
    assert {line.split()[0] for line in result.stdout.splitlines()} >= {"convert_image", "metric"}


@pytest.mark.slow
@pytest.mark.stack
def test_entries_print_and_write_their_ratios(run_tool, tmp_path):
    result = run_tool("benchmark", "metric", "convert_image", "--runs", 1, "--json", tmp_path / "out.json")
    assert result.returncode == 0, result.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    for name in ("metric", "convert_image"):
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"{name} ours="))
        assert " reference=" in line
        assert " ratio=" in line
        assert written[name]["ratio"] == pytest.approx(written[name]["reference"] / written[name]["ours"])


def test_a_recipe_whose_package_is_absent_says_so(monkeypatch, tmp_path):
    suite_of(monkeypatch)
    peers = importlib.import_module("benchmarks.loading_peers")
    monkeypatch.setitem(peers.PEERS, "absent", peers.Peer("no_such_package", "nothing", lambda *_: None))
    with pytest.raises(ConfigError, match="no_such_package is not installed"):
        peers.peer("absent", tmp_path, 1)


def test_unknown_entries_name_the_known(run_tool):
    result = run_tool("benchmark", "nope")
    assert result.returncode == 2
    assert "unknown entry 'nope'; expected one of: albumentations_loading, ben_packed, " in result.stderr


def test_memory_is_weighed_in_processes_of_their_own(repo, tmp_path):
    script = tmp_path / "weigh.py"
    script.write_text(MEMORY.format(tools=str(repo / "tools")))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["MiB", "True", "2"], result.stderr


@pytest.mark.stack
def test_a_failure_is_a_row_of_the_suite(monkeypatch):
    suite = suite_of(monkeypatch)

    def make(device, toy):
        assert (device, toy) == ("cpu", True)
        return {"works": (lambda: None, 2.0), "fails": (lambda: 1 / 0, 1.0)}

    def broken(device, toy):
        raise RuntimeError("out of memory\nand a trace")

    monkeypatch.setattr(suite, "GROUPS", {"a": ("images/s", make, 1), "b": ("tiles/s", broken, 1)})
    rows = list(suite.run_suite("cpu", toy=True))
    errors = ["", "ZeroDivisionError: division by zero", "RuntimeError: out of memory"]
    found = [(row.group, row.form, row.error) for row in rows]
    assert found == list(zip("aab", ["works", "fails", ""], errors, strict=True))
    assert rows[0].rate > 0 and rows[1].rate is None
    text = suite.table(rows, "cpu")
    assert f"| a | fails | {errors[1]} |" in text and f"| b |  | {errors[2]} |" in text


@pytest.mark.stack
def test_the_suite_works_at_toy_sizes(monkeypatch):
    suite = suite_of(monkeypatch)
    assert sum(limit for _, _, limit in suite.GROUPS.values()) <= 480
    quick = {name: own for name, own in suite.GROUPS.items() if name.startswith(("SAM", "GSNet", "map", "DAFormer"))}
    monkeypatch.setattr(suite, "GROUPS", quick)
    rows = list(suite.run_suite("cpu", toy=True))
    assert len(rows) == 10 and not [row for row in rows if row.error]


@pytest.mark.stack
def test_areas_by_hand(monkeypatch):
    """Start and end take 2 s, 1000 pixels 1 ms; two shards divide that, but not the CPU seconds."""
    suite_of(monkeypatch)
    areas = importlib.import_module("benchmarks.areas")
    monkeypatch.setattr(areas, "_save_model", lambda path: path)

    def run(arguments, words, target):
        target.mkdir(exist_ok=True)
        (target / "map.tif").write_bytes(words[0].encode())
        seconds = int(Path(words[0]).stem) ** 2 / 1e6
        return 2 + seconds / len(arguments), 2 + seconds

    monkeypatch.setattr(areas, "_seconds", run)
    rows = [(row.group, row.form, round(row.rate, 1), row.unit) for row in areas.run_areas(2, toy=True)]
    square = 512**2 / 4e6  # km2 of half-metre pixels
    rates = [round(square * 3600 / (2 + 512**2 / 1e6 / count), 1) for count in (1, 2)]
    assert [row for row in rows if row[0] == "512 x 512"] == [
        ("512 x 512", "1 process", rates[0], "km2/h"),
        ("512 x 512", "2 shards at the same time", rates[1], "km2/h"),
        ("512 x 512", "Ray", rates[0], "km2/h"),
    ]  # fmt: skip
    assert [row[1:] for row in rows if row[0] == "without start and end"] == [
        ("1 process", 900.0, "km2/h"), ("1 process", 900.0, "km2 per CPU hour"),
        ("2 shards at the same time", 1800.0, "km2/h"), ("2 shards at the same time", 900.0, "km2 per CPU hour"),
        ("Ray", 900.0, "km2/h"),
    ]  # fmt: skip
    assert rows[-1][1:] == ("all forms", 0.0, "bytes per pixel")


def test_the_suite_needs_a_card_or_says_how_to_go_without(run_tool):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = run_tool("benchmark", "--suite", "gpu")
    assert result.returncode == 1 and "there is no GPU; --device cpu --toy" in result.stderr


def test_the_quick_set_is_of_entries(monkeypatch):
    suite = suite_of(monkeypatch)
    from benchmarks import ENTRIES

    assert set(suite.QUICK) <= set(ENTRIES)
