"""Lists of names: what is read is what was written, and what is wrong is named with its line."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from rsseg.errors import DataError
from rsseg.io.names import encode_names, match_names, read_lines, read_names, unique_names, write_names

NAMES = ["scene 1", "b", "ä_2", "c.tif"]


@pytest.mark.parametrize(
    "data",
    [
        "scene 1\nb\nä_2\nc.tif\n".encode(),
        "scene 1\r\nb\r\n\r\nä_2\r\nc.tif".encode(),
        "\ufeffscene 1\n  b\t\n\n   \nä_2\nc.tif\n\n".encode(),
        "scene 1\rb\rä_2\rc.tif\r".encode(),
    ],
)
def test_one_name_a_line_whatever_program_wrote_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    assert read_names(path) == NAMES
    for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress)):
        packed = tmp_path / f"list.txt{suffix}"
        packed.write_bytes(pack(data))
        assert read_names(packed) == NAMES


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\na\n\n b\n")
    assert read_lines(tmp_path / "list.txt") == [(2, "a"), (4, "b")]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "list.txt"
    assert write_names(path, NAMES) == path.read_bytes() == "scene 1\nb\nä_2\nc.tif\n".encode()
    assert read_names(path) == NAMES
    assert write_names(path, NAMES, replace=False) == path.read_bytes()
    with pytest.raises(DataError, match=r"list.txt: exists and holds other names .* remove it, or write elsewhere"):
        write_names(path, ["other"], replace=False)
    assert read_names(path) == NAMES
    for wrong in ("", " a", "a\nb"):
        with pytest.raises(DataError, match="cannot stand in a list of names"):
            encode_names([wrong])
    with pytest.raises(DataError, match="'a' occurs more than once"):
        encode_names(["a", "b", "a"])


def test_a_list_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(FileNotFoundError, match=r"list.txt: no such file; expected a text file with one name per line"):
        read_names(path)
    with pytest.raises(FileNotFoundError, match="is a folder; expected a list"):
        read_names(tmp_path, "a list")
    path.write_text("a\n\nb\na\n")
    with pytest.raises(DataError, match=r"list.txt:4: 'a' is already in line 1; remove one of these lines"):
        read_names(path)
    path.write_text("\n \n")
    with pytest.raises(DataError, match="the list is empty"):
        read_names(path)
    assert read_names(path, empty=True) == []
    path.write_bytes("ä".encode("latin1"))
    with pytest.raises(DataError, match="is not text in UTF-8"):
        read_names(path)
    (tmp_path / "list.gz").write_bytes(gzip.compress(b"a\n")[:-3])
    with pytest.raises(DataError, match=r"list.gz: cannot be unpacked"):
        read_names(tmp_path / "list.gz")


def test_names_that_match_nothing_are_named_with_what_names_look_like(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    write_names(path, ["X 1", "a", "b"])
    known = {"X 1", "X 2"}
    assert match_names(["X 1"], known, path) == ["X 1"]
    wanted = r"list.txt:2: 2 of 3 names in .*list.txt match no image \(first: 'a'\); image names look like 'X 1'"
    with pytest.raises(DataError, match=wanted):
        match_names(read_names(path), known, path)
    with pytest.raises(DataError, match=r"--names: 1 of 1 names in --names match no tile \(first: 'a'\); there are no"):
        match_names(["a"], (), "--names", "tile")


def test_names_may_come_with_suffix_and_folder_where_that_is_allowed(tmp_path: Path) -> None:
    names = ["sub/a.tif", r"sub\b.TIF", "c.1", "d.png"]
    known = ["a", "b", "c.1", "d.png"]
    assert match_names(names, known, "LIST", suffixes=[".tif"]) == known
    with pytest.raises(DataError, match=r"'a\.tif' and 'a' name the same image"):
        match_names(["a", "a.tif"], known, "LIST", suffixes=[".tif"])
    with pytest.raises(DataError, match=r"1 of 1 names in LIST match no image \(first: 'a.tif'\)"):
        match_names(["a.tif"], known, "LIST")


def test_names_must_differ() -> None:
    unique_names(["a", "b"])
    with pytest.raises(DataError, match=r"train\.txt: 'b' occurs more than once, 2 too many in all"):
        unique_names(["b", "a", "b", "a"], "train.txt")
