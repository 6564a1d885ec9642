"""Objects and images that get no label: left out on purpose, without a mask, without a score; each is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.conversion.ablation import ablate_prompts
from rsseg.conversion.storage import Store
from rsseg.errors import AnnotationError, ConfigError, JobError

Make = Callable[..., dict[str, Any]]


def _source(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return config | {"source": config["source"] | changes}


def _coco(world: Path, masks: bool) -> dict[str, Any]:
    """P0002 and P0004 of the world with three boxes; with ``masks`` the first has a polygon."""
    rows = [(1, 2, [10, 10, 30, 30]), (2, 2, [20, 20, 10, 10]), (3, 4, [8, 8, 16, 16])]
    annotations = [dict(id=i, image_id=image, category_id=1, bbox=box) for i, image, box in rows]
    if masks:
        annotations[0]["segmentation"] = [[10, 10, 30, 10, 30, 30, 10, 30]]
    images = [dict(id=i, file_name=f"P000{i}.png") for i in (2, 4)]
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name="ship")])
    (world / "boxes.json").write_text(json.dumps(content))
    return dict(format="coco", annotations=str(world / "boxes.json"))


def test_classes_are_left_out_on_purpose(make_config: Make, world: Path) -> None:
    text = (world / "labelTxt/P0004.txt").read_text()
    (world / "labelTxt/P0004.txt").write_text(text + "1 1 9 1 9 9 1 9 airship 0\n")
    report = convert_labels(_source(make_config(), omit=["Air Ship", "harbor"]))
    counts, manifest = report.manifest["counts"], report.manifest
    assert (counts["omitted_objects"], manifest["omitted"]) == (1, {"harbor": 1})
    assert counts["problems"] == 1 and manifest["problems"][0]["value"] == "airship"
    assert counts["source_objects"] == 5 and "harbor" not in {
        name for name, count in manifest["instances_per_class"].items() if count
    }
    report = convert_labels(_source(make_config("again"), omit=["airship"]))
    assert report.manifest["omitted"] == {"airship": 1} and report.manifest["counts"]["problems"] == 0
    with pytest.raises(ConfigError, match=r"source\.omit must be a list of class names, got \[3\]"):
        convert_labels(_source(make_config("wrong"), omit=[3]))


def test_unknown_classes_are_summed_up_with_what_to_do(
    make_config: Make, world: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (world / "labelTxt/P0003.txt").write_text("1 1 9 1 9 9 1 9 airship 0\n" * 30)
    convert_labels(make_config())
    assert (
        "no class 'airship' (30 objects). To leave such objects out on purpose: source.omit=[\"airship\"]"
        in caplog.text
    )


def test_images_that_yield_nothing_are_counted(make_config: Make, world: Path) -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(world / "images/bare.png")
    (world / "images/P0004.png").write_bytes(b"cut")
    report = convert_labels(make_config())
    counts = report.manifest["counts"]
    names = (
        "source_images",
        "failed_images",
        "images_without_objects",
        "images_without_tiles",
        "images_without_labels",
    )
    assert [counts[name] for name in names] == [4, 1, 1, 2, 1]
    assert "images without labels" in report.summary and "images without tiles" in report.summary


def test_ground_truth_that_is_missing_makes_no_empty_masks(make_config: Make, world: Path) -> None:
    plain = make_config(predictor="truth", truth={"kind": "coco"}, tiling=None)
    report = convert_labels(_source(plain, **_coco(world, masks=True)))
    counts = report.manifest["counts"]
    assert (counts["instances"], counts["empty_masks"], counts["problems"]) == (1, 0, 2)
    assert report.error_summary is None
    assert {row["reason"] for row in report.manifest["problems"]} == {"the object has no ground-truth mask"}
    report = convert_labels(_source(plain, **_coco(world, masks=False)), overwrite=True)
    assert report.error_summary.startswith(
        "none of the objects has a ground-truth mask (3 objects), so the set is empty"
    )
    with pytest.raises(AnnotationError, match=r"boxes\.json: the object has no ground-truth mask: '1'"):
        convert_labels(_source(plain | {"out_dir": f"{plain['out_dir']}_raise"}, **_coco(world, masks=False)), "raise")


@pytest.mark.parametrize("option", ["min_predicted_iou", "min_stability"])
def test_a_threshold_for_a_score_that_there_is_not_is_refused(make_config: Make, option: str) -> None:
    config = make_config()
    config["pipeline"][3][option] = 0.5
    with pytest.raises(ConfigError, match=rf"tile .*RefineMasks\.{option}=0\.5 would drop nothing.*such as sam"):
        convert_labels(config)


def test_what_finished_nothing_does_not_block_the_mended_run(make_config: Make, world: Path, tmp_path: Path) -> None:
    truth = {"kind": "instance_png", "masks": str(tmp_path / "masks")}
    failed = ablate_prompts(make_config(truth=truth | {"masks": "/nowhere"}), ["hbox"])
    assert "3 images could not be used or have no ground truth" in (failed.error_summary or "")
    assert any("no ground truth" in row["reason"] for row in failed.result["problems"])
    (tmp_path / "masks").mkdir()
    for stem in ("P0001", "P0002", "P0004"):
        with Image.open(world / "images" / f"{stem}.png") as image:
            Image.fromarray(np.ones(image.size[::-1], np.uint8)).save(tmp_path / "masks" / f"{stem}.png")
    mended = ablate_prompts(make_config(truth=truth), ["hbox"])
    assert mended.error_summary is None and mended.result["prompts"]["hbox"]["overall"]["instances"] > 0
    with pytest.raises(JobError, match=r"prompts was \['hbox'\], now \['cp\+hbox'\]"):
        ablate_prompts(make_config(truth=truth), ["cp+hbox"])


def test_a_folder_that_another_process_took_is_left_alone(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    inputs: dict[str, Any] = {"a": {}}
    first.claim({"n": 1}, inputs, False)
    second.claim({"n": 2}, inputs, False)
    with pytest.raises(JobError, match="another process has started a conversion with another config here"):
        first.write_part("a", {"failed": False, "files": {}})
    second.write_part("a", {"failed": False, "files": {}})
