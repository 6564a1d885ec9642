"""What each reader makes of a good file; values worked out by hand."""

import json
from math import pi

import numpy as np
import pytest

from rsseg.datasets.detection import read_coco, read_dior, read_dota, read_fair1m, read_hrsc
from rsseg.metainfo import load_metainfo

SOTA, SIOR, FAST = (load_metainfo(name) for name in ("sota", "sior", "fast"))
HRSC, NWPU = load_metainfo("hrsc"), load_metainfo("nwpu_vhr10")


def name_of(label_format):
    """A class every table but FAST has; FAST has ships by type."""
    return "Dry Cargo Ship" if label_format.key == "fair1m" else "SHIP"


def test_every_format_gives_the_same_record(label_format, row, tmp_path):
    name = name_of(label_format)
    path = label_format.write(tmp_path, [row(name), row(name, difficult="1", box=("0", "0.5", "1e1", "40"))])
    record = label_format.read(path)
    assert len(record) == 2
    assert record.path == path and record.stem == "a"
    assert record.size == (None if label_format.key == "dota" else (100, 200))
    np.testing.assert_array_equal(record.hbox, [[10, 20, 30, 60], [0, 0.5, 10, 40]])
    np.testing.assert_array_equal(record.qbox[0], [[10, 20], [30, 20], [30, 60], [10, 60]])
    assert record.hbox.dtype == record.qbox.dtype == np.float64
    label = label_format.table.index(name)
    assert record.labels.tolist() == [label, label] and record.labels.dtype == np.int64
    assert record.names == [label_format.table.classes[label]] * 2
    flagged = label_format.key not in ("fair1m", "coco")
    assert record.difficult.tolist() == [False, flagged] and record.difficult.dtype == np.bool_
    assert record.oriented.tolist() == [label_format.rotated] * 2
    assert record.object_ids == list(label_format.ids[:2])
    assert record.lines == [label_format.line(i, "box", "box_xmin") for i in range(2)]
    assert record.problems == []


def test_a_file_without_objects_is_an_empty_record(label_format, tmp_path):
    record = label_format.read(label_format.write(tmp_path, []))
    assert len(record) == 0 and record.problems == []
    assert record.hbox.shape == (0, 4) and record.qbox.shape == (0, 4, 2)


DOTA = [
    # text, hull of the box, name, difficult
    ("imagesource:GoogleEarth\ngsd:0.1\n0 2 4 0 6 4 2 6 plane 0\n", [0, 0, 6, 6], "plane", False),
    ("ImageSource:x\r\nGSD:null\r\n\r\n0 2 4 0 6 4 2 6 plane 1\r\n", [0, 0, 6, 6], "plane", True),
    ("\ufeff0 2 4 0 6 4 2 6 plane 2", [0, 0, 6, 6], "plane", True),
    ("0 2 4 0 6 4 2 6 small-vehicle", [0, 0, 6, 6], "small-vehicle", False),
    ("  -1.5 2  4.25 0\t6 4 2 +6e0 Small_Vehicle 0 ", [-1.5, 0, 6, 6], "small-vehicle", False),
]


@pytest.mark.parametrize(("text", "hbox", "name", "difficult"), DOTA)
def test_dota(tmp_path, text, hbox, name, difficult):
    path = tmp_path / "P1.txt"
    path.write_bytes(text.encode())
    record = read_dota(path, SOTA)
    np.testing.assert_array_equal(record.hbox, [hbox])
    assert (record.names, record.difficult.tolist(), record.oriented.tolist()) == ([name], [difficult], [True])
    np.testing.assert_array_equal(record.qbox[0, 1:3], [[hbox[2] - 2 if hbox[0] == 0 else 4.25, 0], [6, 4]])


def test_dota_ids_are_places_and_lines_are_lines(tmp_path):
    path = tmp_path / "P1.txt"
    path.write_text("gsd:1\n\n0 0 4 0 4 4 0 4 ship 0\n\n0 0 4 0 4 4 0 ship\n0 0 4 0 4 4 0 4 ship 0\n")
    record = read_dota(path, SOTA, "skip")
    assert record.object_ids == ["1", "3"] and record.lines == [3, 6]
    assert [problem.line for problem in record.problems] == [5]


def test_dior_with_both_boxes_keeps_both(tmp_path):
    corners = {"left_top": (5, 0), "right_top": (10, 5), "right_bottom": (5, 10), "left_bottom": (0, 5)}
    rotated = "".join(f"<x_{k}>{x}</x_{k}><y_{k}>{y}</y_{k}>" for k, (x, y) in corners.items())
    straight = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>"
    path = tmp_path / "1.xml"
    path.write_text(
        "<annotation><object><name> Expressway-Service-AREA\n</name>"
        f"<bndbox>{straight}</bndbox><robndbox>{rotated}</robndbox></object></annotation>"
    )
    record = read_dior(path, SIOR)
    assert record.names == ["expressway-service-area"] and record.size is None
    np.testing.assert_array_equal(record.hbox, [[1, 2, 9, 8]])
    np.testing.assert_array_equal(record.qbox, [[[5, 0], [10, 5], [5, 10], [0, 5]]])
    assert record.oriented.tolist() == [False]


