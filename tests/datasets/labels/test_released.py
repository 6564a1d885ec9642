"""The released folders: found, read, checked, trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets import ReleasedDataset
from rsseg.datasets.labels import ReleasedSet, open_labels

Change = Callable[..., None]


def test_sota(release: Path) -> None:
    found = open_labels(release / "dotav2_1024/trainval")
    tiles = list(found)
    assert found.table.name == "SOTA" and found.manifest is None and len(found) == 3
    assert [(tile.name, tile.source, tile.split) for tile in tiles] == [
        ("P1_0000", "P1", "train"), ("P1_0003", "P1", "train"), ("P2_0000", "P2", "val")
    ]  # fmt: skip
    tile = tiles[0]
    assert tile.size == (3, 4) and tile.offset == (0, 0)
    assert [path.name for path in found.files(2)] == ["train.txt", "valid.txt", "P2_0000.png", "P2_0000.pkl"]
    assert tile.image == release / "dotav2_1024/trainval/images/P1_0000.png"
    (item,) = tile.instances
    assert (item.label, item.area, item.bbox, item.touches_border) == (5, 2, (1, 0, 3, 3), True)
    assert item.prompt_box == (-1, 0, 3, 3) and item.rbox is None and item.predicted_iou is None
    assert item.mask_to_box == pytest.approx(2 / 9)  # 9 pixels of the box lie inside the tile
    assert item.rle == {"size": [3, 4], "counts": "525"} and item.source_object_id == "1"


def test_sior_has_two_image_folders(release: Path) -> None:
    first, second = open_labels(release / "dior")
    assert first.image == release / "dior/JPEGImages-trainval/00001.jpg" and first.split == "train"
    assert second.image == release / "dior/JPEGImages-test/11726.jpg" and second.split is None
    assert first.source == "00001" and first.instances[0].label == 0


def test_fast_and_sota_rbb(release: Path) -> None:
    (tile,) = open_labels(release / "fair1m_1024")
    van, nothing = tile.instances
    assert tile.source == "train_0" and van.label == 35 and van.prompt_box == (0, 0, 4, 3)
    assert van.mask_to_box == pytest.approx(2 / 6)
    assert van.rbox is not None and van.rbox[:4] == pytest.approx([2, 1.5, 2.5, 2.5])
    assert nothing.area == 0 and nothing.bbox == (0, 0, 0, 0) and not nothing.touches_border
    rotated = open_labels(release / "dotav2_1024_rbb/trainval")
    assert rotated.table.name == "SOTA" and next(iter(rotated)).instances[0].rbox is not None


def test_names_with_spaces_in_lists(release: Path) -> None:
    base = release / "dotav2_1024/trainval"
    for file in (*base.glob("images/P1_0000.*"), *base.glob("*/gray/P1_0000.*"), *base.glob("*/ins/P1_0000.*")):
        file.rename(file.with_stem("P 1 ü"))
    (base / "train.txt").write_bytes("\ufeffP 1 ü\r\nP1_0003\r\n\r\n".encode())
    assert next((tile.name, tile.split) for tile in open_labels(base)) == ("P 1 ü", "train")
    assert open_labels(base).names_of("train") == ["P 1 ü", "P1_0003"]


def test_which_labels_and_classes(release: Path, tmp_path: Path) -> None:
    base = release / "dotav2_1024/trainval"
    for folder in ("gray", "ins"):
        (base / "rhbox_segs_init" / folder).mkdir(parents=True)
    with pytest.raises(ValueError, match="several kinds of labels") as error:
        open_labels(base)
    assert str(base / "hbox_segs_init") in str(error.value)
    assert len(open_labels(base / "hbox_segs_init")) == 3
    moved = tmp_path / "elsewhere"
    (base / "hbox_segs_init").rename(moved)
    with pytest.raises(ValueError, match="sota, sior or fast"):
        open_labels(moved)
    tile = next(iter(open_labels(moved, images=base / "images", classes="sota")))
    assert tile.image == base / "images/P1_0000.png"
    with pytest.raises(FileNotFoundError, match=r"neither manifest\.json"):
        open_labels(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        open_labels(tmp_path / "nowhere")


def test_contradictions_are_named(release: Path, change_pickle: Change) -> None:
    path = release / "fair1m_1024/trainval/rhbox_segs_init/ins/train_0_0000.pkl"
    opened = open_labels(release / "fair1m_1024")
    change_pickle(path, category="Bus")
    with pytest.raises(ValueError, match=r"train_0_0000\.pkl, object 0: label 35 is Van in FAST, but it says Bus"):
        list(opened)
    change_pickle(path, category="Van", label=37)
    with pytest.raises(ValueError, match="label 37 is not a class of FAST"):
        list(opened)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path.parents[1] / "gray/train_0_0000.png")
    with pytest.raises(ValueError, match=r"masks of \[3, 4\], but its label map has \[4, 4\]"):
        list(opened)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train_0_0000 is in gray/ but not in ins/"):
        list(opened)


@pytest.mark.usefixtures("mmseg_scope")
def test_training_on_them(release: Path) -> None:
    steps = [dict(type="LoadImage"), dict(type="LoadLabels")]
    data = ReleasedDataset("sota", str(release / "dotav2_1024/trainval"), pipeline=steps)
    assert [Path(data.get_data_info(i)["img_path"]).stem for i in range(len(data))] == ["P1_0003", "P1_0000"]
    sample = data[0]
    assert sample["dataset_name"] == "sota" and sample["img"].shape == (3, 4, 3)
    assert sample["gt_seg_map"].tolist() == [[255, 255, 5, 255], [255] * 4, [255, 5, 255, 255]]
    assert len(ReleasedDataset("sota", str(release / "dotav2_1024/trainval"), split="val")) == 1
    assert len(ReleasedDataset("sior", str(release / "dior"), split=None)) == 2
    with pytest.raises(FileNotFoundError, match=r"valid\.txt or val\.txt; the release has no split of its own"):
        ReleasedDataset("sior", str(release / "dior"), split="val")
    (release / "dior/valid.txt").write_text("00002\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="images/00002 is listed but missing"):
        ReleasedDataset("sior", str(release / "dior"), split="val")


def test_lists_may_lie_beside_the_labels(release: Path) -> None:
    base = release / "fair1m_1024/trainval/rhbox_segs_init"
    (base / "val.txt").write_text("train_0_0000\n", encoding="utf-8")
    assert ReleasedSet(base).names_of("val") == ["train_0_0000"]
