"""Files that are damaged or not what they should be: every reader says so as an error that a user can correct."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.conversion.tiling import cut_images
from rsseg.datasets.bigearthnet.archive import read_index
from rsseg.datasets.labels import open_labels
from rsseg.datasets.openearthmap.xbd import read_pairs
from rsseg.datasets.preparation import training_tiles
from rsseg.errors import ConfigError, DataError, UserError
from rsseg.evaluation.complexity import read_rows
from rsseg.io.tables import read_csv, read_json
from rsseg.metainfo import load_metainfo

ROW = {"id": 0, "name": "a", "color": "#000000"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "1: a class table must be JSON"),
        (b"\xff\xfe", "must be JSON in UTF-8"),
        (b"[]", "must be an object with 'categories', 'name', 'source', found"),
        ({}, "missing required key 'name', which must be a text"),
        ({"name": "x", "source": "", "categories": []}, "'categories' must be a list with at least one class"),
        ({"name": "x", "source": "", "categories": {"a": 1}}, "'categories' must be a list"),
        ({"name": "x", "source": "", "categories": [3]}, "must be an object with 'color', 'id', 'name', found 3"),
        (
            {"name": "x", "source": "", "categories": [{**ROW, "name": None}]},
            "text that is not empty.*, found None",
        ),
        ({"name": "x", "source": "", "categories": [{**ROW, "color": "red"}]}, "must be written as '#RRGGBB'"),
        ({"name": "x", "source": "", "categories": [{**ROW, "raw": ["1"]}]}, "raw' must be a list of whole numbers"),
        ({"name": "x", "source": "", "categories": [{**ROW, "prompts": "a"}]}, "prompts' must be a list of texts"),
        ({"name": "x", "source": "", "categories": [ROW], "label_offset": "1"}, "'label_offset' must be a whole"),
        (
            {"name": "x", "source": "", "categories": [ROW], "ignore": [300]},
            "'ignore' must be a list of whole",
        ),
        ({"name": "x", "source": "", "categories": [{**ROW, "id": 1}]}, "the ids of the categories must be 0 to 0"),
    ],
)
def test_class_tables(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataError, match=rf"table\.json:.*{message}"):
        load_metainfo(str(path))


MANIFEST = json.dumps({"config": {"source": {"classes": "sota", "images": "x"}}})
TILES = "tile,source,x,y,width,height,split\na,a.png,0,0,4,3,train\n"
COCO = '{"info":{},\n"categories":[],\n"annotations":[\n],\n"images":[\n]}\n'
START = '"annotations":[\n'


@pytest.mark.parametrize(
    ("manifest", "tiles", "coco", "message"),
    [
        ("{", TILES, COCO, r"manifest.json:1: not a complete JSON file"),
        ("{}", TILES, COCO, r"manifest.json: config.source with 'images' and 'classes' is missing"),
        ("[]", TILES, COCO, r"manifest.json: must hold an object, found list"),
        (MANIFEST, "tile,source\na\n", COCO, r"tiles.csv: missing columns x, y, width, height, split"),
        (MANIFEST, TILES.replace("4,3", "x,3"), COCO, r"tiles.csv:2: width must be a whole number, found 'x'"),
        (MANIFEST, TILES.replace(",train", ""), COCO, r"tiles.csv:2: the row has another number of cells"),
        (MANIFEST, TILES, "", "instances.json is damaged"),
        (MANIFEST, TILES, "[]", "instances.json is damaged"),
        (MANIFEST, TILES, COCO.replace(START, f"{START}3\n"), "line 4: not one annotation"),
        (MANIFEST, TILES, COCO.replace(START, f"{START}{{}}\n"), '"image_id" must be a whole number or text'),
        (MANIFEST, TILES, COCO.replace(START, f'{START}{{"image_id":"q"}}\n'), "image id 'q' is not in the order"),
        (MANIFEST, TILES, '{"images": [3], "annotations": [], "categories": []}', '"id" must be a whole number or'),
        (MANIFEST, TILES, '{"images": [], "annotations": [3], "categories": []}', '"image_id" must be a whole'),
        (MANIFEST, TILES, '{"images": [], "annotations": [], "categories": [3]}', "is damaged"),
    ],
)
def test_converted_sets(tmp_path: Path, manifest: str, tiles: str, coco: str, message: str) -> None:
    for name, text in (("manifest.json", manifest), ("tiles.csv", tiles), ("instances.json", coco)):
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        list(open_labels(tmp_path))


@pytest.mark.parametrize(
    ("read", "name", "content"),
    [
        (lambda path: training_tiles(str(path.parent)), "tiles.csv", b"tile\na\n"),
        (read_index, "patches.csv", b""),
        (read_index, "patches.csv", b"patch,labels,date,country,split,s1,excluded\nx\n"),
        (lambda path: read_pairs(path.parent), "xbd_files.csv", b"\xff\xfe"),
        (lambda path: read_pairs(path.parent), "xbd_files.csv", b"a,b\n"),
        (lambda path: read_rows([path]), "table.csv", b"row,config,classes,params,flops\na\n"),
        (lambda path: list(read_csv(path, ["a"])), "table.csv", b"\xff\xfe"),
        (lambda path: read_json(path, list), "list.json", b"{}"),
    ],
)
def test_tables_and_lists(tmp_path: Path, read: Callable[[Path], Any], name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read(tmp_path / name)


def test_numbers_that_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        cut_images(tmp_path / "images", tmp_path / "tiles", 8, workers=0)
    with pytest.raises(ConfigError, match="overlap -1 must be at least 0"):
        cut_images(tmp_path / "images", tmp_path / "tiles", 8, -1)
