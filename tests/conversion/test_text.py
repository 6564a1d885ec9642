"""SAM 3 asked with class names, on a small random model: the library's own objects, matching, whole conversions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsseg.conversion import convert_labels, make_prompts
from rsseg.conversion.ablation import ablate_prompts
from rsseg.conversion.predictors.base import decode
from rsseg.conversion.predictors.sam3_text import Sam3TextPredictor, best_of_equals, match_boxes
from rsseg.conversion.predictors.simple import BoxPredictor
from rsseg.conversion.prompts import Prompts, parse_prompt
from rsseg.datasets.detection import open_source
from rsseg.datasets.labels.decision_files import add_decision
from rsseg.datasets.labels.decisions import Decision, read_set_id, state_of
from rsseg.metainfo import load_metainfo
from tests import tiny_transformers as tiny

transformers = pytest.importorskip("transformers")
SIZE = (60, 90)
WORDS = {"ship": ("sail",), "plane": ("plane", "aeroplane")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM 3 as the library saves it."""
    root = tmp_path_factory.mktemp("sam3")
    return tiny.save(tiny.sam3_text(root / "tokenizer"), root / "model")


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Sam3TextPredictor:
    """Of it, with a threshold that random scores reach."""
    return Sam3TextPredictor(str(folder), threshold=0.2, match_iou=0.3)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def library(folder: Path, image: np.ndarray) -> Callable[[str], dict[str, torch.Tensor]]:
    """Objects of a text in the image, by the library's own calls: ``scores``, ``boxes``, ``masks``."""
    model = transformers.Sam3Model.from_pretrained(folder).eval()
    processor = transformers.Sam3Processor.from_pretrained(folder)

    def find(text: str) -> dict[str, torch.Tensor]:
        inputs = processor(images=image, text=text, return_tensors="pt")
        inputs.pop("original_sizes")
        with torch.no_grad():
            out = model(**inputs)
        found: dict[str, torch.Tensor] = processor.post_process_instance_segmentation(
            out, threshold=0.2, target_sizes=[SIZE]
        )[0]
        return found

    return find


def test_overlaps_by_hand() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    assert best_of_equals(boxes, [0.5, 0.6, 0.1], 0.7) == [1, 2]
    assert best_of_equals(boxes, [0.5, 0.6, 0.1], 0.9) == [0, 1, 2]
    found = np.array([[0.0, 0, 10, 8], [21, 20, 30, 30], [0, 0, 10, 10]])
    assert match_boxes(boxes, found, 0.5) == [2, 0, 1]  # the best pair first; 1 then has 8/9 with 0
    assert match_boxes(boxes, found[:1], 0.5) == [None, 0, None]
    assert match_boxes(boxes, np.zeros((0, 4)), 0.5) == [None] * 3


def test_a_prompt_has_at_most_one_text() -> None:
    assert parse_prompt("text+hbox") == ("hbox", "text") and parse_prompt("text") == ("text",)
    with pytest.raises(ValueError, match=r"no prompt kind 'text\+text'.*; text text"):
        parse_prompt("text+text")


def test_objects_are_those_of_the_library_bit_by_bit(
    predictor: Sam3TextPredictor, image: np.ndarray, library: Callable[[str], dict[str, torch.Tensor]]
) -> None:
    theirs = library("sail")
    order = np.argsort(theirs["scores"].numpy(), kind="stable")
    order = np.array([i for i in order if theirs["masks"][i].any()])
    found = predictor.find(predictor.encode([image])[0], Prompts(0, words={"ship": ("sail",)}))
    assert len(order) >= 5 and found.labels.tolist() == [0] * len(order)
    assert found.prediction.predicted_iou.tolist() == theirs["scores"][order].double().tolist()
    np.testing.assert_allclose(found.boxes, theirs["boxes"][order].numpy().clip(0, [90, 60, 90, 60]), atol=1e-3)
    for mask, expected in zip(found.prediction.masks, theirs["masks"][order], strict=True):
        assert np.array_equal(mask.full(SIZE), expected.numpy().astype(bool))


