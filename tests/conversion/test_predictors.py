"""Mask models on pictures small enough to judge by eye."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmseg.registry import MODELS

from rsseg.conversion import (
    PREDICTORS,
    PROMPTS,
    BoxPredictor,
    GrabCutPredictor,
    GroundTruthPredictor,
    Prompts,
    make_prompts,
)
from rsseg.structures.boxes import rbox_to_qbox
from rsseg.structures.masks import MaskCrop, fill_polygon


def _disc(size: int = 80, centre: tuple[int, int] = (40, 40), radius: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noisy ground, and its mask."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 90, (size, size, 3), dtype=np.uint8)
    y, x = np.mgrid[:size, :size]
    mask = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2
    image[mask] = rng.integers(190, 220, (int(mask.sum()), 3))
    return image, mask


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_short_names_are_registered() -> None:
    for name in PREDICTORS.values():
        assert MODELS.get(name) is not None


def test_prompts() -> None:
    hbox = np.array([[0.0, 0, 4, 4]])
    qbox = np.array([[[2.0, 0], [4, 2], [2, 4], [1, 1]]])
    assert set(PROMPTS) >= {"hbox", "rhbox"}
    plain = make_prompts("hbox", hbox, qbox)
    assert plain.count == 1 and plain.boxes is hbox and plain.qboxes is None
    hull = make_prompts("rhbox", hbox, qbox)
    assert hull.boxes is not None and hull.boxes.tolist() == [[1, 0, 4, 4]] and hull.qboxes is qbox
    with pytest.raises(ValueError, match="hbox, rhbox"):
        make_prompts("scribble", hbox, qbox)
    with pytest.raises(ValueError, match="GrabCutPredictor needs box"):
        Prompts(1).need_boxes("GrabCutPredictor")


def test_box_fills_the_box() -> None:
    image = np.zeros((10, 12, 3), np.uint8)
    prediction = BoxPredictor().predict(image, Prompts(2, boxes=np.array([[2.0, 3, 6, 5], [8, 8, 20, 20]])))
    assert [mask.bbox for mask in prediction.masks] == [(2, 3, 6, 5), (8, 8, 12, 10)]
    assert np.isnan(prediction.predicted_iou).all() and np.isnan(prediction.stability).all()
    corners = np.array([[[6.0, 1], [11, 6], [6, 9], [1, 5]]])
    rotated = BoxPredictor("rbox").predict(image, Prompts(1, boxes=np.zeros((1, 4)), qboxes=corners))
    assert (rotated.masks[0].full((10, 12)) == fill_polygon(corners[0], (10, 12)).full((10, 12))).all()
    with pytest.raises(ValueError, match="rhbox"):
        BoxPredictor("rbox").predict(image, Prompts(1, boxes=np.zeros((1, 4))))
    with pytest.raises(ValueError, match="kind"):
        BoxPredictor("circle")


def test_truth_hands_on_the_truth() -> None:
    mask = MaskCrop(1, 1, np.ones((2, 2), bool))
    image = np.zeros((5, 5, 3), np.uint8)
    masks = GroundTruthPredictor().predict(image, Prompts(2, gt_masks=[mask, None])).masks
    assert masks[0] is mask and masks[1].area == 0
    with pytest.raises(ValueError, match="truth=dict"):
        GroundTruthPredictor().predict(image, Prompts(1))


@pytest.mark.parametrize("radius", [5, 15, 150])
def test_grabcut_finds_a_disc_of_any_size(radius: int) -> None:
    size = max(80, radius * 3)
    image, mask = _disc(size, (size // 2, size // 2), radius)
    c = size // 2
    boxes = np.array([[c - radius, c - radius, c + radius + 1, c + radius + 1]], float)
    found = GrabCutPredictor().predict(image, Prompts(1, boxes=boxes)).masks[0].full(mask.shape)
    assert _iou(found, mask) > 0.9 > _iou(BoxPredictor().predict(image, Prompts(1, boxes=boxes)).masks[0].full(
        mask.shape), mask)  # fmt: skip


def test_grabcut_uses_the_rotated_box() -> None:
    image, _ = _disc(radius=1)
    quad = rbox_to_qbox([40, 40, 40, 8, 0.6])
    mask = fill_polygon(quad, (80, 80)).full((80, 80))
    image[mask] = 210
    # A second bar beside it lies in the hull but not in the rotated box.
    image[fill_polygon(rbox_to_qbox([46, 31, 30, 4, 0.6]), (80, 80)).full((80, 80))] = 210
    prompts = make_prompts("rhbox", np.zeros((1, 4)), quad[None])
    found = GrabCutPredictor().predict(image, prompts).masks[0].full((80, 80))
    assert _iou(found, mask) > 0.85
    assert not (found & ~mask).any()


def test_grabcut_falls_back_to_the_box() -> None:
    flat = np.full((60, 60, 3), 100, np.uint8)
    box = np.array([[20.0, 20, 40, 40]])
    assert GrabCutPredictor().predict(flat, Prompts(1, boxes=box)).masks[0].bbox == (20, 20, 40, 40)
    image, _ = _disc()
    odd = np.array([[0.0, 0, 80, 80], [10, 10, 10.4, 10.4], [79.5, 79.5, 80, 80], [-30, -30, -10, -10], [5, 5, 6, 70]])
    masks = GrabCutPredictor().predict(image, Prompts(5, boxes=odd)).masks
    assert len(masks) == 5 and masks[3].area == 0 and masks[1].area <= 1
    assert all(mask.bbox[2] <= 80 and mask.bbox[3] <= 80 for mask in masks)


def test_grabcut_is_the_same_alone_and_in_company() -> None:
    image, _ = _disc()
    boxes = np.array([[24.0, 24, 56, 56], [10, 10, 45, 50], [30, 20, 70, 60]])
    together = GrabCutPredictor().predict(image, Prompts(3, boxes=boxes)).masks
    cv2.setRNGSeed(123)
    for i in (2, 0, 1):
        alone = GrabCutPredictor().predict(image, Prompts(1, boxes=boxes[i : i + 1])).masks[0]
        assert (alone.full((80, 80)) == together[i].full((80, 80))).all()


@pytest.mark.parametrize("settings", [{"collapsed": 0.9, "filled": 0.5}, {"margin": 0}, {"core": 1}, {"iterations": 0}])
def test_grabcut_refuses_nonsense(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need"):
        GrabCutPredictor(**settings)  # type: ignore[arg-type]


def test_description_is_json(tmp_path: Path) -> None:
    import json

    for predictor in (BoxPredictor(), GrabCutPredictor(), GroundTruthPredictor()):
        assert json.loads(json.dumps(predictor.describe()))["name"] == type(predictor).__name__


def _click(
    image: np.ndarray, points: list[tuple[int, int]], labels: list[int], box: list[float] | None = None
) -> np.ndarray:
    boxes = None if box is None else np.array([box], float)
    told = Prompts(1, boxes, points=np.array([points], float), point_labels=np.array([labels]))
    return GrabCutPredictor().predict(image, told).masks[0].full(image.shape[:2])


def test_grabcut_finds_what_is_clicked() -> None:
    image, disc = _disc(200, (60, 60), 15)
    other, bar = _disc(200, (110, 60), 12)
    image[bar] = other[bar]
    assert _iou(_click(image, [(60, 60)], [1]), disc) > 0.9  # and not the other one of the same colour
    both = _click(image, [(60, 60), (110, 60)], [1, 1])
    assert _iou(both, disc | bar) > 0.9
    assert not _click(image, [(60, 60)], [0]).any()
    assert not (_click(image, [(60, 60), (60, 70)], [1, 0])[70, 60])
    assert (_click(image, [(60, 60)], [1]) == _click(image, [(60, 60)], [1])).all()


def test_grabcut_finds_a_clicked_object_that_fills_the_picture() -> None:
    y, x = np.mgrid[:256, :256]
    boat = (abs(x - 128) < 90) & (abs(y - 128) < 40)
    noise = np.random.default_rng(0).integers(-12, 13, (256, 256, 3))
    image = (np.where(boat[..., None], 170, 60) + noise).astype(np.uint8)
    assert _iou(_click(image, [(128, 128)], [1]), boat) > 0.9


def test_grabcut_in_a_box_obeys_clicks() -> None:
    image, _ = _disc(200, (60, 60), 15)
    other, bar = _disc(200, (110, 60), 12)
    image[bar] = other[bar]
    box = [40.0, 40, 125, 80]
    assert _click(image, [(60, 60), (110, 60)], [1, 1], box)[[60, 60], [60, 110]].all()
    without = _click(image, [(60, 60), (110, 60)], [1, 0], box)
    assert without[60, 60] and not without[60, 110]


def test_which_models_take_points() -> None:
    for name in ("sam", "sam2", "sam_hf", "grabcut"):
        assert MODELS.get(PREDICTORS[name]).reads_points
    for name in ("boxmask", "box", "truth"):
        assert not getattr(MODELS.get(PREDICTORS[name]), "reads_points", False)
