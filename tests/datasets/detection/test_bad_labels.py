"""Every bad input names file, line and value; ``skip`` keeps the rest and lists the problem."""

import json
import pickle

import pytest

from rsseg.datasets.detection import AnnotationError, check_inside, read_coco, read_dior, read_dota, read_fair1m
from rsseg.metainfo import load_metainfo

NAMES = {"fair1m": "Tugboat"}
SIDES = ("box", "box_xmin")
FIRST_X = ("xmin", "x_left_top", "point0", "box_xmin")


def refuse(label_format, path, line, value, reason, kept=2):
    """The file is refused with that line and value, and read without that object under ``skip``."""
    with pytest.raises(AnnotationError, match=reason) as caught:
        label_format.read(path)
    error = caught.value
    assert (error.path, error.line) == (path, line)
    assert value in error.value
    where = f"{path}:{line}: " if line else f"{path}: "
    assert str(error) == f"{where}{error.reason}: {error.value!r}"
    if line is None:
        assert "annotation 51" in error.reason
    record = label_format.read(path, "skip")
    assert [str(problem) for problem in record.problems] == [str(error)]
    assert len(record) == kept
    assert record.object_ids == [label_format.ids[0], label_format.ids[2]][:kept]
    return error


@pytest.mark.parametrize("label_format", ["dota", "dior", "dior oriented", "fair1m", "coco"], indirect=True)
def test_unknown_class(label_format, row, tmp_path):
    good = row(NAMES.get(label_format.key, "ship"))
    path = label_format.write(tmp_path, [good, row("spaceship"), good])
    line = label_format.line(1, "name")
    error = refuse(label_format, path, line, "spaceship", "unknown class")
    assert all(name in error.reason for name in label_format.table.classes)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400", "abc", "1_000", "٣"])
def test_numbers_are_finite_numbers(label_format, row, tmp_path, number):
    good = row(NAMES.get(label_format.key, "ship"))
    if label_format.key == "coco":
        bad = row(good.name, extra={"bbox": [number, 1, 2, 3]})
    else:
        bad = row(good.name, box=(number, "20", "30", "60"))
    path = label_format.write(tmp_path, [good, bad, good])
    if label_format.key == "coco" and number in ("nan", "inf", "-inf", "1e400"):
        token = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(number, number)
        path.write_text(path.read_text().replace(f'"{number}"', token))
        number = number.replace("1e400", "inf")
    reason = "finite number|must hold numbers"
    refuse(label_format, path, label_format.line(1, *FIRST_X), number, reason)


@pytest.mark.parametrize(
    ("box", "inverted"),
    [
        (("10", "20", "10", "60"), False),
        (("10", "20", "30", "20"), False),
        (("10", "20", "10", "20"), False),
        (("30", "20", "10", "60"), True),
        (("10", "60", "30", "20"), True),
    ],
)
def test_boxes_have_an_area(label_format, row, tmp_path, box, inverted):
    good = row(NAMES.get(label_format.key, "ship"))
    path = label_format.write(tmp_path, [good, row(good.name, box=box), good])
    if inverted and label_format.rotated:
        assert label_format.read(path).hbox[1].tolist() == [10, 20, 30, 60]
        return
    line = label_format.line(1, *SIDES)
    refuse(label_format, path, line, box[1], "zero-area")


@pytest.mark.parametrize(
    ("box", "straight_ok", "rotated_ok"),
    [
        (("-1", "-1", "201", "101"), True, True),
        (("-1.01", "20", "30", "60"), False, True),
        (("10", "20", "201.01", "60"), False, True),
        (("10", "20", "30", "102"), False, True),
        (("200", "20", "201", "60"), False, False),
        (("-50", "20", "-1", "60"), False, False),
        (("10", "-9", "30", "0"), False, False),
        (("10", "300", "30", "400"), False, False),
    ],
)
def test_boxes_lie_in_the_image(label_format, row, tmp_path, box, straight_ok, rotated_ok):
    good = row(NAMES.get(label_format.key, "ship"))
    path = label_format.write(tmp_path, [good, row(good.name, box=box), good], size=(100, 200))
    line = label_format.line(1, *SIDES)
    if rotated_ok if label_format.rotated else straight_ok:
        assert len(check_inside(label_format.read(path), (100, 200))) == 3
    elif label_format.key != "dota":
        refuse(label_format, path, line, box[0], r"box outside the image of 100 x 200")
    else:
        record = label_format.read(path)
        with pytest.raises(AnnotationError, match="outside the image") as caught:
            check_inside(record, (100, 200))
        assert (caught.value.line, caught.value.path) == (line, path) and box[0] in caught.value.value
        kept = check_inside(record, (100, 200), "skip")
        assert kept.object_ids == ["1", "3"] and [p.line for p in kept.problems] == [line]


