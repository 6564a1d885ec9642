"""Decisions of reviewers applied by a conversion: exact pixels, what is listed, and what is made again."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.conversion.predictors import BoxPredictor
from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.prompts import Prompts
from rsseg.conversion.review import Review
from rsseg.conversion.review_tile import with_review
from rsseg.datasets.labels.decision_files import add_decision
from rsseg.datasets.labels.decisions import Decision, read_set_id, state_of
from rsseg.errors import ConfigError, DataError, JobError
from rsseg.structures.masks import MaskCrop, fill_hbox, to_rle
from tests.conversion.dying import die_at

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
Decide = Callable[..., Path]
FORK = multiprocessing.get_context("fork")


def rows_of(out: Path) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """(tile, object) -> (class, row of instances.json)."""
    data = json.loads((out / "instances.json").read_text())
    names = {row["id"]: row["name"] for row in data["categories"]}
    tiles = {row["id"]: Path(row["file_name"]).stem for row in data["images"]}
    return {
        (tiles[row["image_id"]], row["source_object_id"]): (names[row["category_id"]], row)
        for row in data["annotations"]
    }


@pytest.fixture
def decide(tmp_path: Path) -> Decide:
    """``decide(tile, object, decision, reviewer, out=, file=, second=, ...)`` adds a line; returns the file."""

    def add(tile: str, name: str, decision: str, reviewer: str = "anna", out: str = "out", **more: Any) -> Path:
        path = tmp_path / more.pop("file", f"{reviewer}.jsonl")
        label, row = rows_of(tmp_path / out)[tile, name]
        set_id, time = read_set_id(tmp_path / out), f"2026-11-30T06:40:{more.pop('second', 0):02}Z"
        own = {"source": row["source_image"], "tile": tile, "object_id": name, "state": state_of(label, row)}
        add_decision(path, Decision(set_id, reviewer, time, decision, **{**own, "label": label, **more}))
        return path

    return add


def review_of(out: Path) -> dict[str, Any]:
    """What the manifest says of the review."""
    return dict(json.loads((out / "manifest.json").read_text())["review"])


def test_every_decision_is_applied(make_config: Make, tmp_path: Path, decide: Decide) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    names = json.loads((tmp_path / "out/manifest.json").read_text())["classes"]
    drawn = to_rle(MaskCrop(10, 10, np.ones((3, 4), bool)), (50, 50))
    decide("P0001", "1", "reject")
    decide("P0001", "2", "box", box=(50, 20, 60, 30), new_class="helicopter")
    decide("P0001", "3", "accept")
    decide("P0002", "1", "class", new_class="bridge")
    path = decide("P0002", "2", "mask", mask=drawn)
    report = convert_labels(config, review=[path])
    assert (report.converted, report.resumed) == (2, 2) and report.error_summary is None
    expected = np.full((60, 100), 255, np.uint8)
    expected[20:30, 50:60] = names.index("helicopter")
    expected[30:40, 30:60] = names.index("ship")
    assert (np.asarray(Image.open(tmp_path / "out/gray/P0001.png")) == expected).all()
    expected = np.full((50, 50), 255, np.uint8)
    expected[10:40, 10:40] = names.index("bridge")
    expected[10:13, 10:14] = names.index("ship")
    assert (np.asarray(Image.open(tmp_path / "out/gray/P0002.png")) == expected).all()
    rows = rows_of(tmp_path / "out")
    assert {key: own[0] for key, own in rows.items()} == {
        ("P0001", "2"): "helicopter", ("P0001", "3"): "ship", ("P0002", "1"): "bridge", ("P0002", "2"): "ship",
        ("P0004", "1"): "plane",
    }  # fmt: skip
    assert rows["P0001", "2"][1]["prompt_box"] == [50, 20, 60, 30] and rows["P0001", "2"][1]["area"] == 100
    assert rows["P0002", "2"][1]["bbox"] == [10, 10, 4, 3] and rows["P0002", "2"][1]["segmentation"] == drawn
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    gone = {"tile": "P0001", "source_object_id": "1", "reason": "rejected by anna", "value": None}
    assert manifest["dropped"] == [gone] and manifest["counts"]["dropped_objects"] == 1
    review = manifest["review"]
    assert review["counts"] == {
        "accepted": 1, "rejected": 1, "reclassified": 2, "redrawn": 2, "conflicts": 0, "stale": 0,
    }  # fmt: skip
    assert review["reviewers"] == {"anna": 5} and review["rule"] == "majority"
    changes = [(row["source"], row["source_object_id"], row["action"], row["from"], row.get("to"))
               for row in review["changes"]]  # fmt: skip
    assert changes == [
        ("P0001.png", "1", "reject", "ship", None), ("P0001.png", "2", "box", "plane", "helicopter"),
        ("P0002.png", "1", "class", "harbor", "bridge"), ("P0002.png", "2", "mask", "ship", None),
    ]  # fmt: skip
    assert "reviewed: rejected" in report.summary


def test_only_images_concerned_are_made_again(
    make_config: Make, tmp_path: Path, decide: Decide, digests: Digests
) -> None:
    config = make_config()
    convert_labels(config)
    before = digests(tmp_path / "out")
    tile = next(tile for tile, name in rows_of(tmp_path / "out") if tile.startswith("P0004"))
    path = decide(tile, "1", "reject")
    assert convert_labels(config, review=[path]).converted == 1
    first = digests(tmp_path / "out")
    again = convert_labels(config, review=[path])
    assert again.converted == 0 and digests(tmp_path / "out") == first != before
    convert_labels(make_config("fresh"), review=[path])
    assert digests(tmp_path / "fresh") == first
    with pytest.raises(JobError, match=r"1 image has other decisions of reviewers \(--review\) than before \(P0004"):
        convert_labels(config)
    tile, name = next(key for key in rows_of(tmp_path / "out") if key[0].startswith("P0001"))
    other = decide(tile, name, "class", new_class="plane", file="other.jsonl")
    assert convert_labels(config, review=[other]).converted == 2  # one loses its review
    assert convert_labels(config, update=True).converted == 1
    assert digests(tmp_path / "out") == before
    shutil.rmtree(tmp_path / "fresh")
    convert_labels(make_config("fresh"), review=[path, other], shard=(0, 2))
    convert_labels(make_config("fresh"), review=[path, other], shard=(1, 2))
    assert convert_labels(config, review=[other, path]).converted == 2
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_accepting_changes_no_file_but_the_manifest(
    make_config: Make, tmp_path: Path, decide: Decide, digests: Digests
) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    before = digests(tmp_path / "out")
    assert convert_labels(config, review=[decide("P0004", "1", "accept")]).converted == 0
    after = digests(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} == {"manifest.json"}
    assert review_of(tmp_path / "out")["counts"]["accepted"] == 1


def test_stale_decisions_are_listed(
    make_config: Make, tmp_path: Path, world: Path, decide: Decide, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    decide("P0001", "1", "reject")
    decide("P0002", "2", "reject")
    decide("P0001", "2", "accept")
    decide("P0002", "1", "accept")
    path = decide("P0004", "1", "box", box=(1, 1, 9, 9))
    (world / "labelTxt/P0001.txt").write_text("6 5 25 5 25 15 6 15 ship 0\n")  # the box has moved
    (world / "images/P0004.png").unlink()
    (world / "labelTxt/P0004.txt").unlink()
    with pytest.raises(JobError, match=r"1 label file changed \(P0001\.txt\)"):
        convert_labels(config, review=[path])
    convert_labels(config, review=[path], update=True)
    review = review_of(tmp_path / "out")
    assert [(row["tile"], row["source_object_id"], row["action"]) for row in review["stale"]] == [
        ("P0001", "1", "reject"), ("P0004", "1", "box"), ("P0001", "2", "accept"),
    ]  # fmt: skip
    assert (review["counts"]["rejected"], review["counts"]["accepted"], review["counts"]["stale"]) == (1, 1, 3)
    assert ("P0001", "1") in rows_of(tmp_path / "out")
    assert "3 decisions are not applied, since no object looks as it did when they were made:" in caplog.text


def test_reviewers_who_disagree(
    make_config: Make, tmp_path: Path, decide: Decide, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    for name, first, second, third in (
        ("1", "reject", "accept", None), ("2", "reject", "reject", "accept"), ("3", "accept", "accept", "reject"),
    ):  # fmt: skip
        decide("P0001", name, first, "anna")
        decide("P0001", name, second, "ben")
        if third:
            decide("P0001", name, third, "cleo")
    decide("P0002", "1", "box", "anna", box=(1, 1, 9, 9), second=5)
    decide("P0002", "1", "box", "ben", box=(2, 2, 9, 9), second=4)
    files = [tmp_path / f"{name}.jsonl" for name in ("anna", "ben", "cleo")]
    convert_labels(config, review=files)
    review = review_of(tmp_path / "out")
    (row,) = review["conflicts"]
    assert (row["source_object_id"], row["reviewers"]) == ("1", ["anna: reject", "ben: accept"])
    assert [(row["tile"], row["source_object_id"], row["reviewers"]) for row in review["changes"]] == [
        ("P0001", "2", ["anna", "ben"]), ("P0002", "1", ["anna", "ben"]),
    ]  # fmt: skip
    assert rows_of(tmp_path / "out")["P0002", "1"][1]["prompt_box"] == [1, 1, 9, 9]  # the later one
    assert "1 objects stay as they are, since reviewers disagree" in caplog.text
    gone = {"majority": {"2"}, "any-reject": {"1", "2", "3"}, "unanimous": set[str]()}
    for rule, expected in gone.items():
        convert_labels(config, review=files, review_rule=rule)
        assert {"1", "2", "3"} - {n for t, n in rows_of(tmp_path / "out") if t == "P0001"} == expected
    with pytest.raises(ConfigError, match="unknown review rule 'dice'; expected one of: majority"):
        convert_labels(config, review=files, review_rule="dice")


def test_a_second_round(make_config: Make, tmp_path: Path, decide: Decide, digests: Digests) -> None:
    """An object that the first round changed is reviewed as it is now; its first decision stays in the file."""
    config = make_config(tiling=None)
    convert_labels(config)
    path = decide("P0001", "2", "box", box=(50, 20, 60, 30))
    convert_labels(config, review=[path])
    decide("P0001", "2", "class", new_class="ship", second=1)
    assert convert_labels(config, review=[path]).converted == 1
    label, row = rows_of(tmp_path / "out")["P0001", "2"]
    assert (label, row["area"]) == ("ship", 100)
    assert review_of(tmp_path / "out")["counts"]["stale"] == 0
    convert_labels(make_config("fresh", tiling=None), review=[path])
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_the_mask_model_is_asked_again_as_the_pipeline_says(
    make_config: Make, tmp_path: Path, world: Path, decide: Decide
) -> None:
    """GrabCut with the new box alone gives the mask; a policy on masks holds for it, too."""
    config = make_config(tiling=None, predictor="grabcut")
    convert_labels(config)
    path = decide("P0004", "1", "box", box=(6, 6, 30, 30))
    convert_labels(config, review=[path])
    mask = rows_of(tmp_path / "out")["P0004", "1"][1]
    (world / "labelTxt/P0004.txt").write_text("6 6 30 6 30 30 6 30 plane 0\n")
    convert_labels(make_config("moved", tiling=None, predictor="grabcut"))
    moved = rows_of(tmp_path / "moved")["P0004", "1"][1]
    assert mask == {**moved, "id": mask["id"]} and mask["area"] > 0


def test_a_model_of_two_stages_looks_once_and_its_scores_count(
    make_config: Make, tmp_path: Path, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model has kept of a tile serves the new boxes, too; a policy may take out what they gave."""
    seen = list[int]()

    def encode(self: BoxPredictor, images: list[Any]) -> list[Any]:
        seen.append(len(images))
        return list(images)

    def decode(self: BoxPredictor, image: Any, prompts: Prompts) -> Prediction:
        masks = BoxPredictor.predict(self, image, prompts).masks
        scores = np.array([0.9 if mask.area >= 100 else 0.2 for mask in masks])
        return Prediction(masks, scores, scores)

    monkeypatch.setattr(BoxPredictor, "encode", encode, raising=False)
    monkeypatch.setattr(BoxPredictor, "decode", decode, raising=False)
    config = make_config(tiling=None)
    config["pipeline"][3] = {"type": "RefineMasks", "min_predicted_iou": 0.5}
    convert_labels(config)
    seen.clear()
    decide("P0001", "2", "box", box=(50, 20, 70, 30))
    path = decide("P0001", "3", "box", box=(30, 30, 39, 39))
    convert_labels(config, review=[path])
    assert seen == [1]
    rows = rows_of(tmp_path / "out")
    assert rows["P0001", "2"][1]["area"] == 200 and rows["P0001", "2"][1]["predicted_iou"] == 0.9
    dropped = json.loads((tmp_path / "out/manifest.json").read_text())["dropped"]
    assert dropped == [{"tile": "P0001", "source_object_id": "3", "reason": "predicted_iou below 0.5", "value": 0.2}]


