"""Real label files through the class tables."""

from __future__ import annotations

import numpy as np
import pytest

from rsseg.datasets import OpenEarthMapDataset, TableDataset

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]


@pytest.mark.parametrize(("table", "classes"), [("potsdam", 5), ("loveda", 7)])
def test_tiles_of_mmsegs_converters(samples, table, classes):
    folders = dict(img_path="img_dir", seg_map_path="ann_dir")
    data = TableDataset(table, data_root=str(samples / table), data_prefix=folders, img_suffix=".png", pipeline=LOAD)
    for sample in data:
        ids = set(np.unique(sample["gt_seg_map"]).tolist())
        assert ids - {255} <= set(range(classes))
        assert len(ids) > 1
        assert sample["gt_seg_map"].shape == sample["img"].shape[:2]


def test_openearthmap_geotiffs_load_quietly(samples, tmp_path, capfd):
    listing = tmp_path / "list.txt"
    listing.write_text("houston_16.tif\n")
    root = str(samples / "openearthmap")
    data = OpenEarthMapDataset("openearthmap", data_root=root, ann_file=str(listing), pipeline=LOAD)
    sample = data[0]
    assert sample["img"].shape == (1024, 1024, 3)
    assert set(np.unique(sample["gt_seg_map"])) <= {*range(8), 255}
    assert "TIFF" not in "".join(capfd.readouterr())
