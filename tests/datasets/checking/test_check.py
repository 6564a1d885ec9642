"""Checking datasets: counts and weights by hand, every kind of problem named with its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rsseg.datasets.checking.check import Check, check_config, class_weights, guess_shift
from rsseg.datasets.checking.table import describe

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]
MMSEG = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]


def image(path: Path, seed: int, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3)).astype(np.uint8)).save(path)


def label(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


def loader(root: Path, split: str, pipeline: Any = LOAD, **settings: Any) -> dict[str, Any]:
    """A loader of Potsdam's layout: values 1..5 are classes, 0 and 6 are ignored."""
    dataset: dict[str, Any] = dict(type="TableDataset", table="potsdam", img_suffix=".png", data_root=str(root))
    dataset["data_prefix"] = dict(img_path=f"img_dir/{split}", seg_map_path=f"ann_dir/{split}")
    return dict(dataset={**dataset, "pipeline": pipeline, **settings})


def write(root: Path, split: str, *labels: Any) -> None:
    for i, values in enumerate(labels):
        image(root / "img_dir" / split / f"{i}.png", seed=len(split) * 100 + i)
        label(root / "ann_dir" / split / f"{i}.png", values)


def full(value: int) -> np.ndarray:
    return np.full((4, 4), value)


def kinds(check: Check) -> set[str]:
    return set(check.problems)


def test_counts_and_weights_are_those_by_hand(tmp_path: Path) -> None:
    half = np.repeat([[1], [2]], [2, 2], axis=0).repeat(4, axis=1)  # 8 pixels of each
    write(tmp_path, "train", half, [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 6, 6], [4, 4, 4, 4]])
    write(tmp_path, "val", full(5))
    check = check_config({"train_dataloader": loader(tmp_path, "train"), "val_dataloader": loader(tmp_path, "val")}, 2)
    train, val = check.tallies
    assert not check.problems
    assert train.pixels.tolist() == [16, 8, 0, 4, 0]
    assert train.images.tolist() == [2, 1, 0, 1, 0]
    assert train.context.tolist() == [28, 16, 0, 12, 0]
    assert train.counts[[0, 6]].tolist() == [2, 2]
    weights = class_weights(train)
    # frequencies 16/28, 8/16, 4/12; their median is 1/2
    assert weights["median frequency"] == pytest.approx([28 / 32, 1, 0, 1.5, 0])
    assert weights["inverse log"][1] == pytest.approx(1 / np.log(1.02 + 8 / 28))
    assert val.pixels.tolist() == [0, 0, 0, 0, 16]
    assert check.notes == {"train: potsdam has no pixel of a class": ["low_vegetation", "car"]}
    text = describe(check)
    assert "potsdam: train 2 images, val 1 images" in text
    assert text.endswith("no problems, but 1 note(s) above: see that each is meant so before you train")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[1][:7] == ["0", "impervious_surface", "1", "50.00", "2", "0.00", "0"]
    assert rows[-1][:4] == ["", "not labelled", "0,6", "12.50"]


def test_masks_of_0_and_255_are_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "train", full(0), [[0, 0, 255, 255]] * 4)
    table = tmp_path / "mask.json"
    rows = [{"id": i, "name": name, "color": f"#00000{i}"} for i, name in enumerate(("ground", "roof"))]
    table.write_text(json.dumps({"name": "Roofs", "source": "test", "categories": rows}))
    check = check_config({"train_dataloader": loader(tmp_path, "train", table=str(table))})
    (kind,) = check.problems
    assert kind.endswith("label files hold only 0 and 255, and 255 means 'no label'")
    (text,) = check.problems[kind]
    assert text.startswith("every labelled pixel is 'ground'; store the foreground as its class")


def test_a_class_that_lies_where_images_have_no_data_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "train", [[1] * 4, [2] * 4, [3] * 4, [1] * 4])
    pixels = np.full((4, 4, 4), 90, np.uint8)
    pixels[2, :, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "img_dir/train/0.png")
    check = check_config({"train_dataloader": loader(tmp_path, "train")})
    assert check.problems["train: all pixels of a class lie where the images have no data"] == ["low_vegetation"]