def test_boxes_where_no_model_is_asked(make_config: Make, tmp_path: Path, world: Path, decide: Decide) -> None:
    (world / "masks").mkdir()
    for stem, (width, height) in {"P0001": (100, 60), "P0002": (50, 50), "P0003": (60, 40), "P0004": (64, 64)}.items():
        Image.new("L", (width, height), 1).save(world / "masks" / f"{stem}.png")
    truth = {"kind": "instance_png", "masks": str(world / "masks")}
    config = make_config(predictor="truth", truth=truth, tiling=None)
    convert_labels(config)
    path = decide("P0004", "1", "box", box=(1, 1, 9, 9))
    convert_labels(config, review=[path])
    (row,) = review_of(tmp_path / "out")["conflicts"]
    assert row["reason"] == "not applied: this mask model is not asked with boxes"


def test_masks_of_another_size(make_config: Make, tmp_path: Path, decide: Decide) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    path = decide("P0004", "1", "mask", mask=to_rle(fill_hbox((1, 1, 3, 3), (50, 50)), (50, 50)))
    convert_labels(config, review=[path])
    (row,) = review_of(tmp_path / "out")["conflicts"]
    assert row["reason"] == "not applied: the mask was drawn on a tile of another size"


def test_boxes_outside_of_the_tile(make_config: Make, tmp_path: Path, decide: Decide) -> None:
    config = make_config(tiling=None)
    convert_labels(config)
    decide("P0001", "1", "box", box=(-9, -9, 0, 5))
    decide("P0001", "2", "box", box=(90, 50, 140, 90))
    path = decide("P0004", "1", "box", box=(64, 1, 70, 9), new_class="ship")
    convert_labels(config, review=[path])
    conflicts = review_of(tmp_path / "out")["conflicts"]
    assert [(row["tile"], row["source_object_id"]) for row in conflicts] == [("P0001", "1"), ("P0004", "1")]
    assert {row["reason"] for row in conflicts} == {"not applied: the box lies outside of the tile"}
    rows = rows_of(tmp_path / "out")
    assert (rows["P0004", "1"][0], rows["P0004", "1"][1]["area"], rows["P0001", "2"][1]["area"]) == ("plane", 256, 100)


