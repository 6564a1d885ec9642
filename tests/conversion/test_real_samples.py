"""Real samples of four sets: masks by a small SAM of random weights are its own predictor's, those of GrabCut fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from rsseg.conversion import SAMPredictor, convert_labels

sam_package = pytest.importorskip("segment_anything")
Make = Callable[..., dict[str, Any]]
SAM = {
    "model": {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 128},
    "random_seed": 0,
}
# Set -> (source, tiling, prompt, images).
SETS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str, list[str]]] = {
    "dota": ({"format": "dota", "classes": "sota"}, {"size": 400, "overlap": 0, "iof_thr": 0.9}, "rhbox", ["P0706"]),
    "isaid": ({"format": "dota", "classes": "sota"}, {"size": 600, "overlap": 150, "iof_thr": 0.5}, "hbox", ["P0003"]),
    "dior": ({"format": "dior", "classes": "sior"}, None, "hbox", ["00001"]),
    "nwpu_vhr10": (
        {"format": "coco", "classes": "nwpu_vhr10"},
        None,
        "hbox",
        ["017", "082", "142", "201", "262", "327", "394", "457", "528", "602"],
    ),
}
PLACES = {
    "dota": ("images", "labelTxt"),
    "isaid": ("images", "labelTxt_from_masks"),
    "dior": ("JPEGImages-trainval", "Annotations/Horizontal Bounding Boxes"),
    "nwpu_vhr10": ("images", "instances.json"),
}


def _config(make_config: Make, samples: Path, name: str, **changes: Any) -> dict[str, Any]:
    source, tiling, prompt, stems = SETS[name]
    images, annotations = (str(samples / name / place) for place in PLACES[name])
    places = {"images": images, "annotations": annotations, "stems": stems}
    return make_config(name, source=source | places, tiling=tiling, prompt=prompt) | changes


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_masks_of_a_random_sam_are_its_own_predictor_s(
    make_config: Make, samples: Path, tmp_path: Path, name: str
) -> None:
    config = _config(make_config, samples, name, predictor="sam", predictors={"sam": {"type": "SAMPredictor", **SAM}})
    manifest = convert_labels(config, on_error="raise").manifest
    assert manifest is not None and manifest["counts"]["instances"] and not manifest["failed_images"]
    content = json.loads((tmp_path / name / "instances.json").read_text(encoding="utf-8"))
    predictor = sam_package.SamPredictor(SAMPredictor(**SAM).sam)
    folder = tmp_path / name / "images" if config["tiling"] else Path(config["source"]["images"])
    for image in content["images"]:
        pixels = np.asarray(Image.open(folder / image["file_name"]).convert("RGB"))
        predictor.set_image(pixels)
        rows = [row for row in content["annotations"] if row["image_id"] == image["id"]]
        for row in rows[:: 1 + len(rows) // 8]:  # from all over the image
            box = predictor.transform.apply_boxes_torch(torch.tensor([row["prompt_box"]]), pixels.shape[:2])
            expected = predictor.predict_torch(None, None, box, multimask_output=False)[0][0, 0].numpy()
            np.testing.assert_array_equal(coco_mask.decode(row["segmentation"]), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("isaid", 0.8), ("nwpu_vhr10", 0.6)])
def test_grabcut_fits_better_than_the_box(make_config: Make, samples: Path, name: str, least: float) -> None:
    truth = {
        "isaid": {"kind": "isaid", "masks": str(samples / "isaid/images")},
        "nwpu_vhr10": {"kind": "coco", "polygons": "labelme"},
    }[name]
    found = {}
    for predictor in ("box", "grabcut"):
        config = _config(make_config, samples, name, predictor=predictor, truth=truth)
        config["out_dir"] += f"_{predictor}"
        result = convert_labels(config, with_evaluation=True).evaluation
        assert result is not None
        found[predictor] = result["overall"]["mIOU_I"]
    assert found["grabcut"] > max(least, found["box"])
