"""mIOU_I and mIOU_P worked out by hand, for every kind of ground truth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.conversion.evaluation import Score, evaluation_table
from rsseg.datasets.detection import AnnotationError, SourceItem, read_coco
from rsseg.datasets.ground_truth import load_ground_truth
from rsseg.metainfo import load_metainfo

Make = Callable[..., dict[str, Any]]


def _coco(root: Path, segmentations: list[Any], boxes: list[list[float]], size: int = 40) -> dict[str, Any]:
    (root / "pictures").mkdir(parents=True)
    Image.fromarray(np.zeros((size, size, 3), np.uint8)).save(root / "pictures" / "a.png")
    rows = [
        {"id": 10 + i, "image_id": 1, "category_id": 1 + i % 2, "bbox": box, "segmentation": shape, "iscrowd": 0}
        for i, (box, shape) in enumerate(zip(boxes, segmentations, strict=True))
    ]
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": size, "width": size}],
        "categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}],
        "annotations": rows,
    }
    (root / "a.json").write_text(json.dumps(data), encoding="utf-8")
    return {"format": "coco", "images": str(root / "pictures"), "annotations": str(root / "a.json"), "classes": "sota"}


def _rectangle(x1: int, y1: int, x2: int, y2: int) -> list[list[int]]:
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


# A ship whose 20 x 10 box is half filled (I 100, U 200) and a plane that fills its 10 x 10 box (I = U = 100).
BOXES = [[10.0, 10, 20, 10], [0.0, 30, 10, 10], [30.0, 30, 5, 5]]
SHAPES = [_rectangle(10, 10, 20, 20), _rectangle(0, 30, 10, 40), []]


def test_score_by_hand() -> None:
    score = Score()
    score.add(100, 200, 100)
    score.add(100, 100, 100)
    score.add(0, 25, 0)
    assert score.as_dict() == {"instances": 2, "without_gt": 1, "mIOU_I": 0.75, "mIOU_P": round(200 / 300, 6)}
    assert Score().as_dict()["mIOU_I"] is None


def test_published_union_by_hand() -> None:
    score = Score(samrs_compat_union=True)
    score.add(100, 200, 100)
    score.add(0, 25, 0)  # counts as IoU 0, its mask as union
    score.add(0, 0, 0)  # nothing at all: left out here too
    assert score.as_dict() == {"instances": 2, "without_gt": 2, "mIOU_I": 0.25, "mIOU_P": round(100 / 225, 6)}


def test_published_union_by_config(make_config: Make, tmp_path: Path) -> None:
    # The box without truth has 25 pixels: I 200 and U 325 over three instances.
    source = _coco(tmp_path / "set", SHAPES, BOXES)
    config = make_config(source=source, tiling=None, truth={"kind": "coco", "samrs_compat_union": True})
    result = convert_labels(config, with_evaluation=True).evaluation
    assert result is not None
    assert result["overall"] == {"instances": 3, "without_gt": 1, "mIOU_I": 0.5, "mIOU_P": round(200 / 325, 6)}


def test_box_floor_by_hand(make_config: Make, tmp_path: Path) -> None:
    source = _coco(tmp_path / "set", SHAPES, BOXES)
    config = make_config(source=source, tiling=None, truth={"kind": "coco"})
    result = convert_labels(config, with_evaluation=True).evaluation
    assert result is not None
    assert result["overall"] == {"instances": 2, "without_gt": 1, "mIOU_I": 0.75, "mIOU_P": 0.666667}
    assert result["classes"]["ship"] == {"instances": 1, "without_gt": 1, "mIOU_I": 0.5, "mIOU_P": 0.5}
    assert result["classes"]["plane"]["mIOU_I"] == 1
    assert json.loads((tmp_path / "out/evaluation.json").read_text()) == result
    assert evaluation_table(result).splitlines()[-1].split() == ["all", "2", "1", "0.750", "0.667"]


def test_truth_is_cut_like_the_tile(make_config: Make, tmp_path: Path) -> None:
    # Tiles of 24 at x = 0, 16: the box 10-30 shows 14 of its columns in each.  Truth is columns 10-20: all 10 of
    # them in the first tile (I 100, U 140), 4 in the second (I 40, U 140).
    source = _coco(tmp_path / "set", SHAPES[:1], BOXES[:1])
    config = make_config(source=source, truth={"kind": "coco"}, tiling={"size": 24, "overlap": 8, "iof_thr": 0.6})
    overall = convert_labels(config, with_evaluation=True).evaluation
    assert overall is not None
    # Rows 0-24 and 16-40 show 10 and 4 of the ten rows: only the first row of tiles keeps the box.
    assert overall["overall"]["instances"] == 2
    assert overall["overall"]["mIOU_I"] == pytest.approx((100 / 140 + 40 / 140) / 2, abs=1e-6)
    assert overall["overall"]["mIOU_P"] == 0.5


def test_covered_objects_count_whole(make_config: Make, tmp_path: Path) -> None:
    shapes, boxes = [_rectangle(0, 0, 20, 20), _rectangle(5, 5, 15, 15)], [[0.0, 0, 20, 20], [5.0, 5, 10, 10]]
    config = make_config(source=_coco(tmp_path / "set", shapes, boxes), tiling=None, truth={"kind": "coco"})
    result = convert_labels(config, with_evaluation=True).evaluation
    assert result is not None and result["overall"]["mIOU_I"] == 1


def test_truth_as_predictor(make_config: Make, tmp_path: Path) -> None:
    source = _coco(tmp_path / "set", SHAPES, BOXES)
    config = make_config(source=source, tiling=None, truth={"kind": "coco"}, predictor="truth")
    report = convert_labels(config, with_evaluation=True)
    assert report.manifest is not None and report.evaluation is not None
    assert report.manifest["counts"]["empty_masks"] == 0
    assert [row["reason"] for row in report.manifest["problems"]] == ["the object has no ground-truth mask"]
    assert report.evaluation["overall"]["mIOU_I"] == 1
    assert (np.asarray(Image.open(tmp_path / "out/gray/a.png")) != 255).sum() == 200
    with pytest.raises(ValueError, match="truth=dict"):
        convert_labels(make_config("none", source=source, predictor="truth"))


def test_what_crosses_itself_is_mended_and_counted(make_config: Make, world: Path, tmp_path: Path) -> None:
    """Corners listed row by row are a box like any other; a polygon that is traced twice is not empty."""
    plain = convert_labels(make_config("plain", prompt="rhbox")).manifest
    path = world / "labelTxt" / "P0001.txt"
    lines = path.read_text().splitlines()
    x1, y1, x2, _, _, y2, *rest = lines[2].split()
    lines[2] = " ".join([x1, y1, x2, y1, x1, y2, x2, y2, *rest[2:]])
    path.write_text("\n".join(lines) + "\n")
    mended = convert_labels(make_config("mended", prompt="rhbox")).manifest
    assert plain is not None and mended is not None
    assert (plain["counts"]["mended_boxes"], plain["mended"]) == (0, [])
    assert mended["mended"] == [{"source": "P0001.png", "object_id": "1", "what": "box"}]
    assert mended["counts"] == {**plain["counts"], "mended_boxes": 1} and not mended["problems"]
    for name in ("P0001__0_0.png", "P0001__0_12.png"):
        one, other = (np.asarray(Image.open(tmp_path / kind / "gray" / name)) for kind in ("plain", "mended"))
        assert (one == other).all()
    for polygons in ("coco", "labelme"):
        shapes = [[_rectangle(2, 2, 12, 12)[0] * 2], _rectangle(20, 2, 30, 12)]
        source = _coco(tmp_path / polygons, shapes, [[2.0, 2, 10, 10], [20.0, 2, 10, 10]])
        truth = {"kind": "coco", "polygons": polygons}
        config = make_config(f"by_{polygons}", source=source, tiling=None, truth=truth, predictor="truth")
        counts = convert_labels(config).manifest["counts"]  # type: ignore[index]
        assert (counts["mended_polygons"], counts["empty_masks"]) == (1, 0)
        labels = np.asarray(Image.open(tmp_path / f"by_{polygons}" / "gray" / "a.png"))
        assert (labels[:, :15] != 255).sum() == (labels[:, 15:] != 255).sum() > 90


def test_vertices_as_pixels(make_config: Make, tmp_path: Path) -> None:
    # Vertices 10..19 x 10..19 as pixels own 10 x 10 of them.
    source = _coco(tmp_path / "set", [_rectangle(10, 10, 19, 19)], [[10.0, 10, 10, 10]])
    drawn = {}
    for polygons in ("labelme", "coco"):
        config = make_config(polygons, source=source, tiling=None, truth={"kind": "coco", "polygons": polygons})
        evaluation = convert_labels(config, with_evaluation=True).evaluation
        assert evaluation is not None
        drawn[polygons] = evaluation["overall"]["mIOU_I"]
    assert drawn["labelme"] == 1 and drawn["coco"] == pytest.approx(0.81)


def test_instance_png(make_config: Make, world: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    ids = np.zeros((60, 100), np.uint16)
    ids[5:15, 5:15] = 1  # half of the ship's box
    ids[20:40, 50:70] = 2
    cv2.imwrite(str(tmp_path / "masks/P0001.png"), ids)
    config = make_config(tiling=None, truth={"kind": "instance_png", "masks": str(tmp_path / "masks")})
    result = convert_labels(config, with_evaluation=True).evaluation
    assert result is not None
    assert result["overall"] == {
        "instances": 2, "without_gt": 1, "mIOU_I": 0.75, "mIOU_P": round(500 / 600, 6),
    }  # fmt: skip
    assert result["images_without_truth"] == ["P0002.png", "P0004.png"]


def test_hrsc_colours(make_config: Make, tmp_path: Path) -> None:
    for name in ("AllImages", "Annotations", "LandMask"):
        (tmp_path / "hrsc" / name).mkdir(parents=True)
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / "hrsc/AllImages/1.bmp")
    mask = np.zeros((50, 60, 3), np.uint8)
    mask[10:20, 10:20] = (48, 62, 237)
    Image.fromarray(mask).save(tmp_path / "hrsc/LandMask/1.png")
    box = "<box_xmin>10</box_xmin><box_ymin>10</box_ymin><box_xmax>30</box_xmax><box_ymax>20</box_ymax>"
    mbox = "<mbox_cx>20</mbox_cx><mbox_cy>15</mbox_cy><mbox_w>20</mbox_w><mbox_h>10</mbox_h><mbox_ang>0</mbox_ang>"
    head = "<Img_SizeWidth>60</Img_SizeWidth><Img_SizeHeight>50</Img_SizeHeight>"
    ship = f"<Object_ID>1</Object_ID>{box}{mbox}<seg_color>48,62,237</seg_color>"
    text = f"<HRSC_Image>{head}<HRSC_Objects><HRSC_Object>{ship}</HRSC_Object></HRSC_Objects></HRSC_Image>"
    (tmp_path / "hrsc/Annotations/1.xml").write_text(text, encoding="utf-8")
    source = {"format": "hrsc", "images": str(tmp_path / "hrsc/AllImages"), "classes": "hrsc"}
    source["annotations"] = str(tmp_path / "hrsc/Annotations")
    truth = {"kind": "hrsc", "masks": str(tmp_path / "hrsc/LandMask")}
    result = convert_labels(make_config(source=source, tiling=None, truth=truth), with_evaluation=True).evaluation
    assert result is not None and result["overall"]["mIOU_I"] == 0.5


def test_isaid_matches_class_and_box(make_config: Make, world: Path) -> None:
    palette = dict(zip(load_metainfo("isaid").classes, load_metainfo("isaid").palette, strict=True))
    colours, ids = np.zeros((2, 60, 100, 3), np.uint8)
    for name, value, x1, x2 in [("ship", 1, 5, 25), ("ship", 2, 6, 16), ("plane", 300, 50, 70)]:
        y1, y2 = (20, 40) if name == "plane" else (5, 15) if value == 1 else (45, 55)
        colours[y1:y2, x1:x2] = palette[name]
        ids[y1:y2, x1:x2] = (value % 256, value // 256, 0)
    Image.fromarray(colours).save(world / "P0001_instance_color_RGB.png")
    Image.fromarray(ids).save(world / "P0001_instance_id_RGB.png")
    config = make_config(tiling=None, truth={"kind": "isaid", "masks": str(world)})
    config["source"]["stems"] = ["P0001"]
    result = convert_labels(config, with_evaluation=True).evaluation
    assert result is not None
    assert result["overall"] == {"instances": 2, "without_gt": 1, "mIOU_I": 1.0, "mIOU_P": 1.0}


def test_evaluation_needs_truth(make_config: Make) -> None:
    with pytest.raises(ValueError, match="--evaluate needs"):
        convert_labels(make_config(), with_evaluation=True)
    with pytest.raises(ValueError, match="unknown truth kind 'x'"):
        convert_labels(make_config(truth={"kind": "x"}), with_evaluation=True)


@pytest.mark.slow
def test_real_box_floor(make_config: Make, samples: Path) -> None:
    source = {"format": "coco", "images": str(samples / "nwpu_vhr10/images"), "classes": "nwpu_vhr10"}
    source["annotations"] = str(samples / "nwpu_vhr10/instances.json")
    truth = {"kind": "coco", "polygons": "labelme"}
    result = convert_labels(make_config(source=source, tiling=None, truth=truth), with_evaluation=True).evaluation
    assert result is not None and result["overall"]["instances"] == 3178
    assert result["overall"]["mIOU_I"] == pytest.approx(0.588, abs=0.01)


def test_real_isaid_boxes_find_their_masks(make_config: Make, samples: Path) -> None:
    folder = samples / "isaid"
    source = {"format": "dota", "images": str(folder / "images"), "classes": "sota", "stems": ["P0003", "P0004"]}
    source["annotations"] = str(folder / "labelTxt_from_masks")
    truth = {"kind": "isaid", "masks": str(folder / "images")}
    result = convert_labels(make_config(source=source, tiling=None, truth=truth), with_evaluation=True).evaluation
    assert result is not None
    assert result["overall"]["instances"] == 175 and result["overall"]["without_gt"] == 0


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ([[10, 10, 30, 10, 30, 20, 10, 20, 10, 10]], 200),  # closed
        ([[10, 10, 30, 10, 30, 20, 10, 20], [5, 5, 7, 7], []], 200),  # parts that enclose nothing
        ([[5, 5, 7, 7]], 0),
        ([[5, 5, 7]], None),
        ([[5, 5, "7", 7, 9, 9]], None),
        ([[5, 5, 1e9, 5, 9, 9]], None),
        ([5, 5, 7, 5, 7, 7], None),
        ({"size": [40, 40], "counts": [0, 1600]}, 1600),
        ({"size": [40, 40], "counts": [0, 1601]}, None),
        ({"size": [20, 80], "counts": [0, 1600]}, None),
        ({"size": [40, 40]}, None),
        ("none", None),
    ],
)
def test_segmentations_as_they_come(tmp_path: Path, shape: Any, area: int | None) -> None:
    record = read_coco(_coco(tmp_path / "set", [shape], [[10.0, 10, 20, 10]])["annotations"], load_metainfo("sota"))
    item = SourceItem("a", tmp_path / "set" / "pictures" / "a.png", tmp_path / "set" / "a.json")
    if area is None:
        with pytest.raises(AnnotationError, match=r'a\.json: annotation 10: "segmentation"'):
            load_ground_truth(item, record["a.png"], load_metainfo("sota"), {"kind": "coco"})
    else:
        (mask,) = load_ground_truth(item, record["a.png"], load_metainfo("sota"), {"kind": "coco"})
        assert mask is not None and mask.area == area


def test_images_without_ground_truth_are_said(make_config: Make, tmp_path: Path, caplog: Any) -> None:
    source = _coco(tmp_path / "set", [[[5, 5, 7]]], BOXES[:1])
    result = convert_labels(make_config(source=source, tiling=None, truth={"kind": "coco"}), with_evaluation=True)
    assert result.evaluation is not None and result.evaluation["images_without_truth"] == ["a.png"]
    assert "no ground truth: " in caplog.text and "annotation 10" in caplog.text
