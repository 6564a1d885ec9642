"""Files of checksums, as sha256sum writes and checks them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rsseg.errors import DataError
from rsseg.io.sums import check_sum, encode_sums, read_sums, sum_of, write_sums

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_sums_are_what_sha256sum_says(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.txt").write_bytes(b"x\n")
    sums = tmp_path / "all.sha256"
    write_sums(sums, [tmp_path / "a b.txt", tmp_path / "sub" / "c.txt"])
    assert read_sums(sums) == {"a b.txt": EMPTY, "sub/c.txt": sum_of(b"x\n")}
    assert sums.read_bytes() == encode_sums(read_sums(sums))
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", sums.name], cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / "binary.sha256").write_text(f"{EMPTY} *a b.txt\r\n")
        assert read_sums(tmp_path / "binary.sha256") == {"a b.txt": EMPTY}


def test_a_changed_or_unknown_file_is_named(tmp_path: Path) -> None:
    listing, sums = tmp_path / "list.txt", tmp_path / "list.sha256"
    listing.write_text("a\n")
    assert read_sums(sums) == {}
    with pytest.raises(DataError, match=r"list.txt: .*list.sha256 has no checksum of this file; write it anew"):
        check_sum(listing, sums, "write it anew")
    write_sums(sums, [listing])
    check_sum(listing, sums, "write it anew")
    listing.write_text("b\n")
    with pytest.raises(DataError, match=r"list.txt: has changed since .*list.sha256 was written"):
        check_sum(listing, sums, "write it anew")
    sums.write_text("abc list.txt\n")
    with pytest.raises(DataError, match=r"list.sha256:1: 'abc list.txt' is not a checksum"):
        read_sums(sums)
