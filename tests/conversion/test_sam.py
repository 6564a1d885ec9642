"""SAM with random weights: the same masks as its own predictor, object by object."""

import hashlib
import json
import logging
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from rsseg.conversion import Prompts, SAMPredictor, make_prompts
from rsseg.conversion.predictors.sam_check import check_sam
from rsseg.conversion.predictors.sam_models import build_sam
from rsseg.structures.boxes import rbox_to_qbox

sam_package = pytest.importorskip("segment_anything")
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 128}
KINDS = [
    "+".join(filter(None, parts))
    for parts in product(("", "cp"), ("", "hbox", "rhbox"), ("", "hbox_m", "rbox_m", "rhbox_m"))
][1:]


def _world(size: tuple[int, int], count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image (H, W, 3), rotated boxes that may leave it (N, 4, 2), and other horizontal boxes (N, 4)."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    centre, sides = rng.uniform(0, min(size), (count, 2)), rng.uniform(5, 90, (count, 2))
    qbox = rbox_to_qbox(np.concatenate([centre, sides, rng.uniform(-1, 1, (count, 1))], axis=1))
    return image, qbox, np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)


def _mask_prompt(kind: str, hbox: np.ndarray, qbox: np.ndarray, size: tuple[int, int], side: int) -> np.ndarray:
    """The release's recipe for one mask prompt, written down again."""
    canvas = np.zeros((*size, 3), np.uint8)
    if kind == "rbox_m":
        cv2.fillPoly(canvas, [qbox.astype(np.int32)], (255, 255, 255))
    else:
        box = hbox if kind == "hbox_m" else np.concatenate([qbox.min(0), qbox.max(0)])
        cv2.rectangle(canvas, (int(box[0]), int(box[1])), (int(box[2]), int(box[3])), (255, 255, 255), -1)
    values = np.where(canvas.min(axis=2) == 255, 1000.0, -1000.0)
    scale = side / max(size)
    height, width = (int(v * scale + 0.5) for v in size)
    values = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    values = np.pad(values, ((0, side - height), (0, side - width)), constant_values=-1000)
    return cv2.resize(values, (side // 4, side // 4), interpolation=cv2.INTER_LINEAR).astype(np.float32)


def _their_predictor(sam: Any, image: np.ndarray) -> Any:
    """segment_anything's own predictor, which has seen the image."""
    predictor = sam_package.SamPredictor(sam)
    predictor.set_image(image)
    return predictor


def _reference(
    predictor: Any, kind: str, hbox: np.ndarray, qbox: np.ndarray, moved: bool = True
) -> tuple[list[np.ndarray], list[float]]:
    """What segment_anything's own predictor says, called once per object."""
    sam, size, parts = predictor.model, predictor.original_size, kind.split("+")
    masks, scores = [], []
    for box, corners in zip(hbox, qbox, strict=True):
        hull = np.concatenate([corners.min(0), corners.max(0)])
        given: dict[str, Any] = {"point_coords": None, "point_labels": None}
        if "cp" in parts:
            at = torch.as_tensor((corners[0] + corners[2]) / 2, dtype=torch.float)[None, None]
            given["point_coords"] = predictor.transform.apply_coords_torch(at, size) if moved else at
            given["point_labels"] = torch.ones(1, 1)
        if "hbox" in parts or "rhbox" in parts:
            prompt = torch.as_tensor(box if "hbox" in parts else hull, dtype=torch.float)[None]
            given["boxes"] = predictor.transform.apply_boxes_torch(prompt, size)
        if parts[-1].endswith("_m"):
            prompt = _mask_prompt(parts[-1], box, corners, size, sam.image_encoder.img_size)
            given["mask_input"] = torch.as_tensor(prompt)[None, None]
        mask, iou, _ = predictor.predict_torch(**given, multimask_output=False)
        masks.append(mask[0, 0].numpy())
        scores.append(float(iou[0, 0]))
    return masks, scores


def _make_blobs(sam: Any) -> None:
    """Let the decoder's logits be large, and positive only around one place each, as those of trained weights are."""
    plain = sam.mask_decoder.forward

    def forward(**given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        low, iou = plain(**given)
        y, x = torch.meshgrid(*(torch.arange(float(n)) for n in low.shape[-2:]), indexing="ij")
        top = low.flatten(2).argmax(-1)[..., None, None]
        distance = (y - top // low.shape[-1]) ** 2 + (x - top % low.shape[-1]) ** 2
        return 60 * (low + 0.2) * torch.exp(-distance / 60) - 8, iou

    sam.mask_decoder.forward = forward


def _assert_same(found: Any, masks: list[np.ndarray], scores: list[float], exact_scores: bool = True) -> None:
    assert any(0 < mask.mean() < 1 for mask in masks)
    for ours, mask in zip(found.masks, masks, strict=True):
        assert (ours.full(mask.shape) == mask).all()
    assert found.predicted_iou.tolist() == (scores if exact_scores else pytest.approx(scores, abs=1e-5))
    assert ((found.stability >= 0) & (found.stability <= 1)).all()


@pytest.mark.parametrize("blobs", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_prompt_gives_the_same_bits(kind: str, blobs: bool) -> None:
    image, qbox, hbox = _world((96, 128), 4)
    ours = SAMPredictor(TINY, random_seed=0)
    if blobs:
        _make_blobs(ours.sam)
    expected = _reference(_their_predictor(ours.sam, image), kind, hbox, qbox)
    _assert_same(ours.predict(image, make_prompts(kind, hbox, qbox)), *expected)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(600, 600), (800, 800), (1024, 1024), (400, 300), (1100, 700), (256, 256), (50, 61)])
def test_every_size_and_batch_gives_the_same_bits(size: tuple[int, int]) -> None:
    image, qbox, hbox = _world(size, 9, seed=1)
    batches = {batch: SAMPredictor(TINY, random_seed=0, box_batch=batch) for batch in (1, 5, 64)}
    theirs = _their_predictor(SAMPredictor(TINY, random_seed=0).sam, image)
    for _ in range(2):
        expected = _reference(theirs, "cp+rhbox", hbox, qbox)
        for batch, ours in batches.items():
            found = ours.predict(image, make_prompts("cp+rhbox", hbox, qbox))
            _assert_same(found, *expected, exact_scores=batch == 1)
            _make_blobs(ours.sam)
        _make_blobs(theirs.model)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1024, 1024), (600, 800), (1200, 500)])
