"""One class table, two loaders: mmseg's LoadAnnotations gives the ids that LoadLabels gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from rsseg.datasets import TableDataset

pytestmark = pytest.mark.usefixtures("mmseg_scope")
# raw values in the file -> training ids
CASES = {
    "plain": (dict(), [{}, {}, {}], [0, 1, 2, 255], [0, 1, 2, 255]),
    "offset": (dict(label_offset=1), [{}, {}, {}], [1, 2, 3, 255], [0, 1, 2, 255]),
    "offset and ignored": (dict(label_offset=1, ignore=[0, 9]), [{}, {}, {}], [0, 1, 2, 3, 9], [255, 0, 1, 2, 255]),
    "several values of a class": (
        dict(ignore=[0]),
        [{"raw": [2, 1]}, {"raw": [7]}, {"raw": [3, 4, 5]}],
        [0, 1, 2, 3, 4, 5, 7, 255],
        [255, 0, 0, 2, 2, 2, 1, 255],
    ),
    "255 is a class": (dict(), [{"raw": [0]}, {"raw": [255]}, {"raw": [3]}], [0, 3, 255], [0, 2, 1]),
}


def _dataset(folder, settings, rows, values):
    categories = [
        {"id": i, "name": name, "color": f"#0000{i}0", **row}
        for i, (name, row) in enumerate(zip("abc", rows, strict=True))
    ]
    table = folder / "table.json"
    table.write_text(json.dumps({"name": "Own", "source": "test", "categories": categories, **settings}))
    for name in ("img", "ann"):
        (folder / name).mkdir()
    Image.new("RGB", (len(values), 2)).save(folder / "img" / "a.png")
    Image.fromarray(np.array([values, values[::-1]], np.uint8)).save(folder / "ann" / "a.png")
    prefix = dict(img_path="img", seg_map_path="ann")
    return TableDataset(str(table), data_root=str(folder), data_prefix=prefix, img_suffix=".png")


@pytest.mark.parametrize("case", CASES)
def test_both_loaders_give_the_ids_of_the_table(tmp_path, case):
    settings, rows, values, expected = CASES[case]
    data = _dataset(tmp_path, settings, rows, values)
    for loader in ("LoadLabels", "LoadAnnotations"):
        data.pipeline = Compose([dict(type="LoadImageFromFile"), dict(type=loader)])
        assert data[0]["gt_seg_map"].tolist() == [expected, expected[::-1]], loader


def test_what_is_no_class_is_255_for_mmseg(tmp_path):
    data = _dataset(tmp_path, dict(label_offset=1), [{}, {}, {}], [0, 1, 4, 200])
    data.pipeline = Compose([dict(type="LoadAnnotations")])
    assert data[0]["gt_seg_map"][0].tolist() == [255, 0, 255, 255]
    with pytest.raises(ValueError, match="value 0 is not a label value of Own"):
        Compose([dict(type="LoadLabels")])(data.get_data_info(0))


def test_reduce_zero_label_is_the_tables_business(tmp_path):
    with pytest.raises(ValueError, match="reduce_zero_label=True contradicts the class table potsdam"):
        TableDataset("potsdam", data_root=str(tmp_path), reduce_zero_label=True)
