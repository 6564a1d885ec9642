"""DeepGlobe: thresholded colours, the division of images, the tiles."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets import TableDataset
from rsseg.datasets.deepglobe import deepglobe_pairs, prepare_deepglobe
from rsseg.errors import DataError, JobError
from rsseg.metainfo import load_metainfo


def write_archive(root, names, labels):
    root.mkdir()
    for name in names:
        Image.fromarray(np.zeros((*labels.shape[:2], 3), np.uint8)).save(root / f"{name}_sat.jpg")
        Image.fromarray(labels).save(root / f"{name}_mask.png")
    return root


def test_colours_are_cut_at_128(tmp_path):
    labels = np.array([[[0, 0, 0], [127, 128, 255], [255, 255, 0], [128, 0, 200]],
                       [[0, 255, 0], [0, 0, 255], [255, 255, 255], [1, 254, 127]]], np.uint8)  # fmt: skip
    pairs = deepglobe_pairs(write_archive(tmp_path / "land", ["7", "8"], labels))
    assert sorted(pair.part for pair in pairs) == ["train", "val"]
    report = prepare_deepglobe(pairs, tmp_path / "out")
    assert (report.parts, report.failures) == ({"train": 1, "val": 1}, [])
    (path,) = (tmp_path / "out" / "ann_dir" / "val").iterdir()
    with Image.open(path) as image:
        # black is unknown; then urban, agriculture, rangeland; forest, water, barren, and forest again
        np.testing.assert_array_equal(np.asarray(image), [[0, 1, 2, 3], [4, 5, 6, 4]])


def test_a_division_is_seeded_and_of_images(tmp_path):
    root = write_archive(tmp_path / "land", [str(i) for i in range(10)], np.zeros((2, 2, 3), np.uint8))
    val = [{pair.stem for pair in deepglobe_pairs(root, 30, seed) if pair.part == "val"} for seed in (0, 0, 1)]
    assert [len(names) for names in val] == [3, 3, 3]
    assert val[0] == val[1] != val[2]


def test_what_is_missing_is_named(tmp_path):
    root = write_archive(tmp_path / "land", ["7"], np.zeros((2, 2, 3), np.uint8))
    (root / "7_sat.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"7_sat\.jpg is missing"):
        deepglobe_pairs(root)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; expected labels of DeepGlobe"):
        deepglobe_pairs(tmp_path / "nowhere")


@pytest.mark.usefixtures("mmseg_scope")
def test_a_real_image(samples, tmp_path, run_tool):
    done = run_tool("prepare_data", "deepglobe", samples / "deepglobe", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    folders = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
    load = [dict(type="LoadImage"), dict(type="LoadLabels")]
    root = str(tmp_path / "out")
    data = TableDataset("deepglobe", data_root=root, data_prefix=folders, img_suffix=".png", pipeline=load)
    assert len(data) == 4 and data[0]["img"].shape == (1224, 1224, 3)
    pixels = sum(np.bincount(sample["gt_seg_map"].ravel(), minlength=256) for sample in data)
    counted = dict(zip(load_metainfo("deepglobe").classes, pixels[:6].tolist(), strict=True))
    expected = {"urban land": 0, "agriculture land": 1491420, "rangeland": 3013524, "forest land": 102792}
    assert counted == expected | {"water": 931980, "barren land": 20660}
    assert pixels[255] == 432328


def test_two_labels_of_one_name_are_named(tmp_path):
    for part in ("a", "b"):
        write_archive(tmp_path / part, ["7"], np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"a/7_mask\.png and .*b/7_mask\.png have the same name '7_mask'"):
        deepglobe_pairs(tmp_path)


def test_labels_of_equal_size_and_time_are_compared_by_content(tmp_path):
    labels = np.full((2, 2, 3), 255, np.uint8)
    root = write_archive(tmp_path / "land", ["7", "8"], labels)
    prepare_deepglobe(deepglobe_pairs(root), tmp_path / "out")
    path = root / "7_mask.png"
    before = path.stat()
    Image.fromarray(labels * np.array([1, 1, 0], np.uint8)).save(path)
    with path.open("ab") as file:  # what follows the picture does not count
        file.truncate(max(before.st_size, path.stat().st_size))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(JobError, match=r"1 label file changed \(7_mask\.png\)"):
        prepare_deepglobe(deepglobe_pairs(root), tmp_path / "out")
    assert prepare_deepglobe(deepglobe_pairs(root), tmp_path / "out", update=True).written == 1