def test_the_first_problem_of_the_file_is_raised(label_format, row, tmp_path):
    name = NAMES.get(label_format.key, "ship")
    bad = "mbox_w" if label_format.key == "hrsc" else "name"
    wrong = row(name, extra={"mbox_w": "x"}) if bad == "mbox_w" else row("spaceship")
    path = label_format.write(tmp_path, [row(name), row(name, box=("5", "5", "5", "5")), wrong])
    with pytest.raises(AnnotationError, match="zero-area"):
        label_format.read(path)
    lines = [problem.line for problem in label_format.read(path, "skip").problems]
    assert lines == [label_format.line(1, *SIDES), label_format.line(2, bad)]


@pytest.mark.parametrize("label_format", ["dior", "dior oriented", "fair1m", "hrsc"], indirect=True)
@pytest.mark.parametrize("keep", [0.35, 0.6, 0.9])
def test_truncated_files(label_format, row, tmp_path, keep):
    path = label_format.write(tmp_path, [row(NAMES.get(label_format.key, "ship"))] * 3)
    lines = path.read_text().splitlines()
    lines = lines[: int(len(lines) * keep)]
    path.write_text("\n".join(lines))
    with pytest.raises(AnnotationError, match="not a complete XML file") as caught:
        label_format.read(path)
    assert caught.value.line == len(lines) and caught.value.value == lines[-1]
    record = label_format.read(path, "skip")
    assert len(record) == 0 and [str(p) for p in record.problems] == [str(caught.value)]


WRONG_XML = [
    ('<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY x "y">]>\n<annotation>&x;</annotation>', 2, "DOCTYPE"),
    ("", 1, "not a complete XML file"),
    ("\n<HRSC_Images/>", 2, "outermost element must be"),
    ("<annotation>\n<size><width>9</width>\n</size><objects/></annotation>", 2, "has no required element"),
    ("<annotation>\n<size><width>9.5</width>\n<height>0</height></size><objects/></annotation>", 3, "above 0"),
    ("<annotation>\n<size>\n<width>9.5</width><height>1</height></size><objects/></annotation>", 3, "whole"),
    ('<?xml version="1.0" encoding="klingon"?>\n<annotation/>', 1, "unknown encoding"),
]


@pytest.mark.parametrize(("text", "line", "reason"), WRONG_XML)
def test_xml_that_is_no_label_file(tmp_path, text, line, reason):
    path = tmp_path / "1.xml"
    path.write_text(text)
    table = load_metainfo("fast")
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_fair1m(path, table)
    assert (caught.value.path, caught.value.line) == (path, line)
    record = read_fair1m(path, table, "skip")
    assert len(record) == 0 and len(record.problems) == 1


def test_dior_and_fair1m_files_are_not_mixed_up(formats, row, tmp_path):
    fair1m, dior = formats["fair1m"], formats["dior"]
    with pytest.raises(AnnotationError, match="FAIR1M"):
        read_dior(fair1m.write(tmp_path, [row("Van")]), dior.table)
    with pytest.raises(AnnotationError, match="has no required element"):
        read_fair1m(dior.write(tmp_path, [row()]), fair1m.table)


