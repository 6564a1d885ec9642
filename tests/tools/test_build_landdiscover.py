"""LandDiscover50K as a user builds it, from real samples."""

from __future__ import annotations

import csv

import pytest


def test_arguments_that_make_no_sense(run_tool, tmp_path):
    for options in ([], ["--only-lists", "--loveda", tmp_path]):
        result = run_tool("build_landdiscover", tmp_path / "out", *options)
        assert result.returncode == 2 and "name at least one dataset, or use --only-lists alone" in result.stderr
    result = run_tool("build_landdiscover", tmp_path / "out", "--loveda", tmp_path / "nowhere")
    assert result.returncode == 1 and "loveda: no folder" in result.stderr


def test_real_samples(samples, run_tool, tmp_path):
    sets = [part for name in ("openearthmap", "loveda", "deepglobe") for part in (f"--{name}", samples / name)]
    command = ["build_landdiscover", tmp_path / "out", *sets, "--subsets", 5, "--workers", 1]
    result = run_tool(*command)
    assert result.returncode == 0, result.stderr
    assert "all: 7 of 51846 pairs, not the whole set" in result.stderr
    with (tmp_path / "out/counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    # every pixel of three images of 1024 x 1024 and one of 2448 x 2448 is in one class
    totals = {name: sum(int(row[name]) for row in rows) for name in ("openearthmap", "loveda", "deepglobe")}
    assert totals == {"openearthmap": 1024**2, "loveda": 2 * 1024**2, "deepglobe": 2448**2}
    used = {row["class"] for row in rows if int(row["pixels"])}
    assert {"road", "water", "buildings", "agriculture land", "grass"} <= used
    assert not used & {"plane", "ship", "windmill"}
    assert len((tmp_path / "out/lists/5_seed0.txt").read_text().split()) == 5
    only = run_tool("build_landdiscover", tmp_path / "out", "--only-lists", "--subsets", 6)
    assert only.returncode == 0 and (tmp_path / "out/lists/6_seed0.txt").is_file()


@pytest.mark.usefixtures("mmseg_scope")
def test_files_that_cannot_be_used_end_in_status_1(run_tool, tmp_path):
    for folder in ("images_png", "masks_png"):
        (tmp_path / "loveda/Train/Urban" / folder).mkdir(parents=True)
    (tmp_path / "loveda/Train/Urban/masks_png/1.png").write_bytes(b"")
    result = run_tool("build_landdiscover", tmp_path / "out", "--loveda", tmp_path / "loveda")
    assert result.returncode == 1
    assert "1.png: its image is missing" in result.stderr