def test_the_published_frame_gives_the_same_bits(size: tuple[int, int]) -> None:
    image, qbox, hbox = _world(size, 2)
    ours = SAMPredictor({**TINY, "img_size": 1024}, random_seed=0)
    theirs, encoded = _their_predictor(ours.sam, image), ours.encode([image])[0]
    for kind in ("hbox", "rbox_m"):
        expected = _reference(theirs, kind, hbox, qbox)
        _assert_same(ours.decode(encoded, make_prompts(kind, hbox, qbox)), *expected)
        _make_blobs(ours.sam)


def test_points_can_stay_where_the_release_left_them() -> None:
    image, qbox, hbox = _world((60, 90), 3)
    ours = SAMPredictor(TINY, random_seed=0, samrs_compat_points=True)
    found = ours.predict(image, make_prompts("cp", hbox, qbox))
    _assert_same(found, *_reference(_their_predictor(ours.sam, image), "cp", hbox, qbox, moved=False))
    moved = SAMPredictor(TINY, random_seed=0).predict(image, make_prompts("cp", hbox, qbox))
    assert moved.predicted_iou.tolist() != found.predicted_iou.tolist()


def test_an_image_is_encoded_once_for_all_prompts() -> None:
    image, qbox, hbox = _world((96, 128), 3)
    ours = SAMPredictor(TINY, random_seed=0)
    calls: list[int] = []
    ours.sam.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    encoded = ours.encode([image])[0]
    for kind in ("hbox", "cp", "rbox_m"):
        found = ours.decode(encoded, make_prompts(kind, hbox, qbox))
        assert len(found.masks) == 3
    assert len(calls) == 1