XML_OBJECTS = [
    # format, text to replace in the second object, by what, line part of the error, value, reason
    ("dior", "<name>ship</name>", "", "object", "<name>", "has no required element"),
    ("dior", "<name>ship</name>", "<name>ship</name><name>dam</name>", "name", "<name>", "only one <name>"),
    ("dior", "<xmax>30</xmax>", "", "box", "<xmax>", "has no required element"),
    ("dior", "<xmin>10<", "<xmin><", "xmin", "", "finite"),
    ("dior", "<difficult>0<", "<difficult>yes<", "difficult", "yes", "must be 0 or 1"),
    ("dior oriented", "<x_left_top>10</x_left_top>", "", "box", "<x_left_top>", "has no required element"),
    ("fair1m", "<point>30,20</point>", "<point>30 20</point>", "point1", "30 20", '"x,y"'),
    ("fair1m", "<point>30,20</point>", "", "box", "10,20 30,60", "4 points"),
    ("fair1m", "<point>30,20</point>", "<point>10,20</point><point>1,2</point>", "box", "1,2", "4 points"),
    ("hrsc", "<seg_color></seg_color>", "<seg_color>1,2</seg_color>", "seg_color", "1,2", "r,g,b"),
    ("hrsc", "<seg_color></seg_color>", "<seg_color>1,2,256</seg_color>", "seg_color", "1,2,256", "r,g,b"),
    ("hrsc", "<mbox_h>40<", "<mbox_h>-40<", "mbox_h", "-40", "above 0"),
    ("hrsc", "<mbox_ang>0<", "<mbox_ang>nan<", "mbox_ang", "nan", "finite"),
    ("hrsc", "<mbox_cx>20<", "<mbox_cx>900<", "box_xmin", "10", "outside the image"),
]


@pytest.mark.parametrize(("key", "old", "new", "part", "value", "reason"), XML_OBJECTS)
def test_objects_with_missing_or_odd_elements(formats, row, tmp_path, key, old, new, part, value, reason):
    chosen = formats[key]
    path = chosen.write(tmp_path, [row(NAMES.get(key, "ship"))] * 3)
    lines = path.read_text().split("\n")
    start, end = chosen.line(1, "object"), chosen.line(2, "object")
    lines[start:end] = [line.replace(old, new) for line in lines[start:end]]
    path.write_text("\n".join(lines))
    refuse(chosen, path, chosen.line(1, part), value, reason)


def test_a_fifth_point_elsewhere(formats, row, tmp_path):
    points = [("0", "0"), ("9", "0"), ("9", "9"), ("0", "9"), ("1", "0")]
    rows = [row("Van"), row("Van", extra={"points": points}), row("Van")]
    path = formats["fair1m"].write(tmp_path, rows)
    refuse(formats["fair1m"], path, formats["fair1m"].line(1, "box"), "1,0", "4 points, or 5")


DOTA_LINES = [
    ("0 0 4 0 4 4 0 4", "expected 9 or 10 fields", "0 0 4 0 4 4 0 4"),
    ("0 0 4 0 4 4 0 4 ship 0 0", "got 11", "ship 0 0"),
    ("0 0 4 0 4 4 0 4 ship 3", "class index as last field is not supported", "3"),
    ("0 0 4 0 4 4 0 4 ship 1.0", "must be 0, 1 or 2", "1.0"),
    ("0 0 4 0 4 4 0 4 small vehicle 0", "got 11", "small vehicle"),
    ("0,0,4,0,4,4,0,4,ship,0", "got 1", "0,0"),
]


@pytest.mark.parametrize(("line", "reason", "value"), DOTA_LINES)
def test_dota_fields(formats, tmp_path, line, reason, value):
    good = "0 0 4 0 4 4 0 4 ship 0"
    path = tmp_path / "a.txt"
    path.write_text(f"gsd:1\n{good}\n{line}\n{good}\n")
    refuse(formats["dota"], path, 3, value, reason)


def test_dota_in_another_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"gsd:1\r\n0 0 4 0 4 4 0 4 ship 0\r\n0 0 4 0 4 4 0 4 h\xe4fen 0\r\n")
    with pytest.raises(AnnotationError, match="UTF-8") as caught:
        read_dota(path, load_metainfo("sota"))
    assert caught.value.line == 3 and "xe4" in caught.value.value
    assert len(read_dota(path, load_metainfo("sota"), "skip")) == 0


COCO_FILES = [
    ('{"images": [\n1,', 2, "not a complete JSON file"),
    ("[]", None, "must hold an object"),
    ('{"images": %s}' % ("9" * 5000), None, "must be JSON"),
    ('{"images": %s' % ("[" * 100000), None, "must be JSON"),
    ('{"images": [], "annotations": []}', None, '"categories" must be a list'),
    ('{"images": {}, "annotations": [], "categories": []}', None, '"images" must be a list'),
]


