"""Crops of folders of images: as many as the paper counts, the right pixels, the right errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.datasets import CropDataset, SeededIndex
from rsseg.structures.windows import tile_windows


def picture(path: Path, height: int, width: int) -> np.ndarray:
    """A picture whose red is the column, green the row (both modulo 256) and blue 7."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), 7, np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width) % 256, np.arange(height)[:, None] % 256
    Image.fromarray(pixels).save(path)
    return pixels


def test_the_papers_training_images_give_the_papers_number_of_crops() -> None:
    # 95 % of SOTA's 17,480, SIOR's 11,725 and FAST's 64,147 images; 88,685 in all (appendix A.3)
    images = {1024: 16_606, 800: 11_139, 600: 60_940}
    assert sum(images.values()) == 88_685
    each = {side: len(tile_windows((side, side), 384, 84)) for side in images}
    assert each == {1024: 16, 800: 9, 600: 4}
    assert sum(each[side] * count for side, count in images.items()) == 609_707


def test_crops_are_windows_of_the_images_in_order(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 10, 22)  # columns 0, 6, 12 and, shifted back, 14; rows 0 and 2
    picture(tmp_path / "deeper" / "b.bmp", 5, 8)  # lower than a crop
    data = CropDataset([str(tmp_path)], crop=8, stride=6)
    assert len(data) == 9
    assert [data.place(i)[1] for i in range(9)] == [
        *((x, y, x + 8, y + 8) for x in (0, 6, 12, 14) for y in (0, 2)),
        (0, 0, 8, 5),
    ]
    sample = data[5]
    assert Path(sample["img_path"]).name == "a.png"
    assert sample["img_shape"] == sample["ori_shape"] == (8, 8)
    assert sample["img"].flags.c_contiguous
    assert sample["img"][0, 0].tolist() == [7, 2, 12]  # blue, green, red
    assert sample["img"][7, 7].tolist() == [7, 9, 19]
    assert data[8]["img"].shape == (5, 8, 3)


def test_all_kinds_of_files_give_the_same_pixels_and_grey_ones_on_request(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "same.png", 16, 16)
    profile = dict(driver="GTiff", width=16, height=16, dtype="uint8")
    with rasterio.open(tmp_path / "rgb.tif", "w", count=3, photometric="RGB", **profile) as raster:
        raster.write(np.moveaxis(pixels, -1, 0))
    with rasterio.open(tmp_path / "grey.tif", "w", count=1, **profile) as raster:
        raster.write(pixels[None, ..., 0])
    with pytest.raises(ValueError, match=r"grey\.tif: does not say which of its bands"):
        CropDataset([str(tmp_path)], crop=8, stride=8)[3]
    data = CropDataset([str(tmp_path)], crop=8, stride=8, repeat_grey=True)
    grey, rgb, png = data[3]["img"], data[7]["img"], data[11]["img"]
    assert np.array_equal(rgb, pixels[8:, 8:, ::-1])
    assert np.array_equal(png, rgb)
    assert np.array_equal(grey, np.repeat(pixels[8:, 8:, :1], 3, axis=2))


def test_declared_bands_and_range(tmp_path: Path) -> None:
    pixels = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=4, width=8, height=8, dtype="uint16") as raster:
        raster.write(pixels)
    with pytest.raises(ValueError, match=r"a\.tif: holds uint16, not 8 bits"):
        CropDataset([str(tmp_path)], crop=4, stride=4, bands=(4, 2, 1))[0]
    data = CropDataset([str(tmp_path)], crop=4, stride=4, bands=(4, 2, 1), value_range=(0, 510))
    # crop 1 is rows 4..7; values are halved; blue (band 1) first
    np.testing.assert_array_equal(data[1]["img"], np.moveaxis(pixels[[0, 1, 3], 4:, :4], 0, -1) / 2)


def test_lists_choose_images_by_stem(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "sub/c.png"):
        picture(tmp_path / "images" / name, 8, 8)
    names = tmp_path / "train.txt"
    folder = dict(images=str(tmp_path / "images"), names=str(names))
    names.write_text("c\na\n")
    assert [path.name for path in CropDataset([folder], crop=8, stride=8).paths] == ["c.png", "a.png"]
    names.write_text("c\nd\n")
    with pytest.raises(ValueError, match=r"train\.txt:2: 1 of 2 names in .* match no image \(first: 'd'\)"):
        CropDataset([folder], crop=8, stride=8)
    names.write_text("")
    with pytest.raises(ValueError, match="the list is empty"):
        CropDataset([folder], crop=8, stride=8)
    picture(tmp_path / "images" / "sub" / "a.png", 8, 8)
    names.write_text("a\n")
    with pytest.raises(ValueError, match=r"a may be .*a\.png or .*a\.png"):
        CropDataset([folder], crop=8, stride=8)


def test_what_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        CropDataset([str(tmp_path / "nowhere")])
    with pytest.raises(FileNotFoundError, match="no images"):
        CropDataset([str(tmp_path)])
    with pytest.raises(ValueError, match="stride=385"):
        CropDataset([str(tmp_path)], crop=384, stride=385)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"broken\.png"):
        CropDataset([str(tmp_path)])


def test_a_seed_repeats_the_augmentation(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 16, 16)
    noise = [lambda sample: {**sample, "draw": np.random.rand()}]
    data = CropDataset([str(tmp_path)], crop=8, stride=8, pipeline=noise)
    assert data[SeededIndex(2, 5)]["draw"] == data[SeededIndex(2, 5)]["draw"] != data[2]["draw"]