def test_a_batch_that_rounds_too_differently_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    image, qbox, hbox = _world((96, 128), 5)
    ours = SAMPredictor(TINY, random_seed=0, box_batch=4)
    plain = ours.sam.mask_decoder.forward

    def forward(**given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        low, iou = plain(**given)
        return low + 0.001 * (len(low) - 1), iou

    ours.sam.mask_decoder.forward = forward
    with caplog.at_level(logging.WARNING):
        found = ours.predict(image, make_prompts("hbox", hbox, qbox))
    assert "decoding singly" in caplog.text
    _assert_same(found, *_reference(_their_predictor(ours.sam, image), "hbox", hbox, qbox))


def test_options_that_are_not_exact_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    image, qbox, hbox = _world((96, 128), 3)
    prompts = make_prompts("hbox", hbox, qbox)
    exact = SAMPredictor(TINY, random_seed=0)
    assert exact.exact and json.loads(json.dumps(exact.describe()))["precision"] == "fp32"
    monkeypatch.setattr(torch, "compile", lambda module: torch.nn.Sequential(module))
    for option in ({"precision": "bf16"}, {"tile_batch": 3}, {"compile": True}):
        other = SAMPredictor(TINY, random_seed=0, **option)
        assert not other.exact and option.items() <= other.describe().items()
        found = [other.decode(one, prompts) for one in other.encode([image] * 4)]
        assert len(found) == 4 and all(len(one.masks) == 3 for one in found)
        twin = other.exact_twin()
        assert twin.exact and twin.sam is other.sam and twin.describe() == exact.describe()
        same = twin.predict(image, prompts)
        assert same.predicted_iou.tolist() == exact.predict(image, prompts).predicted_iou.tolist()
        assert found[0].predicted_iou == pytest.approx(same.predicted_iou, abs=0.1)


def test_no_boxes() -> None:
    ours, image = SAMPredictor(TINY, random_seed=0), np.zeros((32, 32, 3), np.uint8)
    for kind in ("hbox", "cp+rbox_m"):
        prompts = make_prompts(kind, np.zeros((0, 4)), np.zeros((0, 4, 2)))
        for found in (ours.predict(image, prompts), ours.decode(ours.encode([image])[0], prompts)):
            assert len(found.masks) == len(found.predicted_iou) == len(found.stability) == 0
    with pytest.raises(ValueError, match="needs points, boxes or masks"):
        ours.predict(image, Prompts(1))


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
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        SAMPredictor(TINY, checkpoint=str(tmp_path / "none.pth"))
    with pytest.raises(ValueError, match="box_batch"):
        SAMPredictor(TINY, random_seed=0, box_batch=0)
    with pytest.raises(ValueError, match="tile_batch must be at least 1, not 0"):
        SAMPredictor(TINY, random_seed=0, tile_batch=0)
    with pytest.raises(ValueError, match="fp32, tf32, bf16, not 'int8'"):
        SAMPredictor(TINY, random_seed=0, precision="int8")
    with pytest.raises(ValueError, match="needs an NVIDIA GPU"):
        SAMPredictor(TINY, random_seed=0, precision="tf32", device="cpu")


def test_the_check_counts_differing_pixels() -> None:
    ours = SAMPredictor(TINY, random_seed=0)
    rows = list(check_sam(ours, [(60, 90)], objects=2))
    assert [row.what for row in rows][-1] == "made-up logits" and len(rows) == 6
    assert all(row.size == (60, 90) and row.set_pixels > 0 and row.differing == 0 for row in rows)
    plain = ours._logits
    ours._logits = lambda *given: (plain(*given)[0] + 0.1, plain(*given)[1])  # type: ignore[method-assign]
    assert sum(row.differing for row in check_sam(ours, [(60, 90)], objects=2)) > 0
