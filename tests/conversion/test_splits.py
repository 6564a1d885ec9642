"""The share is exact, a seed fixes it, and the lists can be checked."""

import csv
import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.conversion import convert_labels
from rsseg.conversion.splits import choose_val, split_tiles

Make = Callable[..., dict[str, Any]]


def test_the_share_is_exact() -> None:
    stems = [f"P{i:04}" for i in range(2000)]
    chosen = choose_val(stems, 0.05, 0)
    assert len(chosen) == 100 and chosen <= set(stems)
    assert chosen != choose_val(stems, 0.05, 1)
    assert chosen == choose_val(stems[::-1], 0.05, 0)
    assert choose_val(stems, 0.0, 0) == set() and choose_val(stems, 1.0, 0) == set(stems)
    assert chosen < choose_val(stems, 0.1, 0)  # a larger share adds names and keeps the others


@pytest.mark.parametrize(("tiles", "val"), [(17480, 874), (11725, 586), (64147, 3207)])
def test_the_paper_s_numbers(tiles: int, val: int) -> None:
    """874 + 586 + 3207 = 4667 of 93352 tiles, as in the SAMRS paper, section 4.2."""
    assert len(choose_val(map(str, range(tiles)), 0.05, 0)) == val


@pytest.mark.parametrize(
    ("number", "share", "val"), [(3, 0.0001, 1), (2, 0.9, 1), (1, 0.0001, 0), (1, 0.5, 1), (10, 0.05, 1), (0, 0.5, 0)]
)
def test_small_sets_keep_both_sides(number: int, share: float, val: int) -> None:
    assert len(choose_val([f"image{i}" for i in range(number)], share, 0)) == val


def test_by_source_keeps_scenes_together_and_by_tile_does_not() -> None:
    tiles = [f"{scene}__{x}_0" for scene in "abcd" for x in range(10)]
    sources = [tile[0] for tile in tiles]
    whole = split_tiles(tiles, sources, 0.25, 0)
    assert whole.count("val") == 10 and len({s for s, split in zip(sources, whole, strict=True) if split == "val"}) == 1
    single = split_tiles(tiles, sources, 0.25, 0, by="tile")
    assert (
        single.count("val") == 10 and len({s for s, split in zip(sources, single, strict=True) if split == "val"}) > 1
    )


def _rows(folder: Path) -> dict[str, str]:
    with io.StringIO((folder / "tiles.csv").read_text(encoding="utf-8")) as file:
        return {row["tile"]: row["split"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("by", ["source", "tile"])
def test_lists_agree_with_the_table(make_config: Make, tmp_path: Path, by: str) -> None:
    convert_labels(make_config(split={"val_fraction": 0.4, "seed": 0, "by": by}))
    out, rows = tmp_path / "out", _rows(tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for split in ("train", "val"):
        data = (out / f"{split}.txt").read_bytes()
        names = data.decode("utf-8").splitlines()
        assert names and names == [tile for tile, its in rows.items() if its == split]
        stated = manifest["splits"][f"{split}.txt"]
        assert stated == {"tiles": len(names), "sha256": hashlib.sha256(data).hexdigest()}
    scenes = {tile.split("__")[0] for tile, split in rows.items() if split == "val"}
    # Of the three images with objects 0.4 is one; of their 11 tiles (6, 4, 1) it is 4.
    assert len(rows) == 11 and manifest["config"]["split"]["by"] == by
    assert len(scenes) == 1 if by == "source" else manifest["splits"]["val.txt"]["tiles"] == 4
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "splits.sha256"], cwd=out, check=True, capture_output=True)


def test_a_new_split_rewrites_only_the_lists(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    before = (tmp_path / "out/instances.json").read_bytes()
    report = convert_labels(make_config(split={"val_fraction": 1.0, "seed": 0, "by": "tile"}))
    assert report.converted == 0 and set(_rows(tmp_path / "out").values()) == {"val"}
    assert (tmp_path / "out/train.txt").read_bytes() == b""
    assert (tmp_path / "out/instances.json").read_bytes() == before
