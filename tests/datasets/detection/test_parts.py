"""Archives that keep train and validation apart become one source."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.detection import AnnotationError, image_stems, open_parts
from rsseg.metainfo import load_metainfo

FAIR1M = """<annotation><source><filename>0.tif</filename></source><objects><object><possibleresult><name>{name}</name>
</possibleresult><points><point>2,2</point><point>9,2</point><point>9,8</point><point>2,8</point><point>2,2</point>
</points></object></objects></annotation>"""
PARTS = [
    {"images": "train", "annotations": "train", "prefix": "train_"},
    {"images": "validation", "annotations": "validation", "prefix": "valid_"},
]


def _write(folder: Path, stem: str, name: str) -> None:
    for kind in ("images", "labelXml"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(folder / "images" / f"{stem}.tif")
    (folder / "labelXml" / f"{stem}.xml").write_text(FAIR1M.format(name=name), encoding="utf-8")


@pytest.fixture
def fair1m(tmp_path: Path) -> Path:
    """FAIR1M as unpacked: train in two parts, validation, and test images without labels."""
    _write(tmp_path / "train/part1", "0", "A220")
    _write(tmp_path / "train/part2", "1", "Van")
    _write(tmp_path / "validation", "0", "Boeing737")
    _write(tmp_path / "test", "0", "A350")
    return tmp_path


def test_equal_names_stay_apart(fair1m: Path) -> None:
    source = open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), PARTS)
    found = {item.stem: source.read(item).names for item in source.items}
    assert found == {"train_0": ["A220"], "train_1": ["Van"], "valid_0": ["Boeing737"]}
    assert not source.problems and not source.without_annotation
    assert source.items[2].image == fair1m / "validation/images/0.tif"


def test_nothing_is_lost_without_a_prefix(fair1m: Path) -> None:
    parts = [{key: part[key] for key in ("images", "annotations")} for part in PARTS]
    with pytest.raises(ValueError, match=r"train.*0\.tif and .*validation.*0\.tif would both be '0'.*prefix"):
        open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), parts)


def test_problems_of_all_parts_are_kept(fair1m: Path) -> None:
    (fair1m / "train/part2/images/1.tif").unlink()
    (fair1m / "validation/labelXml/0.xml").unlink()
    source = open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), PARTS, on_error="skip")
    assert [item.stem for item in source.items] == ["train_0"]
    assert [error.value for error in source.problems] == ["1"]
    assert [path.name for path in source.without_annotation] == ["0.tif"]
    with pytest.raises(AnnotationError, match="no image for this label file"):
        open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), PARTS)
    with pytest.raises(FileNotFoundError, match="part9"):
        open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), [{"images": "part9", "annotations": "train"}])


def test_labels_of_other_images_may_lie_there(fair1m: Path) -> None:
    parts = [{"images": "train/part1", "annotations": "train", "prefix": ""}]
    source = open_parts("fair1m", fair1m, fair1m, load_metainfo("fast"), parts, shared_labels=True)
    assert [item.stem for item in source.items] == ["0"] and not source.problems
    assert image_stems(fair1m / "train") == ["0", "1"]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        image_stems(fair1m / "nowhere")
