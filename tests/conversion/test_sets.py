"""The shipped configs find their archives as they unpack; boxes stand in for SAM's masks."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rsseg.conversion import convert_labels

REPO = Path(__file__).resolve().parents[2]
DIOR = """<annotation><object><name>{name}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>
<ymax>{3}</ymax></bndbox></object></annotation>"""
FAIR1M = """<annotation><objects><object><possibleresult><name>{name}</name></possibleresult><points>{points}</points>
</object></objects></annotation>"""
HRSC = """<HRSC_Image><HRSC_Objects><HRSC_Object><Object_ID>1</Object_ID><box_xmin>4</box_xmin><box_ymin>4</box_ymin>
<box_xmax>20</box_xmax><box_ymax>12</box_ymax><mbox_cx>12</mbox_cx><mbox_cy>8</mbox_cy><mbox_w>16</mbox_w>
<mbox_h>8</mbox_h><mbox_ang>0</mbox_ang><seg_color>255,0,0</seg_color></HRSC_Object></HRSC_Objects></HRSC_Image>"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """``run(name, **changes)``: the manifest of configs/samrs/convert_<name>.py, run in ``tmp_path`` with boxes."""
    monkeypatch.chdir(tmp_path)

    def convert(name: str, **changes: Any) -> dict[str, Any]:
        config = Config.fromfile(REPO / "configs/samrs" / f"convert_{name}.py")
        config.merge_from_dict({"predictor": "box", **changes})
        manifest = convert_labels(config, on_error="raise", with_evaluation=config.get("truth") is not None).manifest
        assert manifest is not None and not manifest["problems"]
        return manifest

    return convert


def _image(path: str, height: int = 64, width: int = 64) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


def _text(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def _tiles(name: str) -> list[str]:
    with io.StringIO(Path(f"data/samrs/{name}/tiles.csv").read_text(encoding="utf-8")) as file:
        return [row["tile"] for row in csv.DictReader(file)]


def test_sota_and_sota_rbb(run: Callable[..., dict[str, Any]]) -> None:
    for part, folder, stem, width in (("train", "part4", "P2806", 1300), ("val", "images", "P0003", 64)):
        _image(f"data/dota/{part}/images/{folder}/{stem}.png", width=width)
        labels = f"data/dota/{part}/labelTxt-v2.0/DOTA-v2.0_{part}"
        _text(f"{labels}_hbb/{stem}.txt", "10 10 50 10 50 50 10 50 plane 0\n")
        _text(f"{labels}/{stem}.txt", "30 10 50 30 30 50 10 30 plane 0\n")
    plain = run("sota")
    # 1300 columns: windows at 0 and 276; the plane at 10..50 is only in the first.
    assert _tiles("sota") == ["P0003__0_0", "P2806__0_0"]
    assert plain["counts"]["instances"] == 2 and plain["tiles_without_objects"] == ["P2806__276_0"]
    assert run("sota_rbb")["counts"]["instances"] == 2 and _tiles("sota_rbb") == _tiles("sota")
    assert "rbox" in Path("data/samrs/sota_rbb/instances.json").read_text(encoding="utf-8")
    published = run("sota", preset="samrs_compat", out_dir="data/samrs/published")
    assert published["config"]["tiling"]["pad"]
    assert Image.open("data/samrs/published/gray/P0003__0_0.png").size == (1024, 1024)


def test_sior_and_its_test_images(run: Callable[..., dict[str, Any]]) -> None:
    _image("data/dior/JPEGImages-trainval/00001.jpg", 800, 800)
    _image("data/dior/JPEGImages-test/11726.jpg", 800, 800)
    folder = "data/dior/Annotations/Horizontal Bounding Boxes"
    _text(f"{folder}/00001.xml", DIOR.format(1, 1, 50, 60, name="ship"))
    _text(f"{folder}/11726.xml", DIOR.format(1, 1, 50, 60, name="Expressway-Service-area"))
    assert run("sior")["instances_per_class"]["ship"] == 1 and _tiles("sior") == ["00001"]
    test = run("sior_test")
    assert test["instances_per_class"]["expressway-service-area"] == 1 and _tiles("sior_test") == ["11726"]
    assert test["splits"]["val.txt"]["tiles"] == 1


def test_fast_keeps_train_and_validation_apart(run: Callable[..., dict[str, Any]]) -> None:
    points = "".join(f"<point>{point}</point>" for point in ("30,10", "50,30", "30,50", "10,30", "30,10"))
    for part, name in (("train/part1", "A220"), ("validation", "Liquid Cargo Ship")):
        _image(f"data/fair1m/{part}/images/0.tif", 100, 700)
        _text(f"data/fair1m/{part}/labelXml/0.xml", FAIR1M.format(name=name, points=points))
    _image("data/fair1m/test/images/0.tif")
    manifest = run("fast")
    assert _tiles("fast") == ["train_0__0_0", "valid_0__0_0"]
    assert {name for name, number in manifest["instances_per_class"].items() if number} == {"A220", "Liquid-Cargo-Ship"}
    assert manifest["images_without_annotation"] == []


def test_hrsc(run: Callable[..., dict[str, Any]]) -> None:
    _image("data/hrsc2016/Test/AllImages/100000001.bmp")
    _text("data/hrsc2016/Test/Annotations/100000001.xml", HRSC)
    truth = np.zeros((64, 64, 3), np.uint8)
    truth[4:12, 4:20] = (255, 0, 0)
    _image("data/hrsc2016/FullDataSet/LandMask/100000001.png")
    Image.fromarray(truth).save("data/hrsc2016/FullDataSet/LandMask/100000001.png")
    assert run("hrsc")["counts"]["instances"] == 1
    assert '"mIOU_I": 1.0' in Path("data/samrs/hrsc/evaluation.json").read_text(encoding="utf-8")
