"""Lists of a few per cent: even over source images, nested, repeatable, and the committed ones."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest
from PIL import Image

from rsseg.datasets import ConvertedDataset, TableDataset
from rsseg.datasets.preparation import choose_few, read_few, training_tiles, write_few

TILES = [f"{source}__{x}_0" for source, count in (("a", 100), ("b", 40), ("c", 7)) for x in range(count)]
SOURCES = [name.split("__")[0] for name in TILES]


def test_every_source_gives_its_share():
    chosen = choose_few(TILES, SOURCES, 10, seed=0)
    counts = Counter(name[0] for name in chosen)
    assert len(chosen) == 15  # 14.7
    assert counts["a"] in (10, 11) and counts["b"] in (4, 5) and counts["c"] in (0, 1)
    assert len(choose_few(TILES, SOURCES, 0.1, seed=0)) == 1
    assert choose_few(TILES, SOURCES, 100, seed=3) == sorted(TILES)


def test_a_larger_share_contains_a_smaller_one_and_order_does_not_matter():
    few = [set(choose_few(TILES, SOURCES, percent, 1)) for percent in (1, 3, 5, 20)]
    assert few[0] < few[1] < few[2] < few[3]
    assert choose_few(TILES[::-1], SOURCES[::-1], 5, 1) == sorted(few[2])
    assert choose_few(TILES, SOURCES, 5, 2) != sorted(few[2])


def test_small_sources_take_turns():
    """1 % of 300 images of 2 tiles each: 6 tiles, and not always those of the same images."""
    tiles = [f"s{i}__{x}_0" for i in range(300) for x in (0, 1)]
    chosen = [choose_few(tiles, [t.split("__")[0] for t in tiles], 1, seed) for seed in range(5)]
    assert all(len({name.split("__")[0] for name in names}) == len(names) == 6 for names in chosen)
    assert len({name for names in chosen for name in names}) > 20


def test_impossible_choices_are_errors():
    with pytest.raises(ValueError, match="0 % is not possible"):
        choose_few(TILES, SOURCES, 0, 0)
    with pytest.raises(ValueError, match="2 names of tiles, of which only 1 are different"):
        choose_few(["a", "a"], ["a", "a"], 50, 0)


def test_lists_are_written_with_checksums(tmp_path):
    paths = write_few(TILES, SOURCES, tmp_path, [1, 5], [0, 7])
    assert [path.name for path in paths] == ["few_1_seed0.txt", "few_1_seed7.txt", "few_5_seed0.txt", "few_5_seed7.txt"]
    write_few(TILES, SOURCES, tmp_path, [3], [0])
    subprocess.run(["sha256sum", "--check", "--strict", "few.sha256"], cwd=tmp_path, check=True, capture_output=True)
    assert len((tmp_path / "few.sha256").read_text().splitlines()) == 5
    assert read_few(tmp_path / "few_3_seed0.txt") == choose_few(TILES, SOURCES, 3, 0)
    with pytest.raises(ValueError, match="exists and holds other names"):
        write_few(TILES[:100], SOURCES[:100], tmp_path, [5], [0])
    paths[0].write_text("a__0_0\n")
    with pytest.raises(ValueError, match=r"few_1_seed0\.txt: has changed since .*few\.sha256 was written"):
        read_few(paths[0])
    with pytest.raises(FileNotFoundError, match=r"rsseg few-lists"):
        read_few(tmp_path / "few_2_seed0.txt")


def test_the_committed_lists_of_potsdam(repo, tmp_path):
    """1 %, 3 % and 5 % of 8,664 tiles are 87, 260 and 433; of each of 24 images 3 or 4, 10 or 11, 18 or 19."""
    splits = repo / "data" / "splits"
    tiles, sources = training_tiles("potsdam", splits)
    assert (len(tiles), len(set(sources))) == (8664, 24)
    write_few(tiles, sources, tmp_path, [1, 3, 5], [0, 1, 2])
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (splits / "potsdam" / path.name).read_bytes()
    for percent, count, each in ((1, 87, {3, 4}), (3, 260, {10, 11}), (5, 433, {18, 19})):
        names = read_few(tmp_path / f"few_{percent}_seed0.txt")
        assert len(names) == count
        assert set(Counter(name.split("__")[0] for name in names).values()) == each


def test_tiles_are_found_however_they_are_kept(tmp_path, converted_set):
    names = ["P0003__0_512", "P0003_0_896_512_1408", "region_1", "2_10__320_0"]
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    assert training_tiles(str(tmp_path)) == (sorted(names), ["2_10", "P0003", "P0003", "region_1"])
    (tmp_path / "names.txt").write_text("x__0_0\ny__0_0\n")
    assert training_tiles(str(tmp_path / "names.txt")) == (["x__0_0", "y__0_0"], ["x", "y"])
    converted = converted_set(tmp_path / "set", 18, count=8)
    tiles, sources = training_tiles(str(converted))
    assert tiles == ["t1", "t2", "t3", "t5", "t6", "t7"] and sources[0] == "s1.png"
    with pytest.raises(FileNotFoundError, match="nowhere: no folder of tiles"):
        training_tiles("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no tiles .* in this folder; it is empty"):
        training_tiles(str(tmp_path / "empty"))


def test_datasets_read_a_list(tmp_path, converted_set, mmseg_scope):
    converted = converted_set(tmp_path / "set", 18, count=8)
    (tmp_path / "few.txt").write_text("t6\nt1\n")
    few = ConvertedDataset("sota", data_root=str(converted), subset=str(tmp_path / "few.txt"), pipeline=[])
    assert [few.get_data_info(i)["tile"] for i in range(len(few))] == ["t6", "t1"]
    folders = dict(img_path="images", seg_map_path="gray")
    plain = dict(data_root=str(converted), data_prefix=folders, img_suffix=".png", pipeline=[])
    assert len(TableDataset("sota", subset=str(tmp_path / "few.txt"), **plain)) == 2
    (tmp_path / "few.txt").write_text("t6\nt9\n")
    with pytest.raises(ValueError, match=r"few\.txt:2: 1 of 2 names in .* match no image \(first: 't9'\)"):
        TableDataset("sota", subset=str(tmp_path / "few.txt"), **plain)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: no such file; expected a text file"):
        TableDataset("sota", subset="nowhere.txt", **plain)


def test_the_tool(tmp_path, run_tool):
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in TILES))
    done = run_tool("make_few_labels", "names.txt", "out", "--percent", 5, "--seeds", 0, 1)
    assert done.returncode == 0, done.stderr
    assert "few_5_seed1.txt: 7 of 147 tiles, 3 source images" in done.stderr
