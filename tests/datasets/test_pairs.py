"""Sets found by patterns: names that image and label share, layouts, what does not fit; and the sets of table 2."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from rsseg.datasets import PairsDataset
from rsseg.datasets.pairs import find_pairs
from rsseg.io.pixel_settings import share_pixels

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage", bands=(1, 2, 3)), dict(type="LoadLabels")]


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def label(path, values):
    picture(path, np.array([values], np.uint8))


def raster(path, bands):
    """GeoTIFF of (bands, H, W) uint8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = np.asarray(bands, np.uint8)
    size = dict(count=len(bands), height=bands.shape[1], width=bands.shape[2])
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", **size) as file:
        file.write(bands)


def test_a_star_is_the_name(tmp_path):
    for name in ("val/org/7.jpg", "test/org/8.jpg", "val/lab/7_lab.png", "test/lab/9_lab.png", "val/org/.tmp-7.jpg"):
        picture(tmp_path / name, np.zeros((2, 2)))
    found = find_pairs(tmp_path, "**/org/*.jpg", ["val/lab/*_lab.png", "test/lab/*_lab.png"])
    assert found.pairs == {"7": (tmp_path / "val/org/7.jpg", tmp_path / "val/lab/7_lab.png")}
    assert (found.alone, found.orphans) == ([tmp_path / "test/org/8.jpg"], [tmp_path / "test/lab/9_lab.png"])
    assert list(find_pairs(tmp_path, "val/org/*", "val/lab/*_lab.png").pairs) == ["7"]
    picture(tmp_path / "test/org/7.jpg", np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"have the same name \(7\)"):
        find_pairs(tmp_path, "**/org/*.jpg", "**/*_lab.png")
    with pytest.raises(ValueError, match=r"requires a \*"):
        find_pairs(tmp_path, "org/7.jpg", "*_lab.png")


def test_the_first_layout_that_is_there_is_read(tmp_path):
    layouts = [
        dict(images="new/*.png", labels="masks/*.png", table="potsdam_prepared"),
        dict(images="img/*.png", labels="ann/*.png"),
    ]
    options = dict(table="potsdam", layouts=layouts, data_root=str(tmp_path), pipeline=LOAD)
    with pytest.raises(FileNotFoundError, match=r"laid out as any of\n  new/\*.png with .*\n.*\ndo this"):
        PairsDataset(hint="do this", **options)
    picture(tmp_path / "img/a.png", np.zeros((1, 7, 3)))
    label(tmp_path / "ann/a.png", range(7))
    assert PairsDataset(**options)[0]["gt_seg_map"].tolist() == [[255, 0, 1, 2, 3, 4, 255]]
    picture(tmp_path / "new/a.png", np.zeros((1, 6, 3)))
    label(tmp_path / "masks/a.png", range(6))
    data = PairsDataset(**options)
    assert data[0]["gt_seg_map"].tolist() == [[0, 1, 2, 3, 4, 255]]
    assert (data.metainfo["dataset_name"], data.metainfo["table"]) == ("potsdam", "potsdam")
    picture(tmp_path / "new/b.png", np.zeros((1, 6, 3)))
    with pytest.raises(FileNotFoundError, match=r"b\.png is an image without a label, as are 0 others; 1 pairs"):
        PairsDataset(**options)
    layouts[0]["table"] = "flair"
    (tmp_path / "new/b.png").unlink()
    with pytest.raises(ValueError, match="flair must have the same classes as potsdam"):
        PairsDataset(**options)


def published_flair(root):
    raster(root / "flair_aerial_test/D012_2019/Z13_AA/img/IMG_062871.tif", np.zeros((5, 1, 20)))
    raster(root / "flair_labels_test/D012_2019/Z13_AA/msk/MSK_062871.tif", [[range(20)]])
    raster(root / "flair_aerial_train/D001_2019/Z1_UU/img/IMG_000001.tif", np.zeros((5, 1, 20)))
    return [255, *range(12), *[255] * 7]