def test_files_that_number_the_words_are_recorded(predictor: Sam3TextPredictor, folder: Path) -> None:
    files = set(predictor.describe()["files"])
    assert files >= {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"}
    assert files <= {path.name for path in folder.iterdir()}


def test_words_of_one_class_give_an_object_once(predictor: Sam3TextPredictor, image: np.ndarray) -> None:
    """Of equal boxes the better stays: with one word twice, as many as with it once after leaving duplicates out."""
    encoded = predictor.encode([image])[0]
    one, two = (predictor.find(encoded, Prompts(0, words={"a": words})) for words in (("sail",), ("sail", "sail")))
    kept = best_of_equals(one.boxes, one.prediction.predicted_iou.tolist(), 0.7)
    assert two.boxes.tolist() == one.boxes[kept].tolist() and len(kept) < len(one.boxes)


def test_boxes_get_the_objects_of_their_class(
    predictor: Sam3TextPredictor, image: np.ndarray, library: Callable[[str], dict[str, torch.Tensor]]
) -> None:
    theirs = library("sail")
    best = int(theirs["scores"].argmax())
    hbox = np.stack([theirs["boxes"][best].numpy().astype(np.float64), np.array([0.0, 0, 4, 4])])
    prompts = Prompts(2, boxes=hbox, labels=np.array([0, 0]), words=WORDS)
    prediction = decode(predictor, predictor.encode([image])[0], prompts)
    assert np.array_equal(prediction.masks[0].full(SIZE), theirs["masks"][best].numpy().astype(bool))
    assert prediction.predicted_iou.tolist() == [float(theirs["scores"][best]), 0.0] and not prediction.masks[1].area


def test_what_reads_no_texts_says_so(predictor: Sam3TextPredictor, image: np.ndarray, folder: Path) -> None:
    hbox = np.array([[1.0, 1, 9, 9]])
    texts = Prompts(1, boxes=hbox, labels=np.array([0]), words=WORDS)
    with pytest.raises(ValueError, match="BoxPredictor reads no texts; choose --predictor sam3_text"):
        decode(BoxPredictor(), image, texts)
    encoded = predictor.encode([image])[0]
    with pytest.raises(ValueError, match="needs texts; choose the prompt 'text'"):
        decode(predictor, encoded, make_prompts("hbox", hbox, hbox[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(1, 4, 2)))
    with pytest.raises(ValueError, match="takes no points and masks"):
        decode(predictor, encoded, Prompts(1, mask_boxes=hbox, labels=np.array([0]), words=WORDS))
    with pytest.raises(ValueError, match="threshold must be a number from 0 to 1, not 2"):
        Sam3TextPredictor(str(folder), threshold=2)
    with pytest.raises(ValueError, match="Sam3TextPredictor needs weights"):
        Sam3TextPredictor()


@pytest.fixture
def told(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of a conversion with that model, and a class table whose words its tokenizer knows."""
    rows = [{"id": 0, "name": "ship", "color": "#FF0000", "prompts": ["sail"]},
            {"id": 1, "name": "plane", "color": "#00FF00", "prompts": ["plane", "aeroplane"]},
            {"id": 2, "name": "harbor", "color": "#0000FF", "prompts": ["port"]}]  # fmt: skip
    (tmp_path / "table.json").write_text(json.dumps({"name": "Three", "source": "test", "categories": rows}))
    model = {"type": "Sam3TextPredictor", "checkpoint": str(folder), "threshold": 0.2, "match_iou": 0.1}
    return {"predictor": "mine", "predictors": {"mine": model}}


def test_images_without_labels_become_a_set(
    make_config: Any, told: dict[str, Any], world: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    source = {"format": "images", "images": str(world / "images"), "classes": str(tmp_path / "table.json")}
    tiling = {"size": 64, "overlap": 8}
    report = convert_labels(make_config("one", **told, source=source, prompt="text", tiling=tiling))
    manifest = report.manifest
    assert (
        manifest is not None and manifest["prompt"] == "text" and manifest["config"]["words"]["plane"][1] == "aeroplane"
    )
    counts = manifest["counts"]
    assert (
        counts["source_images"] == 4 and counts["instances"] == counts["kept_objects"] == counts["source_objects"] > 0
    )
    coco = json.loads((tmp_path / "one" / "instances.json").read_text())
    assert len(coco["annotations"]) == counts["instances"] and coco["annotations"][0]["prompt_box"] is None
    tiles = (tmp_path / "one" / "tiles.csv").read_text().splitlines()[1:]
    assert len(tiles) == counts["tiles"] == len(list((tmp_path / "one" / "gray").iterdir()))
    again = convert_labels(make_config("one", **told, source=source, prompt="text", tiling=tiling))
    assert (again.converted, again.resumed) == (0, 4)
    part = next((tmp_path / "one" / ".parts").glob("P0001*"))
    part.unlink()  # as if killed
    before = digests(tmp_path / "one")
    third = convert_labels(make_config("one", **told, source=source, prompt="text", tiling=tiling))
    after = digests(tmp_path / "one")
    assert third.converted == 1 and {name: after[name] for name in before} == before and len(after) == len(before) + 1
    (tmp_path / "table.json").write_text((tmp_path / "table.json").read_text().replace('"sail"', '"boat"'))
    with pytest.raises(ValueError, match="words"):
        convert_labels(make_config("one", **told, source=source, prompt="text", tiling=tiling))


def test_tiles_where_nothing_is_found_are_listed(
    make_config: Any, told: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    told["predictors"]["mine"]["threshold"] = 0.99
    source = {"format": "images", "images": str(world / "images"), "classes": str(tmp_path / "table.json")}
    report = convert_labels(make_config(**told, source=source, prompt="text", tiling=None))
    assert report.manifest is not None
    counts = report.manifest["counts"]
    assert counts["tiles"] == counts["instances"] == 0 and counts["images_without_objects"] == 4
    assert len(report.manifest["tiles_without_objects"]) == counts["tiles_without_objects"] == 4


def test_what_reviewers_reject_is_listed_where_a_tile_goes(
    make_config: Any, told: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    source = {"format": "images", "images": str(world / "images"), "classes": str(tmp_path / "table.json")}
    config = make_config(**told, source=source, prompt="text", tiling=None)
    convert_labels(config)
    data = json.loads((tmp_path / "out/instances.json").read_text())
    names, path = {row["id"]: row["name"] for row in data["categories"]}, tmp_path / "anna.jsonl"
    for row in data["annotations"]:
        if row["source_image"] == "P0003.png":
            label = names[row["category_id"]]
            own = row["source_image"], "P0003", row["source_object_id"], state_of(label, row), label
            time = "2026-11-30T06:40:00Z"
            add_decision(path, Decision(read_set_id(tmp_path / "out"), "anna", time, "reject", *own))
    rejected = path.read_text().count("\n")
    manifest = convert_labels(config, review=[path]).manifest
    assert manifest is not None and rejected == manifest["review"]["counts"]["rejected"] > 0
    counts = manifest["counts"]
    assert counts["tiles"] == 3 and {row["tile"] for row in manifest["dropped"]} == {"P0003"}
    assert len(manifest["dropped"]) == counts["dropped_instances"] == counts["dropped_objects"] == rejected
    assert counts["source_objects"] == counts["kept_objects"] + rejected


def test_labelled_boxes_and_an_ablation(make_config: Any, told: dict[str, Any], world: Path, tmp_path: Path) -> None:
    config = make_config(**told, prompt="text+hbox", tiling=None)
    config["source"]["classes"] = str(tmp_path / "table.json")
    report = convert_labels(config)
    assert report.manifest is not None and report.manifest["counts"]["kept_objects"] == 6
    with pytest.raises(ValueError, match=r"'text' finds its own, so use 'hbox\+text'"):
        ablate_prompts({**config, "truth": {"kind": "coco"}}, ["text"])
    with pytest.raises(ValueError, match="--evaluate compares masks of labelled objects"):
        convert_labels({**config, "prompt": "text", "truth": {"kind": "coco"}}, with_evaluation=True)


def test_a_source_without_labels_needs_texts(make_config: Any, world: Path) -> None:
    source = {"format": "images", "images": str(world / "images"), "classes": "sota"}
    with pytest.raises(ValueError, match=r"source\.format='images' has no labels, so prompt='hbox' has"):
        convert_labels(make_config(source=source))
    with pytest.raises(ValueError, match=r"missing required config key 'source\.annotations'"):
        convert_labels(make_config(source={**source, "format": "dota"}))
    found = open_source("images", world / "images", "", load_metainfo("sota"))
    assert [item.stem for item in found.items] == ["P0001", "P0002", "P0003", "P0004"]
    record = found.read(found.items[0])
    assert len(record) == 0 and record.size == (60, 100) and not found.without_annotation
