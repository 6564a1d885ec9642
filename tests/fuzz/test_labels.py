"""Detection labels, class tables, and label sets of others."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.detection import read_coco, read_dior, read_dota, read_fair1m, read_hrsc
from rsseg.datasets.labels import open_labels
from rsseg.datasets.labels.pickles import read_objects
from rsseg.errors import DataError, UserError
from rsseg.metainfo import load_metainfo
from rsseg.structures.masks import fill_hbox, to_rle

DOTA = b"""imagesource:GoogleEarth
gsd:0.146343590398
2753.0 2408.0 2861.0 2385.0 2888.0 2468.0 2805.0 2502.0 plane 0
10 10 20 10 20 20 10 20 small-vehicle 1
"""
DIOR = b"""<annotation>
<filename>00001.jpg</filename><size><width>800</width><height>800</height><depth>3</depth></size>
<object><name>golffield</name><pose>Unspecified</pose><bndbox><xmin>133</xmin><ymin>237</ymin><xmax>684</xmax>
<ymax>672</ymax></bndbox></object>
<object><name>ship</name><robndbox><x_left_top>1</x_left_top><y_left_top>1</y_left_top><x_right_top>9</x_right_top>
<y_right_top>1</y_right_top><x_right_bottom>9</x_right_bottom><y_right_bottom>9</y_right_bottom>
<x_left_bottom>1</x_left_bottom><y_left_bottom>9</y_left_bottom></robndbox></object>
</annotation>
"""
HRSC = b"""<HRSC_Image><Img_SizeWidth>1166</Img_SizeWidth><Img_SizeHeight>800</Img_SizeHeight>
<HRSC_Objects><HRSC_Object><Object_ID>100000001</Object_ID><Class_ID>100000013</Class_ID><difficult>0</difficult>
<box_xmin>628</box_xmin><box_ymin>40</box_ymin><box_xmax>815</box_xmax><box_ymax>783</box_ymax>
<mbox_cx>719.9</mbox_cx><mbox_cy>413.0</mbox_cy><mbox_w>741.1</mbox_w><mbox_h>172.1</mbox_h>
<mbox_ang>1.5</mbox_ang></HRSC_Object></HRSC_Objects></HRSC_Image>
"""
FAIR1M = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation><source><filename>0.tif</filename></source>
<size><width>1000</width><height>1000</height><depth>3</depth></size>
<objects><object><coordinate>pixel</coordinate><type>rectangle</type>
<possibleresult><name>Small Car</name></possibleresult>
<points><point>1.0,1.0</point><point>9.0,1.0</point><point>9.0,9.0</point><point>1.0,9.0</point>
<point>1.0,1.0</point></points></object></objects></annotation>
"""
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 2], "area": 6, "iscrowd": 0,
       "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}  # fmt: skip
COCO = {"images": [{"id": 1, "file_name": "a.png", "height": 10, "width": 10}], "annotations": [BOX],
        "categories": [{"id": 1, "name": "ship"}]}  # fmt: skip
TABLE = {"name": "x", "source": "y", "label_offset": 1, "ignore": [0],
         "categories": [{"id": 0, "name": "a", "color": "#000000", "prompts": ["b"]},
                        {"id": 1, "name": "c", "color": "#0000FF", "raw": [2, 3]}]}  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "read", "table", "suffix"),
    [
        pytest.param(DOTA, read_dota, "sota", ".txt", id="dota"),
        pytest.param(DIOR, read_dior, "sior", ".xml", id="dior"),
        pytest.param(HRSC, read_hrsc, "hrsc", ".xml", id="hrsc"),
        pytest.param(FAIR1M, read_fair1m, "fast", ".xml", id="fair1m"),
        pytest.param(json.dumps(COCO).encode(), read_coco, "sior", ".json", id="coco"),
    ],
)
def test_labels(fuzzer: Any, text_changes: Any, seed: bytes, read: Any, table: str, suffix: str) -> None:
    reads = [partial(read, table=load_metainfo(table), on_error=way) for way in ("raise", "skip")]
    fuzzer.run([seed], reads, suffix, text_changes)


def test_class_tables(fuzzer: Any, text_changes: Any) -> None:
    fuzzer.run([json.dumps(TABLE).encode()], [lambda path: load_metainfo(str(path))], ".json", text_changes)


def test_pickles_of_labels(fuzzer: Any, byte_changes: Any) -> None:
    mask = {"size": [3, 4], "counts": "525"}
    row = {"mask": mask, "bbox": np.array([1.5, 0, 3.5, 3]), "category": "ship", "label": 5, "size": np.int64(2)}
    turned = {**row, "rbox": np.zeros((4, 2)), "rhbox": row["bbox"]}
    seeds = [pickle.dumps([row, turned], protocol=protocol) for protocol in (2, 3, 4, 5)]
    fuzzer.run(seeds, [read_objects], ".pkl", byte_changes)


@pytest.mark.parametrize("name", ["manifest.json", "tiles.csv", "instances.json"])
def test_converted_sets(fuzzer: Any, text_changes: Any, tmp_path: Path, name: str) -> None:
    """One file of a set is changed; errors name it."""
    root = tmp_path / "set"
    (root / "gray").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / "gray" / "a.png")
    names = load_metainfo("sota").classes
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": to_rle(fill_hbox((0, 0, 2, 2), (4, 5)), (4, 5))}
    polygon = {**BOX, "id": 2, "segmentation": [[0, 0, 3, 0, 3, 3]]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 5, "height": 4}], "annotations": [row, polygon],
        "categories": [{"id": i + 1, "name": own} for i, own in enumerate(names)],
    }  # fmt: skip
    source = {"classes": "sota", "images": str(root)}
    files = {
        "manifest.json": json.dumps({"config": {"source": source}, "prompt": "hbox", "classes": names}).encode(),
        "tiles.csv": b"tile,source,x,y,width,height,split\na,a.png,0,0,5,4,train\n",
        "instances.json": json.dumps(content).encode(),
    }
    for other, data in files.items():
        (root / other).write_bytes(data)

    def read(path: Path) -> None:
        (root / name).write_bytes(path.read_bytes())
        try:
            list(open_labels(root))
        except (UserError, OSError) as error:  # the system has its own words for names that cannot be
            if any(known in str(error) for known in (*files, str(root), "class table", "File name too long")):
                raise DataError(f"{path}: {error}") from error
            raise

    fuzzer.run([files[name]], [read], Path(name).suffix, text_changes)