def test_a_review_of_other_labels_is_refused(
    make_config: Make, tmp_path: Path, decide: Decide, digests: Digests
) -> None:
    convert_labels(make_config(tiling=None))
    first = path = decide("P0004", "1", "reject", "ben")
    with pytest.raises(DataError, match=r"ben\.jsonl: its decisions were made for the set [0-9a-f]{16}, but .*other"):
        convert_labels(make_config("other"), review=[path])
    with pytest.raises(DataError, match=r"anna\.jsonl:1: there is no class 'boat'"):
        convert_labels(make_config("other"), review=[decide("P0004", "1", "class", new_class="boat")])
    before = digests(tmp_path / "out")
    config = make_config()
    with pytest.raises(DataError, match="its decisions were made for the set"):
        convert_labels(config | {"out_dir": str(tmp_path / "out")}, review=[first], overwrite=True)
    assert digests(tmp_path / "out") == before  # what is refused deletes nothing
    with pytest.raises(ConfigError, match="needs the transform PaintLabels in 'pipeline'"):
        with_review([], Review({}, "majority", {}), ["ship"], True)


def _review_until(config: dict[str, Any], path: Path, moment: int) -> None:
    """Convert with a review, and die by SIGKILL before the ``moment``-th file takes its place or goes."""
    die_at(moment)
    convert_labels(config, review=[path])