@pytest.mark.parametrize("closed", [True, False])
def test_fair1m_points(formats, row, tmp_path, closed):
    points = [("5", " 0.0"), ("10", "5"), ("5", "10"), ("0", "5.000000")]
    extra = {"points": [*points, points[0]] if closed else points}
    record = read_fair1m(formats["fair1m"].write(tmp_path, [row("Small Car", extra=extra)]), FAST)
    np.testing.assert_array_equal(record.qbox, [[[5, 0], [10, 5], [5, 10], [0, 5]]])
    np.testing.assert_array_equal(record.hbox, [[0, 0, 10, 10]])
    assert record.names == ["Small-Car"]


def test_hrsc_rotated_box_and_colour(formats, row, tmp_path):
    # centre (50, 40), 40 long and 20 wide, turned a quarter clockwise: the long side points down
    turned = {"mbox_cx": "50", "mbox_cy": "40", "mbox_w": "40", "mbox_h": "20", "mbox_ang": f"{pi / 2!r}"}
    rows = [row(box=("41", "19", "61", "59"), extra={**turned, "seg_color": "255, 0,7"}), row()]
    record = read_hrsc(formats["hrsc"].write(tmp_path, rows), HRSC)
    np.testing.assert_array_equal(record.hbox[0], [41, 19, 61, 59])
    np.testing.assert_allclose(record.qbox[0], [[60, 20], [60, 60], [40, 60], [40, 20]], atol=1e-9)
    assert record.extra == {"seg_color": [(255, 0, 7), None]}
    assert record.names == ["ship", "ship"]


def test_hrsc_needs_a_table_with_ships(formats, row, tmp_path):
    with pytest.raises(ValueError, match="ship"):
        read_hrsc(formats["hrsc"].write(tmp_path, [row()]), load_metainfo("potsdam"))


def test_coco(tmp_path):
    rle = {"size": [80, 60], "counts": [0, 5, 10]}
    data = {
        "images": [
            {"id": 2, "file_name": "sub/b.jpg", "height": 80, "width": 60},
            {"id": 1, "file_name": "a.png", "height": 10, "width": 20},
            {"id": "x", "file_name": "c.tif"},
        ],
        "categories": [{"id": 9, "name": "Storage Tank"}, {"id": 4, "name": "ship"}, {"id": 5, "name": "unused"}],
        "annotations": [
            {"id": 11, "image_id": 2, "category_id": 4, "bbox": [1, 2, 3.5, 4], "segmentation": [[1, 2]]},
            {"id": 3, "image_id": 1, "category_id": 9, "bbox": [0, 0, 20, 10]},
            {"id": 12, "image_id": 2, "category_id": 9, "bbox": [5, 5, 1, 1], "segmentation": rle, "iscrowd": 1},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(data))
    found = read_coco(path, NWPU)
    assert list(found) == ["sub/b.jpg", "a.png", "c.tif"] and found.problems == []
    b = found["sub/b.jpg"]
    assert (b.stem, b.size, b.path) == ("b", (80, 60), path)
    np.testing.assert_array_equal(b.hbox, [[1, 2, 4.5, 6], [5, 5, 6, 6]])
    np.testing.assert_array_equal(b.qbox[1], [[5, 5], [6, 5], [6, 6], [5, 6]])
    assert b.names == ["ship", "storage_tank"] and b.object_ids == ["11", "12"] and b.lines == [None, None]
    assert b.difficult.tolist() == [False, True]
    assert b.extra == {"segmentation": [[[1, 2]], rle], "iscrowd": [0, 1]}
    assert found["a.png"].extra == {"segmentation": [None], "iscrowd": [0]}
    assert len(found["c.tif"]) == 0 and found["c.tif"].size is None


def test_paths_may_have_spaces_and_any_letters(label_format, row, tmp_path):
    path = label_format.write(tmp_path / "Ordner für 影像", [row(name_of(label_format))])
    assert len(label_format.read(path)) == 1
    assert len(read_as_text(label_format, path)) == 1


def read_as_text(label_format, path):
    """The path as ``str``, as a config gives it."""
    return label_format.read(str(path))


def test_a_missing_file_is_file_not_found(label_format, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        label_format.read(tmp_path / "nothing", "skip")


def test_on_error_is_one_of_two_words(label_format, tmp_path):
    with pytest.raises(ValueError, match="'raise' or 'skip'"):
        label_format.read(label_format.write(tmp_path, []), "ignore")
