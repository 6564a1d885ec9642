"""Lists of snow, clouds and splits, and the split that is drawn where there is none."""

from __future__ import annotations

import bz2
import gzip
import hashlib

import pytest

from rsseg.datasets.bigearthnet import draw_split, read_list, split_names

NAMES = [f"S2A_MSIL2A_20170617T113321_{i}_0" for i in range(10)]
LATE = "S2B_MSIL2A_20170924T93020_41_73"  # the archive's name without a leading zero in its hour


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("plain.txt", f"{NAMES[0]}\n\n{LATE}\n", [(NAMES[0], ""), (LATE, "")]),
        ("one.csv", f"{NAMES[0]}\r\n{NAMES[1]}\r\n", [(NAMES[0], ""), (NAMES[1], "")]),
        ("both.csv", f"{NAMES[0]},S1A_x\n{NAMES[1]},S1B_y", [(NAMES[0], "S1A_x"), (NAMES[1], "S1B_y")]),
        ("mapping.csv", f'"S1A_x","{NAMES[0]}"\n', [(NAMES[0], "S1A_x")]),
        ("header.csv", f"patch,radar\n{NAMES[0]},S1A_x\n", [(NAMES[0], "S1A_x")]),
        ("empty.txt", "", []),
    ],
)
def test_lists_are_read(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert read_list(tmp_path / name) == expected
    for suffix, module in (("bz2", bz2), ("gz", gzip)):
        (tmp_path / f"{name}.{suffix}").write_bytes(module.compress(text.encode()))
        assert read_list(tmp_path / f"{name}.{suffix}") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{NAMES[0]}\nforest\n", "line 2: 'forest' is not the name of a patch"),
        (f"{NAMES[0]}\n{NAMES[0]}\n", "line 2: .* stands there twice"),
        ("S1A_IW_GRDH_x\n", "line 1: .* names no Sentinel-2 patch"),
    ],
)
def test_broken_lists_are_refused(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_list(tmp_path / "list.csv")


@pytest.mark.parametrize("name", ["list.csv.gz", "list.csv.bz2", "list.csv"])
def test_cut_lists_are_named(tmp_path, name):
    packed = {".gz": gzip.compress, ".bz2": bz2.compress}.get(name[8:], lambda text: b"\xff" + text)(b"S2A_x\n" * 99)
    (tmp_path / name).write_bytes(packed[:-12])
    with pytest.raises(ValueError, match=rf"{name}: (cannot be unpacked|is not text in UTF-8) \(.*\); "):
        read_list(tmp_path / name)


def test_the_sizes_of_the_paper():
    parts = draw_split(str(i) for i in range(519339))
    assert [len(names) for names in parts.values()] == [311603, 103868, 103868]


def test_a_split_depends_on_names_and_seed_alone():
    parts = draw_split(NAMES)
    assert list(parts) == ["train", "val", "test"]
    assert [len(names) for names in parts.values()] == [6, 2, 2]
    assert sorted(name for names in parts.values() for name in names) == NAMES
    assert draw_split(reversed(NAMES)) == parts
    assert draw_split(NAMES, seed=1) != parts


def test_a_drawn_split_is_written_with_checksums(tmp_path):
    folder = tmp_path / "splits"
    parts = {part: [name for name, _ in split_names(folder, part, NAMES)] for part in ("train", "val", "test")}
    assert parts == draw_split(NAMES)
    lines = (folder / "splits.sha256").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["train.txt", "val.txt", "test.txt"]
    for line in lines:
        told, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == told
    assert split_names(folder, "val", [*NAMES, LATE], seed=7) == [(name, "") for name in parts["val"]]
    (folder / "val.txt").unlink()  # as after a kill
    assert split_names(folder, "train", NAMES) == [(name, "") for name in parts["train"]]
    assert [name for name, _ in split_names(folder, "val", NAMES)] == parts["val"]
    (folder / "val.txt").unlink()
    with pytest.raises(ValueError, match=r"seed 1 does not give the split of splits.sha256 for these patches"):
        split_names(folder, "train", NAMES, seed=1)
    (folder / "val.txt").write_text(f"{NAMES[0]}\n")
    with pytest.raises(ValueError, match=r"val\.txt: has changed since .*splits\.sha256 was written .* restore"):
        split_names(folder, "val", NAMES)


def test_snow_and_clouds_are_left_out(tmp_path, caplog):
    assert len(split_names(tmp_path / "none", "train", NAMES)) == 6
    assert "patches_with_seasonal_snow.csv and no patches_with_cloud_and_shadow.csv" in caplog.text
    caplog.clear()
    (tmp_path / "patches_with_seasonal_snow.csv").write_text("\n".join(NAMES[:3]))
    (tmp_path / "patches_with_cloud_and_shadow.csv.bz2").write_bytes(bz2.compress("\n".join(NAMES[3:5]).encode()))
    parts = [[name for name, _ in split_names(tmp_path, part, NAMES)] for part in ("train", "val", "test")]
    assert [len(names) for names in parts] == [3, 1, 1]
    assert sorted(name for names in parts for name in names) == NAMES[5:]
    assert not caplog.records
    (tmp_path / "patches_with_seasonal_snow.csv").write_text("\n".join(NAMES))
    assert split_names(tmp_path, "train", NAMES) == []


def test_the_authors_lists_decide(tmp_path, caplog):
    (tmp_path / "train.csv").write_text(f"{NAMES[4]},S1A_x\n{NAMES[2]},S1B_y\n")
    (tmp_path / "val.csv").write_text(f"{NAMES[1]}\n")
    assert split_names(tmp_path, "train", NAMES) == [(NAMES[4], "S1A_x"), (NAMES[2], "S1B_y")]
    with pytest.raises(FileNotFoundError, match=r"no list of test \(test.csv or test.txt\), but .*train.csv"):
        split_names(tmp_path, "test", NAMES)
    with pytest.raises(ValueError, match="split must be one of train, val, test, not 'dev'"):
        split_names(tmp_path, "dev", NAMES)
    assert not (tmp_path / "splits.sha256").exists() and not caplog.records


def test_where_a_drawn_split_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"file.splits: the drawn split cannot be written there .* with dataset.lists"):
        split_names(tmp_path / "file" / "splits", "train", NAMES)
