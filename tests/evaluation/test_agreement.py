"""Agreement of two folders of labels, worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio

from rsseg.evaluation.agreement import LabelFolder, compare_folders
from rsseg.metainfo import load_metainfo
from rsseg.reports.agreement import agreement_text, write_agreement


def write(folder: Path, **files) -> Path:
    for name, values in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"{path}.tif", np.array(values, np.uint8))
    return folder


@pytest.fixture
def hands(tmp_path):
    """Raw values of OpenEarthMap: 1 bareland, 2 rangeland, 4 road, 0 unlabelled."""
    first = write(tmp_path / "first", a=[[1, 1, 2], [2, 0, 4]], b=[[4, 4]], only=[[1]])
    second = write(tmp_path / "second", a=[[1, 2, 2], [2, 1, 0]], b=[[4, 2]])
    return LabelFolder(first, "openearthmap"), LabelFolder(second, "openearthmap")


def test_by_hand(hands, tmp_path):
    found = compare_folders(*hands, workers=2)
    # a: bareland 1 of 2 kept, rangeland 2 of 2, two pixels unlabelled on one side; b: road 1 of 2
    assert (found.names, found.unlabelled, found.alone, found.problems) == (["a", "b"], 2, (1, 0), [])
    assert found.equal == pytest.approx(4 / 6)
    np.testing.assert_array_equal(found.confusion[np.ix_([0, 1, 3], [0, 1, 3])], [[1, 1, 0], [0, 2, 0], [0, 1, 1]])
    np.testing.assert_allclose(found.scores["IoU"][[0, 1, 3]], [1 / 2, 2 / 4, 1 / 2])
    # by chance: (2 x 1 + 2 x 4 + 2 x 1) / 36 = 1/3, so (2/3 - 1/3) / (1 - 1/3)
    assert found.kappa == pytest.approx(1 / 2)
    write_agreement(found, tmp_path / "out")
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert rows == [["a", "4", "3", "0.75"], ["b", "2", "1", "0.5"]]
    with (tmp_path / "out" / "classes.csv").open(newline="") as file:
        classes = {row["class"]: row for row in csv.DictReader(file)}
    assert list(classes["rangeland"].values()) == ["rangeland", "2", "4", "2", "0.5", "0.666667"]
    assert classes["water"]["IoU"] == ""


def test_the_order_changes_no_iou(hands):
    one, other = compare_folders(*hands), compare_folders(*hands[::-1])
    np.testing.assert_array_equal(one.confusion, other.confusion.T)
    np.testing.assert_array_equal(one.scores["IoU"], other.scores["IoU"])
    assert (one.equal, one.kappa) == (other.equal, pytest.approx(other.kappa))


def test_sets_of_other_classes_meet_in_common_ones(tmp_path):
    # LoveDA: 1 background, 7 agricultural, 2 building; OpenEarthMap: 2 rangeland, 7 agriculture, 8 building
    first = write(tmp_path / "first", a=[[1, 7, 2, 2]])
    second = write(tmp_path / "second", a=[[2, 7, 8, 7]])
    tables = ("loveda", "openearthmap")
    folders = [LabelFolder(path, table, "landcover6") for path, table in zip((first, second), tables, strict=True)]
    found = compare_folders(*folders)
    assert found.equal == 3 / 4
    assert found.confusion[5].tolist() == [0, 1, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="name a common class table with --merge, such as landcover6"):
        compare_folders(LabelFolder(first, "loveda"), LabelFolder(second, "openearthmap"))


def test_a_common_class_that_one_set_lacks_is_not_scored(tmp_path):
    # LoveDA, without rangeland: agricultural, agricultural, forest, background
    # OpenEarthMap: rangeland, agriculture, tree, tree
    first = write(tmp_path / "first", a=[[7, 7, 6, 1]])
    second = write(tmp_path / "second", a=[[2, 7, 5, 5]])
    tables = ("loveda", "openearthmap")
    folders = [
        LabelFolder(path, table, "landcover6_urban") for path, table in zip((first, second), tables, strict=True)
    ]
    found = compare_folders(*folders)
    # LoveDA's background stays out: agriculture 1/2, forest 1
    assert (found.unlabelled, found.unscored, float(found.scores["mIoU"])) == (1, (2,), 0.75)
    assert found.equal == pytest.approx(2 / 3)
    assert "(rangeland, not scored)" in agreement_text(found)


@pytest.mark.parametrize("form", ["{}", "{}.tif", "kyoto/{}.tif", "{}.png"])
def test_every_form_of_list_is_taken(hands, form):
    # a: 3 of 4 labelled pixels are equal
    found = compare_folders(*hands, names=[form.format("a")])
    assert (found.names, found.equal) == (["a"], 3 / 4)
    (hands[0].path.parent / "names.txt").write_text(f"\ufeff{form.format('a')}\r\n\r\n")
    assert compare_folders(*hands, names=hands[0].path.parent / "names.txt").names == ["a"]
    with pytest.raises(ValueError, match="name the same common file"):
        compare_folders(*hands, names=[form.format("a"), form.format("a")])


def test_the_release_against_predictions(tmp_path):
    """Images lie beside labels in the release; predictions are PNGs in one folder."""
    root = write(tmp_path / "oem", **{"kyoto/labels/kyoto_1": [[1, 2]], "kyoto/images/kyoto_1": [[9, 9]]})
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    cv2.imwrite(str(predictions / "kyoto_1.png"), np.array([[1, 1]], np.uint8))
    found = compare_folders(LabelFolder(root, "openearthmap"), LabelFolder(predictions, "openearthmap"))
    assert found.equal == 1 / 2


def test_a_map_holds_ids_and_says_so(tmp_path):
    """Values of label files begin with 1, those of maps with 0."""
    folder = write(tmp_path / "maps", a=[[0, 255, 3]])
    first = LabelFolder(write(tmp_path / "first", a=[[1, 2, 5]]), "openearthmap")
    with rasterio.open(folder / "a.tif", "r+") as file:
        file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(load_metainfo("openearthmap").classes)})
    found = compare_folders(first, LabelFolder(folder, "openearthmap"))
    # bareland both, unlabelled on the map, tree for road
    assert (found.confusion[0, 0], found.confusion[4, 3], found.confusion.sum(), found.unlabelled) == (1, 1, 2, 1)
    found = compare_folders(LabelFolder(folder, "loveda"), LabelFolder(folder, "loveda"))
    assert "a.tif is a map of bareland, rangeland" in found.problems[0] and "not of LoveDA's" in found.problems[0]


def test_what_cannot_be_compared_is_named(hands, tmp_path):
    first, second = hands
    write(second.path, b=[[4]])
    found = compare_folders(first, second)
    assert found.names == ["a"] and "b.tif has (1, 2) pixels (H, W)" in found.problems[0]
    write(second.path, b=[[9, 9]])
    assert "value 9 is not a label value of OpenEarthMap" in compare_folders(first, second).problems[0]
    with pytest.raises(ValueError, match=r"1 of 2 names in the list match no common file \(first: 'only'\)"):
        compare_folders(first, second, ["a", "only"])
    with pytest.raises(ValueError, match="list of files to compare is empty"):
        compare_folders(first, second, [])
    with pytest.raises(ValueError, match="have no file name in common; the first files are a and z"):
        compare_folders(first, LabelFolder(write(tmp_path / "third", z=[[1]]), "openearthmap"))
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; expected label files"):
        compare_folders(first, LabelFolder(tmp_path / "nowhere", "openearthmap"))
    cv2.imwrite(str(second.path / "a.png"), np.ones((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a\.png and \S*a\.tif have the same name, a; rename"):
        compare_folders(first, second)


def test_one_name_in_several_folders_is_told_apart_by_these(hands, tmp_path):
    first, second = hands
    for hand in hands:
        write(hand.path, **{"east/x": [[1]], "west/x": [[2]]})
    found = compare_folders(first, second, ["east/x.tif", "west/x", "a"])
    assert found.names == ["a", "east/x", "west/x"]
    assert [int(np.trace(confusion)) for confusion in found.confusions[1:]] == [1, 1]
    layout = LabelFolder(write(tmp_path / "set", **{"east/labels/x": [[1]], "west/labels/x": [[2]]}), "openearthmap")
    found = compare_folders(layout, second)  # maps of a set keep its folders, perhaps with those called images
    assert found.names == ["east/x", "west/x"] and found.equal == 1


def test_what_lies_beside_maps_is_no_label_file(hands):
    _, second = hands
    write(second.path, a_probabilities=[[99]], a_overlay=[[99]], c_overlay=[[1]])
    assert [path.name for path in second.files()] == ["a.tif", "b.tif", "c_overlay.tif"]


@pytest.mark.slow
def test_as_a_command(hands, tmp_path, run_tool):
    (tmp_path / "names.txt").write_text("a\n")
    options = ("--table", "openearthmap", "--list", tmp_path / "names.txt", "--titles", "annotator", "model")
    done = run_tool("compare_labels", hands[0].path, hands[1].path, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert "equal pixels 75.00 %" in done.stdout and "1 images, 4 pixels compared" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"classes.csv", "confusion.csv", "images.csv",
                                                                    "confusion.png"}  # fmt: skip
