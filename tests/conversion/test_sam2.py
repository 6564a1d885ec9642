"""SAM 2: what its package is told, with a stand-in for the package, and the package itself where it is installed."""

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rsseg.conversion import Prompts, make_prompts
from rsseg.conversion.predictors.sam2 import SAM2_CONFIGS, SAM2Predictor, _arguments

HBOX = np.array([[2.0, 3, 10, 8], [0, 0, 4, 4], [12, 5, 30, 9]])
QBOX = np.stack([HBOX[:, [0, 1]], HBOX[:, [2, 1]], HBOX[:, [2, 3]], HBOX[:, [0, 3]]], axis=1)
SIZE = (12, 20)


class _Model(torch.nn.Module):
    """What SAM2Predictor uses of the package's model."""

    image_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(3))
        self.sam_prompt_encoder = SimpleNamespace(mask_input_size=(8, 8))


class _ImagePredictor:
    """Logits 5 inside the box and -5 outside; 0.5 inside where there is no box.  The score is the image's mean."""

    mask_threshold = 0.0

    def __init__(self, model: _Model) -> None:
        self.model, self.calls, self.image = model, [], None

    def set_image(self, image: np.ndarray) -> None:
        logging.info("as the package does")
        self.image = image

    def predict(self, multimask_output: bool, return_logits: bool, **told: Any) -> tuple[np.ndarray, ...]:
        assert self.image is not None and not multimask_output and return_logits
        self.calls.append(told)
        count = len(next(iter(told.values())))
        rows, columns = np.mgrid[: self.image.shape[0], : self.image.shape[1]]
        logits = np.full((count, 1, *self.image.shape[:2]), 0.5, np.float32)
        for i, (x1, y1, x2, y2) in enumerate(told.get("box", ())):
            logits[i, 0] = np.where((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2), 5, -5)
        iou = np.full((count, 1), self.image.mean() / 255, np.float32)
        return (logits, iou, logits) if count > 1 else (logits[0], iou[0], logits[0])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Puts the stand-in in the package's place; lists how models were asked for."""
    calls: list[dict[str, Any]] = []

    def build_sam2(file: str, checkpoint: None, device: str, apply_postprocessing: bool) -> _Model:
        calls.append({"file": file, "checkpoint": checkpoint, "device": device, "dynamic": apply_postprocessing})
        return _Model().eval()

    package, build, image = ModuleType("sam2"), ModuleType("sam2.build_sam"), ModuleType("sam2.sam2_image_predictor")
    build.build_sam2, image.SAM2ImagePredictor = build_sam2, _ImagePredictor
    for module in (package, build, image):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def _image(value: int = 51) -> np.ndarray:
    return np.full((*SIZE, 3), value, np.uint8)


def test_boxes_stay_in_tile_pixels(asked: list[dict[str, Any]]) -> None:
    ours = SAM2Predictor("sam2.1_hiera_s", random_seed=0, device="cpu")
    assert asked == [
        {"file": "configs/sam2.1/sam2.1_hiera_s.yaml", "checkpoint": None, "device": "cpu", "dynamic": False}
    ]
    found = ours.predict(_image(), make_prompts("hbox", HBOX, QBOX))
    assert [mask.bbox for mask in found.masks] == [(2, 3, 10, 8), (0, 0, 4, 4), (12, 5, 20, 9)]
    assert found.predicted_iou == pytest.approx([0.2, 0.2, 0.2])
    assert found.stability.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("batch", "parts"), [(1, [1, 1, 1]), (2, [2, 1]), (8, [3])])
def test_objects_are_decoded_in_batches(asked: list[dict[str, Any]], batch: int, parts: list[int]) -> None:
    ours = SAM2Predictor(random_seed=0, box_batch=batch, device="cpu")
    assert ours.exact == (batch == 1) and ours.exact_twin().exact
    encoded = ours.encode([_image()])[0]
    found = ours.decode(encoded, make_prompts("cp+hbox", HBOX, QBOX))
    calls = encoded[0].calls
    assert [len(call["box"]) for call in calls] == parts
    assert np.concatenate([call["point_coords"] for call in calls]).tolist() == [[[6, 5.5]], [[2, 2]], [[21, 7]]]
    assert np.concatenate([call["point_labels"] for call in calls]).tolist() == [[1], [1], [1]]
    assert [mask.area for mask in found.masks] == [40, 16, 32]


def test_points_alone(asked: list[dict[str, Any]]) -> None:
    ours = SAM2Predictor(random_seed=0, device="cpu")
    found = ours.predict(_image(), make_prompts("cp", HBOX, QBOX))
    assert [mask.area for mask in found.masks] == [240, 240, 240]
    assert found.stability.tolist() == [0.0, 0.0, 0.0]  # 0.5 is within 1 of the threshold


