"""A map over its image: what is tinted, what is not, and a legend that holds all of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.reports.maps.files import open_map
from rsseg.reports.maps.overlay import overlay, write_overlay


def test_classes_are_tinted_and_outlined():
    labels = np.full((4, 7), 255, np.uint8)
    labels[:, :5], labels[:, 5] = 0, 1
    valid = np.ones((4, 7), bool)
    valid[0, 6] = False
    found = overlay(np.full((1, 4, 7), 100, np.uint8), valid, labels, [(200, 0, 0), (0, 0, 200)])
    assert found[0, 0].tolist() == [145, 55, 55]  # 100 * 0.55 + 200 * 0.45
    assert found[0, 4].tolist() == [195, 5, 5] and found[0, 5].tolist() == [5, 5, 195]  # where classes meet
    assert found[1, 6].tolist() == [100] * 3 and found[0, 6].tolist() == [255] * 3  # no class, no data
    assert found[2, 6].tolist() == [129, 134, 140]  # a stripe: 100 * 0.4 + (148, 156, 166) * 0.6


def write_map(path, labels, classes, **profile):
    """A class map as tools/map_raster.py writes it, without a place."""
    height, width = labels.shape
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", nodata=255, height=height, width=width,
                       **profile) as file:  # fmt: skip
        file.write(labels, 1)
        file.write_colormap(1, {i: (10 + i, 0, 0, 255) for i in range(len(classes))})
        file.update_tags(RSSEG_SOURCE="photo.png", RSSEG_THRESHOLD="0.3", RSSEG_CLASSES=json.dumps(classes))
        file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(classes)})


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("classes", [["water"], [f"Straße {i} und ein sehr langer Name dazu" for i in range(60)]])
@pytest.mark.parametrize("size", [(5, 9), (30, 400), (400, 30)])
def test_the_legend_fits_whatever_the_size(classes, size, tmp_path):
    labels = (np.arange(size[0] * size[1]).reshape(size) % len(classes)).astype(np.uint8)
    labels[0] = 255
    write_map(tmp_path / "map.tif", labels, classes)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    write_overlay(tmp_path / "map.tif", str(tmp_path / "photo.png"), tmp_path / "out.png", (1, 2, 3))
    with Image.open(tmp_path / "out.png") as picture:
        pixels = np.array(picture.convert("RGB"))
    factor = 800 // max(size)
    shown = pixels[: size[0] * factor : factor, : size[1] * factor : factor]
    between = np.arange(size[1]) % 8 >= 2  # no data: striped, and the image between the stripes
    assert (shown[0, between] == 90).all() and (shown[0, ~between] > 100).all()
    assert pixels.shape[0] >= size[0] * factor
    right = pixels[:, size[1] * factor :]
    assert (right[-4:] == 255).all() and (right[:, -4:] == 255).all()  # nothing is cut off
    assert len(np.unique(right.reshape(-1, 3), axis=0)) > len(classes)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_map_that_is_a_picture_has_its_names(tmp_path):
    from rasterio.shutil import copy

    write_map(tmp_path / "map.tif", np.zeros((3, 4), np.uint8), ["road, paved", "水"])
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        copy(str(tmp_path / "map.tif"), str(tmp_path / "map.png"), driver="PNG", WRITE_METADATA_AS_TEXT="YES")
    files = open_map(tmp_path / "map.png")
    assert files.classes == ("road, paved", "水") and files.palette == ((10, 0, 0), (11, 0, 0))
    assert [area.pixels for area in files.areas] == [12, 0]
