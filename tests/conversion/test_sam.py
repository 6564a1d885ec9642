"""SAM with random weights: the same masks as its own predictor, box by box."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from rsseg.conversion import Prompts, SAMPredictor
from rsseg.conversion.predictors.sam_models import build_sam

sam_package = pytest.importorskip("segment_anything")
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 256}


def _reference(sam: torch.nn.Module, image: np.ndarray, boxes: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """segment_anything's own predictor, called once per box."""
    predictor = sam_package.SamPredictor(sam)
    predictor.set_image(image)
    frame = predictor.transform.apply_boxes_torch(torch.as_tensor(boxes, dtype=torch.float), image.shape[:2])
    masks, scores = [], []
    for box in frame:
        mask, iou, _ = predictor.predict_torch(None, None, boxes=box[None], multimask_output=False)
        masks.append(mask[0, 0].numpy())
        scores.append(float(iou[0, 0]))
    return masks, scores


@pytest.mark.parametrize("size", [(96, 128), (300, 200), (256, 256)])
def test_masks_are_bit_identical_box_by_box(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    corner = rng.uniform(-10, min(size) - 20, (12, 2))  # some boxes leave the tile, unclipped
    boxes = np.concatenate([corner, corner + rng.uniform(5, 90, (12, 2))], axis=1)
    ours = SAMPredictor(TINY, random_seed=0)
    found = ours.predict(image, Prompts(12, boxes=boxes))
    masks, scores = _reference(ours.sam, image, boxes)
    assert any(0 < mask.mean() < 1 for mask in masks)
    for ours_mask, mask in zip(found.masks, masks, strict=True):
        assert (ours_mask.full(size) == mask).all()
    assert found.predicted_iou.tolist() == scores
    assert ((found.stability >= 0) & (found.stability <= 1)).all()


def test_batches_differ_by_rounding_only() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    boxes = np.array([[5.0 * i, 10, 5.0 * i + 40, 90] for i in range(7)])
    one, many = (SAMPredictor(TINY, random_seed=0, box_batch=n).predict(image, Prompts(7, boxes=boxes)) for n in (1, 4))
    for a, b in zip(one.masks, many.masks, strict=True):
        assert (a.full((128, 128)) != b.full((128, 128))).mean() < 1e-3
    assert one.predicted_iou == pytest.approx(many.predicted_iou, abs=1e-4)


def test_no_boxes() -> None:
    found = SAMPredictor(TINY, random_seed=0).predict(np.zeros((32, 32, 3), np.uint8), Prompts(0, np.zeros((0, 4))))
    assert len(found.masks) == len(found.predicted_iou) == 0


def test_random_weights_are_announced_and_repeatable(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with caplog.at_level(logging.WARNING):
        first = SAMPredictor(TINY, random_seed=3)
    assert "RANDOM WEIGHTS" in caplog.text
    assert first.describe()["weights"] == "random weights"
    assert torch.equal(torch.get_rng_state(), before)
    second = SAMPredictor(TINY, random_seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.sam.parameters(), second.sam.parameters(), strict=True))


def test_checkpoint_is_loaded_and_named(tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    torch.manual_seed(0)
    sam = build_sam(TINY)
    torch.save(sam.state_dict(), path)
    ours = SAMPredictor(TINY, checkpoint=str(path))
    assert ours.describe()["weights"] == "tiny.pth"
    assert ours.describe()["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(torch.equal(a, b) for a, b in zip(ours.sam.parameters(), sam.parameters(), strict=True))
    with pytest.raises(ValueError, match="do not fit"):
        SAMPredictor({**TINY, "depth": 3}, checkpoint=str(path))


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vit_h, vit_l, vit_b"):
        SAMPredictor("vit_x", random_seed=0)
    with pytest.raises(ValueError, match=r"predictors\.sam\.checkpoint"):
        SAMPredictor(TINY)
    with pytest.raises(FileNotFoundError, match="no such SAM checkpoint"):
        SAMPredictor(TINY, checkpoint=str(tmp_path / "none.pth"))
    with pytest.raises(ValueError, match="box_batch"):
        SAMPredictor(TINY, random_seed=0, box_batch=0)
