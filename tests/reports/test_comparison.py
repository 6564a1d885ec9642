"""Panels put the right colours beside the image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rsseg.metainfo import load_metainfo
from rsseg.reports import comparison_panels, label_panels
from rsseg.structures.legends import STRIPES
from rsseg.structures.pictures import blend, colourise, panel


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def test_colourise_and_blend_by_hand():
    labels = np.array([[0, 1, 255]])
    palette = [(10, 20, 30), (200, 100, 0)]
    np.testing.assert_array_equal(colourise(labels, palette), [[[10, 20, 30], [200, 100, 0], [255, 255, 255]]])
    image = np.full((1, 3, 3), 100, np.uint8)
    np.testing.assert_array_equal(blend(image, labels, palette, 0.5), [[[55, 60, 65], [150, 100, 50], [100, 100, 100]]])


def test_panel_scales_to_one_height():
    out = panel([np.zeros((10, 20, 3), np.uint8), np.zeros((20, 20, 3), np.uint8)], ["a", "b"])
    assert out.shape == (10 + 22, 20 + 4 + 10, 3)


def test_comparison_shows_truth_and_runs(tmp_path):
    table = load_metainfo("openearthmap")
    image = save(tmp_path / "images" / "r_1.tif", np.full((8, 8, 3), 50))
    labels = np.full((8, 8), 6)
    labels[4:] = 0  # no label
    truth = save(tmp_path / "labels" / "r_1.tif", labels)
    save(tmp_path / "maps" / "r_1.png", np.full((8, 8), 8))
    (written,) = comparison_panels([(image, truth)], {"ours": tmp_path / "maps"}, table, tmp_path / "out")
    pixels = np.asarray(Image.open(written))
    assert tuple(pixels[25, 4]) == (50, 50, 50)
    assert tuple(pixels[25, 12 + 4]) == table.palette[5]
    assert tuple(pixels[25, 24 + 4]) == table.palette[7]
    unlabelled = {tuple(colour) for colour in pixels[22 + 4 : 22 + 8, 12:20].reshape(-1, 3).tolist()}
    assert unlabelled == {STRIPES, (255, 255, 255)} and not unlabelled <= set(table.palette)
    legend = {tuple(colour) for colour in pixels[22 + 8 :].reshape(-1, 3).tolist()}
    assert {table.palette[5], table.palette[7], STRIPES} <= legend and table.palette[0] not in legend


def test_more_than_four_panels_make_a_second_row(tmp_path):
    table = load_metainfo("openearthmap")
    image = save(tmp_path / "images" / "r_1.tif", np.full((8, 8, 3), 50))
    truth = save(tmp_path / "labels" / "r_1.tif", np.full((8, 8), 6))
    for value in range(1, 5):
        save(tmp_path / str(value) / "r_1.png", np.full((8, 8), value))
    runs = {str(value): tmp_path / str(value) for value in range(1, 5)}
    (written,) = comparison_panels([(image, truth)], runs, table, tmp_path / "out")
    pixels = np.asarray(Image.open(written))
    row = 22 + 8
    assert tuple(pixels[25, 36 + 4]) == table.palette[1], "image, ground truth and two runs"
    assert [tuple(pixels[row + 25, x]) for x in (4, 12 + 4)] == [table.palette[2], table.palette[3]]
    assert tuple(pixels[row + 25, 24 + 4]) == (255, 255, 255)


def test_label_panels_tint_each_conversion(tmp_path):
    table = load_metainfo("hrsc")
    image = save(tmp_path / "images" / "a.jpg", np.full((8, 8, 3), 100))
    for name, value in (("one", 0), ("two", 255)):
        save(tmp_path / name / "a.png", np.full((8, 8), value))
    (written,) = label_panels([image], {n: tmp_path / n for n in ("one", "two")}, table, tmp_path / "out")
    pixels = np.asarray(Image.open(written)).astype(int)
    assert tuple(pixels[25, 24 + 4]) == tuple(pixels[25, 4])
    assert tuple(pixels[25, 12 + 4]) != tuple(pixels[25, 4])
    assert (pixels[30:] == table.palette[0]).all(-1).sum() > 100, "the swatch of the only class"
