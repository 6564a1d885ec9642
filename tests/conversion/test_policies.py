"""What may be done to masks, worked out by hand; the release's semantics as a preset."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmseg.registry import MODELS
from PIL import Image

from rsseg.conversion import BoxPredictor, Prediction, Prompts, Settings, convert_labels
from rsseg.conversion.policies import below_threshold, clip_mask, enlarge_qbox, largest_component, paint_order
from rsseg.conversion.presets import apply_preset
from rsseg.conversion.transforms import MakePrompts, PackInstances, PaintLabels, RefineMasks
from rsseg.datasets.detection import Detections
from rsseg.metainfo import load_metainfo
from rsseg.structures.boxes import hbox_to_qbox
from rsseg.structures.masks import MaskCrop, crop_mask, empty_mask

Make = Callable[..., dict[str, Any]]
SOTA = load_metainfo("sota")
SHIP, PLANE, HARBOR = (SOTA.index(name) for name in ("ship", "plane", "harbor"))
NAN = float("nan")


def _mask(*rows: str) -> MaskCrop:
    """A mask from a picture whose top-left pixel is column 3, row 2."""
    return crop_mask(np.array([[sign == "#" for sign in row] for row in rows]), 3, 2)


def test_scores_below_a_threshold() -> None:
    assert below_threshold([0.5, 0.8, NAN], 0.8).tolist() == [True, False, False]
    assert below_threshold([0.5, NAN], None).tolist() == [False, False]


def test_largest_component() -> None:
    found = largest_component(_mask("##...", ".#..#", "...##"))
    assert (found.x, found.y, found.area) == (3, 2, 3)  # two of 3 pixels each: the first from the top
    corner = largest_component(_mask("#....", ".#...", "..#.#"))  # pixels that touch by a corner are one part
    assert corner.area == 3 and corner.bbox == (3, 2, 6, 5)
    assert largest_component(empty_mask()).area == 0


def test_clip_to_a_box() -> None:
    square = MaskCrop(3, 2, np.ones((10, 10), bool))
    inside = clip_mask(square, hbox_to_qbox([5, 4, 8, 6]))
    assert (inside.x, inside.y, inside.pixels.shape, inside.area) == (5, 4, (2, 3), 6)
    diamond = clip_mask(square, [(8, 3), (12, 7), (8, 11), (4, 7)])
    assert diamond.area == 32 and diamond.bbox == (4, 3, 11, 11)  # half of 8 x 8; left edges count, right ones do not
    assert clip_mask(square, hbox_to_qbox([20, 20, 30, 30])).area == 0
    assert clip_mask(empty_mask(), hbox_to_qbox([0, 0, 9, 9])).area == 0


def test_enlarged_box() -> None:
    assert enlarge_qbox(hbox_to_qbox([10, 10, 20, 30]), 0.2).tolist() == [[9, 8], [21, 8], [21, 32], [9, 32]]


@pytest.mark.parametrize(
    ("order", "rows"), [("file", [0, 1, 2, 3]), ("large_first", [1, 0, 3, 2]), ("score", [1, 3, 0, 2])]
)
def test_paint_order(order: str, rows: list[int]) -> None:
    # Equal areas 5 of 0 and 3 stay in file order; 1 has no score and goes below all.
    assert paint_order(order, [5, 9, 1, 5], [0.7, NAN, 0.9, 0.6]).tolist() == rows


def test_unknown_choices_are_named() -> None:
    with pytest.raises(ValueError, match="file, large_first, score, not 'small_first'"):
        PaintLabels(order="small_first")
    with pytest.raises(ValueError, match="order must be one of"):
        paint_order("small_first", [], [])
    with pytest.raises(ValueError, match="clip must be"):
        RefineMasks(clip="circle")
    with pytest.raises(ValueError, match="margin"):
        RefineMasks(clip="box", margin=-0.1)


def _results(**changes: Any) -> dict[str, Any]:
    """Two objects in a tile of 40 x 60 at column 100, row 50 of its source image."""
    hbox = np.array([[110.0, 60, 130, 70], [90, 60, 110, 80]])
    detections = Detections(
        Path("P0001.txt"), "P0001", (200, 200), hbox, hbox_to_qbox(hbox), np.array([SHIP, PLANE]),
        ["ship", "plane"], np.zeros(2, bool), np.zeros(2, bool), ["7", "9"], [1, 2],
    )  # fmt: skip
    results = {
        "window": np.array([100, 50, 160, 90]),
        "image": np.zeros((40, 60, 3), np.uint8),
        "detections": detections,
        "masks": [MaskCrop(10, 10, np.ones((10, 10), bool)), MaskCrop(0, 12, np.ones((5, 20), bool))],
        "predicted_iou": np.array([0.9, 0.6]),
        "stability": np.array([0.5, NAN]),
    }
    return MakePrompts(changes.pop("kind", "hbox"))(results) | changes


def test_quality_of_instances() -> None:
    ship, plane = PackInstances()(_results())["instances"]
    assert ship["mask_to_box"] == 0.5 and not ship["touches_border"]  # 100 of 20 x 10 pixels
    assert plane["mask_to_box"] == 0.5 and plane["touches_border"]  # 100 of 10 x 20, half of the box is outside
    assert plane["prompt_box"] == [-10, 10, 10, 30]
    point = PackInstances()(_results(kind="cp"))["instances"][1]
    assert point["mask_to_box"] == 0.5 and point["prompt_box"] is None  # without a box prompt: the label's box


@pytest.mark.parametrize("bbox", [(0, 5, 9, 9), (5, 0, 9, 9), (5, 5, 60, 9), (5, 5, 9, 40)])
def test_touching_each_side(bbox: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = bbox
    masks = [MaskCrop(x1, y1, np.ones((y2 - y1, x2 - x1), bool)), empty_mask()]
    rows = PackInstances()(_results(masks=masks))["instances"]
    assert rows[0]["touches_border"] and not rows[1]["touches_border"]
    assert rows[1]["empty"] and rows[1]["mask_to_box"] == 0


def test_rotated_box_counts_for_mask_to_box() -> None:
    results = _results()
    results["detections"].qbox[0] = [(120, 55), (130, 65), (120, 75), (110, 65)]  # 200 square pixels, all inside
    results["detections"].qbox[1] += 1000  # nothing of it in the tile
    results["detections"].qbox[1, 0] -= 1
    rows = PackInstances()(results)["instances"]
    assert [row["mask_to_box"] for row in rows] == [0.5, None]


def test_dropped_objects_are_listed() -> None:
    results = RefineMasks(min_predicted_iou=0.7)(_results())
    assert results["dropped"] == [{"source_object_id": "9", "reason": "predicted_iou below 0.7", "value": 0.6}]
    assert len(results["masks"]) == len(results["detections"]) == results["prompts"].count == 1
    assert results["prompts"].boxes.tolist() == [[10, 10, 30, 20]]
    assert [row["source_object_id"] for row in PackInstances()(results)["instances"]] == ["7"]
    unknown = RefineMasks(min_stability=0.4)(_results())  # the plane has no stability score
    assert len(unknown["masks"]) == 2 and unknown["dropped"] == []
    nothing = RefineMasks(min_stability=0.6, min_predicted_iou=0.7)(_results(kind="cp+hbox+rbox_m"))
    assert [row["reason"] for row in nothing["dropped"]] == ["predicted_iou below 0.7", "stability below 0.6"]
    assert (PaintLabels()(nothing)["label_map"] == 255).all() and PackInstances()(nothing)["instances"] == []


def test_clipping_in_the_tile_s_frame() -> None:
    results = RefineMasks(clip="box")(_results())
    # The plane's box covers columns 0-9, rows 10-29 of the tile; its mask columns 0-19, rows 12-16.
    assert [mask.area for mask in results["masks"]] == [100, 50]
    # Enlarged by half to both sides it reaches column 14.
    assert RefineMasks(clip="rbox", margin=0.5)(_results())["masks"][1].area == 75
    assert RefineMasks(clip="box")(_results(kind="cp"))["masks"][1].area == 50
    both = _results(masks=[_mask("#.###.", "#.###."), _mask("##..#", ".#..#")])
    assert [mask.area for mask in RefineMasks(largest_component=True)(both)["masks"]] == [6, 3]


def test_off_by_default() -> None:
    before, after = _results(), RefineMasks()(_results())
    assert all(
        a is not b and (a.pixels == b.pixels).all() for a, b in zip(before["masks"], after["masks"], strict=True)
    )
    assert after["dropped"] == []


class _Scored(BoxPredictor):
    """The filled box, with a predicted IoU of (place in the tile + 1) / 4."""

    def predict(self, image: Any, prompts: Prompts) -> Prediction:
        found = super().predict(image, prompts)
        return found._replace(predicted_iou=(np.arange(prompts.count) + 1) / 4)


def test_policies_in_a_conversion(make_config: Make, tmp_path: Path) -> None:
    MODELS.register_module(name="ScoredForTest", module=_Scored, force=True)
    mine = {"tiling": None, "predictor": "scored", "predictors": {"scored": {"type": "ScoredForTest"}}}
    pipeline = make_config()["pipeline"]
    pipeline[3]["min_predicted_iou"] = 0.5
    report = convert_labels(make_config(**mine, pipeline=pipeline))
    manifest = report.manifest
    assert manifest is not None
    row = {"source_object_id": "1", "reason": "predicted_iou below 0.5", "value": 0.25}
    assert manifest["dropped"] == [{"tile": name, **row} for name in ("P0001", "P0002", "P0004")]
    counts = manifest["counts"]
    assert (counts["instances"], counts["dropped_instances"], counts["dropped_objects"]) == (3, 3, 3)
    assert counts["source_objects"] == 6 == counts["kept_objects"] + counts["dropped_objects"]
    assert (np.asarray(Image.open(tmp_path / "out/gray/P0004.png")) == 255).all()
    # P0001: file order hides 100 pixels of the plane behind the third object, a ship; so does the score.
    by_score = [
        {**transform, "order": "score"} if transform["type"] == "PaintLabels" else transform
        for transform in make_config()["pipeline"]
    ]
    convert_labels(make_config("scored", **mine, pipeline=by_score))
    pixels = np.asarray(Image.open(tmp_path / "scored/gray/P0001.png"))
    assert (pixels == PLANE).sum() == 300 and (pixels == SHIP).sum() == 500


def test_published_preset_gives_the_release_s_labels(
    make_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tiling={"size": 80, "overlap": 16, "iof_thr": 0.6}, keep_empty=True, preset="samrs_compat")
    config["split"] = {"val_fraction": 0.4, "seed": 0, "by": "source"}
    config["pipeline"][1]["clip"] = True
    config["pipeline"][3] |= {"clip": "box"}
    config["pipeline"][4]["order"] = "large_first"
    config["pipeline"].append({"type": "MyStep"})
    with caplog.at_level(logging.WARNING, "rsseg"):
        manifest = convert_labels(config).manifest
    told = "\n".join(record.getMessage() for record in caplog.records)
    for setting in (
        "keep_empty=True",
        "split.by='source'",
        "MakePrompts.clip=True",
        "RefineMasks.clip='box'",
        "the transform MyStep",
    ):
        assert f"overrides {setting} of the config" in told
    assert "PaintLabels.order='large_first'" in told and "CutTile" not in told and "tiling" not in told
    assert manifest is not None and manifest["config"]["preset"] == "samrs_compat"
    # P0002 (50 x 50) becomes one tile of 80 x 80 in BboxToolkit's colour, labels of the file's last box on top.
    tile = np.asarray(Image.open(tmp_path / "out/images/P0002__0_0.png"))
    assert (
        tile.shape == (80, 80, 3) and (tile[50:] == (124, 116, 104)).all() and (tile[:, 50:] == (124, 116, 104)).all()
    )
    label = np.asarray(Image.open(tmp_path / "out/gray/P0002__0_0.png"))
    assert label.shape == (80, 80) and (label == HARBOR).sum() == 800 and (label == SHIP).sum() == 100
    # P0001 (60 x 100) has tiles at columns 0 and 20; the ship at 5..25 shows 5 of 20 columns in the second.
    assert not (tmp_path / "out/gray/P0003__0_0.png").exists()
    assert manifest["images_without_objects"] == ["P0003.png"]
    assert manifest["splits"]["val.txt"]["tiles"] == 2  # 0.4 of the tiles P0001__0_0, P0001__20_0, P0002, P0004
    rows = json.loads((tmp_path / "out/instances.json").read_text(encoding="utf-8"))["annotations"]
    assert [row["prompt_box"] for row in rows if row["tile_offset"] == [20, 0]] == [[30, 20, 50, 40], [10, 30, 40, 40]]


def test_boxes_are_not_clipped_in_the_preset(make_config: Make) -> None:
    config = make_config(preset="samrs_compat", tiling={"size": 48, "overlap": 16, "iof_thr": 0.6})
    config["pipeline"][1]["clip"] = True
    convert_labels(config)
    rows = json.loads((Path(config["out_dir"]) / "instances.json").read_text(encoding="utf-8"))["annotations"]
    assert any(row["prompt_box"] == [-2, 8, 18, 28] for row in rows)  # the plane at column 52, row 12


def test_preset_leaves_the_rest(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    config = make_config(tiling=None, prompt="rhbox")
    with caplog.at_level(logging.WARNING, "rsseg"):
        settings = Settings.from_config({**config, "preset": "samrs_compat"})
    assert settings.tiling is None and settings.prompt == "rhbox" and settings.predictor == "box"
    assert not caplog.records
    assert settings.split.by == "tile" and "by" not in config["split"]
    with pytest.raises(ValueError, match="unknown preset 'improved'; expected one of: samrs_compat"):
        apply_preset(config, "improved")
