"""Names of files: what a foreign table says never leads out of the folder of the output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion.exports import export_labels
from rsseg.conversion.storage import Store
from rsseg.datasets.labels import open_labels
from rsseg.datasets.openearthmap.xbd import fill_xbd, read_pairs
from rsseg.errors import DataError
from rsseg.io.output_names import check_name, check_path, make_folder, output_names
from rsseg.metainfo import load_metainfo
from rsseg.structures.masks import fill_hbox, to_rle

OUTSIDE = ["..", "../up", "/etc/up", "a/b", "a\\b", "..\\up", "C:\\up", "C:up", "", ".", ".hidden", "a\0b", "a\nb"]
OUTSIDE += ["a\x7f", "\ud800", "~/../up", "a/../../up"]
INSIDE = ["a", "P0001__0_0", "a..b", "a b", "ü", "2020-01-01T10:00:00", "a~", "-rf", "$(touch x)", "con"]


def test_names_and_paths() -> None:
    for name in OUTSIDE:
        with pytest.raises(DataError, match=r"tiles\.csv:3: .*cannot be the name of a file"):
            check_name(name, "tiles.csv:3")
    assert [check_name(name) for name in INSIDE] == INSIDE
    for path in ("..", "../a", "/a", "a/../b", "\\a", "a\\..\\b", "C:/a", "", "a\0", "\ud800"):
        with pytest.raises(DataError, match="must be a path below the folder"):
            check_path(path)
    for path in ("a.png", "a/b.png", "a\\b.png", "..a/b.png", "a/.b"):
        assert check_path(path) == path


def test_files_with_such_names_are_named() -> None:
    with pytest.raises(DataError, match=r"a\\\\b\.png.*rename this file"):
        output_names([Path("in/a\\b.png")])


def test_folders_stay_below(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gray").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(DataError, match=r"gray leads out of .*out, to"):
        make_folder(tmp_path / "out", "gray")
    with pytest.raises(DataError, match="leads out of"):
        make_folder(tmp_path / "out", "..", "x")
    with pytest.raises(DataError, match="leads out of"):
        Store(tmp_path / "out")
    assert make_folder(tmp_path / "link", "ins").is_dir() and not (tmp_path / "x").exists()


def test_a_store_writes_below_its_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    for name in ("../up.png", "gray/../../up.png", "/etc/up", "gray/..\\up.png", "gray/.hidden.png"):
        with pytest.raises(DataError):
            store.write(name, b"x")
    store.write("gray/a.png", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


TABLE = load_metainfo("sota")


def _foreign(root: Path, tile: str, source: str = "a.png", size: tuple[Any, Any] = (4, 5)) -> Path:
    """A converted set with one tile of any name."""
    for name in ("gray", "images"):
        (root / name).mkdir(parents=True)
    manifest = {"config": {"source": {"classes": "sota", "images": str(root / "images")}}, "prompt": "hbox"}
    (root / "manifest.json").write_text(json.dumps(manifest))
    head = "tile,source,x,y,width,height,split\n"
    (root / "tiles.csv").write_text(f'{head}"{tile}","{source}",0,0,{size[1]},{size[0]},train\n', "utf-8", "replace")
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": to_rle(fill_hbox((0, 0, 2, 2), (4, 5)), (4, 5))}
    image = {"id": 1, "file_name": "a.png", "width": 5, "height": 4}
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(TABLE.classes)]
    (root / "instances.json").write_text(
        json.dumps({"images": [image], "annotations": [row], "categories": categories})
    )
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / "images" / "a.png")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / "gray" / "a.png")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(root.parent / "up.png")
    return root


@pytest.mark.parametrize("name", [name for name in OUTSIDE if not set(name) & set("\n\ud800")])
def test_exports_stay_below_their_folder(tmp_path: Path, name: str) -> None:
    root = _foreign(tmp_path / "set" / "set", name.replace('"', ""))
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    for form in ("pkl", "color", "yolo", "coco"):
        with pytest.raises(DataError, match=r"cannot be the name of a file|read as CSV"):
            export_labels(root, [form], tmp_path / "set" / "out")
    after = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - {Path("set/out")}
    assert sorted(after) == before


def test_foreign_tables_of_tiles(tmp_path: Path) -> None:
    for number, source in enumerate(("../../etc/passwd", "/etc/passwd", "C:\\x")):
        with pytest.raises(DataError, match=r"tiles\.csv:2: .*must be a path below"):
            open_labels(_foreign(tmp_path / str(number), "a", source))
    for number, size in enumerate(((10**6, 10**6), ("9" * 5000, 5), ("²", 5)), 10):
        with pytest.raises(DataError, match=r"tiles\.csv:2"):
            open_labels(_foreign(tmp_path / str(number), "a", size=size))
    root = _foreign(tmp_path / "good", "a")
    lines = (root / "tiles.csv").read_text()
    (root / "tiles.csv").write_text(lines + lines.splitlines()[1].replace('"a"', '"A"') + "\n")
    with pytest.raises(DataError, match=r"tiles\.csv:3: tile 'A' is already in line 2"):
        open_labels(root)


def test_exports_follow_no_links(tmp_path: Path) -> None:
    root, elsewhere = _foreign(tmp_path / "set", "a"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, form in (("color", "color"), ("ins", "pkl"), ("yolo", "yolo")):
        (root / name).symlink_to(elsewhere)
        with pytest.raises(DataError, match=rf"{name}.* leads out of"):
            export_labels(root, [form])
    (root / "color").unlink()
    (root / "color").mkdir()
    (root / "color" / "a.png").symlink_to(tmp_path / "target")  # a link to a file that does not exist is replaced
    export_labels(root, ["color"], update=True)
    assert not (root / "color" / "a.png").is_symlink() and not (tmp_path / "target").exists()
    assert not list(elsewhere.iterdir())


def test_regions_of_openearthmap(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "xbd_files.csv").write_text("event_1_pre_disaster.png,.._1.tif\n")
    for call in (lambda: read_pairs(tmp_path / "root"), lambda: fill_xbd(tmp_path / "root", tmp_path)):
        with pytest.raises(DataError, match="cannot be the name of a file"):
            call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