@pytest.mark.parametrize(("text", "line", "reason"), COCO_FILES)
def test_json_that_is_no_coco_file(tmp_path, text, line, reason):
    path = tmp_path / "a.json"
    path.write_text(text)
    table = load_metainfo("nwpu_vhr10")
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_coco(path, table)
    assert (caught.value.path, caught.value.line) == (path, line)
    found = read_coco(path, table, "skip")
    assert found == {} and [str(p) for p in found.problems] == [str(caught.value)]


COCO_ROWS = [
    # section, index, change, value, reason, records left, annotations left
    ("images", 1, {"file_name": "a.png"}, "a.png", "image 2: file name used twice", 1, 1),
    ("images", 1, {"id": 1}, "1", "image 1: id used twice", 1, 1),
    ("images", 1, {"file_name": "../b.png"}, "../b.png", "image 2: .*inside the image folder", 1, 1),
    ("images", 1, {"file_name": None}, "None", "image 2: .*inside the image folder", 1, 1),
    ("images", 1, {"height": 0}, "0", "image 2: .*whole numbers above 0", 1, 1),
    ("images", 1, {"width": "9"}, "9", "image 2: .*whole numbers above 0", 1, 1),
    ("annotations", 1, {"id": 5}, "5", "annotation 5: id used twice", 2, 1),
    ("annotations", 1, {"id": None}, "None", 'annotation: "id" must be', 2, 1),
    ("annotations", 1, {"image_id": 3}, "3", "annotation 6: .*no usable entry", 2, 1),
    ("annotations", 1, {"image_id": 1.5}, "1.5", 'annotation 6: "image_id" must be', 2, 1),
    ("annotations", 1, {"category_id": 8}, "8", r"annotation 6: .*allowed are \[4\]", 2, 1),
    ("annotations", 1, {"category_id": True}, "True", 'annotation 6: "category_id" must be', 2, 1),
    ("annotations", 1, {"bbox": [1, 2, 3]}, "[1, 2, 3]", r"annotation 6: .*\[x, y, width, height\]", 2, 1),
    ("annotations", 1, {"bbox": None}, "None", "annotation 6", 2, 1),
    ("annotations", 1, {"bbox": [1, 2, -3, 4]}, "[1, 2, -3, 4]", "annotation 6: inverted", 2, 1),
    ("annotations", 1, {"bbox": [1, 2, True, 4]}, "True", "annotation 6: .*finite", 2, 1),
    ("annotations", 1, {"iscrowd": 2}, "2", 'annotation 6: "iscrowd" must be 0 or 1', 2, 1),
    ("categories", 0, {"name": 5}, "5", 'category 4: "name" must be text', 2, 0),
    ("categories", 0, {"name": "spaceship"}, "spaceship", "annotation 5: unknown class", 2, 0),
]


@pytest.mark.parametrize(("section", "i", "change", "value", "reason", "records", "kept"), COCO_ROWS)
def test_coco_entries(tmp_path, section, i, change, value, reason, records, kept):
    box = {"category_id": 4, "bbox": [1, 2, 3, 4]}
    data = {
        "images": [{"id": k, "file_name": name, "height": 9, "width": 9} for k, name in ((1, "a.png"), (2, "b.png"))],
        "annotations": [{"id": 5, "image_id": 1, **box}, {"id": 6, "image_id": 2, **box}],
        "categories": [{"id": 4, "name": "ship"}],
    }
    data[section][i] |= change
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_coco(path, load_metainfo("nwpu_vhr10"))
    assert (caught.value.path, caught.value.line, caught.value.value) == (path, None, value)
    found = read_coco(path, load_metainfo("nwpu_vhr10"), "skip")
    problems = found.problems + [problem for record in found.values() for problem in record.problems]
    assert str(caught.value) in [str(problem) for problem in problems]
    assert len(found) == records and sum(map(len, found.values())) == kept


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(AnnotationError("a b.txt", 3, 1.5, "too small")))
    assert str(error) == "a b.txt:3: too small: '1.5'" and error.line == 3