def test_masks_are_squeezed_like_the_image(asked: list[dict[str, Any]]) -> None:
    ours = SAM2Predictor(random_seed=0, box_batch=2, device="cpu")
    encoded = ours.encode([_image()])[0]
    left = Prompts(1, mask_boxes=np.array([[0.0, 0, 9, 11]]))  # the left half of the tile, outline included
    ours.decode(encoded, left)
    (told,) = encoded[0].calls
    assert set(told) == {"mask_input"}
    assert told["mask_input"].shape == (1, 1, 8, 8) and told["mask_input"].dtype == np.float32
    assert told["mask_input"][0, 0].tolist() == [[1000.0] * 4 + [-1000.0] * 4] * 8
    ours.decode(encoded, make_prompts("hbox_m", HBOX, QBOX))
    assert [len(call["mask_input"]) for call in encoded[0].calls[1:]] == [1, 1, 1]


def test_encoded_images_do_not_disturb_each_other(asked: list[dict[str, Any]]) -> None:
    ours = SAM2Predictor(random_seed=0, device="cpu")
    dark, bright = ours.encode([_image(0), _image(255)])
    prompts = make_prompts("hbox", HBOX, QBOX)
    assert ours.decode(dark, prompts).predicted_iou.tolist() == [0, 0, 0]
    assert ours.decode(bright, prompts).predicted_iou.tolist() == [1, 1, 1]


def test_no_objects_and_no_prompts(asked: list[dict[str, Any]]) -> None:
    ours = SAM2Predictor(random_seed=0, device="cpu")
    empty = ours.predict(_image(), Prompts(0, boxes=np.zeros((0, 4))))
    assert len(empty.masks) == len(empty.predicted_iou) == len(empty.stability) == 0
    with pytest.raises(ValueError, match="SAM2Predictor needs points, boxes or masks"):
        ours.predict(_image(), Prompts(1))


def test_the_packages_messages_give_nobody_a_handler(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    SAM2Predictor(random_seed=0, device="cpu").encode([_image()])
    assert logging.root.handlers == []


def test_random_weights_are_announced_and_repeatable(
    asked: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    before = torch.get_rng_state()
    with caplog.at_level(logging.WARNING):
        one, two = (SAM2Predictor(random_seed=3, device="cpu") for _ in range(2))
    assert "RANDOM WEIGHTS" in caplog.text
    assert torch.equal(one.predictor.model.weight, two.predictor.model.weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.describe() == {
        "name": "SAM2Predictor",
        "config": "sam2.1_hiera_l",
        "dynamic_multimask": False,
        "weights": "random weights",
        "random_seed": 3,
        "box_batch": 1,
    }


def test_a_checkpoint_is_loaded_and_named(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save({"model": {"weight": torch.tensor([1.0, 2, 3])}}, path)
    ours = SAM2Predictor(checkpoint=str(path), device="cpu")
    assert ours.predictor.model.weight.tolist() == [1, 2, 3]
    about = ours.describe()
    assert about["weights"] == "small.pt" and len(about["sha256"]) == 64
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 1, 1, 768)}, path)
    with pytest.raises(ValueError, match=r"small\.pt.*do not fit SAM 2 'sam2\.1_hiera_l'; they look like vit_b"):
        SAM2Predictor(checkpoint=str(path))
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"small\.pt: not loaded.*predictors\.sam2\.checkpoint=FILE"):
        SAM2Predictor(checkpoint=str(path))


def test_wrong_settings_are_named(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"unknown SAM 2 model 'vit_h'; expected one of: sam2\.1_hiera_t, "):
        SAM2Predictor("vit_h", random_seed=0)
    with pytest.raises(ValueError, match=r"predictors\.sam2\.checkpoint"):
        SAM2Predictor()
    with pytest.raises(ValueError, match="box_batch must be at least 1, not 0"):
        SAM2Predictor(random_seed=0, box_batch=0)
    SAM2Predictor("my/own.yaml", random_seed=0, dynamic_multimask=True)
    assert asked[-1]["file"] == "my/own.yaml" and asked[-1]["dynamic"]


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sam2", None)
    with pytest.raises(ImportError, match=r"rsseg\[sam2\]"):
        SAM2Predictor(random_seed=0)


@pytest.mark.parametrize("kind", ["hbox", "cp", "cp+rhbox+rbox_m"])
def test_masks_are_those_of_the_package(kind: str) -> None:
    """The smallest SAM 2 with random weights; needs the extra sam2."""
    pytest.importorskip("sam2")
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    ours = SAM2Predictor("sam2.1_hiera_t", random_seed=0, device="cpu")
    model = build_sam2(SAM2_CONFIGS["sam2.1_hiera_t"], None, device="cpu", apply_postprocessing=False)
    model.load_state_dict(ours.predictor.model.state_dict())
    reference = SAM2ImagePredictor(model)
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    boxes = np.array([[5.0, 5, 60, 50], [40, 20, 99, 70]])
    corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], axis=1)
    prompts = make_prompts(kind, boxes, corners)
    encoded = ours.encode([image])[0]
    found = ours.decode(encoded, prompts)
    reference.set_image(image)
    for i in range(2):
        told = _arguments(prompts, range(i, i + 1), (60, 90), model)
        masks, iou, _ = reference.predict(**told, multimask_output=False)
        assert (found.masks[i].full((60, 90)) == masks[0].astype(bool)).all()
        assert found.predicted_iou[i] == iou[0]