def published_floodnet(root):
    for part in ("val", "test"):
        picture(root / f"FloodNet-Supervised_v1.0/{part}/{part}-org-img/{part}7.jpg", np.zeros((1, 10, 3)))
        label(root / f"FloodNet-Supervised_v1.0/{part}/{part}-label-img/{part}7_lab.png", range(10))
    return [255, *range(1, 10)]


def prepared(images, labels, values, ids, suffix="png"):
    def write(root):
        picture(root / images / f"x.{suffix}", np.zeros((1, len(values), 3)))
        label(root / labels / "x.png", values)
        return ids

    return write


LAYOUTS = {
    "flair published": ("flair", published_flair),
    "flair prepared": ("flair", prepared("test/image", "test/mask", range(13), [*range(12), 255])),
    "floodnet published": ("floodnet", published_floodnet),
    "floodnet prepared": (
        "floodnet", prepared("val+test/img", "val+test/lbl", range(10), [255, *range(1, 10)], "jpg")
    ),
    "fast prepared": (
        "fast_vocabulary", prepared("FAST/val/images", "FAST/val/semlabels/gray", [0, 36, 255], [0, 36, 255])
    ),
    "potsdam prepared": (
        "potsdam_vocabulary",
        prepared("PotsdamSplit/img_dir/val", "PotsdamSplit/ann_dir/val", range(6), [*range(5), 255]),
    ),
    "potsdam cut": (
        "potsdam_vocabulary", prepared("img_dir/val", "ann_dir/val", range(7), [255, *range(5), 255])
    ),
    "dlrsd": ("dlrsd", prepared("Images/airplane", "Labels/airplane", range(18), [255, *range(17)], "tif")),
    "udd5": ("udd5", prepared("UDD5/val/src", "UDD5/val/gt", range(5), range(5), "JPG")),
    "vdd": ("vdd", prepared("VDD/test/src", "VDD/test/gt", range(7), range(7), "JPG")),
    "uavid": ("uavid", prepared("img_dir/test", "ann_dir/test", [*range(7), 255], [*range(7), 255])),
    "vaihingen": ("vaihingen_vocabulary", prepared("img_dir/val", "ann_dir/val", range(7), [255, *range(5), 255])),
    "loveda": (
        "loveda_vocabulary", prepared("Val/Rural/images_png", "Val/Rural/masks_png", range(8), [255, *range(7)])
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_the_sets_of_table_2_in_their_layouts(layout, tmp_path, repo):
    name, write = LAYOUTS[layout]
    expected = write(tmp_path)
    config = Config.fromfile(repo / "configs/_base_/datasets" / f"{name}.py")
    share_pixels(config._cfg_dict)
    cfg = config.test_dataloader.dataset
    data = DATASETS.build({**cfg, "data_root": str(tmp_path)})
    assert len(data) == (2 if layout == "floodnet published" else 1)
    for sample in data:
        # the image is made ready for the views, labels keep their size
        assert min(sample["inputs"].shape[1:]) > 1
        assert sample["data_samples"].gt_sem_seg.data.tolist() == [[list(expected)]]


def test_fast_is_its_validation_part(tmp_path, repo):
    cfg = Config.fromfile(repo / "configs/_base_/datasets/fast_vocabulary.py").test_dataloader.dataset
    for root, labels in (("fast", "gray"), ("released/fair1m_1024/trainval", "rhbox_segs_init/gray")):
        for name in ("train_1__0__0", "valid_1__0__0"):
            picture(tmp_path / root / "images" / f"{name}.png", np.zeros((1, 2, 3)))
            label(tmp_path / root / labels / f"{name}.png", [0, 255])
        (row,) = DATASETS.build({**cfg, "data_root": str(tmp_path), "lazy_init": True}).list_files()
        assert row["tile"] == "1__0__0" and f"/{root}/images/valid_" in row["img_path"]
        (tmp_path / "fast").rename(tmp_path / "elsewhere") if root == "fast" else None
