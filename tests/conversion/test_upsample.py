"""Masks from small logits made by hand, against SAM's own function."""

import numpy as np
import pytest
import torch

from rsseg.conversion.predictors.upsample import ROUNDING, Upsampler

LOW, FRAME = 64, 256
SIZES = [(256, 256), (200, 200), (150, 256), (600, 431), (256, 90), (40, 40), (7, 300)]


def _input_size(size: tuple[int, int]) -> tuple[int, int]:
    return int(size[0] * FRAME / max(size) + 0.5), int(size[1] * FRAME / max(size) + 0.5)


def _postprocess(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What ``Sam.postprocess_masks`` does."""
    whole = torch.as_tensor(logits)[None, None]
    whole = torch.nn.functional.interpolate(whole, (FRAME, FRAME), mode="bilinear", align_corners=False)
    height, width = _input_size(size)
    whole = whole[..., :height, :width]
    return torch.nn.functional.interpolate(whole, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def _ellipse(cx: float, cy: float, a: float, b: float, steep: float = 4.0) -> np.ndarray:
    y, x = np.mgrid[:LOW, :LOW].astype(np.float32)
    return np.clip(steep * (1 - np.hypot((x - cx) / a, (y - cy) / b)), -15, 10).astype(np.float32)


def _line() -> np.ndarray:
    logits = np.full((LOW, LOW), -9.0, np.float32)
    logits[20, 5:40] = 3
    logits[np.arange(30), np.arange(30)] = 0.7
    return logits


def _single(row: int, col: int, value: float = 6.0) -> np.ndarray:
    logits = np.full((LOW, LOW), -12.0, np.float32)
    logits[row, col] = value
    return logits


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 8, (LOW, LOW)).astype(np.float32)


LOGITS = {
    "blob": _ellipse(20, 30, 6, 3),
    "tiny blob": _ellipse(20.4, 10.2, 1.2, 0.8),
    "large": _ellipse(32, 32, 28, 25),
    "over the border": _ellipse(1, 15, 7, 9),
    "in the padding": _ellipse(60, 60, 5, 5),
    "two": np.maximum(_ellipse(8, 8, 3, 3), _ellipse(14, 20, 4, 2)),
    "lines": _line(),
    "first corner": _single(0, 0),
    "last corner": _single(LOW - 1, LOW - 1),
    "one pixel": _single(17, 9),
    "stable only": _single(17, 9, -0.5),
    "empty": np.full((LOW, LOW), -3.0, np.float32),
    "full": np.full((LOW, LOW), 3.0, np.float32),
    "zero": np.zeros((LOW, LOW), np.float32),
    "noise": _noise(0),
    "noise in a corner": np.where(np.add.outer(range(LOW), range(LOW)) < 25, _noise(1), -20).astype(np.float32),
    "rounded": np.round(_ellipse(20, 30, 6, 3)),  # many values that are exactly zero
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOGITS)
def test_masks_have_the_bits_of_sams_own_function(name: str, size: tuple[int, int]) -> None:
    logits = LOGITS[name]
    whole = _postprocess(logits, size)
    found = Upsampler((LOW, LOW), FRAME, _input_size(size), size).find(logits, lambda: whole)
    assert found is not None
    assert (found.mask.full(size) == (whole > 0)).all()
    outer = (whole > -1).sum()
    assert found.stability == pytest.approx((whole > 1).sum() / outer if outer else 0, abs=1e-3)


@pytest.mark.parametrize("threshold", [-2.5, 0.3])
def test_other_thresholds(threshold: float) -> None:
    for logits in LOGITS.values():
        whole = _postprocess(logits, (200, 150))
        ups = Upsampler((LOW, LOW), FRAME, _input_size((200, 150)), (200, 150), threshold)
        found = ups.find(logits, lambda whole=whole: whole)  # type: ignore[misc]
        assert found is not None and (found.mask.full((200, 150)) == (whole > threshold)).all()


def test_a_small_object_is_found_without_the_whole_image() -> None:
    def never() -> np.ndarray:
        raise AssertionError("the whole image was asked for")

    for name in ("blob", "tiny blob", "over the border", "one pixel", "empty", "stable only"):
        found = Upsampler((LOW, LOW), FRAME, (FRAME, FRAME), (FRAME, FRAME)).find(LOGITS[name], never)
        assert found is not None
    # One logit of 6 among -12, 4 pixels to a logit: 18 * 7/8 * 7/8 - 12 > 0 at the inner four, 18 * 7/8 * 5/8 - 12 < 0.
    found = Upsampler((LOW, LOW), FRAME, (FRAME, FRAME), (FRAME, FRAME)).find(LOGITS["one pixel"], never)
    assert found is not None and found.mask.bbox == (37, 69, 39, 71)


def test_a_value_next_to_the_threshold_is_left_to_sams_own_function() -> None:
    logits = _ellipse(20, 30, 6, 3)
    whole = _postprocess(logits, (256, 256))
    row, col = np.unravel_index(np.abs(whole).argmin(), whole.shape)
    asked = []

    def exact() -> np.ndarray:
        asked.append(1)
        return whole

    ups = Upsampler((LOW, LOW), FRAME, (256, 256), (256, 256), threshold=float(whole[row, col]))
    found = ups.find(logits, exact)
    assert asked and found is not None
    assert (found.mask.full((256, 256)) == (whole > whole[row, col])).all()


def test_masks_that_an_error_could_change_are_refused() -> None:
    ups = Upsampler((LOW, LOW), FRAME, (FRAME, FRAME), (FRAME, FRAME))
    for name in ("blob", "large"):
        logits = LOGITS[name]
        whole = _postprocess(logits, (FRAME, FRAME))
        share = float(np.abs(whole).min() / np.abs(logits).max())
        assert share > 3 * ROUNDING
        assert ups.find(logits, lambda whole=whole: whole, margin=share / 2) is not None  # type: ignore[misc]
        assert ups.find(logits, lambda whole=whole: whole, margin=share * 2) is None  # type: ignore[misc]


def test_logits_that_are_no_numbers_go_to_sams_own_function() -> None:
    logits = LOGITS["blob"].copy()
    logits[3, 3] = np.nan
    whole = _postprocess(logits, (200, 150))
    ups = Upsampler((LOW, LOW), FRAME, _input_size((200, 150)), (200, 150))
    found = ups.find(logits, lambda: whole)
    assert found is not None and (found.mask.full((200, 150)) == (whole > 0)).all()
    assert ups.find(logits, lambda: whole, margin=1e-5) is None


@pytest.mark.parametrize("size", SIZES)
def test_rounding_stays_far_inside_its_bound(size: tuple[int, int]) -> None:
    ups = Upsampler((LOW, LOW), FRAME, _input_size(size), size)
    for seed in range(4):
        logits = _noise(seed)
        ours = ups._rows.weights @ logits @ ups._cols.weights.T
        assert np.abs(ours - _postprocess(logits, size)).max() < ROUNDING / 4 * np.abs(logits).max()
