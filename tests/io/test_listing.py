"""Finding the files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsseg.errors import DataError
from rsseg.io.listing import (
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    find_files,
    group_by_stem,
    has_suffix,
    one_per_stem,
    stored_suffix,
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path, *arguments: object, **options: object) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_files(folder, *arguments, **options)]  # type: ignore[arg-type]


def test_images_are_found_by_suffix_in_the_order_of_their_paths(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a/z.tif", "a b/x.JPEG", "a.txt", "c.bmp", "d.png.bak", "a/.x.png", ".hidden/y.png")
    touch(tmp_path, ".tmp-file-0000-1-abcd", ".tmp-x.png")
    (tmp_path / "folder.png").mkdir()
    assert names(tmp_path) == ["a/z.tif", "a b/x.JPEG", "b.PNG", "c.bmp"]
    assert names(tmp_path, recursive=False) == ["b.PNG", "c.bmp"]
    assert names(tmp_path, LABEL_SUFFIXES) == ["a/z.tif", "b.PNG"]
    assert names(tmp_path, [".TXT"]) == ["a.txt"]


def test_the_end_of_a_name_may_be_more_than_a_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "1_label.tif", "1.tif", "2_LABEL.TIF")
    assert names(tmp_path, ["_label.tif"]) == ["1_label.tif", "2_LABEL.TIF"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/x.png", "data/y.png")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "gone.png").symlink_to(tmp_path / "nothing.png")
    # a link to nothing is listed, so that whoever reads it names it instead of leaving it out in silence
    assert names(tmp_path / "data") == ["gone.png", "link/x.png", "y.png"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no/such: no such folder; expected rasters \(\.tif\) there"):
        find_files("no/such", [".tif"], "rasters")
    touch(tmp_path, "file.png", "empty/.hidden.png", "other/x.txt", "other/y.txt")
    with pytest.raises(NotADirectoryError, match="is a file; expected a folder of images"):
        find_files(tmp_path / "file.png")
    with pytest.raises(FileNotFoundError, match=r"no images \(.png, .*\.bmp\) in this folder .*; it is empty"):
        find_files(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"in its sub-folders; it holds 2 other files, such as [xy]\.txt"):
        find_files(tmp_path / "other")


def test_stems(tmp_path: Path) -> None:
    paths = [Path("a/x.png"), Path("b/x.tif"), Path("c/y.z.png")]
    assert group_by_stem(paths) == {"x": paths[:2], "y.z": paths[2:]}
    assert one_per_stem(paths[1:]) == {"x": paths[1], "y.z": paths[2]}
    with pytest.raises(DataError, match=r"a/x.png and b/x.tif have the same name 'x'; rename or remove one"):
        one_per_stem(paths)


def test_suffixes_are_compared_without_case() -> None:
    assert has_suffix("A.TIFF", IMAGE_SUFFIXES) and has_suffix(Path("x/a.Png"), LABEL_SUFFIXES)
    assert not has_suffix("a.tiff.aux.xml", IMAGE_SUFFIXES)


@pytest.mark.parametrize(
    ("files", "suffix", "expected"),
    [
        (["x/a.png", "b.tif"], ".png", ".png"),
        (["x/a.tif", "b.txt"], ".png", ".tif"),
        ([], ".png", ".png"),
        (["a.jpg"], ".png", ".png"),
        (["a_label.tif", "b.png"], "_label.png", "_label.tif"),
        (["a.png"], ".tif", ".tif"),  # what a config says of TIFFs is meant
    ],
)
def test_tiles_may_be_tiffs_where_a_config_says_png(
    tmp_path: Path, files: list[str], suffix: str, expected: str
) -> None:
    touch(tmp_path, *files)
    assert stored_suffix(tmp_path, suffix) == expected


def test_tiles_of_two_formats_are_told_unless_they_are_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "x/a.png", "x/a.tif", "b.png")
    assert stored_suffix(tmp_path, ".png") == ".png" and not caplog.records
    touch(tmp_path, "x/b.tif", "x/c.tif")
    assert stored_suffix(tmp_path, ".png") == ".png"
    assert [record.getMessage().removeprefix(f"{tmp_path}: ") for record in caplog.records] == [
        "2 files *.png are used, 2 *.tif that are none of them, such as b.tif, are not; remove what is left of another "
        "format"
    ]
