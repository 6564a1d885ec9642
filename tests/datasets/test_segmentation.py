"""Datasets: layouts, labels through the class table, augmentations fixed by the index's seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rsseg.datasets import (
    ConvertedDataset,
    MultiDataset,
    OpenEarthMapDataset,
    RandomColorJitter,
    RandomRotate90,
    RandomScale,
    SeededIndex,
    TableDataset,
)
from rsseg.errors import DataError

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]


def write_pairs(root, table_values, stems=("a", "b")):
    for folder in ("img", "ann"):
        (root / folder).mkdir(parents=True)
    for stem in stems:
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / "img" / f"{stem}.png")
        labels = np.resize(np.array(table_values, np.uint8), (4, 6))
        Image.fromarray(labels).save(root / "ann" / f"{stem}.png")
    return dict(data_root=str(root), data_prefix=dict(img_path="img", seg_map_path="ann"), img_suffix=".png")


def test_table_dataset_maps_raw_values(tmp_path):
    data = TableDataset("potsdam", pipeline=LOAD, **write_pairs(tmp_path, [0, 1, 2, 5, 6, 255]))
    assert len(data) == 2
    assert data.metainfo["classes"][0] == "impervious_surface"
    sample = data[0]
    assert (sample["dataset_name"], sample["table"]) == ("potsdam", "potsdam")
    np.testing.assert_array_equal(sample["gt_seg_map"][0], [255, 0, 1, 4, 255, 255])


def test_unknown_label_values_name_the_file(tmp_path):
    data = TableDataset("potsdam", pipeline=LOAD, **write_pairs(tmp_path, [0, 7]))
    with pytest.raises(ValueError, match=r"a\.png: value 7 is not a label value of Potsdam"):
        data[0]


def test_missing_files_are_named(tmp_path):
    options = write_pairs(tmp_path, [0])
    (tmp_path / "ann" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.png is listed but missing"):
        TableDataset("potsdam", **options)
    with pytest.raises(FileNotFoundError, match="potsdam: no folder"):
        TableDataset("potsdam", data_root=str(tmp_path), data_prefix=dict(img_path="nowhere"))


def test_lists_hold_names_with_blanks_as_any_editor_saves_them(tmp_path):
    options = dict(write_pairs(tmp_path, [1, 2], stems=("scene 1", "b")), pipeline=[])
    (tmp_path / "list.txt").write_bytes("\ufeffb\r\n\r\n scene 1 \r\n".encode())
    for chosen in (dict(ann_file="list.txt"), dict(subset=str(tmp_path / "list.txt"))):
        data = TableDataset("openearthmap", **chosen, **options)
        rows = [data.get_data_info(i) for i in range(len(data))]
        assert [Path(row["img_path"]).stem for row in rows] == ["b", "scene 1"]
        assert all(Path(row["seg_map_path"]).is_file() for row in rows)
    (tmp_path / "list.txt").write_text("b\nscene 1\nb\n")
    with pytest.raises(ValueError, match=r"list\.txt:3: 'b' is already in line 1"):
        TableDataset("openearthmap", ann_file="list.txt", **options)
    (tmp_path / "list.txt").write_text("scene\n1\n")
    with pytest.raises(ValueError, match=r"list\.txt:1: 2 of 2 names in .* match no image \(first: 'scene'\)"):
        TableDataset("openearthmap", subset=str(tmp_path / "list.txt"), **options)


def test_colour_labels_are_refused(tmp_path):
    options = write_pairs(tmp_path, [0])
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "ann" / "a.png")
    with pytest.raises(ValueError, match=r"has 3 bands \(red, green, blue\); labels must be one band"):
        TableDataset("potsdam", pipeline=LOAD, **options)[0]


def test_palette_labels_keep_their_indices(tmp_path):
    options = write_pairs(tmp_path, [1])
    image = Image.fromarray(np.full((4, 6), 3, np.uint8))
    image.putpalette([9, 9, 9] * 256)
    image.save(tmp_path / "ann" / "a.png")
    assert int(TableDataset("potsdam", pipeline=LOAD, **options)[0]["gt_seg_map"].max()) == 2


def test_converted_dataset_follows_tiles_csv(tmp_path, converted_set):
    root = converted_set(tmp_path / "sota", 18)
    train = ConvertedDataset("sota", str(root), pipeline=LOAD)
    val = ConvertedDataset("sota", str(root), split="val", pipeline=LOAD)
    assert (len(train), len(val), len(ConvertedDataset("sota", str(root), split=None))) == (6, 2, 8)
    labels = np.asarray(Image.open(root / "gray" / "t0.png"))
    np.testing.assert_array_equal(val[0]["gt_seg_map"], labels)
    with pytest.raises(FileNotFoundError, match=r"run rsseg convert to its end first"):
        ConvertedDataset("sota", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match=r"no images of split 'test'"):
        ConvertedDataset("sota", str(root), split="test")


def test_openearthmap_finds_the_region(tmp_path):
    import cv2

    for kind, pixels in (("images", np.zeros((4, 6, 3), np.uint8)), ("labels", np.full((4, 6), 8, np.uint8))):
        folder = tmp_path / "al_qurnah" / kind
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "al_qurnah_5.tif"), pixels)
    (tmp_path / "train.txt").write_text("al_qurnah_5.tif\n")
    data = OpenEarthMapDataset("openearthmap", data_root=str(tmp_path), ann_file="train.txt", pipeline=LOAD)
    assert int(data[0]["gt_seg_map"].min()) == 7


def test_sets_are_one_after_another_with_names_of_their_own(tmp_path, converted_set):
    sets = [
        ConvertedDataset(name, str(converted_set(tmp_path / name, classes)), split=None, pipeline=LOAD)
        for name, classes in (("sota", 18), ("sior", 20))
    ]
    data = MultiDataset(sets)
    assert data.set_sizes == [8, 8]
    assert [data[i]["dataset_name"] for i in (0, 7, 8, 15)] == ["sota", "sota", "sior", "sior"]
    assert len(data.metainfo["sets"]["sior"]["classes"]) == 20
    with pytest.raises(ValueError, match="a unique name"):
        MultiDataset([sets[0], sets[0]])


def test_a_seed_fixes_the_augmentations(tmp_path, converted_set):
    pipeline = [*LOAD, dict(type="RandomScale", prob=1.0), dict(type="RandomCrop", crop_size=(24, 24))]
    root = str(converted_set(tmp_path / "sota", 18))
    data = MultiDataset([ConvertedDataset("sota", root, pipeline=pipeline)])
    first, again, other = (data[SeededIndex(1, seed)]["img"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_quarter_turns_move_image_and_labels_alike():
    np.random.seed(0)
    base = np.arange(6, dtype=np.uint8).reshape(2, 3)
    seen = set()
    for _ in range(30):
        results = {"img": np.stack([base] * 3, -1), "gt_seg_map": base.copy(), "seg_fields": ["gt_seg_map"]}
        out = RandomRotate90(prob=1.0)(results)
        np.testing.assert_array_equal(out["img"][..., 0], out["gt_seg_map"])
        assert out["img_shape"] == out["gt_seg_map"].shape
        seen.add(out["gt_seg_map"].tobytes() + bytes(out["img_shape"]))
    assert len(seen) == 3


def test_scaling_keeps_label_values():
    results = {
        "img": np.zeros((10, 20, 3), np.uint8),
        "gt_seg_map": np.resize(np.array([3, 255], np.uint8), (10, 20)),
        "seg_fields": ["gt_seg_map"],
    }
    out = RandomScale(2.0, 2.0, prob=1.0)(results)
    assert out["img"].shape == (20, 40, 3)
    assert out["gt_seg_map"].shape == out["img_shape"] == (20, 40)
    assert set(np.unique(out["gt_seg_map"])) == {3, 255}
    with pytest.raises(ValueError, match="0 < low"):
        RandomScale(2.0, 1.0)


def test_tones_leave_the_shape_alone():
    np.random.seed(0)
    image = np.random.randint(0, 256, (8, 8, 3)).astype(np.uint8)
    changed = [RandomColorJitter(prob=1.0)({"img": image})["img"] for _ in range(8)]
    assert all(out.shape == image.shape and out.dtype == np.uint8 for out in changed)
    assert any(not np.array_equal(out, image) for out in changed)
    np.testing.assert_array_equal(RandomColorJitter(prob=0.0)({"img": image})["img"], image)


@pytest.mark.parametrize("name", ["test_pipeline", "train_pipeline_512", "sep_pipeline_224"])
def test_labels_and_images_are_both_read_as_stored(tmp_path, name):
    """A camera's EXIF orientation turns neither: labels refer to the pixels as stored."""
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    picture.save(tmp_path / "a.jpg", exif=exif)
    Image.new("L", (6, 4)).save(tmp_path / "a.png")
    base = Config.fromfile(Path(__file__).parents[2] / "configs" / "_base_" / "datasets" / "_segmentation.py")
    prefix = dict(img_path=".", seg_map_path=".")
    steps = list(base[name])[:2]
    data = TableDataset(
        "potsdam", data_root=str(tmp_path), data_prefix=prefix, img_suffix=".jpg", seg_map_suffix=".png", pipeline=steps
    )
    assert data[0]["img"].shape[:2] == data[0]["gt_seg_map"].shape == (4, 6)


def test_a_converted_set_under_another_table_is_an_error(tmp_path, converted_set):
    root = converted_set(tmp_path / "set", 3, count=4)
    rows = [{"id": i, "name": name, "color": "#000000"} for i, name in enumerate(("ship", "plane", "car"))]
    for name, own in (("same", rows), ("swapped", [rows[1], rows[0], rows[2]])):
        table = {"name": name, "source": "", "categories": [{**row, "id": i} for i, row in enumerate(own)]}
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    (root / "manifest.json").write_text(json.dumps({"classes": ["ship", "plane", "car"]}))
    assert len(ConvertedDataset(str(tmp_path / "same.json"), str(root), pipeline=[])) == 3
    with pytest.raises(DataError, match="classes ship, plane, car; the class table swapped has plane, ship, car"):
        ConvertedDataset(str(tmp_path / "swapped.json"), str(root), pipeline=[])
