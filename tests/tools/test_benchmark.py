"""The benchmark tool: entries by name, alternating sides, ratio = reference / ours."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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


def test_unknown_entries_name_the_known(run_tool):
    result = run_tool("benchmark", "nope")
    assert result.returncode == 2
    assert "unknown entry 'nope'; expected one of: ben_packed, " in result.stderr


def test_memory_is_weighed_in_processes_of_their_own(repo, tmp_path):
    script = tmp_path / "weigh.py"
    script.write_text(MEMORY.format(tools=str(repo / "tools")))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["MiB", "True", "2"], result.stderr