@pytest.mark.slow
def test_a_review_that_is_killed_goes_on(make_config: Make, tmp_path: Path, decide: Decide, digests: Digests) -> None:
    convert_labels(make_config())
    tiles = [key for key in rows_of(tmp_path / "out") if key[0].startswith(("P0001", "P0002"))]
    for tile, name in tiles[:2] + tiles[-1:]:
        path = decide(tile, name, "reject")
    convert_labels(make_config("fresh"), review=[path])
    expected, process = digests(tmp_path / "fresh"), None
    for moment in range(1, 100, 4):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "out", tmp_path / "copy")
        process = FORK.Process(target=_review_until, args=(make_config("copy"), path, moment))
        process.start()
        process.join()
        convert_labels(make_config("copy"), review=[path])
        assert digests(tmp_path / "copy") == expected
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert process is not None and process.exitcode == 0 and moment > 8


def test_the_tool(make_config: Make, tmp_path: Path, decide: Decide, run_tool: Callable[..., Any]) -> None:
    convert_labels(make_config(tiling=None))
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in make_config(tiling=None).items()))
    decide("P0004", "1", "reject", "anna")
    decide("P0004", "1", "reject", "ben")
    files = [tmp_path / "anna.jsonl", tmp_path / "ben.jsonl"]
    result: subprocess.CompletedProcess[str] = run_tool(
        "convert_labels", path, "--review", *files, "--review-rule", "unanimous"
    )
    assert result.returncode == 0 and "reviewed: rejected" in result.stdout, result.stderr
    assert ("P0004", "1") not in rows_of(tmp_path / "out")
