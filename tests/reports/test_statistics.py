"""Counts of a labelled set, worked out by hand."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from rsseg.datasets.labels import Instance, open_labels
from rsseg.datasets.labels.measure import TILE_COLUMNS, measure
from rsseg.datasets.labels.overlap import mask_overlap
from rsseg.datasets.labels.statistics import MASK_BOX_RATIO_EDGES, SHARE_EDGES, Statistics, median
from rsseg.structures.masks import crop_mask, fill_hbox, to_rle

SIZE = (10, 20)


def instance(label, box, size=SIZE, **other):
    mask = fill_hbox(box, size)
    values = {"predicted_iou": None, "stability": None, "mask_to_box": None, "touches_border": False}
    values |= {"prompt_box": None, "rbox": None, "source_object_id": None}
    return Instance(label=label, rle=to_rle(mask, size), area=mask.area, bbox=mask.bbox, **{**values, **other})


@pytest.mark.parametrize(
    ("boxes", "labels", "expected"),
    [
        ([], [], (0, 0, 0)),
        ([(0, 0, 0, 0)], [0], (0, 0, 0)),
        ([(0, 0, 4, 3)], [0], (12, 0, 0)),
        ([(0, 0, 4, 3), (4, 0, 8, 3)], [0, 1], (24, 0, 0)),
        # 4 x 3 and 4 x 3, shifted by 2: 6 pixels shared, by one class or by two.
        ([(0, 0, 4, 3), (2, 0, 6, 3)], [0, 0], (18, 6, 0)),
        ([(0, 0, 4, 3), (2, 0, 6, 3)], [0, 1], (18, 6, 6)),
        # A third one over 2 of the shared pixels: still shared once; its class meets both others there.
        ([(0, 0, 4, 3), (2, 0, 6, 3), (2, 0, 4, 1)], [0, 0, 1], (18, 6, 2)),
        # Whole columns run into each other, and into the last pixel.
        ([(16, 0, 20, 10), (18, 0, 20, 10)], [2, 1], (40, 20, 20)),
    ],
)
def test_overlap_by_hand(boxes, labels, expected):
    assert mask_overlap([to_rle(fill_hbox(box, SIZE), SIZE) for box in boxes], labels) == expected


def test_overlap_equals_counting_pixels():
    rng = np.random.default_rng(3)
    for _ in range(40):
        size = tuple(int(v) for v in rng.integers(1, 40, 2))
        masks = rng.random((5, *size)) < rng.random((5, 1, 1))
        labels = rng.integers(0, 3, 5)
        depth = masks.sum(0)
        kinds = sum(masks[labels == k].any(0).astype(int) for k in range(3))
        expected = ((depth >= 1).sum(), (depth >= 2).sum(), (kinds >= 2).sum())
        assert mask_overlap([to_rle(crop_mask(mask), size) for mask in masks], labels) == expected


def test_a_tile_by_hand():
    label_map = np.full(SIZE, 255, np.uint8)
    label_map[:5, :10] = 1  # 50 of 200 pixels
    statistics = Statistics(("a", "b", "c"))
    assert statistics.add_labels(np.bincount(label_map.ravel(), minlength=256)) == 0.75
    overlap = statistics.add_instances(
        [
            instance(1, (0, 0, 10, 5), mask_to_box=0.5, predicted_iou=1.02, stability=0.99, touches_border=True),
            instance(1, (0, 0, 2, 2), mask_to_box=3.0, predicted_iou=0.31),
            instance(0, (0, 0, 1, 1), mask_to_box=1.0),
            instance(2, (0, 0, 0, 0)),
        ],
    )
    assert overlap == (50, 4, 1)
    assert statistics.tiles.tolist() == [1, 0, 0]
    assert statistics.label_pixels.tolist() == [0, 50, 0, 150]
    assert statistics.instances.tolist() == [1, 2, 0]
    assert statistics.empty.tolist() == [0, 0, 1]
    assert statistics.mask_pixels.tolist() == [1, 54, 0]
    assert statistics.border.tolist() == [0, 1, 0]
    assert statistics.tiny.tolist() == [1, 2, 0]
    assert statistics.sizes[1].nonzero()[0].tolist() == [2, 5]  # 4 = 2^2; 32 <= 50 < 64
    assert statistics.mask_box_ratios[1].nonzero()[0].tolist() == [25, 100]  # 0.5 / 0.02; beyond 2
    assert statistics.ious[1].nonzero()[0].tolist() == [15, 49]  # 0.30..0.32; above 1 counts as the last
    assert statistics.stability.sum() == 1
    assert statistics.unlabelled.nonzero()[0].tolist() == [37]  # 0.74..0.76
    totals = statistics.as_dict()
    assert totals["unlabelled_share"] == 0.75 and totals["empty_share"] == 0.25
    assert totals["overlap_share"] == 0.08 and totals["overlap_share_of_different_classes"] == 0.02
    json.dumps(totals)


def test_buckets_are_those_of_coco():
    statistics = Statistics(("a",))
    size = (200, 200)
    for box in ((0, 0, 31, 33), (0, 0, 32, 32), (0, 0, 95, 97), (0, 0, 96, 96)):  # 1023, 1024, 9215, 9216
        statistics.add_instances([instance(0, box, size)])
    assert statistics.buckets.tolist() == [[1, 2, 1]]


def test_parts_add_up():
    tiles = [[instance(0, (0, 0, 3, 3))], [], [instance(1, (1, 1, 4, 4)), instance(0, (1, 1, 4, 4))]]
    pixels = np.bincount([0, 0, 255], minlength=256)
    whole, sums = Statistics(("a", "b")), Statistics(("a", "b"))
    for tile in tiles:
        part = Statistics(("a", "b"))
        for statistics in (whole, part):
            statistics.add_instances(tile)
            statistics.add_labels(pixels)
        sums.add(part)
    assert whole.as_dict() == sums.as_dict()
    assert all(np.array_equal(vars(whole)[name], vars(sums)[name]) for name in vars(whole))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([0, 0, 0], None), ([4, 0, 0], 0.25), ([1, 2, 1], 0.75), ([0, 0, 3], 1.0)],
)
def test_median_of_a_histogram(counts, expected):
    assert median(np.array(counts), np.array([0, 0.5, 1, np.inf])) == expected


def test_a_value_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match=r"value 2 is not a class; allowed are 0\.\.1 and 255"):
        Statistics(("a", "b")).add_labels(np.bincount([0, 2, 255]))


def test_a_set_is_measured_whole_and_in_order(tmp_path, write_set):
    # Every tile: class 0 on 20 x 10, class 1 over the right half of it.
    objects = [(0, (0, 0, 20, 10), (0, 0, 20, 20), {}), (1, (10, 0, 20, 10), (10, 0, 20, 10), {})]
    tiles = {f"t{i:02}": objects if i % 3 else [] for i in range(40)}
    labels = open_labels(write_set(tmp_path / "set", tiles, ["a", "b"], (40, 50)))
    (tmp_path / "set" / "gray" / "t01.png").write_bytes(b"no image")
    rows = []
    part = measure(labels, keep=2, on_rows=rows.extend)
    statistics = part.statistics
    assert statistics.tiles.tolist() == [40, 14, 14]
    assert statistics.instances.tolist() == [26, 26]
    assert statistics.label_pixels.tolist() == [25 * 100, 25 * 100, 39 * 2000 - 25 * 200]
    assert statistics.overlap.tolist() == [26 * 200, 26 * 100, 26 * 100]
    assert len(part.problems) == 1 and "t01.png" in part.problems[0] and "convert" in part.problems[0]
    table = [dict(zip(TILE_COLUMNS, row, strict=True)) for row in rows]
    assert [row["tile"] for row in table] == list(tiles)
    assert table[1]["unlabelled_share"] is None and table[2]["unlabelled_share"] == 0.9
    assert table[2]["overlap_share"] == 0.5 and table[0]["overlap_share"] == 0
    assert MASK_BOX_RATIO_EDGES[25] == 0.5 and statistics.mask_box_ratios[0, 25] == 26  # 200 of 400
    assert len(SHARE_EDGES) == 51

    both = measure(labels, keep=2, workers=2)
    assert both.statistics.as_dict() == statistics.as_dict()
    assert list(both.selection.choices()) == list(part.selection.choices())
    assert both.problems == part.problems


def test_damaged_instances_name_the_tile(tmp_path, write_set):
    root = write_set(tmp_path / "set", {"t0": [(0, (0, 0, 4, 4), (0, 0, 4, 4), {})]}, ["a"], SIZE)
    path = root / "instances.json"
    rle = coco.frPyObjects({"size": list(SIZE), "counts": [3, 4]}, *SIZE)["counts"].decode()
    old = json.loads(path.read_text())["annotations"][0]["segmentation"]["counts"]
    path.write_text(path.read_text().replace(json.dumps(old), json.dumps(rle)))
    with pytest.raises(ValueError, match=r"t0.*convert this image again"):
        measure(open_labels(root))