def test_every_problem_names_its_files(tmp_path: Path) -> None:
    write(tmp_path, "train", *(full(1) for _ in range(8)))
    write(tmp_path, "val", full(2))
    images, labels = tmp_path / "img_dir" / "train", tmp_path / "ann_dir" / "train"
    (labels / "1.png").unlink()
    (images / "2.png").write_bytes((images / "2.png").read_bytes()[:60])
    (labels / "3.png").write_bytes(b"no picture")
    image(images / "4.png", 4, size=(4, 5))
    label(labels / "5.png", [[1, 1, 1, 9]] * 4)
    label(labels / "6.png", np.zeros((4, 4, 3)))
    label(labels / "nobody.png", full(1))
    (tmp_path / "img_dir" / "val" / "0.png").write_bytes((images / "7.png").read_bytes())
    check = check_config({"train_dataloader": loader(tmp_path, "train"), "val_dataloader": loader(tmp_path, "val")}, 2)
    assert kinds(check) == {
        "train: label is missing",
        "train: image cannot be read",
        "train: label cannot be read",
        "train: image and label differ in size",
        "train: value 9 is neither a class nor ignored",
        "image is in train and in val",
    }
    assert check.problems["train: label is missing"] == [str(labels / "1.png")]
    assert str(images / "2.png") in check.problems["train: image cannot be read"][0]
    assert [
        str(labels / name) in text
        for name, text in zip(("3.png", "6.png"), check.problems["train: label cannot be read"], strict=True)
    ] == [True, True]
    assert "(4, 5)" in check.problems["train: image and label differ in size"][0]
    assert check.problems["train: value 9 is neither a class nor ignored"] == [f"{labels / '5.png'}: 4 pixels"]
    assert check.problems["image is in train and in val"] == [f"{images / '7.png'} is {tmp_path}/img_dir/val/0.png"]
    assert check.notes["train: label without image"] == [str(labels / "nobody.png")]
    text = describe(check, shown=1)
    assert "problem: train: label cannot be read (2)" in text
    assert "... 1 more" in text
    assert text.endswith("7 problem(s)")


def test_a_set_without_background_is_said_to_be_one(tmp_path: Path, converted_set: Any) -> None:
    """96 % of the pixels carry no class; with one for them all is said to be well, and counted."""
    for i in range(2):
        image(tmp_path / "tiles" / "images" / f"{i}.png", i, (10, 10))
        values = np.full((10, 10), 255)
        values[:2, :2] = i
        label(tmp_path / "tiles" / "gray" / f"{i}.png", values)
    rows = "".join(f"{i},images/{i}.png,0,0,10,10,train\n" for i in range(2))
    (tmp_path / "tiles" / "tiles.csv").write_text(f"tile,source,x,y,width,height,split\n{rows}")
    dataset: dict[str, Any] = dict(type="ConvertedDataset", table="sota", data_root=str(tmp_path / "tiles"))
    config = {"train_dataloader": dict(dataset={**dataset, "pipeline": LOAD}), "model": dict(heads=dict(sota=18))}
    key = "train: sota: 96 % of the pixels are unlabelled: the model will never see background; lines to add"
    lines = ['in its dataset (train, val and test): table="sota+background"', "model.heads.sota = 19"]
    check = check_config(config, 1)
    assert check.notes[key] == lines and not check.problems
    assert f"note: {key} (2)\n    {lines[0]}\n    {lines[1]}" in describe(check)
    config["train_dataloader"]["dataset"]["table"] = "sota+background"
    assert "model.heads.sota is 18, but dataset 'sota' has 19 classes" in str(check_config(config, 1).problems)
    config["model"] = dict(heads=dict(sota=19))
    check = check_config(config, 1)
    assert not check.problems and key not in check.notes
    assert check.tallies[0].pixels.tolist() == [4, 4, *[0] * 16, 192]


def test_labels_that_lie_elsewhere_are_named(tmp_path: Path) -> None:
    """Both say where they lie; half a pixel is what programs differ by, and another CRS may be the same place."""
    folders = [tmp_path / kind / "train" for kind in ("img_dir", "ann_dir")]
    shifts = {"same": 0, "half": 0.5, "shifted": 1.0, "silent": None}
    for folder, count in zip(folders, (3, 1), strict=True):
        folder.mkdir(parents=True)
        for i, (name, shift) in enumerate(shifts.items()):
            pixels = np.random.default_rng(i).integers(1, 5, (count, 4, 4)).astype(np.uint8)
            off = 0.0 if count == 3 else shift
            place = {} if off is None else dict(crs="EPSG:32633", transform=Affine(2, 0, 5e5 + 2 * off, 0, -2, 4e6))
            options = dict(count=count, height=4, width=4, dtype="uint8", **place)
            with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", **options) as file:
                file.write(pixels)
    tifs = loader(tmp_path, "train", img_suffix=".tif", seg_map_suffix=".tif")
    check = check_config({"train_dataloader": tifs}, 1)
    image, labels = (str(folder / "shifted.tif") for folder in folders)
    found = check.problems["train: image and label lie in different places"]
    assert found == [f"{labels}: its corners are 1.0 pixels off those of {image}"]


def test_listed_images_that_are_missing_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, "train", full(1))
    (tmp_path / "list.txt").write_text("0\na\nb\n")
    check = check_config({"train_dataloader": loader(tmp_path, "train", ann_file="list.txt")}, 1)
    assert [Path(text).name for text in check.problems["train: image is missing"]] == ["a.png", "b.png"]
    assert "train: label without image" not in check.notes


def test_single_coloured_images_and_the_test_set_that_is_the_validation_set_are_no_duplicates(tmp_path: Path) -> None:
    write(tmp_path, "train", full(1))
    write(tmp_path, "val", full(1))
    for split in ("train", "val"):
        Image.new("RGB", (4, 4)).save(tmp_path / "img_dir" / split / "0.png")
    val = loader(tmp_path, "val")
    check = check_config({"train_dataloader": loader(tmp_path, "train"), "val_dataloader": val, "test_dataloader": val})
    assert not check.problems
    assert [tally.part.split for tally in check.tallies] == ["train", "val"]


def test_mmsegs_own_datasets_wrappers_and_reduced_labels(tmp_path: Path) -> None:
    write(tmp_path, "train", full(0), full(7), full(8))
    inner = loader(tmp_path, "train", MMSEG)["dataset"]
    inner = {key: value for key, value in inner.items() if key not in ("table", "img_suffix")}
    wrapped = dict(
        type="RepeatDataset",
        times=3,
        dataset=dict(
            type="ConcatDataset",
            datasets=[{**inner, "type": "LoveDADataset"}, {**inner, "type": "LoveDADataset", "indices": 2}],
        ),
    )
    check = check_config({"train_dataloader": dict(dataset=wrapped)}, 1)
    assert check.problems == {
        "train: value 8 is neither a class nor ignored": [f"{tmp_path}/ann_dir/train/2.png: 16 pixels"]
    }
    whole, part = check.tallies
    assert whole.part.name == "LoveDADataset"
    assert whole.pixels.tolist() == part.pixels.tolist() == [0] * 6 + [16]
    assert whole.part.meaning[[0, 1, 7, 8, 255]].tolist() == [255, 0, 6, -1, 255]
    assert len(part.part.files) == 2


def test_chosen_classes_of_mmsegs_datasets_leave_out_the_others(tmp_path: Path) -> None:
    write(tmp_path, "train", full(2))
    own = dict(type="PotsdamDataset", data_root=str(tmp_path), pipeline=MMSEG, metainfo=dict(classes=("tree", "car")))
    own["data_prefix"] = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
    (tally,) = check_config({"train_dataloader": dict(dataset=own)}, 1).tallies
    assert tally.part.meaning[:8].tolist() == [255, 255, 255, 255, 0, 1, 255, -1]


def test_values_that_mmseg_would_wrap_around_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "train", full(1))
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "ann_dir" / "train" / "0.png")
    own = loader(tmp_path, "train", MMSEG)["dataset"]
    own = {key: value for key, value in own.items() if key != "table"} | dict(type="PotsdamDataset")
    del own["img_suffix"]
    (text,) = check_config({"train_dataloader": dict(dataset=own)}, 1).problems["train: label cannot be read"]
    assert "values 300..300" in text


def test_converted_sets_of_several_label_sets(tmp_path: Path, converted_set: Any) -> None:
    for name, classes in (("sota", 18), ("sior", 20)):
        converted_set(tmp_path / name, classes, count=4, size=32)
    sets = [
        dict(type="ConvertedDataset", table=t, data_root=str(tmp_path / t), pipeline=LOAD) for t in ("sota", "sior")
    ]
    check = check_config({"train_dataloader": dict(dataset=dict(type="MultiDataset", datasets=sets))}, 2)
    assert not check.problems
    assert [(tally.part.name, len(tally.part.files)) for tally in check.tallies] == [("sota", 3), ("sior", 3)]
    assert "sota: train 3 images" in describe(check)
    assert "sior: train 3 images" in describe(check)


def test_what_cannot_be_opened_is_a_problem_and_the_rest_is_checked(tmp_path: Path) -> None:
    write(tmp_path, "train", full(1))
    check = check_config({"train_dataloader": loader(tmp_path, "train"), "val_dataloader": loader(tmp_path, "val")}, 1)
    (text,) = check.problems["val: potsdam cannot be opened"]
    assert f"no folder {tmp_path}/img_dir/val" in text
    assert len(check.tallies) == 1
    with pytest.raises(ValueError, match="none of train_dataloader"):
        check_config({})


def test_labels_that_no_transform_loads_are_not_asked_for(tmp_path: Path) -> None:
    image(tmp_path / "img_dir" / "test" / "0.png", 0)
    check = check_config({"test_dataloader": loader(tmp_path, "test", LOAD[:1])}, 1)
    assert not check.problems
    assert "test 1 images" in describe(check)


@pytest.mark.parametrize(
    ("present", "low", "ignored", "expected"),
    [
        ([0, 1, 2], 0, [], None),
        ([1, 2, 3], 0, [], "one higher than stated"),
        ([0, 1, 2, 3], 0, [], "whether 0 is a background"),
        ([0, 1, 2], 1, [0], "one lower than stated; 0 is ignored and 3 never occurs"),
        ([0, 1, 2, 3], 1, [0], None),
        ([1, 2], 1, [0], None),
        ([0, 255], 0, [], None),
        ([0, 9], 0, [], None),
        ([255], 0, [], None),
    ],
)
def test_guesses_of_what_is_off(present: list[int], low: int, ignored: list[int], expected: str | None) -> None:
    counts, meaning = np.zeros(256, np.int64), np.full(256, -1, np.int16)
    counts[present] = 5
    meaning[[*ignored, 255]] = 255
    meaning[low : low + 3] = range(3)
    guess = guess_shift(counts, meaning, 3)
    assert guess is None if expected is None else expected in (guess or "")
